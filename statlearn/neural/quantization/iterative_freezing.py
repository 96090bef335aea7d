"""Freezing of weights that flip too often, as a baseline."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from statlearn.neural._select import Selector
from statlearn.neural.quantization._quantized import (
    Quantized,
    check_present,
    quantized_weights,
)
from statlearn.neural.quantization.oscillation_tracker import (
    OscillationTracker,
)
from statlearn.utils._numbers import closed_share


class IterativeFreezing:
    r"""Freeze weights for good once they flip too often.

    A baseline against oscillation: call :meth:`update` after each step of the
    optimizer. Weights that are quantised as a product of two are left as they are.

    Parameters
    ----------
    model : Module
        With quantised weights.
    momentum : float, default=0.01
        Weight of the newest step in frequencies and mean codes, in (0, 1].
    threshold : float, default=0.005
        Frequency above which a weight is frozen; may be set anew between steps.
    include, exclude : selector, default=None
        Which weights take part, as in :func:`quantize_model`.

    Attributes
    ----------
    tracker : OscillationTracker
        With the frequencies.
    frozen_fraction_ : float
        Share of the weights that are frozen; NaN before the first update.

    Raises
    ------
    ValueError
        If `momentum` is not in (0, 1], `threshold` not in [0, 1], or nothing is
        quantised.

    See Also
    --------
    ConfidenceGuidedAnnealing : Freezes weights that are far from a boundary instead.
    dampening_loss : The other baseline.

    Notes
    -----
    A frozen weight has the code nearest to the moving average of its codes, and is put
    in the middle of its level after each step, whatever the optimizer did.

    References
    ----------
    Markus Nagel, Marios Fournarakis, Yelysei Bondarenko, Tijmen Blankevoort. Overcoming
    Oscillations in Quantization-Aware Training. ICML, 2022.

    Examples
    --------
    >>> from torch import nn
    >>> from statlearn.neural.quantization import IterativeFreezing, quantize_model
    >>> model = nn.Linear(4, 2)
    >>> names = quantize_model(model, bits=2)
    >>> freezing = IterativeFreezing(model)
    >>> freezing.update()
    >>> freezing.frozen_fraction_
    0.0
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        momentum: float = 0.01,
        threshold: float = 0.005,
        include: Selector = None,
        exclude: Selector = None,
    ) -> None:
        self.tracker = OscillationTracker(momentum=momentum)
        self.threshold = closed_share(
            threshold, "threshold", "IterativeFreezing", "pass for example 0.005"
        )
        self.model = model
        self.frozen_fraction_ = math.nan
        self._weights = [
            weight
            for weight in quantized_weights(
                model, include=include, exclude=exclude, caller="IterativeFreezing"
            )
            if weight.attention is None
        ]
        self._mean: dict[str, Tensor] = {}
        # NaN where a weight is free, else its code.
        self._code: dict[str, Tensor] = {}

    @torch.no_grad()
    def update(self) -> None:
        """Freeze weights that oscillate, and put frozen ones back on their level.

        Raises
        ------
        ValueError
            If the module has lost one of the quantisers.
        """
        check_present(self.model, self._weights, "IterativeFreezing")
        for weight in self._weights:
            if weight.name in self._code:
                self._put_back(weight)
        codes = {w.name: w.quantizer.encode(w.read()).codes for w in self._weights}
        self.tracker.update(codes)
        n_frozen = 0
        for weight in self._weights:
            self._freeze(weight, codes[weight.name].float())
            self._put_back(weight)
            n_frozen += int(self._code[weight.name].isfinite().count_nonzero())
        self.frozen_fraction_ = n_frozen / sum(now.numel() for now in codes.values())

    def _freeze(self, weight: Quantized, codes: Tensor) -> None:
        name = weight.name
        if name not in self._code:
            self._mean[name] = codes.clone()
            self._code[name] = torch.full_like(codes, math.nan)
        mean, code = (
            self._mean[name].lerp_(codes, self.tracker.momentum),
            self._code[name],
        )
        restless = (self.tracker.frequency(name) > self.threshold) & code.isnan()
        self._code[name] = torch.where(restless, mean.round(), code)

    def _put_back(self, weight: Quantized) -> None:
        stored, code = weight.read(), self._code[weight.name]
        step = weight.quantizer.step(stored)
        levels = (code + weight.quantizer.grid.offset) * step
        stored.copy_(torch.where(code.isnan(), stored, levels.to(stored.dtype)))
