"""What a training loop tells while it runs, and what it has recorded at the end."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Progress:
    """Where training stands after an update; what callbacks are given.

    The end of an epoch is told in any case: again with the numbers of the last update,
    if the last batches of the epoch have no weight and make none.

    Attributes
    ----------
    step : int
        Updates made.
    n_steps : int or None
        Updates of the whole run, at most; None if that is not known.
    epoch : int
        Number of the epoch, from 0.
    end_of_epoch : bool
        Whether it was the last update of the epoch.
    loss : float
        Weighted mean loss of the rows of the update, before it; NaN if there was none.
    lr : float
        Learning rate of the first group of parameters.
    seconds : float
        Time spent in training.
    """

    step: int
    n_steps: int | None
    epoch: int
    end_of_epoch: bool
    loss: float
    lr: float
    seconds: float


@dataclass(frozen=True, slots=True)
class History:
    """What a training loop has recorded: one row for each update.

    Attributes
    ----------
    step : ndarray of shape (n_steps,)
        Number of the update, from 0.
    epoch : ndarray of shape (n_steps,)
        Number of the epoch, from 0.
    loss : ndarray of shape (n_steps,)
        Weighted mean loss of the rows of the update, before it.
    lr : ndarray of shape (n_steps,)
        Learning rate of the first group of parameters.
    weight : ndarray of shape (n_steps,)
        Total weight of the rows: their number without base weights.
    seconds : ndarray of shape (n_steps,)
        Time spent in training until after the update.
    """

    step: NDArray[np.int64]
    epoch: NDArray[np.int64]
    loss: NDArray[np.float64]
    lr: NDArray[np.float64]
    weight: NDArray[np.float64]
    seconds: NDArray[np.float64]

    def epoch_loss(self) -> NDArray[np.float64]:
        """Return the mean loss of each epoch.

        Returns
        -------
        loss : ndarray of shape (n_epochs,)
            Losses under the model as it was at each update, by the weight of the rows;
            NaN for an epoch without an update.
        """
        n_epochs = int(self.epoch.max(initial=-1)) + 1
        total = np.bincount(self.epoch, self.weight * self.loss, minlength=n_epochs)
        weight = np.bincount(self.epoch, self.weight, minlength=n_epochs)
        mean = np.full(n_epochs, np.nan)
        return np.divide(total, weight, out=mean, where=weight > 0.0)


class Recorder:
    """Columns that grow by a row with every update."""

    def __init__(self) -> None:
        self._columns: dict[str, array[Any]] = {
            "epoch": array("q"),
            **{name: array("d") for name in ("loss", "weight", "lr", "seconds")},
        }
        self._bind()

    def _bind(self) -> None:
        # Looked up once, since rows are added at every step.
        self._adders = tuple(column.append for column in self._columns.values())

    def add(
        self, epoch: int, loss: float, weight: float, lr: float, seconds: float
    ) -> None:
        """Note an update."""
        epochs, losses, weights, rates, times = self._adders
        epochs(epoch)
        losses(loss)
        weights(weight)
        rates(lr)
        times(seconds)

    def progress(
        self, step: int, n_steps: int | None, epoch: int, ended: bool
    ) -> Progress:
        """Return where training stands after the last update.

        Parameters
        ----------
        step : int
            Updates made.
        n_steps : int or None
        epoch : int
        ended : bool
            Whether the epoch is at its end.
        """
        loss, lr, seconds = (
            column[-1] if (column := self._columns[name]) else float("nan")
            for name in ("loss", "lr", "seconds")
        )
        return Progress(
            step=step,
            n_steps=n_steps,
            epoch=epoch,
            end_of_epoch=ended,
            loss=loss,
            lr=lr,
            seconds=seconds,
        )

    @property
    def seconds(self) -> float:
        """Time until after the last update."""
        times = self._columns["seconds"]
        return times[-1] if times else 0.0

    def history(self) -> History:
        """Return the columns as they are now."""
        columns: dict[str, Any] = {k: np.array(v) for k, v in self._columns.items()}
        return History(step=np.arange(len(columns["epoch"])), **columns)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the columns as tensors."""
        return {k: torch.from_numpy(np.array(v)) for k, v in self._columns.items()}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Take up columns that `state_dict` gave."""
        for name, column in self._columns.items():
            self._columns[name] = array(column.typecode, state[name].tolist())
        self._bind()
