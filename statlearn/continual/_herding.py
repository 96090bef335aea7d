"""Herding: which rows of a class have nearly its mean, the first ones most of all."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.preprocessing import normalize

from statlearn.utils._numbers import positive_integer
from statlearn.utils._validation import as_numbers, read_sample_weight

# So often in a row may rows lead that are chosen already.
_MAX_REPEATS = 10


def herding(features: Any, m: int, *, sample_weight: Any = None) -> NDArray[np.intp]:
    r"""Choose rows whose mean follows the mean of all, in order of importance.

    The first k of them are what it chooses for ``m=k``, so that a list of exemplars can
    be shortened at any time. Call it for each class by itself.

    Parameters
    ----------
    features : array-like or sparse table of shape (n, n_features)
        Features of the rows of one class. Only their directions count.
    m : int
        Number of rows to choose; all are put in order if there are no more.
    sample_weight : array-like of shape (n,), default=None
        Non-negative weights of the rows in the mean; rows of weight zero are left out.

    Returns
    -------
    indices : ndarray of shape (min(m, n),)
        Numbers of rows, each once.

    Raises
    ------
    TypeError
        If `m` is no integer.
    ValueError
        If features or weights are no finite numbers in the right shape, or m is below
        one.

    See Also
    --------
    ExemplarMemory : Keeps such rows of many classes in a budget.
    sklearn.cluster.kmeans_plusplus : Chooses rows that are far from each other.

    Notes
    -----
    With features :math:`\phi_j` of unit length, their mean :math:`\mu` and
    :math:`w = \mu` at first, each step takes the row :math:`i` of the largest
    :math:`w^\top \phi_i` and replaces :math:`w` by :math:`w + \mu - \phi_i`. The mean
    of k rows is then off by O(1/k), where that of a random sample is off by
    :math:`O(1/\sqrt{k})`. A row that leads again counts again, but is listed once;
    after ten such steps in a row the best of the others is taken, without which some
    rows would never be, such as copies.

    It takes O(m n n_features) operations.

    References
    ----------
    Max Welling. Herding Dynamical Weights to Learn. ICML, 2009.

    Sylvestre-Alvise Rebuffi, Alexander Kolesnikov, Georg Sperl, Christoph H. Lampert.
    iCaRL: Incremental Classifier and Representation Learning. CVPR, 2017.

    Examples
    --------
    >>> from statlearn.continual import herding
    >>> rows = [[1, 0], [0.9, 0.1], [0.8, 0.6], [0, 1], [0.6, 0.8], [-1, 0.2]]
    >>> herding(rows, 3)
    array([4, 2, 5])
    """
    table = feature_table(features, "features", "herding")
    m = positive_integer(m, "m", "herding", "pass how many rows to choose")
    weight = np.ones(table.shape[0])
    if sample_weight is not None:
        weight = read_sample_weight(sample_weight, table, "herding")
    counted = np.flatnonzero(weight)
    return counted[ranked(table[counted], m, weight[counted])]


def ranked(
    features: Any, m: int, weight: NDArray[np.float64] | None = None
) -> NDArray[np.intp]:
    """Return up to m rows of features (n, d), in order.

    Parameters
    ----------
    features : ndarray or CSR table of shape (n, d)
    m : int
    weight : ndarray of shape (n,), positive, or None
    """
    n = features.shape[0]
    # Divided first: squares of tiny or huge numbers would be zero or infinite.
    phi = normalize(features / (abs(features).max() or 1.0))
    share = np.full(n, 1.0 / n) if weight is None else weight / weight.sum()
    mean = share @ phi
    w, listed, n_repeats = mean.copy(), np.zeros(n, dtype=bool), 0
    order: list[int] = []
    while len(order) < min(m, n):
        score = phi @ w
        best = int(np.argmax(score))
        if listed[best]:
            n_repeats += 1
            if n_repeats > _MAX_REPEATS:
                best = int(np.argmax(np.where(listed, -np.inf, score)))
        if not listed[best]:
            order.append(best)
            listed[best], n_repeats = True, 0
        row = phi[[best]]
        w += mean - (row.toarray() if sparse.issparse(row) else row)[0]
    return np.array(order, dtype=np.intp)


def feature_table(features: Any, name: str, caller: str) -> Any:
    """Return features as a table (n, d) of float64, or say what they should be."""
    if sparse.issparse(features):
        table = sparse.csr_array(features, dtype=np.float64)
        finite = bool(np.isfinite(table.data).all())
    else:
        table = as_numbers(features)
        finite = bool(np.isfinite(table).all())
    if table.ndim != 2 or not (finite and table.shape[0] and table.shape[1]):
        found = f"shape {table.shape}" if finite else "NaN, infinity or other values"
        raise ValueError(
            f"The '{name}' of {caller} must be finite numbers of shape "
            f"(n, n_features). Got {found}; pass one row of numbers for each row of "
            f"the data."
        )
    return table
