"""`ReweightedLinearRegression`: linear regression under any weighting rule."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import validate_data

from statlearn.exceptions import ExactFitWarning
from statlearn.linear_model import _fit
from statlearn.linear_model._design import (
    DependentColumnsError,
    Design,
    make_design,
)
from statlearn.linear_model._fitted import FittedLinearRegression
from statlearn.linear_model._inference import covariance
from statlearn.linear_model._parameters import read_init, read_penalty, read_weighting
from statlearn.linear_model._start import Options
from statlearn.utils._rng import as_generator
from statlearn.utils._scale import ZERO, size_of
from statlearn.utils._sklearn import (
    CallbackSupportMixin,
    Interval,
    StrOptions,
    fit_context,
)
from statlearn.utils._validation import read_sample_weight
from statlearn.utils._warn import warn

Array = NDArray[np.float64]


class ReweightedLinearRegression(CallbackSupportMixin, FittedLinearRegression):
    r"""Linear regression whose rows are weighted by a rule that looks at their errors.

    One estimator for the whole axis: rules that damp large errors make it robust, rules
    that damp small ones favour hard rows, up to the worst case; ``"uniform"`` is least
    squares. With a robust weighting it gives standard errors and names outliers. Use
    ``"mm"`` for dirty data, ``"huber"`` for heavy tails without outliers in X.

    Parameters
    ----------
    weighting : str, WeightingRule or callable, default="huber"
        A rule on residuals or losses, by name or as an object of
        :mod:`statlearn.weights`, or a preset of high breakdown: ``"mm"`` (an S-estimate
        followed by a bisquare M-step of 95 % efficiency), ``"s"``, or ``"lts"`` (least
        trimmed squares and a reweighted step). Presets bring their own `scale` and
        `init`, have no warm-up, and leave `alpha` aside with a warning.
    solver : {"auto", "irls", "sgd"}, default="auto"
        Iteratively reweighted least squares on all rows, which "auto" chooses, or
        stochastic gradient descent with weights from each minibatch.
    scale : {"mad", "proposal2", "mscale"} or float, default="mad"
        Scale that residuals are divided by: the median absolute residual over 0.6745,
        Huber's proposal 2, an M-scale of breakdown point one half, or a fixed number in
        the unit of y.
    init : {"ols", "s", "lts", "lad"} or array-like of shape (p,), default="ols"
        Start of the iteration: least squares, an estimate of high breakdown, least
        absolute deviations (of 10000 rows at most), or coefficients, the intercept
        first. Rules that give large
        residuals no weight have several solutions; begin them at "s" or "lts".
        Stochastic descent starts at zero, or at an array.
    fit_intercept : bool, default=True
        Whether to add an intercept.
    alpha : float, default=0.0
        Ridge penalty, ``alpha / 2`` times the sum of squared slopes, on the mean loss.
    max_iter : int, default=200
        Most steps of the iteration; epochs with ``solver="sgd"``.
    tol : float, default=1e-8
        The iteration ends when the fitted values change by less than this, relative to
        their scale; descent ends when the mean loss of an epoch has not fallen by
        this share in five epochs.
    damping : float, default=None
        Share of each step that is taken, in (0, 1]. None takes full steps for rules on
        residuals and half steps for rules on losses, which may cycle otherwise.
    batch_size : int, default=64
        Rows in a minibatch of ``solver="sgd"``.
    learning_rate : float, default=0.05
        Step length of ``solver="sgd"``. Scale the features first.
    warmup_iter : int, default=0
        Steps, or epochs, of plain base weights before the rule sets in.
    n_starts : int, default=500
        Random subsets that a search of high breakdown starts from.
    cov_type : {"auto", "H1", "sandwich", "avar1"} or None, default="auto"
        Covariance of the coefficients: Huber's H1, which supposes that no row is left
        out for its X, a sandwich that allows for errors of different spread, or that of
        an MM-estimator with its S-scale. "auto" takes avar1 for "mm", least squares on
        the rows that are kept for "lts", H1 for other rules on residuals, and a
        sandwich for "s", where rows without weight have half of the spread of
        X in some direction and, with the weights taken as fixed, for rules on losses.
        None saves the time. Errors of "s" and "lts" are too small below some hundred
        rows, as is the scale of "lts"; prefer "mm" there.
    random_state : int, Generator, RandomState or None, default=None
        Source of the random subsets and minibatches.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        Slopes.
    intercept_ : float
        Intercept, 0 without one.
    init_coef_ : ndarray of shape (p,)
        Coefficients at the start, the intercept first: of the S-estimate for "mm", of
        raw least trimmed squares for "lts".
    weights_ : ndarray of shape (n_samples,)
        What the rule made of each row, without its sample weight: in [0, 1] for rules
        on residuals, of mean one for rules on losses; 0 where the sample weight is 0.
    residuals_ : ndarray of shape (n_samples,)
        ``y`` minus the fit.
    scale_ : float
        Scale of the residuals, in the unit of y.
    cov_ : ndarray of shape (p, p)
        Covariance of the coefficients, the intercept first; None if not asked for, nan
        after an exact fit and where the sample weights sum to p or less.
    bse_ : ndarray of shape (p,)
        Standard errors: roots of the diagonal of `cov_`.
    objective_path_ : ndarray
        Mean loss before each step and at the end; the mean loss of each epoch with
        ``solver="sgd"``; for "s" its scale, for "lts" the trimmed sum of squares.
    n_iter_ : int
        Steps or epochs taken.
    converged_ : bool
        Whether the iteration met `tol`.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, if X had any.

    See Also
    --------
    statlearn.compose.LossReweighted : The same rules around any estimator.
    RobustResidualsDisplay : Residuals against distances, to see which rows are odd.
    sklearn.linear_model.HuberRegressor : Huber's loss with a joint scale, no standard
        errors.
    statsmodels.robust.robust_linear_model.RLM : M-estimators with standard errors.

    Notes
    -----
    With a rule on residuals the fit minimises

    .. math:: \frac{1}{W} \sum_i b_i\, s^2 \rho(r_i / s)
        + \frac{\alpha}{2} \lVert \beta \rVert^2,

    where b are the sample weights, W is their sum and s the scale of the residuals r. A
    rule on losses sees :math:`r_i^2 / 2` of all rows, and the fit is a fixed point of
    weighted least squares; stochastic descent is its minibatch version.

    Fits are equivariant: y may be multiplied, a linear function of X added to it, and X
    replaced by X A, and the coefficients follow (for ``alpha=0``; a number as `scale`
    and the rules "kltilt", "focal" and "selfpaced" are in the unit of y). Sample
    weights count rows: an integer weight is the same as repeated rows, also for scales,
    standard errors and breakdown.

    Computed in float64 in an orthonormal basis of X. A step of IRLS costs about
    :math:`n p^2` operations; where psi is monotone, :math:`4 n p`. A search from K
    subsets costs :math:`O(K m p^2)` on the m rows that it looks at.

    References
    ----------
    Daouda Sow, Herbert Woisetschläger, Saikiran Bulusu, Shiqiang Wang,
    Hans-Arno Jacobsen, Yingbin Liang. Dynamic Loss-Based Sample Reweighting for
    Improved Large Language Model Pretraining. ICLR, 2025.

    Victor J. Yohai. High Breakdown-Point and High Efficiency Robust Estimates for
    Regression. Annals of Statistics 15(2), 1987.

    Peter J. Rousseeuw, Katrien Van Driessen. Computing LTS Regression for Large Data
    Sets. Data Mining and Knowledge Discovery 12, 2006.

    Matias Salibian-Barrera, Victor J. Yohai. A Fast Algorithm for S-Regression
    Estimates. Journal of Computational and Graphical Statistics 15(2), 2006.

    Peter J. Huber. Robust Regression: Asymptotics, Conjectures and Monte Carlo. Annals
    of Statistics 1(5), 1973.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.linear_model import ReweightedLinearRegression
    >>> x = np.arange(10.0)
    >>> y = 2 * x + 1 + [0.1, -0.2, 0.3, 0, -0.1, 0.2, -0.3, 0.1, 0.05, 15]
    >>> model = ReweightedLinearRegression("mm", random_state=0).fit(x[:, None], y)
    >>> model.coef_.round(3), round(model.intercept_, 3)
    (array([1.996]), 1.035)
    >>> np.flatnonzero(model.outliers())
    array([9])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "weighting": [str, callable],
        "solver": [StrOptions({"auto", "irls", "sgd"})],
        "scale": [
            StrOptions({"mad", "proposal2", "mscale"}),
            Interval(Real, 0, None, closed="neither"),
        ],
        "init": [StrOptions({"ols", "s", "lts", "lad"}), "array-like"],
        "fit_intercept": ["boolean"],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "damping": [Interval(Real, 0, 1, closed="right"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "warmup_iter": [Interval(Integral, 0, None, closed="left")],
        "n_starts": [Interval(Integral, 1, None, closed="left")],
        "cov_type": [StrOptions({"auto", "H1", "sandwich", "avar1"}), None],
        "random_state": ["random_state", np.random.Generator],
    }

    def __init__(
        self,
        weighting="huber",
        *,
        solver="auto",
        scale="mad",
        init="ols",
        fit_intercept=True,
        alpha=0.0,
        max_iter=200,
        tol=1e-8,
        damping=None,
        batch_size=64,
        learning_rate=0.05,
        warmup_iter=0,
        n_starts=500,
        cov_type="auto",
        random_state=None,
    ):
        self.weighting = weighting
        self.solver = solver
        self.scale = scale
        self.init = init
        self.fit_intercept = fit_intercept
        self.alpha = alpha
        self.max_iter = max_iter
        self.tol = tol
        self.damping = damping
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.warmup_iter = warmup_iter
        self.n_starts = n_starts
        self.cov_type = cov_type
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Fit the model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,)
            Responses.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows, taken by position; they count rows.

        Returns
        -------
        self : ReweightedLinearRegression
            The fitted estimator.

        Raises
        ------
        ValueError
            For missing values, negative or all-zero weights, an unknown rule, too few
            rows or dependent columns while ``alpha=0``, an `init` of the wrong shape,
            or options that do not go together.
        """
        caller = type(self).__name__
        X, y = validate_data(
            self, X, y, dtype=np.float64, y_numeric=True, estimator=self
        )
        y = y.astype(np.float64, copy=False)
        base, kept = None, np.ones(len(X), dtype=bool)
        if sample_weight is not None:
            base = read_sample_weight(sample_weight, X, caller)
            kept = base > 0.0
            base = base[kept]
        rows, response = (X, y) if kept.all() else (X[kept], y[kept])
        weighting = read_weighting(self.weighting, self.solver, self.cov_type)
        p = self.n_features_in_ + int(self.fit_intercept)
        init = read_init(self.init, p, fit_intercept=self.fit_intercept)
        ctx = self._init_callback_context()
        ctx.call_on_fit_task_begin(estimator=self, X=X, y=y)
        options = Options(
            scale=self.scale,
            tol=self.tol,
            max_iter=self.max_iter,
            warmup=self.warmup_iter,
            damping=self.damping,
            n_starts=self.n_starts,
            generator=as_generator(self.random_state),
        )
        alpha = read_penalty(self.alpha, weighting, caller)
        design = self._design(rows, base, alpha)
        if self.solver == "sgd":
            descent = _fit.Descent(
                self.batch_size, self.learning_rate, self.fit_intercept, self.alpha
            )
            fit = _fit.fit_by_descent(
                rows, response, design, weighting, init, options, descent
            )
        else:
            fit = _fit.fit(design, response, weighting, init, options)
        self._store(design, fit, weighting, X, y, kept)
        ctx.call_on_fit_task_end(
            estimator=self, X=X, y=y, reconstruction_attributes=self._fitted_state
        )
        return self

    # -- parts of fit --------------------------------------------------------------

    def _design(self, X: Array, base: Array | None, alpha: float) -> Design:
        """Return the design of rows that count, or say why it has no unique fit."""
        n, p = X.shape[0], X.shape[1] + int(self.fit_intercept)
        if n <= p and alpha == 0.0:
            raise ValueError(
                f"{type(self).__name__} expected more rows of positive weight than "
                f"coefficients, {p}. Got n_samples = {n}; add rows, drop features or, "
                "with a rule as weighting, set alpha > 0."
            )
        try:
            return make_design(X, base, fit_intercept=self.fit_intercept, alpha=alpha)
        except DependentColumnsError as error:
            names = np.array([*self._intercept_name(), *self._feature_names()])
            others = ", ".join(repr(str(name)) for name in names[error.others])
            raise ValueError(
                f"{type(self).__name__} expected linearly independent columns. Got "
                f"column {str(names[error.column])!r}, which "
                f"{f'is a combination of {others}' if others else 'is zero'}; drop one "
                "of them or set alpha > 0."
            ) from error

    def _store(
        self,
        design: Design,
        fit: _fit.RegressionFit,
        weighting: Any,
        X: Array,
        y: Array,
        kept: Any,
    ) -> None:
        raw = design.to_raw @ fit.coef
        shift = int(self.fit_intercept)
        self.intercept_ = float(raw[0]) if shift else 0.0
        self.coef_ = raw[shift:]
        self.init_coef_ = design.to_raw @ fit.start
        self.residuals_ = y - (X @ self.coef_ + self.intercept_)
        self.weights_ = np.zeros(len(X))
        self.weights_[kept] = fit.weights
        self.scale_ = float(fit.scale)
        self._rounding_ = ZERO * size_of(y[kept], design.base)
        self.n_iter_ = fit.n_iter
        self.converged_ = bool(fit.converged)
        self.objective_path_ = np.array(fit.objectives)
        self._warn_of(fit)
        cov = covariance(design, fit, weighting, self.cov_type)
        self.cov_ = None if cov is None else design.to_raw @ cov @ design.to_raw.T
        self.bse_ = None
        if self.cov_ is not None:
            # avar1 is no sum of squares, and can be negative on a handful of rows.
            variance = np.diagonal(self.cov_)
            self.bse_ = np.sqrt(np.where(variance >= 0.0, variance, np.nan))

    def _warn_of(self, fit: _fit.RegressionFit) -> None:
        """Warn of an exact fit, or of one that ended before it converged."""
        if fit.exact:
            warn(
                f"{type(self).__name__} expected residuals with a positive scale. Got "
                f"a plane through {int(fit.weights.sum())} of {len(fit.weights)} rows, "
                "which is the fit; the other rows have weight 0. Pass scale=<number> "
                "to say what size of errors you expect.",
                ExactFitWarning,
            )
        elif not fit.converged:
            remedy = "increase max_iter or tol, or damp the steps"
            if fit.n_iter < self.max_iter:  # stopped before, by a loss that grew
                remedy = "the loss grew, so lower learning_rate or scale the features"
            warn(
                f"{type(self).__name__} expected to reach tol={self.tol:g} within "
                f"max_iter={self.max_iter}. Got as far as {fit.n_iter} steps; "
                f"{remedy}.",
                ConvergenceWarning,
            )

    def _fitted_state(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key.endswith("_")}
