"""What AdamP and SGDP share: groups, blocks, projection and decay of a step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, ClassVar, overload

import torch
from torch import Tensor
from torch.optim import Optimizer

from statlearn.neural._precision import without_autocast
from statlearn.neural.optim._blocks import BLOCK_SIZE, Block, Job, make_blocks
from statlearn.neural.optim._projection import remove_rows, require_at_least_zero
from statlearn.utils._numbers import closed_share


class ProjectedOptimizer(Optimizer):
    """Base of optimizers that project the updates of scale-invariant weights.

    Subclasses name their states and advance them; how a step treats groups, layouts,
    projection and decay is here.
    """

    _state_names: ClassVar[tuple[str, ...]]

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        self._check_options(defaults)
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with options of their own.

        Parameters
        ----------
        param_group : dict
            "params", and the options in which they differ from the defaults.
        """
        if isinstance(param_group, dict):
            self._check_options({**self.defaults, **param_group})
        super().add_param_group(param_group)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        # Checkpoints of other implementations have fewer options, and count in ints.
        for group in self.param_groups:
            for name, value in self.defaults.items():
                group.setdefault(name, value)
        for known in self.state.values():
            if "step" in known:
                known["step"] = step_count(known["step"])

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update the parameters that have a gradient.

        Parameters
        ----------
        closure : callable, default=None
            Evaluates the model anew, with gradients, and returns the loss.

        Returns
        -------
        loss : float or Tensor or None
            What the closure returned.

        Raises
        ------
        RuntimeError
            If a gradient is sparse or complex; nothing has been changed then.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._take_step()
        return loss

    # Which rows are projected depends on numbers, and the kernels are fused already: a
    # compiler would only cut the step into pieces, and its kernels mix up the shapes.
    # As torch.compiler.disable, which would import the compiler here and now.
    @torch._disable_dynamo
    def _take_step(self) -> None:
        """Update the parameters by the gradients that they have."""
        pairs = [
            [(param, param.grad) for param in group["params"] if param.grad is not None]
            for group in self.param_groups
        ]
        for _, grad in chain.from_iterable(pairs):
            self._check_gradient(grad)
        for group, with_grad in zip(self.param_groups, pairs, strict=True):
            for batch in self._batches(group, with_grad):
                with without_autocast(batch[0].tensors[0].device):
                    self._step_batch(group, batch)

    def _batches(
        self, group: dict[str, Any], pairs: list[tuple[Tensor, Tensor]]
    ) -> Iterator[list[Job]]:
        """Yield parameters that are tested together, in one device and type."""
        batch: list[Job] = []
        size, room, last = 0, 0.0, None
        for param, grad in pairs:
            job = self._job(group, param, grad)
            if job is None:
                continue
            kind = param.device, param.dtype
            if batch and (size >= room or kind != last):
                yield batch
                batch, size = [], 0
            if kind != last:
                room, last = _room(group, param), kind
            batch.append(job)
            size += param.numel()
        if batch:
            yield batch

    def _job(self, group: dict[str, Any], param: Tensor, grad: Tensor) -> Job | None:
        """Return a parameter with its state, None if it is empty."""
        state = self.state[param]
        if not state:
            self._start(group, param, state)
        if param.numel() == 0:
            return None
        states = [state[name] for name in self._state_names if name in state]
        return Job(param, grad, states, state.get("step"))

    def _step_batch(self, group: dict[str, Any], batch: list[Job]) -> None:
        """Take the step of parameters in chunks of blocks that fit the cache."""
        room = _room(group, batch[0].tensors[0])
        chunk: list[Block] = []
        size = 0
        for block in make_blocks(batch, delta=group["delta"], eps=group["eps"]):
            chunk.append(block)
            size += block.weight.numel()
            if size >= room:
                self._step_blocks(group, chunk)
                chunk, size = [], 0
        if chunk:
            self._step_blocks(group, chunk)

    def _step_blocks(self, group: dict[str, Any], blocks: list[Block]) -> None:
        """Advance the states of blocks, project their updates and apply them."""
        decay = self._decay(group)
        left = [block.weight for block in blocks if block.weight_norm is None]
        if decay and left:
            torch._foreach_mul_(left, 1.0 - decay)
        updates = [
            # What is not projected is moved in place.
            block.weight
            if block.weight_norm is None
            else torch.zeros_like(block.weight)
            for block in blocks
        ]
        self._advance(group, blocks, updates)
        pairs = list(zip(blocks, updates, strict=True))
        moved = [
            (b.weight, u, b.weight_norm) for b, u in pairs if b.weight_norm is not None
        ]
        if moved:
            weights, steps, norms = map(list, zip(*moved, strict=True))
            # Decay enters by the update too: 1 - share would lose digits.
            remove_rows(weights, steps, norms, group["eps"], decay * group["wd_ratio"])
            torch._foreach_add_(weights, steps)
        for block in blocks:
            block.give_back()

    def _start(
        self, group: dict[str, Any], param: Tensor, state: dict[str, Any]
    ) -> None:
        """Fill the state of a parameter that has none."""
        for name in self._state_names:
            state[name] = torch.zeros_like(param, memory_format=torch.preserve_format)

    def _decay(self, group: dict[str, Any]) -> float:
        """Return the share of a weight that one step takes away."""
        return float(group["lr"]) * group["weight_decay"]

    def _advance(
        self, group: dict[str, Any], blocks: list[Block], updates: list[Tensor]
    ) -> None:
        """Update the states of blocks and add the plain step to `updates`."""
        raise NotImplementedError

    def _check_options(self, options: dict[str, Any]) -> None:
        """Raise unless the options of a group are as they must be."""
        caller = type(self).__name__
        for name in ("lr", "weight_decay", "eps"):
            require_finite(
                require_at_least_zero(options[name], name, caller), name, caller
            )
        require_at_least_zero(options["delta"], "delta", caller)
        closed_share(
            options["wd_ratio"], "wd_ratio", caller, "1 for the full decay, 0 for none"
        )
        if not isinstance(options["foreach"], bool | None):
            raise ValueError(
                f"The 'foreach' of {caller} must be None, True or False. Got "
                f"{options['foreach']!r}; pass None for the fastest."
            )

    def _check_gradient(self, grad: Tensor) -> None:
        """Raise for a gradient that is no plain real tensor."""
        caller = type(self).__name__
        if grad.layout is not torch.strided:
            raise RuntimeError(
                f"{caller} expected dense gradients. Got one with the layout "
                f"{grad.layout}; create the embedding with sparse=False."
            )
        if grad.is_complex():
            raise RuntimeError(
                f"{caller} expected real gradients. Got one of type {grad.dtype}; "
                f"store the parameter as torch.view_as_real gives it."
            )


def choose_kernel(group: dict[str, Any], blocks: list[Block]) -> dict[str, Any]:
    """Return how the functions of torch.optim are to compute."""
    fused = group["foreach"] is None and blocks[0].weight.device.type == "cpu"
    return {"foreach": False if fused else group["foreach"], "fused": fused}


def step_count(n_steps: Tensor | float) -> Tensor:
    """Return a count of steps as the kernels want it, whatever the defaults are."""
    return torch.as_tensor(n_steps, dtype=torch.float32, device="cpu")


def _room(group: dict[str, Any], param: Tensor) -> float:
    """Return how many entries are enough for one call."""
    if group["foreach"] is False:
        return 0
    return BLOCK_SIZE if param.device.type == "cpu" else math.inf


def require_finite(number: float, name: str, caller: str) -> None:
    """Raise for an infinite number, or none."""
    if not math.isfinite(number):
        raise ValueError(
            f"The '{name}' of {caller} must be finite. Got {number:g}; pass for "
            f"example 1e-3."
        )


def require_below_one(value: object, name: str, caller: str) -> None:
    """Raise unless a memory of the past lies in [0, 1)."""
    number = require_at_least_zero(value, name, caller)
    if not number < 1.0:
        raise ValueError(
            f"The '{name}' of {caller} must lie in [0, 1). Got {number:g}; pass for "
            f"example 0.9."
        )
