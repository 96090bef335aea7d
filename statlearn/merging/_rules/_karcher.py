"""The Karcher mean: the centre of several models on the sphere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from statlearn.merging._rules._inner_products import cosines_of, products, weighted
from statlearn.merging._rules._model_weights import model_shares
from statlearn.merging._state._entry import Array, Entry
from statlearn.merging._state._layouts import State, check_models
from statlearn.merging._state._merge_states import merge_states
from statlearn.utils._numbers import positive_integer, positive_number
from statlearn.utils._warn import warn


def karcher(
    base: State,
    models: Sequence[State],
    *,
    weights: Sequence[float] | None = None,
    tol: float = 1e-5,
    max_iter: int = 100,
) -> dict[str, Any]:
    r"""Average the directions of any number of models on the sphere (Karcher mean).

    The form of :func:`slerp` for several models: the direction with the least sum of
    squared angles to those of the models, at their mean length.

    Parameters
    ----------
    base : mapping of str to array or tensor
        Gives names, data types and what is not merged; its weights do not count.
    models : sequence of mappings of str to array or tensor
        State dicts of the models.
    weights : sequence of float of length n_models, default=None
        Weights of the models, at least 0, of which only the ratios matter.
    tol : float, default=1e-5
        Length of a step, in radians, at which the iteration stops.
    max_iter : int, default=100
        Most steps in each array.

    Returns
    -------
    dict of str to array or tensor
        Merged state dict in the data types of the base.

    Raises
    ------
    TypeError
        If a parameter is no number, or something is no state dict.
    ValueError
        If weights are negative or all zero, `tol` is not positive, or names or shapes
        differ.

    Warns
    -----
    ConvergenceWarning
        If an array takes more than `max_iter` steps.

    See Also
    --------
    slerp : Any place on the arc between two models.
    average : The mean without regard to lengths.
    scipy.spatial.transform.Rotation.mean : A mean of rotations.

    Notes
    -----
    With unit vectors :math:`u_t = \theta_t / \lVert\theta_t\rVert`, shares
    :math:`\alpha_t` and angles :math:`\varphi_t` between :math:`u_t` and the current
    direction :math:`u`, a step is

    .. math:: g = \sum_t \alpha_t \frac{\varphi_t}{\sin\varphi_t}
              (u_t - \cos\varphi_t\, u), \qquad
              u \leftarrow \cos\lVert g\rVert\, u + \sin\lVert g\rVert
              \frac{g}{\lVert g\rVert},

    and :math:`\theta = \sum_t \alpha_t \lVert\theta_t\rVert\, u`. The direction stays
    in the span of the models, so the steps work on T coefficients and the T × T
    products of the models: two passes over the numbers, whatever the number of steps.
    Arrays of zeros have a length but no direction. If the directions cancel, as those
    of opposite models, there is no such mean, and the plain average is returned.

    References
    ----------
    Hermann Karcher. Riemannian Center of Mass and Mollifier Smoothing. Communications
    on Pure and Applied Mathematics, 1977.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import karcher
    >>> models = [{"w": row} for row in np.diag([1.0, 2.0, 3.0])]
    >>> karcher(models[0], models)["w"].round(4)
    array([1.1547, 1.1547, 1.1547])
    """
    rule = "karcher"
    check_models(base, models, rule)
    shares = model_shares(weights, len(models), rule)
    hint = "pass an angle in radians such as 1e-5"
    stop = positive_number(tol, "tol", rule, hint)
    steps = positive_integer(max_iter, "max_iter", rule, "pass 100")

    def kernel(entry: Entry) -> NDArray[Any]:
        coefficients, step = _sphere_mean(products(entry), shares, stop, steps)
        if step >= stop:
            warn(
                f"{rule} expected steps below {stop:g} radians for {entry.name!r}. Got "
                f"{step:.2g} after {steps}; raise max_iter.",
                ConvergenceWarning,
            )
        return weighted(entry, coefficients)

    return merge_states(
        base, models, kernel, rule=rule, shares=shares, by_products=True
    )


def _sphere_mean(
    dots: Array, shares: Array, tol: float, max_iter: int
) -> tuple[Array, float]:
    """Return the coefficients of the models in their mean, and the last step.

    Directions are coefficients of the unit vectors u_t, and their lengths and angles
    come from the cosines C: ‖Σ c_t u_t‖² = cᵀ C c.
    """
    lengths = np.sqrt(np.diag(dots))
    present = (lengths > 0.0) & (shares > 0.0)
    if not present.any():
        return shares, 0.0
    cosines = cosines_of(dots)[np.ix_(present, present)]
    alpha = shares[present] / shares[present].sum()
    direction, step = alpha, np.inf
    if np.sqrt(max(alpha @ cosines @ alpha, 0.0)) < 1e-7:
        return shares, 0.0
    for _ in range(max_iter):
        direction = direction / np.sqrt(direction @ cosines @ direction)
        near = np.clip(cosines @ direction, -1.0, 1.0)
        stretch = alpha / np.sinc(np.arccos(near) / np.pi)
        gradient = stretch - (stretch @ near) * direction
        step = float(np.sqrt(max(gradient @ cosines @ gradient, 0.0)))
        if step < tol:
            break
        direction = np.cos(step) * direction + np.sinc(step / np.pi) * gradient
    coefficients = np.zeros(len(shares))
    direction = direction / np.sqrt(direction @ cosines @ direction)
    coefficients[present] = (shares @ lengths) * direction / lengths[present]
    return coefficients, step
