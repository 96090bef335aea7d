"""Rules on residuals, the classical M-estimators: their contract, and monotone ones.

A family is a function rho of u = residual / scale. An M-estimator minimises the sum of
rho; reweighted least squares finds it with the weights psi(u) / u, psi = rho'. Families
whose psi falls again are in `_redescending`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from statlearn.weights import _residual_kernels as kernels
from statlearn.weights._base import Evidence, WeightingRule
from statlearn.weights._efficiency import constant_for
from statlearn.weights._measure import limit_on, reweigh
from statlearn.weights._residual_kernels import Kernel, as_constant, on_scale

Array = NDArray[np.float64]


class ResidualRule(WeightingRule):
    """Base class of the rules on residuals that are divided by their scale.

    A subclass has ``nonfinite`` among its parameters and implements ``tuning()`` and
    ``_family()``, which returns its kernel and the constant that is the unit of it.
    """

    evidence_kind: ClassVar[Evidence] = "residual"
    monotone: ClassVar[bool] = False
    nonfinite: str

    def tuning(self) -> float | tuple[float, ...]:
        """Return the constant in use.

        Returns
        -------
        constant : float or tuple of float
            In units of the scale of residuals.
        """
        raise NotImplementedError

    def _family(self) -> tuple[Kernel, float]:
        raise NotImplementedError

    def weight(self, u: Any) -> Any:
        """Return psi(u) / u, not scaled to mean one.

        Parameters
        ----------
        u : array-like or torch tensor
            Residuals divided by their scale, of any shape.

        Returns
        -------
        weights : ndarray or tensor
            Between 0 and 1, 1 at u = 0.
        """
        kernel, c = self._family()
        return on_scale(kernel.weight, u, c)

    def rho(self, u: Any) -> Any:
        """Return the loss, the integral of psi from 0 to u.

        Parameters
        ----------
        u : array-like or torch tensor
            Residuals divided by their scale, of any shape.

        Returns
        -------
        loss : ndarray or tensor
            About half the square of u near 0; not scaled to a maximum of one.
        """
        kernel, c = self._family()
        return on_scale(kernel.rho, u, c, power=2)

    def psi(self, u: Any) -> Any:
        """Return the influence, u times its weight.

        Parameters
        ----------
        u : array-like or torch tensor
            Residuals divided by their scale, of any shape.

        Returns
        -------
        influence : ndarray or tensor
            About u near 0.
        """
        kernel, c = self._family()
        return on_scale(kernel.psi, u, c, power=1)

    def psi_prime(self, u: Any) -> Any:
        """Return the derivative of psi.

        Parameters
        ----------
        u : array-like or torch tensor
            Residuals divided by their scale, of any shape.

        Returns
        -------
        slope : ndarray or tensor
            1 at u = 0; where psi has a kink, the slope on one side of it.
        """
        kernel, c = self._family()
        return on_scale(kernel.psi_prime, u, c)

    def rho_max(self) -> float:
        """Return the supremum of rho.

        Returns
        -------
        bound : float
            Infinity if rho has no bound.
        """
        kernel, c = self._family()
        return kernel.rho_max * c * c

    def _weights(self, evidence: Any, groups: Any, base_weight: Any, step: Any) -> Any:
        kernel, c = self._family()
        caller = type(self).__name__

        def density(u: Array, base: Array | None) -> Array:
            weight = on_scale(kernel.weight, u, c)
            largest = weight.max()
            if largest > 0.0:
                # Base weights would push the smallest numbers below the last one.
                return weight if largest > 1e-100 else weight / largest
            size = np.abs(u)
            return limit_on(
                size == size.min(),
                caller,
                "residuals small enough for a weight above zero",
                "check the scale that residuals are divided by, or raise the constant",
            )

        return reweigh(
            evidence,
            density,
            base_weight=base_weight,
            nonfinite=self.nonfinite,
            caller=caller,
            name="residuals",
        )


class OneConstantRule(ResidualRule):
    """A rule with one tuning constant, given itself or by the efficiency it has."""

    _kernel: ClassVar[Kernel]

    def __init__(
        self,
        c: float | None = None,
        *,
        efficiency: float | None = None,
        nonfinite: str = "raise",
    ) -> None:
        self.c = c
        self.efficiency = efficiency
        self.nonfinite = nonfinite

    def tuning(self) -> float:
        """Return the constant in use.

        Returns
        -------
        c : float
            As given, as the efficiency needs it, or the one in common use.
        """
        caller = type(self).__name__
        if self.c is not None and self.efficiency is not None:
            raise ValueError(
                f"One of 'c' and 'efficiency' of {caller} must be None. Got "
                f"{self.c!r} and {self.efficiency!r}; pass only one of them."
            )
        if self.efficiency is not None:
            return constant_for(self._kernel, self.efficiency, caller)
        if self.c is not None:
            return as_constant(self.c, "c", caller)
        return self._kernel.default

    def _family(self) -> tuple[Kernel, float]:
        return self._kernel, self.tuning()


class Huber(OneConstantRule):
    """Weigh residuals fully up to a constant, and bound the influence of all others.

    The fit has one solution, whatever it starts from. Rows far off in their features
    can still pull it; use :class:`Bisquare` with a robust start against them.

    Parameters
    ----------
    c : float, default=None
        Where the influence stops to grow. None stands for 1.345, 95 % efficient.
    efficiency : float, default=None
        Efficiency at normal errors, above 0.637 and below 1, in place of `c`.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with residuals that are NaN or infinite.

    Attributes
    ----------
    monotone : bool
        True: psi never falls.

    See Also
    --------
    huber_weights : The function on arrays.
    Logistic : A smooth relative.
    sklearn.linear_model.HuberRegressor : A fit with these weights and a joint scale.

    References
    ----------
    Peter J. Huber. Robust Estimation of a Location Parameter. The Annals of
    Mathematical Statistics, 1964.

    Examples
    --------
    >>> from statlearn.weights import Huber
    >>> Huber()([0.0, -1.0, 3.0, 20.0]).round(3)
    array([1.59 , 1.59 , 0.713, 0.107])
    >>> round(Huber(efficiency=0.85).tuning(), 6)
    0.731739
    """

    monotone = True
    _kernel = kernels.HUBER


class Fair(OneConstantRule):
    """Weigh residuals by a hyperbola, with bounded influence and no kink.

    The fit has one solution. Even the smallest residuals lose weight, so a high
    efficiency needs a large constant.

    Parameters
    ----------
    c : float, default=None
        Where the weight is one half. None stands for 1.3998, 95 % efficient.
    efficiency : float, default=None
        Efficiency at normal errors, above 0.638 and below 1, in place of `c`.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with residuals that are NaN or infinite.

    Attributes
    ----------
    monotone : bool
        True: psi never falls.

    See Also
    --------
    fair_weights : The function on arrays.
    Huber : Full weight in the middle.
    scipy.optimize.least_squares : Its ``soft_l1`` is a similar loss.

    References
    ----------
    Ray C. Fair. On the Robust Estimation of Econometric Models. Annals of Economic and
    Social Measurement, 1974.

    Examples
    --------
    >>> from statlearn.weights import Fair
    >>> Fair()([0.0, -1.0, 3.0, 20.0]).round(3)
    array([2.034, 1.186, 0.647, 0.133])
    """

    monotone = True
    _kernel = kernels.FAIR


class Logistic(OneConstantRule):
    """Weigh residuals by a smooth relative of Huber's weights: psi is a tanh.

    The fit has one solution, and rho, log cosh, has derivatives of every order.

    Parameters
    ----------
    c : float, default=None
        What the influence tends to. None stands for 1.205, 95 % efficient.
    efficiency : float, default=None
        Efficiency at normal errors, above 0.637 and below 1, in place of `c`.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with residuals that are NaN or infinite.

    Attributes
    ----------
    monotone : bool
        True: psi never falls.

    See Also
    --------
    logistic_weights : The function on arrays.
    Huber : With a kink, and full weight in the middle.
    scipy.optimize.least_squares : Its ``soft_l1`` is a similar loss.

    References
    ----------
    Paul W. Holland, Roy E. Welsch. Robust Regression Using Iteratively Reweighted
    Least-Squares. Communications in Statistics - Theory and Methods, 1977.

    Examples
    --------
    >>> from statlearn.weights import Logistic
    >>> Logistic()([0.0, -1.0, 3.0, 20.0]).round(3)
    array([1.757, 1.441, 0.696, 0.106])
    """

    monotone = True
    _kernel = kernels.LOGISTIC
