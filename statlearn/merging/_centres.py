"""Merge rules that find the centre of several models: Karcher mean and Model Stock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from statlearn.merging._entry import BLOCK, Array, Entry
from statlearn.merging._geometry import cosines_of, moved, products, weighted
from statlearn.merging._state import State, check_models, merge_states, model_shares
from statlearn.utils._arrays import real_number
from statlearn.utils._validation import positive_integer
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
    stop = real_number(tol, "tol", rule)
    if not stop > 0.0:
        raise ValueError(
            f"The 'tol' of {rule} must be positive. Got {stop}; pass an angle in "
            "radians such as 1e-5."
        )
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


def model_stock(
    base: State,
    models: Sequence[State],
    *,
    clip: bool = True,
    filter_wise: bool = False,
) -> dict[str, Any]:
    r"""Move from the base to the mean of the models as far as they agree (Model Stock).

    Models that were tuned for one task from one base lie around a centre. The angle
    between their updates tells how far the mean of a few of them is from it. For copies
    of one task: different tasks have updates at right angles, of which little is left.

    Parameters
    ----------
    base : mapping of str to array or tensor
        State dict that the tuning started from.
    models : sequence of mappings of str to array or tensor
        State dicts of two or more tuned models.
    clip : bool, default=True
        Whether the share of the way lies in [0, 1]. The formula is negative where
        updates point away from each other, without a bound.
    filter_wise : bool, default=False
        Whether each row of a matrix, or filter of a kernel, has a share of its own.

    Returns
    -------
    dict of str to array or tensor
        Merged state dict in the data types of the base.

    Raises
    ------
    TypeError
        If something is no state dict.
    ValueError
        If there are fewer than two models, names or shapes differ, or updates cancel
        without `clip`.

    See Also
    --------
    average : Goes all the way to the mean.
    cosine_matrix : Cosines between whole task vectors.
    torch.optim.swa_utils.AveragedModel : Averages models along one training run.

    Notes
    -----
    With :math:`\bar c` the mean cosine over the pairs of updates of an array,

    .. math:: \theta = \theta_0 + s\,\bar\delta, \qquad
              s = \frac{T \bar c}{1 + (T - 1)\bar c}.

    An update of zeros is at right angles to all others. Two passes over the numbers.

    References
    ----------
    Dong-Hwan Jang, Sangdoo Yun, Dongyoon Han. Model Stock: All We Need Is Just a Few
    Fine-Tuned Models. ECCV, 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import model_stock
    >>> base = {"w": np.zeros(2)}
    >>> models = [{"w": np.array([1.0, 1.0])}, {"w": np.array([1.0, 0.0])}]
    >>> model_stock(base, models)["w"].round(4)
    array([0.8284, 0.4142])
    """
    rule = "model_stock"

    def kernel(entry: Entry) -> NDArray[Any]:
        n = len(entry.models)
        if filter_wise and entry.base.ndim > 1:
            return _stock_of_rows(entry, clip)
        cosines = cosines_of(products(entry, updates=True))
        mean = (cosines.sum() - np.trace(cosines)) / (n * (n - 1))
        share = _stock_share(np.array([mean]), n, clip, entry.name)
        return moved(entry, np.full(n, share[0] / n))

    return merge_states(base, models, kernel, rule=rule, at_least=2, by_products=True)


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


def _stock_of_rows(entry: Entry, clip: bool) -> NDArray[Any]:
    """Return the entry with a share of the way for each row."""
    merged = np.empty(entry.size, dtype=entry.base.dtype)
    n, width = len(entry.models), entry.size // entry.shape[0]
    for block in entry.blocks(width * max(1, BLOCK // width)):
        updates = entry.updates(block).reshape(n, -1, width)
        mean = updates.mean(axis=0)
        lengths = np.sqrt(np.einsum("trw,trw->tr", updates, updates))[..., None]
        np.divide(updates, lengths, out=updates, where=lengths > 0.0)
        # Of unit vectors, ‖Σ u_t‖² holds every pair twice and each vector once.
        total = updates.sum(axis=0)
        pairs = np.einsum("rw,rw->r", total, total) - (lengths > 0.0).sum(axis=(0, 2))
        shares = _stock_share(pairs / (n * (n - 1)), n, clip, entry.name)
        merged[block] = entry.start(block) + (shares[:, None] * mean).reshape(-1)
    return merged


def _stock_share(cosines: Array, n: int, clip: bool, name: str) -> Array:
    """Return the share of the way to the mean of n models, for each cosine."""
    slack = 1.0 + (n - 1) * cosines
    cancel = slack <= 1e-12
    if cancel.any() and not clip:
        raise ValueError(
            "model_stock with clip=False needs updates that do not cancel. Got a mean "
            f"cosine of {cosines.min():.6g} for {name!r}, where the formula has no "
            "finite value; pass clip=True."
        )
    shares = n * cosines / np.where(cancel, 1.0, slack)
    return np.clip(shares, 0.0, 1.0) if clip else shares
