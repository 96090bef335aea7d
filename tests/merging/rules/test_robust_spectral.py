from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from merging_cases import BASE, around, known
from statlearn.merging._rules._robust_spectral import r_tsv_merge
from statlearn.merging._rules._spectral import tsv_merge


def test_known_merge_with_clipping_alone():
    base, models = known(2)
    row = (r_tsv_merge(base, models, c=1.0, eps=0.0)["w"] - BASE)[0]
    expected = [-0.09195587, 0.23438464, -0.04275439, 0.43919133]
    np.testing.assert_allclose(row, expected, rtol=0, atol=1e-8)


def test_known_merge_with_clipping_and_rank():
    base, models = known(2)
    row = (r_tsv_merge(base, models, c=1.0, eps=0.25)["w"] - BASE)[0]
    expected = [-0.1452062, -0.01957411, -0.07892574, 0.34020099]
    np.testing.assert_allclose(row, expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
@given(seed=st.integers(0, 50), n=st.integers(1, 4))
def test_neutral_settings_are_the_plain_rule(dtype, seed, n):
    rng = np.random.default_rng(seed)
    start = rng.normal(size=(9, 7)).astype(dtype)
    updates = rng.normal(size=(n, 9, 7)).astype(dtype)
    base, models = around(start, updates)
    plain = tsv_merge(base, models)["w"]
    neutral = r_tsv_merge(base, models, c=np.inf, eps=0.0)["w"]
    np.testing.assert_allclose(neutral, plain, rtol=0, atol=1e-8)


def test_one_outlier_moves_the_result_by_a_bounded_amount():
    rng = np.random.default_rng(0)
    start, updates = np.zeros((20, 20)), 0.1 * rng.normal(size=(2, 20, 20))
    moved = []
    for size in (1e3, 1e6):
        updates[0, 3, 4] = size
        merged = r_tsv_merge(*around(start, updates), c=1.0)["w"]
        moved.append(np.abs(merged).max() / size)
    assert max(moved) < 0.1


def test_one_model_comes_back_with_its_outliers():
    base, models = known(1)
    models[0]["w"][0, 0] = 50.0
    merged = r_tsv_merge(base, models)["w"]
    np.testing.assert_allclose(merged, models[0]["w"], atol=1e-12)


def test_equal_updates_of_rank_one_without_outliers_come_back():
    signs = np.array([1.0, -1.0, 1.0, 1.0, -1.0, 1.0])
    update = 0.3 * np.outer(signs, signs)
    merged = r_tsv_merge(*around(np.zeros((6, 6)), [update] * 3))["w"]
    np.testing.assert_allclose(merged, update, atol=1e-12)


@pytest.mark.parametrize("name", ["c", "eps"])
@pytest.mark.parametrize("value", [-1.0, np.nan], ids=["negative", "nan"])
def test_negative_settings_are_refused(name, value):
    base, models = known(2)
    with pytest.raises(ValueError, match=f"'{name}' of r_tsv_merge must be a number"):
        r_tsv_merge(base, models, **{name: value})
