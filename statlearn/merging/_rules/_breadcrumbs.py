"""Breadcrumbs: leave out the largest and the smallest updates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.merging._rules._model_weights import model_weights
from statlearn.merging._rules._selection import (
    Above,
    count_of,
    model_cuts,
)
from statlearn.merging._rules._signs import combine
from statlearn.merging._state._entry import Array, Entry
from statlearn.merging._state._layouts import State, check_models
from statlearn.merging._state._merge_states import blockwise, merge_states
from statlearn.utils._numbers import number_in, real_number


def breadcrumbs(
    base: State,
    models: Sequence[State],
    *,
    weights: Sequence[float] | None = None,
    density: float = 0.9,
    gamma: float = 0.01,
    lam: float = 1.0,
    consensus: bool = False,
) -> dict[str, Any]:
    r"""Leave out the largest and the smallest updates, and add up the others.

    The largest updates are taken for outliers of one task, the smallest for noise.

    Parameters
    ----------
    base : mapping of str to array or tensor
        State dict that the tuning started from.
    models : sequence of mappings of str to array or tensor
        State dicts of the tuned models.
    weights : sequence of float of length n_models, default=None
        Factors on the task vectors, of any sign; ones for None.
    density : float, default=0.9
        Share of each array of a task vector that is kept, in (0, 1].
    gamma : float, default=0.01
        Share of each array that is left out at the upper end, in [0, 1); less where the
        density leaves no room for it, nothing in arrays of less than 1 / `gamma`
        numbers.
    lam : float, default=1.0
        Coefficient on the merged task vector.
    consensus : bool, default=False
        Whether signs are elected and those that agree averaged, as in :func:`ties`,
        instead of a sum.

    Returns
    -------
    dict of str to array or tensor
        Merged state dict in the data types of the base.

    Raises
    ------
    TypeError
        If a parameter is no number, or something is no state dict.
    ValueError
        If `density` is outside (0, 1], `gamma` outside [0, 1), a number is not finite,
        or names or shapes differ.

    See Also
    --------
    ties : Keeps the largest updates.
    r_tsv_merge : Clips the largest updates instead of dropping them.
    scipy.stats.trim_mean : Cuts both ends of a sample.

    Notes
    -----
    Of n numbers in the order of falling magnitude, of equal ones the last first, the
    first :math:`g = \lfloor \gamma n \rfloor` are left out and the next
    :math:`k = \lfloor d n \rfloor` kept, at least one, with
    :math:`g \le n - k`. A single model is not trimmed: what is left out is meant to
    disturb other tasks. Time is O(n) for each model, about three passes without
    sorting; memory is that of the result and a few blocks.

    References
    ----------
    MohammadReza Davari, Eugene Belilovsky. Model Breadcrumbs: Scaling Multi-Task Model
    Merging with Sparse Masks. ECCV, 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import breadcrumbs
    >>> base = {"W": np.zeros(4)}
    >>> first = {"W": np.array([9.0, 0.1, -2.0, 3.0])}
    >>> second = {"W": np.array([2.0, 8.0, 3.0, -0.1])}
    >>> breadcrumbs(base, [first, second], density=0.5, gamma=0.25)["W"]
    array([2., 0., 1., 3.])
    """
    rule = "breadcrumbs"
    check_models(base, models, rule)
    factors = model_weights(weights, len(models), rule)
    hint = "pass for example 0.9, or 1 to keep all"
    density = number_in(density, "density", rule, hint, 0, 1, closed="right")
    hint = "pass for example 0.01, or 0 to keep the largest"
    gamma = number_in(gamma, "gamma", rule, hint, 0, 1, closed="left")
    scale = real_number(lam, "lam", rule)
    if len(models) == 1:
        density = 1.0

    def kernel(entry: Entry) -> NDArray[Any]:
        k = max(1, count_of(density, entry.size))
        top = min(count_of(gamma, entry.size), entry.size - k)
        upper = [Above(cut, last=True) for cut in model_cuts(entry, top)]
        both = [Above(cut, last=True) for cut in model_cuts(entry, top + k)]

        def merge(start: Array, updates: Array) -> Array:
            for row, outlier, large in zip(updates, upper, both, strict=True):
                sizes = np.abs(row)
                row *= large(sizes) & ~outlier(sizes)
            return start + scale * combine(updates, factors, consensus=consensus)

        return blockwise(merge)(entry)

    return merge_states(base, models, kernel, rule=rule, shares=factors, lam=scale)
