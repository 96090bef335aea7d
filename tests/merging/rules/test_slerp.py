from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from merging_cases import BASE, UPDATES, around, known
from statlearn.merging._rules._slerp import nuslerp, slerp

BOTH = pytest.mark.parametrize("rule", [slerp, nuslerp], ids=["slerp", "nuslerp"])


def test_known_arc():
    base, models = known(2)
    row = slerp(base, models, t=0.3)["w"][0]
    expected = [-0.11834044, -0.35053644, -0.1605796, 0.10182514]
    np.testing.assert_allclose(row, expected, rtol=0, atol=1e-8)


def test_arc_of_updates_is_the_arc_around_a_zero_base():
    base, models = known(2)
    zero, moved = around(np.zeros((4, 4)), UPDATES[:2])
    around_base = nuslerp(base, models, t=0.3, lam=0.5)["w"]
    expected = BASE + 0.5 * slerp(zero, moved, t=0.3)["w"]
    np.testing.assert_allclose(around_base, expected, atol=1e-12)


def test_rows_have_arcs_of_their_own():
    base, models = known(2)
    merged = nuslerp(base, models, t=0.3, row_wise=True)["w"]
    for row in range(4):
        alone = nuslerp(
            {"w": base["w"][row]}, [{"w": m["w"][row]} for m in models], t=0.3
        )
        np.testing.assert_allclose(merged[row], alone["w"], atol=1e-12)


@BOTH
@given(seed=st.integers(0, 50), t=st.floats(0, 1))
def test_ends_order_and_equal_models(rule, seed, t):
    rng = np.random.default_rng(seed)
    base, (a, b) = around(rng.normal(size=(3, 5)), rng.normal(size=(2, 3, 5)))
    np.testing.assert_allclose(rule(base, [a, b], t=0)["w"], a["w"], atol=1e-12)
    np.testing.assert_allclose(rule(base, [a, b], t=1)["w"], b["w"], atol=1e-12)
    np.testing.assert_allclose(rule(base, [a, a], t=t)["w"], a["w"], atol=1e-12)
    there, back = rule(base, [a, b], t=t)["w"], rule(base, [b, a], t=1 - t)["w"]
    np.testing.assert_allclose(there, back, atol=1e-10)


def test_arc_keeps_the_length():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 40))
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    merged = slerp({"w": a}, [{"w": a}, {"w": b}], t=0.37)["w"]
    assert np.linalg.norm(merged) == pytest.approx(1.0, abs=1e-12)


def test_opposite_and_zero_arrays_lie_on_a_straight_line():
    one, zero = {"w": np.array([1.0, 2.0])}, {"w": np.zeros(2)}
    minus = {"w": -one["w"]}
    np.testing.assert_allclose(slerp(one, [one, minus], t=0.25)["w"], [0.5, 1.0])
    np.testing.assert_allclose(slerp(one, [one, zero], t=0.25)["w"], [0.75, 1.5])
    rows = {"w": np.array([[1.0, 2.0], [0.0, 0.0]])}
    base = {"w": np.zeros((2, 2))}
    merged = nuslerp(base, [rows, base], t=0.25, row_wise=True)["w"]
    np.testing.assert_allclose(merged, 0.75 * rows["w"])


@BOTH
def test_exactly_two_models(rule):
    base, models = known(3)
    with pytest.raises(ValueError, match=r"between two models\. Got 3"):
        rule(base, models)
    with pytest.raises(ValueError, match=r"at least 2 models\. Got 1"):
        rule(base, models[:1])


@BOTH
@pytest.mark.parametrize("t", [-0.1, 1.1, np.nan], ids=str)
def test_place_outside_the_arc_is_refused(rule, t):
    base, models = known(2)
    with pytest.raises(ValueError, match=r"'t' of \w+ must lie in \[0, 1\]"):
        rule(base, models, t=t)
