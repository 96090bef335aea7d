"""Freezing of weights that flip too often, as a baseline."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

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
        quantised but products.

    See Also
    --------
    ConfidenceGuidedAnnealing : Freezes weights that are far from a boundary instead.
    dampening_loss : The other baseline.

    Notes
    -----
    A frozen weight has the code k nearest to the moving average of its codes, and is
    put in the middle of its level after each step, whatever the optimizer did.

    Where steps are learned, that is all. The scale s of :class:`StatsQuantizer` is
    twice the mean size of a row of m numbers, which the frozen ones are part of; they
    lie in the middle of their levels if

    .. math:: s = 2 \sum_{\text{free}} |w| \Big/
              \Big(m - 2 \sum_{\text{frozen}} |k + 1/2| / n\Big), \qquad
              n = 2^{b-1}.

    So they are moved, and keep their codes for good, while the part of m that is taken
    away is below 0.9. In rows with more, the few free weights would move all others;
    there frozen weights keep their bits, and their codes change if the scale drifts by
    the share of a level in them, which is little for 2 bits and soon reached for 8.

    Codes that change as weights are frozen, and with them the scale, are no flips: an
    update without a step before it changes no weight.

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
        if not self._weights:
            raise ValueError(
                "IterativeFreezing needs quantised weights of layers. Got products of "
                "queries and keys only; use ConfidenceGuidedAnnealing, which freezes "
                "these too."
            )
        self._mean: dict[str, Tensor] = {}
        # NaN where a weight is free, else its code.
        self._code: dict[str, Tensor] = {}
        # What was stored after the last update.
        self._kept: dict[str, Tensor] = {}

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
        codes = self._read_codes()
        self.tracker.update(codes)
        n_frozen = 0
        for weight in self._weights:
            self._freeze(weight, codes[weight.name].float())
            self._put_back(weight)
            n_frozen += int(self._code[weight.name].isfinite().count_nonzero())
        self.tracker._rebase(self._read_codes())
        self.frozen_fraction_ = n_frozen / sum(now.numel() for now in codes.values())

    def _read_codes(self) -> dict[str, Tensor]:
        return {w.name: w.quantizer.encode(w.read()).codes for w in self._weights}

    def _freeze(self, weight: Quantized, codes: Tensor) -> None:
        """Give codes, and their levels, to the weights that flip too often."""
        name, stored = weight.name, weight.read()
        if name not in self._code:
            self._mean[name] = codes.clone()
            self._code[name] = torch.full_like(codes, math.nan)
            self._kept[name] = stored.clone()
        mean = self._mean[name].lerp_(codes, self.tracker.momentum)
        restless = self.tracker.frequency(name) > self.threshold
        restless &= self._code[name].isnan()
        self._code[name] = torch.where(restless, mean.round(), self._code[name])
        levels = self._levels(weight, weight.quantizer.step(stored))
        self._kept[name] = torch.where(restless, levels, self._kept[name])

    def _put_back(self, weight: Quantized) -> None:
        """Store the levels of frozen weights, or else what they had before."""
        stored, code = weight.read(), self._code[weight.name]
        step = weight.quantizer.step_for(stored, code)
        levels = self._levels(weight, step)
        levels = torch.where(step.isnan(), self._kept[weight.name], levels)
        stored.copy_(torch.where(code.isnan(), stored, levels))
        self._kept[weight.name] = stored.clone()

    def _levels(self, weight: Quantized, step: Tensor) -> Tensor:
        levels = (self._code[weight.name] + weight.quantizer.grid.offset) * step
        return levels.to(weight.read().dtype)

    def state_dict(self) -> dict[str, Any]:
        """Return what is frozen and what the tracker has seen, to go on later.

        Returns
        -------
        dict of str to object
            Copies.
        """
        parts = {
            part: {name: value.clone() for name, value in getattr(self, part).items()}
            for part in _STATE
        }
        return {
            **parts,
            "tracker": self.tracker.state_dict(),
            "frozen_fraction": self.frozen_fraction_,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what another object has frozen.

        Parameters
        ----------
        state : mapping
            What :meth:`state_dict` gave; load that of the module too.

        Raises
        ------
        ValueError
            If parts are missing, or of other weights than those of the module; nothing
            is loaded then.
        """
        keys = (*_STATE, "tracker", "frozen_fraction")
        missing = [part for part in keys if part not in state]
        if missing:
            raise ValueError(
                f"The 'state' of IterativeFreezing must be what its state_dict gave. "
                f"Got one without {missing}; pass the whole state."
            )
        own = {w.name: tuple(w.read().shape) for w in self._weights}
        for part in _STATE:
            given = {name: tuple(value.shape) for name, value in state[part].items()}
            # None of them has weights before the first update.
            if given != own and (given or any(state[other] for other in _STATE)):
                raise ValueError(
                    f"The 'state' of IterativeFreezing must be of the weights of its "
                    f"module, {own}. Got {given}; make it for the same module."
                )
        self.tracker.load_state_dict(state["tracker"])
        for part in _STATE:
            copies = {name: value.clone() for name, value in state[part].items()}
            setattr(self, part, copies)
        self.frozen_fraction_ = state["frozen_fraction"]


_STATE = ("_mean", "_code", "_kept")
