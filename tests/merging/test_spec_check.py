from __future__ import annotations

import numpy as np
import pytest

from matching_cases import A, outputs, perceptron
from statlearn.merging import PermutationSpec, check_function_preserved, mlp_spec


def test_right_spec_changes_outputs_by_rounding_at_most():
    state = perceptron([2, 40, 30, 3])
    change = check_function_preserved(mlp_spec(3), state, outputs, random_state=0)
    assert 0.0 < change < 1e-12


@pytest.mark.parametrize(
    ("axes", "permutation"),
    [
        ({"W0": (None, "P0"), "W1": ("P0", None)}, "P0"),
        ({"W0": (None, "P"), "b0": ("P",), "W1": ("P", "Q"), "b1": ("Q",)}, "Q"),
    ],
    ids=["bias", "last matrix"],
)
def test_wrong_spec_is_refused_with_the_name_of_the_permutation(axes, permutation):
    with pytest.raises(ValueError, match=f"when '{permutation}' moved"):
        check_function_preserved(PermutationSpec(axes), A, outputs)


def test_two_units_are_always_exchanged():
    spec = PermutationSpec({"b": ("P",)})
    for seed in range(5):
        with pytest.raises(ValueError, match="a change of 0\\.5"):
            check_function_preserved(
                spec, {"b": np.array([1.0, 2.0])}, lambda s: s["b"], random_state=seed
            )


def test_outputs_that_are_not_numbers_are_refused():
    spec = PermutationSpec({"b": ("P",)})
    state = {"b": np.array([1.0, 2.0])}
    with pytest.raises(ValueError, match="must leave what the network computes"):
        check_function_preserved(spec, state, lambda s: s["b"] * np.nan)


def test_tolerance_must_be_a_number():
    with pytest.raises(TypeError, match="'tol' of check_function_preserved"):
        check_function_preserved(mlp_spec(3), A, outputs, tol="none")
