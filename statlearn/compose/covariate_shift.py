"""Any estimator, fitted to training rows that stand for target rows."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted, validate_data

from statlearn.compose._density_ratio import LogisticRatio, kliep, logistic, ulsif
from statlearn.compose._kernels import KernelRatio, sample_rows
from statlearn.compose._meta import RowWeighter
from statlearn.exceptions import DegenerateWeightsWarning, StatlearnWarning
from statlearn.utils._fitted import feature_names
from statlearn.utils._rng import as_generator
from statlearn.utils._rules import is_thin
from statlearn.utils._sklearn import HasMethods, Interval, StrOptions, fit_context
from statlearn.utils._warn import warn
from statlearn.weights import effective_sample_size

Array = NDArray[np.float64]

# Means that differ by more than this many sums of both standard deviations.
_APART = 6.0


class CovariateShift(RowWeighter):
    r"""Fit any estimator to training rows weighted like the rows to predict.

    Where training rows X and target rows differ in how features are distributed, but
    not in how y depends on them, each training row is weighted by the ratio of the two
    densities at its place. That repairs models which cannot be right everywhere, such
    as straight lines; a model flexible enough to be right under both distributions is
    better left alone, since weights make its estimates more variable.

    Parameters
    ----------
    estimator : estimator
        A regressor or classifier whose ``fit`` takes ``sample_weight``. A pipeline
        takes weights at its last step.
    method : {"kliep", "ulsif", "logistic"}, default="kliep"
        Density ratio of largest target likelihood, by least squares, or by a logistic
        regression that tells the samples apart. The first two are sums of Gaussian
        kernels at target rows, for few columns; the last one is for many columns and
        simple shifts.
    gamma : float, default=None
        Kernels are ``exp(-gamma * distance**2)`` between standardised rows; None
        chooses by cross-validation.
    n_kernels : int, default=100
        Largest number of kernels.
    alpha : float, default=None
        Penalty of "ulsif" and "logistic"; None chooses by cross-validation.
    n_folds : int, default=5
        Folds of cross-validation for "kliep" and "logistic"; "ulsif" leaves out one
        row at a time.
    clip : float, default=None
        Upper bound on the ratio, before its mean over the training rows is scaled to
        one.
    random_state : int, Generator, RandomState or None, default=None
        Choice of kernel centres and folds.

    Attributes
    ----------
    estimator_ : estimator
        The fitted clone.
    weights_ : ndarray of shape (n_samples,)
        Weights of its fit, base weights included; they have the total of these.
    ess_ : float
        Kish's effective sample size of the weights.
    gamma_ : float or None
        Width of the kernels, as given or chosen; None without kernels.
    alpha_ : float or None
        Penalty, as given or chosen; None without one.
    classes_ : ndarray of shape (n_classes,)
        Classes of a classifier.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features, where X had names that are all strings.

    See Also
    --------
    LossReweighted : Weights that follow the losses of the estimator.
    statlearn.weights.weight_summary : What the weights cost.
    sklearn.calibration.CalibratedClassifierCV : For probabilities, without a shift.

    Notes
    -----
    Rows are standardised by the mean of the two samples' moments. With kernels
    :math:`\varphi(x)` at :math:`b` target rows, base weights as shares :math:`p_i`, n
    training and m target rows:

    * "kliep" maximises :math:`\frac{1}{m} \sum_j \log \varphi(z_j)^\top a` over
      :math:`a \ge 0` with :math:`\sum_i p_i \varphi(x_i)^\top a = 1`; `gamma`
      maximises the likelihood of target rows held out.
    * "ulsif" is :math:`a = \max(0, (H + \alpha I)^{-1} h)` with H the mean of
      :math:`\varphi \varphi^\top` over training and h that of :math:`\varphi` over
      target rows; `gamma` and `alpha` minimise the least-squares criterion with each
      row left out.
    * "logistic" is the odds of being a target row under a ridge-penalised logistic
      regression in which both samples have the same total weight.

    Memory is O((n + m) p + m b), time O((n + m) b (p + b)) for each of 8 widths. Widths
    and penalties are chosen on at most 1,000 rows ("logistic": 10,000) of a sample. An
    integer `sample_weight` is the same as repeated rows for given `gamma` and `alpha`,
    and for the `gamma` of "kliep" up to how distances are sampled.

    Without `X_target` all ratios are one and a warning says so. With metadata routing,
    ask for the target rows by ``set_fit_request(X_target=True)``. Cross-validation cuts
    metadata with as many rows as X into folds along with it: for target rows that means
    a random part of them, unless their number differs.

    References
    ----------
    Masashi Sugiyama, Taiji Suzuki, Shinichi Nakajima, Hisashi Kashima, Paul von Bünau,
    Motoaki Kawanabe. Direct Importance Estimation for Covariate Shift Adaptation.
    Annals of the Institute of Statistical Mathematics, 2008.

    Takafumi Kanamori, Shohei Hido, Masashi Sugiyama. A Least-Squares Approach to Direct
    Importance Estimation. Journal of Machine Learning Research, 2009.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from statlearn.compose import CovariateShift
    >>> rng = np.random.default_rng(0)
    >>> X, X_target = rng.normal(0, 1, (300, 1)), rng.normal(1.5, 0.5, (200, 1))
    >>> y = X[:, 0] ** 2
    >>> model = CovariateShift(LinearRegression(), random_state=0)
    >>> slope = model.fit(X, y, X_target=X_target).estimator_.coef_[0]
    >>> bool(2.0 < slope < 4.0)  # that of the curve near 1.5, not near 0
    True
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "method": [StrOptions({"kliep", "ulsif", "logistic"})],
        "gamma": [Interval(Real, 0, None, closed="neither"), None],
        "n_kernels": [Interval(Integral, 1, None, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="neither"), None],
        "n_folds": [Interval(Integral, 2, None, closed="left")],
        "clip": [Interval(Real, 0, None, closed="neither"), None],
        "random_state": ["random_state", np.random.Generator],
    }

    # The rest is read from X here.
    _learnt = ("classes_",)
    _ratio: KernelRatio | LogisticRatio | None

    def __init__(
        self,
        estimator,
        method="kliep",
        *,
        gamma=None,
        n_kernels=100,
        alpha=None,
        n_folds=5,
        clip=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.method = method
        self.gamma = gamma
        self.n_kernels = n_kernels
        self.alpha = alpha
        self.n_folds = n_folds
        self.clip = clip
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # Distances between rows are what the weights come from.
        tags.input_tags.sparse = False
        tags.input_tags.allow_nan = False
        return tags

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: Any,
        X_target: Any = None,
        sample_weight: Any = None,
        **fit_params: Any,
    ) -> CovariateShift:
        """Estimate the density ratio and fit the estimator with it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows: finite numbers.
        y : array-like of shape (n_samples,)
            Their targets.
        X_target : array-like of shape (n_target, n_features), default=None
            Rows of the kind that predictions are wanted for; their targets are not
            needed. Without them no row is weighted.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative base weights of the training rows, taken by position.
        **fit_params : dict
            Further metadata for the ``fit`` of the estimator.

        Returns
        -------
        self : CovariateShift
            The fitted estimator.

        Raises
        ------
        TypeError
            If the estimator takes no weights.
        ValueError
            If `X_target` is empty or has other columns than X, weights are bad, or no
            training row lies near target rows.

        Warns
        -----
        DegenerateWeightsWarning
            If few training rows have most of the weight, or the samples lie apart in a
            column.
        """
        keyword, params = self._weight_keyword(), self._inner_params(fit_params)
        _, y = self._read_target(y)
        table = validate_data(self, X, dtype=np.float64)
        given = self._read_base(sample_weight, table)
        base = np.ones(len(table)) if given is None else given
        ctx = self._init_callback_context(max_subtasks=1)
        self._begin_task(ctx, X, y)
        self._estimate(table, base, X_target)
        self.weights_ = base * self._scaled_ratio(table)
        self.ess_ = effective_sample_size(self.weights_)
        self._check_size(int((base > 0.0).sum()))
        if X_target is not None:
            given = self.weights_
        task = ctx.subcontext(task_name="weighted-fit")
        self._adopt(self._fit_inner(X, y, given, keyword, params, task))
        for each in (task, ctx):
            self._end_task(each, X, y, lambda: self._state_of(self.estimator_))
        return self

    def _estimate(self, X: Array, base: Array, X_target: Any) -> None:
        """Store the ratio, where rows lie on its scale, and its mean."""
        self.gamma_, self.alpha_, self._ratio = None, None, None
        if X_target is None:
            warn(
                "CovariateShift expected X_target, rows like those to predict. Got "
                "none, so no training row is weighted; pass fit(X, y, X_target=...), "
                "with metadata routing after set_fit_request(X_target=True).",
                StatlearnWarning,
            )
            return
        target = self._read_rows_to_predict(X_target)
        counted = base > 0.0
        X, share = X[counted], base[counted] / base.sum()
        if len(X) < 2:
            raise ValueError(
                f"CovariateShift expected at least 2 training rows of positive weight. "
                f"Got {len(X)}; a ratio of densities needs more of them."
            )
        self._origin, self._unit, apart = _location_and_scale(X, target, share)
        self._warn_of_gap(apart)
        X, target = self._standardized(X), self._standardized(target)
        generator = as_generator(self.random_state)
        if self.method == "logistic":
            self._ratio, self.alpha_ = logistic(
                X,
                target,
                share,
                alpha=self.alpha,
                n_folds=self.n_folds,
                generator=generator,
            )
        else:
            kernels = self._kernel_ratio(X, target, share, generator)
            self._ratio, self.gamma_ = kernels, kernels.gamma
        self._mean = float(share @ self._clipped(X))
        if not self._mean > 0.0:
            raise ValueError(
                "CovariateShift expected target rows near training rows. Got a ratio "
                "of densities that is zero at all of the latter; check the columns "
                "of X_target, or use method='logistic'."
            )

    def _kernel_ratio(
        self, X: Array, target: Array, share: Array, generator: np.random.Generator
    ) -> KernelRatio:
        centers = sample_rows(target, self.n_kernels, generator)
        if self.method == "kliep":
            return kliep(
                X,
                target,
                share,
                centers,
                gamma=self.gamma,
                n_folds=self.n_folds,
                generator=generator,
            )
        ratio, self.alpha_ = ulsif(
            X,
            target,
            share,
            centers,
            gamma=self.gamma,
            alpha=self.alpha,
            generator=generator,
        )
        return ratio

    def _read_rows_to_predict(self, X_target: Any) -> Array:
        try:
            return validate_data(
                self, X_target, reset=False, dtype=np.float64, ensure_min_samples=2
            )
        except ValueError as error:
            raise ValueError(
                f"The 'X_target' parameter of CovariateShift must be a table of at "
                f"least 2 rows of finite numbers, with the {self.n_features_in_} "
                f"columns of X. Got a table refused with: {str(error).rstrip('.')}; "
                f"take its rows from where X comes from, or pass None."
            ) from error

    def _standardized(self, X: Array) -> Array:
        return (X - self._origin) / self._unit

    def _clipped(self, X: Array) -> Array:
        assert self._ratio is not None
        ratio = self._ratio(X)
        return ratio if self.clip is None else np.minimum(ratio, self.clip)

    def _scaled_ratio(self, X: Array) -> Array:
        if self._ratio is None:
            return np.ones(len(X))
        return self._clipped(self._standardized(X)) / self._mean

    def _warn_of_gap(self, apart: NDArray[np.bool_]) -> None:
        """Say which column tells the samples apart, so that no weights can help."""
        if apart.any():
            name = feature_names(self)[int(apart.argmax())]
            warn(
                f"CovariateShift expected training rows that cover the target rows. "
                f"Got samples without overlap in column {name!r}, whose means differ "
                f"by more than {_APART:g} times the sum of both standard deviations; "
                f"check that column of X_target, or do not rely on this fit.",
                DegenerateWeightsWarning,
            )

    def _check_size(self, n: int) -> None:
        if is_thin(self.ess_, n):
            warn(
                f"CovariateShift expected training rows that cover the target rows. "
                f"Got an effective sample size of {self.ess_:.3g} of {n} rows; the "
                f"samples hardly overlap, so pass clip=..., fewer columns or "
                f"method='logistic', or do not rely on this fit.",
                DegenerateWeightsWarning,
            )

    def predict_weights(self, X: Any) -> Array:
        """Return the ratio of target to training density at rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Any rows with the columns of the training rows.

        Returns
        -------
        ratio : ndarray of shape (n_samples,)
            Its mean over the training rows, under their base weights, is one.
        """
        check_is_fitted(self)
        return self._scaled_ratio(validate_data(self, X, reset=False, dtype=np.float64))


def _location_and_scale(
    X: Array, target: Array, share: Array
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Return where columns lie and how wide they are, both samples counting half.

    Returns
    -------
    origin, unit : ndarray of shape (p,)
    apart : ndarray of shape (p,)
        Whether the samples lie so far apart in a column that no row of one is among
        those of the other.
    """
    top = np.maximum(np.abs(X).max(axis=0), np.abs(target).max(axis=0))
    top[top == 0.0] = 1.0
    X, target = X / top, target / top  # squares of raw numbers may overflow
    means = np.stack((share @ X, target.mean(axis=0)))
    origin = means.mean(axis=0)
    spread = 0.5 * (share @ (X - origin) ** 2 + ((target - origin) ** 2).mean(axis=0))
    unit = np.sqrt(spread)
    # A constant column has the spread of its rounding errors.
    flat = (unit <= 1e-12 * np.abs(origin)) | (unit * top == 0.0)
    within = np.sqrt(share @ (X - means[0]) ** 2) + target.std(axis=0)
    apart = (np.abs(means[1] - means[0]) > _APART * within) & ~flat
    return origin * top, np.where(flat, 1.0, unit) * top, apart
