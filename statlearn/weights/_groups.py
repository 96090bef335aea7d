"""Weights from group labels: how much a group counts, given its size.

Each function says what share p_g of all weight a group of size n_g gets; its rows have
it in proportion to their base weights. Base weights add up to the size of their group.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import special

from statlearn.utils._arrays import is_tensor, to_float64
from statlearn.utils._groups import group_codes, label_rows
from statlearn.utils._numbers import closed_share, real_number
from statlearn.weights._base import Evidence, WeightingRule, temperature_at
from statlearn.weights._base import Temperature as TemperatureOrSchedule
from statlearn.weights._measure import as_base_weight

Array = NDArray[np.float64]


def temperature_weights(
    groups: Any, temperature: float = 5.0, *, base_weight: Any = None
) -> Any:
    r"""Weigh the rows of small groups up, softened by a temperature.

    Parameters
    ----------
    groups : array-like or torch tensor of shape (n,)
        Group labels of any type.
    temperature : float, default=5.0
        :math:`\tau > 0`. 1 gives equal rows, infinity equal groups; below 1 large
        groups gain.
    base_weight : array-like of shape (n,), default=None
        Weights that rows have without their group. The size of a group is their sum.

    Returns
    -------
    weights : ndarray or tensor of shape (n,)
        In float64. Their sum is that of the base weights, n without them.

    Raises
    ------
    ValueError
        For a temperature that is not positive, missing labels or a wrong shape.

    Notes
    -----
    With :math:`p_g \propto n_g^{1/\tau}` a row has the weight
    :math:`(N / n_g)\, p_g`, where :math:`N = \sum_g n_g`. The weighted loss then has
    the expectation of the plain loss of rows drawn by their group: first a group with
    probability :math:`p_g`, then one of its rows. Its gradients usually vary more than
    those of such a sampler. Time and memory are O(n).

    References
    ----------
    Tianjian Li, Haoran Xu, Weiting Tan, Kenton Murray, Daniel Khashabi. Upsample or
    Upweight? Balanced Training on Heavily Imbalanced Datasets. NAACL, 2025.

    Examples
    --------
    >>> from statlearn.weights import temperature_weights
    >>> temperature_weights(["a", "a", "a", "a", "b"], 2.0).round(3)
    array([0.833, 0.833, 0.833, 0.833, 1.667])
    """
    return _group_weights(
        groups,
        lambda size: tempered_share(size, temperature, "temperature_weights"),
        base_weight,
        "temperature_weights",
    )


def inverse_frequency_weights(groups: Any, *, base_weight: Any = None) -> Any:
    r"""Give every group the same total weight.

    Parameters
    ----------
    groups : array-like or torch tensor of shape (n,)
        Group labels of any type.
    base_weight : array-like of shape (n,), default=None
        Weights that rows have without their group. The size of a group is their sum.

    Returns
    -------
    weights : ndarray or tensor of shape (n,)
        In float64: :math:`N / (K n_g)` for each of K groups, times the base weight.

    Raises
    ------
    ValueError
        For missing labels or a wrong shape.

    Examples
    --------
    >>> from statlearn.weights import inverse_frequency_weights
    >>> inverse_frequency_weights(["a", "a", "a", "b"]).round(3)
    array([0.667, 0.667, 0.667, 2.   ])
    """
    return _group_weights(
        groups,
        lambda size: np.full(len(size), 1.0 / len(size)),
        base_weight,
        "inverse_frequency_weights",
    )


def effective_number_weights(
    groups: Any, beta: float = 0.999, *, base_weight: Any = None
) -> Any:
    r"""Weigh rows by the inverse of the effective number of rows of their group.

    Parameters
    ----------
    groups : array-like or torch tensor of shape (n,)
        Group labels of any type.
    beta : float, default=0.999
        From 0, equal rows, to 1, equal groups. Groups much smaller than
        ``1 / (1 - beta)`` are balanced against each other; groups much larger are
        equally dense, so a beta too small for large groups changes nothing.
    base_weight : array-like of shape (n,), default=None
        Weights that rows have without their group. The size of a group is their sum.

    Returns
    -------
    weights : ndarray or tensor of shape (n,)
        In float64. Their sum is that of the base weights, n without them.

    Raises
    ------
    ValueError
        For a beta outside [0, 1], missing labels or a wrong shape.

    Notes
    -----
    Proportional to :math:`(1 - \beta) / (1 - \beta^{n_g})`, times the base weight. The
    mean over rows is one; published code scales the mean over *groups* to one instead,
    which differs by a factor that all rows share. Sizes are absolute: base weights
    that all double change the result. Pass the labels of the whole training set, not
    of one batch.

    References
    ----------
    Yin Cui, Menglin Jia, Tsung-Yi Lin, Yang Song, Serge Belongie. Class-Balanced Loss
    Based on Effective Number of Samples. CVPR, 2019.

    Examples
    --------
    >>> from statlearn.weights import effective_number_weights
    >>> effective_number_weights(["a", "a", "a", "a", "b"], 0.5).round(3)
    array([0.851, 0.851, 0.851, 0.851, 1.596])
    """
    return _group_weights(
        groups,
        lambda size: _effective_share(size, beta, "effective_number_weights"),
        base_weight,
        "effective_number_weights",
    )


# -- shares of groups ---------------------------------------------------------------


def tempered_share(
    size: Array, temperature: float, caller: str, name: str = "temperature"
) -> Array:
    """Return shares (K,) proportional to a power of sizes (K,)."""
    temperature = real_number(temperature, name, caller)
    if not temperature > 0.0:
        raise ValueError(
            f"The '{name}' of {caller} must be positive. Got {temperature}; pass "
            "1 for equal rows, infinity for equal groups."
        )
    log_size = np.log(size)
    with np.errstate(over="ignore"):  # near zero all but the largest get exp(-inf)
        share: Array = np.exp((log_size - log_size.max()) / temperature)
    return share / share.sum()


def _effective_share(size: Array, beta: float, caller: str) -> Array:
    """Return shares (K,) proportional to sizes (K,) over effective numbers."""
    hint = "pass for example 1 - 1 / (size of a large group)"
    beta = closed_share(beta, "beta", caller, hint)
    if beta == 0.0:
        return size / size.sum()
    # n / (1 - beta^n) up to a factor, with n log(beta) small or zero as beta nears 1
    share: Array = 1.0 / special.exprel(size * log(beta))
    share /= share.max()
    return share / share.sum()


def _group_weights(
    groups: Any, share: Callable[[Array], Array], base_weight: Any, caller: str
) -> Any:
    rows = label_rows(groups, caller)
    base = as_base_weight(base_weight, len(rows), caller)
    labels, codes = group_codes(rows, caller, None if base is None else base > 0.0)
    size = np.bincount(codes, weights=base, minlength=len(labels)).astype(np.float64)
    total = size.sum()
    present = size > 0.0
    mass = np.zeros(len(labels))
    mass[present] = share(size[present]) * total
    size[~present] = 1.0
    # Divide by the size before anything is multiplied: sizes may be far apart.
    weights = (mass / size)[codes] if base is None else base / size[codes] * mass[codes]
    return to_float64(groups)[1](weights) if is_tensor(groups) else weights


class _GroupRule(WeightingRule):
    """Weights from `groups` or, without them, from labels given as evidence."""

    evidence_kind: ClassVar[Evidence] = "group"

    def _weights(self, evidence: Any, groups: Any, base_weight: Any, step: Any) -> Any:
        if groups is None:
            return self._group_weights(evidence, base_weight, step)
        values, restore = to_float64(evidence)
        weights = self._group_weights(groups, base_weight, step)
        if values.shape != weights.shape:
            raise ValueError(
                f"The 'groups' of {type(self).__name__} must have one label for each "
                f"row of the evidence. Got {len(weights)} labels for evidence of shape "
                f"{values.shape}; pass both for the same rows."
            )
        return restore(to_float64(weights)[0])

    def _group_weights(self, groups: Any, base_weight: Any, step: int | None) -> Any:
        raise NotImplementedError


class Temperature(_GroupRule):
    """Weigh the rows of small groups up, softened by a temperature.

    For domains, sites or languages of very different size. Very small groups get large
    weights under a high temperature: look at :func:`weight_summary`, and prefer to
    sample by group where gradients are noisy.

    Parameters
    ----------
    temperature : float or callable, default=5.0
        Softness above 0, or a schedule ``step -> temperature``: 1 gives equal rows,
        infinity equal groups.

    See Also
    --------
    temperature_weights : The function on arrays, with the formula.
    InverseFrequency : The limit of equal groups.
    sklearn.utils.class_weight.compute_sample_weight : Equal groups only.

    References
    ----------
    Tianjian Li, Haoran Xu, Weiting Tan, Kenton Murray, Daniel Khashabi. Upsample or
    Upweight? Balanced Training on Heavily Imbalanced Datasets. NAACL, 2025.

    Examples
    --------
    >>> from statlearn.weights import Temperature
    >>> Temperature(2.0)(["a", "a", "a", "a", "b"]).round(3)
    array([0.833, 0.833, 0.833, 0.833, 1.667])
    """

    def __init__(self, temperature: TemperatureOrSchedule = 5.0) -> None:
        self.temperature = temperature

    def _group_weights(self, groups: Any, base_weight: Any, step: int | None) -> Any:
        return temperature_weights(
            groups,
            temperature_at(self.temperature, step, "Temperature"),
            base_weight=base_weight,
        )


class InverseFrequency(_GroupRule):
    """Give every group the same total weight: balanced weights.

    See Also
    --------
    inverse_frequency_weights : The function on arrays.
    Temperature : Between equal rows and equal groups.
    sklearn.utils.class_weight.compute_sample_weight : The same as "balanced".

    References
    ----------
    Gary King, Langche Zeng. Logistic Regression in Rare Events Data. Political
    Analysis, 2001.

    Examples
    --------
    >>> from statlearn.weights import InverseFrequency
    >>> InverseFrequency()(["a", "a", "a", "b"]).round(3)
    array([0.667, 0.667, 0.667, 2.   ])
    """

    def _group_weights(self, groups: Any, base_weight: Any, step: int | None) -> Any:
        return inverse_frequency_weights(groups, base_weight=base_weight)


class EffectiveNumber(_GroupRule):
    """Weigh rows by the inverse of the effective number of rows of their group.

    For classes of which further rows repeat what the first ones showed: large groups
    count as fewer rows than they have.

    Parameters
    ----------
    beta : float, default=0.999
        From 0, equal rows, to 1, equal groups.

    See Also
    --------
    effective_number_weights : The function on arrays, with the formula.
    InverseFrequency : The limit of beta = 1.
    sklearn.utils.class_weight.compute_sample_weight : That limit, as "balanced".

    References
    ----------
    Yin Cui, Menglin Jia, Tsung-Yi Lin, Yang Song, Serge Belongie. Class-Balanced Loss
    Based on Effective Number of Samples. CVPR, 2019.

    Examples
    --------
    >>> from statlearn.weights import EffectiveNumber
    >>> EffectiveNumber(0.5)(["a", "a", "a", "a", "b"]).round(3)
    array([0.851, 0.851, 0.851, 0.851, 1.596])
    """

    def __init__(self, beta: float = 0.999) -> None:
        self.beta = beta

    def _group_weights(self, groups: Any, base_weight: Any, step: int | None) -> Any:
        return effective_number_weights(groups, self.beta, base_weight=base_weight)
