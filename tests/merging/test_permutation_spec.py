from __future__ import annotations

import numpy as np
import pytest

from matching_cases import A, perceptron
from statlearn.merging import PermutationSpec, mlp_spec


def test_axes_of_a_permutation_are_listed_with_their_blocks():
    spec = PermutationSpec({"W": (None, "P0"), "V": [("P0", np.int64(9)), None]})
    assert spec.permutations == {"P0": (("W", 1, 1), ("V", 0, 9))}
    assert spec.sizes({"W": np.ones((2, 4)), "V": np.ones((36, 3))}) == {"P0": 4}


def test_trailing_axes_may_be_left_out():
    spec = PermutationSpec({"K": ("P0",)})
    assert spec.sizes({"K": np.ones((5, 3, 2, 2))}) == {"P0": 5}


def test_specs_are_equal_if_their_axes_are():
    assert mlp_spec(3) == PermutationSpec(mlp_spec(3).axes)
    assert hash(mlp_spec(3)) == hash(PermutationSpec(mlp_spec(3).axes))
    assert mlp_spec(3) != mlp_spec(2)
    assert mlp_spec(3) != "spec"
    assert repr(PermutationSpec({"b": ("P",)})) == "PermutationSpec({'b': (('P', 1),)})"


def test_layouts_name_the_same_units_on_the_other_axis():
    names = [("in.weight", "in.bias"), ("out.weight", None)]
    assert mlp_spec(2, layout="torch", names=names).permutations == {
        "P0": (("in.weight", 0, 1), ("in.bias", 0, 1), ("out.weight", 1, 1))
    }
    assert mlp_spec(3).permutations["P1"] == (("W1", 1, 1), ("b1", 0, 1), ("W2", 0, 1))


@pytest.mark.parametrize(
    ("axes", "error", "message"),
    [
        ({"W": "P0"}, TypeError, "Got 'P0' for 'W'; write"),
        ({"W": 3}, TypeError, "Got 3 for 'W'"),
        ({"W": (None, 3)}, TypeError, "Got 3 for 'W'; pass for example"),
        ({"W": (("P0", 0),)}, TypeError, "a name, None, or a pair"),
        ({"W": (("P0", True),)}, TypeError, "a name, None, or a pair"),
        ({"W": (("P0", "P1"),)}, TypeError, "a name, None, or a pair"),
        ({"W": ("P0", "P0")}, ValueError, "Got 'P0' twice for 'W'"),
        ({"W": (None, None)}, ValueError, "at least one axis"),
        ({}, ValueError, "at least one axis"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else None,
)
def test_entries_that_cannot_be_are_refused(axes, error, message):
    with pytest.raises(error, match=message):
        PermutationSpec(axes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"W1": None}, "without \\['W1'\\]"),
        ({"b0": np.ones(4)}, "on axis 0 of 'b0', 4 numbers"),
        ({"W1": np.ones(3)}, "2 entries for 'W1' of shape \\(3,\\)"),
    ],
    ids=["missing", "length", "axes"],
)
def test_networks_that_do_not_fit_are_refused(change, message):
    state = {n: a for n, a in (A | change).items() if a is not None}
    with pytest.raises(ValueError, match=message):
        mlp_spec(3).sizes(state)


def test_block_that_does_not_divide_the_axis_is_refused():
    spec = PermutationSpec({"b": ("P0",), "V": (("P0", 4),)})
    with pytest.raises(ValueError, match="10 numbers in blocks of 4"):
        spec.sizes({"b": np.ones(3), "V": np.ones((10, 2))})


@pytest.mark.parametrize(
    "order",
    [[0, 1], [0, 1, 1], [0.0, 1.0, 2.0], [1, 2, 3], [[0, 1, 2]], None],
    ids=str,
)
def test_numbers_that_are_no_permutation_are_refused(order):
    with pytest.raises(ValueError, match="'P0' must hold each integer below 3 once"):
        mlp_spec(3).check({"P0": order}, A)


def test_unknown_permutation_is_refused():
    with pytest.raises(ValueError, match="Got 'P7'; correct the name"):
        mlp_spec(3).check({"P7": np.arange(3)}, A)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_layers": 1}, ValueError, "at least 2"),
        ({"n_layers": 2.0}, TypeError, "must be an integer"),
        ({"n_layers": 2, "layout": "flax"}, ValueError, "'sklearn' or 'torch'"),
        ({"n_layers": 2, "names": [("W", "b")]}, ValueError, "2 in all. Got 1"),
    ],
    ids=["one layer", "no integer", "layout", "names"],
)
def test_perceptrons_that_cannot_be_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        mlp_spec(**arguments)


def test_sizes_are_those_of_the_hidden_layers():
    assert mlp_spec(4).sizes(perceptron([2, 5, 6, 7, 3])) == {"P0": 5, "P1": 6, "P2": 7}
