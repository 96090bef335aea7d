"""Weights of residuals that are divided by their scale: one function for each family.

The values are psi(u) / u, between 0 and 1, as a step of reweighted least squares uses
them; the classes of the same names scale them to mean one and know rho and psi too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from statlearn.weights import _residual_kernels as kernels
from statlearn.weights._residual_kernels import as_constant, on_scale


def _weights(kernel: kernels.Kernel, u: Any, c: float, caller: str) -> Any:
    return on_scale(kernel.weight, u, as_constant(c, "c", caller))


def huber_weights(u: Any, c: float = kernels.HUBER.default) -> Any:
    r"""Weigh residuals fully up to c, with bounded influence beyond.

    Parameters
    ----------
    u : array-like or torch tensor
        Residuals divided by their scale, of any shape.
    c : float, default=1.345
        From here on the influence, weight times residual, is constant.

    Returns
    -------
    weights : ndarray or tensor
        :math:`\min(1, c/|u|)`.

    Raises
    ------
    ValueError
        If c is not positive.

    Examples
    --------
    >>> from statlearn.weights import huber_weights
    >>> huber_weights([0.0, 1.0, 3.0, 20.0]).round(4)
    array([1.    , 1.    , 0.4483, 0.0672])
    """
    return _weights(kernels.HUBER, u, c, "huber_weights")


def bisquare_weights(u: Any, c: float = kernels.BISQUARE.default) -> Any:
    r"""Weigh residuals by Tukey's bisquare, which is 0 from c on.

    Parameters
    ----------
    u : array-like or torch tensor
        Residuals divided by their scale, of any shape.
    c : float, default=4.685
        From here on the weight is zero.

    Returns
    -------
    weights : ndarray or tensor
        :math:`(1 - (u/c)^2)^2` where :math:`|u| < c`, else 0.

    Raises
    ------
    ValueError
        If c is not positive.

    Examples
    --------
    >>> from statlearn.weights import bisquare_weights
    >>> bisquare_weights([0.0, 1.0, 3.0, 20.0]).round(4)
    array([1.    , 0.911 , 0.3481, 0.    ])
    """
    return _weights(kernels.BISQUARE, u, c, "bisquare_weights")


def hampel_weights(u: Any, a: float = 2.0, b: float = 4.0, c: float = 8.0) -> Any:
    r"""Weigh residuals fully up to a, with bounded influence to b, and not beyond c.

    Parameters
    ----------
    u : array-like or torch tensor
        Residuals divided by their scale, of any shape.
    a : float, default=2.0
        Residuals up to here have weight 1.
    b : float, default=4.0
        Influence, weight times residual, is constant from a to b.
    c : float, default=8.0
        Influence falls from b to zero at c, on a line.

    Returns
    -------
    weights : ndarray or tensor
        1, then :math:`a/|u|`, then :math:`a (c/|u| - 1)/(c - b)`, then 0.

    Raises
    ------
    ValueError
        Unless 0 < a <= b < c.

    Examples
    --------
    >>> from statlearn.weights import hampel_weights
    >>> hampel_weights([0.0, 1.0, 3.0, 20.0]).round(4)
    array([1.    , 1.    , 0.6667, 0.    ])
    """
    kernel = hampel_kernel(a, b, c, "hampel_weights")
    return on_scale(kernel.weight, u, a)


def hampel_kernel(a: float, b: float, c: float, caller: str) -> kernels.HampelKernel:
    """Return Hampel's family on the scale a, or say how its constants are ordered."""
    first, second, last = (
        as_constant(value, name, caller)
        for name, value in zip("abc", (a, b, c), strict=True)
    )
    # Ratios that round to one another would leave no line between b and c.
    if not first <= second < last or not second / first < last / first < np.inf:
        raise ValueError(
            f"The 'a', 'b' and 'c' of {caller} must be in the order a <= b < c. Got "
            f"{a}, {b}, {c}; pass for example 2, 4, 8."
        )
    return kernels.HampelKernel(second / first, last / first)


def cauchy_weights(u: Any, c: float = kernels.CAUCHY.default) -> Any:
    r"""Weigh residuals as the likelihood of a Cauchy distribution does.

    Parameters
    ----------
    u : array-like or torch tensor
        Residuals divided by their scale, of any shape.
    c : float, default=2.3849
        At this residual the weight is one half.

    Returns
    -------
    weights : ndarray or tensor
        :math:`1/(1 + (u/c)^2)`.

    Raises
    ------
    ValueError
        If c is not positive.

    Examples
    --------
    >>> from statlearn.weights import cauchy_weights
    >>> cauchy_weights([0.0, 1.0, 3.0, 20.0]).round(4)
    array([1.    , 0.8505, 0.3872, 0.014 ])
    """
    return _weights(kernels.CAUCHY, u, c, "cauchy_weights")


def welsch_weights(u: Any, c: float = kernels.WELSCH.default) -> Any:
    r"""Weigh residuals by a Gaussian bell.

    Parameters
    ----------
    u : array-like or torch tensor
        Residuals divided by their scale, of any shape.
    c : float, default=2.9846
        At this residual the weight is 1/e.

    Returns
    -------
    weights : ndarray or tensor
        :math:`\exp(-(u/c)^2)`.

    Raises
    ------
    ValueError
        If c is not positive.

    Examples
    --------
    >>> from statlearn.weights import welsch_weights
    >>> welsch_weights([0.0, 1.0, 3.0, 20.0]).round(4)
    array([1.    , 0.8938, 0.3641, 0.    ])
    """
    return _weights(kernels.WELSCH, u, c, "welsch_weights")


def fair_weights(u: Any, c: float = kernels.FAIR.default) -> Any:
    r"""Weigh residuals by a hyperbola, with bounded influence.

    Parameters
    ----------
    u : array-like or torch tensor
        Residuals divided by their scale, of any shape.
    c : float, default=1.3998
        At this residual the weight is one half; the influence tends to c.

    Returns
    -------
    weights : ndarray or tensor
        :math:`1/(1 + |u|/c)`.

    Raises
    ------
    ValueError
        If c is not positive.

    Examples
    --------
    >>> from statlearn.weights import fair_weights
    >>> fair_weights([0.0, 1.0, 3.0, 20.0]).round(4)
    array([1.    , 0.5833, 0.3182, 0.0654])
    """
    return _weights(kernels.FAIR, u, c, "fair_weights")


def logistic_weights(u: Any, c: float = kernels.LOGISTIC.default) -> Any:
    r"""Weigh residuals by a smooth relative of Huber's weights.

    Parameters
    ----------
    u : array-like or torch tensor
        Residuals divided by their scale, of any shape.
    c : float, default=1.205
        The influence, weight times residual, tends to this bound.

    Returns
    -------
    weights : ndarray or tensor
        :math:`\tanh(u/c)/(u/c)`.

    Raises
    ------
    ValueError
        If c is not positive.

    Examples
    --------
    >>> from statlearn.weights import logistic_weights
    >>> logistic_weights([0.0, 1.0, 3.0, 20.0]).round(4)
    array([1.    , 0.8199, 0.3962, 0.0602])
    """
    return _weights(kernels.LOGISTIC, u, c, "logistic_weights")


def andrews_weights(u: Any, c: float = kernels.ANDREWS.default) -> Any:
    r"""Weigh residuals by Andrews' sine wave, which is 0 from pi c on.

    Parameters
    ----------
    u : array-like or torch tensor
        Residuals divided by their scale, of any shape.
    c : float, default=1.339
        The weight is zero from pi times this value on.

    Returns
    -------
    weights : ndarray or tensor
        :math:`\sin(u/c)/(u/c)` where :math:`|u| < \pi c`, else 0.

    Raises
    ------
    ValueError
        If c is not positive.

    Examples
    --------
    >>> from statlearn.weights import andrews_weights
    >>> andrews_weights([0.0, 1.0, 3.0, 20.0]).round(4)
    array([1.    , 0.9096, 0.3499, 0.    ])
    """
    return _weights(kernels.ANDREWS, u, c, "andrews_weights")


def talwar_weights(u: Any, c: float = kernels.TALWAR.default) -> Any:
    r"""Weigh residuals fully below c and not at all from there on.

    Parameters
    ----------
    u : array-like or torch tensor
        Residuals divided by their scale, of any shape.
    c : float, default=2.795
        From here on the weight is zero.

    Returns
    -------
    weights : ndarray or tensor
        1 where :math:`|u| < c`, else 0.

    Raises
    ------
    ValueError
        If c is not positive.

    Examples
    --------
    >>> from statlearn.weights import talwar_weights
    >>> talwar_weights([0.0, 1.0, 3.0, 20.0]).round(4)
    array([1., 1., 0., 0.])
    """
    return _weights(kernels.TALWAR, u, c, "talwar_weights")


def geman_mcclure_weights(u: Any, c: float = kernels.GEMAN_MCCLURE.default) -> Any:
    r"""Weigh residuals by the square of Cauchy weights.

    Parameters
    ----------
    u : array-like or torch tensor
        Residuals divided by their scale, of any shape.
    c : float, default=3.78741876
        At this residual the weight is one quarter.

    Returns
    -------
    weights : ndarray or tensor
        :math:`1/(1 + (u/c)^2)^2`.

    Raises
    ------
    ValueError
        If c is not positive.

    Examples
    --------
    >>> from statlearn.weights import geman_mcclure_weights
    >>> geman_mcclure_weights([0.0, 1.0, 3.0, 20.0]).round(4)
    array([1.    , 0.8739, 0.3776, 0.0012])
    """
    return _weights(kernels.GEMAN_MCCLURE, u, c, "geman_mcclure_weights")
