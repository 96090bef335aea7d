from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from merging_cases import BASE, UPDATES, around, known
from statlearn.merging._centres import karcher, model_stock
from statlearn.merging._geometry import slerp


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


def steps_on_the_sphere(vectors, shares):
    """Return the Karcher mean by steps on whole vectors."""
    lengths = np.linalg.norm(vectors, axis=1)
    units = vectors / lengths[:, None]
    mean = shares @ units
    mean /= np.linalg.norm(mean)
    for _ in range(200):
        angles = np.arccos(np.clip(units @ mean, -1, 1))
        tangents = units - np.cos(angles)[:, None] * mean
        step = (shares * angles / np.sin(angles)) @ tangents
        size = np.linalg.norm(step)
        if size < 1e-13:
            break
        mean = np.cos(size) * mean + np.sin(size) * step / size
    return (shares @ lengths) * mean


@given(st.integers(0, 50))
def test_mean_is_that_of_steps_on_whole_vectors(seed):
    rng = np.random.default_rng(seed)
    vectors, shares = rng.normal(size=(4, 30)), rng.dirichlet(np.ones(4))
    models = [{"w": row} for row in vectors]
    merged = karcher(models[0], models, weights=5 * shares, tol=1e-7)["w"]
    expected = steps_on_the_sphere(vectors, shares)
    np.testing.assert_allclose(merged, expected, atol=1e-5)


def test_mean_of_two_directions_is_half_way_on_the_arc():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 30))
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    models = [{"w": a}, {"w": b}]
    expected = slerp(models[0], models)["w"]
    np.testing.assert_allclose(karcher(models[0], models)["w"], expected, atol=1e-12)


def test_equal_models_come_back_from_the_sphere():
    base, models = known(1)
    for n in (1, 3):
        merged = karcher(base, models * n)["w"]
        np.testing.assert_allclose(merged, models[0]["w"], atol=1e-12)


def test_directions_that_cancel_are_averaged_and_zeros_have_none():
    one, minus = {"w": np.array([1.0, 2.0])}, {"w": np.array([-3.0, -6.0])}
    zero = {"w": np.zeros(2)}
    np.testing.assert_allclose(karcher(one, [one, minus])["w"], [-1.0, -2.0])
    np.testing.assert_allclose(karcher(one, [one, zero])["w"], [0.5, 1.0])
    np.testing.assert_allclose(karcher(one, [zero, zero])["w"], 0.0)


def test_too_few_steps_warn_with_the_name():
    rng = np.random.default_rng(2)
    models = [{"w": row} for row in rng.normal(size=(3, 30))]
    with pytest.warns(ConvergenceWarning, match="for 'w'"):
        karcher(models[0], models, max_iter=1, tol=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": [1.0, -1.0]}, "'weights' of karcher must be >= 0"),
        ({"weights": [0.0, 0.0]}, "'weights' of karcher must be >= 0"),
        ({"tol": 0.0}, "'tol' of karcher must be positive"),
        ({"max_iter": 0}, "'max_iter' of karcher must be an integer"),
    ],
    ids=["negative", "zeros", "tol", "max_iter"],
)
def test_bad_settings_of_the_mean_are_refused(options, message):
    base, models = known(2)
    with pytest.raises(ValueError, match=message):
        karcher(base, models, **options)
