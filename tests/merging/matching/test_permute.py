from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matching_cases import A, assert_same_orders, outputs, perceptron, shuffled
from signed_cases import odd_outputs, planted
from statlearn.merging import (
    PermutationSpec,
    apply_permutation,
    compose_permutations,
    invert_permutations,
    mlp_spec,
)


def test_unit_of_the_result_is_the_unit_named_at_its_position():
    moved = apply_permutation(mlp_spec(3), {"P0": [1, 2, 0]}, A)
    np.testing.assert_array_equal(moved["b0"], [-0.2, 0.3, 0.1])
    np.testing.assert_array_equal(moved["W1"], A["W1"][[1, 2, 0]])
    np.testing.assert_array_equal(moved["W0"], A["W0"][:, [1, 2, 0]])
    np.testing.assert_array_equal(moved["b1"], A["b1"])


@pytest.mark.parametrize("seed", range(3))
def test_network_computes_the_same_in_any_order(seed):
    state = perceptron([2, 7, 6, 5, 3], seed)
    moved, _ = shuffled(mlp_spec(4), state, seed)
    assert not np.allclose(moved["W1"], state["W1"])
    np.testing.assert_allclose(outputs(moved), outputs(state), rtol=1e-9)


def test_blocks_move_as_a_whole():
    spec = PermutationSpec({"b": ("P0",), "V": (("P0", 2), None)})
    state = {"b": np.arange(3.0), "V": np.arange(6.0)[:, None]}
    moved = apply_permutation(spec, {"P0": [2, 0, 1]}, state)
    np.testing.assert_array_equal(moved["V"][:, 0], [4, 5, 0, 1, 2, 3])


def test_arrays_are_new_and_keep_names_types_and_what_is_not_permuted():
    state = {"n": np.array(3), **A, "W0": A["W0"].astype(np.float32)}
    moved = apply_permutation(mlp_spec(3), {"P1": [1, 0]}, state)
    assert list(moved) == list(state)
    assert moved["W0"].dtype == np.float32
    assert moved["n"] == 3
    assert not any(np.shares_memory(moved[name], state[name]) for name in state)


def test_tensors_come_back_as_tensors(torch):
    state = {name: torch.tensor(array) for name, array in A.items()}
    moved = apply_permutation(mlp_spec(3), {"P1": [1, 0]}, state)
    assert torch.equal(moved["b1"], state["b1"][[1, 0]])


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(5)), st.permutations(range(5)))
def test_inverse_and_composition_are_those_of_the_networks(first, second):
    spec = PermutationSpec({"b": ("P",)})
    state = {"b": np.arange(5.0)}
    p, q = {"P": np.array(first)}, {"P": np.array(second)}
    both = compose_permutations(p, q)
    assert_same_orders(
        {"P": apply_permutation(spec, both, state)["b"]},
        {"P": apply_permutation(spec, q, apply_permutation(spec, p, state))["b"]},
    )
    back = compose_permutations(both, invert_permutations(both))
    assert_same_orders(back, {"P": np.arange(5)})


def test_permutation_that_one_side_lacks_is_the_identity():
    both = compose_permutations({"P": [1, 0]}, {"Q": [2, 0, 1]})
    assert_same_orders(both, {"P": [1, 0], "Q": [2, 0, 1]})


def test_permutations_of_other_lengths_do_not_compose():
    with pytest.raises(ValueError, match="Got 2 and 3 for 'P'"):
        compose_permutations({"P": [1, 0]}, {"P": [2, 0, 1]})


def test_wrong_permutations_are_refused():
    with pytest.raises(ValueError, match="each integer below 3 once"):
        apply_permutation(mlp_spec(3), {"P0": [0, 0, 1]}, A)


# --- signs -------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_units_are_ordered_and_then_flipped(seed):
    state = perceptron([2, 7, 6, 5, 3], seed)
    expected, orders, signs = planted(state, seed)
    moved = apply_permutation(mlp_spec(4), orders, state, signs=signs)
    for name in state:
        np.testing.assert_allclose(moved[name], expected[name], rtol=0, atol=0)
    X = np.random.default_rng(seed).normal(size=(9, 2))
    np.testing.assert_allclose(odd_outputs(moved, X), odd_outputs(state, X), rtol=1e-9)


def test_signs_need_no_order_and_hold_for_blocks():
    spec = PermutationSpec({"b": ("P0",), "V": (("P0", 2), None)})
    state = {"b": np.arange(1.0, 4.0), "V": np.arange(1.0, 7.0)[:, None]}
    moved = apply_permutation(spec, {}, state, signs={"P0": [1, -1, 1]})
    np.testing.assert_array_equal(moved["b"], [1, -2, 3])
    np.testing.assert_array_equal(moved["V"][:, 0], [1, 2, -3, -4, 5, 6])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_signs_compose_and_are_undone_as_written(seed):
    rng = np.random.default_rng(seed)
    spec, state = PermutationSpec({"b": ("P",)}), {"b": rng.normal(size=6)}
    p, q = ({"P": rng.permutation(6)} for _ in range(2))
    s, t = ({"P": rng.choice([-1, 1], 6)} for _ in range(2))
    one = apply_permutation(spec, p, state, signs=s)
    both = compose_permutations(p, q)
    signs = {"P": s["P"][q["P"]] * t["P"]}
    np.testing.assert_array_equal(
        apply_permutation(spec, both, state, signs=signs)["b"],
        apply_permutation(spec, q, one, signs=t)["b"],
    )
    back = invert_permutations(p)
    undone = apply_permutation(spec, back, one, signs={"P": s["P"][back["P"]]})
    np.testing.assert_array_equal(undone["b"], state["b"])


def test_tensors_are_flipped_as_tensors(torch):
    state = {name: torch.tensor(array).half() for name, array in A.items()}
    moved = apply_permutation(mlp_spec(3), {}, state, signs={"P1": [1, -1]})
    assert moved["b1"].dtype == torch.float16
    assert torch.equal(moved["b1"], state["b1"] * torch.tensor([1, -1]))


@pytest.mark.parametrize(
    ("signs", "message"),
    [
        ({"P0": [1, 2, 1]}, "signs of 'P0' must hold 1 or -1 for each of 3 units"),
        ({"P0": [[1, 1, 1]]}, "Got an array of shape \\(1, 3\\)"),
        ({"P0": ["a", "b", "c"]}, "signs of 'P0' must hold 1 or -1"),
        ({"Q": [1]}, "Got 'Q'; correct the name"),
    ],
    ids=["two", "matrix", "words", "name"],
)
def test_wrong_signs_are_refused(signs, message):
    with pytest.raises(ValueError, match=message):
        apply_permutation(mlp_spec(3), {}, A, signs=signs)
