from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
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
from signed_cases import odd_outputs, planted, turned
from statlearn.merging import (
    PermutationSpec,
    apply_permutation,
    compose_permutations,
    match_weights,
    mlp_spec,
)
from statlearn.merging._matching import _weight_matching as _matching

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
        ({"tol": -1.0}, ValueError, "'tol' of match_weights must be a number >= 0"),
        ({"tol": np.nan}, ValueError, "'tol' of match_weights must be a number >= 0"),
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
@pytest.mark.parametrize(("which", "who"), [(0, "the reference"), (1, "the model")])
def test_numbers_that_are_not_finite_are_refused(which, who, value):
    networks = [A, B]
    bad = {name: array.copy() for name, array in networks[which].items()}
    bad["W1"][0, 0] = value
    networks[which] = bad
    message = f"The array 'W1' must hold finite numbers. Got NaN or infinity in {who};"
    with pytest.raises(ValueError, match=message):
        match_weights(SPEC, *networks)


def test_networks_that_do_not_fit_are_refused():
    shapes = "Got \\(3, 3\\) for 'W1' in the model and \\(3, 2\\) in the reference"
    with pytest.raises(ValueError, match=shapes):
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


# --- units that may be flipped -----------------------------------------------


@pytest.mark.parametrize(
    "sizes", [[4, 30, 3], [4, 64, 64, 3], [8, 64, 96, 64, 3]], ids=len
)
@pytest.mark.parametrize("seed", range(4))
def test_planted_order_and_signs_are_found_exactly(sizes, seed):
    spec, network = mlp_spec(len(sizes) - 1), perceptron(sizes, seed)
    moved, orders, signs = planted(network, seed)
    result = match_weights(spec, network, moved, signed=True, random_state=seed)
    assert result.distance_after == 0.0
    assert result.distance_before > 1.0
    assert_same_orders(
        result.permutations, {n: np.argsort(o) for n, o in orders.items()}
    )
    for name, order in result.permutations.items():
        np.testing.assert_array_equal(result.signs[name], signs[name][order])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("activation", [np.tanh, np.sin], ids=["tanh", "sine"])
def test_matched_network_computes_the_same(activation, seed):
    spec, sizes = mlp_spec(4), [3, 12, 9, 7, 2]
    a, b = perceptron(sizes, seed), perceptron(sizes, seed + 10)
    result = match_weights(spec, a, b, signed=True, random_state=0)
    moved = apply_permutation(spec, result.permutations, b, signs=result.signs)
    assert any((signs < 0).any() for signs in result.signs.values())
    X = np.random.default_rng(0).normal(size=(20, 3))
    expected, found = (odd_outputs(net, X, activation) for net in (b, moved))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    left = np.sqrt(sum(np.sum((a[n] - moved[n]) ** 2) for n in a))
    assert result.distance_after == pytest.approx(left, rel=1e-12)


def test_one_hidden_layer_is_solved_over_all_orders_and_signs():
    a, b = perceptron([3, 4, 2], 0), perceptron([3, 4, 2], 1)
    result = match_weights(mlp_spec(2), a, b, signed=True)
    distances = [
        np.sqrt(sum(np.sum((a[n] - moved[n]) ** 2) for n in a))
        for order in itertools.permutations(range(4))
        for signs in itertools.product([-1, 1], repeat=4)
        for moved in [turned(b, {"P0": order}, {"P0": signs})]
    ]
    assert result.distance_after == pytest.approx(min(distances), rel=1e-12)
    assert result.gains[1:].tolist() == [0.0]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 7), min_size=3, max_size=5),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["forward", "backward", "random"]),
)
def test_flips_never_leave_a_network_farther_away(sizes, seed, order):
    spec = mlp_spec(len(sizes) - 1)
    a, b = perceptron(sizes, seed), perceptron(sizes, seed + 1)
    options = {"order": order, "random_state": seed}
    plain = match_weights(spec, a, b, **options)
    result = match_weights(spec, a, b, signed=True, **options)
    assert (result.gains >= 0.0).all()
    assert result.distance_after <= result.distance_before * (1.0 + 1e-12)
    fall = result.distance_before**2 - result.distance_after**2
    assert 2.0 * result.gain == pytest.approx(fall, rel=1e-9, abs=1e-9)
    further = match_weights(spec, a, b, signed=True, init=plain.permutations, **options)
    assert further.distance_after <= plain.distance_after * (1.0 + 1e-12)
    if len(sizes) == 3:  # with one hidden layer both are the optimum
        assert result.distance_after <= plain.distance_after * (1.0 + 1e-12)


@pytest.mark.parametrize("order", ["forward", "backward", "random"])
@pytest.mark.parametrize("seed", range(5))
def test_flips_bring_networks_nearer_from_the_same_start(order, seed):
    a, b = (
        perceptron([4, 20, 20, 20, 3], seed),
        perceptron([4, 20, 20, 20, 3], seed + 1),
    )
    options = {"order": order, "random_state": 0}
    plain = match_weights(mlp_spec(4), a, b, **options)
    signed = match_weights(mlp_spec(4), a, b, signed=True, **options)
    assert signed.distance_after < plain.distance_after


@pytest.mark.parametrize("order", ["forward", "backward", "random"])
def test_networks_without_negative_products_are_matched_as_without_flips(order):
    a, b = (
        {name: np.abs(array) for name, array in perceptron([3, 9, 8, 2], s).items()}
        for s in (0, 1)
    )
    plain = match_weights(SPEC, a, b, order=order, random_state=0)
    result = match_weights(SPEC, a, b, signed=True, order=order, random_state=0)
    assert_same_orders(result.permutations, plain.permutations)
    assert result.distance_after == plain.distance_after
    np.testing.assert_array_equal(result.gains, plain.gains)
    assert plain.signs is None
    assert_same_orders(result.signs, {"P0": np.ones(9), "P1": np.ones(8)})


def test_units_of_permutations_that_are_not_named_keep_their_signs():
    network = perceptron([3, 20, 15, 2])
    rng = np.random.default_rng(0)
    orders = {"P0": rng.permutation(20), "P1": rng.permutation(15)}
    signs = {"P0": np.ones(20), "P1": rng.choice([-1, 1], 15)}
    moved = turned(network, orders, signs)
    result = match_weights(SPEC, network, moved, signed=["P1"], random_state=0)
    assert result.distance_after == 0.0
    assert set(result.signs) == {"P1"}
    other = match_weights(SPEC, network, moved, signed=["P0"], random_state=0)
    assert other.distance_after > 1.0


def test_biases_of_flipped_units_flip_too_but_may_be_left_out_of_the_match():
    a = {"W0": np.ones((1, 2)), "b0": np.array([5.0, 5.0]), "W1": np.ones((2, 1))}
    b = {**a, "b0": np.array([-5.0, 5.0])}
    spec = PermutationSpec({"W0": (None, "P"), "b0": ("P",), "W1": ("P",)})
    counted = match_weights(spec, a, b, signed=True)
    moved = apply_permutation(spec, counted.permutations, b, signs=counted.signs)
    np.testing.assert_array_equal(moved["b0"], a["b0"])
    assert sorted(moved["W0"].ravel()) == [-1.0, 1.0]
    without = match_weights(spec, a, b, signed=True, include_bias=False)
    assert_same_orders(without.signs, {"P": [1, 1]})


def test_result_with_signs_is_a_fixed_point():
    a, b = perceptron([4, 20, 20, 3], 0), perceptron([4, 20, 20, 3], 1)
    result = match_weights(SPEC, a, b, signed=True, random_state=0)
    assert result.n_sweeps > 2
    again = match_weights(
        *(SPEC, a, b),
        signed=True,
        init=result.permutations,
        init_signs=result.signs,
    )
    assert again.n_sweeps == 1
    assert_same_orders(again.permutations, result.permutations)
    assert_same_orders(again.signs, result.signs)


def test_more_starts_with_signs_never_give_a_worse_result():
    spec, sizes = mlp_spec(4), [2, 12, 12, 12, 2]
    a, b = perceptron(sizes, 0), perceptron(sizes, 1)
    options = {"order": "forward", "signed": True}
    one = match_weights(spec, a, b, **options).distance_after
    several = [
        match_weights(spec, a, b, n_init=10, random_state=5, **options)
        for _ in range(2)
    ]
    assert several[0].distance_after <= one
    assert_same_orders(several[0].signs, several[1].signs)


def test_starts_after_the_first_begin_with_random_signs(monkeypatch):
    begun = []

    class Recorded(_matching.Descent):
        def __init__(self, *args, signs, **options):
            begun.append(np.concatenate(list(signs.values())))
            super().__init__(*args, signs=signs, **options)

    monkeypatch.setattr(_matching, "Descent", Recorded)
    a, b = perceptron([2, 12, 12, 2], 0), perceptron([2, 12, 12, 2], 1)
    match_weights(SPEC, a, b, signed=True, n_init=3, random_state=0)
    assert (begun[0] == 1).all()
    assert 4 < (begun[1] < 0).sum() < 20
    assert (begun[1] != begun[2]).any()


@pytest.mark.parametrize(
    ("signs", "signed", "message"),
    [
        ({"P0": [1, 0, 1]}, True, "signs of 'P0' must hold 1 or -1 .* 3 units"),
        ({"P0": [1, -1]}, True, "Got an array of shape \\(2,\\) without that"),
        ({"P9": [1]}, True, "Got 'P9'; correct the name"),
        ({"P0": [1, 1, 1]}, False, "must be those of permutations in 'signed'"),
        ({"P0": [1, 1, 1]}, ["P1"], "\\['P1'\\]. Got 'P0'; leave it out or add"),
    ],
    ids=["zero", "short", "unknown", "unsigned", "other"],
)
def test_signs_that_cannot_be_are_refused(signs, signed, message):
    with pytest.raises(ValueError, match=message):
        match_weights(SPEC, A, B, signed=signed, init_signs=signs)


def test_types_stay_when_units_flip():
    network = {n: a.astype(np.float32) for n, a in perceptron([3, 9, 8, 2]).items()}
    moved = {n: a.astype(np.float32) for n, a in planted(network)[0].items()}
    result = match_weights(SPEC, network, moved, signed=True, random_state=0)
    back = apply_permutation(SPEC, result.permutations, moved, signs=result.signs)
    assert {array.dtype for array in back.values()} == {np.dtype(np.float32)}
    for name, array in network.items():
        np.testing.assert_array_equal(back[name], array)
