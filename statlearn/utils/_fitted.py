"""What others ask of a fitted estimator: whether it is one, and its features."""

from __future__ import annotations

from typing import Any

from sklearn.utils.validation import check_is_fitted


def fitted_or_refuse(estimator: Any, caller: str) -> None:
    """Raise NotFittedError in the name of the caller unless an estimator is fitted.

    Parameters
    ----------
    estimator : estimator
    caller : str
        For messages, as in ``"WeightDisplay.from_estimator"``.
    """
    check_is_fitted(
        estimator,
        msg=f"{caller} expected a fitted %(name)s. Got one that is not; call fit.",
    )


def feature_names(estimator: Any) -> list[str]:
    """Return the names of the features that a fitted estimator has seen.

    Parameters
    ----------
    estimator : estimator
        With `n_features_in_`, and with `feature_names_in_` if it was fitted to a table
        with names.

    Returns
    -------
    names : list of n_features_in_ str
    """
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        return column_names(estimator.n_features_in_)
    return [str(name) for name in names]


def column_names(n_columns: int) -> list[str]:
    """Return x0, x1, ... for columns without names."""
    return [f"x{j}" for j in range(n_columns)]
