from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from matching_cases import (
    DISTANCE_AFTER,
    A,
    B,
    assert_same_orders,
    perceptron,
    shuffled,
)
from signed_cases import odd_outputs, planted
from statlearn.merging import (
    PermutationSpec,
    apply_permutation,
    match_many,
    match_weights,
    mlp_spec,
    spec_for,
)

SPEC = mlp_spec(3)


def pairwise(models):
    return sum(
        np.sum((a[name] - b[name]) ** 2)
        for i, a in enumerate(models)
        for b in models[i + 1 :]
        for name in a
    )


def test_two_networks_are_matched_as_a_pair():
    result = match_many([A, B], SPEC, random_state=0)
    assert result.distance_after == pytest.approx(DISTANCE_AFTER, abs=1e-9)
    expected = match_weights(SPEC, A, B).permutations
    assert_same_orders(result.permutations[1], expected)


@pytest.mark.parametrize("seed", range(3))
def test_planted_orders_are_found_together(seed):
    network = perceptron([3, 20, 15, 2], seed)
    copies = [shuffled(SPEC, network, seed=10 * seed + i)[0] for i in range(4)]
    result = match_many(copies, SPEC, random_state=seed)
    assert result.distance_after == 0.0
    assert result.distance_before > 1.0
    assert result.converged


def test_first_network_stays_and_all_compute_the_same():
    models = [perceptron([3, 12, 10, 2], seed) for seed in range(4)]
    result = match_many(models, SPEC, random_state=0)
    assert_same_orders(
        result.permutations[0], {"P0": np.arange(12), "P1": np.arange(10)}
    )
    for model, order, found in zip(
        models, result.permutations, result.models, strict=True
    ):
        expected = apply_permutation(SPEC, order, model)
        for name in model:
            np.testing.assert_array_equal(found[name], expected[name])


def test_distances_are_those_of_the_pairs_and_do_not_rise():
    models = [perceptron([3, 12, 10, 2], seed) for seed in range(4)]
    result = match_many(models, SPEC, random_state=0)
    assert result.distance_before == pytest.approx(np.sqrt(pairwise(models) / 6))
    assert result.distance_after == pytest.approx(np.sqrt(pairwise(result.models) / 6))
    assert result.distance_after < result.distance_before


def test_result_is_a_fixed_point():
    models = [perceptron([3, 12, 10, 2], seed) for seed in range(4)]
    result = match_many(models, SPEC, random_state=0)
    again = match_many(result.models, SPEC, random_state=1)
    assert again.n_rounds == 1
    assert again.distance_after == again.distance_before


def test_seed_decides_the_result():
    models = [perceptron([3, 12, 10, 2], seed) for seed in range(3)]
    first, second = (match_many(models, SPEC, random_state=3) for _ in range(2))
    for a, b in zip(first.permutations, second.permutations, strict=True):
        assert_same_orders(a, b)


def test_estimators_come_back_as_estimators():
    X = np.random.default_rng(0).normal(size=(60, 3))
    y = (X[:, 0] > 0).astype(int)
    models = [
        MLPClassifier((8,), max_iter=500, tol=1e-2, random_state=seed).fit(X, y)
        for seed in range(3)
    ]
    result = match_many(models, spec_for(models[0]), random_state=0)
    for model, found in zip(models, result.models, strict=True):
        assert found is not model
        np.testing.assert_allclose(
            found.predict_proba(X), model.predict_proba(X), rtol=1e-9
        )


def test_too_few_rounds_are_told():
    with pytest.warns(ConvergenceWarning, match="within max_iter=1"):
        result = match_many([A, B], SPEC, max_iter=1, random_state=0)
    assert not result.converged


@pytest.mark.parametrize(
    ("models", "options", "error", "message"),
    [
        ([A], {}, ValueError, "at least two models. Got 1"),
        ([], {}, ValueError, "at least two models. Got 0"),
        (A, {}, TypeError, "must be a list of networks. Got dict"),
        ([A, B, 3.0], {}, TypeError, "Got float"),
        ([A, B], {"max_iter": 0}, ValueError, "'max_iter' of match_many"),
        ([A, B], {"tol": -1}, ValueError, "'tol' of match_many"),
        ([A, {**B, "b0": np.full(3, np.nan)}], {}, ValueError, "infinity in model 1"),
        ([A, {**B, "b0": np.ones(4)}], {}, ValueError, "in model 1 and .* in model 0"),
        ([A, B], {"n_init": 0}, ValueError, "'n_init' of match_many must be an int"),
    ],
    ids=["one", "none", "dict", "number", "rounds", "tol", "nan", "shape", "starts"],
)
def test_input_that_cannot_be_is_refused(models, options, error, message):
    with pytest.raises(error, match=message):
        match_many(models, SPEC, **options)


def test_what_is_no_spec_is_refused():
    with pytest.raises(TypeError, match="'spec' of match_many must be a Perm"):
        match_many([A, B], "auto")


# --- several starts -----------------------------------------------------------

BLOCK = PermutationSpec({"up": ("stream", "inner"), "down": ("inner", "stream")})


@pytest.mark.parametrize("seed", range(3))
def test_starts_find_planted_orders_of_residual_blocks(seed):
    rng = np.random.default_rng(seed)
    block = {"up": rng.normal(size=(15, 25)), "down": rng.normal(size=(25, 15))}
    copies = [shuffled(BLOCK, block, seed=10 * seed + i)[0] for i in range(3)]
    one = match_many(copies, BLOCK, random_state=seed)
    several = match_many(copies, BLOCK, n_init=20, random_state=seed)
    assert one.distance_after > 1.0
    assert several.distance_after == 0.0
    assert several.converged
    for found in several.models:
        for name, array in copies[0].items():
            np.testing.assert_array_equal(found[name], array)


def test_starts_leave_networks_alone_that_match_already():
    network = perceptron([3, 12, 10, 2])
    network["W0"][:, 1], network["b0"][1] = network["W0"][:, 0], network["b0"][0]
    network["W1"][1] = network["W1"][0]  # equal units may change places
    result = match_many([network] * 3, SPEC, n_init=5, random_state=0)
    assert result.n_rounds == 1
    for orders in result.permutations:
        assert_same_orders(orders, {"P0": np.arange(12), "P1": np.arange(10)})


def test_starts_with_signs_end_at_a_fixed_point_no_farther_away():
    models = [perceptron([3, 12, 10, 2], seed) for seed in range(3)]
    result = match_many(models, SPEC, n_init=5, signed=True, random_state=0)
    assert result.converged
    assert result.distance_after < result.distance_before
    again = match_many(result.models, SPEC, signed=True, random_state=1)
    assert again.n_rounds == 1


@pytest.mark.parametrize("scale", [2.0**-664, 2.0**531], ids=["tiny", "huge"])
def test_distances_are_in_the_units_of_the_networks(scale):
    models = [perceptron([3, 12, 10, 2], seed) for seed in range(3)]
    scaled = [{name: scale * a for name, a in model.items()} for model in models]
    expected = match_many(models, SPEC, random_state=0)
    found = match_many(scaled, SPEC, random_state=0)
    for a, b in zip(found.permutations, expected.permutations, strict=True):
        assert_same_orders(a, b)
    assert found.distance_before / scale == pytest.approx(expected.distance_before)
    assert found.distance_after / scale == pytest.approx(expected.distance_after)


# --- units that may be flipped -----------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_planted_orders_and_signs_are_found_together(seed):
    network = perceptron([3, 20, 15, 2], seed)
    copies = [planted(network, 10 * seed + i)[0] for i in range(4)]
    result = match_many(copies, SPEC, signed=True, random_state=seed)
    assert result.distance_after == 0.0
    assert result.distance_before > 1.0


def test_first_network_stays_unflipped_and_all_compute_the_same():
    models = [perceptron([3, 12, 10, 2], seed) for seed in range(4)]
    result = match_many(models, SPEC, signed=True, random_state=0)
    for name, array in models[0].items():
        np.testing.assert_array_equal(result.models[0][name], array)
    assert_same_orders(result.signs[0], {"P0": np.ones(12), "P1": np.ones(10)})
    X = np.random.default_rng(0).normal(size=(20, 3))
    for model, order, signs, found in zip(
        models, result.permutations, result.signs, result.models, strict=True
    ):
        expected = apply_permutation(SPEC, order, model, signs=signs)
        for name in model:
            np.testing.assert_array_equal(found[name], expected[name])
        np.testing.assert_allclose(
            odd_outputs(found, X), odd_outputs(model, X), rtol=1e-9, atol=1e-9
        )
    assert result.distance_after == pytest.approx(np.sqrt(pairwise(result.models) / 6))
    plain = match_many(models, SPEC, random_state=0)
    assert result.distance_after < plain.distance_after < plain.distance_before
    again = match_many(result.models, SPEC, signed=True, random_state=1)
    assert again.n_rounds == 1
