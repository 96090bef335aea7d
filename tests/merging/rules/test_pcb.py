"""Parameter competition, and what it shares with the consensus of masks."""

from __future__ import annotations

from collections import UserDict

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from merging_cases import BASE, UPDATES, around, known
from statlearn.merging._rules._arithmetic import task_arithmetic
from statlearn.merging._rules._consensus import consensus
from statlearn.merging._rules._pcb import pcb


def test_known_competition():
    merged = pcb(*known(3), ratio=0.2)["w"] - BASE
    found = [merged[0, 3], merged[2, 1]]
    assert_allclose(found, [0.29470992, 0.28869298], atol=5e-9)


def plain_pcb(updates, ratio):
    """Formulas of the rule on whole vectors, by sorting, (T, n) to (n,)."""
    n = updates.shape[1]

    def unit(values):
        low, high = values.min(axis=1)[:, None], values.max(axis=1)[:, None]
        return (values - low) / (high - low)

    ordered = np.sort(np.abs(updates), axis=1)
    low, high = int(n * 1e-4), int(n * (1 - 1e-4) - 1)
    sizes = np.clip(np.abs(updates), ordered[:, [low]], ordered[:, [high]])
    scores = np.exp(len(updates) * unit(sizes) ** 2)
    scores *= np.tanh(updates * updates.sum(axis=0))
    least = np.sort(scores, axis=1)[:, [int(n * (1 - ratio))]]
    shares = unit(np.maximum(scores, least))
    merged = (shares * np.sign(updates) * sizes).sum(axis=0)
    return merged / np.maximum(shares.sum(axis=0), 1e-12)


@pytest.mark.parametrize("ratio", [0.05, 0.5, 1.0])
def test_competition_over_several_arrays_is_that_of_one_vector(ratio):
    rng = np.random.default_rng(1)
    updates = rng.standard_normal((3, 200_000))
    parts = {"a": slice(0, 150_000), "b": slice(150_000, 150_010)}
    parts["c"] = slice(150_010, 200_000)
    base = {name: np.zeros(200_000)[part] for name, part in parts.items()}
    models = [{name: row[part] for name, part in parts.items()} for row in updates]
    merged = pcb(base, models, ratio=ratio)
    found = np.concatenate([merged[name] for name in parts])
    assert_allclose(found, plain_pcb(updates, ratio), rtol=1e-9, atol=1e-12)


def test_integers_and_running_statistics_do_not_compete():
    rng = np.random.default_rng(2)
    first, second = rng.standard_normal((2, 40))
    base = {"w": np.zeros(40)}
    alone = pcb(base, [{"w": first}, {"w": second}])["w"]
    more = {"n": np.array(3), "bn.running_mean": np.zeros(9)}
    seen = {"n": np.array(5), "bn.running_mean": np.full(9, 99.0)}
    merged = pcb(base | more, [{"w": first} | seen, {"w": second} | seen])
    assert_array_equal(merged["w"], alone)
    assert merged["n"] == 3
    assert_array_equal(merged["bn.running_mean"], np.full(9, 99.0))


def test_task_without_update_does_not_count():
    rng = np.random.default_rng(3)
    updates = np.abs(rng.standard_normal((2, 30)))
    updates[1] = 0.0
    base, models = around(np.zeros(30), updates)
    merged = pcb(base, models, ratio=0.5)["w"]
    kept = merged != 0.0
    assert kept.any()
    clipped = np.minimum(updates[0], np.sort(updates[0])[-2])
    assert_allclose(merged[kept], clipped[kept], rtol=1e-14)


def test_updates_of_one_size_are_merged():
    base, models = around(np.zeros(6), np.ones((2, 6)))
    assert_array_equal(pcb(base, models)["w"], np.ones(6))


def test_coefficient_and_weights_scale_the_competition():
    base, models = around(np.zeros((4, 4)), UPDATES)
    merged = pcb(base, models)["w"]
    assert_allclose(pcb(base, models, lam=1.2)["w"], 1.2 * merged, atol=1e-15)
    doubled = pcb(base, models, weights=[2.0, 2.0, 2.0])["w"]
    assert_allclose(doubled, 2.0 * merged, atol=1e-15)


@pytest.mark.parametrize("ratio", [0.0, 1.2])
def test_ratio_out_of_range_is_refused(ratio):
    with pytest.raises(ValueError, match=r"'ratio' of pcb must lie in \(0, 1\]"):
        pcb(*known(2), ratio=ratio)


@pytest.mark.parametrize("rule", [consensus, pcb], ids=["consensus", "pcb"])
def test_one_model_is_task_arithmetic(rule):
    base, models = known(1)
    expected = task_arithmetic(base, models, lam=0.7)["w"]
    assert_allclose(rule(base, models, lam=0.7)["w"], expected, atol=1e-15)
    assert_allclose(rule(base, models)["w"], models[0]["w"], atol=1e-15)


@pytest.mark.parametrize("rule", [consensus, pcb], ids=["consensus", "pcb"])
def test_order_of_the_models_does_not_matter(rule):
    base, models = known(3)
    assert_allclose(rule(base, models[::-1])["w"], rule(base, models)["w"], atol=1e-14)


def test_mapping_that_makes_its_arrays_anew_competes_with_all_of_them():
    class Lazy(UserDict):
        def __getitem__(self, name):
            return super().__getitem__(name).copy()

    rng = np.random.default_rng(4)
    states = [{n: rng.standard_normal(500) for n in "abcdef"} for _ in range(3)]
    base, *models = map(Lazy, states)
    merged, expected = pcb(base, models), pcb(states[0], states[1:])
    for name in "abcdef":
        assert_array_equal(merged[name], expected[name])


def test_arrays_that_share_their_memory_compete_once():
    rng = np.random.default_rng(5)
    first, second = rng.standard_normal((2, 40))
    alone = pcb({"w": np.zeros(40)}, [{"w": first}, {"w": second}])["w"]
    tied = np.zeros(40)
    models = [{"w": u, "v": u} for u in (first, second)]
    merged = pcb({"w": tied, "v": tied}, models)
    assert_array_equal(merged["w"], alone)
    assert_array_equal(merged["v"], alone)
