from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from merging_cases import known
from statlearn.merging._rules._karcher import karcher
from statlearn.merging._rules._slerp import slerp


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
        ({"tol": 0.0}, "'tol' of karcher must be a finite number > 0"),
        ({"max_iter": 0}, "'max_iter' of karcher must be an integer"),
    ],
    ids=["negative", "zeros", "tol", "max_iter"],
)
def test_bad_settings_of_the_mean_are_refused(options, message):
    base, models = known(2)
    with pytest.raises(ValueError, match=message):
        karcher(base, models, **options)
