"""Ordinal families: which boundaries a row touches, and what it costs there.

Classes are numbered ``c = 0..K-1`` and boundaries ``k = 0..m-1`` with ``m = K - 1``;
``eta[k]`` is the linear predictor of boundary ``k``, which separates class ``k`` from
class ``k + 1``. A family says, for the rows of one class,

* which contiguous range of boundaries their likelihood touches (`touched`),
* the negative log-likelihood of each row with its derivatives (`terms`),
* and, for prediction, the class probabilities (`log_proba`).

Rows are handled one class at a time, so that no formula needs a mask, and the layout
is ``(n_boundaries_touched, n_rows)``, so that each boundary is one contiguous vector.

========== ============================= ==================================
family     ``F(eta[k])``                 rows of class ``c`` touch
========== ============================= ==================================
cumulative ``P(Y <= k)``                 ``c - 1`` and ``c``
sratio     ``P(Y = k | Y >= k)``         ``0..c``
cratio     ``P(Y > k | Y >= k)``         ``0..c``
acat       ``P(Y = k+1 | Y in {k,k+1})`` all
========== ============================= ==================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from statlearn.ordinal._links import LINKS, Link

Array = NDArray[np.float64]


class Terms(NamedTuple):
    """Row losses with derivatives for ``t`` touched boundaries and ``n`` rows."""

    loss: Array  # (n,)
    gradient: Array  # (t, n)
    pairs: tuple[tuple[int, int], ...]  # (k, l), k <= l: structurally non-zero
    curvature: tuple[Array, ...]  # one (n,) vector for each pair


class Family:
    """One way of building class probabilities from boundary probabilities."""

    name: str
    # Whether a larger linear predictor means a higher class.
    rises_with_class = False

    def __init__(self, link: Link) -> None:
        self.link = link

    @property
    def convex(self) -> bool:
        """Whether the negative log-likelihood is convex in ``eta``."""
        return self.link.log_concave

    def touched(self, c: int, m: int) -> range:
        """Return the boundaries on which rows of class ``c`` depend."""
        raise NotImplementedError

    def formula(self, c: int, m: int) -> int:
        """Return the lowest class whose rows have the same terms as those of ``c``."""
        return c

    def terms(
        self,
        c: int,
        m: int,
        eta: Array,
        *,
        curvature: bool = True,
        surrogate: bool = False,
    ) -> Terms:
        """Return losses and derivatives of rows of class ``c``.

        Without ``curvature`` a family may leave the second derivatives out. With
        ``surrogate`` they are replaced by a positive semi-definite matrix with the
        same expectation at the truth, for links that are not log-concave.
        """
        raise NotImplementedError

    def log_proba(self, eta: Array) -> Array:
        """Return log class probabilities (n, K) of linear predictors (n, m)."""
        raise NotImplementedError

    def null_intercepts(self, mass: Array) -> Array:
        """Return the intercepts (m,) that reproduce the class masses (K,)."""
        raise NotImplementedError


class Cumulative(Family):
    """``F(eta[k]) = P(Y <= k)``; the only family whose boundaries can cross."""

    name = "cumulative"

    def touched(self, c: int, m: int) -> range:
        return range(max(c - 1, 0), min(c + 1, m))

    def formula(self, c: int, m: int) -> int:
        return c if c in (0, m) else 1

    def terms(
        self,
        c: int,
        m: int,
        eta: Array,
        *,
        curvature: bool = True,
        surrogate: bool = False,
    ) -> Terms:
        if c == 0 or c == m:
            sign = 1.0 if c == 0 else -1.0
            link = self.link if c == 0 else self.link.reflected
            loss, slope, bend = link.one_sided(sign * eta[0])
            bend = slope * slope if surrogate else bend
            return Terms(loss, sign * slope[None], ((0, 0),), (bend,))
        return self._interval(eta, curvature, surrogate)

    def _interval(self, eta: Array, curvature: bool, surrogate: bool) -> Terms:
        lower, upper = eta
        loss, g_a, g_b, *bends = self.link.interval(upper, lower, curvature)
        loss = np.where(upper > lower, loss, np.inf)
        gradient = np.stack((g_b, g_a))
        if not curvature:
            return Terms(loss, gradient, (), ())
        h_aa, h_ab, h_bb = bends
        if surrogate:  # outer product of scores, whose mean is the information
            h_aa, h_bb = g_a * g_a, g_b * g_b
        return Terms(loss, gradient, ((0, 0), (0, 1), (1, 1)), (h_bb, h_ab, h_aa))

    def log_proba(self, eta: Array) -> Array:
        n_rows, m = eta.shape
        link, last = self.link, m - 1
        out = np.empty((n_rows, m + 1))
        out[:, 0] = link.log_cdf(eta[:, 0])
        out[:, m] = link.reflected.log_cdf(-eta[:, last])
        for k in range(last):
            lower, upper = eta[:, k], eta[:, k + 1]
            open_cell = upper > lower
            gap = link.log_interval(np.where(open_cell, upper, lower + 1.0), lower)
            out[:, k + 1] = np.where(open_cell, gap, -np.inf)
        return out

    def null_intercepts(self, mass: Array) -> Array:
        return _quantile(
            self.link, np.cumsum(mass)[:-1], np.cumsum(mass[::-1])[::-1][1:]
        )


class StoppingRatio(Family):
    """``F(eta[k]) = P(Y = k | Y >= k)``: one binary regression for each boundary."""

    name = "sratio"
    stops_with_cdf = True  # stopping has probability F; cratio: going on has it

    def touched(self, c: int, m: int) -> range:
        return range(min(c + 1, m))

    def terms(
        self,
        c: int,
        m: int,
        eta: Array,
        *,
        curvature: bool = True,
        surrogate: bool = False,
    ) -> Terms:
        n_touched = len(self.touched(c, m))
        losses, slopes, bends = [], [], []
        for k in range(n_touched):
            stops = k == c
            loss, slope, bend = self._binary(eta[k], stops == self.stops_with_cdf)
            losses.append(loss)
            slopes.append(slope)
            bends.append(slope * slope if surrogate else bend)
        pairs = tuple((k, k) for k in range(n_touched))
        return Terms(np.sum(losses, axis=0), np.stack(slopes), pairs, tuple(bends))

    def _binary(self, eta: Array, success: bool) -> tuple[Array, Array, Array]:
        if success:
            return self.link.one_sided(eta)
        loss, slope, bend = self.link.reflected.one_sided(-eta)
        return loss, -slope, bend

    def log_proba(self, eta: Array) -> Array:
        log_f = self.link.log_cdf(eta)
        log_s = self.link.reflected.log_cdf(-eta)
        stop, go = (log_f, log_s) if self.stops_with_cdf else (log_s, log_f)
        out = np.zeros((eta.shape[0], eta.shape[1] + 1))
        out[:, 1:] = np.cumsum(go, axis=1)
        out[:, :-1] += stop
        return out

    def null_intercepts(self, mass: Array) -> Array:
        stopping, going_on = mass[:-1], np.cumsum(mass[::-1])[::-1][1:]
        if self.stops_with_cdf:
            return _quantile(self.link, stopping, going_on)
        return _quantile(self.link, going_on, stopping)


class ContinuationRatio(StoppingRatio):
    """``F(eta[k]) = P(Y > k | Y >= k)``."""

    name = "cratio"
    rises_with_class = True
    stops_with_cdf = False


class AdjacentCategory(Family):
    """``F(eta[k]) = P(Y = k+1 | Y in {k, k+1})``.

    With ``t[k] = log F(eta[k]) - log(1 - F(eta[k]))`` the classes follow a multinomial
    logit in the partial sums of ``t``; for the logit link ``t`` is ``eta`` itself.
    """

    name = "acat"
    rises_with_class = True

    @property
    def convex(self) -> bool:
        return self.link.name == "logit"

    def touched(self, c: int, m: int) -> range:
        return range(m)

    def terms(
        self,
        c: int,
        m: int,
        eta: Array,
        *,
        curvature: bool = True,
        surrogate: bool = False,
    ) -> Terms:
        t, t1, t2 = self._log_odds(eta)
        scores = np.zeros((m + 1, eta.shape[1]))
        np.cumsum(t, axis=0, out=scores[1:])
        log_norm = special.logsumexp(scores, axis=0)
        proba = np.exp(scores - log_norm)
        # P(Y > k) and P(Y <= k), (m, n): each summed by itself, because one minus the
        # other has no digits left in the rows that are fitted best.
        above = np.cumsum(proba[::-1], axis=0)[::-1][1:]
        below = np.cumsum(proba, axis=0)[:-1]
        residual = above.copy()
        residual[:c] = -below[:c]
        pairs = tuple((k, j) for k in range(m) for j in range(k, m))
        bends = []
        for k, j in pairs if curvature else ():
            bend = t1[k] * t1[j] * above[j] * below[k]
            if k == j and not (surrogate or t2 is None):
                bend = bend + t2[k] * residual[k]
            bends.append(bend)
        return Terms(log_norm - scores[c], residual * t1, pairs, tuple(bends))

    def _log_odds(self, eta: Array) -> tuple[Array, Array, Array | None]:
        """Return ``t`` with its first and (unless zero) second derivative."""
        if self.link.name == "logit":
            return eta, np.ones_like(eta), None
        lower, d_lower, dd_lower = self.link.one_sided(eta)
        upper, d_upper, dd_upper = self.link.reflected.one_sided(-eta)
        # Finite, so that partial sums of opposite infinities are not NaN.
        log_odds = np.clip(upper - lower, -1e300, 1e300)
        return log_odds, -d_upper - d_lower, dd_upper - dd_lower

    def log_proba(self, eta: Array) -> Array:
        scores = np.zeros((eta.shape[0], eta.shape[1] + 1))
        np.cumsum(self._log_odds(eta)[0], axis=1, out=scores[:, 1:])
        return special.log_softmax(scores, axis=1)

    def null_intercepts(self, mass: Array) -> Array:
        return _quantile(self.link, mass[1:], mass[:-1])


def _quantile(link: Link, below: Array, above: Array) -> Array:
    """Return where a link splits masses (m,) as given, from the smaller of the two.

    A share next to one has few digits of what is missing, or none.
    """
    total = below + above
    lower = link.quantile(np.minimum(below / total, 0.5))
    upper = -link.reflected.quantile(np.minimum(above / total, 0.5))
    return np.where(below <= above, lower, upper)


_FAMILIES: dict[str, Callable[[Link], Family]] = {
    family.name: family
    for family in (Cumulative, StoppingRatio, ContinuationRatio, AdjacentCategory)
}
FAMILY_NAMES = tuple(_FAMILIES)


@dataclass(frozen=True)
class OrdinalModel:
    """A family with its link, read in either direction.

    ``reverse`` applies the family to the opposite class order. Linear predictors are
    always *reported* in the user's order, one for each boundary from low to high, and
    with the sign of the forward model: fitting works on ``-eta[:, ::-1]``.
    """

    family: Family
    reverse: bool = False

    @classmethod
    def create(cls, family: str, link: str, reverse: bool = False) -> OrdinalModel:
        """Look family and link up by name."""
        return cls(_FAMILIES[family](LINKS[link]), reverse)

    @property
    def can_cross(self) -> bool:
        """Whether separate slopes can make a class probability negative."""
        return isinstance(self.family, Cumulative)

    def orient(self, boundaries: Array) -> Array:
        """Swap between the user's order and the fitted one (axis 0: boundaries)."""
        return -boundaries[::-1] if self.reverse else boundaries

    def log_proba(self, eta: Array) -> Array:
        """Return log class probabilities (n, K) for ``eta`` (n, m), user's order."""
        if eta.shape[1] == 0:
            return np.zeros((eta.shape[0], 1))
        with np.errstate(all="ignore"):
            out = self.family.log_proba(self.orient(eta.T).T)
        return out[:, ::-1] if self.reverse else out

    def tail_proba(self, eta: Array) -> Array:
        """Return ``P(Y > k)`` (n, m), for crossing boundaries as they are."""
        if self.can_cross:
            link = self.family.link
            with np.errstate(all="ignore"):
                return link.cdf(-eta) if self.reverse else link.survival(eta)
        proba = np.exp(self.log_proba(eta))
        return np.cumsum(proba[:, ::-1], axis=1)[:, ::-1][:, 1:]
