from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPClassifier

from matching_cases import (
    DISTANCE_AFTER,
    PERMUTATIONS,
    ROWS,
    A,
    B,
    assert_same_orders,
    hidden,
    perceptron,
)
from signed_cases import planted
from statlearn.merging import (
    PermutationSpec,
    apply_permutation,
    match_activations,
    mlp_spec,
    set_weights,
    spec_for,
)
from statlearn.merging._matching import _activation_matching as module

SPEC = mlp_spec(3)
PAIR = [dict(zip(("P0", "P1"), hidden(net), strict=False)) for net in (A, B)]


def as_estimator(state):
    shell = MLPClassifier((3, 2), max_iter=1000, tol=1e-2, random_state=0)
    shell.fit(np.vstack([ROWS, -ROWS]), [0, 1] * 6)
    shell.coefs_[2], shell.intercepts_[2] = np.zeros((2, 2)), np.zeros(2)
    return set_weights(shell, state)


@pytest.mark.parametrize("correlation", [False, True], ids=["inner", "correlation"])
@pytest.mark.parametrize("given", ["rows", "activations"])
def test_known_networks_are_matched(given, correlation):
    if given == "rows":
        pair, options = (as_estimator(A), as_estimator(B)), {"X": ROWS}
    else:
        pair, options = (A, B), {"activations": PAIR}
    result = match_activations(SPEC, *pair, correlation=correlation, **options)
    assert_same_orders(result.permutations, PERMUTATIONS)
    assert result.distance_after == pytest.approx(DISTANCE_AFTER, abs=1e-9)
    fall = result.distance_before**2 - result.distance_after**2
    assert 2.0 * result.gain == pytest.approx(fall, rel=1e-12)
    assert result.n_sweeps == 1


@pytest.mark.parametrize("correlation", [False, True], ids=["inner", "correlation"])
@pytest.mark.parametrize("scale", [1e-200, 1e160])
def test_very_small_and_very_large_numbers_are_matched(scale, correlation):
    nets = [{name: scale * a for name, a in net.items()} for net in (A, B)]
    pair = [{name: scale * z for name, z in net.items()} for net in PAIR]
    result = match_activations(SPEC, *nets, activations=pair, correlation=correlation)
    assert_same_orders(result.permutations, PERMUTATIONS)
    assert result.distance_after / scale == pytest.approx(DISTANCE_AFTER, abs=1e-9)


def test_batches_of_rows_add_up(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 2))
    for correlation in (False, True):
        options = {"X": X, "correlation": correlation}
        pair = as_estimator(A), as_estimator(B)
        whole = match_activations(SPEC, *pair, **options)
        monkeypatch.setattr(module, "_BATCH", 7)
        parts = match_activations(SPEC, *pair, **options)
        monkeypatch.undo()
        assert_same_orders(whole.permutations, parts.permutations)


@pytest.mark.parametrize("n_batches", [1, 3])
def test_correlations_are_those_of_numpy(n_batches):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 30, 4)) + 1e3
    products = module._Products(correlation=True)
    for rows in np.array_split(np.arange(30), n_batches):
        products.add(a[rows], b[rows])
    expected = np.corrcoef(a, b, rowvar=False)[:4, 4:]
    np.testing.assert_allclose(products.matrix(), expected, atol=1e-10)


def test_constant_units_correlate_with_none():
    a = np.column_stack([np.arange(4.0), np.full(4, 0.1)])
    products = module._Products(correlation=True)
    products.add(a, a)
    np.testing.assert_allclose(products.matrix(), [[1.0, 0.0], [0.0, 0.0]], atol=1e-12)


def test_positions_of_images_count_as_samples(torch):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(6, 5, 3, 3))
    order = rng.permutation(5)
    spec = PermutationSpec({"k": ("P0",)})
    state = {"k": rng.normal(size=(5, 2, 3, 3))}
    moved = apply_permutation(spec, {"P0": order}, state)
    pair = [{"P0": torch.tensor(images)}, {"P0": torch.tensor(images[:, order])}]
    result = match_activations(spec, state, moved, activations=pair)
    np.testing.assert_array_equal(order[result.permutations["P0"]], range(5))
    assert result.distance_after == 0.0


def test_network_without_rows_or_with_both_is_refused():
    with pytest.raises(ValueError, match="Got none; pass one of them"):
        match_activations(SPEC, A, B)
    with pytest.raises(ValueError, match="Got both; pass one of them"):
        match_activations(SPEC, A, B, ROWS, activations=PAIR)


def test_rows_are_for_perceptrons():
    with pytest.raises(TypeError, match="Got dict; pass what its units compute"):
        match_activations(SPEC, A, B, ROWS)
    linear = LinearRegression().fit(ROWS, ROWS[:, 0])
    spec = PermutationSpec({"coef_": ("P0",)})
    with pytest.raises(TypeError, match="Got LinearRegression"):
        match_activations(spec, linear, linear, ROWS)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (ROWS[:, :1], "must have the 2 features"),
        (np.full((3, 2), np.nan), "NaN"),
        (ROWS[0], "Expected 2D array"),
    ],
    ids=["features", "nan", "one axis"],
)
def test_rows_that_cannot_be_are_refused(X, message):
    estimator = as_estimator(A)
    with pytest.raises(ValueError, match=message):
        match_activations(spec_for(estimator), estimator, estimator, X)


@pytest.mark.parametrize(
    ("activations", "message"),
    [
        ([PAIR[0]], "must be two mappings"),
        ([PAIR[0], {"P0": PAIR[1]["P0"]}], "Got none for 'P1'"),
        (3, "must be two mappings"),
        ([PAIR[0], {**PAIR[1], "P1": np.ones((5, 2))}], "of the same rows"),
        ([{**p, "P1": np.ones((6, 3))} for p in PAIR], "2 units on axis 1 for 'P1'"),
        ([{**p, "P1": np.ones(6)} for p in PAIR], "2 units on axis 1 for 'P1'"),
        ([PAIR[0], {**PAIR[1], "P0": PAIR[1]["P0"] * np.nan}], "finite numbers"),
    ],
    ids=["one", "missing", "number", "rows", "units", "axes", "nan"],
)
def test_activations_that_cannot_be_are_refused(activations, message):
    with pytest.raises(ValueError, match=message):
        match_activations(SPEC, A, B, activations=activations)


# --- units that may be flipped -----------------------------------------------


@pytest.mark.parametrize("correlation", [False, True], ids=["inner", "correlation"])
def test_order_and_signs_are_found_from_activations(correlation):
    rng = np.random.default_rng(0)
    network = perceptron([2, 3, 2, 2])
    moved, orders, signs = planted(network)
    outputs = [np.tanh(rng.normal(size=(50, n))) for n in (3, 2)]
    given = dict(zip(("P0", "P1"), outputs, strict=True))
    turned = {name: given[name][:, o] * signs[name] for name, o in orders.items()}
    options = {"activations": [given, turned], "correlation": correlation}
    result = match_activations(SPEC, network, moved, signed=True, **options)
    assert result.distance_after == 0.0
    one = match_activations(SPEC, network, moved, signed=["P0"], **options)
    assert set(one.signs) == {"P0"}
    assert_same_orders({"P0": one.signs["P0"]}, {"P0": result.signs["P0"]})
    assert match_activations(SPEC, network, moved, **options).signs is None
