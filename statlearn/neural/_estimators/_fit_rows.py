"""Rows that a network is fitted to, or asked about: dense, or sparse until needed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import issparse
from torch import Tensor

from statlearn.utils._identity import checksum

# Powers of two beyond which float32 may not hold the sum of weights, or drop them all.
_FAR = 100


@dataclass(frozen=True, slots=True)
class Table:
    """Features of rows.

    Attributes
    ----------
    X : ndarray or CSR table of shape (n, n_features)
    """

    X: Any

    @property
    def handle(self) -> NDArray[Any]:
        """What batches carry, one entry a row: features, or the number of a sparse row.

        So a sparse table becomes dense a batch at a time.
        """
        return np.arange(self.X.shape[0]) if issparse(self.X) else self.X

    def features(self, handle: Tensor) -> Tensor:
        """Return features (n, n_features) of the rows of a batch, on its device."""
        if not issparse(self.X):
            return handle
        dense = self.X[handle.cpu().numpy()].toarray()
        return torch.from_numpy(dense).to(handle.device)


@dataclass(frozen=True, slots=True)
class FitRows:
    """Rows with targets and weights.

    Attributes
    ----------
    table : Table
    target : ndarray of shape (n,) or (n, n_outputs)
        Codes of classes, or values.
    weight : ndarray of shape (n,) or None
        Base weights, if they are not all the same.
    """

    table: Table
    target: NDArray[Any]
    weight: NDArray[np.float64] | None

    def __len__(self) -> int:
        return len(self.target)

    def take(self, which: NDArray[np.intp]) -> FitRows:
        """Return some rows."""
        weight = None if self.weight is None else self.weight[which]
        return FitRows(Table(self.table.X[which]), self.target[which], weight)

    def counted(self) -> FitRows:
        """Return the rows that have weight; without weights, if these are equal.

        Weights of which no sum would be in range are given in another unit.
        """
        if self.weight is None:
            return self
        rows = self if self.weight.all() else self.take(np.flatnonzero(self.weight))
        weight = rows.weight
        if weight is None or (weight == weight[0]).all():
            return replace(rows, weight=None)
        _, exponent = np.frexp(weight.max())
        if abs(exponent) < _FAR:
            return rows
        return replace(rows, weight=np.ldexp(weight, -exponent))

    def fingerprint(self) -> int:
        """Return a number that other rows hardly share."""
        return checksum(self.table.X, self.target, self.weight)
