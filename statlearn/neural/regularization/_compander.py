"""The compander on arrays and tensors, there and back, and what it says of clipping."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from statlearn.exceptions import ClippedWeightsWarning
from statlearn.neural._precision import wide_dtype
from statlearn.neural.regularization._squash import (
    REACH,
    Pair,
    read_squash,
    squash_tensor,
    unsquash_tensor,
)
from statlearn.utils._arrays import is_tensor, to_float64
from statlearn.utils._numbers import positive_number
from statlearn.utils._warn import warn

Start = Literal["inverse", "direct"]

# What to do about a scale that is none.
SCALE_HINT = "pass for example 0.1"


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
        If `v` holds no real numbers, a scale is none, or `function` is of another kind.
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

    Gradients flow through tensors in reverse mode, second derivatives too. That of
    "power" is infinite at zero and taken at :math:`|v / b| = 0.001` below that. Time is
    O(n); between the passes only `v` is kept, for "tanh" and a trained `a` the result
    as well.

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
    tensor, restore = _as_tensor(v, "v", "compander")
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
        If `w` holds no real numbers, a scale is none, or `function` is of another kind.
    ValueError
        If a scale is not positive, a name is unknown, a pair does not fit together, its
        inverse is not finite, or with `strict` a number is too large.

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
    tensor, restore = _as_tensor(w, "w", "compander_inverse")
    height, width = _scales(a, b, tensor, "compander_inverse")
    v, n_clipped = unsquash_tensor(tensor, height, width, squash, "compander_inverse")
    report_clipped({"": (n_clipped, v.numel())}, strict, "compander_inverse")
    return restore(v)


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


def _as_tensor(
    values: Any, name: str, caller: str
) -> tuple[Tensor, Callable[[Tensor], Any]]:
    """Return a floating point tensor and the way back to the kind that was given."""
    if is_tensor(values) and not values.is_complex():
        floating = values.is_floating_point()
        return (values if floating else values.double()), lambda out: out
    try:
        if values is None or is_tensor(values):
            raise TypeError
        array, restore = to_float64(values)
    except TypeError as error:
        kind = getattr(values, "dtype", type(values).__name__)
        raise TypeError(
            f"The '{name}' of {caller} must hold real numbers. Got {kind}; convert its "
            f"values to numbers first."
        ) from error
    # A copy, because the steps of an array may be negative, and those of a tensor not.
    return torch.from_numpy(array.copy()), lambda out: restore(out.detach().numpy())
