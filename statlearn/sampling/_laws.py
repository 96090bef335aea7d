"""How often each domain should be drawn, given its size, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._numbers import positive_number
from statlearn.utils._validation import as_numbers, weight_problem
from statlearn.weights._groups import tempered_share

Array = NDArray[np.float64]


def temperature_probs(sizes: Any, tau: float) -> Array:
    r"""Return the probability of each domain under a temperature.

    Parameters
    ----------
    sizes : array-like of shape (K,)
        Number of rows of each domain.
    tau : float
        Temperature above 0: 1 draws in proportion to size, infinity all domains
        equally often; below 1 large domains gain.

    Returns
    -------
    probabilities : ndarray of shape (K,)
        Their sum is one.

    Raises
    ------
    ValueError
        For an empty domain or a temperature that is not positive.

    Notes
    -----
    :math:`p_i \propto n_i^{1/\tau}`. The exponent is the *inverse* of the temperature,
    as in fairseq and T5; some programs call the exponent itself a temperature.

    References
    ----------
    Tianjian Li, Haoran Xu, Weiting Tan, Kenton Murray, Daniel Khashabi. Upsample or
    Upweight? Balanced Training on Heavily Imbalanced Datasets. NAACL, 2025.

    Examples
    --------
    >>> from statlearn.sampling import temperature_probs
    >>> temperature_probs([1000, 100, 10], 5.0).round(3)
    array([0.493, 0.311, 0.196])
    """
    return tempered_share(
        _sizes(sizes, "temperature_probs"), tau, "temperature_probs", "tau"
    )


def scalarization_weights(sizes: Any, tau: float) -> Array:
    r"""Return the weight of a row of each domain that replaces sampling by domain.

    Parameters
    ----------
    sizes : array-like of shape (K,)
        Number of rows of each domain.
    tau : float
        Temperature above 0 of the sampler that is replaced.

    Returns
    -------
    weights : ndarray of shape (K,)
        :math:`p_i(\tau) / p_i(1)`, with the mean one over all rows.

    Raises
    ------
    ValueError
        For an empty domain or a temperature that is not positive.

    See Also
    --------
    statlearn.weights.temperature_weights : The same for each row, from labels.
    gradient_variance_ratio : What weights cost where gradients are stochastic.

    Examples
    --------
    >>> from statlearn.sampling import scalarization_weights
    >>> scalarization_weights([1000, 100, 10], 5.0).round(3)
    array([ 0.547,  3.452, 21.778])
    """
    size = _sizes(sizes, "scalarization_weights")
    share = tempered_share(size, tau, "scalarization_weights", "tau")
    return share / (size / size.sum())


def gradient_variance_ratio(
    sizes: Any, tau: float, second_moments: Any = None
) -> float:
    r"""Compare the gradient noise of weighting domains with that of sampling them.

    Parameters
    ----------
    sizes : array-like of shape (K,)
        Number of rows of each domain.
    tau : float
        Temperature above 0.
    second_moments : array-like of shape (K,), default=None
        Mean squared norm of the gradient of one row, for each domain. By default all
        are equal.

    Returns
    -------
    ratio : float
        Above 1 where weighting is the noisier of the two.

    Raises
    ------
    ValueError
        For an empty domain, a temperature that is not positive, or second moments
        that are negative, infinite or all zero.

    Notes
    -----
    With :math:`p_i = p_i(\tau)`, :math:`w_i = p_i(\tau) / p_i(1)` and second moments
    :math:`G_i`, the squared gradient of one draw is :math:`\sum_i p_i w_i G_i` on
    average under weighting and :math:`\sum_i p_i G_i` under sampling; the ratio is the
    first divided by the second. Both gradients have the same mean, so the difference
    of these two moments is the difference of the variances.

    For equal second moments the ratio is :math:`F = \sum_i p_i(\tau)^2 / p_i(1)`, which
    is at least 1 and does not fall with a temperature above 1, up to
    :math:`N \sum_i n_i^{-1} / K^2`. The paper states that weighting is never the less
    noisy one; that needs :math:`\sum_i p_i (w_i - 1) G_i \ge 0`, and fails where the
    small domains have clearly smaller gradients. For sizes of 900 and 100, a
    temperature of 5 and gradients in the large domain only, weighting has the second
    moment 0.411 and sampling 0.608, as the example shows.

    References
    ----------
    Tianjian Li, Haoran Xu, Weiting Tan, Kenton Murray, Daniel Khashabi. Upsample or
    Upweight? Balanced Training on Heavily Imbalanced Datasets. NAACL, 2025.

    Examples
    --------
    >>> from statlearn.sampling import gradient_variance_ratio
    >>> round(gradient_variance_ratio([900, 100], 5.0), 3)
    1.947
    >>> round(gradient_variance_ratio([900, 100], 5.0, [1.0, 0.0]), 3)
    0.676
    """
    caller = "gradient_variance_ratio"
    size = _sizes(sizes, caller)
    share = tempered_share(size, tau, caller, "tau")
    moment = np.ones(len(size))
    if second_moments is not None:
        moment = as_numbers(second_moments)
    if weight_problem(moment, size.shape) is not None:
        raise ValueError(
            f"The 'second_moments' of {caller} must hold {len(size)} finite numbers >= "
            f"0, not all of them zero. Got {second_moments!r}; pass one mean squared "
            f"gradient for each domain, or None."
        )
    mass = share * (moment / moment.max())
    if not mass.any():
        return 0.0  # gradients only where the shares, and so the weights, vanish
    return float(mass @ (share / (size / size.sum())) / mass.sum())


@dataclass(frozen=True)
class UniMax:
    """Probabilities that are as equal as a limit on repetitions allows.

    Every domain gets the same share of the budget, except that none is repeated more
    than `max_epochs` times; what the small ones cannot take goes to the others. Use it
    as the `schedule` of a :class:`DomainBatchSampler`.

    Parameters
    ----------
    sizes : array-like of shape (K,)
        Number of rows of each domain.
    budget : float
        Rows drawn in the whole training.
    max_epochs : float
        How often the rows of a domain may be drawn on average.

    Attributes
    ----------
    sizes : tuple of float
        Number of rows of each domain.
    budget : float
        Rows drawn in the whole training.
    max_epochs : float
        How often the rows of a domain may be drawn on average.
    probabilities : ndarray of shape (K,)
        Share of each domain.

    Notes
    -----
    From the smallest domain to the largest, a domain takes an equal part of the budget
    that is left, or `max_epochs` times its size if that is less. If the whole budget
    exceeds `max_epochs` of all rows, domains are drawn in proportion to their sizes.

    References
    ----------
    Hyung Won Chung, Noah Constant, Xavier Garcia, Adam Roberts, Yi Tay, Sharan Narang,
    Orhan Firat. UniMax: Fairer and More Effective Language Sampling for Large-Scale
    Multilingual Pretraining. ICLR, 2023.

    Examples
    --------
    >>> from statlearn.sampling import UniMax
    >>> UniMax([1000, 100, 10], budget=900, max_epochs=4).probabilities.round(3)
    array([0.511, 0.444, 0.044])
    """

    sizes: Any
    budget: float
    max_epochs: float
    probabilities: Array = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the fields and distribute the budget."""
        size = _sizes(self.sizes, "UniMax")
        for name in ("budget", "max_epochs"):
            hint = "budget counts rows, max_epochs repetitions"
            value = positive_number(getattr(self, name), name, "UniMax", hint)
            object.__setattr__(self, name, value)
        object.__setattr__(self, "sizes", tuple(size.tolist()))
        share = np.empty(len(size))
        left = self.budget
        for taken, domain in enumerate(np.argsort(size, kind="stable")):
            share[domain] = min(
                left / (len(size) - taken), self.max_epochs * size[domain]
            )
            left -= share[domain]
        share /= share.sum()
        share.flags.writeable = False
        object.__setattr__(self, "probabilities", share)

    def __call__(self, step: int) -> Array:
        """Return the probabilities (K,), which are the same at every step."""
        return self.probabilities


def _sizes(sizes: Any, caller: str) -> Array:
    size = as_numbers(sizes)
    if size.ndim != 1 or not size.size or not (np.isfinite(size) & (size > 0)).all():
        raise ValueError(
            f"The 'sizes' of {caller} must be numbers above 0 of shape (K,). Got "
            f"{sizes!r}; leave empty domains out."
        )
    return size
