"""Squashing functions, and the map a psi(v / b) in both directions with its gradient.

A squashing function psi is odd and increasing. What is known of each is its value at
v / b, its inverse, how a gradient passes w = a psi(v / b), its limit and its slope at
zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import Signature
from math import inf, isfinite, isnan, pi, sqrt
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function

from statlearn.neural._precision import widened

Pair = tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]

# Inverses run to infinity at the bound; this share of it is as far as they go.
REACH = 0.999
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
    pull : callable or None
        (v, w, a, b, g) -> g a psi'(v / b) / b, the gradient by v of one g by w, a new
        tensor; None leaves it to autograd.
    limit : float
        Supremum of psi, perhaps infinite.
    steepness : float
        Its slope at zero, perhaps infinite.
    reads_output : bool
        Whether `pull` looks at w; v alone is there anyway.
    """

    value: Callable[[Tensor, Tensor], Tensor]
    inverse: Callable[[Tensor], Tensor]
    pull: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor] | None
    limit: float
    steepness: float
    reads_output: bool = False


def _spares_memory() -> bool:
    """Say whether to work in place: nothing is recorded, and no compiler does it.

    New memory of a weight's size costs more than a pass over it.
    """
    return not (torch.is_grad_enabled() or torch.compiler.is_compiling())


def _times(slope: Tensor, g: Tensor) -> Tensor:
    return slope.mul_(g) if _spares_memory() else slope * g


# Ratios are squared, because the square of a scale may be zero or infinite.
def _arctan_pull(v: Tensor, w: Tensor, a: Tensor, b: Tensor, g: Tensor) -> Tensor:
    x = v / b
    if not _spares_memory():
        return g / (1.0 + x.square()) * (a / b)
    torch.addcmul(b / b, x, x, out=x)
    return torch.div(g, x, out=x).mul_(a / b)


def _tanh_pull(v: Tensor, w: Tensor, a: Tensor, b: Tensor, g: Tensor) -> Tensor:
    return _times((a - w * (w / a)) / b, g)


def _softsign_pull(v: Tensor, w: Tensor, a: Tensor, b: Tensor, g: Tensor) -> Tensor:
    x = v / b
    if not _spares_memory():
        return g / (1.0 + x.abs()).square() * (a / b)
    x.abs_().add_(1.0).square_()
    return torch.div(g, x, out=x).mul_(a / b)


def _erf_pull(v: Tensor, w: Tensor, a: Tensor, b: Tensor, g: Tensor) -> Tensor:
    return _times((2.0 / sqrt(pi)) * (a / b) * torch.exp(-(v / b).square()), g)


def _root(v: Tensor, b: Tensor) -> Tensor:
    return torch.sign(v) * (v / b).abs().sqrt()


def _root_pull(v: Tensor, w: Tensor, a: Tensor, b: Tensor, g: Tensor) -> Tensor:
    return _times(0.5 * (a / b) * (v / b).abs().clamp(min=_STEEPEST).rsqrt(), g)


SQUASHES = {
    # One pass for the quotient and its angle, and no overflow in between.
    "arctan": Squash(torch.atan2, torch.tan, _arctan_pull, pi / 2, 1.0),
    "erf": Squash(
        lambda v, b: torch.erf(v / b), torch.erfinv, _erf_pull, 1.0, 2.0 / sqrt(pi)
    ),
    "power": Squash(_root, lambda y: y * y.abs(), _root_pull, inf, inf),
    "softsign": Squash(
        lambda v, b: v / (v.abs() + b),
        lambda y: y / (1.0 - y.abs()),
        _softsign_pull,
        1.0,
        1.0,
    ),
    "tanh": Squash(
        lambda v, b: torch.tanh(v / b),
        torch.atanh,
        _tanh_pull,
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
    if any(map(isnan, far)):
        raise ValueError(
            f"The pair 'function' of {caller} must be defined for every number. Got "
            f"{far} at 1e20 and 1e30; write it without a quotient of two infinities."
        )
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
        by_v = ctx.squash.pull(v, w, a, b, grad)
        by_a = (grad * w).sum() / a if ctx.needs_input_grad[1] else None
        by_b = -(by_v * v).sum() / b if ctx.needs_input_grad[2] else None
        return by_v, by_a, by_b, None


def squash_tensor(v: Tensor, a: Tensor, b: Tensor, squash: Squash) -> Tensor:
    """Return a psi(v / b) for a floating point tensor and a, b without axes."""
    kind = v.dtype
    v = widened(v)
    if a.dtype is not v.dtype or a.device != v.device:
        a, b = a.to(v), b.to(v)
    if squash.pull is None or _is_compiled_without_gradient(v, a, b):
        w = a * squash.value(v, b)
    else:
        w = _Compand.apply(v, a, b, squash)
    return w.to(kind)


def _is_compiled_without_gradient(*tensors: Tensor) -> bool:
    """Say whether a compiler would look into a Function, which it cannot with ours."""
    return torch.compiler.is_compiling() and not (
        torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    )


def unsquash_tensor(
    w: Tensor, a: Tensor, b: Tensor, squash: Squash, caller: str
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
    v = (b * squash.inverse(y)).to(kind)
    if lost := int((w.isfinite() & ~v.isfinite()).sum()):
        raise ValueError(
            f"{caller} must find a finite number for each finite weight. Got none for "
            f"{lost} of {v.numel()} in {kind}; pass a larger 'a' or a smaller 'b', or "
            f"correct the inverse in a pair 'function'."
        )
    return v, n_clipped
