"""Which weights look scale invariant, and the part of an update along them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from statlearn.neural._precision import (
    HALF,
    wide_dtype,
    widened,
    without_autocast,
)
from statlearn.utils._numbers import real_number

View = Literal["channel", "layer"]


@torch.no_grad()
def is_scale_invariant(
    param: Tensor, grad: Tensor, *, delta: float = 0.1, eps: float = 1e-8
) -> View | None:
    r"""Tell whether a weight looks as if only its direction mattered.

    The gradient of a loss that does not depend on the length of a weight is orthogonal
    to it. This looks at the rows of the first axis, then at the tensor as one row.

    Parameters
    ----------
    param : Tensor of shape (n_rows, ...)
        Weight, before the step.
    grad : Tensor of the shape of `param`
        Its gradient at this point, not a momentum of it.
    delta : float, default=0.1
        Tolerance of the cosine, in units of :math:`1/\sqrt{D}` for rows of length D,
        which is the typical cosine of two random directions.
    eps : float, default=1e-8
        Least length that a row is divided by.

    Returns
    -------
    view : {"channel", "layer"} or None
        "channel" if every row is orthogonal to its gradient, else "layer" if the tensor
        is; None for neither, and for tensors with fewer than two axes.

    Raises
    ------
    TypeError
        If an argument is no dense tensor of real floating point numbers, or one has
        another precision than `param`; half and single precision count as one.
    ValueError
        If shapes differ, or `delta` or `eps` is negative.

    See Also
    --------
    project_update : Apply the answer to an update.
    AdamP, SGDP : Ask this for each weight in each step.

    Notes
    -----
    A view with rows :math:`w_r` of length D passes if

    .. math:: \max_r \frac{|\langle g_r, w_r \rangle|}{\|g_r\|\,\|w_r\|}
              < \frac{\delta}{\sqrt{D}}.

    Rows without a gradient have cosine zero, so an embedding is judged by the rows that
    the batch has touched. The test can be fooled: with the default, a random gradient
    passes the layer view in about 8 % of steps, and practically never that of many
    rows. It takes :math:`O(N)` and one pass over each tensor; on an accelerator it
    waits for the answer.

    References
    ----------
    Heo, Chun, Oh, Han, Yun, Kim, Uh and Ha, "AdamP: Slowing Down the Slowdown for
    Momentum Optimizers on Scale-invariant Weights", ICLR 2021.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural.optim import is_scale_invariant
    >>> weight = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    >>> is_scale_invariant(weight, torch.tensor([[4.0, -3.0], [1.0, 0.0]]))
    'channel'
    >>> is_scale_invariant(weight, torch.tensor([[4.0, -3.0], [1.0, 1.0]])) is None
    True
    """
    _check("is_scale_invariant", delta, eps, param, grad=grad)
    if param.ndim < 2 or param.numel() == 0:
        return None
    rows, slope = as_rows(param, param.shape[0]), as_rows(grad, param.shape[0])
    with without_autocast(param.device):
        return _find_view(rows, slope, delta, eps)[0]


@torch.no_grad()
def project_update(
    param: Tensor,
    grad: Tensor,
    update: Tensor,
    *,
    delta: float = 0.1,
    eps: float = 1e-8,
) -> tuple[Tensor, View | None]:
    r"""Return an update without the part that makes a scale-invariant weight longer.

    For optimizers of your own: `AdamP` and `SGDP` do this to what Adam and SGD propose.

    Parameters
    ----------
    param : Tensor of shape (n_rows, ...)
        Weight, before the step.
    grad : Tensor of the shape of `param`
        Its gradient at this point.
    update : Tensor of the shape of `param`
        What the optimizer wants to add or subtract, in any scale.
    delta : float, default=0.1
        Tolerance of the test, see `is_scale_invariant`.
    eps : float, default=1e-8
        Added to the length of a row before it is divided by.

    Returns
    -------
    update : Tensor of the shape of `param`
        A new tensor with the type of the given one.
    view : {"channel", "layer"} or None
        Rows by which it was projected; None if it was not.

    Raises
    ------
    TypeError
        If an argument is no dense tensor of real floating point numbers, or one has
        another precision than `param`; half and single precision count as one.
    ValueError
        If shapes differ, or `delta` or `eps` is negative.

    See Also
    --------
    is_scale_invariant : The test alone.
    AdamP, SGDP : Optimizers with this projection.

    Notes
    -----
    Each row :math:`q_r` of the view that passes becomes

    .. math:: q_r - \hat w_r \langle \hat w_r, q_r \rangle, \qquad
              \hat w_r = \frac{w_r}{\|w_r\| + \varepsilon},

    so a row of zeros leaves its update as it is. This takes :math:`O(N)`. Half
    precision is computed in float32.

    References
    ----------
    Heo, Chun, Oh, Han, Yun, Kim, Uh and Ha, "AdamP: Slowing Down the Slowdown for
    Momentum Optimizers on Scale-invariant Weights", ICLR 2021.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural.optim import project_update
    >>> weight = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    >>> grad = torch.tensor([[4.0, -3.0], [1.0, 0.0]])
    >>> project_update(weight, grad, torch.ones(2, 2))
    (tensor([[ 0.1600, -0.1200],
            [ 1.0000,  0.0000]]), 'channel')
    """
    _check("project_update", delta, eps, param, grad=grad, update=update)
    if param.ndim < 2 or param.numel() == 0:
        return update.clone(), None
    rows, slope, proposal = (
        as_rows(tensor, param.shape[0]) for tensor in (param, grad, update)
    )
    with without_autocast(param.device):
        view, norm = _find_view(rows, slope, delta, eps)
        if view is None:
            return update.clone(), None
        if view == "layer":
            rows, proposal = rows.view(1, -1), proposal.view(1, -1)
        kept = proposal.clone()
        remove_rows([rows], [kept], [norm], eps)
    return kept.view(param.shape).to(update.dtype), view


@dataclass(frozen=True, slots=True)
class RowSums:
    """Sums over rows, from which the test and the projection follow.

    Attributes
    ----------
    inner : Tensor of shape (n_rows,)
        Inner products of weight and gradient.
    grad_norm, weight_norm : Tensor of shape (n_rows,)
        Euclidean lengths.
    """

    inner: Tensor
    grad_norm: Tensor
    weight_norm: Tensor

    def cosine(self, eps: float) -> Tensor:
        """Return the absolute cosine of weight and gradient of each row, (n_rows,)."""
        # One division after the other, as the product of two lengths can underflow.
        least = max(eps, torch.finfo(self.inner.dtype).tiny)
        cosine = self.inner.abs().div_(self.grad_norm.clamp_min(least))
        return cosine.div_(self.weight_norm.clamp_min(least))


def measure(weights: Sequence[Tensor], grads: Sequence[Tensor]) -> RowSums:
    """Return the sums over all rows of blocks, each (rows of the block, n_columns)."""
    norm = torch.linalg.vector_norm
    return RowSums(
        torch.cat([*map(torch.linalg.vecdot, weights, grads)]),
        torch.cat([norm(grad, dim=1) for grad in grads]),
        torch.cat([norm(weight, dim=1) for weight in weights]),
    )


def find_views(
    sums: RowSums, shapes: Sequence[tuple[int, int]], delta: float, eps: float
) -> list[tuple[View | None, Tensor]]:
    """Return the first view of each tensor that passes, and lengths of its rows.

    Waits for the device, twice at most for any number of tensors.

    Parameters
    ----------
    sums : RowSums
        Of the rows of all tensors.
    shapes : list of (int, int)
        Rows and columns of each tensor.
    delta, eps : float
        Tolerance of the test and least length.
    """
    n_rows = [rows for rows, _ in shapes]
    inner, grad_norms, weight_norms = (
        part.split(n_rows) for part in (sums.inner, sums.grad_norm, sums.weight_norm)
    )
    found: list[tuple[View | None, Tensor]] = []
    failed = []
    worst = [cosine.max() for cosine in sums.cosine(eps).split(n_rows)]
    for k, cosine in enumerate(torch.stack(worst).tolist()):
        passes = cosine < delta / math.sqrt(shapes[k][1])
        found.append(("channel" if passes else None, weight_norms[k]))
        if not passes:
            failed.append(k)
    if not failed:
        return found
    # A tensor as one row: sums of inner products, and lengths of lengths.
    merged = RowSums(
        torch.stack([inner[k].sum() for k in failed]),
        torch.stack(torch._foreach_norm([grad_norms[k] for k in failed])),
        torch.stack(torch._foreach_norm([weight_norms[k] for k in failed])),
    )
    for k, cosine, length in zip(
        failed, merged.cosine(eps).tolist(), merged.weight_norm.split(1), strict=True
    ):
        if cosine < delta / math.sqrt(math.prod(shapes[k])):
            found[k] = ("layer", length)
    return found


def remove_rows(
    weights: Sequence[Tensor],
    updates: Sequence[Tensor],
    weight_norms: Sequence[Tensor],
    eps: float,
    decay: float = 0.0,
) -> None:
    """Take from updates, in place, what they contain of each weight row.

    Parameters
    ----------
    weights, updates : list of Tensor of shape (n_rows, n_columns)
        Blocks of rows.
    weight_norms : list of Tensor of shape (n_rows,)
        Lengths of the rows of `weights`.
    eps : float
        Added to the lengths.
    decay : float
        Multiple of each weight row that is taken as well.
    """
    length = torch.cat([*weight_norms]).add_(eps)
    length.clamp_min_(torch.finfo(length.dtype).tiny)  # a row of zeros with eps=0
    share = torch.cat([*map(torch.linalg.vecdot, weights, updates)])
    share.div_(length).div_(length)
    if decay:
        share.add_(decay)
    parts = share.unsqueeze_(1).split([norm.shape[0] for norm in weight_norms])
    for weight, update, part in zip(weights, updates, parts, strict=True):
        update.addcmul_(weight, part, value=-1)


def is_plain(tensor: Tensor) -> bool:
    """Whether a tensor can be computed with as it is stored."""
    return tensor.dtype not in HALF and tensor.is_contiguous()


def as_rows(tensor: Tensor, n_rows: int) -> Tensor:
    """Return a tensor as contiguous rows (n_rows, D) of the type to compute in."""
    tensor = widened(tensor)
    if tensor.ndim == 2 and tensor.shape[0] == n_rows:
        return tensor.contiguous()
    return tensor.contiguous().view(n_rows, -1)


def _find_view(
    rows: Tensor, slope: Tensor, delta: float, eps: float
) -> tuple[View | None, Tensor]:
    """Return the view of one weight that passes, and the lengths of its rows."""
    shape = (rows.shape[0], rows.shape[1])
    return find_views(measure([rows], [slope]), [shape], delta, eps)[0]


def _check(
    caller: str, delta: float, eps: float, param: Tensor, **others: Tensor
) -> None:
    """Raise unless tensors are alike and the tolerances are no negative numbers."""
    for name, value in (("delta", delta), ("eps", eps)):
        require_at_least_zero(value, name, caller)
    for name, tensor in {"param": param, **others}.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"The '{name}' of {caller} must be a tensor. Got "
                f"{type(tensor).__name__}; pass torch.as_tensor({name})."
            )
        if not tensor.is_floating_point() or tensor.layout is not torch.strided:
            raise TypeError(
                f"The '{name}' of {caller} must be a dense tensor of a real floating "
                f"point type. Got {tensor.dtype} with the layout {tensor.layout}; pass "
                f"{name}.to_dense() or {name}.float()."
            )
        if wide_dtype(tensor.dtype) != wide_dtype(param.dtype):
            raise TypeError(
                f"The '{name}' of {caller} must be as precise as 'param', of type "
                f"{param.dtype}. Got {tensor.dtype}; pass {name}.to(param.dtype)."
            )
    for name, other in others.items():
        if other.shape != param.shape:
            raise ValueError(
                f"The '{name}' of {caller} must have the shape of 'param', "
                f"{tuple(param.shape)}. Got {tuple(other.shape)}; pass the {name} of "
                f"this parameter."
            )


def require_at_least_zero(value: object, name: str, caller: str) -> float:
    """Return a hyper-parameter as a float, or say that it must not be negative."""
    number = real_number(value, name, caller)
    if not number >= 0.0:
        raise ValueError(
            f"The '{name}' of {caller} must be a number >= 0. Got {number:g}; pass for "
            f"example 1e-3."
        )
    return number
