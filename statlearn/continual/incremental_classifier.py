"""A linear classifier that learns new classes and keeps a few rows of old ones."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from statlearn.continual._aligning import ALIGN_BIAS
from statlearn.continual._buffer import TaskRows
from statlearn.continual._feature_map import features_of, fitted_map
from statlearn.continual._fitted_incremental_classifier import (
    FittedIncrementalClassifier,
)
from statlearn.continual._incremental_checks import (
    budget,
    require_known,
    require_list,
    require_moderate,
    require_same_labels,
)
from statlearn.continual._incremental_step import (
    aligned_head,
    head_problem,
    with_exemplars,
)
from statlearn.continual._softmax_head import HeadProblem, fit_head
from statlearn.continual._table_kind import table_kind
from statlearn.continual.exemplar_memory import SELECTIONS, ExemplarMemory
from statlearn.utils._callbacks import Watch
from statlearn.utils._groups import group_codes
from statlearn.utils._rng import as_generator
from statlearn.utils._sklearn import (
    CallbackSupportMixin,
    HasMethods,
    Interval,
    StrOptions,
    fit_context,
)
from statlearn.utils._validation import read_sample_weight
from statlearn.utils._warn import warn

Array = NDArray[np.float64]
# Weights [W, b] to fitted attributes.
State = Callable[[Array], dict[str, Any]]


class IncrementalClassifier(CallbackSupportMixin, FittedIncrementalClassifier):
    r"""Learn new classes step by step, from their rows and a few rows of old classes.

    Each call of ``partial_fit`` may bring classes that nobody announced. The model, a
    softmax regression on features that stay fixed, is fitted to the new rows and to the
    exemplars that it kept of old classes; then the weights of the new classes, of which
    it saw so many more rows, are aligned to the norms of the old ones. It is for rows
    that cannot be kept; where they can, fit them all together.

    Parameters
    ----------
    backbone : transformer, "random" or None, default=None
        What makes features of rows. It is fitted to the rows of the first step and
        never again, so that nothing of later steps leaks into it. None takes rows as
        they are; "random" makes rectified random projections of them, for columns of
        one unit.
    n_components : int, default=300
        Number of random features.
    memory_size : int, default=200
        Exemplars to keep in all, at least one for each class; 0 keeps none.
    selection : {"herding", "random"}, default="herding"
        Exemplars whose mean is near that of their class, or random ones.
    align : bool, default=True
        Whether weights of new classes are aligned, see :func:`align_weights`.
    p : float, default=2
        Norm by which they are, 1 or more.
    align_bias : {"keep", "scale", "zero"}, default="keep"
        What aligning does to intercepts.
    clip_weights : bool, default=False
        Whether weights are kept from becoming negative. For features that are not.
    head_init : {"reset", "copy"}, default="reset"
        What the penalty holds the weights to in each step: zero, or what they were
        after the step before.
    distillation : bool, default=False
        Whether probabilities of old classes are held to those of the model before.
    temperature : float, default=2.0
        By which logits are divided in the distillation.
    balance_classes : bool, default=False
        Whether all classes have the same total weight in the fit, however few rows.
    alpha : float, default=1e-4
        Strength of the penalty on squared weights.
    fit_intercept : bool, default=False
        Whether classes have an intercept, which is penalised as well.
    max_iter : int, default=1000
        Iterations of a step.
    tol : float, default=1e-5
        A step ends when no slope of the objective is above, for features of spread one.
    random_state : int, Generator, RandomState or None, default=None
        For random features and exemplars.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        All classes so far, sorted.
    coef_ : ndarray of shape (n_classes, n_components)
        Weights, aligned.
    intercept_ : ndarray of shape (n_classes,)
        Intercepts, zero without `fit_intercept`.
    gamma_ : list of float
        The factor of the new weights in each step, 1.0 where nothing was to align.
    step_classes_ : list of ndarray
        The classes that each step brought.
    n_steps_ : int
        Number of steps so far.
    memory_X_ : ndarray or sparse table of shape (n_kept, n_features_in_)
        The exemplars.
    memory_y_ : ndarray of shape (n_kept,)
        Their classes.
    backbone_ : transformer or None
        What makes the features.
    n_iter_ : int
        Iterations of the last step.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features, if the first step had any.

    See Also
    --------
    align_classifier : The correction alone, for classifiers that are fitted.
    ExemplarMemory : The rows that are kept.
    ContinualLearner : For tasks with the same classes and other rows.
    sklearn.linear_model.LogisticRegression : The same model fitted to all rows at once.

    Notes
    -----
    With weights :math:`s_i` of total one, features :math:`\phi_i` and
    :math:`\lambda` the share of old classes among all, or zero without `distillation`,
    a step minimises

    .. math:: \sum_i s_i \big[(1 - \lambda) \operatorname{CE}(W \phi_i, y_i)
              + \lambda \operatorname{KD}_i\big] + \frac{\alpha}{2} \|W - W^0\|^2

    until it has converged, by L-BFGS, so that the result does not depend on a learning
    rate or the order of rows. :math:`W^0` is zero with ``head_init="reset"``. With
    "copy" it has the old weights, which in the training of a network by a few passes
    has the same effect as to begin with these.

    Aligning helps with ``head_init="reset"``. With "copy" old rows are the longer ones
    as a rule, and it does nothing, while less is forgotten than without either; which
    of the two is better depends on the data. Balanced classes need aligning less.
    Distillation, by which networks keep their features, does harm where these are
    fixed. Two classes that come one by one have weights of equal norm.

    `sample_weight` counts rows; exemplars keep theirs. Rows of weight zero are left
    out. A step without new classes fits again, to the rows and the memory, and aligns
    nothing; an old class that comes again chooses its exemplars anew. A call that fails
    leaves the model as it was. Pickling keeps all that later steps depend on.

    An iteration takes O(n d C) operations for n rows and exemplars, d features and C
    classes, and so does a step, whatever came before; the solver works in float64, and
    float32 rows give float32 results.

    References
    ----------
    Bowen Zhao, Xi Xiao, Guojun Gan, Bin Zhang, Shu-Tao Xia. Maintaining Discrimination
    and Fairness in Class Incremental Learning. CVPR, 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from statlearn.continual import IncrementalClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = IncrementalClassifier(memory_size=50)
    >>> for low in range(0, 10, 2):
    ...     rows = (y[:1200] == low) | (y[:1200] == low + 1)
    ...     model = model.partial_fit(X[:1200][rows], y[:1200][rows])
    >>> model.score(X[1200:], y[1200:]) > 0.8
    True
    >>> len(model.memory_y_), model.gamma_[-1] < 1.0
    (50, True)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "backbone": [HasMethods(["fit", "transform"]), StrOptions({"random"}), None],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "memory_size": [Interval(Integral, 0, None, closed="left")],
        "selection": [StrOptions(set(SELECTIONS))],
        "align": ["boolean"],
        "p": [Interval(Real, 1, None, closed="both")],
        "align_bias": [StrOptions(set(ALIGN_BIAS))],
        "clip_weights": ["boolean"],
        "head_init": [StrOptions({"reset", "copy"})],
        "distillation": ["boolean"],
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "balance_classes": ["boolean"],
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "fit_intercept": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "random_state": ["random_state", np.random.Generator],
    }

    def __init__(
        self,
        backbone=None,
        *,
        n_components=300,
        memory_size=200,
        selection="herding",
        align=True,
        p=2,
        align_bias="keep",
        clip_weights=False,
        head_init="reset",
        distillation=False,
        temperature=2.0,
        balance_classes=False,
        alpha=1e-4,
        fit_intercept=False,
        max_iter=1000,
        tol=1e-5,
        random_state=None,
    ):
        self.backbone = backbone
        self.n_components = n_components
        self.memory_size = memory_size
        self.selection = selection
        self.align = align
        self.p = p
        self.align_bias = align_bias
        self.clip_weights = clip_weights
        self.head_init = head_init
        self.distillation = distillation
        self.temperature = temperature
        self.balance_classes = balance_classes
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    gamma_: list[float]
    n_steps_: int

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> IncrementalClassifier:
        """Forget everything and learn the first step.

        Parameters
        ----------
        X : array-like or sparse table of shape (n_samples, n_features)
            Its rows.
        y : array-like of shape (n_samples,)
            Their classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows, taken by position.

        Returns
        -------
        self : IncrementalClassifier
            The model after the step.

        Raises
        ------
        ValueError
            For bad rows, labels or weights, or more classes than exemplars.
        """
        return self._learn(X, y, None, sample_weight, first=True)

    @fit_context(prefer_skip_nested_validation=False)
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> IncrementalClassifier:
        """Learn the next step, with new classes or without; the first, if none yet.

        Parameters
        ----------
        X : array-like or sparse table of shape (n_samples, n_features)
            Its rows.
        y : array-like of shape (n_samples,)
            Their classes.
        classes : array-like of shape (n_allowed,), default=None
            Labels that `y` may hold; others are refused. Not needed, and no class is
            learnt before its rows come.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows, taken by position.

        Returns
        -------
        self : IncrementalClassifier
            The model after the step.

        Raises
        ------
        ValueError
            For bad rows, labels or weights, or more classes than exemplars.
        """
        first = not hasattr(self, "coef_")
        return self._learn(X, y, classes, sample_weight, first=first)

    # -- one step ---------------------------------------------------------------

    def _learn(
        self, X: Any, y: Any, classes: Any, sample_weight: Any, *, first: bool
    ) -> IncrementalClassifier:
        caller = type(self).__name__
        new = self._read(X, y, classes, sample_weight, first)
        before = new.y[:0] if first else self.classes_
        known = np.unique(np.concatenate([before, new.y]))
        budget(self.memory_size, len(known), caller, "memory_size")
        fitted, memory = self._begin(new) if first else self._go_on()
        rows = with_exemplars(memory, new)
        phi = features_of(fitted, rows.X, caller)
        require_moderate(phi, "the 'backbone'", caller)
        learnt = {
            "classes_": known,
            "backbone_": fitted,
            "n_steps_": 1 if first else self.n_steps_ + 1,
        }
        state = _state_of(phi.dtype, learnt)
        problem = self._problem(phi, rows, known, before)
        watch = Watch(self, X, y)
        watch.begin(self.max_iter)
        theta, gamma = self._fit_head(problem, watch, state), 1.0
        old = np.isin(known, before)
        if self.align:
            theta, gamma = aligned_head(
                theta, old, p=self.p, align_bias=self.align_bias
            )
        memory.add(
            new.X,
            new.y,
            None if fitted is None else phi[len(rows) - len(new) :],
            sample_weight=new.weight,
        )
        # Stored at the end, so that a call that fails leaves the model as it was.
        self._memory = memory
        self.memory_X_, self.memory_y_ = memory.get()
        gammas, brought = ([], []) if first else (self.gamma_, self.step_classes_)
        self.gamma_ = [*gammas, gamma]
        self.step_classes_ = [*brought, known[~old]]
        self.__dict__ |= state(theta)
        watch.end()
        return self

    def _read(
        self, X: Any, y: Any, classes: Any, sample_weight: Any, first: bool
    ) -> TaskRows:
        """Return the rows of a step that have weight."""
        caller = type(self).__name__
        X, y = validate_data(self, X, y, reset=first, **table_kind(self))
        require_moderate(X, "the 'X'", caller)
        check_classification_targets(y)
        if not first:
            require_same_labels(self.classes_, y, caller)
        if classes is not None:
            caller_of = f"{caller}.partial_fit"
            require_list(classes, "classes", caller_of)
            allowed, _ = group_codes(classes, caller_of, name="classes")
            require_known(y, allowed, "classes", caller_of)
        weight = None
        if sample_weight is not None:
            weight = read_sample_weight(sample_weight, X, caller)
        rows = TaskRows(X, y, weight, np.zeros(len(y), dtype=np.intp))
        return rows if weight is None else rows.take(np.flatnonzero(weight))

    def _begin(self, new: TaskRows) -> tuple[Any, ExemplarMemory]:
        """Return features fitted to the rows of the first step, and an empty memory."""
        generator = as_generator(self.random_state)
        seed = int(generator.integers(2**63))
        memory = ExemplarMemory(
            self.memory_size, selection=self.selection, random_state=seed
        )
        return fitted_map(self.backbone, self.n_components, new, generator), memory

    def _go_on(self) -> tuple[Any, ExemplarMemory]:
        """Return the features, and a copy of the memory, of the step before."""
        return self.backbone_, deepcopy(self._memory).resize(self.memory_size)

    def _problem(
        self, phi: Any, rows: TaskRows, known: NDArray[Any], before: NDArray[Any]
    ) -> HeadProblem:
        """Return the head to fit to features `phi` of rows, by the parameters."""
        return head_problem(
            phi,
            rows,
            known,
            before,
            self._theta() if len(before) else None,
            copy=self.head_init == "copy",
            temperature=self.temperature if self.distillation else None,
            balance=self.balance_classes,
            alpha=self.alpha,
            fit_intercept=self.fit_intercept,
            caller=type(self).__name__,
        )

    def _fit_head(self, problem: HeadProblem, watch: Watch, state: State) -> Array:
        """Return the weights [W, b] of a step, not aligned yet."""

        def tell(theta: Array) -> bool:
            """Tell callbacks of an iteration; return whether to stop."""
            watch.begin_block()
            return watch.end_block(lambda: state(theta))

        theta, self.n_iter_, converged = fit_head(
            problem,
            non_negative=self.clip_weights,
            max_iter=self.max_iter,
            tol=self.tol,
            watch=tell,
        )
        if not converged:
            warn(
                f"{type(self).__name__} expected to converge to tol={self.tol:g}. Got "
                f"no further in {self.n_iter_} of max_iter={self.max_iter} iterations; "
                f"raise max_iter, tol or alpha, or bring features to one scale.",
                ConvergenceWarning,
            )
        return theta


def _state_of(dtype: Any, learnt: dict[str, Any]) -> State:
    """Return what gives fitted attributes of a model with weights [W, b]."""

    def state(theta: Array) -> dict[str, Any]:
        """Return them, in the type of the features."""
        head = theta.astype(dtype)  # a copy in any case
        return {"coef_": head[:, :-1], "intercept_": head[:, -1], **learnt}

    return state
