"""What the neural classifier and regressor share: training, state, prediction."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import validate_data

from statlearn.neural._estimators._fit_checks import (
    check_axes,
    check_seed,
    check_weighting,
    read_loss,
)
from statlearn.neural._estimators._fit_rows import FitRows, Table
from statlearn.neural._estimators._fitted_module import DTYPES, FittedModule, Live
from statlearn.neural._estimators._monitor import Monitor
from statlearn.neural._estimators._network import Network, arrays_of, to_torch
from statlearn.neural._estimators._optimizers import NAMES, make_optimizer
from statlearn.neural._estimators._trainer import Trainer, file_of
from statlearn.neural._training._checkpoint import RunFile
from statlearn.schedules import Cosine, Linear
from statlearn.utils._callbacks import Watch
from statlearn.utils._rng import as_generator
from statlearn.utils._sklearn import (
    CallbackSupportMixin,
    Interval,
    StrOptions,
    fit_context,
)
from statlearn.utils._validation import read_sample_weight

# What is learnt beside the attributes with an underscore at their end.
_KNOWN = ("_dtype", "_is_flat", "_live", "_made_of", "_order", "_past", "_seed")

_SCHEDULES = {"cosine": Cosine, "linear": Linear}


class NeuralEstimator(CallbackSupportMixin, FittedModule):
    """A module, trained by the loop of this room, with its weights as plain arrays.

    Attributes
    ----------
    state_ : dict of str to ndarray
        Weights, buffers and what maps on weights have learnt. To change one, put
        another array under its name: these cannot be written into.
    history_ : dict of str to list
        Losses by epoch.
    n_iter_ : int
        Epochs of the last fit.

    References
    ----------
    Marian Tietz, Thomas J. Fan, Daniel Nouri, Benjamin Bossan. skorch: A Scikit-Learn
    Compatible Neural Network Library That Wraps PyTorch. 2017.

    Examples
    --------
    >>> from statlearn.neural import NeuralClassifier
    >>> from statlearn.neural._estimators._estimator import NeuralEstimator
    >>> issubclass(NeuralClassifier, NeuralEstimator)
    True
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "module": [callable, None],
        "hidden_layer_sizes": [
            "array-like",
            Interval(Integral, 1, None, closed="left"),
        ],
        "loss": [str, callable],
        "weighting": [str, callable, None],
        "optimizer": [StrOptions(set(NAMES)), callable],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "schedule": [StrOptions(set(_SCHEDULES)), callable, None],
        "weight_map": [callable, None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "accumulate": [Interval(Integral, 1, None, closed="left")],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "device": [str, torch.device, None],
        "dtype": [StrOptions(set(DTYPES))],
        "precision": [StrOptions({"bf16", "fp16"}), None],
        "checkpoint": [str, os.PathLike, None],
        "random_state": ["random_state", np.random.Generator],
    }

    loss: Any
    weighting: Any
    optimizer: Any
    learning_rate: float
    weight_decay: float
    schedule: Any
    batch_size: int
    max_epochs: int
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
    tol: float
    warm_start: bool
    accumulate: int
    clip_norm: float | None
    precision: str | None
    checkpoint: Any
    random_state: Any

    # Losses by name that fit outputs and targets; loss="auto" stands for the first.
    _losses: tuple[str, ...]

    def __init__(self, **parameters: Any) -> None:
        # Subclasses name them, as scikit-learn wants it.
        self.__dict__ |= parameters

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train the module on rows, from its start or from where it was.

        Parameters
        ----------
        X : array-like or sparse table of shape (n_samples, n_features)
            Rows. A sparse table becomes dense a batch at a time.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows, taken by position.

        Returns
        -------
        self : estimator
            The fitted estimator.

        Raises
        ------
        TypeError
            If `module` or `optimizer` do not make what they should.
        ValueError
            For bad rows, targets or weights, a module of another size, or a checkpoint
            of another fit.
        FloatingPointError
            If the loss stops being finite.

        Notes
        -----
        After an error the estimator knows what it knew before.
        """
        with _unchanged_on_error(self):
            self._fit(X, y, sample_weight)
        return self

    def _fit(self, X: Any, y: Any, sample_weight: Any) -> None:
        """Train, and store what was learnt."""
        warm = self.warm_start and hasattr(self, "state_")
        self._check_parameters()
        rows = self._read(X, y, sample_weight, self.dtype, first=not warm)
        start, split, self._order = _seeds(self.random_state)
        if not warm:
            self._seed = start
        if warm:
            self._note_makers()
        begin = self._loaded if warm else self._new_module
        network = Network(begin(self.dtype), self.dtype)
        train, held = self._split(rows, split)
        file = file_of(self, rows, network)
        trainer = self._trainer(network, self._order, file)
        watch = Watch(self, X, y)
        monitor = Monitor(
            None if held is None else lambda: self._held_score(network, held),
            self.n_iter_no_change,
            self.tol,
        )

        def epoch_end() -> bool:
            """Score the network and tell callbacks; return whether to stop."""
            watch.begin_block()
            stale = monitor.end_epoch(network.module)
            told = watch.end_block(lambda: self._learnt(network))
            return stale or told

        def at_start(n_epochs: int) -> bool:
            """Score an epoch that was not, being interrupted; return if it is over."""
            return epoch_end() if monitor.lacks_end(n_epochs) else monitor.is_over

        network.beside = monitor
        watch.begin(self.max_epochs)
        trainer.run(train, self.max_epochs, epoch_end, at_start)
        network.beside = None
        self._check_trained(trainer)
        if monitor.best is not None:
            network.module.load_state_dict(monitor.best)
        self._keep(trainer, monitor.scores)
        watch.end()
        if file is not None:
            # It is of an interrupted fit; the next fit is to begin anew.
            file.remove()

    # -- one call of partial_fit --------------------------------------------------

    def _step(self, rows: FitRows, first: bool) -> None:
        """Go through rows once, with the optimizer as the call before left it."""
        if isinstance(self.schedule, str) or getattr(
            self.schedule, "is_template", False
        ):
            raise ValueError(
                f"The 'schedule' of {type(self).__name__}.partial_fit must be a "
                f"function of the step, since nobody knows the last one. Got "
                f"{self.schedule!r}; pass for example Constant(1e-3, warmup=10)."
            )
        if first:
            self._seed, _, self._order = _seeds(self.random_state)
            network = Network(self._new_module(self.dtype), self.dtype)
            trainer = self._trainer(network, self._order)
        elif (live := self._fresh_live()) is not None and live.trainer is not None:
            trainer = live.trainer
        else:
            trainer = self._taken_up()
        try:
            trainer.run(rows, trainer.loop.epoch_ + 1, bool)
        except BaseException:
            # The network is on its way; the state is that of the last call.
            self._live = self._past = None
            raise
        self._keep(trainer, [])

    def _taken_up(self) -> Trainer:
        """Return a trainer with the weights, optimizer and place of the last call."""
        network = Network(self._loaded(self._dtype), self._dtype)
        trainer = self._trainer(network, self._order)
        if (past := self._get_past()) is not None:
            state = to_torch(past) | {"model": network.state_dict()}
            trainer.loop.load_state_dict(state)
        return trainer

    # -- parts of a fit -----------------------------------------------------------

    def _check_parameters(self) -> None:
        """Refuse parameters that no training could begin with."""
        check_seed(self)
        check_weighting(self)
        read_loss(self.loss, self._losses, type(self).__name__)
        self._place()

    def _read(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        dtype: str,
        *,
        first: bool,
        classes: Any = None,
    ) -> FitRows:
        """Return the rows that have weight, targets as the loss takes them."""
        check_axes(X, type(self).__name__)
        X, y = validate_data(
            self, X, y, reset=first, **self._table_kind(dtype), **self._target_kind()
        )
        weight = None
        if sample_weight is not None:
            weight = read_sample_weight(sample_weight, X, type(self).__name__)
        self._check_targets(y)
        return self._encode(FitRows(Table(X), y, weight).counted(), first, classes)

    def _split(self, rows: FitRows, seed: int) -> tuple[FitRows, FitRows | None]:
        """Return rows to train on, and rows that are held out to stop early."""
        if not self.early_stopping:
            return rows, None
        try:
            train, held = train_test_split(
                np.arange(len(rows)),
                test_size=self.validation_fraction,
                random_state=seed % 2**32,
                stratify=rows.target if is_classifier(self) else None,
            )
            if len(held) < 2:
                raise ValueError(f"{len(held)} would be held out")
        except ValueError as error:
            kinds = ", and leave 2 of every class" if is_classifier(self) else ""
            raise ValueError(
                f"The 'validation_fraction' of {type(self).__name__} must hold out 2 "
                f"rows at least{kinds}. Got {self.validation_fraction} of {len(rows)} "
                f"rows ({error}); change it, or pass early_stopping=False."
            ) from error
        return rows.take(train).counted(), rows.take(held)

    def _trainer(
        self, network: Network, seed: int, checkpoint: RunFile | None = None
    ) -> Trainer:
        """Return a network with a new optimizer and loop."""
        caller = type(self).__name__
        schedule = self.schedule
        if isinstance(schedule, str):
            schedule = _SCHEDULES[schedule](self.learning_rate)
        network.to(self._place())
        optimizer = make_optimizer(
            self.optimizer,
            (p for p in network.parameters() if p.requires_grad),
            self.learning_rate,
            self.weight_decay,
            caller,
        )
        return Trainer(
            network,
            read_loss(self.loss, self._losses, caller),
            optimizer,
            weighting=self.weighting,
            batch_size=self.batch_size,
            caller=caller,
            schedule=schedule,
            accumulate=self.accumulate,
            clip_norm=self.clip_norm,
            checkpoint=checkpoint,
            precision=self.precision,
            random_state=seed,
        )

    def _check_trained(self, trainer: Trainer) -> None:
        """Refuse a fit in which no row had any weight."""
        if not trainer.loop.step_:
            raise ValueError(
                f"The 'weighting' of {type(self).__name__} must leave weight to some "
                f"rows of a batch. Got {self.weighting!r}, which left none in "
                f"{trainer.loop.epoch_} epochs; pass another rule, or larger batches."
            )

    def _keep(self, trainer: Trainer, scores: list[float]) -> None:
        """Store what a trainer has come to."""
        self.__dict__ |= self._learnt(trainer.network)
        history = trainer.history()
        if scores:
            history["validation_score"] = scores
        self.history_, self.n_iter_ = history, trainer.loop.epoch_
        self.best_validation_score_ = max(scores) if scores else None
        self._live = Live.of(self.state_, trainer.network, trainer)
        self._past = None
        if self.checkpoint is not None:
            # This loop would write its file again in partial_fit.
            self._past = self._get_past()
            self._live = Live.of(self.state_, trainer.network)

    def _learnt(self, network: Network) -> dict[str, Any]:
        """Return what an estimator knows that has stopped with this network."""
        return {"state_": arrays_of(network.module), "_dtype": network.dtype}

    def _held_score(self, network: Network, held: FitRows) -> float:
        """Return the score of a network on held-out rows."""
        outputs = self._of_table(network, held.table)
        if not np.isfinite(outputs).all():
            raise FloatingPointError(
                f"The outputs of {type(self).__name__} must be finite for rows held "
                f"out. Got {outputs[~np.isfinite(outputs)][0]}; lower the "
                f"learning rate, or pass clip_norm."
            )
        return self._score_of(outputs, held)

    # -- what differs -------------------------------------------------------------

    def _target_kind(self) -> dict[str, Any]:
        """Return how targets are to be validated."""
        return {}

    def _check_targets(self, y: NDArray[Any]) -> None:
        """Refuse targets that are not of the kind that is predicted."""

    def _encode(self, rows: FitRows, first: bool, classes: Any) -> FitRows:
        """Return rows with targets as the loss takes them; learn of these at first."""
        raise NotImplementedError

    def _score_of(self, outputs: NDArray[Any], held: FitRows) -> float:
        """Return the score of outputs for rows."""
        raise NotImplementedError


@contextmanager
def _unchanged_on_error(estimator: NeuralEstimator) -> Iterator[None]:
    """Let an estimator know what it knew before, if something fails."""
    before = _knowledge(estimator)
    try:
        yield
    except BaseException:
        for name in _knowledge(estimator):
            delattr(estimator, name)
        estimator.__dict__ |= before
        raise


def _knowledge(estimator: NeuralEstimator) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(estimator).items()
        if name.endswith("_") or name in _KNOWN
    }


def _seeds(random_state: Any) -> tuple[int, int, int]:
    """Return seeds for the start of the module, the split, and the order of rows."""
    start, split, order = as_generator(random_state).integers(2**63, size=3).tolist()
    return start, split, order
