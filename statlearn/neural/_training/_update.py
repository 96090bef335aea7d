"""One update of a model: gradients of a weighted mean loss, and a step along them.

The mean may extend over several batches and processes, of unequal weight. The total
weight is known after the last of them, so gradients are those of the sum of losses over
the weight of the first batch, or of a much heavier one, and are scaled at the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from statlearn.neural._loss_reweighter import (
    LossReweighter,
    checked_losses,
    counted_rows,
    weighted_sum,
)
from statlearn.neural._precision import autocast_of, scaler_of
from statlearn.neural._training._batch_rows import (
    moved,
    n_rows,
    rows_of,
    weight_and_groups,
    with_arrays,
)
from statlearn.neural._training._distributed import World, check_dense
from statlearn.neural._training._seeding import seeder

_CALLER = "TrainingLoop"
# So many times heavier than the first batch another one may be, until gradients change
# their unit: far from what a type of numbers can hold, and seldom met.
_HEAVY = 2.0**20


@dataclass(frozen=True, slots=True)
class Means:
    """How an update is made.

    Attributes
    ----------
    reweighter : LossReweighter or None
    clip_norm : float or None
    precision : dtype or None
    sharded : bool
    """

    reweighter: LossReweighter | None
    clip_norm: float | None
    precision: torch.dtype | None
    sharded: bool


class Update:
    """What is done with the batches of an update.

    Parameters
    ----------
    model : Module
    loss_fn : callable
    optimizer : Optimizer
    means : Means
    device : torch.device

    Attributes
    ----------
    world : World
    is_whole : bool
        Whether the model is as it was before or after an update, not in between.
    overflowed : bool
        Whether the last step was left out, as half precision could not hold it.
    """

    def __init__(
        self,
        model: nn.Module,
        loss_fn: Callable[[nn.Module, Any], Tensor],
        optimizer: torch.optim.Optimizer,
        means: Means,
        device: torch.device,
    ) -> None:
        self._model, self._loss_fn, self._optimizer = model, loss_fn, optimizer
        self._reweighter, self._clip_norm = means.reweighter, means.clip_norm
        self._device, self._reseed = device, seeder(device)
        self._autocast = autocast_of(means.precision, device)
        self.scaler = scaler_of(means.precision, device)
        self._sharded = means.sharded
        self._is_wrapped = isinstance(model, DistributedDataParallel)
        self._unit_gradient: tuple[float, Tensor] | None = None
        self.is_whole, self.overflowed = True, False
        self._kept: list[Tensor] = []
        self.join(World(device))

    def join(self, world: World) -> None:
        """Note the processes that train together, and what a step may change."""
        self.world = world
        self._divides = world.size > 1 and not self._sharded
        self._buffers: list[tuple[dict[str, Any], str]] = [
            (module._buffers, name)
            for module in self._model.modules()
            for name, buffer in module._buffers.items()
            if buffer is not None
        ]

    def parameters(self) -> list[nn.Parameter]:
        """Return what the optimizer trains."""
        return [p for group in self._optimizer.param_groups for p in group["params"]]

    def begin(self) -> None:
        """Begin an update without gradients."""
        self._optimizer.zero_grad()
        self._unit = self._total = self._summed = 0.0
        self._is_shared = False
        if self._buffers:
            self._kept = [
                buffers[name].detach().clone() for buffers, name in self._buffers
            ]

    def undo(self) -> None:
        """Drop the gradients, and what forward passes have done to buffers."""
        self._optimizer.zero_grad()
        for (buffers, name), kept in zip(self._buffers, self._kept, strict=False):
            buffers[name] = buffers[name].detach().copy_(kept)

    # -- gradients of a batch ---------------------------------------------------

    def add(self, batch: Any, step: int, seed: int, last: bool) -> None:
        """Add the gradient of a batch.

        Parameters
        ----------
        batch : any
            Of all processes, unless `sharded`.
        step : int
            Number of the update.
        seed : int
            Of the noise of the forward pass.
        last : bool
            Whether it is the last batch of the update.
        """
        some, batch = True, with_arrays(batch)
        base, groups = weight_and_groups(batch)
        if base is not None or self._divides:
            batch, some = self._own_rows(batch, base)
            base, groups = weight_and_groups(batch)
        batch = moved(batch, self._device)
        self._reseed(seed)
        with self._waiting(last):
            if some:
                with self._autocast:
                    losses = self._loss_fn(self._model, batch)
            else:
                losses = torch.zeros(0, device=self._device)
            losses = checked_losses(losses, _CALLER)
            went_back = self._backward(losses, base, groups, step)
        # A wrapper exchanges gradients in a backward pass only.
        self._is_shared = self._is_wrapped and last and went_back

    def _own_rows(self, batch: Any, base: Any) -> tuple[Any, bool]:
        """Return the rows that have weight and fall to this process; if there are any.

        Rows without weight never reach the model: statistics of a batch would count
        them, and a product with zero would not stop a gradient that is NaN.
        """
        if base is not None:
            counted = counted_rows(base, _CALLER)
            if not counted.all():
                batch = rows_of(batch, counted)
        n, share = n_rows(batch), self.world.size if self._divides else 1
        if self._is_wrapped and n < share:
            raise ValueError(
                f"A batch of {_CALLER} must have at least {share} rows of positive "
                f"weight, one a process, if the model is a DistributedDataParallel. "
                f"Got {n}; pass larger batches, or the model without the wrapper."
            )
        if self._divides:
            batch = rows_of(batch, slice(self.world.rank, None, share))
        return batch, n > self.world.rank if self._divides else n > 0

    def _waiting(self, last: bool) -> AbstractContextManager[Any]:
        """Return a context in which a wrapped model exchanges no gradients yet."""
        if self._is_wrapped and not last:
            return self._model.no_sync()  # type: ignore[operator]
        return nullcontext()

    def _backward(self, losses: Tensor, base: Any, groups: Any, step: int) -> bool:
        """Add the gradient of losses (n,); return whether there is any weight."""
        weights = self._weights(losses, base, groups, step)
        summed = weighted_sum(losses, weights)
        # The one number a step that is waited for: a loss that is not finite must be
        # seen before the optimizer moves. On the CPU there is nothing to wait for.
        value = summed.item()
        total = float(len(losses)) if weights is None else weights.sum().item()
        size = self.world.size
        if size > 1:
            value, total = self.world.sums(value, total)
        if not math.isfinite(value):
            raise self._refusal("loss", value, step)
        if not total:
            return False
        self._set_unit(total)
        self._total += total
        self._summed += value
        if len(losses):
            if not summed.requires_grad:
                raise ValueError(
                    f"The losses of {_CALLER} must depend on parameters that require a "
                    f"gradient. Got losses without one; unfreeze parameters, and "
                    f"return what the model gave without detaching it."
                )
            if self.scaler is not None:
                summed = self.scaler.scale(summed)
            # In place of a division, which would be one more operation to go back by.
            summed.backward(self._gradient_of_sum(summed, size / self._unit))
        return True

    def _set_unit(self, total: float) -> None:
        """Choose the weight that gradients are divided by until the end."""
        if self._unit and total > _HEAVY * self._unit:
            # None where the batches before had no rows for this process.
            if gradients := self._gradients():
                torch._foreach_mul_(gradients, self._unit / total)
            self._unit = total
        self._unit = self._unit or total

    def _weights(
        self, losses: Tensor, base: Any, groups: Any, step: int
    ) -> Tensor | None:
        """Return the weights (n,) of the rows, None if all have the weight one."""
        if base is not None:
            base = torch.as_tensor(base, dtype=losses.dtype, device=losses.device)
            if base.shape != losses.shape:
                raise ValueError(
                    f"The losses of {_CALLER} must be as many as the sample weights of "
                    f"the batch. Got {len(losses)} losses and weights of shape "
                    f"{tuple(base.shape)}; return one loss for each row."
                )
        if self._reweighter is None:
            return base
        worst = losses.detach().abs().max().item() if len(losses) else 0.0
        (broken,) = self.world.sums(float(not math.isfinite(worst)))
        if broken:
            raise self._refusal("loss", worst, step)
        return self._reweighter.weigh(
            losses, step=step, groups=groups, base_weight=base
        )

    def _gradient_of_sum(self, summed: Tensor, value: float) -> Tensor:
        """Return a tensor of a value, the last one if it is the same."""
        if self._unit_gradient is None or self._unit_gradient[0] != value:
            self._unit_gradient = value, torch.full_like(summed, value)
        return self._unit_gradient[1]

    # -- the step -----------------------------------------------------------------

    def finish(self, step: int) -> tuple[float, float] | None:
        """Make the step; return loss and weight, None if no row had any weight.

        Parameters
        ----------
        step : int
            Number of the update.
        """
        if not self._total:
            return None
        if self.world.size > 1 and not self._is_shared:
            self.world.average_gradients(self.parameters())
        if all(p.grad is None for p in self.parameters()):
            raise ValueError(
                f"The 'optimizer' of {_CALLER} must hold parameters that the losses "
                f"depend on. Got no gradient for any of them at step {step}; make it "
                f"after maps are put on weights, of map_parameters(model), or else of "
                f"the parameters that the model has now."
            )
        self._kept = []
        if self.scaler is not None:
            self.scaler.unscale_(self._optimizer)
        if self._total != self._unit:
            ratio = self._unit / self._total
            torch._foreach_mul_(self._gradients(), ratio)
        if self._clip_norm is not None:
            self._clip(self._clip_norm, step)
        self.is_whole = False
        if self.scaler is None:
            self._optimizer.step()
        else:
            scale = self.scaler.get_scale()
            self.scaler.step(self._optimizer)
            self.scaler.update()
            self.overflowed = self.scaler.get_scale() < scale
        self.is_whole = True
        return self._summed / self._total, self._total

    def _gradients(self) -> list[Tensor]:
        return [p.grad for p in self.parameters() if p.grad is not None]

    def _clip(self, clip_norm: float, step: int) -> None:
        for gradient in self._gradients():
            check_dense(gradient, "clipped", "without clip_norm")
        norm = nn.utils.clip_grad_norm_(self.parameters(), clip_norm).item()
        # Half precision overflows now and then: its scaler leaves such a step out.
        if not math.isfinite(norm) and self.scaler is None:
            raise self._refusal("norm of the gradient", norm, step)

    def _refusal(self, what: str, value: float, step: int) -> FloatingPointError:
        return FloatingPointError(
            f"The {what} of {_CALLER} must be finite. Got {value} at step {step}, "
            f"which was not made: the model is as it was before; lower the learning "
            f"rate, pass clip_norm, or look for such rows in this batch."
        )
