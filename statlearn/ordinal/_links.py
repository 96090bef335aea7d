"""Link functions: the cdf ``F`` that turns a linear predictor into a probability.

Every ordinal likelihood of this package is a sum of two kinds of terms, so a link
has to know just these, each with its first and second derivatives:

* *one-sided*: ``-log F(t)`` (and, through the reflected link, ``-log(1 - F(t))``);
* *interval*: ``-log(F(a) - F(b))`` with ``a > b``.

All of them are computed on the log scale, because the classes that this package is
for have probabilities near zero. With ``f = F'`` and ``xi = (log f)'``::

    u_a = f(a) / (F(a) - F(b))      d/da = -u_a     d2/da2  = u_a (u_a - xi(a))
    u_b = f(b) / (F(a) - F(b))      d/db = +u_b     d2/db2  = u_b (u_b + xi(b))
                                                    d2/dadb = -u_a u_b
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]

_LOG_SQRT_2PI = 0.5 * np.log(2.0 * np.pi)
# exp(t) beyond this is a cdf of exactly one; it keeps exp(t) itself finite.
_SATURATED = 40.0


class Link:
    """A cdf with log-concave density unless `log_concave` says otherwise."""

    name: str
    log_concave = True

    @property
    def reflected(self) -> Link:
        """The link of ``1 - F(-t)``; symmetric links are their own reflection."""
        return self

    def cdf(self, t: Array) -> Array:
        """Return ``F(t)``."""
        raise NotImplementedError

    def quantile(self, probability: Array) -> Array:
        """Return the inverse of ``F``."""
        raise NotImplementedError

    def log_cdf(self, t: Array) -> Array:
        """Return ``log F(t)``, accurate in the lower tail."""
        raise NotImplementedError

    def log_pdf(self, t: Array) -> Array:
        """Return ``log f(t)``."""
        raise NotImplementedError

    def score(self, t: Array) -> Array:
        """Return ``xi(t) = d log f(t) / dt``."""
        raise NotImplementedError

    def survival(self, t: Array) -> Array:
        """Return ``1 - F(t)``, accurate in the upper tail."""
        return self.reflected.cdf(-t)

    def pdf(self, t: Array) -> Array:
        """Return the density ``f(t)``."""
        return np.exp(self.log_pdf(t))

    def one_sided(self, t: Array) -> tuple[Array, Array, Array]:
        """Return ``-log F(t)`` with its first and second derivative."""
        log_cdf = self.log_cdf(t)
        u = np.exp(self.log_pdf(t) - log_cdf)
        return -log_cdf, -u, u * (u - self.score(t))

    def log_interval(self, a: Array, b: Array) -> Array:
        """Return ``log(F(a) - F(b))`` for ``a > b``."""
        # Subtract in the tail where both numbers are small.
        upper = a + b > 0
        high = np.where(upper, self.reflected.log_cdf(-b), self.log_cdf(a))
        low = np.where(upper, self.reflected.log_cdf(-a), self.log_cdf(b))
        return high + np.log(-np.expm1(low - high))

    def interval(self, a: Array, b: Array, curvature: bool = True) -> tuple[Array, ...]:
        """Return ``-log(F(a) - F(b))`` and derivatives a, b; if asked also aa, ab, bb.

        As everywhere in this class ``a > b``.
        """
        log_pi = self.log_interval(a, b)
        u_a = np.exp(self.log_pdf(a) - log_pi)
        u_b = np.exp(self.log_pdf(b) - log_pi)
        if not curvature:
            return -log_pi, -u_a, u_b
        return (
            -log_pi,
            -u_a,
            u_b,
            u_a * (u_a - self.score(a)),
            -u_a * u_b,
            u_b * (u_b + self.score(b)),
        )


class Logit(Link):
    """Logistic distribution."""

    name = "logit"

    def cdf(self, t: Array) -> Array:
        return special.expit(t)

    def quantile(self, probability: Array) -> Array:
        return special.logit(probability)

    def log_cdf(self, t: Array) -> Array:
        return special.log_expit(t)

    def log_pdf(self, t: Array) -> Array:
        magnitude = np.abs(t)
        return -magnitude - 2.0 * np.log1p(np.exp(-magnitude))

    def score(self, t: Array) -> Array:
        return -np.tanh(0.5 * t)

    def log_interval(self, a: Array, b: Array) -> Array:
        return self.log_cdf(a) + self.log_cdf(-b) + np.log(-np.expm1(b - a))

    def one_sided(self, t: Array) -> tuple[Array, Array, Array]:
        e, large, small = _logistic_parts(t)
        value = np.log(1.0 + e) + np.maximum(-t, 0.0)
        return value, -np.where(t >= 0, small, large), small * large

    def interval(self, a: Array, b: Array, curvature: bool = True) -> tuple[Array, ...]:
        # -log pi = softplus(-a) + softplus(b) - log(1 - exp(-(a - b))): the first two
        # terms separate, and only the last one couples a and b, through r.
        e_a, large_a, small_a = _logistic_parts(a)
        e_b, large_b, small_b = _logistic_parts(b)
        gap = np.expm1(b - a)  # exp(-d) - 1, in (-1, 0)
        q = -(1.0 + gap) / gap  # 1 / (exp(d) - 1)
        value = np.log((1.0 + e_a) * (1.0 + e_b) / -gap)
        value += np.maximum(-a, 0.0) + np.maximum(b, 0.0)
        d_a = -np.where(a >= 0, small_a, large_a) - q
        d_b = np.where(b >= 0, large_b, small_b) + q
        if not curvature:
            return value, d_a, d_b
        r = -q / gap  # q (1 + q)
        return value, d_a, d_b, small_a * large_a + r, -r, small_b * large_b + r


def _logistic_parts(t: Array) -> tuple[Array, Array, Array]:
    """Return ``exp(-|t|)`` and the larger and smaller of ``F(t)``, ``1 - F(t)``."""
    e = np.exp(-np.abs(t))
    large = 1.0 / (1.0 + e)
    return e, large, e * large


class Probit(Link):
    """Standard normal distribution."""

    name = "probit"

    def cdf(self, t: Array) -> Array:
        return special.ndtr(t)

    def quantile(self, probability: Array) -> Array:
        return special.ndtri(probability)

    def log_cdf(self, t: Array) -> Array:
        return special.log_ndtr(t)

    def log_pdf(self, t: Array) -> Array:
        return -0.5 * t * t - _LOG_SQRT_2PI

    def score(self, t: Array) -> Array:
        return -t


class CLogLog(Link):
    """Gumbel distribution of minima, ``F(t) = 1 - exp(-exp(t))``."""

    name = "cloglog"

    @property
    def reflected(self) -> Link:
        return LINKS["loglog"]

    def cdf(self, t: Array) -> Array:
        return -np.expm1(-np.exp(np.minimum(t, _SATURATED)))

    def quantile(self, probability: Array) -> Array:
        return np.log(-np.log1p(-probability))

    def log_cdf(self, t: Array) -> Array:
        rate = np.exp(np.minimum(t, _SATURATED))
        # Each form of log(1 - exp(-rate)) where it loses no digits; for tiny rates it
        # is log(rate) - rate/2 + O(rate^2).
        small = np.log(-np.expm1(-np.maximum(rate, 1e-30)))
        middle = np.where(rate > np.log(2.0), np.log1p(-np.exp(-rate)), small)
        return np.where(t < -_SATURATED, t - 0.5 * rate, middle)

    def log_pdf(self, t: Array) -> Array:
        return t - np.exp(t)

    def score(self, t: Array) -> Array:
        return -np.expm1(np.minimum(t, _SATURATED))

    def log_interval(self, a: Array, b: Array) -> Array:
        # F(a) - F(b) = exp(-exp(b)) F(c) with exp(c) = exp(a) - exp(b).
        return -np.exp(b) + self.log_cdf(a + np.log(-np.expm1(b - a)))


class LogLog(Link):
    """Gumbel distribution of maxima, ``F(t) = exp(-exp(-t))``."""

    name = "loglog"

    @property
    def reflected(self) -> Link:
        return LINKS["cloglog"]

    def cdf(self, t: Array) -> Array:
        return np.exp(-np.exp(-t))

    def quantile(self, probability: Array) -> Array:
        return -np.log(-np.log(probability))

    def log_cdf(self, t: Array) -> Array:
        return -np.exp(-t)

    def log_pdf(self, t: Array) -> Array:
        return -t - np.exp(-t)

    def score(self, t: Array) -> Array:
        return np.expm1(np.minimum(-t, _SATURATED))

    def one_sided(self, t: Array) -> tuple[Array, Array, Array]:
        rate = np.exp(-t)
        return rate, -rate, rate

    def log_interval(self, a: Array, b: Array) -> Array:
        return self.reflected.log_interval(-b, -a)


class Cauchit(Link):
    """Cauchy distribution; not log-concave, so the likelihood is not convex."""

    name = "cauchit"
    log_concave = False

    def cdf(self, t: Array) -> Array:
        # atan2(1, -t) is the angle from the negative axis: no cancellation at -inf.
        return np.arctan2(1.0, -t) / np.pi

    def quantile(self, probability: Array) -> Array:
        return -1.0 / np.tan(np.pi * probability)

    def log_cdf(self, t: Array) -> Array:
        return np.log(self.cdf(t))

    def log_pdf(self, t: Array) -> Array:
        return -np.log(np.pi) - np.log1p(t * t)

    def score(self, t: Array) -> Array:
        return -2.0 * t / (1.0 + t * t)

    def log_interval(self, a: Array, b: Array) -> Array:
        return np.log(np.arctan2(a - b, 1.0 + a * b) / np.pi)


LINKS: dict[str, Link] = {
    link.name: link for link in (Logit(), Probit(), CLogLog(), LogLog(), Cauchit())
}
