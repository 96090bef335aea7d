from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from merging_cases import BASE, UPDATES, around, known
from statlearn.merging._rules._spectral import iso_merge, sti, tsv_merge

TWO = [
    [0.50460744, -0.06369334, 0.17946282, 0.16704063],
    [0.12452168, -0.06869809, -0.53586188, -0.0627899],
    [0.03065393, 0.56143493, -0.11489515, -0.0226643],
    [0.15866069, 0.02173931, 0.12149428, -0.55866211],
]
DTYPES = pytest.mark.parametrize(
    ("dtype", "atol"), [(np.float64, 1e-8), (np.float32, 5e-7)], ids=["f64", "f32"]
)


def rank_one(seed, shape=(12, 7)):
    rng = np.random.default_rng(seed)
    return np.outer(rng.normal(size=shape[0]), rng.normal(size=shape[1]))


@DTYPES
def test_known_merge_of_two_models(dtype, atol):
    base, models = known(2, dtype)
    update = tsv_merge(base, models)["w"] - BASE
    np.testing.assert_allclose(update, TWO, rtol=0, atol=atol)


@DTYPES
def test_known_merge_of_three_models(dtype, atol):
    base, models = known(3, dtype)
    row = (tsv_merge(base, models)["w"] - BASE)[0]
    expected = [-0.15687517, -0.09275759, -0.16663802, 0.37979007]
    np.testing.assert_allclose(row, expected, rtol=0, atol=atol)


@DTYPES
def test_known_flattened_sum(dtype, atol):
    base, models = known(3, dtype)
    row = (iso_merge(base, models)["w"] - BASE)[0]
    expected = [0.11174221, -0.05519335, -0.18797622, 0.50130819]
    np.testing.assert_allclose(row, expected, rtol=0, atol=atol)


@pytest.mark.parametrize(("n", "expected"), [(2, 1.494204437), (3, 2.128508385)])
def test_known_interference(n, expected):
    base, models = known(n)
    assert sti(base, models)["w"] == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("shape", [(30, 9), (9, 30), (12, 12)], ids=str)
def test_products_and_decompositions_lead_to_one_result(shape):
    rng = np.random.default_rng(1)
    base = rng.normal(size=shape).astype(np.float32)
    models = [
        {"w": (base + 0.1 * rng.normal(size=shape)).astype(np.float32)}
        for _ in range(3)
    ]
    double = [{"w": m["w"].astype(float)} for m in models]
    for rule in (tsv_merge, iso_merge):
        short = rule({"w": base}, models)["w"]
        long = rule({"w": base.astype(float)}, double)["w"]
        np.testing.assert_allclose(short, long, rtol=0, atol=5e-7)


@DTYPES
def test_equal_updates_of_low_rank_come_back(dtype, atol):
    update = rank_one(0) + rank_one(1)
    base, models = around(np.zeros((12, 7)), [update] * 3)
    base = {"w": base["w"].astype(dtype)}
    models = [{"w": m["w"].astype(dtype)} for m in models]
    merged = tsv_merge(base, models)["w"]
    np.testing.assert_allclose(merged, update, rtol=0, atol=10 * atol)


@DTYPES
def test_rounding_of_the_base_adds_no_direction(dtype, atol):
    update, rng = rank_one(2), np.random.default_rng(3)
    start = rng.normal(size=update.shape).astype(dtype)
    base = {"w": start}
    models = [{"w": (start + f * update).astype(dtype)} for f in (1.0, 0.5, 0.25)]
    moved = tsv_merge(base, models)["w"].astype(float) - start
    expected = update * 1.75 / 3  # one direction of three sizes, shared alike
    np.testing.assert_allclose(moved, expected, rtol=0, atol=10 * atol)


def test_matrices_too_small_for_the_models_take_the_mean():
    rng = np.random.default_rng(4)
    base, models = around(rng.normal(size=(2, 9)), rng.normal(size=(3, 2, 9)))
    expected = np.mean([m["w"] for m in models], axis=0)
    np.testing.assert_allclose(tsv_merge(base, models)["w"], expected, atol=1e-12)


@pytest.mark.parametrize("rule", [tsv_merge, iso_merge], ids=["tsv", "iso"])
def test_vectors_take_the_mean(rule):
    base, models = around(np.array([1.0, 2.0]), [np.ones(2), np.array([3.0, -1.0])])
    np.testing.assert_allclose(rule(base, models)["w"], [3.0, 2.0])


@pytest.mark.parametrize("rule", [tsv_merge, iso_merge], ids=["tsv", "iso"])
def test_kernels_are_matrices_of_outputs_against_the_rest(rule):
    rng = np.random.default_rng(5)
    start, updates = rng.normal(size=(6, 2, 3, 2)), rng.normal(size=(2, 6, 2, 3, 2))
    kernel = rule(*around(start, updates))["w"]
    flat = rule(*around(start.reshape(6, 12), updates.reshape(2, 6, 12)))["w"]
    np.testing.assert_allclose(kernel.reshape(6, 12), flat, atol=1e-12)


@DTYPES
@pytest.mark.parametrize("rule", [tsv_merge, iso_merge], ids=["tsv", "iso"])
def test_one_model_comes_back(rule, dtype, atol):
    base, models = known(1, dtype)
    np.testing.assert_allclose(rule(base, models)["w"], models[0]["w"], atol=atol)


@DTYPES
def test_a_zero_update_takes_no_direction(dtype, atol):
    update = np.zeros((4, 4))
    update[0, 1], update[2, 2] = 3.0, 1.0
    base = {"w": np.zeros((4, 4), dtype)}
    models = [{"w": update.astype(dtype)}, base]
    np.testing.assert_allclose(tsv_merge(base, models)["w"], update, atol=atol)
    np.testing.assert_allclose(tsv_merge(base, [base, base])["w"], 0.0)
    np.testing.assert_allclose(iso_merge(base, [base, base])["w"], 0.0)
    assert sti(base, models)["w"] == pytest.approx(0.0, abs=atol)


def test_tasks_in_directions_of_their_own_are_summed():
    first, second = np.zeros((4, 4)), np.zeros((4, 4))
    first[:2, :2], second[2:, 2:] = [[1.0, 2.0], [0.5, -1.0]], [[3.0, 0.0], [1.0, 1.0]]
    merged = tsv_merge(*around(np.zeros((4, 4)), [first, second]))["w"]
    np.testing.assert_allclose(merged, first + second, atol=1e-12)


def test_given_rank_cuts_each_update():
    base, models = known(1)
    left, values, right = np.linalg.svd(UPDATES[0])
    expected = BASE + values[0] * np.outer(left[:, 0], right[0])
    np.testing.assert_allclose(tsv_merge(base, models, k=1)["w"], expected, atol=1e-12)


def test_flattened_sum_of_low_rank_has_no_other_direction():
    update = rank_one(6)
    merged = iso_merge(*around(np.zeros((12, 7)), [update, update]))["w"]
    np.testing.assert_allclose(merged, 2 * update, atol=1e-12)


def test_flattened_sum_has_equal_singular_values_and_the_nuclear_norm():
    base, models = known(2)
    values = np.linalg.svd(iso_merge(base, models)["w"] - BASE, compute_uv=False)
    total = np.linalg.svd(UPDATES[:2].sum(axis=0), compute_uv=False)
    np.testing.assert_allclose(values, np.full(4, total.mean()), atol=1e-12)


@given(
    st.floats(-2, 2).filter(lambda x: abs(x) > 0.1),
    st.permutations(range(3)),
    st.integers(0, 50),
)
def test_scale_and_order_laws(lam, order, seed):
    rng = np.random.default_rng(seed)
    base, models = around(rng.normal(size=(7, 6)), rng.normal(size=(3, 7, 6)))
    for rule in (tsv_merge, iso_merge):
        whole = rule(base, models)["w"] - base["w"]
        scaled = rule(base, [models[i] for i in order], lam=lam)["w"] - base["w"]
        weighted = rule(base, models, weights=[lam] * 3)["w"] - base["w"]
        np.testing.assert_allclose(scaled, lam * whole, atol=1e-9)
        np.testing.assert_allclose(weighted, lam * whole, atol=1e-9)


@pytest.mark.parametrize("rule", [tsv_merge, sti], ids=["tsv", "sti"])
def test_rank_larger_than_a_side_is_refused(rule):
    base, models = known(2)
    with pytest.raises(ValueError, match=r"'k' of .* Got 5 and 'w' with a side of 4"):
        rule(base, models, k=5)
    with pytest.raises(ValueError, match="integer >= 1"):
        rule(base, models, k=0)


def test_interference_needs_two_models_and_finite_numbers():
    base, models = known(2)
    with pytest.raises(ValueError, match="at least 2 models"):
        sti(base, models[:1])
    models[1]["w"][0, 0] = np.nan
    with pytest.raises(ValueError, match=r"'w'.*model 1"):
        sti(base, models)


def test_interference_leaves_out_what_is_no_matrix():
    base, models = known(2)
    for state in (base, *models):
        state["b"] = np.zeros(3)
    assert list(sti(base, models)) == ["w"]


@pytest.mark.parametrize("unit", [2.0**-700, 2.0**600])
def test_interference_is_in_the_unit_of_the_weights(unit):
    rng = np.random.default_rng(0)
    base, *models = ({"W": rng.normal(size=(5, 7))} for _ in range(3))
    expected = unit * sti(base, models)["W"]
    scaled = [{"W": unit * state["W"]} for state in (base, *models)]
    found = sti(scaled[0], scaled[1:])["W"]
    assert 0.0 < found == pytest.approx(expected, rel=1e-9, abs=0.0)
