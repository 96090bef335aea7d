"""Bounded weights: each stored number v is used as w = a psi(v / b)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from statlearn.neural._weight_map import WeightMap
from statlearn.neural.regularization._compander import (
    SCALE_HINT,
    Start,
    check_start,
    report_clipped,
)
from statlearn.neural.regularization._squash import (
    Pair,
    read_squash,
    squash_tensor,
    unsquash_tensor,
)
from statlearn.utils._numbers import positive_number


class WeightCompander(WeightMap):
    r"""Map that keeps weights below a bound and moves small ones faster.

    Put on a layer by :func:`compand`, or by hand through
    ``torch.nn.utils.parametrize.register_parametrization``. Use it to have weights that
    are bounded and less crowded at zero, and a network that forgives a learning rate
    that is too high.

    It is no substitute for tuning. In our runs (digits with 15 % wrong labels) it adds
    9 points of accuracy at a learning rate that is too high, and a plain network at a
    lower learning rate reaches the same. Without wrong labels it gains nothing. With
    trained scales the bound widens until the wrong labels are fitted.

    Parameters
    ----------
    a : float, default=1.0
        Height, positive: the weights stay below a times the limit of the function,
        :math:`a \pi / 2` for the arctangent.
    b : float, default=1.0
        Width, positive. The slope at zero is a / b for most functions; equal scales
        leave small weights as they are.
    function : str or pair of callable, default="arctan"
        "arctan", "erf", "power" (signed square root, without bound), "softsign",
        "tanh", or a pair (psi, its inverse).
    learnable : bool, default=False
        Whether a and b are trained, as the logarithms of their ratio to where they
        started.
    init : {"inverse", "direct"}, default="inverse"
        What is stored when a weight is assigned: the number that maps to it, so that
        the layer is unchanged, or the weight itself, which is then squashed.
    strict : bool, default=False
        Whether a weight at or beyond 0.999 of the bound raises in the inverse start;
        else it is clipped there, with a warning.
    dtype : torch.dtype, default=None
        Type of the scales; None for the default type of torch.

    Attributes
    ----------
    a, b : Tensor without axes
        Height and width now.
    bound : Tensor without axes
        What no weight exceeds.
    log_a, log_b : Parameter without axes, or None
        With `learnable`, logarithms of a and b over their start; zero at first.

    See Also
    --------
    compand : Puts the map on the layers of a model.
    compander : The function on arrays.
    torch.nn.utils.parametrizations.weight_norm : Length and direction apart.

    Notes
    -----
    The map is :math:`w = a \psi(v / b)`, and v is trained. A step of size :math:`\eta`
    against the gradient moves w by about

    .. math:: -\eta \left(\frac{\partial w}{\partial v}\right)^2
              \frac{\partial L}{\partial w}
              = -\eta \frac{a^2}{b^2} \cos^4\!\left(\frac{w}{a}\right)
              \frac{\partial L}{\partial w}

    for the arctangent: most at zero, nothing at the bound. The ratio of the scales acts
    like a learning rate multiplied by its square, so compare at equal scales or with
    tuned rates. The weight decay of an optimizer shrinks v.

    Trained scales would be pushed by a sum over all weights, and diverge; their
    gradient is divided by the square root of the number of weights. A weight decay on
    `log_a` and `log_b` pulls the scales towards their start.

    A step costs one function of each weight more and its slope: three to five
    nanoseconds a weight on one core for the arctangent, where a plain step on 50 rows
    takes some fifteen, and about a tenth of a millisecond a layer. So small perceptrons
    and batches train up to twice as long, large ones a third longer; convolutions,
    which use a weight at every pixel, about a tenth. Compiled with the model, that is a
    quarter for all perceptrons, and nothing for convolutions. A layer that is used
    several times in a step computes its weight once within
    ``torch.nn.utils.parametrize.cached()``. The state is two numbers, four with
    `learnable`. Half precision is computed in single precision.

    The paper's function was not available to us in full: the arctangent with two scales
    is our reading of it, and the other functions, the inverse start and the logarithms
    are ours.

    References
    ----------
    Rinor Cakaj, Jens Mehnert, Bin Yang. Weight Compander: A Simple Weight
    Reparameterization for Regularization. arXiv 2306.16993, 2023.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from torch.nn.utils.parametrize import register_parametrization
    >>> from statlearn.neural.regularization import WeightCompander
    >>> layer = nn.Linear(4, 2)
    >>> before = layer.weight.detach().clone()
    >>> wc = WeightCompander(a=0.5, b=0.5)
    >>> layer = register_parametrization(layer, "weight", wc)
    >>> torch.allclose(layer.weight, before, atol=1e-6), float(wc.bound)
    (True, 0.785...)
    """

    trains_base: ClassVar[bool] = True

    start_a: Tensor
    start_b: Tensor
    # Number of weights that share the scales, where these are trained; None for one
    # tensor's. And whether clipping is told, which compand does for all layers at once.
    _n_shared: int | None = None
    _tells: bool = True

    def __init__(
        self,
        a: float = 1.0,
        b: float = 1.0,
        *,
        function: str | Pair = "arctan",
        learnable: bool = False,
        init: Start = "inverse",
        strict: bool = False,
        dtype: torch.dtype | None = None,
    ) -> None:
        height = positive_number(a, "a", "WeightCompander", SCALE_HINT)
        width = positive_number(b, "b", "WeightCompander", SCALE_HINT)
        squash = read_squash(function, "WeightCompander")
        check_start(init, "WeightCompander")
        super().__init__()
        self.function, self.learnable = function, learnable
        self.init, self.strict = init, strict
        self._squash = squash
        self.register_buffer("start_a", torch.tensor(height, dtype=dtype))
        self.register_buffer("start_b", torch.tensor(width, dtype=dtype))
        self.log_a: nn.Parameter | None
        self.log_b: nn.Parameter | None
        for name in ("log_a", "log_b"):
            log = nn.Parameter(torch.zeros((), dtype=dtype)) if learnable else None
            self.register_parameter(name, log)

    @property
    def a(self) -> Tensor:
        """Height now.

        Returns
        -------
        Tensor without axes
            Positive.
        """
        return _scale(self.start_a, self.log_a)

    @property
    def b(self) -> Tensor:
        """Width now.

        Returns
        -------
        Tensor without axes
            Positive.
        """
        return _scale(self.start_b, self.log_b)

    @property
    def bound(self) -> Tensor:
        """What the size of no weight exceeds.

        Returns
        -------
        Tensor without axes
            Without a gradient; infinite for functions without bound.
        """
        return self.a.detach() * self._squash.limit

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weights that the layer uses.

        Parameters
        ----------
        weight : Tensor
            The stored numbers v.

        Returns
        -------
        Tensor
            Weights w = a psi(v / b), of the same shape and type.
        """
        a, b = self.start_a, self.start_b
        if self.learnable:
            factor = (self._n_shared or weight.numel()) ** -0.5
            a = _scale(a, self.log_a, factor)
            b = _scale(b, self.log_b, factor)
        return squash_tensor(weight, a, b, self._squash)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return what to store so that the layer uses given weights.

        Parameters
        ----------
        weight : Tensor
            Weights w.

        Returns
        -------
        Tensor
            Numbers v of the same shape and type; a copy of the weights for a direct
            start.
        """
        if self.init == "direct":
            return weight.clone()  # what is stored is trained, the caller's is not
        with torch.no_grad():
            v, n_clipped = unsquash_tensor(
                weight, self.a, self.b, self._squash, "WeightCompander"
            )
        if self._tells:
            counts = {"": (n_clipped, v.numel())}
            report_clipped(counts, self.strict, "WeightCompander")
        return v

    def extra_repr(self) -> str:
        """Return the scales and the function for the representation of a module.

        Returns
        -------
        str
            Without the name of the class.
        """
        text = f"a={self.a.item():.4g}, b={self.b.item():.4g}"
        name = self.function if isinstance(self.function, str) else "pair"
        return f"{text}, function={name}, learnable={self.learnable}"


def _scale(start: Tensor, log: Tensor | None, factor: float = 1.0) -> Tensor:
    """Return start exp(log), with the gradient by log multiplied by a factor."""
    if log is None:
        return start
    if factor != 1.0:
        log = factor * log + (1.0 - factor) * log.detach()
    return start * torch.exp(log)
