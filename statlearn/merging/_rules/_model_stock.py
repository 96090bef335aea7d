"""Model Stock: the way to the mean of several models, as far as they agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.merging._rules._inner_products import cosines_of, moved, products
from statlearn.merging._state._entry import BLOCK, Array, Entry
from statlearn.merging._state._layouts import State
from statlearn.merging._state._merge_states import merge_states


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
