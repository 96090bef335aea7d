"""What learning one task after another does to the earlier and the later ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._validation import as_numbers

Array = NDArray[np.float64]


def forgetting(
    results: Any,
    *,
    weights: Any = None,
    greater_is_better: bool = True,
    average: bool = True,
) -> Any:
    r"""Measure how far a model has fallen below its best on each earlier task.

    Parameters
    ----------
    results : array-like of shape (n_tasks, n_tasks)
        Row i: after learning task i; column j: result on task j. Accuracies, or losses
        with ``greater_is_better=False``. NaN marks what was not measured, such as a
        task before it was learnt.
    weights : array-like of shape (n_tasks,), default=None
        Numbers >= 0, how much each task counts; by default all the same. That of the
        last task is not used.
    greater_is_better : bool, default=True
        Whether the results are scores; False for losses.
    average : bool, default=True
        Whether to return the mean over tasks; else one number for each of them.

    Returns
    -------
    forgetting : float or ndarray of shape (n_tasks - 1,)
        0 if each earlier task is as good as it ever was, negative if better.

    Raises
    ------
    ValueError
        If the results are no square table of at least two tasks, the last row or all
        the rest of a column is missing, or the weights are no weights.

    See Also
    --------
    backward_transfer : Compares with the result right after each task instead.

    Notes
    -----
    With :math:`a_{ij}` the result on task j after task i, and T tasks,

    .. math:: F = \frac{1}{T - 1} \sum_{j=1}^{T-1}
              \Bigl( \max_{1 \le i \le T-1} a_{ij} - a_{Tj} \Bigr).

    Losses enter with the opposite sign: their rise above the lowest.

    References
    ----------
    Arslan Chaudhry, Puneet K. Dokania, Thalaiyasingam Ajanthan, Philip H. S. Torr.
    Riemannian Walk for Incremental Learning: Understanding Forgetting and
    Intransigence. ECCV, 2018.

    Examples
    --------
    >>> from statlearn.metrics import forgetting
    >>> accuracy = [[0.9, 0.1, 0.1], [0.7, 0.8, 0.2], [0.6, 0.7, 0.9]]
    >>> round(forgetting(accuracy), 3)
    0.2
    >>> forgetting(accuracy, average=False).round(3)
    array([0.3, 0.1])
    """
    table = _read(results, "forgetting", greater_is_better)
    past = table[:-1, :-1]
    measured = ~np.isnan(past)
    _refuse_gaps(measured.any(axis=0), "some row of each column but the last")
    _refuse_gaps(~np.isnan(table[-1, :-1]), "the last row")
    best = np.where(measured, past, -np.inf).max(axis=0)
    return _mean(best - table[-1, :-1], weights, slice(-1), "forgetting", average)


def backward_transfer(
    results: Any,
    *,
    weights: Any = None,
    greater_is_better: bool = True,
    average: bool = True,
) -> Any:
    r"""Measure what later tasks have done to the result on each earlier task.

    Parameters
    ----------
    results : array-like of shape (n_tasks, n_tasks)
        Row i: after learning task i; column j: result on task j. Accuracies, or losses
        with ``greater_is_better=False``. Only the diagonal and the last row are used.
    weights : array-like of shape (n_tasks,), default=None
        Numbers >= 0, how much each task counts; by default all the same. That of the
        last task is not used.
    greater_is_better : bool, default=True
        Whether the results are scores; False for losses.
    average : bool, default=True
        Whether to return the mean over tasks; else one number for each of them.

    Returns
    -------
    transfer : float or ndarray of shape (n_tasks - 1,)
        Positive if later tasks helped, negative if the model has forgotten.

    Raises
    ------
    ValueError
        If the results are no square table of at least two tasks, a number that is
        needed is missing, or the weights are no weights.

    See Also
    --------
    forgetting : Compares with the best result of all earlier times.
    forward_transfer : What a task does to those that come after it.

    Notes
    -----
    With :math:`R_{ij}` the result on task j after task i, and T tasks,

    .. math:: \mathrm{BWT} = \frac{1}{T - 1} \sum_{j=1}^{T-1} (R_{Tj} - R_{jj}).

    Losses enter with the opposite sign.

    References
    ----------
    David Lopez-Paz, Marc'Aurelio Ranzato. Gradient Episodic Memory for Continual
    Learning. NeurIPS, 2017.

    Examples
    --------
    >>> from statlearn.metrics import backward_transfer
    >>> accuracy = [[0.9, 0.1, 0.1], [0.7, 0.8, 0.2], [0.6, 0.7, 0.9]]
    >>> round(backward_transfer(accuracy), 3)
    -0.2
    """
    table = _read(results, "backward_transfer", greater_is_better)
    own = np.diagonal(table)[:-1]
    _refuse_gaps(~np.isnan(own), "the diagonal")
    _refuse_gaps(~np.isnan(table[-1, :-1]), "the last row")
    gain = table[-1, :-1] - own
    return _mean(gain, weights, slice(-1), "backward_transfer", average)


def forward_transfer(
    results: Any,
    baseline: Any,
    *,
    weights: Any = None,
    greater_is_better: bool = True,
    average: bool = True,
) -> Any:
    r"""Measure what earlier tasks have done for each task before it was learnt.

    Parameters
    ----------
    results : array-like of shape (n_tasks, n_tasks)
        Row i: after learning task i; column j: result on task j. Accuracies, or losses
        with ``greater_is_better=False``. Only the numbers next to the diagonal, task j
        after task j - 1, are used.
    baseline : array-like of shape (n_tasks,) or float
        Results on each task of a model that has learnt nothing, such as one with
        random parameters.
    weights : array-like of shape (n_tasks,), default=None
        Numbers >= 0, how much each task counts; by default all the same. That of the
        first task is not used.
    greater_is_better : bool, default=True
        Whether the results are scores; False for losses.
    average : bool, default=True
        Whether to return the mean over tasks; else one number for each of them.

    Returns
    -------
    transfer : float or ndarray of shape (n_tasks - 1,)
        Positive if earlier tasks helped.

    Raises
    ------
    ValueError
        If the results are no square table of at least two tasks, a number that is
        needed is missing, or baseline or weights have another length.

    See Also
    --------
    backward_transfer : What a task does to those that came before it.

    Notes
    -----
    With :math:`R_{ij}` the result on task j after task i, :math:`b_j` the baseline, and
    T tasks,

    .. math:: \mathrm{FWT} = \frac{1}{T - 1} \sum_{j=2}^{T} (R_{j-1,j} - b_j).

    Losses enter with the opposite sign.

    References
    ----------
    David Lopez-Paz, Marc'Aurelio Ranzato. Gradient Episodic Memory for Continual
    Learning. NeurIPS, 2017.

    Examples
    --------
    >>> from statlearn.metrics import forward_transfer
    >>> accuracy = [[0.9, 0.1, 0.1], [0.7, 0.8, 0.2], [0.6, 0.7, 0.9]]
    >>> round(forward_transfer(accuracy, 0.1), 3)
    0.05
    """
    table = _read(results, "forward_transfer", greater_is_better)
    before = np.diagonal(table, offset=1)
    _refuse_gaps(~np.isnan(before), "each task in the row before its own")
    level = as_numbers(baseline)
    if level.ndim == 0:
        level = np.full(len(table), level)
    if level.shape != (len(table),) or not np.isfinite(level).all():
        raise ValueError(
            f"The 'baseline' of forward_transfer must be one finite number, or one for "
            f"each of {len(table)} tasks. Got {baseline!r}; pass the results of a "
            f"model that has learnt nothing."
        )
    gain = before - (level[1:] if greater_is_better else -level[1:])
    return _mean(gain, weights, slice(1, None), "forward_transfer", average)


def _read(results: Any, caller: str, greater_is_better: bool) -> Array:
    """Return the table with larger numbers better."""
    table = as_numbers(results)
    if table.ndim != 2 or table.shape[0] != table.shape[1] or len(table) < 2:
        raise ValueError(
            f"The 'results' of {caller} must be numbers of shape (n_tasks, n_tasks) "
            f"with at least 2 tasks. Got shape {table.shape}; pass a row for each task "
            f"learnt and a column for each task measured."
        )
    if np.isinf(table).any():
        raise ValueError(
            f"The 'results' of {caller} must be finite, or NaN where nothing was "
            f"measured. Got infinity; correct these numbers or make them NaN."
        )
    return table if greater_is_better else -table


def _refuse_gaps(measured: Any, where: str) -> None:
    if not measured.all():
        raise ValueError(
            f"The 'results' must hold numbers in {where}. Got NaN for "
            f"{np.sum(~measured)} of {measured.size} tasks, the first at position "
            f"{np.argmin(measured)}; measure them, or leave these tasks out."
        )


def _mean(values: Array, weights: Any, used: slice, caller: str, average: bool) -> Any:
    """Return the values (n_tasks - 1,), or their mean under the weights used."""
    n_tasks = len(values) + 1
    share = np.ones(n_tasks) if weights is None else as_numbers(weights)
    good = share.shape == (n_tasks,) and np.isfinite(share).all() and share.min() >= 0
    if not good or not share[used].any():
        raise ValueError(
            f"The 'weights' of {caller} must be finite numbers >= 0, one for each of "
            f"{n_tasks} tasks, not all of those that are used zero. Got {weights!r}; "
            f"pass None for equal weights."
        )
    return float(np.average(values, weights=share[used])) if average else values
