from __future__ import annotations

import numpy as np
import pytest

from statlearn.exceptions import FactorMergingWarning
from statlearn.merging import (
    dare,
    merge_weights,
    ties,
)

BASE = {"W0": np.zeros((2, 2)), "b0": np.zeros(2), "W1": np.zeros((2, 2))}
FIRST = {"W0": np.eye(2), "b0": np.ones(2), "W1": np.full((2, 2), 2.0)}
SECOND = {"W0": 3 * np.eye(2), "b0": -np.ones(2), "W1": np.full((2, 2), 4.0)}
MODELS = [FIRST, SECOND]


def test_weights_density_and_options_reach_the_rule():
    expected = ties(
        BASE, MODELS, weights=[1, 2], density=0.5, convention="peft", lam=0.7
    )
    merged = merge_weights(
        BASE, MODELS, "ties", weights=[1, 2], density=0.5, convention="peft", scale=0.7
    )
    for name, array in expected.items():
        np.testing.assert_array_equal(merged[name], array)


def test_preset_of_a_name_is_used():
    plain = dare(BASE, MODELS, drop=0.0, consensus=True)
    named = merge_weights(BASE, MODELS, "dare-ties", drop=0.0, random_state=0)
    np.testing.assert_array_equal(named["b0"], plain["b0"])
    assert not np.array_equal(
        named["b0"], merge_weights(BASE, MODELS, "dare", drop=0.0)["b0"]
    )


def test_excluded_and_not_included_arrays_are_copies_of_the_base():
    for choice in ({"exclude": "b*"}, {"include": "W?"}, {"include": ["W0", "W1"]}):
        merged = merge_weights(BASE, MODELS, "average", **choice)
        np.testing.assert_array_equal(merged["b0"], 0.0)
        np.testing.assert_array_equal(merged["W1"], 3.0)
        assert not np.shares_memory(merged["b0"], BASE["b0"])
    merged = merge_weights(BASE, MODELS, "average", include="W*", exclude="W1")
    np.testing.assert_array_equal(merged["W0"], 2 * np.eye(2))
    np.testing.assert_array_equal(merged["W1"], 0.0)


def test_overrides_change_method_and_parameters_of_some_arrays():
    merged = merge_weights(
        BASE,
        MODELS,
        "task-arithmetic",
        scale=0.5,
        overrides={
            "b*": {"method": "average", "scale": 1.0},
            "W1": {"weights": [1, 0]},
        },
    )
    assert list(merged) == list(BASE)
    np.testing.assert_array_equal(merged["W0"], 2 * np.eye(2))
    np.testing.assert_array_equal(merged["b0"], 0.0)
    np.testing.assert_array_equal(merged["W1"], 1.0)


def test_first_pattern_of_overrides_that_matches_counts():
    merged = merge_weights(
        BASE, MODELS, "average", overrides={"W0": {"scale": 0.0}, "W*": {"scale": 2.0}}
    )
    np.testing.assert_array_equal(merged["W0"], 0.0)
    np.testing.assert_array_equal(merged["W1"], 6.0)


def test_parameter_that_a_rule_does_not_have_is_told():
    with pytest.raises(TypeError, match=r"'average' takes .* Got \['density'\]"):
        merge_weights(BASE, MODELS, "average", density=0.5)
    with pytest.raises(TypeError, match=r"'ties' takes .*\. Got \['gama'\]; leave"):
        merge_weights(BASE, MODELS, "ties", gama=0.5)


@pytest.mark.parametrize("name", ["include", "exclude"])
def test_pattern_without_a_match_is_refused(name):
    with pytest.raises(ValueError, match=rf"'{name}' of merge_weights must .*'conv"):
        merge_weights(BASE, MODELS, "average", **{name: "conv*"})


def test_override_without_a_match_is_refused():
    with pytest.raises(ValueError, match="'overrides' of merge_weights must match"):
        merge_weights(BASE, MODELS, "average", overrides={"conv*": {"scale": 2.0}})


def test_scale_is_a_number():
    with pytest.raises(TypeError, match="The 'scale' of merge_weights must be a real"):
        merge_weights(BASE, MODELS, "average", scale="auto")


@pytest.mark.parametrize("method", ["average", "task-arithmetic"])
def test_scale_moves_running_statistics_and_keeps_variances_possible(method):
    base = {"bn.running_mean": np.ones(2), "bn.running_var": np.ones(2)}
    models = [{name: np.full(2, v) for name in base} for v in (0.2, 0.4)]
    merged = merge_weights(base, models, method, scale=3.0)
    np.testing.assert_allclose(merged["bn.running_mean"], 1.0 + 3.0 * (0.3 - 1.0))
    np.testing.assert_array_equal(merged["bn.running_var"], 0.0)


def test_coefficient_has_one_name():
    with pytest.raises(ValueError, match=r"once, .*. Got scale=0.5 and lam=0.4; leave"):
        merge_weights(BASE, MODELS, "ties", scale=0.5, lam=0.4)
    expected = merge_weights(BASE, MODELS, "ties", scale=0.4)
    merged = merge_weights(BASE, MODELS, "ties", lam=0.4)
    np.testing.assert_array_equal(merged["W0"], expected["W0"])


def test_coefficient_of_an_override_counts_by_either_name():
    expected = merge_weights(BASE, MODELS, "ties", scale=0.4)
    for everywhere, there in (("scale", "lam"), ("lam", "scale")):
        merged = merge_weights(
            BASE, MODELS, "ties", overrides={"W0": {there: 0.4}}, **{everywhere: 3.0}
        )
        np.testing.assert_array_equal(merged["W0"], expected["W0"])
        np.testing.assert_array_equal(
            merged["W1"], merge_weights(BASE, MODELS, "ties", scale=3.0)["W1"]
        )


@pytest.mark.parametrize("scale", [np.nan, np.inf])
def test_scale_is_finite(scale):
    with pytest.raises(ValueError, match="'scale' of merge_weights must be a finite"):
        merge_weights(BASE, MODELS, "ties", scale=scale)


@pytest.mark.parametrize("method", ["average", "ties"])
def test_scale_that_leaves_the_type_of_the_base_names_the_array(method):
    base, model = ({"w": np.full(2, v, np.float16)} for v in (0.0, 6e4))
    with pytest.raises(ValueError, match="for 'w' of type float16; convert the base"):
        merge_weights(base, [model, model], method, scale=3.0)


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_own_rule_has_to_return_a_model(scale):
    def returns(result, match):
        with pytest.raises(ValueError, match=match):
            merge_weights(BASE, MODELS, lambda base, models: result, scale=scale)

    names = r"names of the base, \['W0', 'b0', 'W1'\]. Got "
    returns({"W0": BASE["W0"]}, names + r"\['W0'\]; return")
    returns({**BASE, "more": np.zeros(1)}, names + r".*'more'\]; return")
    returns(None, names + "NoneType; return")
    returns({**BASE, "b0": np.zeros(3)}, r"'b0' of the rule .* \(2,\) .* shape \(3,\)")
    returns({**BASE, "b0": np.zeros(2, complex)}, r"'b0' of the rule .* complex128; a")


@pytest.mark.parametrize(
    "names",
    [
        ("m.q.lora_A.default.weight", "m.q.lora_B.default.weight"),
        ("lora_unet_mid.lora_down.weight", "lora_unet_mid.lora_up.weight"),
        ("e.lora_embedding_A", "e.lora_embedding_B"),
    ],
)
def test_factors_of_adapters_are_warned_of(names):
    state = {name: np.ones(2) for name in names}
    with pytest.warns(FactorMergingWarning, match="fold the adapters into the weights"):
        merge_weights(state, [state, state], "average")
    # One factor alone adds up.
    merge_weights(state, [state, state], "average", exclude=names[0])


def test_names_that_only_resemble_factors_are_no_matter():
    state = {name: np.ones(2) for name in ("lora_alpha", "flora_a", "lora_b", "lora")}
    assert merge_weights(state, [state], "average").keys() == state.keys()
