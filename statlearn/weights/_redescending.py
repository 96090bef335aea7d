"""Rules on residuals whose influence falls again: far outliers lose all of it.

Their objective has several local minima, so the start of a fit matters.
"""

from __future__ import annotations

from statlearn.weights import _residual_kernels as kernels
from statlearn.weights._efficiency import constant_for
from statlearn.weights._residual import OneConstantRule, ResidualRule
from statlearn.weights._residual_functions import hampel_kernel


class Bisquare(OneConstantRule):
    """Weigh residuals by Tukey's bisquare: smoothly down to zero.

    The usual choice against outliers of any size; with a robust start and scale, it is
    the second step of an MM-estimator.

    Parameters
    ----------
    c : float, default=None
        From here on the weight is zero. None stands for 4.685, 95 % efficient.
    efficiency : float, default=None
        Efficiency at normal errors, between 0 and 1, in place of `c`.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with residuals that are NaN or infinite.

    Attributes
    ----------
    monotone : bool
        False: psi falls again.

    See Also
    --------
    bisquare_weights : The function on arrays.
    Huber : Bounded influence and one solution.
    statsmodels.robust.norms.TukeyBiweight : The same loss in statsmodels.

    References
    ----------
    Albert E. Beaton, John W. Tukey. The Fitting of Power Series, Meaning Polynomials,
    Illustrated on Band-Spectroscopic Data. Technometrics, 1974.

    Examples
    --------
    >>> from statlearn.weights import Bisquare
    >>> Bisquare()([0.0, -1.0, 3.0, 20.0]).round(3)
    array([1.771, 1.613, 0.616, 0.   ])
    >>> round(Bisquare(efficiency=0.85).tuning(), 6)
    3.44369
    """

    _kernel = kernels.BISQUARE


class Hampel(ResidualRule):
    """Weigh residuals in three parts: fully, with constant influence, with falling one.

    Parameters
    ----------
    a : float, default=2.0
        Residuals up to here have full weight.
    b : float, default=4.0
        The influence is constant from a to b.
    c : float, default=8.0
        The influence falls from b to zero at c, on a line.
    efficiency : float, default=None
        Efficiency at normal errors, between 0 and 1. It multiplies a, b and c by one
        factor; None leaves them, which is 99 % for the defaults.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with residuals that are NaN or infinite.

    Attributes
    ----------
    monotone : bool
        False: psi falls again.

    See Also
    --------
    hampel_weights : The function on arrays.
    Bisquare : Smooth, with one constant.
    statsmodels.robust.norms.Hampel : The same loss in statsmodels.

    References
    ----------
    Frank R. Hampel, Elvezio M. Ronchetti, Peter J. Rousseeuw, Werner A. Stahel. Robust
    Statistics: The Approach Based on Influence Functions. Wiley, 1986.

    Examples
    --------
    >>> from statlearn.weights import Hampel
    >>> Hampel()([0.0, -1.0, 3.0, 20.0]).round(3)
    array([1.5, 1.5, 1. , 0. ])
    >>> [round(constant, 4) for constant in Hampel(efficiency=0.95).tuning()]
    [1.382, 2.764, 5.528]
    """

    def __init__(
        self,
        a: float = 2.0,
        b: float = 4.0,
        c: float = 8.0,
        *,
        efficiency: float | None = None,
        nonfinite: str = "raise",
    ) -> None:
        self.a = a
        self.b = b
        self.c = c
        self.efficiency = efficiency
        self.nonfinite = nonfinite

    def tuning(self) -> tuple[float, float, float]:
        """Return the constants in use.

        Returns
        -------
        constants : tuple of three float
            As given, or multiplied by the factor that the efficiency needs.
        """
        _, a = self._family()
        factor = a / self.a
        return a, factor * self.b, factor * self.c

    def _family(self) -> tuple[kernels.HampelKernel, float]:
        kernel = hampel_kernel(self.a, self.b, self.c, "Hampel")
        if self.efficiency is None:
            return kernel, float(self.a)
        return kernel, constant_for(kernel, self.efficiency, "Hampel")


class Cauchy(OneConstantRule):
    """Weigh residuals as the likelihood of a Cauchy distribution does.

    Far outliers keep a little weight and lose influence slowly; rho has no bound.

    Parameters
    ----------
    c : float, default=None
        Where the weight is one half. None stands for 2.3849, 95 %
        efficient.
    efficiency : float, default=None
        Efficiency at normal errors, between 0 and 1, in place of `c`.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with residuals that are NaN or infinite.

    Attributes
    ----------
    monotone : bool
        False: psi falls again.

    See Also
    --------
    cauchy_weights : The function on arrays.
    GemanMcClure : The square of these weights, with a bounded loss.
    statsmodels.robust.norms.StudentT : With other degrees of freedom.

    References
    ----------
    Paul W. Holland, Roy E. Welsch. Robust Regression Using Iteratively Reweighted
    Least-Squares. Communications in Statistics - Theory and Methods, 1977.

    Examples
    --------
    >>> from statlearn.weights import Cauchy
    >>> Cauchy()([0.0, -1.0, 3.0, 20.0]).round(3)
    array([1.776, 1.511, 0.688, 0.025])
    """

    _kernel = kernels.CAUCHY


class Welsch(OneConstantRule):
    """Weigh residuals by a Gaussian bell.

    Smoother than :class:`Bisquare`, and without weight from about six constants on.

    Parameters
    ----------
    c : float, default=None
        Where the weight is 1/e. None stands for 2.9846, 95 %
        efficient.
    efficiency : float, default=None
        Efficiency at normal errors, between 0 and 1, in place of `c`.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with residuals that are NaN or infinite.

    Attributes
    ----------
    monotone : bool
        False: psi falls again.

    See Also
    --------
    welsch_weights : The function on arrays.
    Bisquare : Weight zero from the constant on.
    scipy.optimize.least_squares : Takes such a loss as a callable.

    References
    ----------
    John E. Dennis, Roy E. Welsch. Techniques for Nonlinear Least Squares and Robust
    Regression. Communications in Statistics - Simulation and Computation, 1978.

    Examples
    --------
    >>> from statlearn.weights import Welsch
    >>> Welsch()([0.0, -1.0, 3.0, 20.0]).round(3)
    array([1.772, 1.583, 0.645, 0.   ])
    """

    _kernel = kernels.WELSCH


class Andrews(OneConstantRule):
    """Weigh residuals by a sine wave, down to zero.

    Close to :class:`Bisquare` with a constant of pi times this one.

    Parameters
    ----------
    c : float, default=None
        The weight is zero from pi times this value on. None stands for 1.339, 95 %
        efficient.
    efficiency : float, default=None
        Efficiency at normal errors, between 0 and 1, in place of `c`.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with residuals that are NaN or infinite.

    Attributes
    ----------
    monotone : bool
        False: psi falls again.

    See Also
    --------
    andrews_weights : The function on arrays.
    Bisquare : A polynomial of about the same shape.
    statsmodels.robust.norms.AndrewWave : The same loss in statsmodels.

    References
    ----------
    David F. Andrews. A Robust Method for Multiple Linear Regression. Technometrics,
    1974.

    Examples
    --------
    >>> from statlearn.weights import Andrews
    >>> Andrews()([0.0, -1.0, 3.0, 20.0]).round(3)
    array([1.77 , 1.61 , 0.619, 0.   ])
    """

    _kernel = kernels.ANDREWS


class Talwar(OneConstantRule):
    """Weigh residuals fully below a constant, and not at all from there on.

    Least squares without the outliers; a small change of one row can move the fit by a
    jump.

    Parameters
    ----------
    c : float, default=None
        From here on the weight is zero. None stands for 2.795, 95 %
        efficient.
    efficiency : float, default=None
        Efficiency at normal errors, between 0 and 1, in place of `c`.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with residuals that are NaN or infinite.

    Attributes
    ----------
    monotone : bool
        False: psi falls again.

    See Also
    --------
    talwar_weights : The function on arrays.
    Bisquare : Without the jump.
    statsmodels.robust.norms.TrimmedMean : The same loss in statsmodels.

    References
    ----------
    Melvin J. Hinich, Prem P. Talwar. A Simple Method for Robust Regression. Journal of
    the American Statistical Association, 1975.

    Examples
    --------
    >>> from statlearn.weights import Talwar
    >>> Talwar()([0.0, -1.0, 3.0, 20.0]).round(3)
    array([2., 2., 0., 0.])
    """

    _kernel = kernels.TALWAR


class GemanMcClure(OneConstantRule):
    """Weigh residuals by the square of Cauchy weights.

    The loss is bounded and smooth, and no row loses all of its weight.

    Parameters
    ----------
    c : float, default=None
        Where the weight is one quarter. None stands for 3.7874, 95 %
        efficient.
    efficiency : float, default=None
        Efficiency at normal errors, between 0 and 1, in place of `c`.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with residuals that are NaN or infinite.

    Attributes
    ----------
    monotone : bool
        False: psi falls again.

    See Also
    --------
    geman_mcclure_weights : The function on arrays.
    Cauchy : With a loss that has no bound.
    scipy.optimize.least_squares : Takes such a loss as a callable.

    References
    ----------
    Stuart Geman, Donald E. McClure. Statistical Methods for Tomographic Image
    Reconstruction. Bulletin of the International Statistical Institute, 1987.

    Examples
    --------
    >>> from statlearn.weights import GemanMcClure
    >>> GemanMcClure()([0.0, -1.0, 3.0, 20.0]).round(3)
    array([1.776, 1.552, 0.67 , 0.002])
    """

    _kernel = kernels.GEMAN_MCCLURE
