"""Ordered outcomes of the kind that the ordinal benchmarks time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.signal import lfilter

Array = NDArray[np.float64]

FIVE_SHARES = (0.4, 0.3, 0.15, 0.1, 0.05)
CORRELATION = 0.5


def decreasing_shares(n_classes: int) -> tuple[float, ...]:
    """Return shares that fall evenly, the first `n_classes` times the last."""
    total = n_classes * (n_classes + 1) // 2
    return tuple((n_classes - c) / total for c in range(n_classes))


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows X (n, p), dense or CSR, with classes y in ``0..K-1`` and the seed."""

    X: Any
    y: NDArray[np.intp]
    seed: int

    @property
    def size(self) -> str:
        """Shape, number of classes and seed, as printed."""
        n, p = self.X.shape
        return f"n={n}, p={p}, K={self.y.max() + 1}, seed {self.seed}"


def correlated_columns(rng: np.random.Generator, n: int, p: int) -> Array:
    """Return Gaussian columns (n, p) of unit variance, neighbours correlated."""
    noise = rng.standard_normal((n, p))
    noise[:, 1:] *= np.sqrt(1.0 - CORRELATION**2)
    # Along each row x[j] = noise[j] + CORRELATION * x[j - 1].
    return np.ascontiguousarray(lfilter([1.0], [1.0, -CORRELATION], noise, axis=1))


def departing_slopes(
    rng: np.random.Generator, p: int, n_informative: int, m: int, size: float
) -> Array:
    """Return slopes (m, p): a common part, and departures for a third of it.

    A departure begins at a random boundary and holds from there on, as a fused penalty
    supposes; it has half the size of the common slopes.
    """
    common = np.zeros(p)
    chosen = rng.choice(p, n_informative, replace=False)
    common[chosen] = size * rng.standard_normal(n_informative)
    slopes = np.tile(common, (m, 1))
    for j in chosen[: n_informative // 3]:
        slopes[rng.integers(m) :, j] += 0.5 * size * rng.standard_normal()
    return slopes


def draw_classes(
    rng: np.random.Generator, scores: Array, shares: tuple[float, ...]
) -> NDArray[np.intp]:
    """Return classes (n,) of given shares from scores (n, m), one for each boundary.

    A row lies above boundary k if its latent value, score plus logistic noise shared by
    all boundaries, exceeds the quantile that leaves the wanted share; its class is the
    number of boundaries it lies above.
    """
    latent = scores + rng.logistic(size=len(scores))[:, None]
    below = np.cumsum(shares)[:-1]
    cuts = [np.quantile(latent[:, k], q) for k, q in enumerate(below)]
    return (latent > np.array(cuts)).sum(axis=1)


def dense_sample(
    n: int, p: int, *, seed: int, shares: tuple[float, ...] = FIVE_SHARES
) -> Sample:
    """Draw correlated columns, half of them informative, and unequal classes."""
    rng = np.random.default_rng(seed)
    X = correlated_columns(rng, n, p)
    n_informative = p // 2
    slopes = departing_slopes(
        rng, p, n_informative, len(shares) - 1, 1.5 / np.sqrt(n_informative)
    )
    return Sample(X, draw_classes(rng, X @ slopes.T, shares), seed)


def text_like_sample(
    n: int, p: int, density: float, n_informative: int, *, seed: int
) -> Sample:
    """Draw a sparse table of small counts, as words in short documents."""
    rng = np.random.default_rng(seed)
    X = sparse.random_array(
        (n, p),
        density=density,
        format="csr",
        rng=rng,
        data_sampler=lambda size: 1.0 + rng.poisson(0.5, size),
    )
    m = len(FIVE_SHARES) - 1
    slopes = departing_slopes(rng, p, n_informative, m, 1.5)
    return Sample(X, draw_classes(rng, X @ slopes.T, FIVE_SHARES), seed)
