r"""CGA: a last phase of training in which only undecided weights move.

The recipe, at each step of the optimizer: find the weights that lie within a small
range of the boundary of two levels; set the gradients of all others to zero; let the
optimizer step; give all others the bits that they had, since momentum and weight decay
move weights without gradient too. The set is found anew at each step, because a weight
that moves takes the scale of its row with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from statlearn.neural._select import Selector
from statlearn.neural.quantization._boundaries import near_boundary
from statlearn.neural.quantization._grid import WeightQuantizer
from statlearn.neural.quantization._quantized import (
    Quantized,
    check_present,
    quantized_weights,
)

_NAME = "ConfidenceGuidedAnnealing"


class ConfidenceGuidedAnnealing:
    r"""Freeze the weights that are far from a boundary, step by step.

    For the end of quantisation-aware training, at a small learning rate, to settle
    weights that flip between two levels. Frozen weights keep their bits under momentum
    and weight decay, and with them the scales of their rows stay where they are.

    Parameters
    ----------
    model : Module
        With quantised weights.
    boundary_range : float, default=0.005
        Distance from a boundary, in units of codes, up to which a weight is undecided;
        in (0, 0.5].
    include, exclude : selector, default=None
        Which weights take part, as in :func:`quantize_model`. None includes all that
        are quantised, also a classifier of 8 bits.

    Attributes
    ----------
    frozen_fraction_ : float
        Share of the weights that are frozen in the current step, of the last
        :meth:`mask_gradients`; NaN before the first.

    Raises
    ------
    ValueError
        If `boundary_range` is not in (0, 0.5], or nothing is quantised.

    See Also
    --------
    OscillationTracker : Shows which weights flip.
    IterativeFreezing : Freezes those that flip often instead.
    torch.optim.Optimizer.register_step_pre_hook : The mechanism of :meth:`follow`.

    Notes
    -----
    With positions p between the codes (see :func:`stats_quantize`), and codes from l to
    h in use, a weight is undecided if

    .. math:: \min_{l \le z < h} |p - (z + 1/2)| \le \text{range}.

    Found by one rounding, for any number of bits. A step costs three passes over the
    weights and a copy of them.

    For a :class:`QKReparamAttention`, what is trained is not what is quantised. Those
    columns of query and key weights stay to the bit that no undecided number of the
    product depends on. Within :meth:`follow` and :meth:`gate`, and in a closure, the
    gradient reaches the other columns by the undecided numbers only; elsewhere the
    backward pass knows nothing of the phase.

    Published code has no effect on the product, and skips freezing in mixed precision;
    here both are frozen.

    References
    ----------
    Shih-Yang Liu, Zechun Liu, Kwang-Ting Cheng. Oscillation-free Quantization for
    Low-bit Vision Transformers. ICML, 2023.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from statlearn.neural.quantization import ConfidenceGuidedAnnealing
    >>> from statlearn.neural.quantization import quantize_model
    >>> model = nn.Linear(100, 10)
    >>> names = quantize_model(model, bits=2)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    >>> annealing = ConfidenceGuidedAnnealing(model)
    >>> with annealing.follow(optimizer):
    ...     model(torch.ones(1, 100)).sum().backward()
    ...     optimizer.step()
    >>> annealing.frozen_fraction_ > 0.9
    True
    """

    def __init__(
        self,
        model: nn.Module,
        boundary_range: float = 0.005,
        *,
        include: Selector = None,
        exclude: Selector = None,
    ) -> None:
        _check_range(boundary_range)
        self.model = model
        self.boundary_range = boundary_range
        self.frozen_fraction_ = math.nan
        self._weights = quantized_weights(
            model,
            include=include,
            exclude=exclude,
            caller=_NAME,
        )
        # Tensors that are trained, where they are frozen, and their bits.
        self._kept: list[tuple[Tensor, Tensor, Tensor]] = []

    @torch.no_grad()
    def mask_gradients(self) -> None:
        """Set gradients of frozen weights to zero and remember their bits.

        Call it between the backward pass and the step of the optimizer.

        Raises
        ------
        ValueError
            If a weight is not finite, or the module has lost one of the quantisers.
        """
        check_present(self.model, self._weights, _NAME)
        self._kept = [
            (parameter, frozen, parameter.detach().clone())
            for weight in self._weights
            for parameter, frozen in _frozen(weight, self.boundary_range)
        ]
        self._cut()
        n_frozen = sum(int(frozen.count_nonzero()) for _, frozen, _ in self._kept)
        size = sum(frozen.numel() for _, frozen, _ in self._kept)
        self.frozen_fraction_ = n_frozen / size

    @torch.no_grad()
    def _cut(self) -> None:
        """Set gradients to zero where the step freezes."""
        for parameter, frozen, _ in self._kept:
            if parameter.grad is not None:
                parameter.grad.masked_fill_(frozen, 0.0)

    @torch.no_grad()
    def restore(self) -> None:
        """Give frozen weights the bits from before the step of the optimizer.

        Raises
        ------
        RuntimeError
            If gradients were not masked since the last call.
        ValueError
            If the module has lost one of the quantisers since then.
        """
        if not self._kept:
            raise RuntimeError(
                "ConfidenceGuidedAnnealing restores what mask_gradients() remembered. "
                "Got no call of it since the last restore(); call it before the step "
                "of the optimizer."
            )
        check_present(self.model, self._weights, _NAME)
        self._put_back()

    @torch.no_grad()
    def _put_back(self) -> None:
        for parameter, frozen, before in self._kept:
            parameter.copy_(torch.where(frozen, before, parameter))
        self._kept = []

    def step(
        self, optimizer: Optimizer, closure: Callable[[], Any] | None = None
    ) -> Any:
        """Mask gradients, let the optimizer step, and restore frozen weights.

        Parameters
        ----------
        optimizer : torch.optim.Optimizer
            Of the weights of the module.
        closure : callable, default=None
            Computes loss and gradients anew, for optimizers that want that; gradients
            are masked after each call.

        Returns
        -------
        object
            What the optimizer's step returns.
        """
        with self.follow(optimizer):
            return optimizer.step(closure) if closure else optimizer.step()

    @contextmanager
    def follow(self, optimizer: Optimizer) -> Iterator[None]:
        """Freeze at every step that an optimizer makes within the context.

        For training loops that call the optimizer themselves, also through a gradient
        scaler of mixed precision.

        Parameters
        ----------
        optimizer : torch.optim.Optimizer
            Of the weights of the module.

        Yields
        ------
        None
            Until the end of the phase.
        """
        before = optimizer.register_step_pre_hook(self._before_step)
        after = optimizer.register_step_post_hook(lambda *_: self.restore())
        try:
            with self.gate():
                yield
        finally:
            before.remove()
            after.remove()
            self._put_back()  # after a step that failed on its way

    @contextmanager
    def gate(self) -> Iterator[None]:
        """Cut the gradients of products of queries and keys within the context.

        For loops around :meth:`mask_gradients` and :meth:`restore`, whose backward
        passes belong inside; :meth:`follow` does it too.

        Yields
        ------
        None
            Until the end of the phase, after which the gradients are whole again.
        """
        gate = _Gate(self.boundary_range)
        handles = [
            weight.quantizer.register_forward_hook(gate)
            for weight in self._weights
            if weight.attention is not None
        ]
        try:
            yield
        finally:
            gate.is_open = True  # for copies of the model, which keep the hook
            for handle in handles:
                handle.remove()

    def _before_step(
        self, _: Optimizer, args: tuple[Any, ...], options: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Mask gradients, also those that a closure of the step computes."""
        self.mask_gradients()
        optimizer, *others = args
        if others and others[0] is not None:
            others[0] = self._masking(others[0])
        elif options.get("closure") is not None:
            options = {**options, "closure": self._masking(options["closure"])}
        return (optimizer, *others), options

    def _masking(self, closure: Callable[[], Any]) -> Callable[[], Any]:
        def masked() -> Any:
            loss = closure()
            self._cut()
            return loss

        return masked


def _frozen(
    weight: Quantized, boundary_range: float
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield what is trained with a mask of its frozen numbers."""
    stored = weight.read()
    free = near_boundary(stored, weight.quantizer, boundary_range)
    if weight.attention is None:
        yield stored, ~free
        return
    query, key = weight.attention.query_weight, weight.attention.key_weight
    heads = weight.attention.num_heads
    by_head = free.unflatten(0, (heads, -1))  # (H, C of queries, C of keys)
    for parameter, moves in ((query, by_head.any(2)), (key, by_head.any(1))):
        frozen = ~moves[:, None, :].expand(heads, len(parameter) // heads, -1)
        yield parameter, frozen.flatten(0, 1)


class _Gate:
    """Forward hook that lets a gradient reach the undecided numbers of a product only.

    One for all copies of a model: a copy of a hook cannot be removed with the hook, so
    it has to notice when the phase is over. What is read from a file is open.
    """

    def __init__(self, boundary_range: float, *, is_open: bool = False) -> None:
        self.boundary_range, self.is_open = boundary_range, is_open

    def __call__(self, quantizer: WeightQuantizer, inputs: Any, output: Tensor) -> None:
        if output.requires_grad and not self.is_open:
            free = near_boundary(inputs[0], quantizer, self.boundary_range)
            output.register_hook(lambda gradient: torch.where(free, gradient, 0.0))

    def __deepcopy__(self, memo: Any) -> _Gate:
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "is_open": True}


def _check_range(boundary_range: Any) -> None:
    number = isinstance(boundary_range, Real) and not isinstance(boundary_range, bool)
    if not number or not 0.0 < boundary_range <= 0.5:
        raise ValueError(
            "The 'boundary_range' of ConfidenceGuidedAnnealing must be in (0, 0.5]. "
            f"Got {boundary_range!r}; pass for example 0.005."
        )
