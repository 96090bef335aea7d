"""How often weights flip between two levels, and for how long they have done so."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from statlearn.neural.quantization._checks import check_share
from statlearn.neural.quantization._quantized import check_present, quantized_weights
from statlearn.utils._numbers import closed_share


class OscillationTracker:
    r"""Count how often quantised weights flip back to a level they came from.

    A diagnostic of quantisation-aware training: call :meth:`update` after each step.

    Parameters
    ----------
    model : Module, default=None
        With quantised weights; without it, pass codes to :meth:`update`.
    momentum : float, default=0.01
        Weight of the newest step in the frequencies, in (0, 1].
    threshold : float, default=0.005
        Frequency above which a weight counts as oscillating.

    Attributes
    ----------
    fraction_ : float
        Share of weights that oscillate; NaN before the first update.
    changed_fraction_ : float
        Share of weights whose level changed in the last step.

    Raises
    ------
    ValueError
        If `momentum` is not in (0, 1], or `threshold` not in [0, 1].

    See Also
    --------
    ConfidenceGuidedAnnealing : A phase of training that settles weights.
    IterativeFreezing : Freezes weights that oscillate.

    Notes
    -----
    With codes :math:`k_t` and the direction :math:`d_t = \operatorname{sign}(k_{t-1} -
    k_t)` of a change, a weight flips back if its change is opposite to its change
    before. The frequency is the moving average :math:`f_t = m\,[\text{flips back}] + (1
    - m) f_{t-1}`. The first update only stores the codes. Time and memory are five
    numbers for each weight.

    References
    ----------
    Markus Nagel, Marios Fournarakis, Yelysei Bondarenko, Tijmen Blankevoort. Overcoming
    Oscillations in Quantization-Aware Training. ICML, 2022.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural.quantization import OscillationTracker
    >>> tracker = OscillationTracker(momentum=0.1)
    >>> for codes in ([0, 1], [1, 1], [0, 2]):
    ...     tracker.update({"w": torch.tensor(codes)})
    >>> tracker.frequency("w"), tracker.fraction_
    (tensor([0.1000, 0.0000]), 0.5)
    """

    def __init__(
        self,
        model: nn.Module | None = None,
        *,
        momentum: float = 0.01,
        threshold: float = 0.005,
    ) -> None:
        self.momentum = check_share(momentum, "momentum", "OscillationTracker")
        self.threshold = closed_share(
            threshold, "threshold", "OscillationTracker", "pass for example 0.005"
        )
        self.model = model
        self.fraction_ = math.nan
        self.changed_fraction_ = math.nan
        self._weights = []
        if model is not None:
            self._weights = quantized_weights(model, caller="OscillationTracker")
        self._codes: dict[str, Tensor] = {}
        self._direction: dict[str, Tensor] = {}
        self._frequency: dict[str, Tensor] = {}
        self._total: dict[str, Tensor] = {}

    @torch.no_grad()
    def update(self, codes: Mapping[str, Tensor] | None = None) -> None:
        """Look at the codes after a step.

        Parameters
        ----------
        codes : mapping of str to Tensor, default=None
            Whole codes by the name of their weight; None reads those of the module.

        Raises
        ------
        TypeError
            If codes are no tensors.
        ValueError
            If there are neither codes nor a module, both, or other names or shapes than
            in the first update, or if the module has lost one of its quantisers.
        """
        found = self._read(codes)
        n_changed = 0
        for name, now in found.items():
            if name in self._codes:
                n_changed += self._compare(name, now)
            else:
                self._direction[name] = torch.zeros_like(now, dtype=torch.int8)
                self._frequency[name] = torch.zeros(
                    now.shape, dtype=torch.float32, device=now.device
                )
                self._total[name] = torch.zeros_like(now, dtype=torch.int32)
            self._codes[name] = now.clone()
        size = sum(now.numel() for now in found.values())
        above = (f > self.threshold for f in self._frequency.values())
        self.fraction_ = sum(int(a.count_nonzero()) for a in above) / size
        self.changed_fraction_ = n_changed / size

    def _read(self, codes: Mapping[str, Tensor] | None) -> Mapping[str, Tensor]:
        if (codes is None) == (self.model is None):
            given = "neither" if codes is None else "both"
            raise ValueError(
                "OscillationTracker.update reads the module of the tracker, or takes "
                f"codes if it has none. Got {given}; pass one of them."
            )
        codes = self._own_codes() if codes is None else codes
        for name, now in codes.items():
            if not isinstance(now, Tensor):
                raise TypeError(
                    "The codes of OscillationTracker must be tensors. Got "
                    f"{type(now).__name__} for {name!r}; pass torch.as_tensor of it."
                )
        shapes = {name: tuple(now.shape) for name, now in codes.items()}
        known = {name: tuple(one.shape) for name, one in self._codes.items()}
        if not shapes or (known and shapes != known):
            raise ValueError(
                "The codes of OscillationTracker must have the same names and shapes "
                f"at each update. Got {shapes} after {known}; make a new tracker."
            )
        return codes

    def _rebase(self, codes: Mapping[str, Tensor]) -> None:
        """Take codes as those of the last update, without counting what changed."""
        self._codes = {name: now.clone() for name, now in codes.items()}

    def _own_codes(self) -> Mapping[str, Tensor]:
        if self.model is not None:
            check_present(self.model, self._weights, "OscillationTracker")
        return {w.name: w.quantizer.encode(w.read()).codes for w in self._weights}

    def _compare(self, name: str, now: Tensor) -> int:
        """Take in the change of one weight; return how many numbers changed."""
        before, last = self._codes[name], self._direction[name]
        direction = (before > now).to(torch.int8) - (before < now).to(torch.int8)
        flips = last * direction == -1
        self._frequency[name].lerp_(flips.float(), self.momentum)
        self._total[name] += flips
        moved = direction != 0
        self._direction[name] = torch.where(moved, direction, last)
        return int(moved.count_nonzero())

    def frequency(self, name: str) -> Tensor:
        """Return the moving frequencies of one weight.

        Parameters
        ----------
        name : str
            Name of the weight.

        Returns
        -------
        Tensor of the shape of the weight
            Flips for each step, from 0 to 1.
        """
        return self._of(self._frequency, name)

    def total(self, name: str) -> Tensor:
        """Return how often the numbers of one weight have flipped back.

        Parameters
        ----------
        name : str
            Name of the weight.

        Returns
        -------
        Tensor of the shape of the weight, int32
            Counts since the first update.
        """
        return self._of(self._total, name)

    def codes(self, name: str) -> Tensor:
        """Return the codes of one weight at the last update.

        Parameters
        ----------
        name : str
            Name of the weight.

        Returns
        -------
        Tensor of the shape of the weight
            Whole numbers.
        """
        return self._of(self._codes, name)

    def _of(self, values: Mapping[str, Tensor], name: str) -> Tensor:
        if name not in values:
            raise KeyError(
                "OscillationTracker knows the weights of its updates. Got "
                f"{name!r}; choose one of {sorted(values)}."
            )
        return values[name].clone()

    def state_dict(self) -> dict[str, Any]:
        """Return what the tracker has seen, to go on later.

        Returns
        -------
        dict of str to dict of str to Tensor
            Copies.
        """
        return {
            part: {name: value.clone() for name, value in getattr(self, part).items()}
            for part in _STATE
        } | {"fractions": [self.fraction_, self.changed_fraction_]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what another tracker has seen.

        Parameters
        ----------
        state : mapping
            What :meth:`state_dict` gave.

        Raises
        ------
        ValueError
            If parts are missing, or not of the same weights, or `fractions` are not
            two; nothing is loaded then.
        """
        missing = [part for part in (*_STATE, "fractions") if part not in state]
        if missing:
            raise ValueError(
                f"The 'state' of OscillationTracker must be what its state_dict gave. "
                f"Got one without {missing}; pass the whole state."
            )
        shapes = [{name: one.shape for name, one in state[p].items()} for p in _STATE]
        if any(shape != shapes[0] for shape in shapes):
            raise ValueError(
                f"The 'state' of OscillationTracker must have the same weights in each "
                f"part. Got {[sorted(shape) for shape in shapes]}, or other shapes; "
                f"pass the whole state."
            )
        if len(state["fractions"]) != 2:
            raise ValueError(
                f"The 'fractions' in the 'state' of OscillationTracker must be two "
                f"numbers. Got {state['fractions']!r}; pass the whole state."
            )
        for part in _STATE:
            copies = {name: value.clone() for name, value in state[part].items()}
            setattr(self, part, copies)
        self.fraction_, self.changed_fraction_ = state["fractions"]


_STATE = ("_codes", "_direction", "_frequency", "_total")
