"""Squashing functions, and the map a psi(v / b) in both directions with its gradient.

A squashing function psi is odd and increasing. What is known of each is its value at
v / b, its inverse, the slope of w = a psi(v / b), its limit and its slope at zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import Signature
from math import inf, isfinite, pi, sqrt
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function

from statlearn.exceptions import ClippedWeightsWarning
from statlearn.neural._precision import wide_dtype, widened
from statlearn.utils._arrays import is_tensor, to_float64
from statlearn.utils._numbers import positive_number
from statlearn.utils._warn import warn

Start = Literal["inverse", "direct"]
Pair = tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]

# Inverses run to infinity at the bound; this share of it is as far as they go.
REACH = 0.999
# What to do about a scale that is none.
SCALE_HINT = "pass for example 0.1"
# The square root is infinitely steep at zero, its gradient no steeper than here.
_STEEPEST = 1e-3


@dataclass(frozen=True)
class Squash:
    """An odd and increasing function psi.

    Attributes
    ----------
    value : callable
        (v, b) -> psi(v / b).
    inverse : callable
        y -> x with psi(x) = y, for sizes of y below `limit`.
    slope : callable or None
        (v, w, a, b) -> a psi'(v / b) / b, a new tensor; None leaves the gradient to
        autograd.
    limit : float
        Supremum of psi, perhaps infinite.
    steepness : float
        Its slope at zero, perhaps infinite.
    reads_output : bool
        Whether `slope` looks at w; v alone is there anyway.
    """

    value: Callable[[Tensor, Tensor], Tensor]
    inverse: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] | None
    limit: float
    steepness: float
    reads_output: bool = False


def _arctan_slope(v: Tensor, w: Tensor, a: Tensor, b: Tensor) -> Tensor:
    spread = torch.addcmul(b * b, v, v)
    if torch.is_grad_enabled():
        return torch.div(a * b, spread)
    # New memory of a weight's size costs more than a pass over it.
    return spread.reciprocal_().mul_(a * b)


def _tanh_slope(v: Tensor, w: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return (a - w * (w / a)) / b


def _softsign_slope(v: Tensor, w: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return a * b / (v.abs() + b).square()


def _erf_slope(v: Tensor, w: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return (2.0 / sqrt(pi)) * (a / b) * torch.exp(-(v / b).square())


def _root(v: Tensor, b: Tensor) -> Tensor:
    return torch.sign(v) * (v / b).abs().sqrt()


def _root_slope(v: Tensor, w: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return 0.5 * (a / b) * (v / b).abs().clamp(min=_STEEPEST).rsqrt()


SQUASHES = {
    # One pass for the quotient and its angle, and no overflow in between.
    "arctan": Squash(torch.atan2, torch.tan, _arctan_slope, pi / 2, 1.0),
    "erf": Squash(
        lambda v, b: torch.erf(v / b), torch.erfinv, _erf_slope, 1.0, 2.0 / sqrt(pi)
    ),
    "power": Squash(_root, lambda y: y * y.abs(), _root_slope, inf, inf),
    "softsign": Squash(
        lambda v, b: v / (v.abs() + b),
        lambda y: y / (1.0 - y.abs()),
        _softsign_slope,
        1.0,
        1.0,
    ),
    "tanh": Squash(
        lambda v, b: torch.tanh(v / b),
        torch.atanh,
        _tanh_slope,
        1.0,
        1.0,
        reads_output=True,
    ),
}


def read_squash(function: str | Pair, caller: str) -> Squash:
    """Return a squashing function by its name, or from a pair that was checked."""
    if isinstance(function, str) and function in SQUASHES:
        return SQUASHES[function]
    if isinstance(function, tuple) and len(function) == 2:
        forward, inverse = function
        if callable(forward) and callable(inverse):
            return _from_pair(forward, inverse, caller)
    kind = ValueError if isinstance(function, str) else TypeError
    raise kind(
        f"The 'function' of {caller} must be one of {', '.join(map(repr, SQUASHES))}, "
        f"or a pair of callables (forward, inverse). Got {function!r}; pass 'arctan'."
    )


def _from_pair(
    forward: Callable[[Tensor], Tensor],
    inverse: Callable[[Tensor], Tensor],
    caller: str,
) -> Squash:
    x = torch.tensor([-2.0, -0.5, -1e-3, 0.0, 1e-3, 0.5, 2.0], dtype=torch.float64)
    y = forward(x)
    fits = (
        isinstance(y, Tensor)
        and y.shape == x.shape
        and torch.allclose(y, -y.flip(0), rtol=1e-9, atol=1e-12)
        and bool((y.diff() > 0).all())
        and torch.allclose(inverse(y), x, rtol=1e-6, atol=1e-9)
    )
    if not fits:
        raise ValueError(
            f"The pair 'function' of {caller} must be an odd, increasing function of "
            f"a tensor and its inverse. Got {y} at {x}; correct the two."
        )
    far = forward(torch.tensor([1e20, 1e30], dtype=torch.float64)).tolist()
    settled = isfinite(far[1]) and far[1] - far[0] <= 1e-9 * far[1]
    return Squash(
        lambda v, b: forward(v / b),
        inverse,
        None,
        far[1] if settled else inf,
        float(y[4] / x[4]),
    )


def _forward(v: Tensor, a: Tensor, b: Tensor, squash: Squash) -> Tensor:
    return squash.value(v, b).mul_(a)


class _InOrder(Signature):
    """Signature of a function whose arguments always come in their order.

    PyTorch binds the arguments of each call of a Function to names, which takes longer
    than the map of a small weight; ours are all given, and by position.
    """

    def bind(self, *args: Any) -> Any:  # type: ignore[override]
        """Return the arguments as they came."""
        return _Bound(args)


class _Bound(NamedTuple):
    """What PyTorch reads of bound arguments."""

    args: tuple[Any, ...]

    @property
    def kwargs(self) -> dict[str, Any]:
        """Return no named arguments."""
        return {}

    def apply_defaults(self) -> None:
        """Leave all as it is: nothing has a default."""


_forward.__signature__ = _InOrder()  # type: ignore[attr-defined]


class _Compand(Function):
    """w = a psi(v / b), whose gradient needs no tensor beyond those that exist.

    Autograd would keep v / b and psi(v / b), each of the size of the weight. The
    backward pass is made of differentiable operations, so that it has gradients too.
    """

    generate_vmap_rule = True

    forward = staticmethod(_forward)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        v, a, b, squash = inputs
        ctx.squash = squash
        kept = squash.reads_output or ctx.needs_input_grad[1]
        ctx.save_for_backward(v, a, b, output if kept else None)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        v, a, b, w = ctx.saved_tensors
        slope = ctx.squash.slope(v, w, a, b)
        by_v = slope * grad if torch.is_grad_enabled() else slope.mul_(grad)
        by_a = (grad * w).sum() / a if ctx.needs_input_grad[1] else None
        by_b = -(by_v * v).sum() / b if ctx.needs_input_grad[2] else None
        return by_v, by_a, by_b, None


def squash_tensor(v: Tensor, a: Tensor, b: Tensor, squash: Squash) -> Tensor:
    """Return a psi(v / b) for a floating point tensor and a, b without axes."""
    kind = v.dtype
    v = widened(v)
    if a.dtype is not v.dtype or a.device != v.device:
        a, b = a.to(v), b.to(v)
    if squash.slope is None:
        w = a * squash.value(v, b)
    else:
        w = _Compand.apply(v, a, b, squash)
    return w.to(kind)


def unsquash_tensor(
    w: Tensor, a: Tensor, b: Tensor, squash: Squash
) -> tuple[Tensor, int]:
    """Return b psi^-1(w / a), and how many weights were too large for it."""
    kind = w.dtype
    w = widened(w)
    a, b = a.to(w), b.to(w)
    y = w / a
    n_clipped = 0
    if isfinite(squash.limit):
        limit = REACH * squash.limit
        n_clipped = int((y.abs() >= limit).sum())
        y = y.clamp(-limit, limit)
    return (b * squash.inverse(y)).to(kind), n_clipped


def report_clipped(
    counts: dict[str, tuple[int, int]], strict: bool, caller: str
) -> None:
    """Warn, or raise, about weights at their bound: (clipped, all) of each tensor."""
    counts = {name: both for name, both in counts.items() if both[0]}
    if not counts:
        return
    n_clipped = sum(clipped for clipped, _ in counts.values())
    n_all = sum(total for _, total in counts.values())
    message = (
        f"{caller} needs weights below {REACH} of the bound. Got {n_clipped} of "
        f"{n_all} ({n_clipped / n_all:.1%}) at or beyond it"
        f"{' in ' + ', '.join(counts) if any(counts) else ''}"
    )
    if strict:
        raise ValueError(f"{message}; pass a larger 'a', or strict=False to clip them.")
    warn(
        f"{message}, which were clipped; pass a larger 'a' (compand: a='auto') to "
        f"keep them.",
        ClippedWeightsWarning,
    )


def check_start(init: Any, caller: str) -> None:
    """Raise unless a start is one of the two."""
    if init not in ("inverse", "direct"):
        raise ValueError(
            f"The 'init' of {caller} must be 'inverse' or 'direct'. Got {init!r}; "
            f"choose 'inverse' to leave the outputs of the model as they are."
        )


def _scales(a: Any, b: Any, like: Tensor, caller: str) -> tuple[Tensor, Tensor]:
    kind = wide_dtype(like.dtype)
    checked = []
    for name, value in (("a", a), ("b", b)):
        plain = value.detach() if is_tensor(value) else value
        number = positive_number(plain, name, caller, SCALE_HINT)
        # A tensor keeps its gradient.
        checked.append(
            value.reshape(())
            if is_tensor(value)
            else torch.tensor(number, dtype=kind, device=like.device)
        )
    return checked[0], checked[1]


def _as_tensor(values: Any) -> tuple[Tensor, Callable[[Tensor], Any]]:
    """Return a floating point tensor and the way back to the kind that was given."""
    if is_tensor(values):
        floating = values.is_floating_point()
        return (values if floating else values.double()), lambda out: out
    array, restore = to_float64(values)
    return torch.tensor(array), lambda out: restore(out.detach().numpy())


def compander(v: Any, a: Any, b: Any, function: str | Pair = "arctan") -> Any:
    r"""Squash numbers: bounded, and steep at zero.

    Parameters
    ----------
    v : array-like or Tensor
        Numbers of any shape. Half precision is computed in single precision.
    a : float or Tensor
        Height, positive: what the function tends to is a times the limit of psi. A
        tensor of one number gets a gradient.
    b : float or Tensor
        Width, positive: how far from zero the function bends.
    function : str or pair of callable, default="arctan"
        The function psi, "arctan", "erf", "power" (the signed square root, which has no
        bound), "softsign" or "tanh". Or a pair (psi, inverse of psi), of tensors, odd
        and increasing.

    Returns
    -------
    w : ndarray or Tensor
        :math:`a \psi(v / b)`, of the shape and type of `v`; double precision for
        integers and lists.

    Raises
    ------
    TypeError
        If a scale is no number, or `function` of another kind.
    ValueError
        If a scale is not positive, a name is unknown, or a pair does not fit together.

    See Also
    --------
    compander_inverse : The way back.
    WeightCompander : The same on the weights of a layer.
    torch.atan : The default function without scales.

    Notes
    -----
    For the arctangent :math:`|w| < a \pi / 2` and

    .. math:: \frac{\partial w}{\partial v} = \frac{ab}{b^2 + v^2}
              = \frac{a}{b} \cos^2\frac{w}{a}, \quad
              \frac{\partial w}{\partial a} = \arctan\frac{v}{b}, \quad
              \frac{\partial w}{\partial b} = \frac{-av}{b^2 + v^2}.

    Gradients flow through tensors, second derivatives too. That of "power" is infinite
    at zero and taken at :math:`|v / b| = 0.001` below that. Time is O(n); between the
    passes only `v` is kept, for "tanh" and a trained `a` the result as well.

    References
    ----------
    Rinor Cakaj, Jens Mehnert, Bin Yang. Weight Compander: A Simple Weight
    Reparameterization for Regularization. arXiv 2306.16993, 2023.

    Examples
    --------
    >>> from statlearn.neural.regularization import compander
    >>> compander([-1.0, 0.0, 0.05, 1.0], 0.2, 0.1).round(4)
    array([-0.2942,  0.    ,  0.0927,  0.2942])
    """
    squash = read_squash(function, "compander")
    tensor, restore = _as_tensor(v)
    height, width = _scales(a, b, tensor, "compander")
    return restore(squash_tensor(tensor, height, width, squash))


def compander_inverse(
    w: Any,
    a: Any,
    b: Any,
    function: str | Pair = "arctan",
    *,
    strict: bool = False,
) -> Any:
    r"""Return the numbers that :func:`compander` squashes to those given.

    Parameters
    ----------
    w : array-like or Tensor
        Numbers of any shape, in size below the bound.
    a, b : float or Tensor
        Height and width, positive.
    function : str or pair of callable, default="arctan"
        As for :func:`compander`.
    strict : bool, default=False
        Whether numbers at or beyond 0.999 of the bound raise; else they are clipped
        there, and a warning counts them.

    Returns
    -------
    v : ndarray or Tensor
        :math:`b \psi^{-1}(w / a)`, of the shape and type of `w`.

    Raises
    ------
    TypeError
        If a scale is no number, or `function` of another kind.
    ValueError
        If a scale is not positive, a name is unknown, a pair does not fit together, or
        with `strict` a number is too large.

    Warns
    -----
    ClippedWeightsWarning
        If numbers were clipped.

    See Also
    --------
    compander : The way there.
    torch.tan : The inverse of the default function.

    Notes
    -----
    The inverse of the arctangent, :math:`b \tan(w / a)`, runs to infinity at the bound
    and rounding could carry it to the other side; hence the distance that is kept.

    References
    ----------
    Rinor Cakaj, Jens Mehnert, Bin Yang. Weight Compander: A Simple Weight
    Reparameterization for Regularization. arXiv 2306.16993, 2023.

    Examples
    --------
    >>> from statlearn.neural.regularization import compander, compander_inverse
    >>> v = compander_inverse([0.05, 0.1, 0.31], 0.2, 0.1)
    >>> v.round(4)
    array([0.0255, 0.0546, 4.8078])
    >>> compander(v, 0.2, 0.1).round(4)
    array([0.05, 0.1 , 0.31])
    """
    squash = read_squash(function, "compander_inverse")
    tensor, restore = _as_tensor(w)
    height, width = _scales(a, b, tensor, "compander_inverse")
    v, n_clipped = unsquash_tensor(tensor, height, width, squash)
    report_clipped({"": (n_clipped, v.numel())}, strict, "compander_inverse")
    return restore(v)
