"""Rows of weights of a fitted classifier, one for each class, and which are old."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from statlearn.continual._incremental_checks import require_list
from statlearn.utils._fitted import fitted_or_refuse
from statlearn.utils._groups import group_codes


def rows_of(estimator: Any, caller: str) -> NDArray[Any]:
    """Return the weights of a classifier, which it must hold itself."""
    name = type(estimator).__name__
    if isinstance(estimator, type):
        name = f"the class {estimator.__name__} itself"
    if isinstance(estimator, type) or not hasattr(estimator, "predict"):
        raise TypeError(
            f"The 'estimator' of {caller} must be a fitted linear classifier. Got "
            f"{name}; pass a fitted estimator, or weights to align_weights."
        )
    fitted_or_refuse(estimator, caller)
    # Held by itself: a coefficient that is computed, or held by a model inside, as
    # those of SVC and FrozenEstimator are, would not follow.
    coef = vars(estimator).get("coef_")
    if coef is None or not isinstance(getattr(estimator, "classes_", None), np.ndarray):
        raise TypeError(
            f"The 'estimator' of {caller} must hold classes_ and a row of coef_ for "
            f"each of them. Got {name}, which does not; pass the linear classifier "
            f"itself, such as the last step of a pipeline or best_estimator_."
        )
    if sparse.issparse(coef):
        raise TypeError(
            f"The 'estimator' of {caller} must have a dense coef_. Got a sparse one of "
            f"{name}; call its densify() first."
        )
    return np.atleast_2d(coef)


def old_among(
    classes: NDArray[Any], old_classes: Any, caller: str
) -> NDArray[np.bool_]:
    """Return which of the classes (n_classes,) are old."""
    require_list(old_classes, "old_classes", caller)
    named, _ = group_codes(old_classes, caller, name="old_classes")
    known = classes.tolist()
    unknown = [label for label in named if label not in known]
    if unknown:
        raise ValueError(
            f"The 'old_classes' of {caller} must be among the classes {known}. Got "
            f"also {unknown}; pass labels that the classifier was trained with."
        )
    old = np.array([label in named for label in known])
    if old.all():
        raise ValueError(
            f"The 'old_classes' of {caller} must leave a new class. Got all "
            f"{len(known)} classes; leave out those that were learnt last."
        )
    return old
