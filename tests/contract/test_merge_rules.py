"""Laws that all merge rules keep; a new row of the table is tested as it is there."""

from __future__ import annotations

import numpy as np
import pytest

from merge_rule_cases import (
    METHODS,
    NEUTRAL,
    STATISTICS,
    assert_equal_states,
    case,
    needs,
)
from statlearn import merging
from statlearn.merging import MERGE_METHODS, merge_weights

# Rules that add up task vectors: equal ones need weights that sum to one.
SUMS = {"task-arithmetic", "dare", "della-linear", "breadcrumbs"}
# Rules under which models with equal updates do not come back, and why.
NOT_IDEMPOTENT = {
    "pcb": "it winsorises and drops the weakest numbers",
    "consensus": "it adds up task vectors and has no weights that undo this",
    "tsvm": "each model has its share of the rank only",
    "r-tsvm": "each model has its share of the rank only",
    "iso-c": "it makes all singular values equal",
}
RANDOM = {"dare", "dare-ties", "della", "della-linear"}
NEEDS_TWO = {"slerp", "nuslerp", "model-stock"}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_result_has_names_order_shapes_and_types_of_the_base(name, dtype):
    base, models, options = case(name, dtype=dtype)
    base["count"] = np.array(7)
    for model in models:
        model["count"] = np.array(3)
    reverse = [{key: model[key] for key in reversed(list(model))} for model in models]
    merged = merge_weights(base, reverse, name, random_state=0, **options)
    assert list(merged) == list(base)
    for key, array in base.items():
        assert merged[key].shape == array.shape
        assert merged[key].dtype == array.dtype
        assert np.isfinite(merged[key]).all()
    assert merged["count"] == 7


@pytest.mark.parametrize("name", METHODS)
def test_order_of_keys_does_not_matter(name):
    base, models, options = case(name)
    merged = merge_weights(base, models, name, random_state=0, **options)
    turned = [dict(reversed(list(one.items()))) for one in (base, *models)]
    again = merge_weights(turned[0], turned[1:], name, random_state=0, **options)
    for key in base:
        np.testing.assert_array_equal(merged[key], again[key])


@pytest.mark.parametrize("name", METHODS)
def test_inputs_are_left_alone(name):
    base, models, options = case(name)
    copies = [{k: v.copy() for k, v in one.items()} for one in (base, *models)]
    merged = merge_weights(base, models, name, random_state=0, **options)
    for array in merged.values():
        array[...] = np.nan
    for one, copy in zip((base, *models), copies, strict=True):
        for key in copy:
            np.testing.assert_array_equal(one[key], copy[key])


@pytest.mark.parametrize("name", METHODS)
def test_order_of_models_does_not_matter(name):
    base, models, options = case(name)
    if name in RANDOM:
        options |= NEUTRAL[name]  # draws belong to positions
    turned = {k: v[::-1] if isinstance(v, list) else v for k, v in options.items()}
    one = merge_weights(base, models, name, random_state=0, **options)
    other = merge_weights(base, models[::-1], name, random_state=0, **turned)
    assert_equal_states(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", METHODS)
def test_scale_moves_along_what_the_rule_adds(name):
    base, models, options = case(name)
    results = [
        merge_weights(base, models, name, scale=scale, random_state=0, **options)
        for scale in (0.0, 1.0, -2.5)
    ]
    assert_equal_states(results[0], base, rtol=1e-12, atol=1e-12)
    expected = {key: base[key] - 2.5 * (results[1][key] - base[key]) for key in base}
    expected["bn.running_var"] = expected["bn.running_var"].clip(0.0)
    assert_equal_states(results[2], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", sorted(set(METHODS) - set(NOT_IDEMPOTENT)))
@pytest.mark.parametrize("n_models", [2, 3])
def test_equal_models_come_back(name, n_models):
    if n_models > 2 and name in {"slerp", "nuslerp"}:
        pytest.skip("takes two models")
    base, models, _ = case(name)
    options = needs(name, n_models) | NEUTRAL.get(name, {})
    if name in SUMS:
        options["weights"] = [1.0 / n_models] * n_models
    merged = merge_weights(
        base, [models[0]] * n_models, name, random_state=0, **options
    )
    assert_equal_states(merged, models[0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["tsvm", "r-tsvm"])
@pytest.mark.parametrize("n_models", [2, 3, 4])
def test_equal_updates_of_rank_one_come_back(name, n_models):
    rng = np.random.default_rng(0)
    base = {"W": rng.normal(size=(8, 12))}
    update = np.outer(rng.normal(size=8), rng.normal(size=12))
    model = {"W": base["W"] + update}
    options = NEUTRAL.get(name, {})
    merged = merge_weights(base, [model] * n_models, name, **options)
    np.testing.assert_allclose(merged["W"], model["W"], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", sorted(set(METHODS) - RANDOM - NEEDS_TWO))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_model_comes_back(name, dtype):
    base, models, _ = case(name, dtype=dtype)
    merged = merge_weights(base, models[:1], name, **needs(name, 1))
    tolerance = 1e-6 if dtype == np.float32 else 1e-12
    assert_equal_states(merged, models[0], rtol=tolerance, atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dare", "della-linear"])
def test_one_model_comes_back_in_expectation(name):
    base, models, _ = case(name)
    draws = [
        merge_weights(base, models[:1], name, random_state=seed)["W0"]
        for seed in range(2000)
    ]
    update = models[0]["W0"] - base["W0"]
    # A kept number is at most 1 / 0.35 times too large.
    spread = np.abs(update) * 2.0 / np.sqrt(len(draws))
    assert (np.abs(np.mean(draws, axis=0) - models[0]["W0"]) < 5 * spread).all()


@pytest.mark.parametrize("name", sorted(RANDOM))
def test_seed_fixes_the_draws(name):
    base, models, _ = case(name)
    one, same, other = (
        merge_weights(base, models, name, random_state=seed)["W0"] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


# --- ends and running statistics ---------------------------------------------


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("end", [0, 1])
def test_all_weight_on_one_model_gives_that_model(name, end):
    base, models, options = case(name)
    options |= NEUTRAL.get(name, {})
    if "t" in MERGE_METHODS[name].parameters:
        options["t"] = float(end)
    elif "weights" in MERGE_METHODS[name].parameters:
        options["weights"] = [float(end == position) for position in range(2)]
    else:
        pytest.skip("takes no weights")
    merged = merge_weights(base, models, name, random_state=0, **options)
    expected = models[end]
    if name in NOT_IDEMPOTENT:  # then only what is no weight comes back
        expected = {**merged, **{key: expected[key] for key in STATISTICS}}
    assert_equal_states(merged, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("scale", [1.0, 0.3, -4.0])
def test_running_statistics_follow_the_models_whatever_the_rule(name, scale):
    base, models, options = case(name)
    shares = np.array([0.5, 0.5])
    takes = MERGE_METHODS[name].parameters
    if "t" in takes:
        options["t"], shares = 0.2, np.array([0.8, 0.2])
    elif "weights" in takes:
        options["weights"], shares = [1.0, 4.0], np.array([0.2, 0.8])
    merged = merge_weights(base, models, name, scale=scale, random_state=0, **options)
    for key in STATISTICS:
        mean = shares[0] * models[0][key] + shares[1] * models[1][key]
        expected = base[key] + scale * (mean - base[key])
        if key == "bn.running_var":
            expected = expected.clip(0.0)
        np.testing.assert_allclose(merged[key], expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", METHODS)
def test_models_that_are_the_base_give_the_base(name):
    base, _, options = case(name)
    merged = merge_weights(base, [base, base], name, random_state=0, **options)
    assert_equal_states(merged, base, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("unit", [1e-200, 1e-100, 1e100, 1e160])
def test_unit_of_the_weights_does_not_matter(name, unit):
    if name == "pcb":
        pytest.skip("has a hyperbolic tangent of squared weights")
    base, models, options = case(name)
    plain = merge_weights(base, models, name, random_state=0, **options)
    scaled = [{key: unit * one[key] for key in one} for one in (base, *models)]
    merged = merge_weights(scaled[0], scaled[1:], name, random_state=0, **options)
    expected = {key: unit * array for key, array in plain.items()}
    assert_equal_states(merged, expected, rtol=1e-6, atol=1e-9 * unit)


@pytest.mark.parametrize("name", METHODS)
def test_tensors_give_tensors_with_the_numbers_of_arrays(name, torch):
    base, models, options = case(name, dtype=np.float32)
    arrays = merge_weights(base, models, name, random_state=0, **options)
    tensors = [
        {key: torch.from_numpy(v) for key, v in one.items()} for one in (base, *models)
    ]
    merged = merge_weights(tensors[0], tensors[1:], name, random_state=0, **options)
    for key, array in arrays.items():
        assert merged[key].dtype == torch.float32
        np.testing.assert_array_equal(merged[key].numpy(), array)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("who", [0, 1])
def test_number_that_is_not_finite_names_the_array(name, bad, who):
    base, models, options = case(name)
    states = [base, *models]
    states[who]["W1"][2, 1] = bad
    with pytest.raises(ValueError, match="'W1' must hold finite numbers"):
        merge_weights(base, models, name, random_state=0, **options)


@pytest.mark.parametrize("name", METHODS)
def test_models_of_other_layouts_name_the_array(name):
    base, models, options = case(name)
    narrow = {**models[1], "W1": np.zeros((9, 3))}
    with pytest.raises(ValueError, match="for 'W1' in model 1"):
        merge_weights(base, [models[0], narrow], name, **options)
    del narrow["W1"]
    with pytest.raises(ValueError, match=r"model 1 without \['W1'\]"):
        merge_weights(base, [models[0], narrow], name, **options)


@pytest.mark.parametrize("name", METHODS)
def test_no_models_and_no_arrays_are_refused(name):
    base, models, options = case(name)
    with pytest.raises(ValueError, match=r"at least one model. Got an empty list"):
        merge_weights(base, [], name, **options)
    with pytest.raises(ValueError, match=r"one array. Got an empty state dict"):
        merge_weights({}, [{}, {}], name, **options)
    with pytest.raises(TypeError, match=r"must be a list of models. Got dict"):
        merge_weights(base, models[0], name, **options)


@pytest.mark.parametrize("name", sorted(NEEDS_TWO))
def test_rules_for_two_models_refuse_one(name):
    base, models, _ = case(name)
    with pytest.raises(ValueError, match="Got 1"):
        merge_weights(base, models[:1], name)


@pytest.mark.parametrize("name", METHODS)
def test_weights_are_one_number_a_model(name):
    base, models, options = case(name)
    if "weights" not in MERGE_METHODS[name].parameters:
        pytest.skip("takes no weights")
    with pytest.raises(ValueError, match="must be one number a model, 2 in all"):
        merge_weights(base, models, name, weights=[1.0], **options)


def test_every_public_rule_has_a_row():
    functions = {row.function for row in MERGE_METHODS.values()}
    assert {f.__name__ for f in functions} <= set(merging.__all__)
    assert all(row.paper for row in MERGE_METHODS.values())
    assert set(NEUTRAL) | SUMS | set(NOT_IDEMPOTENT) | NEEDS_TWO <= set(METHODS)
    with_draws = {n for n in METHODS if "random_state" in MERGE_METHODS[n].parameters}
    assert with_draws == RANDOM
