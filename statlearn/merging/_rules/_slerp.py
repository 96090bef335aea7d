"""Merge rules on the arc between two models, SLERP and NuSLERP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.merging._rules._inner_products import (
    cosines_of,
    moved,
    products,
    weighted,
)
from statlearn.merging._state._entry import BLOCK, Array, Entry
from statlearn.merging._state._layouts import State, check_models
from statlearn.merging._state._merge_states import merge_states
from statlearn.utils._numbers import closed_share, real_number

# Cosines beyond this, of either sign, are interpolated on the straight line.
_PARALLEL = 0.9995


def slerp(base: State, models: Sequence[State], *, t: float = 0.5) -> dict[str, Any]:
    r"""Interpolate two models along the arc between them (SLERP).

    A straight line between two arrays passes through shorter ones; the arc keeps their
    length. For models without a common base; with one see :func:`nuslerp`.

    Parameters
    ----------
    base : mapping of str to array or tensor
        Gives names, data types and what is not merged; its weights do not count.
    models : sequence of mappings of str to array or tensor
        State dicts of two models.
    t : float, default=0.5
        Place on the arc, from 0, the first model, to 1, the second.

    Returns
    -------
    dict of str to array or tensor
        Merged state dict in the data types of the base.

    Raises
    ------
    TypeError
        If `t` is no number, or something is no state dict.
    ValueError
        If there are not two models, `t` is not in [0, 1], or names or shapes differ.

    See Also
    --------
    nuslerp : The arc between the updates instead of the weights.
    karcher : The mean of more than two models on the sphere.
    scipy.spatial.transform.Slerp : The same for rotations.

    Notes
    -----
    With the angle :math:`\Omega` between the flattened arrays, which are not
    normalised,

    .. math:: \theta = \frac{\sin((1 - t)\Omega)}{\sin\Omega} \theta_1
              + \frac{\sin(t\Omega)}{\sin\Omega} \theta_2.

    Arrays that are nearly parallel or opposite, with a cosine beyond 0.9995, and arrays
    of zeros are interpolated on the straight line. Two passes over the numbers.

    References
    ----------
    Ken Shoemake. Animating Rotation with Quaternion Curves. SIGGRAPH, 1985.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import slerp
    >>> east, north = {"w": np.array([1.0, 0.0])}, {"w": np.array([0.0, 1.0])}
    >>> slerp(east, [east, north])["w"].round(4)
    array([0.7071, 0.7071])
    """
    place = _two_models(base, models, t, "slerp")

    def kernel(entry: Entry) -> NDArray[Any]:
        return weighted(entry, _arc(products(entry), place))

    return merge_states(
        base,
        models,
        kernel,
        rule="slerp",
        shares=[1.0 - place, place],
        by_products=True,
    )


def nuslerp(
    base: State,
    models: Sequence[State],
    *,
    t: float = 0.5,
    lam: float = 1.0,
    row_wise: bool = False,
) -> dict[str, Any]:
    r"""Interpolate the updates of two models along the arc between them (NuSLERP).

    As :func:`slerp` around the base: the angle is that between what the models learnt,
    which the weights that they share would hide.

    Parameters
    ----------
    base : mapping of str to array or tensor
        State dict that the tuning started from.
    models : sequence of mappings of str to array or tensor
        State dicts of the two tuned models.
    t : float, default=0.5
        Place on the arc, from 0, the first model, to 1, the second.
    lam : float, default=1.0
        Coefficient on the merged update.
    row_wise : bool, default=False
        Whether each vector along the last axis has an arc of its own.

    Returns
    -------
    dict of str to array or tensor
        Merged state dict in the data types of the base.

    Raises
    ------
    TypeError
        If `t` or `lam` is no number, or something is no state dict.
    ValueError
        If there are not two models, `t` is not in [0, 1], or names or shapes differ.

    See Also
    --------
    slerp : The arc between the weights themselves.
    scipy.spatial.transform.Slerp : The same for rotations.

    Notes
    -----
    :math:`\theta = \theta_0 + \lambda \, \mathrm{slerp}(\delta_1, \delta_2; t)` with
    updates :math:`\delta_i = \theta_i - \theta_0`. Two passes over the numbers.

    References
    ----------
    Ken Shoemake. Animating Rotation with Quaternion Curves. SIGGRAPH, 1985.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import nuslerp
    >>> base = {"w": np.array([9.0, 9.0])}
    >>> east, north = {"w": np.array([10.0, 9.0])}, {"w": np.array([9.0, 10.0])}
    >>> nuslerp(base, [east, north])["w"].round(4)
    array([9.7071, 9.7071])
    """
    place = _two_models(base, models, t, "nuslerp")
    factor = real_number(lam, "lam", "nuslerp")

    def kernel(entry: Entry) -> NDArray[Any]:
        if row_wise and entry.base.ndim > 1:
            return _arcs_of_rows(entry, place, factor)
        return moved(entry, factor * _arc(products(entry, updates=True), place))

    return merge_states(
        base,
        models,
        kernel,
        rule="nuslerp",
        shares=[1.0 - place, place],
        lam=factor,
        by_products=True,
    )


# --- arcs --------------------------------------------------------------------


def _two_models(base: State, models: Sequence[State], t: Any, rule: str) -> float:
    """Return the place on the arc, after a look at the number of models."""
    check_models(base, models, rule, at_least=2)
    if len(models) != 2:
        raise ValueError(
            f"{rule} interpolates between two models. Got {len(models)}; use 'karcher' "
            "for more."
        )
    return closed_share(t, "t", rule, "0 is the first model and 1 the second")


def _arc(dots: Array, t: float) -> Array:
    """Return the coefficients of two vectors on their arc, (2,)."""
    cosine = cosines_of(dots)[0, 1] if np.diag(dots).all() else 1.0
    first, second = _arc_weights(np.array([cosine]), t)
    return np.array([first[0], second[0]])


def _arc_weights(cosines: Array, t: float) -> tuple[Array, Array]:
    """Return the coefficients of both ends for each cosine, (r,) each."""
    straight = np.abs(cosines) > _PARALLEL
    angles = np.arccos(np.where(straight, 0.0, cosines))
    sines = np.sin(angles)
    first = np.where(straight, 1.0 - t, np.sin((1.0 - t) * angles) / sines)
    second = np.where(straight, t, np.sin(t * angles) / sines)
    return first, second


def _arcs_of_rows(entry: Entry, t: float, lam: float) -> NDArray[Any]:
    """Return the entry with an arc for each vector along the last axis."""
    merged = np.empty(entry.size, dtype=entry.base.dtype)
    width = entry.shape[-1]
    for block in entry.blocks(width * max(1, BLOCK // width)):
        updates = entry.updates(block).reshape(2, -1, width)
        lengths = np.sqrt(np.einsum("trw,trw->tr", updates, updates))
        scales = lengths[0] * lengths[1]
        dots = np.einsum("rw,rw->r", *updates)
        cosines = np.divide(dots, scales, out=np.ones_like(dots), where=scales > 0.0)
        first, second = _arc_weights(cosines, t)
        arc = first[:, None] * updates[0] + second[:, None] * updates[1]
        merged[block] = entry.start(block) + lam * arc.reshape(-1)
    return merged
