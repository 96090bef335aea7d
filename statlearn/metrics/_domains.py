"""Losses by domain: the worst, and the mean that does not ask for their size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._arrays import to_float64
from statlearn.utils._groups import group_codes
from statlearn.utils._validation import as_numbers, read_sample_weight, weight_problem

Array = NDArray[np.float64]


def worst_domain_loss(losses: Any, domains: Any, *, sample_weight: Any = None) -> float:
    r"""Return the mean loss of the domain that fares worst.

    Parameters
    ----------
    losses : array-like or torch tensor of shape (n,)
        Losses of single rows.
    domains : array-like of shape (n,)
        Domain of each row: strings, numbers, or other labels.
    sample_weight : array-like of shape (n,), default=None
        Numbers >= 0, how much each row counts within its domain. Rows of weight zero
        are left out, and domains that have no other.

    Returns
    -------
    loss : float
        The largest mean loss.

    Raises
    ------
    ValueError
        If losses are not finite, a label is missing, or lengths disagree.

    See Also
    --------
    mean_domain_loss : The mean over domains.
    sklearn.metrics.log_loss : The mean over rows, for one kind of loss.

    Notes
    -----
    With domains :math:`D_k` and weights :math:`w_i`,

    .. math:: \max_k \frac{\sum_{i \in D_k} w_i \ell_i}{\sum_{i \in D_k} w_i}.

    References
    ----------
    Shiori Sagawa, Pang Wei Koh, Tatsunori B. Hashimoto, Percy Liang. Distributionally
    Robust Neural Networks for Group Shifts. ICLR, 2020.

    Examples
    --------
    >>> from statlearn.metrics import worst_domain_loss
    >>> worst_domain_loss([1.0, 2.0, 3.0, 8.0], ["a", "a", "a", "b"])
    8.0
    """
    _, means = _domain_means(losses, domains, sample_weight, "worst_domain_loss")
    return float(means.max())


def mean_domain_loss(
    losses: Any,
    domains: Any,
    *,
    sample_weight: Any = None,
    domain_weight: Any = None,
) -> float:
    r"""Return the mean over domains of their mean losses.

    Every domain counts the same, however many rows it has, or by weights of its own.

    Parameters
    ----------
    losses : array-like or torch tensor of shape (n,)
        Losses of single rows.
    domains : array-like of shape (n,)
        Domain of each row: strings, numbers, or other labels.
    sample_weight : array-like of shape (n,), default=None
        Numbers >= 0, how much each row counts within its domain. Rows of weight zero
        are left out, and domains that have no other.
    domain_weight : dict, default=None
        A number >= 0 for each domain that has rows; by default all the same.

    Returns
    -------
    loss : float
        The mean.

    Raises
    ------
    ValueError
        If losses are not finite, a label is missing, lengths disagree, or the weights
        are no weights.

    See Also
    --------
    worst_domain_loss : The domain that fares worst.
    sklearn.metrics.balanced_accuracy_score : The same for hits, by class.

    Notes
    -----
    With domains :math:`D_k`, weights :math:`w_i` of rows and :math:`v_k` of domains,

    .. math:: \frac{1}{\sum_k v_k} \sum_k v_k
              \frac{\sum_{i \in D_k} w_i \ell_i}{\sum_{i \in D_k} w_i}.

    Examples
    --------
    >>> from statlearn.metrics import mean_domain_loss
    >>> mean_domain_loss([1.0, 2.0, 3.0, 8.0], ["a", "a", "a", "b"])
    5.0
    >>> mean_domain_loss([1.0, 2.0, 8.0], [0, 0, 1], domain_weight={0: 3, 1: 1})
    3.125
    """
    caller = "mean_domain_loss"
    labels, means = _domain_means(losses, domains, sample_weight, caller)
    if domain_weight is None:
        return float(means.mean())
    try:
        given = dict(domain_weight)
    except (TypeError, ValueError):
        given = {}
    weight = as_numbers([given.get(label) for label in labels])
    if weight_problem(weight) is not None:
        raise ValueError(
            f"The 'domain_weight' of {caller} must give a finite number >= 0 for each "
            f"of the domains {labels}, not all of them zero. Got {domain_weight!r}; "
            f"pass one number for each, or None."
        )
    return float(np.average(means, weights=weight))


def _domain_means(
    losses: Any, domains: Any, sample_weight: Any, caller: str
) -> tuple[list[Any], Array]:
    """Return the domains that have rows with weight, and their mean losses."""
    values, _ = to_float64(losses)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(
            f"The 'losses' of {caller} must have shape (n,) with n >= 1. Got shape "
            f"{values.shape}; pass the losses of single rows, before any mean."
        )
    weight = np.ones(len(values))
    if sample_weight is not None:
        weight = read_sample_weight(to_float64(sample_weight)[0], values, caller)
    counted = weight > 0.0
    labels, codes = group_codes(domains, caller, counted, name="domains")
    if codes.shape != values.shape:
        raise ValueError(
            f"The 'domains' of {caller} must have one label for each loss. Got "
            f"{len(codes)} labels for {len(values)} losses; give both for each row."
        )
    if not np.isfinite(values[counted]).all():
        raise ValueError(
            f"The 'losses' of {caller} must be finite. Got NaN or infinity in "
            f"{np.sum(~np.isfinite(values[counted]))} rows; correct them, or give "
            f"these rows sample_weight 0."
        )
    codes, values, weight = codes[counted], values[counted], weight[counted]
    mass = np.bincount(codes, weight, len(labels))
    total = np.bincount(codes, weight * values, len(labels))
    present = mass > 0.0
    names = [label for label, kept in zip(labels, present, strict=True) if kept]
    return names, total[present] / mass[present]
