"""Matching the units of two networks: coordinate descent over assignments.

Two networks that differ by the order of their hidden units compute the same. The order
that brings one near the other minimises a sum of bilinear assignment problems; given
all permutations but one, that one solves a linear assignment problem. So each step is
exact, the distance never rises, and the descent ends at a fixed point.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from statlearn.merging._matching._descent import Descent, Order
from statlearn.merging._matching._flips import names_that_flip
from statlearn.merging._matching._permute import permute_array, random_signs
from statlearn.merging._state._arrays_and_tensors import to_array
from statlearn.merging._state._entry import Array
from statlearn.merging._state._fitted_models import get_weights
from statlearn.merging._state._layouts import State, check_finite, check_models, listed
from statlearn.merging._state._powers_of_two import LARGE, in_units, unit_of
from statlearn.merging._state._running_statistics import is_statistic
from statlearn.merging.permutation_spec import Permutations, PermutationSpec, Signs
from statlearn.utils._numbers import number_in, positive_integer
from statlearn.utils._rng import as_generator
from statlearn.utils._warn import warn

# Part of a distance by which equal ones may differ.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class MatchResult:
    """Permutations that bring one network near another.

    Attributes
    ----------
    permutations : dict of str to ndarray of int
        For each permutation of the spec the old position of each unit: unit i of the
        matched network is unit ``permutations[name][i]`` of the original.
    distance_before, distance_after : float
        Euclidean distance of the networks over all floating arrays but running
        statistics.
    n_sweeps : int
        Passes over all permutations, the last of which changed nothing unless
        `converged` is False.
    converged : bool
        Whether the last pass changed nothing.
    gains : ndarray of shape (n_sweeps,)
        What each pass added to the inner product of the networks; infinite or zero
        where squares of the weights are.
    signs : dict of str to ndarray of int, or None
        For each permutation whose units may flip 1 or -1 for each unit: unit i of the
        matched network is ``signs[name][i]`` times unit ``permutations[name][i]`` of
        the original. None if no units may.
    """

    permutations: dict[str, NDArray[np.intp]]
    distance_before: float
    distance_after: float
    n_sweeps: int
    converged: bool
    gains: Array
    signs: dict[str, NDArray[np.int8]] | None = None

    @property
    def gain(self) -> float:
        """Sum of all gains; twice this is the fall of the squared distance."""
        return float(self.gains.sum())


def match_weights(
    spec: PermutationSpec,
    reference: Any,
    model: Any,
    *,
    order: Order = "random",
    n_init: int = 1,
    max_iter: int = 100,
    tol: float = 1e-12,
    include_bias: bool = True,
    signed: bool | Collection[str] = False,
    init: Permutations | None = None,
    init_signs: Signs | None = None,
    random_state: Any = None,
) -> MatchResult:
    r"""Find the order of units that brings a network near a reference.

    Parameters
    ----------
    spec : PermutationSpec
        Axes that move together, see :func:`spec_for`.
    reference : estimator, torch module or mapping
        Network that stays.
    model : estimator, torch module or mapping
        Network of the same layout whose units are put in order; it is not changed.
    order : {"random", "forward", "backward"}, default="random"
        Order of the permutations within a pass: drawn anew for each pass, or that of
        the spec.
    n_init : int, default=1
        Number of starts, the first from `init` and the others from random orders; the
        nearest result is kept. Residual networks need several.
    max_iter : int, default=100
        Limit on the passes of a start.
    tol : float, default=1e-12
        Gain, relative to the norms of the units that would move, below which a
        permutation is left as it is.
    include_bias : bool, default=True
        Whether arrays with one axis, such as biases, count.
    signed : bool or collection of str, default=False
        Whether units may also be flipped, their weights and biases negated; names of
        permutations flip the units of these alone. Right for units of odd activations,
        such as tanh or the identity, behind which no normalisation stands.
    init : mapping of str to ndarray of int, default=None
        Permutations to start from; the identity for those that are missing.
    init_signs : mapping of str to ndarray of int, default=None
        Signs to start from, of permutations in `signed`; 1 for those that are missing.
    random_state : int, Generator, RandomState or None, default=None
        Randomness of random orders and starts.

    Returns
    -------
    MatchResult
        The permutations, the signs and the distances.

    Raises
    ------
    TypeError
        If the spec is none, or a model has no weights.
    ValueError
        If spec and networks do not fit, a number is not finite or a parameter cannot
        be; or if units are signed whose activation is known not to be odd, or which
        have scales of a normalisation layer.

    Warns
    -----
    ConvergenceWarning
        If `max_iter` passes were not enough.

    See Also
    --------
    apply_permutation : Put the units in the order that was found.
    match_activations : Match by what the units compute on data.
    match_many : Match three or more networks.
    WeightMatcher : The same with ``fit`` and ``transform``.

    Notes
    -----
    The permutations :math:`\pi` maximise :math:`\sum_k \langle A_k, \pi(B)_k\rangle`,
    the same as to minimise :math:`\|A - \pi(B)\|`. With one hidden layer the first
    step is the optimum; with more a local one is found. One start finds the planted
    orders of perceptrons that we tried, but a tenth of those of a residual block with
    30 and 50 units, of which 20 starts find nine tenths. A permutation of n units whose
    axes carry f numbers a unit costs :math:`O(n^2 f)` for the inner products and
    :math:`O(n^3)` for the assignment; later passes update the inner products by the
    units that moved.

    With `signed` the orders are those of signed permutations. If :math:`C_{ij}` is what
    units i and j have in common, a step assigns units by :math:`|C|` and flips those of
    a negative :math:`C_{i, \pi(i)}`; this is the optimum over orders and signs, so the
    distance never rises either. There are more local optima: of planted orders of
    trained perceptrons with 3 inputs and two layers of 64 units one start found nine
    tenths without flips, a tenth with them, and 10 starts found eight tenths; with 64
    inputs one start was enough. Permutations and flips are all that leaves perceptrons
    of tanh units the same but for special weights; the scales of relu units are not
    matched. Activations are read from scikit-learn perceptrons and torch Sequentials;
    for arrays and other modules the caller knows, and
    :func:`check_function_preserved` tries.

    The running means and variances of batch normalisation are no parameters, and come
    in the units of the data: they are moved with their units, but count neither in the
    match nor in the distances. Matched networks compute what they did; one that is
    averaged or interpolated from them needs its running statistics estimated anew on
    data, with ``torch.optim.swa_utils.update_bn`` for example, or it looks as if the
    match had failed. See :func:`interpolate` and :func:`loss_barrier`.

    References
    ----------
    S. K. Ainsworth, J. Hayase, S. Srinivasa. "Git Re-Basin: Merging Models modulo
    Permutation Symmetries". ICLR 2023.

    A. M. Chen, H. Lu, R. Hecht-Nielsen. "On the Geometry of Feedforward Neural Network
    Error Surfaces". Neural Computation 5, 1993.

    A. Ito, M. Yamada, A. Kumagai. "Analysis of Linear Mode Connectivity via
    Permutation-Based Weight Matching". ICLR 2025.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import apply_permutation, match_weights, mlp_spec
    >>> rng = np.random.default_rng(0)
    >>> network = {"W0": rng.normal(size=(3, 5)), "b0": rng.normal(size=5)}
    >>> network |= {"W1": rng.normal(size=(5, 2)), "b1": rng.normal(size=2)}
    >>> shuffled = apply_permutation(mlp_spec(2), {"P0": rng.permutation(5)}, network)
    >>> result = match_weights(mlp_spec(2), network, shuffled)
    >>> result.distance_after
    0.0
    """
    caller = "match_weights"
    start, moved = read_networks(
        spec, [reference, model], caller, ("the reference", "the model")
    )
    check_options(caller, order, n_init, max_iter, tol)
    flips = names_that_flip(spec, signed, [reference, model], moved, caller)
    begin, signs = _first_start(spec, moved, flips, init or {}, init_signs or {})
    rng = as_generator(random_state)
    best = nearest(
        *(spec, start, moved, begin, signs, rng),
        order=order,
        n_init=n_init,
        max_iter=max_iter,
        tol=tol,
        include_bias=include_bias,
    )
    if not best.converged:
        warn_of_limit(caller, max_iter)
    found = permuted(spec, best.current, moved, best.signs)
    return MatchResult(
        best.current,
        distance_between(start, moved),
        distance_between(start, found),
        len(best.gains),
        best.converged,
        np.array(best.gains),
        best.signs if flips else None,
    )


def nearest(
    spec: PermutationSpec,
    reference: Mapping[str, Array],
    model: Mapping[str, Array],
    begin: Mapping[str, NDArray[np.intp]],
    signs: Signs,
    rng: np.random.Generator,
    *,
    order: Order = "random",
    n_init: int,
    max_iter: int,
    tol: float,
    include_bias: bool = True,
) -> Descent:
    """Return the descent that ended nearest, the first one from given orders."""
    # What no permutation moves would drown small differences between the starts.
    goal = {name: reference[name] for name in spec.axes}
    moving = {name: model[name] for name in spec.axes}
    best: tuple[float, Descent] | None = None
    for number in range(n_init):
        if number > 0:
            begin = {name: rng.permutation(len(begin[name])) for name in begin}
            signs = {name: random_signs(len(signs[name]), rng) for name in signs}
        descent = Descent(
            spec, reference, model, begin, signs=signs, include_bias=include_bias
        )
        descent.run(order, max_iter, tol, rng)
        if n_init == 1:
            return descent
        found = permuted(spec, descent.current, moving, descent.signs)
        distance = distance_between(goal, found)
        # Of starts that differ by rounding the first is kept.
        if best is None or distance < (1.0 - _ROUNDING) * best[0]:
            best = distance, descent
    assert best is not None  # there is at least one start
    return best[1]


def _first_start(
    spec: PermutationSpec,
    weights: Mapping[str, Array],
    flips: Sequence[str],
    init: Permutations,
    init_signs: Signs,
) -> tuple[dict[str, NDArray[np.intp]], dict[str, NDArray[np.int8]]]:
    """Return all permutations, and signs of those that flip, from those of a caller."""
    spec.check(init, weights, init_signs)
    fixed = [name for name in init_signs if name not in flips]
    if fixed:
        raise ValueError(
            "The 'init_signs' of match_weights must be those of permutations in "
            f"'signed', {listed(flips)}. Got {fixed[0]!r}; leave it out or add it to "
            "'signed'."
        )
    sizes = spec.sizes(weights)
    begin = {name: np.arange(size) for name, size in sizes.items()}
    signs = {name: np.ones(sizes[name], dtype=np.int8) for name in flips}
    begin |= {name: np.asarray(order) for name, order in init.items()}
    signs |= {name: np.asarray(s, dtype=np.int8) for name, s in init_signs.items()}
    return begin, signs


# --- networks as float64 arrays ----------------------------------------------


def read_networks(
    spec: PermutationSpec, models: Sequence[Any], caller: str, called: Sequence[str]
) -> list[dict[str, Array]]:
    """Return the floating arrays of networks, named so, checked against the spec."""
    if not isinstance(spec, PermutationSpec):
        raise TypeError(
            f"The 'spec' of {caller} must be a PermutationSpec. Got "
            f"{type(spec).__name__}; make one with spec_for(model)."
        )
    states = [get_weights(model) for model in models]
    check_models(states[0], states[1:], caller, called=called)
    spec.sizes(states[0])
    networks = [floating(s, who) for s, who in zip(states, called, strict=True)]
    integers = sorted(set(spec.axes) - set(networks[0]))
    if integers:
        raise TypeError(
            f"The arrays that {caller} permutes must hold floating numbers. Got "
            f"integers in {listed(integers)}; convert them, or take them out of the "
            "spec."
        )
    return networks


def floating(state: State, who: str) -> dict[str, Array]:
    """Return the floating arrays of a state dict as float64, all finite."""
    arrays = {name: to_array(state[name]) for name in state}
    found = {name: a for name, a in arrays.items() if a.dtype.kind == "f"}
    for name, array in found.items():
        check_finite(array, name, who)
    return {name: a.astype(np.float64, copy=False) for name, a in found.items()}


def distance_between(a: Mapping[str, Array], b: Mapping[str, Array]) -> float:
    """Return the Euclidean distance over all arrays but running statistics."""
    pairs = [(a[name], b[name]) for name in a if not is_statistic(name)]
    with np.errstate(over="ignore", under="ignore"):
        distance = np.sqrt(sum(float(np.square(x - y).sum()) for x, y in pairs))
        if 1.0 / LARGE < distance < LARGE:
            return float(distance)
        # Differences may need a unit in which they are doubles, squares another.
        power = unit_of([array for pair in pairs for array in pair])
        gaps = [in_units(x, power) - in_units(y, power) for x, y in pairs]
        finer = unit_of(gaps)
        squares = (float(np.square(in_units(gap, finer)).sum()) for gap in gaps)
        return float(np.ldexp(np.sqrt(sum(squares)), power + finer))


def permuted(
    spec: PermutationSpec,
    permutations: Permutations,
    arrays: Mapping[str, Array],
    signs: Signs | None = None,
) -> dict[str, Array]:
    """Return floating arrays with their units in another order, some flipped."""
    return {
        name: permute_array(array, spec.axes.get(name, ()), permutations, signs)
        for name, array in arrays.items()
    }


def check_options(
    caller: str, order: Any, n_init: Any, max_iter: Any, tol: Any
) -> None:
    """Refuse options of the descent that cannot be."""
    if order not in get_args(Order):
        raise ValueError(
            f"The 'order' of {caller} must be one of {get_args(Order)}. Got "
            f"{order!r}; pass 'random'."
        )
    positive_integer(n_init, "n_init", caller, "pass 1")
    positive_integer(max_iter, "max_iter", caller, "pass 100")
    number_in(tol, "tol", caller, "pass 1e-12", 0.0, inf)


def warn_of_limit(caller: str, max_iter: int) -> None:
    """Warn that the passes ended before nothing changed any more."""
    warn(
        f"{caller} expected a pass without changes within max_iter={max_iter}. Got "
        "changes to the last; the result is near but no fixed point: raise 'max_iter' "
        "or 'tol'.",
        ConvergenceWarning,
    )
