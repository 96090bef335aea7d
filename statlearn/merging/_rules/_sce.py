"""SCE: select what models disagree on, weight models by their updates, elect signs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.merging._rules._selection import (
    Above,
    Cut,
    count_of,
    cut_below,
)
from statlearn.merging._rules._signs import disjoint_mean, elect
from statlearn.merging._state._entry import Array, Entry
from statlearn.merging._state._layouts import State, check_models
from statlearn.merging._state._merge_states import blockwise, merge_states
from statlearn.utils._numbers import number_in, real_number


def sce(
    base: State,
    models: Sequence[State],
    *,
    topk: float = 1.0,
    lam: float = 1.0,
) -> dict[str, Any]:
    r"""Weight the models by the size of their updates and average what agrees (SCE).

    Each array has its own weights, which come from the updates: models that changed an
    array more count more in it.

    Parameters
    ----------
    base : mapping of str to array or tensor
        State dict that the tuning started from.
    models : sequence of mappings of str to array or tensor
        State dicts of the tuned models.
    topk : float, default=1.0
        Share of the numbers on which the models differ that is merged, those that
        differ most; in (0, 1]. 1 merges all numbers, also those on which they agree.
        A single model is merged whole.
    lam : float, default=1.0
        Coefficient on the merged task vector.

    Returns
    -------
    dict of str to array or tensor
        Merged state dict in the data types of the base.

    Raises
    ------
    TypeError
        If a parameter is no number, or something is no state dict.
    ValueError
        If `topk` is outside (0, 1], a number is not finite, or names or shapes differ.

    See Also
    --------
    ties : Trims each model by magnitude; weights are the caller's.
    fisher_merge : Weights from data instead of the size of updates.

    Notes
    -----
    An array keeps the :math:`\lfloor k \, \#\{i : v_i > 0\} \rfloor` numbers of largest
    variance :math:`v_i` over the models. With :math:`\delta_t` cut to them,

    .. math:: \tau_i = \frac{\sum_t w_t e_{ti} \delta_{ti}}{\sum_t w_t e_{ti}}, \qquad
              w_t \propto \sum_i \delta_{ti}^2 ,

    where :math:`e_{ti}` is 1 if :math:`\delta_{ti}` has the sign of
    :math:`\sum_t \delta_{ti}`, else 0. Models without any update left count alike. Time
    is O(n) for each model, four passes without sorting; memory is that of the result
    and a few blocks.

    References
    ----------
    Fanqi Wan, Longguang Zhong, Ziyi Yang, Ruijun Chen, Xiaojun Quan. FuseChat:
    Knowledge Fusion of Chat Models. arXiv:2408.07990.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import sce
    >>> base = {"W": np.zeros(3)}
    >>> models = [{"W": np.array([1.0, 0.0, 4.0])}, {"W": np.array([-1.0, 1.0, 5.0])}]
    >>> sce(base, models, topk=0.4)["W"]
    array([1., 0., 0.])
    """
    check_models(base, models, "sce")
    hint = "pass for example 0.5, or 1 to merge all numbers"
    share = number_in(topk, "topk", "sce", hint, 0, 1, closed="right")
    scale = real_number(lam, "lam", "sce")
    if len(models) == 1:
        share = 1.0

    def kernel(entry: Entry) -> NDArray[Any]:
        cut = _variance_cut(entry, share)
        weights = _update_weights(entry, cut)
        selected = _Selected(cut)

        def merge(start: Array, updates: Array) -> Array:
            selected(updates)
            signs = elect(updates)
            return start + scale * disjoint_mean(updates, signs, weights, weights)

        return blockwise(merge)(entry)

    return merge_states(base, models, kernel, rule="sce", lam=scale, by_products=True)


class _Selected:
    """Sets what a cut on the variances leaves out to zero, block after block."""

    def __init__(self, cut: Cut | None) -> None:
        self._above = None if cut is None else Above(cut)

    def __call__(self, updates: Array) -> None:
        """Change the updates of the next block, (T, b) in place."""
        if self._above is not None:
            updates *= self._above(_variances(updates))


def _variances(updates: Array) -> Array:
    """Return variances over the models, (T, b) to (b,); 0 exactly if all are equal."""
    spread = updates - updates.min(axis=0)
    mean = spread.mean(axis=0)
    np.square(spread, out=spread)
    return spread.mean(axis=0) - np.square(mean, out=mean)


def _variance_cut(entry: Entry, share: float) -> Cut | None:
    """Find the border of the largest variances in one array; None for no selection."""
    if share == 1.0:
        return None

    def blocks() -> Iterator[Array]:
        scratch = entry.scratch()
        for block in entry.blocks():
            yield _variances(entry.updates(block, scratch))

    nonzero = sum(int(np.count_nonzero(variances)) for variances in blocks())
    return cut_below(count_of(share, nonzero), entry.size, blocks)


def _update_weights(entry: Entry, cut: Cut | None) -> Array:
    """Return weights in proportion to the squared updates that are left, (T,)."""
    selected = _Selected(cut)
    squares, scratch = np.zeros(len(entry.models)), entry.scratch()
    for block in entry.blocks():
        updates = entry.updates(block, scratch)
        selected(updates)
        squares += np.einsum("tb,tb->t", updates, updates)
    total = squares.sum()
    return squares / total if total > 0.0 else np.ones(len(squares))
