"""Where an iteration starts, and how the scale of its residuals is found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import QuantileRegressor

from statlearn.linear_model._design import Design
from statlearn.linear_model._fast_lts import fast_lts
from statlearn.linear_model._fast_s import fast_s
from statlearn.linear_model._irls import ScaleStep
from statlearn.linear_model._m_scale import m_scale, proposal2_step
from statlearn.utils._scale import mad, size_of

Array = NDArray[np.float64]

# Bisquare constant of an S-estimate, consistent at the normal distribution, with
# breakdown point one half: to the five digits that robustbase uses.
S_CONSTANT, S_BREAKDOWN = 1.54764, 0.5
PROPOSAL2_CONSTANT = 1.345
# A linear program of more rows takes seconds.
_LAD_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a fit, as the estimator has them.

    Attributes
    ----------
    scale : {"mad", "proposal2", "mscale"} or float
    tol : float
    max_iter : int
    warmup : int
    damping : float or None
    n_starts : int
    generator : numpy.random.Generator
    """

    scale: Any
    tol: float
    max_iter: int
    warmup: int
    damping: float | None
    n_starts: int
    generator: np.random.Generator


def start_coefficients(design: Design, y: Array, init: Any, options: Options) -> Array:
    """Return the coefficients (p,) in the basis from which the iteration starts."""
    if not isinstance(init, str):
        return design.to_basis(init)
    if init == "s":
        return s_search(design, y, options).coef
    if init == "lts":
        return lts_search(design, y, options).coef
    if init == "lad":
        return _least_absolute(design, y, options.generator)
    # Least squares: Q' B Q / W + penalty is the identity.
    return design.mean_product(y)


def _least_absolute(design: Design, y: Array, generator: np.random.Generator) -> Array:
    """Return coefficients (p,) of least absolute deviations, on a sample if n is large.

    The linear program takes about n^2; a start need not be exact.
    """
    rows: Any = slice(None)
    if len(y) > _LAD_ROWS:
        rows = generator.choice(len(y), _LAD_ROWS, replace=False)
    base = None if design.base is None else design.base[rows]
    # The tolerances of the linear program are absolute.
    unit = _unit(y)
    model = QuantileRegressor(alpha=0.0, fit_intercept=False, solver="highs-ipm")
    return unit * model.fit(design.basis[rows], y[rows] / unit, base).coef_


def scale_step(scale: Any, design: Design) -> ScaleStep:
    """Return the function that updates the scale from residuals."""
    base, degrees = design.base, design.total - design.basis.shape[1]
    if scale == "mad":
        return lambda residuals, _: mad(residuals, base)
    if isinstance(scale, str):
        _check_mass(design, f"scale={scale!r}")
    if scale == "mscale":
        return lambda residuals, before: float(
            m_scale(
                residuals,
                base,
                c=S_CONSTANT,
                b=S_BREAKDOWN,
                degrees=degrees,
                start=None if np.isnan(before) else before,
            )
        )
    if scale == "proposal2":

        def update(residuals: Array, before: float) -> float:
            before = mad(residuals, base) if np.isnan(before) else before
            return float(
                proposal2_step(
                    residuals, base, before, k=PROPOSAL2_CONSTANT, degrees=degrees
                )
            )

        return update
    fixed = float(scale)
    return lambda residuals, _: fixed


def s_search(design: Design, y: Array, options: Options) -> Any:
    """Return the S-estimate."""
    _check_mass(design, "an S-estimate")
    unit = _unit(y)
    found = fast_s(
        design.basis,
        y / unit,
        design.base,
        n_starts=options.n_starts,
        random_state=options.generator,
    )
    return replace(found, coef=unit * found.coef, scale=unit * found.scale)


def lts_search(design: Design, y: Array, options: Options) -> Any:
    """Return the raw least trimmed squares."""
    _check_mass(design, "least trimmed squares")
    unit = _unit(y)
    found = fast_lts(
        design.basis,
        y / unit,
        design.base,
        n_starts=options.n_starts,
        random_state=options.generator,
    )
    return replace(
        found,
        coef=unit * found.coef,
        scale=unit * found.scale,
        objective=unit * (unit * found.objective),
    )


def _unit(y: Array) -> float:
    """Return a power of two of the size of y, in which squares stay in range."""
    return float(2.0 ** np.frexp(size_of(y, None))[1])


def _check_mass(design: Design, what: str) -> None:
    """Raise if no degrees of freedom are left for a scale."""
    p = design.basis.shape[1]
    if design.total <= p:
        raise ValueError(
            f"ReweightedLinearRegression with {what} expected 'sample_weight' (one for "
            f"each row by default) to sum to more than the {p} coefficients. Got "
            f"{design.total:g}; add rows, drop features, or use a rule with "
            "scale='mad' or scale=<number>."
        )
