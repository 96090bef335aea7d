"""A network in training: the loop, and what it asks of the rows at hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from statlearn.neural._estimators._fit_rows import FitRows, Table
from statlearn.neural._estimators._network import Network
from statlearn.neural._loop import TrainingLoop
from statlearn.neural._loss_reweighter import checked_losses
from statlearn.neural._training._batches import Batches
from statlearn.neural._training._checkpoint import RunFile
from statlearn.neural._training._history import Progress
from statlearn.neural._training._identity import checksum, describe
from statlearn.utils._rules import kind_of
from statlearn.weights import get_rule

EpochEnd = Callable[[], bool]
# Told the epochs of a checkpoint before the first batch; whether training is over.
AtStart = Callable[[int], bool]

# Parameters that may differ from those of the fit that wrote a checkpoint.
_NO_IDENTITY = {"checkpoint", "device"}


def _never(n_epochs: int) -> bool:
    return False


class _Loop(TrainingLoop):
    """The loop of an estimator, which may find that it has stopped early before."""

    at_start: AtStart = staticmethod(_never)

    def _has_stopped(self) -> bool:
        return self.at_start(self.epoch_)


class Trainer:
    """A network and its loop, for one table of rows after the other.

    Parameters
    ----------
    network : Network
    loss : callable
        ``loss(output, target)`` with one loss for each row.
    optimizer : Optimizer
    weighting : rule or None
    batch_size : int
    caller : str
        Class name for messages.
    **options : dict
        Of the loop.

    Attributes
    ----------
    network : Network
    loop : TrainingLoop
    """

    def __init__(
        self,
        network: Network,
        loss: Callable[[Tensor, Tensor], Tensor],
        optimizer: torch.optim.Optimizer,
        *,
        weighting: Any,
        batch_size: int,
        caller: str,
        **options: Any,
    ) -> None:
        self.network = network
        self._loss, self._batch_size, self._caller = loss, batch_size, caller
        self._rule = None if weighting is None else get_rule(weighting)
        self.loop = _Loop(
            network,
            self._losses,
            optimizer,
            weighting=self._rule,
            callbacks=(self._after_update,),
            **options,
        )

    def run(
        self,
        rows: FitRows,
        n_epochs: int,
        epoch_end: EpochEnd,
        at_start: AtStart = _never,
    ) -> None:
        """Train until so many epochs are complete.

        Parameters
        ----------
        rows : FitRows
            Each with weight.
        n_epochs : int
            Over all calls.
        epoch_end : callable
            Called after each epoch; what is true ends the training.
        at_start : callable
            Called before the first batch with the epochs that are complete, some if
            a checkpoint was taken up; what is true ends the training.
        """
        self._table, self._epoch_end = rows.table, epoch_end
        self.loop.at_start = at_start
        try:
            self.loop.run(self._batches(rows), n_epochs)
        finally:
            del self._table, self._epoch_end
            self.loop.at_start = _never
            self.network.eval()

    def history(self) -> dict[str, list[Any]]:
        """Return loss and learning rate of each epoch as plain columns."""
        found, n_epochs = self.loop.history_, self.loop.epoch_
        # Epochs without any weight have no updates.
        loss = np.full(n_epochs, np.nan)
        seen = found.epoch_loss()
        loss[: len(seen)] = seen
        rate = np.concatenate([[np.nan], found.lr])
        last = np.searchsorted(found.epoch, np.arange(n_epochs), side="right")
        return {
            "epoch": list(range(1, n_epochs + 1)),
            "loss": loss.tolist(),
            "learning_rate": rate[last].tolist(),
        }

    def _batches(self, rows: FitRows) -> Batches:
        parts: list[Any] = [rows.table.handle, rows.target]
        weight, groups = rows.weight, None
        if self._rule is None and weight is not None:
            # A batch is not divided by its own weight: for a few heavy rows that would
            # lower their share in the mean over batches.
            dtype = next(self.network.parameters()).dtype
            parts.append(torch.as_tensor(weight / weight.mean()).to(dtype))
            weight = None
        if kind_of(self._rule) == "group":
            groups = rows.target
        size, n = self._batch_size, len(rows.target)
        # Statistics of a batch need two rows, so none may be left over alone.
        while size < n and n % size == 1:
            size += 1
        return Batches(*parts, batch_size=size, sample_weight=weight, groups=groups)

    def _losses(self, network: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        handle, target, *weight = batch
        losses = self._loss(network(self._table.features(handle)), target)
        losses = checked_losses(losses, self._caller)
        return losses * weight[0] if weight else losses

    def _after_update(self, progress: Progress) -> bool:
        return progress.end_of_epoch and self._epoch_end()

    _table: Table
    _epoch_end: EpochEnd


def file_of(estimator: Any, rows: FitRows, network: Network) -> RunFile | None:
    """Return the checkpoint that only the same fit to the same rows takes up.

    Parameters
    ----------
    estimator : NeuralEstimator
    rows : FitRows
        All rows of the fit.
    network : Network
        At its start.
    """
    if estimator.checkpoint is None:
        return None
    parameters = estimator.get_params(deep=False)
    known_by: dict[str, Any] = {
        name: describe(value)
        for name, value in parameters.items()
        if name not in _NO_IDENTITY
    }
    known_by |= {
        "estimator": type(estimator).__name__,
        "data": rows.fingerprint(),
        "start": checksum(network.module.state_dict()),
    }
    return RunFile(estimator.checkpoint, known_by, type(estimator).__name__)
