"""Temperatures over training: sample hot at first, in proportion to sizes later."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass

from statlearn.schedules._base import Spanned
from statlearn.schedules._curves import (
    Curve,
    constant,
    geometric,
    half_cosine,
    straight,
)
from statlearn.schedules._fields import as_value, check_fit

Phases = list[tuple[str, float, Curve]]


class _Cooldown(Spanned):
    """A temperature from `tau_start` to `tau_end`."""

    __slots__ = ()

    tau_start: float
    tau_end: float
    switch: int | float

    @property
    def _quantity(self) -> str:
        return "Temperature"

    def _end_value(self, step: int) -> float:
        return self.tau_end

    def _check_fields(self, *, infinite: bool) -> float | None:
        """Check all fields and return the step of the switch, None if unknown."""
        caller = type(self).__name__
        for name in ("tau_start", "tau_end"):
            tau = as_value(getattr(self, name), name, caller, infinite=infinite)
            self._store(**{name: tau})
        (switch,) = self._lengths("switch")
        if switch is not None and self.n_steps is not None:
            check_fit({"switch": switch}, self.n_steps, caller, room=False)
        return switch


class _Gradual(_Cooldown):
    """A temperature that reaches its last value along a curve."""

    __slots__ = ()

    def _curve(self) -> Curve:
        raise NotImplementedError

    def _plan(self) -> Phases | None:
        switch = self._check_fields(infinite=False)
        if switch is None:
            return None
        return [
            ("cooling", switch, self._curve()),
            ("end", math.inf, constant(self.tau_end)),
        ]


@dataclass(frozen=True, slots=True)
class StepCooldown(_Cooldown):
    r"""Stay at a high temperature, then switch to a low one at once.

    Small domains are sampled often while the model learns fast, and in proportion to
    their size before it learns them by heart.

    Attributes
    ----------
    tau_start : float, default=5.0
        Temperature before the switch, > 0. Infinity samples all domains alike.
    tau_end : float, default=1.0
        Temperature from the switch on, > 0; 1 samples in proportion to sizes. It may
        be higher than `tau_start`.
    switch : int or float, default=0.5
        First step, or share of `n_steps`, at `tau_end`.
    n_steps : int or None, default=None
        Steps of the run. Not needed if `switch` is a step. None makes a template for
        `over`.

    See Also
    --------
    statlearn.weights.Temperature : Weights by temperature, which takes a schedule.
    LinearCooldown : Many small changes instead of one.

    Notes
    -----
    A temperature :math:`\tau` samples a domain of :math:`n_i` rows with probability
    proportional to :math:`n_i^{1/\tau}`. Steps count from 0: with a run of 60,000 steps
    and the default switch, step 29,999 is the last one at `tau_start`.

    References
    ----------
    Tianjian Li, Haoran Xu, Weiting Tan, Kenton Murray, Daniel Khashabi. Upsample or
    Upweight? Balanced Training on Heavily Imbalanced Datasets. NAACL, 2025.

    Examples
    --------
    >>> from statlearn.schedules import StepCooldown
    >>> StepCooldown(n_steps=60_000)([0, 29_999, 30_000, 59_999])
    array([5., 5., 1., 1.])
    """

    tau_start: float = 5.0
    tau_end: float = 1.0
    switch: int | float = 0.5
    _: KW_ONLY
    n_steps: int | None = None

    def _plan(self) -> Phases | None:
        switch = self._check_fields(infinite=True)
        if switch is None:
            return None
        # The switch itself is the first step at the new temperature.
        before = math.nextafter(switch, 0.0)
        return [
            ("start", before if switch else 0.0, constant(self.tau_start)),
            ("end", math.inf, constant(self.tau_end)),
        ]


@dataclass(frozen=True, slots=True)
class LinearCooldown(_Gradual):
    r"""Lower a temperature in a straight line.

    Attributes
    ----------
    tau_start : float, default=5.0
        Temperature at step 0, > 0.
    tau_end : float, default=1.0
        Temperature from the switch on, > 0.
    switch : int or float, default=1.0
        Step, or share of `n_steps`, at which `tau_end` is reached.
    n_steps : int or None, default=None
        Steps of the run. Not needed if `switch` is a step. None makes a template for
        `over`.

    See Also
    --------
    StepCooldown : One switch, which the paper found better than many small steps.
    torch.optim.lr_scheduler.LinearLR : A line between two factors.

    Notes
    -----
    :math:`\tau_s + (\tau_e - \tau_s) t / S` up to the switch :math:`S`.

    References
    ----------
    Tianjian Li, Haoran Xu, Weiting Tan, Kenton Murray, Daniel Khashabi. Upsample or
    Upweight? Balanced Training on Heavily Imbalanced Datasets. NAACL, 2025.

    Examples
    --------
    >>> from statlearn.schedules import LinearCooldown
    >>> LinearCooldown(n_steps=100)([0, 25, 50, 100])
    array([5., 4., 3., 1.])
    """

    tau_start: float = 5.0
    tau_end: float = 1.0
    switch: int | float = 1.0
    _: KW_ONLY
    n_steps: int | None = None

    def _curve(self) -> Curve:
        return straight(self.tau_start, self.tau_end)


@dataclass(frozen=True, slots=True)
class CosineCooldown(_Gradual):
    r"""Lower a temperature along half a wave of a cosine.

    Attributes
    ----------
    tau_start : float, default=5.0
        Temperature at step 0, > 0.
    tau_end : float, default=1.0
        Temperature from the switch on, > 0.
    switch : int or float, default=1.0
        Step, or share of `n_steps`, at which `tau_end` is reached.
    n_steps : int or None, default=None
        Steps of the run. Not needed if `switch` is a step. None makes a template for
        `over`.

    See Also
    --------
    StepCooldown : One switch, which the paper found better than many small steps.
    torch.optim.lr_scheduler.CosineAnnealingLR : The same curve for a learning rate.

    Notes
    -----
    :math:`\tau_e + \tfrac12 (\tau_s - \tau_e)(1 + \cos \pi t / S)` up to the switch
    :math:`S`.

    References
    ----------
    Tianjian Li, Haoran Xu, Weiting Tan, Kenton Murray, Daniel Khashabi. Upsample or
    Upweight? Balanced Training on Heavily Imbalanced Datasets. NAACL, 2025.

    Examples
    --------
    >>> from statlearn.schedules import CosineCooldown
    >>> CosineCooldown(n_steps=100)([0, 25, 50, 100]).round(3)
    array([5.   , 4.414, 3.   , 1.   ])
    """

    tau_start: float = 5.0
    tau_end: float = 1.0
    switch: int | float = 1.0
    _: KW_ONLY
    n_steps: int | None = None

    def _curve(self) -> Curve:
        return half_cosine(self.tau_start, self.tau_end)


@dataclass(frozen=True, slots=True)
class ExponentialCooldown(_Gradual):
    r"""Lower a temperature by equal factors.

    Attributes
    ----------
    tau_start : float, default=5.0
        Temperature at step 0, > 0.
    tau_end : float, default=1.0
        Temperature from the switch on, > 0.
    switch : int or float, default=1.0
        Step, or share of `n_steps`, at which `tau_end` is reached.
    n_steps : int or None, default=None
        Steps of the run. Not needed if `switch` is a step. None makes a template for
        `over`.

    See Also
    --------
    StepCooldown : One switch, which the paper found better than many small steps.
    torch.optim.lr_scheduler.ExponentialLR : A factor for every step.

    Notes
    -----
    :math:`\tau_s^{1 - t / S} \tau_e^{t / S}` up to the switch :math:`S`.

    References
    ----------
    Tianjian Li, Haoran Xu, Weiting Tan, Kenton Murray, Daniel Khashabi. Upsample or
    Upweight? Balanced Training on Heavily Imbalanced Datasets. NAACL, 2025.

    Examples
    --------
    >>> from statlearn.schedules import ExponentialCooldown
    >>> ExponentialCooldown(16.0, n_steps=100)([0, 25, 50, 100])
    array([16.,  8.,  4.,  1.])
    """

    tau_start: float = 5.0
    tau_end: float = 1.0
    switch: int | float = 1.0
    _: KW_ONLY
    n_steps: int | None = None

    def _curve(self) -> Curve:
        return geometric(self.tau_start, self.tau_end)
