"""One estimator for a sequence of tasks: re-warming, re-decaying, replay."""

from __future__ import annotations

import os
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from statlearn.continual._buffer import TaskRows, alike, check_buffer, joined, reservoir
from statlearn.continual._checkpoint import Checkpoint, identity_of
from statlearn.continual._classes import known_classes
from statlearn.continual._drivers import driver_of, rate_of, require_state
from statlearn.continual._history import ContinualHistory, empty_history
from statlearn.continual._rates import NAMES, rates_of
from statlearn.continual._table_kind import table_kind
from statlearn.continual._training import Plan, Record, TaskProgress, run, seed_of_task
from statlearn.utils._callbacks import Watch
from statlearn.utils._delegate import Delegating, takes_weight
from statlearn.utils._identity import checksum
from statlearn.utils._rng import as_generator
from statlearn.utils._sklearn import (
    CallbackSupportMixin,
    HasMethods,
    Interval,
    StrOptions,
    fit_context,
)
from statlearn.utils._validation import read_sample_weight

# Passes over the rows of a task, if its steps are not given.
_N_PASSES = 20


class ContinualLearner(CallbackSupportMixin, Delegating):
    """Train one estimator on one data set after another without forgetting the first.

    Each data set, or task, is a run of minibatch steps with a learning rate that rises
    shortly and then falls (re-warming and re-decaying), and a share of each batch are
    rows of earlier tasks (replay). So the cost of a task depends on its own steps only,
    unlike that of a fit to everything. It is for data that arrive in parts which differ
    from each other; where all rows are at hand and a fit is cheap, fit them together.

    Parameters
    ----------
    estimator : estimator
        A regressor or classifier with ``partial_fit`` whose learning rate can be set:
        :class:`~sklearn.linear_model.SGDClassifier`,
        :class:`~sklearn.linear_model.SGDRegressor`,
        :class:`~sklearn.neural_network.MLPClassifier`,
        :class:`~sklearn.neural_network.MLPRegressor`, or any other that has a method
        ``set_learning_rate(eta)``, see the notes.
    schedule : {"cosine", "linear", "constant"} or callable, default="cosine"
        Learning rate. A name stands for a schedule that begins anew with each task:
        from `eta_max` down to `eta_min_ratio` of it, or, for "constant", staying there.
        So does a schedule of ``statlearn.schedules`` that needs `n_steps` and has none.
        Any other, or a function, gets the number of the step, counted from 1 over all
        tasks: one that never ends needs no re-warming.
    eta_max : float, default=None
        Highest learning rate of a schedule given by name; by default that of the
        estimator, `eta0` or `learning_rate_init`.
    eta_min_ratio : float, default=0.1
        Last learning rate of a task, as a share of the highest.
    warmup : float or int, default=0.01
        Length of the rise, in steps or as a share of the steps of a task.
    replay_fraction : float, default=0.05
        Share of old rows in each batch of later tasks: 0.05 for tasks that differ
        little, 0.25 for such that differ much; 0 replays nothing.
    buffer : {"all", "reservoir"}, default="all"
        Old rows to keep: all, or a simple random sample of `buffer_size`. Both may be
        changed between tasks: rows that are too many are thinned out at random, and
        places that are added fill with later rows, as often as these are drawn.
    buffer_size : int, default=None
        Rows in the reservoir.
    batch_size : int, default=32
        Rows in a batch, old and new; those of the task if there are fewer.
    n_steps : int, default=None
        Steps of each task; by default as many as make twenty passes over its rows.
    reset_optimizer : bool, default=True
        Whether momentum and the like start anew with each task.
    checkpoint : path-like, default=None
        Directory for the state of the run, to go on from after an interruption. It
        takes one run; None writes nothing.
    checkpoint_every : int, default=100
        Steps between two writes.
    random_state : int, Generator, RandomState or None, default=None
        Order of the rows, and the reservoir. The estimator has its own.

    Attributes
    ----------
    estimator_ : estimator
        The trained clone.
    history_ : ContinualHistory
        Learning rates of all steps, and losses of each task over time.
    tasks_seen_ : int
        Number of tasks so far.
    rows_seen_ : int
        Number of rows so far, those of weight zero left out.
    buffer_X_ : ndarray or sparse table of shape (n_buffer, n_features_in_)
        The rows that are kept, in the float type of the first task, as later rows are.
    buffer_y_ : ndarray of shape (n_buffer,)
        Their targets.
    buffer_weight_ : ndarray of shape (n_buffer,) or None
        Their weights; None if no row ever had one.
    buffer_task_ : ndarray of shape (n_buffer,)
        The tasks that they came with, from 0.
    classes_ : ndarray of shape (n_classes,)
        Classes of a classifier.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features, if the first task had any.

    See Also
    --------
    ForgettingDisplay : Losses of each task over time.
    statlearn.sampling.ReplayMixer : The batches, for loops of your own.
    statlearn.metrics.forgetting : One number for what was lost.
    sklearn.linear_model.SGDClassifier : Its own schedule counts steps over all calls of
        ``partial_fit``.

    Notes
    -----
    New and old rows are drawn without replacement, pass by pass, each in an order of
    their own. `sample_weight` scales the step of a row as the estimator
    sees to it; a row of weight zero is left out. An integer weight is therefore the
    same as repeated rows in expectation only.

    For stochastic gradient descent a batch is one call of ``partial_fit``, which makes
    a step for each row. For neural networks it is one step.

    *Other estimators* need a method ``set_learning_rate(eta)``, which is called before
    each call of ``partial_fit``. Two more are used if they are there:
    ``reset_optimizer()`` at the start of a later task, and, with `checkpoint`,
    ``state_dict()`` and ``load_state_dict(state)``, with all that later steps depend on
    as a dict of numbers, texts and arrays.

    *Interruptions.* A call that does not come to its end leaves the learner as it was
    before. With `checkpoint`, the same call, or the same sequence of calls in a new
    process, goes on from the last write and comes to the result of a run without
    interruption; calls that were complete return at once. For this the estimator needs
    an integer as its `random_state`. Files hold numbers and text, no pickles and no
    rows, and replace each other whole. Other data or parameters are refused.

    *Callbacks* of scikit-learn see a task as up to twenty blocks of steps; losses are
    measured at their ends. One that asks to stop ends the task there, with fewer steps
    in `history_`; with `checkpoint`, that is the end of this task for good.

    A later task takes `O(n_steps)` steps whatever came before, and each one also a
    pass over the buffer that is kept.

    References
    ----------
    Adam Ibrahim, Benjamin Thérien, Kshitij Gupta, Mats L. Richter, Quentin Anthony,
    Timothée Lesort, Eugene Belilovsky, Irina Rish. Simple and Scalable Strategies to
    Continually Pre-train Large Language Models. TMLR, 2024.

    Jeffrey S. Vitter. Random Sampling with a Reservoir. ACM Transactions on
    Mathematical Software, 1985.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.neural_network import MLPClassifier
    >>> from statlearn.continual import ContinualLearner
    >>> X, y = load_digits(return_X_y=True)
    >>> X, shifted = X / 16.0, X[:, ::-1] / 16.0
    >>> network = MLPClassifier((32,), learning_rate_init=0.003, random_state=0)
    >>> model = ContinualLearner(
    ...     network, n_steps=300, replay_fraction=0.25, random_state=0
    ... )
    >>> model = model.fit(X, y).partial_fit(shifted, y)
    >>> model.score(X, y) > 0.75, model.score(shifted, y) > 0.85
    (True, True)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "schedule": [StrOptions(set(NAMES)), callable],
        "eta_max": [Interval(Real, 0, None, closed="neither"), None],
        "eta_min_ratio": [Interval(Real, 0, 1, closed="both")],
        "warmup": [Interval(Real, 0, None, closed="left")],
        "replay_fraction": [Interval(Real, 0, 1, closed="left")],
        "buffer": [StrOptions({"all", "reservoir"})],
        "buffer_size": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "n_steps": [Interval(Integral, 1, None, closed="left"), None],
        "reset_optimizer": ["boolean"],
        "checkpoint": [str, os.PathLike, None],
        "checkpoint_every": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state", np.random.Generator],
    }

    def __init__(
        self,
        estimator,
        schedule="cosine",
        *,
        eta_max=None,
        eta_min_ratio=0.1,
        warmup=0.01,
        replay_fraction=0.05,
        buffer="all",
        buffer_size=None,
        batch_size=32,
        n_steps=None,
        reset_optimizer=True,
        checkpoint=None,
        checkpoint_every=100,
        random_state=None,
    ):
        self.estimator = estimator
        self.schedule = schedule
        self.eta_max = eta_max
        self.eta_min_ratio = eta_min_ratio
        self.warmup = warmup
        self.replay_fraction = replay_fraction
        self.buffer = buffer
        self.buffer_size = buffer_size
        self.batch_size = batch_size
        self.n_steps = n_steps
        self.reset_optimizer = reset_optimizer
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every
        self.random_state = random_state

    history_: ContinualHistory
    tasks_seen_: int
    rows_seen_: int

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> ContinualLearner:
        """Forget everything and learn the first task.

        Parameters
        ----------
        X : array-like or sparse table of shape (n_samples, n_features)
            Its rows.
        y : array-like of shape (n_samples,)
            Their targets. Labels that come with later tasks only must be known from the
            start: use `partial_fit` with `classes` for the first task too.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows, taken by position.

        Returns
        -------
        self : ContinualLearner
            The learner after the task.

        Raises
        ------
        TypeError
            If the learning rate of the estimator cannot be set.
        ValueError
            For bad data, weights or learning rates, or a checkpoint of another run.
        """
        return self._learn(X, y, None, sample_weight, first=True)

    @fit_context(prefer_skip_nested_validation=False)
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> ContinualLearner:
        """Learn the next task; the first one, if there is none yet.

        Parameters
        ----------
        X : array-like or sparse table of shape (n_samples, n_features)
            Its rows.
        y : array-like of shape (n_samples,)
            Their targets.
        classes : array-like of shape (n_classes,), default=None
            All classes that a classifier will see; needed for the first task.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows, taken by position.

        Returns
        -------
        self : ContinualLearner
            The learner after the task.

        Raises
        ------
        TypeError
            If the learning rate of the estimator cannot be set.
        ValueError
            For bad data, weights or learning rates, or a checkpoint of another run.
        """
        first = not hasattr(self, "estimator_")
        if first and classes is None and is_classifier(self.estimator):
            raise ValueError(
                "The 'classes' of ContinualLearner.partial_fit must be passed on the "
                "first call of a classifier. Got None; list all labels that any task "
                "will have, or call fit for the first task."
            )
        return self._learn(X, y, classes, sample_weight, first=first)

    # -- one task ---------------------------------------------------------------

    def _learn(
        self, X: Any, y: Any, classes: Any, sample_weight: Any, *, first: bool
    ) -> ContinualLearner:
        check_buffer(self.buffer, self.buffer_size)
        drive = driver_of(self.estimator)
        new = self._read(X, y, sample_weight, 0 if first else self.tasks_seen_, first)
        known = None
        if is_classifier(self.estimator):
            known = known_classes(new.y, classes, None if first else self.classes_)
        record = self._record(new, known, first)
        plan = self._plan(new, known, record.seed, first)
        # What can go wrong does before anything of the learner has changed.
        kept = self._kept_after(plan, first)
        watch = Watch(self, X, y)
        history = empty_history() if first else self.history_

        def state_of(estimator: Any, progress: TaskProgress) -> dict[str, Any]:
            """Return what tells of the model after some steps."""
            learnt = {"classes_": estimator.classes_} if plan.classifier else {}
            rates, points = plan.rates[: progress.step], plan.points()
            losses = np.array(progress.losses)
            path = history.with_task(rates, points[: len(losses)], losses)
            return {"estimator_": estimator, "history_": path, **learnt}

        estimator, progress = run(
            clone(self.estimator) if first else self.estimator_,
            drive,
            plan,
            reset=self.reset_optimizer and not first,
            record=record,
            watch=watch,
            state_of=state_of,
        )
        self.__dict__ |= state_of(estimator, progress)
        self._keep(kept)
        self.rows_seen_ = len(new) + (0 if first else self.rows_seen_)
        self.tasks_seen_ = 1 if first else self.tasks_seen_ + 1
        self._seed, self._run_before = record.seed, record.name_of_run(progress)
        watch.end()
        return self

    def _read(
        self, X: Any, y: Any, sample_weight: Any, task: int, first: bool
    ) -> TaskRows:
        """Return the rows of a task that have weight."""
        classifier = is_classifier(self.estimator)
        kind = table_kind(self)
        if not first:  # a step sees rows of both, and the model has their type
            kind["dtype"] = self.buffer_X_.dtype
        X, y = validate_data(self, X, y, reset=first, y_numeric=not classifier, **kind)
        if classifier:
            check_classification_targets(y)
        weight = None
        if sample_weight is not None:
            weight = read_sample_weight(sample_weight, X, type(self).__name__)
            if not takes_weight(self.estimator, "partial_fit"):
                raise TypeError(
                    f"The 'sample_weight' of ContinualLearner must be None for an "
                    f"estimator whose partial_fit takes none. Got weights for "
                    f"{type(self.estimator).__name__}; drop them, or choose another "
                    f"estimator."
                )
        rows = TaskRows(X, y, weight, np.full(len(y), task))
        return rows if weight is None else rows.take(np.flatnonzero(weight))

    def _rows(self, X: Any) -> Any:
        """Return rows as the estimator inside gets them: an array without names."""
        return validate_data(self, X, reset=False, **table_kind(self))

    def _record(self, new: TaskRows, known: Any, first: bool) -> Record:
        """Return what a run that was interrupted has left of this task, if any."""
        if first:
            seed = int(as_generator(self.random_state).integers(2**63))
        else:
            seed = self._seed
        if self.checkpoint is None:
            return Record(None, None, self.checkpoint_every, seed)
        require_state(self.estimator)
        identity = identity_of(
            self,
            data=str(checksum(new.X, new.y, new.weight, known)),
            before="none" if first else self._run_before,
        )
        task = 0 if first else self.tasks_seen_
        checkpoint = Checkpoint(self.checkpoint, task, identity)
        stored = checkpoint.load()
        seed = seed if stored is None else stored["seed"]
        return Record(checkpoint, stored, self.checkpoint_every, seed)

    def _plan(self, new: TaskRows, known: Any, seed: int, first: bool) -> Plan:
        old = None if first else self._kept()
        n_before = 0 if first else len(self.history_.learning_rate)
        if old is not None:
            old, new = alike(old, new)
        batch_size = min(self.batch_size, len(new))
        rates = rates_of(
            self.schedule,
            self.n_steps or _N_PASSES * -(-len(new) // batch_size),
            n_before,
            eta_max=self.eta_max or rate_of(self.estimator, self.schedule),
            eta_min_ratio=self.eta_min_ratio,
            warmup=self.warmup,
        )
        return Plan(
            new=new,
            old=old,
            fraction=self.replay_fraction,
            batch_size=batch_size,
            rates=rates,
            seed=seed_of_task(seed, 0 if first else self.tasks_seen_),
            classifier=is_classifier(self.estimator),
            first=first,
            classes=known if first else None,
        )

    def _kept(self) -> TaskRows:
        return TaskRows(
            self.buffer_X_, self.buffer_y_, self.buffer_weight_, self.buffer_task_
        )

    def _kept_after(self, plan: Plan, first: bool) -> TaskRows:
        """Return the buffer as it will be after a task."""
        old = plan.new.take(slice(0)) if plan.old is None else plan.old
        if self.buffer == "all":
            return joined(old, plan.new)
        generator = np.random.default_rng(plan.seed)
        n_before = 0 if first else self.rows_seen_
        return reservoir(old, plan.new, n_before, self.buffer_size, generator)

    def _keep(self, kept: TaskRows) -> None:
        self.buffer_X_, self.buffer_y_ = kept.X, kept.y
        self.buffer_weight_, self.buffer_task_ = kept.weight, kept.task
