"""Consensus of masks (TALL): keep the numbers that several tasks need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from statlearn.merging._rules._model_weights import model_weights
from statlearn.merging._state._entry import Array
from statlearn.merging._state._layouts import State, check_models
from statlearn.merging._state._merge_states import blockwise, merge_states
from statlearn.utils._numbers import positive_integer, real_number
from statlearn.utils._validation import as_numbers


def consensus(
    base: State,
    models: Sequence[State],
    *,
    weights: Sequence[float] | None = None,
    k: int = 2,
    lam_mask: float | Sequence[float] = 0.4,
    lam: float = 1.0,
) -> dict[str, Any]:
    r"""Add up task vectors where several tasks need them (Consensus Task Arithmetic).

    Numbers that matter to fewer than `k` tasks go back to the base: those that matter
    to none, and those that help one task at the cost of the others.

    Parameters
    ----------
    base : mapping of str to array or tensor
        State dict that the tuning started from.
    models : sequence of mappings of str to array or tensor
        State dicts of the tuned models.
    weights : sequence of float of length n_models, default=None
        Factors on the task vectors, of any sign; ones for None.
    k : int, default=2
        Tasks that have to need a number, from 1 to the number of models. A single model
        is merged with `k` = 1.
    lam_mask : float or sequence of float of length n_models, default=0.4
        Threshold of the masks, for all tasks or for each, at least 0; the larger, the
        fewer numbers a task is found to need. Values from 0.2 to 0.6 are usual, chosen
        for each task on validation data.
    lam : float, default=1.0
        Coefficient on the sum of the masked task vectors.

    Returns
    -------
    dict of str to array or tensor
        Merged state dict in the data types of the base.

    Raises
    ------
    TypeError
        If a parameter is no number, `k` no integer, or something is no state dict.
    ValueError
        If `k` is not from 1 to the number of models, a threshold is negative, a number
        is not finite, or names or shapes differ.

    See Also
    --------
    task_arithmetic : The same sum without masks.
    ties : Decides by sign instead of need.

    Notes
    -----
    With weighted task vectors :math:`\delta_t` and their sum :math:`\delta`,

    .. math:: m_t = \mathbf{1}[ |\delta_t| > \lambda_t |\delta - \delta_t| ], \qquad
              \tau = \delta \odot \mathbf{1} \Bigl[ \sum_t m_t \ge k \Bigr] .

    Time is one pass over base and models, memory that of the result.

    References
    ----------
    Ke Wang, Nikolaos Dimitriadis, Guillermo Ortiz-Jimenez, François Fleuret, Pascal
    Frossard. Localizing Task Information for Improved Model Merging and Compression.
    ICML, 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import consensus
    >>> base = {"W": np.zeros(3)}
    >>> models = [{"W": np.array([1.0, 3.0, 2.0])}, {"W": np.array([1.0, 0.1, 0.0])}]
    >>> consensus(base, models)["W"]
    array([2., 0., 0.])
    """
    check_models(base, models, "consensus")
    factors = model_weights(weights, len(models), "consensus")[:, np.newaxis]
    needed = positive_integer(k, "k", "consensus", "pass for example 2")
    if len(models) == 1:
        needed = 1
    if needed > len(models):
        raise ValueError(
            "The 'k' of consensus must be at most the number of models, "
            f"{len(models)}. Got {needed}; pass a smaller k."
        )
    thresholds = _thresholds(lam_mask, len(models))[:, np.newaxis]
    scale = real_number(lam, "lam", "consensus")

    def merge(start: Array, updates: Array) -> Array:
        updates *= factors
        total = updates.sum(axis=0)
        others = np.subtract(total, updates)
        np.abs(others, out=others)
        others *= thresholds
        np.abs(updates, out=updates)
        votes = np.count_nonzero(updates > others, axis=0)
        total *= votes >= needed
        total *= scale
        total += start
        return total

    return merge_states(
        base,
        models,
        blockwise(merge),
        rule="consensus",
        shares=factors[:, 0],
        lam=scale,
    )


def _thresholds(lam_mask: Any, n_models: int) -> Array:
    """Return one threshold a model, (T,)."""
    values = as_numbers(lam_mask)
    if values.shape in ((), (n_models,)) and bool(np.all(values >= 0.0)):
        return np.broadcast_to(values, (n_models,))
    raise ValueError(
        "The 'lam_mask' of consensus must be a number >= 0, or one for each of the "
        f"{n_models} models. Got {lam_mask!r}; pass for example 0.4."
    )
