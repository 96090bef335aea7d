"""Gaussian kernels between rows and a few centres, a block of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Rows of a block: its kernels stay in the cache of a processor.
_BLOCK = 4096
# Rows that are looked at for a typical distance.
_GLANCE = 500


def squared_distances(X: Array, centers: Array) -> Array:
    """Return squared distances (n, b) between rows (n, p) and centres (b, p)."""
    # |x|^2 - 2 x'c + |c|^2 cancels less if the origin lies among the centres.
    middle = centers.mean(axis=0)
    X, centers = X - middle, centers - middle
    out = X @ (-2.0 * centers.T)
    out += np.einsum("ij,ij->i", X, X)[:, None]
    out += np.einsum("ij,ij->i", centers, centers)
    return np.maximum(out, 0.0, out=out)


def blocks(n: int) -> Iterator[slice]:
    """Yield slices that cover n rows."""
    for start in range(0, n, _BLOCK):
        yield slice(start, start + _BLOCK)


def kernel(distances: Array, gamma: float) -> Array:
    """Return exp(-gamma d) of squared distances."""
    values = distances * -gamma
    return np.exp(values, out=values)


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean kernels of weighted rows, for several widths.

    Attributes
    ----------
    first : ndarray of shape (n_gammas, b)
        Mean of each kernel.
    second : ndarray of shape (n_gammas, b, b) or None
        Mean of products of two kernels.
    """

    first: Array
    second: Array | None


def moments(
    X: Array, share: Array, centers: Array, gammas: Array, *, second: bool
) -> Moments:
    """Return mean kernels of rows, without ever holding those of all rows.

    Parameters
    ----------
    X : ndarray of shape (n, p)
    share : ndarray of shape (n,)
        Weights of the rows that sum to one.
    centers : ndarray of shape (b, p)
    gammas : ndarray of shape (n_gammas,)
    second : bool
        Whether to compute products of kernels.
    """
    size = len(centers)
    mean = np.zeros((len(gammas), size))
    product = np.zeros((len(gammas), size, size)) if second else None
    for rows in blocks(len(X)):
        distances = squared_distances(X[rows], centers)
        for number, gamma in enumerate(gammas):
            values = kernel(distances, gamma)
            mean[number] += share[rows] @ values
            if product is not None:
                weighted = values * share[rows][:, None]
                product[number] += weighted.T @ values
    return Moments(mean, product)


@dataclass(frozen=True, slots=True)
class KernelRatio:
    """A density ratio that is a sum of kernels.

    Attributes
    ----------
    centers : ndarray of shape (b, p)
    gamma : float
    coef : ndarray of shape (b,)
        Non-negative.
    """

    centers: Array
    gamma: float
    coef: Array

    def __call__(self, X: Array) -> Array:
        """Return the ratio at rows.

        Parameters
        ----------
        X : ndarray of shape (n, p)
        """
        used = self.coef > 0.0
        centers, coef = self.centers[used], self.coef[used]
        out = np.zeros(len(X))
        if not used.any():
            return out
        for rows in blocks(len(X)):
            out[rows] = kernel(squared_distances(X[rows], centers), self.gamma) @ coef
        return out


def gamma_grid(
    X: Array, X_target: Array, centers: Array, generator: np.random.Generator
) -> Array:
    """Return widths to choose from: fractions and multiples of a typical distance.

    Parameters
    ----------
    X, X_target : ndarray of shape (n, p), (m, p)
    centers : ndarray of shape (b, p)
    generator : numpy.random.Generator

    Returns
    -------
    gammas : ndarray of shape (8,)
        From wide to narrow.
    """
    seen = [sample_rows(part, _GLANCE, generator) for part in (X, X_target)]
    distances = np.sqrt(squared_distances(np.concatenate(seen), centers))
    typical = float(np.median(distances)) or float(distances.mean()) or 1.0
    widths = typical * np.geomspace(2.0, 0.1, 8)
    return 0.5 / widths**2


def sample_rows(
    X: NDArray[Any], n: int, generator: np.random.Generator
) -> NDArray[Any]:
    """Return at most n rows, drawn without replacement."""
    if len(X) <= n:
        return X
    return X[generator.choice(len(X), n, replace=False)]
