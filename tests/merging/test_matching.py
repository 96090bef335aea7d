from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from matching_cases import (
    DISTANCE_AFTER,
    DISTANCE_BEFORE,
    PERMUTATIONS,
    A,
    B,
    assert_same_orders,
    perceptron,
    shuffled,
)
from statlearn.merging import (
    PermutationSpec,
    apply_permutation,
    compose_permutations,
    match_weights,
    mlp_spec,
)

SPEC = mlp_spec(3)


@pytest.mark.parametrize("order", ["forward", "backward", "random"])
def test_known_networks_are_matched_in_two_passes(order):
    result = match_weights(SPEC, A, B, order=order, random_state=0)
    assert_same_orders(result.permutations, PERMUTATIONS)
    assert result.distance_before == pytest.approx(DISTANCE_BEFORE, abs=1e-9)
    assert result.distance_after == pytest.approx(DISTANCE_AFTER, abs=1e-9)
    assert result.n_sweeps == 2
    assert result.converged
    np.testing.assert_allclose(result.gains, [2.525 + 21.85, 0.0], atol=1e-12)


def test_gain_is_half_the_fall_of_the_squared_distance():
    result = match_weights(SPEC, A, B)
    fall = result.distance_before**2 - result.distance_after**2
    assert 2.0 * result.gain == pytest.approx(fall, rel=1e-12)


def test_network_matched_to_itself_stays():
    result = match_weights(SPEC, A, A, random_state=0)
    assert_same_orders(result.permutations, {"P0": [0, 1, 2], "P1": [0, 1]})
    assert result.distance_after == 0.0
    assert result.n_sweeps == 1


@pytest.mark.parametrize("sizes", [[4, 30, 3], [4, 64, 64, 3], [8, 64, 96, 64, 3]])
@pytest.mark.parametrize("seed", range(3))
def test_planted_order_is_found_exactly(sizes, seed):
    spec = mlp_spec(len(sizes) - 1)
    network = perceptron(sizes, seed)
    moved, orders = shuffled(spec, network, seed)
    result = match_weights(spec, network, moved, random_state=seed)
    assert result.distance_after == 0.0
    back = compose_permutations(orders, result.permutations)
    assert_same_orders(back, {name: range(len(o)) for name, o in orders.items()})


def test_one_hidden_layer_is_solved_by_the_first_assignment():
    a, b = perceptron([3, 5, 2], 0), perceptron([3, 5, 2], 1)
    spec = mlp_spec(2)
    result = match_weights(spec, a, b)
    distances = [
        np.sqrt(sum(np.sum((a[n] - moved[n]) ** 2) for n in a))
        for order in itertools.permutations(range(5))
        for moved in [apply_permutation(spec, {"P0": np.array(order)}, b)]
    ]
    assert result.distance_after == pytest.approx(min(distances), rel=1e-12)
    assert result.n_sweeps == 2
    assert result.gains[1] == 0.0


def test_result_is_a_fixed_point_and_no_pass_loses():
    a, b = perceptron([4, 20, 20, 20, 3], 0), perceptron([4, 20, 20, 20, 3], 1)
    spec = mlp_spec(4)
    result = match_weights(spec, a, b, random_state=0)
    assert (result.gains[:-1] > 0.0).all()
    assert result.gains[-1] == 0.0
    again = match_weights(spec, a, b, init=result.permutations)
    assert again.n_sweeps == 1
    assert_same_orders(again.permutations, result.permutations)
    moved = apply_permutation(spec, result.permutations, b)
    assert match_weights(spec, a, moved).distance_before == result.distance_after


def test_more_starts_never_give_a_worse_result():
    spec = mlp_spec(4)
    a, b = perceptron([2, 12, 12, 12, 2], 0), perceptron([2, 12, 12, 12, 2], 1)
    one = match_weights(spec, a, b, order="forward").distance_after
    several = match_weights(spec, a, b, order="forward", n_init=10, random_state=0)
    assert several.distance_after <= one


def test_seed_decides_the_result():
    spec = mlp_spec(4)
    a, b = perceptron([2, 12, 12, 12, 2], 0), perceptron([2, 12, 12, 12, 2], 1)
    first = match_weights(spec, a, b, n_init=3, random_state=5)
    second = match_weights(spec, a, b, n_init=3, random_state=5)
    assert_same_orders(first.permutations, second.permutations)


def test_equal_units_keep_their_places():
    twins = {name: array.copy() for name, array in A.items()}
    twins["W0"][:, 1], twins["b0"][1] = twins["W0"][:, 0], twins["b0"][0]
    twins["W1"][1] = twins["W1"][0]
    result = match_weights(SPEC, twins, twins, random_state=0)
    assert_same_orders(result.permutations, {"P0": [0, 1, 2], "P1": [0, 1]})


def test_biases_count_unless_they_are_left_out():
    a = {"W0": np.ones((1, 2)), "b0": np.array([0.0, 5.0]), "W1": np.ones((2, 1))}
    b = {**a, "b0": np.array([5.0, 0.0])}
    spec = PermutationSpec({"W0": (None, "P"), "b0": ("P",), "W1": ("P",)})
    assert_same_orders(match_weights(spec, a, b).permutations, {"P": [1, 0]})
    without = match_weights(spec, a, b, include_bias=False)
    assert_same_orders(without.permutations, {"P": [0, 1]})


def test_inputs_and_their_types_stay():
    networks = [{n: a.astype(np.float32) for n, a in net.items()} for net in (A, B)]
    copies = [{n: a.copy() for n, a in network.items()} for network in networks]
    result = match_weights(SPEC, *networks)
    assert_same_orders(result.permutations, PERMUTATIONS)
    for network, copy in zip(networks, copies, strict=True):
        for name, array in copy.items():
            np.testing.assert_array_equal(network[name], array)


def test_tensors_and_counters_are_understood(torch):
    networks = [
        {"steps": torch.tensor(7), **{n: torch.tensor(a) for n, a in net.items()}}
        for net in (A, B)
    ]
    result = match_weights(SPEC, *networks)
    assert result.distance_after == pytest.approx(DISTANCE_AFTER, abs=1e-9)


def test_too_few_passes_are_told():
    with pytest.warns(ConvergenceWarning, match="within max_iter=1"):
        result = match_weights(SPEC, A, B, max_iter=1)
    assert not result.converged
    assert result.n_sweeps == 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"order": "sideways"}, ValueError, "Got 'sideways'; pass 'random'"),
        (
            {"n_init": 0},
            ValueError,
            "'n_init' of match_weights must be an integer >= 1",
        ),
        ({"n_init": 1.5}, TypeError, "'n_init' of match_weights must be an integer"),
        ({"max_iter": 0}, ValueError, "'max_iter' of match_weights"),
        ({"tol": -1.0}, ValueError, "'tol' of match_weights must be >= 0"),
        ({"tol": np.nan}, ValueError, "'tol' of match_weights must be >= 0"),
        ({"tol": "small"}, TypeError, "'tol' of match_weights must be a real number"),
        ({"init": {"P0": [0, 0, 1]}}, ValueError, "'P0' must hold each integer"),
        ({"random_state": -1}, ValueError, "'random_state'"),
    ],
    ids=["order", "none", "half", "passes", "tol", "nan", "words", "init", "seed"],
)
def test_options_that_cannot_be_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        match_weights(SPEC, A, B, **options)


@pytest.mark.parametrize("value", [np.nan, np.inf], ids=["nan", "infinity"])
@pytest.mark.parametrize("which", [0, 1], ids=["reference", "model"])
def test_numbers_that_are_not_finite_are_refused(which, value):
    networks = [A, B]
    bad = {name: array.copy() for name, array in networks[which].items()}
    bad["W1"][0, 0] = value
    networks[which] = bad
    with pytest.raises(ValueError, match="The array 'W1' must hold finite numbers"):
        match_weights(SPEC, *networks)


def test_networks_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="Got \\(3, 3\\) for 'W1'"):
        match_weights(SPEC, A, {**B, "W1": np.ones((3, 3))})
    with pytest.raises(ValueError, match="without \\['W3', 'b3'\\]"):
        match_weights(mlp_spec(4), A, B)
    with pytest.raises(TypeError, match="Got tuple; make one with spec_for"):
        match_weights(("P0",), A, B)
    with pytest.raises(TypeError, match="Got float; pass a dict of arrays"):
        match_weights(SPEC, A, 3.0)


def test_integers_are_not_matched():
    whole = {name: array.astype(int) for name, array in A.items()}
    with pytest.raises(TypeError, match="must hold floating numbers"):
        match_weights(SPEC, whole, whole)
