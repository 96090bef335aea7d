"""Learning rates with a plateau, for training that may go on with new data."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass

from statlearn.schedules._base import DERIVED
from statlearn.schedules._curves import (
    Curve,
    constant,
    floored,
    geometric,
    half_cosine,
    inverse_sqrt,
    straight,
)
from statlearn.schedules._fields import as_value, check_fit, check_order
from statlearn.schedules._learning_rate import LearningRate, Phases


class _Infinite(LearningRate):
    """Warm-up, cooldown to a plateau, the plateau, and annealing."""

    __slots__ = ()

    eta_const: float
    cooldown: int | float
    constant: int | float

    def _cooldown_curve(self) -> Curve:
        raise NotImplementedError

    def _plan(self) -> Phases | None:
        caller = type(self).__name__
        self._check_rates(zero=False)
        given = 0.55 * self.eta_max if self.eta_const is None else self.eta_const
        plateau = as_value(given, "eta_const", caller)
        check_order(plateau, "eta_const", self.eta_max, "eta_max", caller)
        check_order(self.eta_min, "eta_min", plateau, "eta_const", caller)
        self._store(eta_const=plateau)
        curve = self._cooldown_curve()
        warmup, cooldown, stay = self._lengths("warmup", "cooldown", "constant")
        if self.cooldown == 0:
            raise ValueError(
                f"The 'cooldown' parameter of {caller} must be positive. Got 0; pass "
                f"steps for the way from eta_max to eta_const, or use "
                f"WarmupStableDecay, which has none."
            )
        unending = stay == math.inf
        if warmup is None or cooldown is None or stay is None:
            return None
        if self.n_steps is not None:
            steps = {"warmup": warmup, "cooldown": cooldown}
            steps |= {} if unending else {"constant": stay}
            check_fit(steps, self.n_steps, caller, room=not unending)
        elif not unending:
            return None
        phases = [
            ("warmup", warmup, straight(0.0, self.eta_max)),
            ("cooldown", warmup + cooldown, curve),
            ("constant", warmup + cooldown + stay, constant(plateau)),
        ]
        if not unending and self.n_steps is not None:
            anneal = floored(geometric(plateau, self.eta_min), self.eta_min)
            phases.append(("anneal", float(self.n_steps), anneal))
        return phases


@dataclass(frozen=True, slots=True)
class InfiniteCosine(_Infinite):
    r"""Decay along a cosine to a plateau that lasts until you ask for the end.

    For training that may go on with new data: on the plateau nothing has to be warmed
    up again. With ``constant=math.inf`` there is no end, and `anneal_from` branches
    off a short decay whenever a model is to be handed out.

    Attributes
    ----------
    eta_max : float
        Rate at the end of the warm-up, > 0.
    eta_min : float, default=eta_max / 10
        Rate at the end of the run and after it, > 0.
    eta_const : float, default=0.55 * eta_max
        Rate of the plateau, from `eta_min` to `eta_max`.
    n_steps : int or None, default=None
        Steps of the run. None makes a template for `over`; it is not needed with
        ``constant=math.inf`` and other lengths in steps.
    warmup : int or float, default=0.01
        Steps, or share of `n_steps`, in which the rate rises from 0.
    cooldown : int or float, default=0.6
        Steps, or share, from `eta_max` to `eta_const`.
    constant : int or float, default=0.24
        Steps, or share, of the plateau. The rest of the run is annealing.

    See Also
    --------
    InfiniteInvSqrt : Falls faster at first.
    torch.optim.lr_scheduler.SequentialLR : One scheduler after another.

    Notes
    -----
    With :math:`u = t - W` steps after the warm-up, a cooldown of :math:`C` and a
    plateau of :math:`K` steps, and :math:`A = T - W - C - K` steps of annealing,

    .. math:: \eta = \begin{cases}
        \eta_c + \tfrac12 (\eta_{\max} - \eta_c)(1 + \cos \pi u / C) & u \le C \\
        \eta_c & C < u \le C + K \\
        \eta_c (\eta_{\min} / \eta_c)^{(u - C - K) / A} & u > C + K.
        \end{cases}

    References
    ----------
    Adam Ibrahim, Benjamin Thérien, Kshitij Gupta, Mats L. Richter, Quentin Anthony,
    Timothée Lesort, Eugene Belilovsky, Irina Rish. Simple and Scalable Strategies to
    Continually Pre-train Large Language Models. TMLR, 2024.

    Examples
    --------
    >>> import math
    >>> from statlearn.schedules import InfiniteCosine
    >>> schedule = InfiniteCosine(0.1, warmup=10, cooldown=60, constant=math.inf)
    >>> schedule([10, 40, 70, 10**6])
    array([0.1   , 0.0775, 0.055 , 0.055 ])
    >>> schedule.anneal_from(1000, 100)([1000, 1100]).round(4)
    array([0.055, 0.01 ])
    """

    eta_max: float
    _: KW_ONLY
    eta_min: float = DERIVED
    eta_const: float = DERIVED
    n_steps: int | None = None
    warmup: int | float = 0.01
    cooldown: int | float = 0.6
    constant: int | float = 0.24

    def _cooldown_curve(self) -> Curve:
        return half_cosine(self.eta_max, self.eta_const)


@dataclass(frozen=True, slots=True)
class InfiniteInvSqrt(_Infinite):
    r"""Decay like an inverse square root to a plateau that lasts until you end it.

    Attributes
    ----------
    eta_max : float
        Rate at the end of the warm-up, > 0.
    eta_min : float, default=eta_max / 10
        Rate at the end of the run and after it, > 0.
    eta_const : float, default=0.55 * eta_max
        Rate of the plateau, from `eta_min` to `eta_max`.
    n_steps : int or None, default=None
        Steps of the run. None makes a template for `over`; it is not needed with
        ``constant=math.inf`` and other lengths in steps.
    warmup : int or float, default=0.01
        Steps, or share of `n_steps`, in which the rate rises from 0.
    cooldown : int or float, default=0.6
        Steps, or share, from `eta_max` to `eta_const`.
    constant : int or float, default=0.24
        Steps, or share, of the plateau. The rest of the run is annealing.
    timescale : float, default=10.0
        Steepness > 0 of the first steps of the cooldown: near 0 it is a straight line.

    See Also
    --------
    InfiniteCosine : Falls more slowly at first.
    torch.optim.lr_scheduler.SequentialLR : One scheduler after another.

    Notes
    -----
    The cooldown of :math:`C` steps is
    :math:`\eta_{\max} + (\eta_c - \eta_{\max}) h(u / C) / h(1)` with
    :math:`h(x) = (1 + \alpha x)^{-1/2} - 1` and the timescale :math:`\alpha`. The other
    phases are those of :class:`InfiniteCosine`.

    References
    ----------
    Adam Ibrahim, Benjamin Thérien, Kshitij Gupta, Mats L. Richter, Quentin Anthony,
    Timothée Lesort, Eugene Belilovsky, Irina Rish. Simple and Scalable Strategies to
    Continually Pre-train Large Language Models. TMLR, 2024.

    Examples
    --------
    >>> from statlearn.schedules import InfiniteInvSqrt
    >>> schedule = InfiniteInvSqrt(0.1, n_steps=1000)
    >>> schedule([10, 310, 610, 850, 1000]).round(4)
    array([0.1   , 0.0619, 0.055 , 0.055 , 0.01  ])
    """

    eta_max: float
    _: KW_ONLY
    eta_min: float = DERIVED
    eta_const: float = DERIVED
    n_steps: int | None = None
    warmup: int | float = 0.01
    cooldown: int | float = 0.6
    constant: int | float = 0.24
    timescale: float = 10.0

    def _cooldown_curve(self) -> Curve:
        timescale = as_value(self.timescale, "timescale", "InfiniteInvSqrt")
        self._store(timescale=timescale)
        return inverse_sqrt(self.eta_max, self.eta_const, timescale)
