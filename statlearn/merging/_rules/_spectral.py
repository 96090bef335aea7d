"""Merge rules on the singular vectors of task vectors: TSV-M and Iso-C."""

from __future__ import annotations

from collections.abc import Sequence
from math import ldexp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.merging._rules._merge_on_matrices import is_matrix, merge_on_matrices
from statlearn.merging._rules._singular_vectors import (
    MatrixUpdates,
    flattened_sum,
    matrix_updates,
    orthogonal_sum,
    overlaps,
)
from statlearn.merging._state._arrays_and_tensors import to_array
from statlearn.merging._state._entry import Entry, in_unit
from statlearn.merging._state._layouts import State, check_finite, check_models, layout
from statlearn.utils._numbers import positive_integer


def tsv_merge(
    base: State,
    models: Sequence[State],
    *,
    weights: Sequence[float] | None = None,
    lam: float = 1.0,
    k: int | None = None,
) -> dict[str, Any]:
    r"""Merge the singular vectors of each task after making them orthonormal (TSV-M).

    Each task keeps an equal share of the rank of a matrix, and the singular vectors of
    different tasks are turned away from each other, so that tasks interfere less than
    in a sum. A good first choice without any tuning; for networks whose weights are
    matrices.

    Parameters
    ----------
    base : mapping of str to array or tensor
        State dict that the tuning started from.
    models : sequence of mappings of str to array or tensor
        State dicts of the tuned models.
    weights : sequence of float of length n_models, default=None
        Factors on the updates of the models, of any sign; ones for None.
    lam : float, default=1.0
        Coefficient on the merged update.
    k : int, default=None
        Singular vectors that each model keeps in every matrix, at most the smaller of
        its sides. By default the smaller side divided by the number of models, rounded
        down; matrices too small for one vector a model take the mean of the updates.

    Returns
    -------
    dict of str to array or tensor
        Merged state dict in the data types of the base.

    Raises
    ------
    TypeError
        If a parameter is no number, or something is no state dict.
    ValueError
        If `k` is larger than a side of a matrix, a number is not finite, or names or
        shapes differ.

    See Also
    --------
    r_tsv_merge : Clips outliers and adapts the rank.
    iso_merge : Gives all directions of the summed update the same size.
    sti : How much the singular vectors of the tasks overlap.
    torch.linalg.svd : The decomposition of one matrix.

    Notes
    -----
    With updates :math:`\delta_t = U_t \Sigma_t V_t^\top` cut to `k` singular values,
    :math:`U = [U_1 \ldots U_T]` and :math:`V` likewise, the merged update is

    .. math:: \tau = U_\perp \, \mathrm{diag}(\Sigma_1, \ldots, \Sigma_T) \,
              V_\perp^\top, \qquad U_\perp = U (U^\top U)^{-1/2}.

    The inverse root acts on the range of :math:`U^\top U` alone: equal updates of rank
    at most `k` come back as they are, and one model of weight 1 comes back whole. With
    ``k`` equal to the rank of square updates nothing is left but their mean directions.

    Convolution kernels are read as matrices, outputs against the rest. Vectors and
    scalars take the mean of the updates. Costs :math:`O(T m n \min(m, n))` a matrix;
    weights of at most 32 bits never need more than a few blocks of rows and square
    matrices of the smaller side.

    References
    ----------
    Antonio Andrea Gargiulo, Donato Crisostomi, Maria Sofia Bucarelli, Simone
    Scardapane, Fabrizio Silvestri, Emanuele Rodolà. Task Singular Vectors: Reducing
    Task Interference in Model Merging. CVPR, 2025.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import tsv_merge
    >>> base = {"W": np.zeros((2, 2))}
    >>> right = {"W": np.array([[0.0, 3.0], [0.0, 0.0]])}
    >>> down = {"W": np.array([[0.0, 0.0], [2.0, 0.0]])}
    >>> tsv_merge(base, [right, down])["W"]
    array([[0., 3.],
           [2., 0.]])
    """
    rule = "tsv_merge"
    rank = None if k is None else _rank(k, base, rule)

    def kernel(updates: MatrixUpdates, factor: float) -> NDArray[Any] | None:
        n_models = len(updates.models)
        share = min(updates.shape) // n_models if rank is None else rank
        # Of a single model nothing is cut, so no decomposition is needed.
        if share == 0 or (n_models == 1 and rank is None):
            return None
        return orthogonal_sum(updates, share, factor)

    return merge_on_matrices(base, models, kernel, rule=rule, weights=weights, lam=lam)


def iso_merge(
    base: State,
    models: Sequence[State],
    *,
    weights: Sequence[float] | None = None,
    lam: float = 1.0,
) -> dict[str, Any]:
    r"""Give every direction of the summed update the same size (Iso-C).

    A sum of updates is dominated by the directions that the tasks share; equal singular
    values let those of single tasks count as much. Tune `lam` if you can.

    Parameters
    ----------
    base : mapping of str to array or tensor
        State dict that the tuning started from.
    models : sequence of mappings of str to array or tensor
        State dicts of the tuned models.
    weights : sequence of float of length n_models, default=None
        Factors on the updates of the models, of any sign; ones for None.
    lam : float, default=1.0
        Coefficient on the merged update.

    Returns
    -------
    dict of str to array or tensor
        Merged state dict in the data types of the base.

    Raises
    ------
    TypeError
        If a parameter is no number, or something is no state dict.
    ValueError
        If a number is not finite, or names or shapes differ.

    See Also
    --------
    tsv_merge : Gives each task a share of the rank instead.
    task_arithmetic : The sum as it is.
    scipy.linalg.polar : The factor of equal singular values of one matrix.

    Notes
    -----
    With the decomposition :math:`\sum_t \delta_t = P S Q^\top` of a matrix,

    .. math:: \tau = \mathrm{mean}(S) \, P Q^\top.

    Singular values at the rounding of the weights have no direction: they count neither
    in the mean nor in the product. Equal updates of rank one come back times the number
    of models, as in a sum. There is nothing to even out in a single model, which comes
    back whole under weight 1. Vectors and scalars take the mean of the updates;
    convolution kernels are read as matrices, outputs against the rest. Costs one
    decomposition a matrix, :math:`O(m n \min(m, n))`.

    References
    ----------
    Daniel Marczak, Simone Magistri, Sebastian Cygert, Bartłomiej Twardowski, Andrew D.
    Bagdanov, Joost van de Weijer. No Task Left Behind: Isotropic Model Merging with
    Common and Task-Specific Subspaces. ICML, 2025.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import iso_merge
    >>> base = {"W": np.zeros((2, 2))}
    >>> first, second = {"W": np.diag([3.0, 0.0])}, {"W": np.diag([0.0, 1.0])}
    >>> iso_merge(base, [first, second])["W"].round(6)
    array([[2., 0.],
           [0., 2.]])
    """
    rule = "iso_merge"

    def kernel(updates: MatrixUpdates, factor: float) -> NDArray[Any] | None:
        return flattened_sum(updates, factor) if len(updates.models) > 1 else None

    return merge_on_matrices(base, models, kernel, rule=rule, weights=weights, lam=lam)


def sti(
    base: State, models: Sequence[State], *, k: int | None = None
) -> dict[str, float]:
    r"""Measure how much the singular vectors of several tasks interfere.

    Zero if the tasks use directions of their own; :func:`tsv_merge` then is the sum of
    the cut updates. Large values say that a plain sum will mix the tasks up.

    Parameters
    ----------
    base : mapping of str to array or tensor
        State dict that the tuning started from.
    models : sequence of mappings of str to array or tensor
        State dicts of two or more tuned models.
    k : int, default=None
        Singular vectors of each model that count; by default the smaller side of the
        matrix divided by the number of models, at least one.

    Returns
    -------
    dict of str to float
        Interference, in the unit of the weights, under the names of the matrices.

    Raises
    ------
    TypeError
        If something is no state dict.
    ValueError
        If `k` is larger than a side of a matrix, or names or shapes differ.

    See Also
    --------
    tsv_merge : Removes the interference.
    cosine_matrix : Cosines between whole task vectors.
    numpy.linalg.svd : The decomposition of one matrix.

    Notes
    -----
    The sum of the magnitudes of the entries of :math:`(U^\top U - I)\, \Sigma\,
    (V^\top V - I)`, where :math:`U` and :math:`V` hold the leading singular vectors of
    all tasks side by side and :math:`\Sigma` their singular values.

    References
    ----------
    Antonio Andrea Gargiulo, Donato Crisostomi, Maria Sofia Bucarelli, Simone
    Scardapane, Fabrizio Silvestri, Emanuele Rodolà. Task Singular Vectors: Reducing
    Task Interference in Model Merging. CVPR, 2025.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import sti
    >>> base = {"W": np.zeros((2, 2))}
    >>> first, second = {"W": np.diag([3.0, 0.0])}, {"W": np.diag([0.0, 1.0])}
    >>> sti(base, [first, second])
    {'W': 0.0}
    >>> sti(base, [first, first])
    {'W': 6.0}
    """
    check_models(base, models, "sti", at_least=2)
    rank = None if k is None else _rank(k, base, "sti")
    found: dict[str, float] = {}
    for name in base:
        arrays = [to_array(state[name]) for state in (base, *models)]
        if not is_matrix(arrays[0]):
            continue
        check_finite(arrays[0], name, "the base")
        for position, array in enumerate(arrays[1:]):
            check_finite(array, name, f"model {position}")
        entry, power = in_unit(Entry(name, arrays[0], tuple(arrays[1:])))
        updates = matrix_updates(entry, np.ones(len(models)))
        share = rank or max(1, min(updates.shape) // len(models))
        values, left, right = overlaps(updates, share)
        np.fill_diagonal(left, 0.0)
        np.fill_diagonal(right, 0.0)
        found[name] = ldexp(float(np.abs((left * values) @ right).sum()), power)
    return found


def _rank(k: Any, base: State, rule: str) -> int:
    """Return the rank, which has to fit into every matrix."""
    rank = positive_integer(k, "k", rule, "pass the singular vectors to keep")
    for name, (shape, kind) in layout(base, "the base", rule).items():
        if kind != "f" or len(shape) < 2 or 0 in shape:
            continue
        most = min(shape[0], int(np.prod(shape[1:])))
        if rank > most:
            raise ValueError(
                f"The 'k' of {rule} must not exceed a side of a matrix. Got {rank} and "
                f"{name!r} with a side of {most}; pass a smaller k, None for a share "
                "of each, or leave this matrix out."
            )
    return rank
