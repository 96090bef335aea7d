"""Features that stay as they are once they are chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import clone
from sklearn.utils.extmath import row_norms
from sklearn.utils.sparsefuncs import mean_variance_axis

from statlearn.continual._buffer import TaskRows

# Squared length of random features. It says how much a weight can do, and so how much
# a penalty of given strength holds back.
_SQUARE = 10.0


@dataclass(frozen=True, slots=True)
class RandomFeatures:
    """Rectified random projections of centred rows, all of one length.

    Attributes
    ----------
    weights : ndarray of shape (n_features, n_components)
        With the scale folded in, and the centre in the offset: sparse rows stay so.
    offset : ndarray of shape (n_components,)
    """

    weights: NDArray[np.float64]
    offset: NDArray[np.float64]

    def transform(self, X: Any) -> NDArray[Any]:
        """Return features (n, n_components) of rows (n, n_features)."""
        phi = X @ self.weights.astype(X.dtype, copy=False)
        phi += self.offset.astype(X.dtype, copy=False)
        np.maximum(phi, 0.0, out=phi)
        length = row_norms(phi)
        length[length == 0.0] = 1.0
        phi *= (_SQUARE**0.5 / length)[:, None].astype(X.dtype)
        return phi


def random_features(
    rows: TaskRows, n_components: int, generator: np.random.Generator
) -> RandomFeatures:
    """Draw features for rows like these, whose mean and spread they use."""
    X = rows.X
    if sparse.issparse(X):
        mean, variance = mean_variance_axis(X, axis=0, weights=rows.weight)
    else:
        mean = np.average(X, axis=0, weights=rows.weight)
        variance = np.average((X - mean) ** 2, axis=0, weights=rows.weight)
    # One scale for all columns: some that hardly vary so far may do so later.
    spread = float(np.sqrt(variance.sum(dtype=np.float64))) or 1.0
    weights = generator.normal(size=(X.shape[1], n_components)) / spread
    offset = generator.normal(size=n_components) - mean.astype(np.float64) @ weights
    return RandomFeatures(weights, offset)


def fitted_map(
    backbone: Any, n_components: int, rows: TaskRows, generator: np.random.Generator
) -> Any:
    """Return what makes features of rows, fitted to the rows of the first step.

    Parameters
    ----------
    backbone : transformer, "random" or None
        None leaves rows as they are.
    n_components : int
        Number of random features.
    rows : TaskRows
    generator : Generator

    Returns
    -------
    map : fitted transformer or None
    """
    if backbone is None:
        return None
    if isinstance(backbone, str):
        return random_features(rows, n_components, generator)
    return clone(backbone).fit(rows.X, rows.y)


def features_of(fitted: Any, X: Any, caller: str) -> Any:
    """Return features (n, d) of rows, dense or CSR, in a floating type."""
    if fitted is None:
        return X
    phi = fitted.transform(X)
    phi = phi.tocsr() if sparse.issparse(phi) else np.asarray(phi)
    if phi.dtype.kind in "iub":
        phi = phi.astype(np.float64)
    right = phi.ndim == 2 and phi.shape[0] == X.shape[0] and phi.dtype.kind == "f"
    if not (right and np.isfinite(phi.sum())):
        raise ValueError(
            f"The 'backbone' of {caller} must give finite numbers of shape "
            f"({X.shape[0]}, n_components). Got an array of shape {phi.shape} and type "
            f"{phi.dtype}; correct its transform."
        )
    return phi
