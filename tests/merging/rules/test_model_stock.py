from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from merging_cases import BASE, UPDATES, around, known
from statlearn.merging._rules._model_stock import model_stock


def share_of(base, models, **options):
    """Return the share of the way to the mean at one entry."""
    mean = np.mean([m["w"] for m in models], axis=0) - base["w"]
    moved = model_stock(base, models, **options)["w"] - base["w"]
    return moved[0, 0] / mean[0, 0]


@pytest.mark.parametrize(("n", "share"), [(3, -0.545689291), (2, -2.330377013)])
def test_known_shares(n, share):
    base, models = known(n)
    assert share_of(base, models, clip=False) == pytest.approx(share, abs=1e-8)
    np.testing.assert_allclose(model_stock(base, models)["w"], BASE)


def test_rows_have_shares_of_their_own():
    rng = np.random.default_rng(0)
    start, updates = rng.normal(size=(5, 2, 3)), rng.normal(size=(3, 5, 2, 3)) + 1.0
    base, models = around(start, updates)
    merged = model_stock(base, models, filter_wise=True)["w"]
    for row in range(5):
        alone = model_stock(*around(start[row], updates[:, row]))["w"]
        np.testing.assert_allclose(merged[row], alone, atol=1e-12)


@given(st.integers(0, 50), st.permutations(range(3)))
def test_stock_moves_towards_the_mean_and_no_further(seed, order):
    rng = np.random.default_rng(seed)
    updates = rng.normal(size=(3, 4, 6)) + rng.normal(size=(4, 6))
    base, models = around(rng.normal(size=(4, 6)), updates)
    assert -1e-12 <= share_of(base, models) <= 1.0 + 1e-12
    shuffled = model_stock(base, [models[i] for i in order])["w"]
    np.testing.assert_allclose(shuffled, model_stock(base, models)["w"], atol=1e-10)


@pytest.mark.parametrize("filter_wise", [False, True])
def test_stock_of_equal_zero_and_opposite_updates(filter_wise):
    base, models = known(1)
    same = model_stock(base, models * 3, filter_wise=filter_wise)["w"]
    np.testing.assert_allclose(same, models[0]["w"], atol=1e-12)
    still = model_stock(base, [base, base], filter_wise=filter_wise)["w"]
    np.testing.assert_allclose(still, BASE)
    opposite = around(BASE, [UPDATES[0], -2 * UPDATES[0]])
    away = model_stock(*opposite, filter_wise=filter_wise)["w"]
    np.testing.assert_allclose(away, BASE)
    with pytest.raises(ValueError, match="updates that do not cancel"):
        model_stock(*opposite, clip=False, filter_wise=filter_wise)


def test_stock_needs_two_models():
    base, models = known(1)
    with pytest.raises(ValueError, match="at least 2 models"):
        model_stock(base, models)
