"""Learning rates over training that end with the run: warm-up, then decay."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass

from statlearn.schedules._base import DERIVED, Spanned
from statlearn.schedules._curves import (
    Curve,
    Shape,
    constant,
    decay,
    floored,
    half_cosine,
    straight,
)
from statlearn.schedules._fields import as_value, check_fit, check_order, check_shape

Phases = list[tuple[str, float, Curve]]

# Rounded ln 2 of the published schedule: its rate at the end is half of eta_max.
_HALVING = 0.693


@dataclass(frozen=True, slots=True)
class Constant(Spanned):
    """Stay at one value, after a warm-up if there is one.

    Attributes
    ----------
    eta_max : float
        The value, > 0.
    n_steps : int or None, default=None
        Steps of the run. Needed only for a warm-up that is a share of them.
    warmup : int or float, default=0
        Steps, or share of `n_steps`, in which the value rises from 0.

    See Also
    --------
    WarmupStableDecay : The same with a decay at the end.
    torch.optim.lr_scheduler.ConstantLR : A factor for the first steps.

    Examples
    --------
    >>> from statlearn.schedules import Constant
    >>> Constant(0.1, warmup=4)([0, 1, 4, 1000])
    array([0.   , 0.025, 0.1  , 0.1  ])
    """

    eta_max: float
    _: KW_ONLY
    n_steps: int | None = None
    warmup: int | float = 0

    def _plan(self) -> Phases | None:
        self._store(eta_max=as_value(self.eta_max, "eta_max", "Constant"))
        (warmup,) = self._lengths("warmup")
        if warmup is None:
            return None
        if self.n_steps is not None:
            check_fit({"warmup": warmup}, self.n_steps, "Constant", room=False)
        return [
            ("warmup", warmup, straight(0.0, self.eta_max)),
            ("constant", math.inf, constant(self.eta_max)),
        ]

    def _end_value(self, step: int) -> float:
        return self.eta_max / 10.0


class LearningRate(Spanned):
    """A learning rate between `eta_min` and `eta_max`, with a warm-up."""

    __slots__ = ()

    eta_max: float
    eta_min: float
    warmup: int | float

    @property
    def _quantity(self) -> str:
        return "Learning rate"

    def _end_value(self, step: int) -> float:
        return self.eta_min

    def _check_rates(self, *, zero: bool = True) -> None:
        """Check both rates; `eta_min` is a tenth of `eta_max` if it was not given."""
        caller = type(self).__name__
        high = as_value(self.eta_max, "eta_max", caller)
        given = high / 10.0 if self.eta_min is None else self.eta_min
        low = as_value(given, "eta_min", caller, zero=zero)
        check_order(low, "eta_min", high, "eta_max", caller)
        self._store(eta_max=high, eta_min=low)


class _Decay(LearningRate):
    """One curve from the end of the warm-up to the end of the run."""

    __slots__ = ()

    def _curve(self) -> Curve:
        raise NotImplementedError

    def _plan(self) -> Phases | None:
        self._check_rates()
        (warmup,) = self._lengths("warmup")
        if warmup is None or self.n_steps is None:
            return None
        check_fit({"warmup": warmup}, self.n_steps, type(self).__name__, room=True)
        return [
            ("warmup", warmup, straight(0.0, self.eta_max)),
            ("decay", float(self.n_steps), self._curve()),
        ]


@dataclass(frozen=True, slots=True)
class Linear(_Decay):
    r"""Warm up, then decay in a straight line towards zero, down to a floor.

    Attributes
    ----------
    eta_max : float
        Rate at the end of the warm-up, > 0.
    eta_min : float, default=eta_max / 10
        Lowest rate of the decay, >= 0.
    n_steps : int or None, default=None
        Steps of the run, the warm-up included. None makes a template for `over`.
    warmup : int or float, default=0.01
        Steps, or share of `n_steps`, in which the rate rises from 0.

    See Also
    --------
    Cosine : Slower at first and at the end.
    torch.optim.lr_scheduler.LinearLR : A line between two factors.

    Notes
    -----
    With :math:`t` the step, :math:`W` the warm-up and :math:`T` the steps of the run,
    :math:`\eta = \eta_{\max} t / W` up to :math:`W`, then
    :math:`\max(\eta_{\min}, \eta_{\max} (1 - (t - W) / (T - W)))`: the line aims at
    zero and stops at the floor, it does not aim at the floor. The rate at step 0 is 0
    where there is a warm-up; count steps from 1 for a first step that learns.

    References
    ----------
    Adam Ibrahim, Benjamin Thérien, Kshitij Gupta, Mats L. Richter, Quentin Anthony,
    Timothée Lesort, Eugene Belilovsky, Irina Rish. Simple and Scalable Strategies to
    Continually Pre-train Large Language Models. TMLR, 2024.

    Examples
    --------
    >>> from statlearn.schedules import Linear
    >>> Linear(0.1, n_steps=100, warmup=20)([0, 20, 60, 99, 100]).round(4)
    array([0.  , 0.1 , 0.05, 0.01, 0.01])
    """

    eta_max: float
    _: KW_ONLY
    eta_min: float = DERIVED
    n_steps: int | None = None
    warmup: int | float = 0.01

    def _curve(self) -> Curve:
        return floored(straight(self.eta_max, 0.0), self.eta_min)


@dataclass(frozen=True, slots=True)
class Cosine(_Decay):
    r"""Warm up, then decay along half a wave of a cosine.

    Attributes
    ----------
    eta_max : float
        Rate at the end of the warm-up, > 0.
    eta_min : float, default=eta_max / 10
        Rate at the end of the run and after it, >= 0.
    n_steps : int or None, default=None
        Steps of the run, the warm-up included. None makes a template for `over`.
    warmup : int or float, default=0.01
        Steps, or share of `n_steps`, in which the rate rises from 0.

    See Also
    --------
    InfiniteCosine : A decay that need not end.
    Concatenate : Warm up and decay again for each further task.
    torch.optim.lr_scheduler.CosineAnnealingLR : Turns and rises again after the end.

    Notes
    -----
    After the warm-up :math:`W`,

    .. math:: \eta = \eta_{\min} + \tfrac12 (\eta_{\max} - \eta_{\min})
        \left(1 + \cos \pi \frac{t - W}{T - W}\right),

    and :math:`\eta_{\min}` after the end :math:`T`.

    References
    ----------
    Adam Ibrahim, Benjamin Thérien, Kshitij Gupta, Mats L. Richter, Quentin Anthony,
    Timothée Lesort, Eugene Belilovsky, Irina Rish. Simple and Scalable Strategies to
    Continually Pre-train Large Language Models. TMLR, 2024.

    Examples
    --------
    >>> from statlearn.schedules import Cosine
    >>> Cosine(0.1, n_steps=100, warmup=20)([0, 20, 60, 100, 200])
    array([0.   , 0.1  , 0.055, 0.01 , 0.01 ])
    """

    eta_max: float
    _: KW_ONLY
    eta_min: float = DERIVED
    n_steps: int | None = None
    warmup: int | float = 0.01

    def _curve(self) -> Curve:
        return half_cosine(self.eta_max, self.eta_min)


@dataclass(frozen=True, slots=True)
class Exponential(_Decay):
    r"""Warm up, then decay by equal factors to half of the highest rate.

    Attributes
    ----------
    eta_max : float
        Rate at the end of the warm-up, > 0.
    eta_min : float, default=eta_max / 10
        Floor of the decay, >= 0. It matters only above half of `eta_max`.
    n_steps : int or None, default=None
        Steps of the run, the warm-up included. None makes a template for `over`.
    warmup : int or float, default=0.01
        Steps, or share of `n_steps`, in which the rate rises from 0.

    See Also
    --------
    WarmupStableDecay : With ``shape="exponential"``, a decay to any rate.
    torch.optim.lr_scheduler.ExponentialLR : A factor for every step.

    Notes
    -----
    After the warm-up :math:`W`,
    :math:`\max(\eta_{\min}, \eta_{\max} e^{-0.693 (t - W) / (T - W)})`. The constant
    is that of the published schedule, ln 2 to three digits.

    References
    ----------
    Adam Ibrahim, Benjamin Thérien, Kshitij Gupta, Mats L. Richter, Quentin Anthony,
    Timothée Lesort, Eugene Belilovsky, Irina Rish. Simple and Scalable Strategies to
    Continually Pre-train Large Language Models. TMLR, 2024.

    Examples
    --------
    >>> from statlearn.schedules import Exponential
    >>> Exponential(0.1, n_steps=100, warmup=20)([0, 20, 60, 100]).round(4)
    array([0.    , 0.1   , 0.0707, 0.05  ])
    """

    eta_max: float
    _: KW_ONLY
    eta_min: float = DERIVED
    n_steps: int | None = None
    warmup: int | float = 0.01

    def _curve(self) -> Curve:
        top = self.eta_max
        return floored(lambda x, xp: top * xp.exp(-_HALVING * x), self.eta_min)


@dataclass(frozen=True, slots=True)
class WarmupStableDecay(LearningRate):
    """Warm up, stay, and decay only at the end.

    The steps between need not be counted: they are what the other phases leave of
    the run. To end earlier or later, take the same schedule `over` another run, or
    branch off with `anneal_from`.

    Attributes
    ----------
    eta_max : float
        Rate between warm-up and decay, > 0.
    eta_min : float, default=eta_max / 10
        Rate at the end of the decay and after it, >= 0.
    n_steps : int or None, default=None
        Steps of the run. None makes a template for `over`.
    warmup : int or float, default=0.01
        Steps, or share of `n_steps`, in which the rate rises from 0.
    cooldown : int or float, default=0.2
        Steps, or share, of the decay to `eta_min`. With 0 there is none, and the rate
        stays at `eta_max` also after the end, for `anneal_from` to branch off.
    shape : {"linear", "cosine", "exponential", "sqrt"}, default="linear"
        How the rate decays. "sqrt" goes down with the square root of the steps, fast
        at first; "exponential" by equal factors, and needs ``eta_min > 0``.

    See Also
    --------
    InfiniteCosine : Decays to a plateau first.
    torch.optim.lr_scheduler.SequentialLR : One scheduler after another.

    References
    ----------
    Shengding Hu et al. MiniCPM: Unveiling the Potential of Small Language Models with
    Scalable Training Strategies. COLM, 2024.

    Alexander Hägele, Elie Bakouch, Atli Kosson, Loubna Ben Allal, Leandro von Werra,
    Martin Jaggi. Scaling Laws and Compute-Optimal Training Beyond Fixed Training
    Durations. NeurIPS, 2024.

    Examples
    --------
    >>> from statlearn.schedules import WarmupStableDecay
    >>> schedule = WarmupStableDecay(0.1, eta_min=0.0, n_steps=100, warmup=10)
    >>> schedule([5, 10, 80, 90, 100])
    array([0.05, 0.1 , 0.1 , 0.05, 0.  ])
    """

    eta_max: float
    _: KW_ONLY
    eta_min: float = DERIVED
    n_steps: int | None = None
    warmup: int | float = 0.01
    cooldown: int | float = 0.2
    shape: Shape = "linear"

    def _plan(self) -> Phases | None:
        self._check_rates()
        check_shape(self.shape, self.eta_min, "eta_min", "WarmupStableDecay")
        warmup, cooldown = self._lengths("warmup", "cooldown")
        if warmup is None or cooldown is None or self.n_steps is None:
            return None
        steps = {"warmup": warmup, "cooldown": cooldown}
        check_fit(steps, self.n_steps, "WarmupStableDecay", room=False)
        # Lengths that fill the run may exceed it by rounding.
        stable = max(warmup, self.n_steps - cooldown)
        return [
            ("warmup", warmup, straight(0.0, self.eta_max)),
            ("stable", stable, constant(self.eta_max)),
            (
                "decay",
                float(self.n_steps),
                decay(self.eta_max, self.eta_min, self.shape),
            ),
        ]
