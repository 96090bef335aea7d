"""Merging matrices by a kernel of their own, and other arrays by the mean update."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from numpy.typing import NDArray

from statlearn.merging._rules._model_weights import model_weights
from statlearn.merging._rules._singular_vectors import MatrixUpdates, matrix_updates
from statlearn.merging._state._entry import Entry
from statlearn.merging._state._layouts import State, check_models
from statlearn.merging._state._merge_states import blockwise, merge_states
from statlearn.utils._numbers import real_number
from statlearn.utils._sklearn import blas_threads_for

MatrixKernel = Callable[[MatrixUpdates, float], NDArray[Any] | None]


def decomposition_excess(shape: tuple[int, ...], itemsize: int) -> int:
    """Compare arrays by the bytes that the product of a kernel needs beyond its result.

    The result of a tall matrix is written when little but two square factors is left;
    a small matrix is gone by then, and its own squares count in full.
    """
    if len(shape) < 2 or 0 in shape:
        return 0
    size = prod(shape)
    n = min(shape[0], size // shape[0])
    if itemsize >= 8:  # several tall factors
        return 32 * size
    square = 8 * n * n
    return max(6 * square - itemsize * size, 2 * square)


def merge_on_matrices(
    base: State,
    models: Sequence[State],
    kernel: MatrixKernel,
    *,
    rule: str,
    weights: Sequence[float] | None,
    lam: float,
) -> dict[str, Any]:
    """Merge matrices with a kernel, and other arrays by the mean of the updates.

    Parameters
    ----------
    base, models, rule
        As in `merge_states`.
    kernel : callable
        Merged numbers from the updates of a matrix, scaled by the weights, and the
        coefficient; None where the mean is to stand in.
    weights, lam
        As the caller of the rule gave them.
    """
    check_models(base, models, rule)
    scales = model_weights(weights, len(models), rule)
    factor = real_number(lam, "lam", rule)
    shares = factor * scales / len(scales)
    mean = blockwise(lambda start, updates: start + shares @ updates)

    def merge(entry: Entry) -> NDArray[Any]:
        if not is_matrix(entry.base):
            return mean(entry)
        with blas_threads_for(entry.size):
            merged = kernel(matrix_updates(entry, scales), factor)
        return mean(entry) if merged is None else merged

    return merge_states(
        base,
        models,
        merge,
        rule=rule,
        excess=decomposition_excess,
        shares=scales,
        lam=factor,
        by_products=True,
    )


def is_matrix(array: NDArray[Any]) -> bool:
    return array.ndim >= 2 and array.size > 0 and array.dtype.kind == "f"
