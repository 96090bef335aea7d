from __future__ import annotations

import numpy as np
import pytest

from matching_cases import A, B, perceptron, shuffled
from statlearn.merging import (
    SingularAlignmentDisplay,
    alignment,
    apply_permutation,
    match_weights,
    mlp_spec,
    singular_spectrum,
)

SPEC = mlp_spec(3)
MATCHED = apply_permutation(SPEC, match_weights(SPEC, A, B).permutations, B)


@pytest.mark.parametrize("gamma", [0.0, 0.3])
def test_known_networks_before_and_after_matching(gamma):
    assert alignment(A, B, gamma) == pytest.approx(0.061977080, abs=1e-9)
    assert alignment(A, MATCHED, gamma) == pytest.approx(0.996208977, abs=1e-9)


def test_squared_distance_is_the_sum_over_singular_vectors():
    # Of two matrices; the other arrays add what they differ by.
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 7, 5))
    (u, s, v), (x, t, y) = (np.linalg.svd(m, full_matrices=False) for m in (a, b))
    inner = s @ ((u.T @ x) * (v @ y.T)) @ t
    assert np.sum((a - b) ** 2) == pytest.approx(
        (s**2).sum() + (t**2).sum() - 2 * inner
    )


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0])
def test_network_is_aligned_with_itself_and_its_multiple(gamma):
    state = perceptron([4, 9, 7, 3])
    triple = {name: 3.0 * array for name, array in state.items()}
    assert alignment(state, state, gamma) == pytest.approx(1.0, abs=1e-12)
    assert alignment(state, triple, gamma) == pytest.approx(1.0, abs=1e-12)
    opposite = {name: -array for name, array in state.items()}
    assert alignment(state, opposite, gamma) == pytest.approx(-1.0, abs=1e-12)


def test_layout_and_order_of_both_do_not_matter():
    a, b = perceptron([4, 9, 7, 3], 0), perceptron([4, 9, 7, 3], 1)
    expected = alignment(a, b, 0.3)
    both = [shuffled(mlp_spec(3), state, seed=5)[0] for state in (a, b)]
    turned = [{n: x.T for n, x in state.items()} for state in (a, b)]
    assert alignment(*both, 0.3) == pytest.approx(expected, abs=1e-12)
    assert alignment(*turned, 0.3) == pytest.approx(expected, abs=1e-12)
    assert alignment(b, a, 0.3) == pytest.approx(expected, abs=1e-12)


def test_layers_that_are_named_count_alone():
    a = {"one.weight": np.diag([2.0, 1.0]), "two.weight": np.eye(2)}
    b = {"one.weight": np.diag([2.0, 1.0]), "two.weight": -np.eye(2)}
    assert alignment(a, b) == pytest.approx(0.0, abs=1e-12)
    assert alignment(a, b, layers="one") == pytest.approx(1.0)
    assert alignment(a, b, layers=["t*"]) == pytest.approx(-1.0)


def test_vectors_of_rounding_do_not_count():
    low = np.outer([1.0, 2.0, 3.0], [1.0, 1.0, 1.0])
    assert alignment({"W": low}, {"W": low + 0.0}) == pytest.approx(1.0, abs=1e-12)
    assert alignment({"W": np.zeros((2, 2))}, {"W": np.eye(2)}) == 0.0


def test_kernels_are_matrices_and_the_spectrum_is_that_of_numpy(torch):
    kernel = np.random.default_rng(0).normal(size=(4, 3, 2, 2))
    state = {"k": torch.tensor(kernel), "bias": torch.zeros(4), "n": torch.tensor(1)}
    found = singular_spectrum(state)
    assert list(found) == ["k"]
    np.testing.assert_allclose(
        found["k"], np.linalg.svd(kernel.reshape(4, 12), compute_uv=False)
    )
    assert alignment(state, state) == pytest.approx(1.0)


def test_order_of_units_leaves_the_spectrum():
    state = perceptron([4, 9, 7, 3])
    moved, _ = shuffled(mlp_spec(3), state)
    for name, values in singular_spectrum(state).items():
        np.testing.assert_allclose(singular_spectrum(moved)[name], values)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"gamma": 1.5}, ValueError, "'gamma' of alignment must lie in \\[0, 1\\]"),
        ({"gamma": -0.1}, ValueError, "'gamma' of alignment must lie in \\[0, 1\\]"),
        ({"gamma": np.nan}, ValueError, "'gamma' of alignment must lie in \\[0, 1\\]"),
        ({"gamma": "all"}, TypeError, "'gamma' of alignment must be a real number"),
        ({"layers": "W7"}, ValueError, "Got 'W7' and arrays"),
        ({"layers": "b*"}, ValueError, "alignment needs arrays with two axes"),
    ],
    ids=["large", "negative", "nan", "word", "unknown", "biases"],
)
def test_options_that_cannot_be_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        alignment(A, B, **options)


def test_networks_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="without \\['W2'\\]"):
        alignment(A, {n: a for n, a in B.items() if n != "W2"})
    with pytest.raises(ValueError, match="'W0' must hold finite numbers"):
        alignment(A, {**B, "W0": np.full((2, 3), np.nan)})


def test_messages_name_the_caller_and_what_it_takes():
    message = r"^singular_spectrum needs arrays with two axes .*; pass another network"
    with pytest.raises(ValueError, match=message):
        singular_spectrum({"b": np.ones(3)})
    with pytest.raises(ValueError, match=r"^alignment .*; choose other 'layers'"):
        alignment(A, B, layers="b*")
    message = r"'layers' of SingularAlignmentDisplay\.from_models must name"
    with pytest.raises(ValueError, match=message):
        SingularAlignmentDisplay.from_models(A, {"b": B}, layers="W7")
