"""Parameters of the estimator, read and compared with each other before any work."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.exceptions import StatlearnWarning
from statlearn.linear_model._fit import is_residual_rule
from statlearn.utils._rules import kind_of
from statlearn.utils._validation import as_numbers
from statlearn.utils._warn import warn
from statlearn.weights import get_rule

Array = NDArray[np.float64]

PRESETS = ("lts", "mm", "s")


def read_weighting(given: Any, solver: str, cov_type: str | None) -> Any:
    """Return a preset's name or a rule, checked against the other parameters."""
    if isinstance(given, str) and given.lower() in PRESETS:
        weighting: Any = given.lower()
    else:
        weighting = _read_rule(given)
    kind = kind_of(weighting)
    if kind not in ("loss", "residual"):
        raise ValueError(
            "The 'weighting' of ReweightedLinearRegression must look at losses or "
            f"residuals. Got {weighting!r}, which looks at a {kind}; pass its "
            "weights as sample_weight instead."
        )
    if isinstance(weighting, str) and solver == "sgd":
        raise ValueError(
            "The solver 'sgd' needs a weighting rule. Got the preset "
            f"{weighting!r}; use solver='auto', or a rule such as 'bisquare'."
        )
    if cov_type == "avar1" and weighting != "mm":
        raise ValueError(
            "The cov_type 'avar1' is that of weighting='mm'. Got weighting="
            f"{given!r}; use 'H1' or 'sandwich'."
        )
    if cov_type == "H1" and not (weighting == "lts" or is_residual_rule(weighting)):
        raise ValueError(
            "The cov_type 'H1' needs a rule on residuals. Got weighting="
            f"{given!r}; use 'sandwich' or 'auto'."
        )
    return weighting


def _read_rule(given: Any) -> Any:
    """Return a rule that an estimator can use, or say what is missing."""
    try:
        rule = get_rule(given)
    except ValueError as error:
        raise ValueError(
            "The 'weighting' of ReweightedLinearRegression must be a preset, 'mm', "
            f"'s' or 'lts', or a rule. Got {given!r}: {error}"
        ) from error
    if is_residual_rule(rule) and not hasattr(rule, "psi_prime"):
        raise ValueError(
            "The 'weighting' of ReweightedLinearRegression must have rho, psi and "
            f"psi_prime if it looks at residuals. Got {rule!r}; pass one of the "
            "rules of statlearn.weights without a chain."
        )
    return rule


def read_init(given: Any, p: int, *, fit_intercept: bool) -> Any:
    """Return the name of a start, or checked coefficients (p,)."""
    if isinstance(given, str):
        return given
    init = as_numbers(given)
    if init.shape != (p,) or not np.isfinite(init).all():
        raise ValueError(
            f"The 'init' of ReweightedLinearRegression must hold {p} finite "
            f"coefficients{', the intercept first' * bool(fit_intercept)}. "
            f"Got shape {init.shape}, {np.sum(~np.isfinite(init))} of them not "
            "finite; pass such an array, or 'ols', 's', 'lts', 'lad'."
        )
    return init


def read_penalty(alpha: float, weighting: Any, caller: str) -> float:
    """Return the ridge penalty; presets have none, and say so."""
    if not isinstance(weighting, str) or alpha == 0.0:
        return float(alpha)
    warn(
        f"{caller} expected alpha=0 with weighting={weighting!r}. Got "
        f"alpha={alpha}, which is left aside, since its search takes no "
        "penalty; use a rule such as 'bisquare' with init='s' instead.",
        StatlearnWarning,
    )
    return 0.0
