"""Random drops: DARE and DELLA."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from merging_cases import UPDATES, around, known
from statlearn.merging._rules._random_drop import (
    dare,
    della,
    keep_probabilities,
    ranking,
)
from statlearn.merging._rules._ties import ties

BOTH = pytest.mark.parametrize("rule", [dare, della], ids=["dare", "della"])
ONES = around(np.zeros((200, 500)), [np.ones((200, 500))])

# Keep probabilities of the first update for a density of 0.5 and eps of 0.2.
KNOWN = [
    [0.7, 0.433333, 0.3, 0.566667],
    [0.3, 0.7, 0.566667, 0.433333],
    [0.433333, 0.566667, 0.7, 0.3],
    [0.7, 0.566667, 0.3, 0.433333],
]


def test_known_probabilities_of_each_number():
    found = np.empty((4, 4))
    np.put_along_axis(
        found, ranking(UPDATES[0]), keep_probabilities(0.3, 0.7, 4)[None], axis=1
    )
    assert_allclose(found, KNOWN, atol=5e-7)


def test_first_of_equal_numbers_has_the_lower_rank():
    rows = np.tile([2.0, 1.0, -2.0, 1.0], (3, 64))
    order = np.argsort(np.abs(rows), axis=1, kind="stable")
    assert_array_equal(ranking(rows), order)


def test_row_of_one_number_has_the_middle_probability():
    assert_array_equal(keep_probabilities(0.3, 0.7, 1), [0.5])


def test_share_of_drop_is_dropped_and_the_others_enlarged():
    merged = dare(*ONES, drop=0.75, random_state=0)["w"]
    assert set(np.unique(merged)) == {0.0, 4.0}
    # 1e5 draws of probability 1/4: four standard deviations are 0.0055.
    assert abs((merged > 0.0).mean() - 0.25) < 0.0055


def test_della_keeps_large_numbers_more_often():
    row = np.arange(1.0, 5.0)
    base, models = around(np.zeros((50_000, 4)), [np.tile(row, (50_000, 1))])
    merged = della(
        base, models, eps=0.2, rescale=None, consensus=False, random_state=0
    )["w"]
    rates = (merged > 0.0).mean(axis=0)
    # Four standard deviations of 5e4 draws are at most 0.009.
    assert_allclose(rates, [0.3, 0.3 + 0.4 / 3, 0.7 - 0.4 / 3, 0.7], atol=0.009)


@BOTH
def test_expectation_is_the_sum_of_the_task_vectors(rule):
    base, models = around(np.zeros((4, 4)), UPDATES[:2])
    rng = np.random.default_rng(0)
    draws = np.array(
        [
            rule(base, models, consensus=False, random_state=rng)["w"]
            for _ in range(4000)
        ]
    )
    error = draws.std(axis=0) / np.sqrt(4000) + 1e-12
    assert (np.abs(draws.mean(axis=0) - UPDATES[:2].sum(axis=0)) < 4.5 * error).all()


@BOTH
@pytest.mark.parametrize(("rescale", "order"), [("l1", 1), ("l2", 2)])
def test_norm_of_each_array_is_kept(rule, rescale, order):
    update = np.random.default_rng(1).standard_normal((300, 400))
    base, models = around(np.zeros((300, 400)), [update])
    merged = rule(base, models, rescale=rescale, random_state=0)["w"]
    assert 0.4 < (merged == 0.0).mean() < 0.6
    norms = [np.linalg.norm(a.ravel(), order) for a in (merged, update)]
    assert_allclose(norms[0], norms[1], rtol=1e-12)


@BOTH
def test_numbers_that_stay_are_as_they_were_without_rescaling(rule):
    base, models = around(np.zeros((4, 4)), UPDATES[:1])
    merged = rule(base, models, rescale=None, random_state=3)["w"]
    kept = merged != 0.0
    assert_array_equal(merged[kept], UPDATES[0][kept])


@BOTH
def test_signs_of_those_that_stay_are_elected(rule):
    base, models = around(np.zeros(2000), [np.full(2000, 3.0), np.full(2000, -1.0)])
    merged = rule(base, models, rescale=None, consensus=True, random_state=0)["w"]
    assert set(np.unique(merged)) == {-1.0, 0.0, 3.0}  # never their sum, 2


def test_dropping_nothing_and_electing_signs_is_ties_without_trimming():
    base, models = known(3)
    merged = dare(base, models, drop=0.0, consensus=True)["w"]
    assert_allclose(merged, ties(base, models, density=1.0)["w"], atol=1e-15)


def test_density_of_one_keeps_all():
    base, models = around(np.zeros((4, 4)), UPDATES[:1])
    assert_array_equal(della(base, models, density=1.0)["w"], UPDATES[0])


@BOTH
def test_same_seed_drops_the_same_whatever_the_order_of_names(rule):
    rng = np.random.default_rng(2)
    base = {name: np.zeros(50) for name in "ab"}
    model = {name: rng.standard_normal(50) for name in "ab"}
    back = {name: model[name] for name in "ba"}
    first = rule(base, [model], random_state=5)
    second = rule({name: base[name] for name in "ba"}, [back], random_state=5)
    for name in "ab":
        assert_array_equal(first[name], second[name])
    assert not np.array_equal(first["a"] == 0.0, first["b"] == 0.0)


@BOTH
def test_generator_of_the_caller_moves_on(rule):
    rng = np.random.default_rng(6)
    base, models = around(np.zeros(60), [np.ones(60)])
    first, second = (rule(base, models, random_state=rng)["w"] for _ in range(2))
    assert not np.array_equal(first, second)


@BOTH
def test_scalars_and_empty_arrays_are_merged(rule):
    base = {"s": np.zeros(()), "e": np.zeros((3, 0))}
    model = {"s": np.ones(()), "e": np.zeros((3, 0))}
    merged = rule(base, [model], random_state=0)
    assert merged["s"].shape == ()
    assert merged["e"].shape == (3, 0)


@BOTH
def test_update_of_zero_stays_zero_under_every_rescaling(rule):
    base, models = around(np.ones(5), np.zeros((1, 5)))
    for rescale in ("inverse", "l1", "l2", None):
        assert_array_equal(rule(base, models, rescale=rescale)["w"], np.ones(5))


@pytest.mark.parametrize("drop", [-0.1, 1.0, np.nan])
def test_drop_out_of_range_is_refused(drop):
    with pytest.raises(ValueError, match=r"'drop' of dare must lie in \[0, 1\)"):
        dare(*known(1), drop=drop)


@pytest.mark.parametrize(
    ("density", "eps"), [(0.5, 0.5), (0.1, 0.15), (0.9, 0.15), (0.5, -0.1)]
)
def test_probabilities_out_of_range_are_refused(density, eps):
    with pytest.raises(ValueError, match="'eps' of della must be at least 0"):
        della(*known(1), density=density, eps=eps)


@BOTH
def test_unknown_rescaling_is_refused(rule):
    with pytest.raises(ValueError, match=r"'rescale' of .* Got 'linf'; pass"):
        rule(*known(1), rescale="linf")


@pytest.mark.parametrize("unit", [1e-200, 1e160])
@pytest.mark.parametrize("rule", [dare, della])
def test_norms_of_extreme_numbers_are_kept_like_others(rule, unit):
    rng = np.random.default_rng(0)
    base, model = ({"W": rng.normal(size=(8, 9))} for _ in range(2))
    expected = rule(base, [model], rescale="l2", random_state=0)["W"]
    scaled = [{"W": unit * state["W"]} for state in (base, model)]
    merged = rule(scaled[0], scaled[1:], rescale="l2", random_state=0)["W"]
    np.testing.assert_allclose(merged / unit, expected, rtol=1e-12)
