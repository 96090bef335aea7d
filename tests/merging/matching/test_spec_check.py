from __future__ import annotations

import numpy as np
import pytest

from matching_cases import ROWS, A, outputs, perceptron
from signed_cases import odd_outputs
from statlearn.merging import PermutationSpec, check_function_preserved, mlp_spec
from statlearn.merging._matching._spec_check import _trials


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


@pytest.mark.parametrize("n_units", [2, 3, 4])
def test_no_unit_stays_where_it_was(n_units):
    spec = PermutationSpec({"b": ("P",)})
    units = np.arange(1.0, n_units + 1.0)
    for unit in range(n_units):
        for seed in range(30):
            with pytest.raises(ValueError, match="when 'P' moved axis 0 of 'b'"):
                check_function_preserved(
                    spec, {"b": units}, lambda s, i=unit: s["b"][i], random_state=seed
                )


def test_outputs_that_are_not_numbers_are_refused():
    spec = PermutationSpec({"b": ("P",)})
    state = {"b": np.array([1.0, 2.0])}
    with pytest.raises(ValueError, match="must leave what the network computes"):
        check_function_preserved(spec, state, lambda s: s["b"] * np.nan)


def test_tolerance_must_be_a_number():
    with pytest.raises(TypeError, match="'tol' of check_function_preserved"):
        check_function_preserved(mlp_spec(3), A, outputs, tol="none")


# --- units that may be flipped -----------------------------------------------


def odd(state):
    return odd_outputs(state, ROWS)


def test_flips_of_odd_units_change_outputs_by_rounding_at_most():
    state = perceptron([2, 40, 30, 3])
    change = check_function_preserved(
        mlp_spec(3), state, odd, signed=True, random_state=0
    )
    assert change < 1e-12


def test_flips_of_units_that_are_not_odd_are_refused_by_their_name():
    with pytest.raises(ValueError, match="when 'P0' moved and flipped axis 1 of 'W0'"):
        check_function_preserved(mlp_spec(3), A, outputs, signed=True)
    with pytest.raises(ValueError, match="when 'P1' moved and flipped"):
        check_function_preserved(mlp_spec(3), A, outputs, signed=["P1"])
    check_function_preserved(mlp_spec(3), A, outputs, signed=[])


@pytest.mark.parametrize("n_units", [1, 2, 3, 5])
def test_each_unit_is_flipped_in_one_of_the_trials(n_units):
    trials = _trials(n_units, np.random.default_rng(0), flips=True)
    signs = np.array([signs for _, signs in trials])
    np.testing.assert_array_equal(
        np.sort(signs, axis=0), [[-1] * n_units, [1] * n_units]
    )
