"""Weight aligning: rows of new classes are brought to the norms of the old ones."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.continual._class_rows import old_among, rows_of
from statlearn.utils._arrays import to_float64, to_labels
from statlearn.utils._numbers import is_integer, real_number

Array = NDArray[np.float64]

ALIGN_BIAS = ("keep", "scale", "zero")


def align_weights(
    W: Any,
    n_old: Any,
    *,
    p: float = 2,
    clip_max: float | None = 1.0,
    bias: Any = None,
    align_bias: str = "keep",
) -> tuple[Any, ...]:
    r"""Scale weights of new classes so that their mean norm is that of old classes.

    A linear classifier that has seen many rows of new classes and few of old ones gives
    the new ones longer weight vectors, and so predicts them too often. One factor for
    all of them takes that back, without any data. The order of scores within the old
    and within the new classes stays as it is, if there is no bias.

    Parameters
    ----------
    W : array-like or torch tensor of shape (n_classes, n_features)
        A row of weights for each class. Not changed.
    n_old : int or array-like of bool of shape (n_classes,)
        Number of old classes, which come first, or which rows are those of old ones.
    p : float, default=2
        Norm of a row: 1, 2, any other number above 1, or infinity.
    clip_max : float, default=1.0
        Largest factor: 1 only shrinks new rows. None sets no limit.
    bias : array-like or torch tensor of shape (n_classes,), default=None
        Biases of the classes, if there are any.
    align_bias : {"keep", "scale", "zero"}, default="keep"
        What happens to `bias`: nothing, those of new classes times the factor, or all
        become zero.

    Returns
    -------
    W_new : ndarray or torch tensor of shape (n_classes, n_features)
        The aligned weights, of the floating type of `W`; of a tensor, outside of any
        gradient.
    gamma : float
        The factor, after `clip_max`.
    bias_new : ndarray or torch tensor of shape (n_classes,)
        Only if there is a `bias`.

    Raises
    ------
    TypeError
        If weights, `p` or `clip_max` are no numbers, or `n_old` is no integer.
    ValueError
        For weights of another shape, NaN or infinity, no old or no new class, or rows
        that are all zero on one of both sides.

    See Also
    --------
    align_classifier : For fitted classifiers of scikit-learn.
    IncrementalClassifier : Learns new classes, and aligns by itself.

    Notes
    -----
    With :math:`w_c` the row of class c,

    .. math:: \gamma = \min\Big(\mathtt{clip\_max},
              \frac{\operatorname{mean}_{c\ \mathrm{old}} \|w_c\|_p}
              {\operatorname{mean}_{c\ \mathrm{new}} \|w_c\|_p}\Big).

    Aligning twice is the same as once, and :math:`\gamma` does not depend on a scale
    common to all rows. It does depend on a vector that is added to all rows, although a
    softmax does not: align weights as they were fitted with a penalty. Nothing happens
    if new rows are no longer than old ones, as those of heads whose old rows were
    copied and trained on may be. A bias has a preference of its own for new classes,
    which no factor on the weights removes; the method is made for heads without.

    It takes :math:`O(n\_classes \cdot n\_features)` operations.

    References
    ----------
    Bowen Zhao, Xi Xiao, Guojun Gan, Bin Zhang, Shu-Tao Xia. Maintaining Discrimination
    and Fairness in Class Incremental Learning. CVPR, 2020.

    Examples
    --------
    >>> from statlearn.continual import align_weights
    >>> W = [[3.0, 4.0], [0.0, 5.0], [6.0, 8.0]]
    >>> W_new, gamma = align_weights(W, 2)
    >>> W_new
    array([[3., 4.],
           [0., 5.],
           [3., 4.]])
    >>> gamma
    0.5
    """
    caller = "align_weights"
    values, restore = _matrix(W, caller)
    old = _which_old(n_old, len(values), caller)
    gamma = _factor(values, old, p, clip_max, caller)
    _check_align_bias(align_bias, bias is not None, caller)
    aligned = values * np.where(old, 1.0, gamma)[:, None]
    if bias is None:
        return restore(aligned), gamma
    offset, restore_offset = _vector(bias, len(values), caller)
    offset = _aligned_bias(offset, ~old, gamma, align_bias)
    return restore(aligned), gamma, restore_offset(offset)


def _aligned_bias(
    bias: Array, new: NDArray[np.bool_], gamma: float, align_bias: str
) -> Array:
    """Return biases (n_classes,) after aligning rows that are new (n_classes,)."""
    if align_bias == "zero":
        return np.zeros_like(bias)
    return np.where(new, gamma * bias, bias) if align_bias == "scale" else bias.copy()


def align_classifier(
    estimator: Any,
    old_classes: Any,
    *,
    p: float = 2,
    clip_max: float | None = 1.0,
    align_bias: str = "keep",
) -> Any:
    """Return a copy of a linear classifier whose new classes have aligned weights.

    For any fitted classifier of three classes or more with a row of ``coef_`` for each,
    of scikit-learn or your own. It is one cheap correction where some classes were
    scarce in training: call them the old ones. It suits models of all classes at once,
    such as LogisticRegression. Where the classifier can be fitted again, weights of
    classes in the fit do more.

    Parameters
    ----------
    estimator : estimator
        A fitted classifier. Not changed.
    old_classes : array-like of shape (n_old,)
        Labels of the classes that others are aligned to.
    p : float, default=2
        Norm of a row, see :func:`align_weights`.
    clip_max : float, default=1.0
        Largest factor; None sets no limit.
    align_bias : {"keep", "scale", "zero"}, default="keep"
        What happens to ``intercept_``: nothing, those of new classes times the factor,
        or all become zero.

    Returns
    -------
    aligned : estimator
        A copy for predictions. What a later ``partial_fit`` of it starts from is up to
        its class.

    Raises
    ------
    TypeError
        If the estimator is no classifier that holds a row of weights for each class.
    ValueError
        If the classifier has two classes that share a row, an old class is unknown, or
        all classes or none are old.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.

    See Also
    --------
    align_weights : For weights alone; gives the factor too.
    IncrementalClassifier : Learns new classes, and aligns by itself.
    sklearn.utils.class_weight.compute_sample_weight : Balances classes in the fit.

    Notes
    -----
    The rows are those of a fit with a penalty; without one their norms may mean little.
    An intercept tells how frequent a class was in training as well: next to aligned
    weights "keep" may be too much of that, and "scale" less so. Fits of each class
    against the rest, as those of SGDClassifier, LinearSVC and RidgeClassifier, do not
    show in their norms how frequent a class was, and gain nothing.

    References
    ----------
    Bowen Zhao, Xi Xiao, Guojun Gan, Bin Zhang, Shu-Tao Xia. Maintaining Discrimination
    and Fairness in Class Incremental Learning. CVPR, 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from statlearn.continual import align_classifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X, old = X / 16.0, y < 5
    >>> few = np.r_[np.flatnonzero(old)[:25], np.flatnonzero(~old)]
    >>> model = LogisticRegression(fit_intercept=False).fit(X[few], y[few])
    >>> aligned = align_classifier(model, old_classes=[0, 1, 2, 3, 4])
    >>> [round(m.score(X[old], y[old]), 2) for m in (model, aligned)]
    [0.37, 0.65]
    >>> [round(m.score(X[~old], y[~old]), 2) for m in (model, aligned)]
    [0.99, 0.99]
    """
    caller = "align_classifier"
    coef = rows_of(estimator, caller)
    old = old_among(estimator.classes_, old_classes, caller)
    if len(coef) == 1 and len(old) == 2:
        raise ValueError(
            f"The 'estimator' of {caller} must have a row of coef_ for each class. Got "
            f"{type(estimator).__name__} of two classes that share one row, so that "
            f"their norms are equal and there is nothing to align; leave it as it is."
        )
    if len(coef) != len(old):
        raise ValueError(
            f"The 'estimator' of {caller} must have a row of coef_ for each of its "
            f"{len(old)} classes. Got coef_ of shape {coef.shape}; pass a classifier "
            f"with one score for each class."
        )
    intercept = np.asarray(getattr(estimator, "intercept_", 0.0))
    has_bias = intercept.shape == old.shape
    _check_align_bias(align_bias, has_bias or not intercept.any(), caller)
    bias = intercept if has_bias else np.zeros(len(old))
    coef, _, bias = align_weights(
        coef, old, p=p, clip_max=clip_max, bias=bias, align_bias=align_bias
    )
    aligned = deepcopy(estimator)
    aligned.coef_ = coef
    if has_bias:
        aligned.intercept_ = bias
    return aligned


# -- what is read --------------------------------------------------------------------
def _matrix(W: Any, caller: str) -> tuple[Array, Any]:
    values, restore = to_float64(W)
    if values.ndim != 2 or values.shape[0] < 2 or not values.shape[1]:
        raise ValueError(
            f"The 'W' of {caller} must have shape (n_classes, n_features), with a row "
            f"for each of two classes or more. Got shape {values.shape}; pass the "
            f"weights of the last layer, one class a row."
        )
    _refuse_non_finite(values, "W", caller)
    return values, restore


def _vector(bias: Any, n_classes: int, caller: str) -> tuple[Array, Any]:
    values, restore = to_float64(bias)
    if values.shape != (n_classes,):
        raise ValueError(
            f"The 'bias' of {caller} must have shape ({n_classes},), one for each row "
            f"of W. Got shape {values.shape}; pass one for each class, or None."
        )
    _refuse_non_finite(values, "bias", caller)
    return values, restore


def _refuse_non_finite(values: Array, name: str, caller: str) -> None:
    # Extremes show NaN and infinity without a mask of all values.
    if not (np.isfinite(values.min()) and np.isfinite(values.max())):
        bad = ~np.isfinite(values)
        raise ValueError(
            f"The '{name}' of {caller} must be finite. Got NaN or infinity in "
            f"{bad.sum()} places, first in row {np.argwhere(bad)[0, 0]}; align the "
            f"weights of a model whose training has not diverged."
        )


def _which_old(n_old: Any, n_classes: int, caller: str) -> NDArray[np.bool_]:
    """Return which rows (n_classes,) are old; some are and some are not."""
    if is_integer(n_old) and 0 <= n_old <= n_classes:
        old = np.arange(n_classes) < n_old
    else:
        old = to_labels(n_old)
        if old.dtype != bool or old.shape != (n_classes,):
            wrong = ValueError if old.dtype.kind in "iub" else TypeError
            raise wrong(
                f"The 'n_old' of {caller} must be an integer from 1 to "
                f"{n_classes - 1}, or {n_classes} booleans. Got {n_old!r}; pass how "
                f"many of the {n_classes} rows of W belong to old classes, or which."
            )
    if old.all() or not old.any():
        raise ValueError(
            f"The 'n_old' of {caller} must leave old and new classes. Got "
            f"{old.sum()} old ones of {n_classes}; with one kind only there is nothing "
            f"to align."
        )
    return old


def _factor(
    W: Array, old: NDArray[np.bool_], p: Any, clip_max: Any, caller: str
) -> float:
    """Return the factor for new rows of W (n_classes, n_features)."""
    order = real_number(p, "p", caller)
    if not order >= 1.0:
        raise ValueError(
            f"The 'p' of {caller} must be the order of a norm, 1 or more. Got {p!r}; "
            f"pass 1 or 2."
        )
    limit = np.inf
    if clip_max is not None:
        limit = real_number(clip_max, "clip_max", caller)
        if not 0.0 < limit < np.inf:
            raise ValueError(
                f"The 'clip_max' of {caller} must be a finite number above zero. Got "
                f"{clip_max!r}; pass 1.0 to only shrink, or None for no limit."
            )
    for name, rows in {"old": W[old], "new": W[~old]}.items():
        if not rows.any():
            raise ValueError(
                f"The 'W' of {caller} must have weights other than zero for some old "
                f"and some new class. Got zeros in all {name} rows; train first, and "
                f"align then."
            )
    norms = _row_norms(W, order)
    with np.errstate(over="ignore", divide="ignore"):
        gamma = float(min(norms[old].mean() / norms[~old].mean(), limit))
    if not 0.0 < gamma < np.inf:
        raise ValueError(
            f"The 'W' of {caller} must have old and new rows whose norms have a ratio "
            f"that is a double. Got {gamma:g}; train the classes that hardly have "
            f"weights, or leave them out."
        )
    return gamma


def _row_norms(W: Array, order: float) -> Array:
    """Return the norms of rows of W (n_classes, n_features), in a common unit."""
    largest = max(W.max(), -W.min())
    # Powers of tiny or huge weights would be zero or infinite.
    scaled = W if 1e-100 < largest < 1e100 else W / largest
    norms: Array = np.linalg.norm(scaled, ord=order, axis=1)
    tiny = np.flatnonzero(norms < 1e-100)  # beside the largest row
    units = np.abs(scaled[tiny]).max(axis=1, initial=0.0)
    tiny, units = tiny[units > 0.0], units[units > 0.0]
    rows = scaled[tiny] / units[:, None]
    norms[tiny] = units * np.linalg.norm(rows, ord=order, axis=1)
    return norms


def _check_align_bias(align_bias: Any, has_bias: bool, caller: str) -> None:
    if not isinstance(align_bias, str) or align_bias not in ALIGN_BIAS:
        raise ValueError(
            f"The 'align_bias' of {caller} must be one of {list(ALIGN_BIAS)}. Got "
            f"{align_bias!r}; pass 'keep' to leave biases as they are."
        )
    if align_bias != "keep" and not has_bias:
        raise ValueError(
            f"The 'align_bias' of {caller} must be 'keep' without a bias for each "
            f"class. Got {align_bias!r} and none; drop it, or pass biases too."
        )
