"""The families of residual rules, in one variable: v = u / c.

With c = 1 a family is a weight w(v) = psi(v) / v, its psi, the derivative of psi and
rho, the integral of psi from 0. The constant comes in by scale: w(u / c), c psi(u / c),
psi'(u / c) and c^2 rho(u / c). Every part is written so that an infinite v gives the
limit, and so that tiny v lose no digits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._arrays import to_float64

Array = NDArray[np.float64]

# Stands in for 0 where a quotient has the limit 1; its square is not needed.
_TINY = 1e-300


class Kernel:
    """A family at c = 1; its methods may overwrite their argument.

    Attributes
    ----------
    default : float
        The constant in common use, for 95 % efficiency.
    kinks : tuple of float
        Positive v at which psi is not smooth.
    rho_max : float
        Supremum of rho.
    """

    default: float
    kinks: tuple[float, ...] = ()
    rho_max: float = np.inf

    def weight(self, v: Array) -> Array:
        """Return psi(v) / v, in [0, 1]."""
        raise NotImplementedError

    def psi(self, v: Array) -> Array:
        """Return the derivative of rho."""
        raise NotImplementedError

    def psi_prime(self, v: Array) -> Array:
        """Return the derivative of psi, almost everywhere."""
        raise NotImplementedError

    def rho(self, v: Array) -> Array:
        """Return the integral of psi from 0 to v."""
        raise NotImplementedError


def on_scale(
    part: Callable[[Array], Array], u: Any, scale: float, power: int = 0
) -> Any:
    """Return ``scale**power * part(u / scale)`` in the type and shape of u."""
    values, restore = to_float64(u)
    # A quotient or a square that overflows has the limit at infinity.
    with np.errstate(over="ignore"):
        out = part(np.atleast_1d(values) / scale)
        for _ in range(power):
            out *= scale
        result = restore(out.reshape(values.shape))
    return result[()] if values.ndim == 0 else result  # a number for a number


def refuse(value: Any, name: str, caller: str, expected: str, remedy: str) -> NoReturn:
    """Raise for a parameter that is not what was expected."""
    error = ValueError if isinstance(value, Real) else TypeError
    raise error(f"The '{name}' of {caller} must {expected}. Got {value!r}; {remedy}.")


def as_constant(value: Any, name: str, caller: str) -> float:
    """Return a positive finite number, or say that it should be one."""
    if not isinstance(value, Real) or not 0.0 < float(value) < np.inf:
        refuse(value, name, caller, "be positive and finite", "leave it out if unsure")
    return float(value)


def _split(v: Array) -> tuple[Array, Array]:
    """Return r = 1 / max(|v|, 1) and s = v r: quotients in them cannot overflow."""
    r = np.abs(v)
    np.maximum(r, 1.0, out=r)
    return np.reciprocal(r, out=r), np.clip(v, -1.0, 1.0)


def _below_one(v: Array) -> Array:
    """Return 1 where |v| < 1, else 0; a missing value stays missing."""
    x = np.abs(v)
    np.floor(x, out=x)
    np.minimum(x, 1.0, out=x)
    return np.subtract(1.0, x, out=x)


class _Huber(Kernel):
    default = 1.345
    kinks = (1.0,)

    def weight(self, v: Array) -> Array:
        x = np.abs(v, out=v)
        np.maximum(x, 1.0, out=x)
        return np.reciprocal(x, out=x)

    def psi(self, v: Array) -> Array:
        return np.clip(v, -1.0, 1.0, out=v)

    def psi_prime(self, v: Array) -> Array:
        return _below_one(v)

    def rho(self, v: Array) -> Array:
        x = np.abs(v)
        m = np.minimum(x, 1.0)
        return m * (x - 0.5 * m)


class _Bisquare(Kernel):
    default = 4.685
    kinks = (1.0,)
    rho_max = 1.0 / 6.0

    def weight(self, v: Array) -> Array:
        t = np.multiply(v, v, out=v)
        np.minimum(t, 1.0, out=t)
        np.subtract(1.0, t, out=t)
        return np.multiply(t, t, out=t)

    def psi(self, v: Array) -> Array:
        m = np.clip(v, -1.0, 1.0)
        return m * (1.0 - m * m) ** 2

    def psi_prime(self, v: Array) -> Array:
        t = np.clip(v, -1.0, 1.0) ** 2
        return (1.0 - t) * (1.0 - 5.0 * t)

    def rho(self, v: Array) -> Array:
        t = np.clip(v, -1.0, 1.0) ** 2
        return t * (3.0 - t * (3.0 - t)) / 6.0


@dataclass(frozen=True)
class HampelKernel(Kernel):
    """Three lines: v up to 1, then 1 up to b, then down to 0 at c."""

    b: float = 2.0
    c: float = 4.0

    @property
    def kinks(self) -> tuple[float, ...]:  # type: ignore[override]
        """Where the lines meet."""
        return (1.0, self.b, self.c)

    @property
    def rho_max(self) -> float:  # type: ignore[override]
        """Supremum of rho: the area under psi."""
        return 0.5 * (self.b + self.c - 1.0)

    def _descent(self, x: Array) -> Array:
        """Return the last line, capped at 1, of |v| in [0, c]."""
        line = np.subtract(self.c, x)
        line /= self.c - self.b
        return np.minimum(line, 1.0, out=line)

    def weight(self, v: Array) -> Array:
        x = np.abs(v, out=v)
        np.clip(x, 1.0, self.c, out=x)
        line = self._descent(x)
        return np.divide(line, x, out=line)

    def psi(self, v: Array) -> Array:
        line = self._descent(np.minimum(np.abs(v), self.c))
        line *= np.clip(v, -1.0, 1.0)
        return line

    def psi_prime(self, v: Array) -> Array:
        x = np.abs(v)
        falls = (x > self.b) & (x < self.c)
        return _below_one(v) - falls / (self.c - self.b)

    def rho(self, v: Array) -> Array:
        x = np.abs(v)
        m = np.minimum(x, 1.0)
        q = np.clip(x, self.b, self.c) - self.b
        rising = m * (np.minimum(x, self.b) - 0.5 * m)
        return rising + q * (1.0 - 0.5 * q / (self.c - self.b))


class _Cauchy(Kernel):
    default = 2.3849

    def weight(self, v: Array) -> Array:
        t = np.multiply(v, v, out=v)
        t += 1.0
        return np.reciprocal(t, out=t)

    def psi(self, v: Array) -> Array:
        r, s = _split(v)
        q = r * s
        return q / (1.0 + q * q)

    def psi_prime(self, v: Array) -> Array:
        r, s = _split(v)
        return (r * r - s * s) * (r / (1.0 + (r * s) ** 2)) ** 2

    def rho(self, v: Array) -> Array:
        r, s = _split(v)
        # 1 + v^2 = max(|v|, 1)^2 (1 + q^2) with q = r s.
        return np.log(np.maximum(np.abs(v), 1.0)) + 0.5 * np.log1p((r * s) ** 2)


class _Welsch(Kernel):
    default = 2.9846
    rho_max = 0.5

    def weight(self, v: Array) -> Array:
        t = np.multiply(v, v, out=v)
        np.negative(t, out=t)
        return np.exp(t, out=t)

    def psi(self, v: Array) -> Array:
        m = np.clip(v, -40.0, 40.0)  # exp(-1600) is 0, and infinity times 0 is not
        return m * np.exp(-m * m)

    def psi_prime(self, v: Array) -> Array:
        t = np.clip(v, -40.0, 40.0) ** 2
        return (1.0 - 2.0 * t) * np.exp(-t)

    def rho(self, v: Array) -> Array:
        return -0.5 * np.expm1(-v * v)


class _Fair(Kernel):
    default = 1.3998

    def weight(self, v: Array) -> Array:
        x = np.abs(v, out=v)
        x += 1.0
        return np.reciprocal(x, out=x)

    def psi(self, v: Array) -> Array:
        r, s = _split(v)
        return s / (r + np.abs(s))

    def psi_prime(self, v: Array) -> Array:
        w = self.weight(v)
        return w * w

    def rho(self, v: Array) -> Array:
        x = np.abs(v)
        # x - log(1 + x) cancels for small x. There, log(1 + x) = 2 artanh(z) with
        # z = x / (2 + x), whose first term leaves x - 2 z = x z.
        small = np.minimum(x, 0.25)
        z = small / (2.0 + small)
        tail = np.polyval(1.0 / np.arange(15, 1, -2), z * z)
        near = small * z - 2.0 * z * z * z * tail
        log = np.log1p(np.minimum(x, np.finfo(np.float64).max))
        return np.where(x < 0.25, near, x - log)


class _Logistic(Kernel):
    default = 1.205

    def weight(self, v: Array) -> Array:
        x = np.abs(v, out=v)
        np.maximum(x, _TINY, out=x)
        out = np.tanh(x)
        return np.divide(out, x, out=out)

    def psi(self, v: Array) -> Array:
        return np.tanh(v, out=v)

    def psi_prime(self, v: Array) -> Array:
        e = np.exp(-2.0 * np.abs(v))
        return 4.0 * e / (1.0 + e) ** 2

    def rho(self, v: Array) -> Array:
        x = np.abs(v)
        # log cosh, with cosh x = 1 + 2 sinh(x / 2)^2 where x is small.
        near = np.log1p(2.0 * np.sinh(0.5 * np.minimum(x, 1.0)) ** 2)
        return np.where(x < 1.0, near, x + np.log1p(np.exp(-2.0 * x)) - np.log(2.0))


class _Andrews(Kernel):
    default = 1.339
    kinks = (np.pi,)
    rho_max = 2.0

    def weight(self, v: Array) -> Array:
        x = np.abs(v, out=v)
        np.clip(x, _TINY, np.pi, out=x)
        out = np.sin(x)
        out /= x
        out *= x < np.pi
        return out

    def psi(self, v: Array) -> Array:
        m = np.clip(v, -np.pi, np.pi)
        return np.sin(m) * (np.abs(m) < np.pi)

    def psi_prime(self, v: Array) -> Array:
        m = np.clip(v, -np.pi, np.pi)
        return np.cos(m) * (np.abs(m) < np.pi)

    def rho(self, v: Array) -> Array:
        return 2.0 * np.sin(0.5 * np.clip(v, -np.pi, np.pi)) ** 2


class _Talwar(Kernel):
    default = 2.795
    kinks = (1.0,)
    rho_max = 0.5

    def weight(self, v: Array) -> Array:
        return _below_one(v)

    def psi(self, v: Array) -> Array:
        return np.clip(v, -1.0, 1.0) * _below_one(v)

    def psi_prime(self, v: Array) -> Array:
        return _below_one(v)

    def rho(self, v: Array) -> Array:
        return 0.5 * np.clip(v, -1.0, 1.0) ** 2


class _GemanMcClure(Kernel):
    default = 3.78741876
    rho_max = 0.5

    def weight(self, v: Array) -> Array:
        t = CAUCHY.weight(v)
        return np.multiply(t, t, out=t)

    def psi(self, v: Array) -> Array:
        r, s = _split(v)
        q = r * s
        return q * (r / (1.0 + q * q)) ** 2

    def psi_prime(self, v: Array) -> Array:
        r, s = _split(v)
        w = r * r / (1.0 + (r * s) ** 2)
        return w * w * (r * r - 3.0 * s * s) / (1.0 + (r * s) ** 2)

    def rho(self, v: Array) -> Array:
        r, s = _split(v)
        return 0.5 * s * s / (1.0 + (r * s) ** 2)


HUBER = _Huber()
BISQUARE = _Bisquare()
CAUCHY = _Cauchy()
WELSCH = _Welsch()
FAIR = _Fair()
LOGISTIC = _Logistic()
ANDREWS = _Andrews()
TALWAR = _Talwar()
GEMAN_MCCLURE = _GemanMcClure()
