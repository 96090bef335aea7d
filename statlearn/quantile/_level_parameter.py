"""Which parameter of an estimator takes the quantile level."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sklearn.base import clone

# What selects a quantile loss -> the parameter that takes the level then. LightGBM and
# XGBoost accept it among keywords of their own, so it need not be listed beforehand.
_BY_LOSS = {
    ("loss", "quantile"): ("quantile", "alpha"),
    ("objective", "quantile"): ("alpha",),
    ("objective", "reg:quantileerror"): ("quantile_alpha",),
}
_LOSS_NAMES = ("loss", "objective")


def find_level_parameter(estimator: Any, name: str, caller: str) -> str:
    """Return the parameter that takes the level, or say what is missing.

    Parameters
    ----------
    estimator : estimator
        Parameters of steps and estimators inside count too.
    name : str
        What the user says, "auto" to search.
    caller : str
        Class name for messages.

    Returns
    -------
    name : str

    Raises
    ------
    ValueError
        If the estimator does not accept the name, or the search finds no parameter,
        several, or one whose estimator has another loss.
    """
    if name != "auto":
        return _accepted(estimator, name, caller)
    found, other = _search(estimator)
    if len(found) == 1:
        return found[0]
    kind = type(estimator).__name__
    if found:
        raise ValueError(
            f"The 'level_param' of {caller} must name one parameter of {kind}. Got "
            f"'auto' and several that could take the level, {found}; pass one of them."
        )
    if other:
        prefix, loss, value = other[0]
        wanted = "objective='quantile'" if loss == "objective" else "loss='quantile'"
        raise ValueError(
            f"The 'estimator' of {caller} must fit quantiles. Got {kind} with "
            f"{prefix}{loss}={value!r}; pass {wanted} to it if it has that, or name "
            f"the parameter that takes the level by level_param=."
        )
    raise ValueError(
        f"The 'estimator' of {caller} must have a parameter for the quantile level. "
        f"Got {kind} with none that is known; name it by level_param=, or wrap the "
        f"estimator in LocationScaleQuantiles if it predicts the mean."
    )


def _accepted(estimator: Any, name: str, caller: str) -> str:
    try:
        clone(estimator).set_params(**{name: 0.5})
    except (ValueError, AttributeError) as error:
        raise ValueError(
            f"The 'level_param' of {caller} must be a parameter of its estimator. Got "
            f"{name!r}, which {type(estimator).__name__} does not accept; pass one of "
            f"{sorted(estimator.get_params())}, with the name of the step before it "
            f"('step__{name}') in a pipeline."
        ) from error
    return name


def _search(estimator: Any) -> tuple[list[str], list[tuple[str, str, Any]]]:
    """Return parameters that take a level, and losses of another kind beside them."""
    owners: dict[str, dict[str, Any]] = defaultdict(dict)
    for path, value in estimator.get_params(deep=True).items():
        prefix, _, name = path.rpartition("__")
        owners[f"{prefix}__" if prefix else ""][name] = value
    found, other = [], []
    for prefix, params in owners.items():
        losses = [(loss, params[loss]) for loss in _LOSS_NAMES if loss in params]
        names = [_BY_LOSS[chosen] for chosen in losses if _is_quantile(chosen)]
        if names:
            known = [name for name in names[0] if name in params]
            found.append(prefix + (known or names[0])[0])
        elif losses:
            other.append((prefix, *losses[0]))
        elif "quantile" in params:
            found.append(f"{prefix}quantile")
    return found, other


def _is_quantile(chosen: tuple[str, Any]) -> bool:
    return isinstance(chosen[1], str) and chosen in _BY_LOSS
