"""The processes that train one model together, as far as the loop needs them.

Each process computes the sum of its rows' weighted losses, divided by the total weight
of all processes; the sum of their gradients is then the gradient of the weighted mean
over all rows. Torch averages gradients, hence a factor of `size`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


class World:
    """The processes of the default group; without one, this process alone.

    Parameters
    ----------
    device : torch.device
        Of the model; NCCL exchanges tensors on it, other backends on the CPU.
    """

    def __init__(self, device: torch.device) -> None:
        there = dist.is_available() and dist.is_initialized()
        self.size = dist.get_world_size() if there else 1
        self.rank = dist.get_rank() if there else 0
        on_device = there and dist.get_backend() == "nccl"
        self._device = device if on_device else torch.device("cpu")

    def sums(self, *numbers: float) -> list[float]:
        """Return the sums of numbers over processes."""
        if self.size == 1:
            return list(numbers)
        # MPS and others without float64 are no place for collectives anyway.
        vector = torch.tensor(numbers, dtype=torch.float64, device=self._device)
        dist.all_reduce(vector)
        return vector.tolist()

    def gather(self, columns: Tensor) -> tuple[Tensor, slice]:
        """Return the rows (n, k) of all processes, and which of them are ours."""
        columns = columns.to(self._device)
        count = torch.tensor([len(columns)], device=self._device)
        counts = [torch.empty_like(count) for _ in range(self.size)]
        dist.all_gather(counts, count)
        lengths = [int(number) for number in counts]
        padded = columns.new_zeros((max(lengths), columns.shape[1]))
        padded[: len(columns)] = columns
        found = [torch.empty_like(padded) for _ in range(self.size)]
        dist.all_gather(found, padded)
        rows = torch.cat([part[:n] for part, n in zip(found, lengths, strict=True)])
        start = sum(lengths[: self.rank])
        return rows, slice(start, start + len(columns))

    def gather_labels(self, labels: list[Any]) -> list[Any]:
        """Return the labels of the rows of all processes, in their order."""
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, labels)
        return [label for part in found for label in part]

    def from_first(self, thing: Any) -> Any:
        """Return what the first process has; the others may pass None."""
        if self.size == 1:
            return thing
        box = [thing]
        dist.broadcast_object_list(box, device=self._device)
        return box[0]

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace gradients by their mean over processes, in one exchange a dtype.

        A parameter that no process has a gradient of keeps none: an optimizer leaves it
        alone, as it would in a single process.
        """
        kinds: dict[torch.dtype, list[nn.Parameter]] = {}
        for parameter in parameters:
            check_dense(parameter.grad, "averaged over processes", "in one process")
            if parameter.requires_grad:
                kinds.setdefault(parameter.dtype, []).append(parameter)
        for group in kinds.values():
            self._average(group)

    def _average(self, group: list[nn.Parameter]) -> None:
        # Behind the gradients, how many processes have each of them.
        here = torch.tensor([p.grad is not None for p in group]).to(group[0])
        parts = [
            (torch.zeros_like(p) if p.grad is None else p.grad).detach().reshape(-1)
            for p in group
        ]
        flat = torch.cat([*parts, here])
        shared = flat.to(self._device)
        dist.all_reduce(shared)
        flat = shared.to(flat.device)
        count, start = flat[-len(group) :].tolist(), 0
        for parameter, anywhere in zip(group, count, strict=True):
            stop = start + parameter.numel()
            if anywhere:
                mean = flat[start:stop].view_as(parameter) / self.size
                parameter.grad = mean
            start = stop

    def copy_from_first(self, tensors: Iterable[Tensor]) -> None:
        """Give tensors the values that they have in the first process."""
        if self.size == 1:
            return
        for tensor in tensors:
            shared = tensor.detach().to(self._device).contiguous()
            dist.broadcast(shared, 0)
            tensor.detach().copy_(shared)


def check_dense(gradient: Tensor | None, purpose: str, other: str) -> None:
    """Refuse a sparse gradient, which torch cannot do these things with."""
    if gradient is not None and gradient.layout != torch.strided:
        raise TypeError(
            f"The gradients of TrainingLoop must be dense to be {purpose}. Got one of "
            f"layout {gradient.layout} and shape {tuple(gradient.shape)}; make the "
            f"embedding with sparse=False, or train {other}."
        )


def bare(model: nn.Module) -> nn.Module:
    """Return a model without the wrapper that averages its gradients."""
    return model.module if isinstance(model, DistributedDataParallel) else model
