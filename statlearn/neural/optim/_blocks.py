"""Parameters as blocks of rows that are small enough to stay in the cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from statlearn.neural.optim._projection import (
    View,
    as_rows,
    find_views,
    is_plain,
    measure,
)

# Entries of one array of a block. Five arrays of 0.5 MB are in use at a time: with
# smaller blocks the calls cost more than the cache saves, larger ones leave it.
BLOCK_SIZE = 2**17


@dataclass(slots=True)
class Block:
    """Rows of a parameter with all that a step needs for them.

    Attributes
    ----------
    weight, grad : Tensor
        Contiguous, in single or double precision, (n_rows, n_columns) if they are to
        be projected.
    states : list of Tensor
        Of the same shape, such as momenta.
    step : Tensor or None
        Number of steps before this one, a scalar.
    weight_norm : Tensor of shape (n_rows,) or None
        Lengths of the rows of the weight; None if the update is taken as it is.
    borrowed : list of (Tensor, Tensor)
        Tensors that `weight` and `states` had to be copied from, with the copies.
    """

    weight: Tensor
    grad: Tensor
    states: list[Tensor]
    step: Tensor | None
    weight_norm: Tensor | None = None
    borrowed: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def give_back(self) -> None:
        """Write the results into what they were copied from."""
        for tensor, rows in self.borrowed:
            tensor.copy_(rows.view(tensor.shape))


class Job:
    """One parameter of a step.

    Attributes
    ----------
    tensors : list of Tensor
        Weight, gradient and states, of one shape that is not empty.
    step : Tensor or None
        Number of steps before this one.
    """

    __slots__ = ("step", "tensors")

    def __init__(
        self,
        weight: Tensor,
        grad: Tensor,
        states: Sequence[Tensor],
        step: Tensor | None,
    ) -> None:
        self.tensors, self.step = _by_memory([weight, grad, *states]), step

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the channel view."""
        weight = self.tensors[0]
        n_rows = weight.shape[0]
        return n_rows, weight.numel() // n_rows

    def rows(self, which: int) -> list[Tensor]:
        """Return the weight (0) or the gradient (1) as blocks of rows."""
        parts = self._split(self.tensors[which])
        return [as_rows(part, part.shape[0]) for part in parts]

    def blocks(self, view: View | None, weight_norm: Tensor | None) -> Iterator[Block]:
        """Yield the blocks of the parameter for the view that passed, if any."""
        if view is None:
            yield _block(self.tensors, None, self.step)
        elif view == "layer" or self.tensors[0].numel() <= BLOCK_SIZE:
            yield _block(self.tensors, weight_norm, self.step)
        elif weight_norm is not None:
            norms = self._split(weight_norm)
            parts = zip(*map(self._split, self.tensors), strict=True)
            for part, norm in zip(parts, norms, strict=True):
                step = None if self.step is None else self.step.clone()
                yield _block(part, norm, step)
            if self.step is not None:
                self.step += 1  # the kernels count up the copies

    def _split(self, tensor: Tensor) -> Sequence[Tensor]:
        """Return blocks of the first axis, one if the parameter is small."""
        if self.tensors[0].numel() <= BLOCK_SIZE:
            return (tensor,)
        return tensor.split(max(1, BLOCK_SIZE // self.shape[1]))


def make_blocks(jobs: Sequence[Job], *, delta: float, eps: float) -> Iterator[Block]:
    """Yield the blocks of parameters, after the tests for scale invariance.

    The parameters are on one device and of one type.
    """
    matrices = [job for job in jobs if job.tensors[0].ndim > 1]
    found: dict[int, tuple[View | None, Tensor]] = {}
    if matrices:
        weights, grads = (
            [rows for job in matrices for rows in job.rows(which)] for which in (0, 1)
        )
        shapes = [job.shape for job in matrices]
        views = find_views(measure(weights, grads), shapes, delta, eps)
        found = {id(job): view for job, view in zip(matrices, views, strict=True)}
    for job in jobs:
        yield from job.blocks(*found.get(id(job), (None, None)))


def _block(
    tensors: Sequence[Tensor], weight_norm: Tensor | None, step: Tensor | None
) -> Block:
    """Make a block of (weight, grad, *states), views of them where that is possible."""
    plain = [is_plain(tensor) for tensor in tensors]
    if weight_norm is None and all(plain):
        weight, grad, *states = tensors
        return Block(weight, grad, states, step)
    n_rows = 1 if weight_norm is None else weight_norm.shape[0]
    parts = [as_rows(tensor, n_rows) for tensor in tensors]
    borrowed = [
        (tensors[k], parts[k]) for k in range(len(parts)) if k != 1 and not plain[k]
    ]
    weight, grad, *states = parts
    return Block(weight, grad, states, step, weight_norm, borrowed)


def _by_memory(tensors: list[Tensor]) -> list[Tensor]:
    """Return tensors with their later axes in the order that the first is stored in.

    Lengths and inner products of rows do not depend on it, and what is stored with the
    channels last becomes contiguous.
    """
    first = tensors[0]
    if first.is_contiguous():
        return tensors
    axes = sorted(range(first.ndim), key=first.stride().__getitem__, reverse=True)
    return [tensor.permute(axes) for tensor in tensors] if axes[0] == 0 else tensors
