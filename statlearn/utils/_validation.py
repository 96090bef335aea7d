"""Checks on labels, targets, and weights of rows and classes, beyond scikit-learn's.

Ordered labels have to be read before `sklearn.utils.validation.validate_data`, which
turns an ordered categorical into objects and thereby sorts its categories by alphabet.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

from statlearn.exceptions import EmptyClassWarning, LabelOrderWarning
from statlearn.utils._arrays import is_tensor, to_float64
from statlearn.utils._sklearn import check_sample_weight
from statlearn.utils._warn import warn


def ordered_categories(y: Any) -> NDArray[Any] | None:
    """Return the categories of an ordered pandas categorical or polars Enum.

    Parameters
    ----------
    y : array-like
        Labels as the caller gave them.

    Returns
    -------
    categories : ndarray or None
        In their declared order; None if the labels carry no order.
    """
    if getattr(y, "ndim", 1) == 2 and hasattr(y, "iloc") and y.shape[1] == 1:
        y = y.iloc[:, 0]
    dtype = getattr(y, "dtype", None)
    categories = getattr(dtype, "categories", None)
    is_ordered = getattr(dtype, "ordered", type(dtype).__name__ == "Enum")
    if categories is None or not is_ordered:
        return None
    return np.asarray(categories)


def encode_ordered_labels(
    y: ArrayLike, categories: ArrayLike | str, caller: str
) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the ordered classes and the position of each label among them.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels of any comparable type.
    categories : "auto" or array-like
        Order of the classes. "auto" takes that of an ordered categorical, else sorts.
    caller : str
        Class name for messages.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
    codes : ndarray of shape (n_samples,)

    Raises
    ------
    ValueError
        For missing or unknown labels, repeated categories or a continuous target.
    """
    declared = ordered_categories(y)
    labels = column_or_1d(y, warn=True)
    _refuse_missing(labels, caller)
    if labels.dtype.kind == "O":
        natural = np.asarray(labels.tolist())
        labels = natural if natural.dtype.kind in "biuf" else labels
    check_classification_targets(labels)
    if not (isinstance(categories, str) and categories == "auto"):
        return _encode_against(labels, _as_categories(categories, caller), caller)
    if declared is not None:
        return _encode_against(labels, declared, caller)
    classes, codes = np.unique(labels, return_inverse=True)
    if classes.dtype.kind in "OUST" and len(classes) > 2:
        warn(
            f"{caller} expected labels with an order (numbers, an ordered categorical, "
            f"or categories=...). Got strings, now ordered alphabetically as "
            f"{_join(classes)}; pass categories=[...] to state their order.",
            LabelOrderWarning,
        )
    return classes, codes


def _as_categories(categories: ArrayLike | str, caller: str) -> NDArray[Any]:
    if isinstance(categories, str):
        raise ValueError(
            f"The 'categories' parameter of {caller} must be 'auto' or a list of "
            f"classes from low to high. Got {categories!r}; pass a list."
        )
    declared = np.asarray(categories)
    if declared.ndim != 1 or len(set(declared.tolist())) != declared.size:
        raise ValueError(
            f"The 'categories' parameter of {caller} must list each class once, from "
            f"low to high. Got {categories!r}; remove the repetition."
        )
    return declared


def _encode_against(
    labels: NDArray[Any], classes: NDArray[Any], caller: str
) -> tuple[NDArray[Any], NDArray[np.intp]]:
    position = {value: code for code, value in enumerate(classes.tolist())}
    codes = np.array([position.get(label, -1) for label in labels.tolist()], np.intp)
    if (codes < 0).any():
        unknown = np.unique(labels[codes < 0].astype(str))
        raise ValueError(
            f"{caller} expected labels among categories={_join(classes)}. Got also "
            f"{_join(unknown)} in {(codes < 0).sum()} rows; add them at their place in "
            f"categories or drop the rows."
        )
    return classes, codes


def _refuse_missing(labels: NDArray[Any], caller: str) -> None:
    if labels.dtype.kind == "f":
        missing = ~np.isfinite(labels)
    elif labels.dtype.kind in "mM":
        missing = np.isnat(labels)
    elif labels.dtype.kind == "O":
        missing = np.array([v is None or v != v for v in labels], dtype=bool)
    else:
        return
    if missing.any():
        raise ValueError(
            f"{caller} expected a label in every row of y. Got missing labels (NaN, "
            f"inf or None) in {missing.sum()} of {len(labels)} rows, the first at row "
            f"{np.argmax(missing)}; drop or fill these rows."
        )


def require_target(y: Any, caller: str) -> None:
    """Raise in the words that scikit-learn looks for if there is no target."""
    if y is None:
        raise ValueError(
            f"{caller} requires y to be passed, but the target y is None; pass one "
            f"target for each row of X."
        )


def as_numbers(values: Any) -> NDArray[np.float64]:
    """Return an array of numbers, one NaN if the values are none, as words are."""
    try:
        if is_tensor(values):
            return to_float64(values)[0]
        array = np.asarray(values)
        if array.dtype.kind in "fiub":
            return array.astype(np.float64, copy=False)
        # NumPy would read words, and take the real part of complex numbers.
        if array.dtype.kind == "O" and not _has_words(array):
            return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError):  # the last for tensors in a list
        pass
    return np.array([np.nan])


def _has_words(array: NDArray[Any]) -> bool:
    return any(isinstance(value, (str, bytes)) for value in array.flat)


def weight_problem(values: NDArray[np.float64], *shapes: tuple[int, ...]) -> str | None:
    """Return what keeps numbers from being weights, None if nothing does.

    Parameters
    ----------
    values : array
    *shapes : tuple of int
        Shapes that will do; by default any number of rows but none.
    """
    if values.shape not in shapes if shapes else values.ndim != 1 or not values.size:
        return f"shape {values.shape}"
    # Extremes show NaN and infinity without a mask of all rows.
    if not (np.isfinite(values.min()) and np.isfinite(values.max())):
        return f"NaN or infinity, first at {np.argmin(np.isfinite(values))}"
    if values.min() < 0.0:
        return f"{values.min()} at {np.argmin(values)}"
    return None if values.any() else "zeros only"


def read_sample_weight(sample_weight: Any, X: Any, caller: str) -> NDArray[np.float64]:
    """Return non-negative weights, one for each row, or say what they should be."""
    try:
        return check_sample_weight(
            sample_weight, X, dtype=np.float64, ensure_non_negative=True
        )
    except ValueError as error:
        raise ValueError(
            f"The 'sample_weight' parameter of {caller} must hold one finite number "
            f">= 0 for each row, not all of them zero. Got weights refused with: "
            f"{str(error).rstrip('.')}; drop or correct these rows, or pass None."
        ) from error


def read_rule_weights(weights: Any, n: int, caller: str) -> NDArray[np.float64]:
    """Return what a rule, perhaps of a user, gave n rows, if these are weights."""
    found = as_numbers(weights)
    right = found.shape == (n,) and np.isfinite(found).all()
    if not (right and found.min() >= 0.0):
        raise ValueError(
            f"The 'weighting' of {caller} must return {n} finite numbers >= 0. "
            f"Got shape {found.shape}, from {found.min(initial=np.inf)} "
            f"to {found.max(initial=-np.inf)}; correct the rule."
        )
    return found


def apply_class_weight(
    class_weight: Any,
    classes: NDArray[Any],
    codes: NDArray[np.intp],
    weight: NDArray[np.float64],
    caller: str,
) -> NDArray[np.float64]:
    """Multiply sample weights by class weights, "balanced" on weighted totals.

    Parameters
    ----------
    class_weight : None, "balanced" or dict
    classes : (n_classes,) array
    codes : (n_samples,) integers
    weight : (n_samples,) non-negative
    caller : str
        Class name for messages.

    Returns
    -------
    weight : (n_samples,) array

    Raises
    ------
    ValueError
        For a dict with weights that are not numbers >= 0, or a name that is no class
        while a class is unnamed.
    """
    if class_weight is None:
        return weight
    if isinstance(class_weight, dict):
        return weight * _weights_by_name(class_weight, classes, caller)[codes]
    kept = weight > 0
    present = np.unique(codes[kept])
    table = np.ones(len(classes))
    table[present] = compute_class_weight(
        class_weight, classes=present, y=codes[kept], sample_weight=weight[kept]
    )
    return weight * table[codes]


def _weights_by_name(
    class_weight: dict[Any, float], classes: NDArray[Any], caller: str
) -> NDArray[np.float64]:
    named = classes.tolist()
    table = as_numbers([class_weight.get(name, 1.0) for name in named])
    if not (np.isfinite(table).all() and (table >= 0).all()):
        raise ValueError(
            f"The 'class_weight' parameter of {caller} must give finite numbers >= 0. "
            f"Got {class_weight!r}; use 1 for the usual weight and 0 to leave a class "
            f"out."
        )
    unknown = [name for name in class_weight if name not in named]
    if unknown and any(name not in class_weight for name in named):
        raise ValueError(
            f"The 'class_weight' parameter of {caller} must name classes among "
            f"{_join(classes)}. Got also {unknown!r}; correct or remove them."
        )
    return table


def require_two_classes(
    classes: NDArray[Any],
    codes: NDArray[np.intp],
    weight: NDArray[np.float64],
    caller: str,
    least: float = 0.0,
) -> NDArray[np.bool_]:
    """Raise unless two classes have weight; warn about those that have none.

    Parameters
    ----------
    classes : (n_classes,) array
    codes : (n_samples,) integers
    weight : (n_samples,) non-negative
    caller : str
    least : float, default=0.0
        Share of the weight up to which a class counts as one without.

    Returns
    -------
    present : (n_classes,) array of bool
        Which classes have weight.
    """
    mass = np.bincount(codes, weights=weight, minlength=len(classes))
    present = mass > least * mass.sum()
    if present.sum() < 2:
        found = (
            "no class" if not present.any() else f"1 class, {_join(classes[present])}"
        )
        raise ValueError(
            f"{caller} expected rows of at least 2 classes with positive weight. Got "
            f"{found}; provide rows of another class."
        )
    if not present.all():
        largest = mass[~present].max() / mass.sum()
        found = "none with positive weight of"
        if largest > 0.0:
            found = f"at most {largest:.1g} of the weight in each of"
        warn(
            f"{caller} expected rows of every class. Got {found} "
            f"{_join(classes[~present])}, which will have probability 0; pool "
            f"neighbouring classes or drop these from categories if that is not meant.",
            EmptyClassWarning,
        )
    return present


def _join(values: NDArray[Any]) -> str:
    listed = [repr(v) for v in np.asarray(values).tolist()]
    if len(listed) > 10:
        listed = [*listed[:9], f"... ({len(listed)} in all)"]
    return "[" + ", ".join(listed) + "]"
