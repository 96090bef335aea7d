"""R-TSVM: singular vectors of updates whose outliers are clipped, at a fitting rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.merging._rules._merge_on_matrices import merge_on_matrices
from statlearn.merging._rules._singular_vectors import (
    MatrixUpdates,
    orthogonal_sum,
)
from statlearn.merging._state._entry import Array
from statlearn.merging._state._layouts import State
from statlearn.utils._numbers import number_in


def r_tsv_merge(
    base: State,
    models: Sequence[State],
    *,
    weights: Sequence[float] | None = None,
    lam: float = 1.0,
    c: float = 3.0,
    eps: float = 0.25,
) -> dict[str, Any]:
    r"""Merge singular vectors with clipped outliers and a rank that adapts (R-TSVM).

    As :func:`tsv_merge`, but unusually large numbers of an update are first clipped,
    and matrices whose updates are mostly small keep fewer singular vectors. This helps
    when single weights of a model ran away or its labels were noisy.

    This is a reconstruction from the description of the two ingredients in the paper,
    outlier-aware weights and a sparsity-adaptive rank, whose formulas are not public:
    the published method may differ.

    Parameters
    ----------
    base : mapping of str to array or tensor
        State dict that the tuning started from.
    models : sequence of mappings of str to array or tensor
        State dicts of the tuned models.
    weights : sequence of float of length n_models, default=None
        Factors on the updates of the models, of any sign; ones for None.
    lam : float, default=1.0
        Coefficient on the merged update.
    c : float, default=3.0
        Numbers are clipped at `c` standard deviations of their magnitudes above the
        mean magnitude, at least 0; ``inf`` clips nothing.
    eps : float, default=0.25
        Numbers below `eps` times the mean magnitude count as absent, at least 0; with
        0 the rank does not adapt.

    Returns
    -------
    dict of str to array or tensor
        Merged state dict in the data types of the base.

    Raises
    ------
    TypeError
        If a parameter is no number, or something is no state dict.
    ValueError
        If `c` or `eps` is negative, a number is not finite, or names or shapes differ.

    See Also
    --------
    tsv_merge : The rule without clipping, at a fixed rank.
    mergekit.merge : Merges checkpoints on disk, without this rule.

    Notes
    -----
    In each matrix, update :math:`\delta_t` is weighted number by number,

    .. math:: \omega_t = \min\bigl(1, \tfrac{\mathrm{mean}|\delta_t| + c\,
              \mathrm{std}|\delta_t|}{|\delta_t|}\bigr),

    which clips it, and all tasks keep :math:`\max(1, \lfloor \tfrac{r}{T} (1 - \Omega)
    \rfloor)` singular vectors of the rank :math:`r`. The sparsity :math:`\Omega` is the
    mean over the tasks of the share of numbers with :math:`|\delta_t| < \epsilon\,
    \mathrm{mean}|\delta_t|`.

    With ``c=inf, eps=0`` this is :func:`tsv_merge`. There is nothing to balance in a
    single model, which is neither clipped nor cut: with weight 1 it comes back whole.
    Equal updates come back if clipping leaves them alone and their rank is at most that
    which is kept. Cost as :func:`tsv_merge`, and two passes over the updates.

    References
    ----------
    Jinluan Yang, Dingnan Jin, Anke Tang, Li Shen, Didi Zhu, Zhengyu Chen, Ziyu Zhao,
    Daixin Wang, Qing Cui, Zhiqiang Zhang, Jun Zhou, Fei Wu, Kun Kuang. Mix Data or
    Merge Models? Balancing the Helpfulness, Honesty, and Harmlessness of Large Language
    Model via Model Merging. arXiv:2502.06876, 2025.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import r_tsv_merge
    >>> base = {"W": np.zeros((4, 4))}
    >>> calm = {"W": np.full((4, 4), 0.1)}
    >>> wild = {"W": np.full((4, 4), 0.1)}
    >>> wild["W"][0, 0] = 50.0
    >>> float(r_tsv_merge(base, [calm, wild], c=1.0)["W"].max().round(1))
    14.3
    """
    rule = "r_tsv_merge"
    clip = number_in(c, "c", rule, "pass 3.0, or inf to clip nothing", 0, inf)
    absent = number_in(eps, "eps", rule, "pass 0.25, or 0 for a fixed rank", 0, inf)

    def kernel(updates: MatrixUpdates, factor: float) -> NDArray[Any] | None:
        share = min(updates.shape) / len(updates.models)
        if share < 1.0 or len(updates.models) == 1:
            return None
        means, limits = _magnitudes(updates, clip)
        rank = max(1, int(share * (1.0 - _sparsity(updates, absent * means))))
        return orthogonal_sum(replace(updates, limits=limits), rank, factor)

    return merge_on_matrices(base, models, kernel, rule=rule, weights=weights, lam=lam)


def _magnitudes(updates: MatrixUpdates, c: float) -> tuple[Array, Array]:
    """Return the mean magnitude of each update and where it is clipped, (T,) each."""
    n_models, size = len(updates.models), updates.base.size
    sums, squares = np.zeros(n_models), np.zeros(n_models)
    for task in range(n_models):
        for block in updates.blocks():
            rows = updates.raw(task, block)
            squares[task] += np.vdot(rows, rows)
            sums[task] += np.abs(rows, out=rows).sum()
    means = sums / size
    if c == inf:
        return means, np.full(n_models, inf)
    spreads = [
        sqrt(max(square / size - mean**2, 0.0))
        for square, mean in zip(squares, means, strict=True)
    ]
    return means, means + c * np.array(spreads)


def _sparsity(updates: MatrixUpdates, thresholds: Array) -> float:
    """Return the mean over the tasks of the share of magnitudes below a threshold."""
    below = sum(
        int((np.abs(updates.raw(task, block)) < threshold).sum())
        for task, threshold in enumerate(thresholds)
        if threshold > 0.0
        for block in updates.blocks()
    )
    return below / (len(thresholds) * updates.base.size)
