"""Try a permutation spec out on a network."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.merging._matching._flips import names_that_flip
from statlearn.merging._matching._permute import apply_permutation
from statlearn.merging._state._arrays_and_tensors import to_array
from statlearn.merging._state._entry import Array
from statlearn.merging._state._fitted_models import get_weights, set_weights
from statlearn.merging.permutation_spec import PermutationSpec
from statlearn.utils._numbers import real_number
from statlearn.utils._rng import as_generator


def check_function_preserved(
    spec: PermutationSpec,
    model: Any,
    outputs: Callable[[Any], Any],
    *,
    signed: bool | Collection[str] = False,
    tol: float = 1e-9,
    random_state: Any = None,
) -> float:
    """Refuse a spec under which reordered units change what a network computes.

    Each permutation of the spec is drawn at random, alone, and applied; with `signed`
    one half of its units and then the other is flipped as well. A spec that fails here
    makes good matches look bad. In float32 raise `tol` to about 1e-4.

    Parameters
    ----------
    spec : PermutationSpec
        Axes that should move together.
    model : estimator, torch module or mapping
        Network to try it on.
    outputs : callable
        Outputs of a network of the model's kind, ``outputs(model)``, on some rows.
    signed : bool or collection of str, default=False
        Whether units are also flipped, those of all permutations or of the ones named,
        to try whether `signed` of :func:`match_weights` is right for the network.
    tol : float, default=1e-9
        Largest change allowed, relative to the largest output.
    random_state : int, Generator, RandomState or None, default=None
        Randomness of the permutations and signs.

    Returns
    -------
    float
        Largest change found, relative to the largest output.

    Raises
    ------
    ValueError
        If a permutation changes the outputs, or its flips do; the message names it. Or
        if units are signed whose activation is known not to be odd.

    See Also
    --------
    spec_for : Specs that need no trial.
    apply_permutation : Applies permutations.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import PermutationSpec, check_function_preserved
    >>> state = {"W0": np.eye(2), "W1": np.array([[1.0], [2.0]])}
    >>> spec = PermutationSpec({"W0": (None, "P0"), "W1": ("P0", None)})
    >>> check_function_preserved(spec, state, lambda s: s["W0"] @ s["W1"])
    0.0
    """
    limit = real_number(tol, "tol", "check_function_preserved")
    rng = as_generator(random_state)
    weights = get_weights(model)
    flips = names_that_flip(spec, signed, [model], weights, "check_function_preserved")
    expected = _numbers(outputs(model))
    scale = float(np.abs(expected).max(initial=0.0)) or 1.0
    largest = 0.0
    for name, size in spec.sizes(weights).items():
        for order, signs in _trials(size, rng, flips=name in flips):
            turned = None if signs is None else {name: signs}
            state = apply_permutation(spec, {name: order}, weights, signs=turned)
            found = _numbers(outputs(set_weights(model, state)))
            change = float(np.abs(found - expected).max(initial=0.0))
            if not change <= limit * scale:
                where = ", ".join(
                    f"axis {a} of {n!r}" for n, a, _ in spec.permutations[name]
                )
                deed = "moved" if signs is None else "moved and flipped"
                raise ValueError(
                    "A PermutationSpec must leave what the network computes unchanged. "
                    f"Got a change of {change / scale:.2g}, relative to the largest "
                    f"output, when {name!r} {deed} {where}; add the axes that are "
                    "missing, or take this permutation out."
                )
            largest = max(largest, change / scale)
    return largest


def _trials(
    size: int, rng: np.random.Generator, *, flips: bool
) -> list[tuple[NDArray[np.intp], NDArray[np.int8] | None]]:
    """Return permutations (n,) and signs (n,) that together try each unit."""
    # A random permutation may be the identity, above all of few units, and proves
    # nothing then. One cycle through all units, in random order, moves each.
    cycle = rng.permutation(size)
    order = np.empty_like(cycle)
    order[cycle] = np.roll(cycle, 1)
    if not flips:
        return [(order, None)]
    # Some layers bear a flip of all units, but not of one: each half for itself.
    signs = np.ones(size, dtype=np.int8)
    signs[cycle[: (size + 1) // 2]] = -1
    return [(order, signs), (order, -signs)]


def _numbers(outputs: Any) -> Array | NDArray[Any]:
    return to_array(outputs).astype(np.float64)
