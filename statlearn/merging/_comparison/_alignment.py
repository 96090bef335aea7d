"""How far the singular vectors of two networks agree."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from statlearn.merging._matching._weight_matching import floating
from statlearn.merging._state._entry import Array
from statlearn.merging._state._fitted_models import get_weights
from statlearn.merging._state._layer_choice import chosen_arrays
from statlearn.merging._state._layouts import State, check_models, listed
from statlearn.utils._numbers import closed_share

_EPS = float(np.finfo(np.float64).eps)


def alignment(
    a: Any, b: Any, gamma: float = 0.0, layers: str | Iterable[str] | None = None
) -> float:
    r"""Return how far the leading singular vectors of two networks agree.

    Matching hardly lowers the distance of two networks, but it aligns the singular
    vectors with large singular values, which decide what a layer passes on.

    Parameters
    ----------
    a, b : estimator, torch module or mapping
        Networks of one layout.
    gamma : float, default=0.0
        Share of the largest singular value of a layer, in [0, 1], above which singular
        vectors count; 0 takes all.
    layers : str or iterable of str, default=None
        Names or shell patterns of layers or arrays; all with two axes or more for None.

    Returns
    -------
    float
        In [-1, 1]: 1 if the vectors coincide, about 0 if they have nothing to do with
        each other.

    Raises
    ------
    TypeError
        If a network has no weights.
    ValueError
        If `gamma` is outside [0, 1], there is no matrix, or the networks do not fit.

    See Also
    --------
    singular_spectrum : The singular values.
    SingularAlignmentDisplay : The same over `gamma`.
    scipy.linalg.subspace_angles : Angles between two subspaces.

    Notes
    -----
    With singular vectors :math:`u, v` of layer l and the sets I, J of those with
    :math:`\sigma \ge \gamma \sigma_{\max}`, more than rounding,

    .. math:: R_\gamma = \frac{\sum_l \sum_{i \in I_l, j \in J_l}
              (u_i^A \cdot u_j^B)(v_i^A \cdot v_j^B)}{\sum_l \min(|I_l|, |J_l|)} .

    A singular pair that changes its sign changes nothing. Kernels of convolutions are
    read as matrices, first axis against the others. One decomposition an array.

    References
    ----------
    A. Ito, M. Yamada, A. Kumagai. "Analysis of Linear Mode Connectivity via
    Permutation-Based Weight Matching". ICLR 2025.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import alignment
    >>> a = {"W0": np.diag([3.0, 1.0])}
    >>> b = {"W0": np.array([[2.0, 0.0], [0.0, -1.0]])}
    >>> alignment(a, a), alignment(a, b), alignment(a, b, gamma=0.9)
    (1.0, 0.0, 1.0)
    """
    pairs = singular_pairs(a, b, layers, "alignment")
    return alignment_of(pairs, closed_share(gamma, "gamma", "alignment", "pass 0.3"))


# Singular vectors and values of one array in both networks.
Decomposition = tuple[Array, Array, Array]


def singular_pairs(
    a: Any, b: Any, layers: str | Iterable[str] | None, caller: str
) -> list[tuple[Decomposition, Decomposition]]:
    """Decompose the matrices of both networks."""
    first, second = get_weights(a), get_weights(b)
    check_models(first, [second], caller)
    networks = [_matrices(state, layers, caller) for state in (first, second)]
    return [
        (_decomposed(networks[0][name]), _decomposed(networks[1][name]))
        for name in networks[0]
    ]


def alignment_of(
    pairs: list[tuple[Decomposition, Decomposition]], gamma: float
) -> float:
    """Return the alignment of decomposed networks; 0 if all matrices are zero."""
    total, most = 0.0, 0
    for (u_a, s_a, v_a), (u_b, s_b, v_b) in pairs:
        i, j = _count(s_a, gamma), _count(s_b, gamma)
        total += float(np.sum((u_a[:, :i].T @ u_b[:, :j]) * (v_a[:i] @ v_b[:j].T)))
        most += min(i, j)
    return total / most if most else 0.0


def singular_spectrum(weights: Any) -> dict[str, Array]:
    """Return the singular values of the matrices of a network.

    Parameters
    ----------
    weights : estimator, torch module or mapping
        Network. Kernels are read as matrices, first axis against the others.

    Returns
    -------
    dict of str to ndarray of shape (k,)
        Descending singular values under the names of the arrays with two axes or more.

    Raises
    ------
    TypeError
        If the network has no weights.
    ValueError
        If there is no matrix, or a number is not finite.

    See Also
    --------
    alignment : Compares singular vectors.
    numpy.linalg.svdvals : The same for one matrix.

    Notes
    -----
    The order of units does not change them.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import singular_spectrum
    >>> singular_spectrum({"W0": np.diag([1.0, 3.0]), "b0": np.zeros(2)})
    {'W0': array([3., 1.])}
    """
    matrices = _matrices(get_weights(weights), None, "singular_spectrum")
    return {
        name: np.asarray(np.linalg.svd(matrix, compute_uv=False), dtype=np.float64)
        for name, matrix in matrices.items()
    }


def _matrices(
    state: State, layers: str | Iterable[str] | None, caller: str
) -> dict[str, Array]:
    """Return the arrays of the layers that have two axes or more, as matrices."""
    check_models(state, [], caller, at_least=0)
    names = set(chosen_arrays(state, layers, caller))
    chosen = {name: state[name] for name in state if name in names}
    found = {
        name: array.reshape(len(array), -1)
        for name, array in floating(chosen, "the network").items()
        if array.ndim > 1 and array.size
    }
    if not found:
        where = "pass another network" if layers is None else "choose other 'layers'"
        raise ValueError(
            f"{caller} needs arrays with two axes or more. Got {listed(list(state))}; "
            f"{where}."
        )
    return found


def _decomposed(matrix: Array) -> Decomposition:
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    # Vectors to values of the size of rounding are arbitrary.
    kept = int((values > max(matrix.shape) * _EPS * values[0]).sum())
    return left[:, :kept], values[:kept], right[:kept]


def _count(values: Array, gamma: float) -> int:
    return int((values >= gamma * values[0]).sum()) if len(values) else 0
