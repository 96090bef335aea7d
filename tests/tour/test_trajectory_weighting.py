from __future__ import annotations

import dataclasses

import gymnasium
import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone

from statlearn.offline_rl import (
    BehaviorCloning,
    TrajectoryDataset,
    UniformWeighting,
    scripted_expert,
)
from statlearn.tour import _cartpole_study as study
from statlearn.tour import trajectory_weighting
from statlearn.tour._progress import SilentProgress
from statlearn.tour._run import run_section


def trial_of(**returns):
    """A trial of clones with these returns, by the names of the methods in `study`."""
    values = {"PLAIN": 20.0, "TOP": 30.0, "RETURN": 500.0, "ADVANTAGE": 500.0}
    return study.Trial(np.array([*(values | returns).values()]), {}, 1, 100, 2000, 0.1)


def study_of(**changed):
    """Two seeds of each setting, of which those that are named are changed."""
    trials = {setting: (trial_of(), trial_of()) for setting in study.SETTINGS}
    for name, found in changed.items():
        trials[getattr(study, name)] = found
    return study.Study(trials, {})


@pytest.fixture(scope="module")
def good():
    return TrajectoryDataset.rollout(
        study.TASK, scripted_expert(study.TASK), n_episodes=1, seed=0
    )


@pytest.fixture(scope="module")
def bad():
    return TrajectoryDataset.rollout(study.TASK, None, n_steps=3_000, seed=1000)


@pytest.fixture(scope="module")
def mixed(good, bad):
    return TrajectoryDataset.concatenate([good, bad])


@pytest.fixture(scope="module")
def clones(mixed):
    return study.clones_of(mixed, study.LINEAR)


class Constant:
    """A policy that always pushes to the right with the same probability."""

    def __init__(self, right):
        self.right = right

    def predict_proba(self, observations):
        return np.tile([1.0 - self.right, self.right], (len(observations), 1))


def test_the_clone_without_weights_is_a_plain_classifier(clones, mixed):
    uniform = BehaviorCloning(study.LINEAR, weighting=UniformWeighting()).fit(mixed)
    X = mixed.observations[::50]
    peer = clones[study.PLAIN].predict_proba(X)
    assert_allclose(peer, uniform.predict_proba(X), atol=1e-4)


def test_the_best_tenth_is_what_numpy_would_choose(clones, mixed):
    returns = np.array([each.rewards.sum() for each in mixed])
    last = np.sort(returns)[::-1][len(returns) // 10 - 1]
    above = np.concatenate(
        [np.full(len(each.rewards), r) for each, r in zip(mixed, returns, strict=True)]
    )
    kept = np.flatnonzero(clones[study.TOP].weighting_.sample_weight())
    assert set(np.flatnonzero(above > last)) <= set(kept)
    assert set(kept) <= set(np.flatnonzero(above >= last))
    X, y = mixed.observations[kept], mixed.actions[kept]
    peer = clone(study.LINEAR).fit(X, y)
    found = clones[study.TOP].predict_proba(X)
    # The same rows with weights above one: a little less penalty.
    assert_allclose(found, peer.predict_proba(X), atol=0.01)


def test_episodes_side_by_side_are_those_of_one_after_the_other():
    returns = []
    env = gymnasium.make(study.TASK)
    for seed in range(200):
        env.reset(seed=seed)
        ended, steps = False, 0
        while not ended:
            _, _, ended, _, _ = env.step(1)
            steps += 1
        returns.append(steps)
    found = np.mean([study.mean_return(Constant(1.0), seed) for seed in range(10)])
    error = np.std(returns) / np.sqrt(200)
    assert abs(found - np.mean(returns)) < 4.0 * np.sqrt(2.0) * error


def test_an_episode_that_never_falls_is_cut_at_five_hundred_steps():
    expert = scripted_expert(study.TASK)

    class Expert:
        def predict_proba(self, observations):
            right = np.array([expert(row) for row in observations])
            return np.c_[1.0 - right, right]

    assert study.mean_return(Expert(), 0) == 500.0


def test_one_expert_episode_is_counted_and_its_share_told(monkeypatch, good, bad):
    monkeypatch.setattr(study, "N_TRANSITIONS", 3_000)
    monkeypatch.setattr(study, "mean_return", lambda policy, seed: 0.0)
    trial = study.try_share(good, bad, 0.01, study.LINEAR, 0)
    assert trial.n_experts == 1
    assert trial.expert_share == pytest.approx(500 / trial.n_transitions)
    none = study.try_share(good, bad, 0.0, study.LINEAR, 0)
    assert none.n_experts == none.expert_share == 0
    assert set(trial.weightings) == set(study.METHODS)


def test_a_lottery_misleads_as_the_closed_form_says():
    # As many tickets as safe choices: tilted by e^(return / alpha), see `Lottery`.
    won, lost, safe = 0.3 * np.exp(1.0 / 0.1), 0.7, np.exp(0.6 / 0.1)
    luck = study.try_lottery()
    weighted, plain = luck[study.RETURN], luck[study.PLAIN]
    assert weighted.promised == pytest.approx(won / (won + lost), abs=1e-4)
    share = (won + lost) / (won + lost + safe)
    assert weighted.taken == pytest.approx(share, abs=0.02)
    assert plain.promised == pytest.approx(0.3, abs=0.06)
    for found in luck.values():
        assert found.value == pytest.approx(0.6 - 0.3 * found.taken)
    assert (plain.planned, weighted.planned) == (pytest.approx(0.6), pytest.approx(0.3))


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ({}, True),
        ({"NONE": (trial_of(RETURN=10.0),) * 2}, True),
        ({"FULL_TREE": (trial_of(RETURN=10.0),) * 2}, True),
        ({"ONE": (trial_of(RETURN=25.0),) * 2}, False),
        ({"HALF": (trial_of(ADVANTAGE=25.0),) * 2}, False),
        ({"HALF": (trial_of(TOP=500.0),) * 2}, False),
        ({"ONE": (trial_of(RETURN=10.0), trial_of())}, True),
    ],
    ids=[
        "all hold",
        "without an expert it may fail",
        "with a tree it may fail",
        "return weights lose",
        "advantage weights lose",
        "the best tenth ties",
        "the mean counts",
    ],
)
def test_the_verdict_follows_the_numbers(changed, verdict):
    assert study_of(**changed).weights_help() is verdict


@pytest.fixture(scope="module")
def outcome():
    section = dataclasses.replace(
        trajectory_weighting.SECTION,
        run=lambda progress: trajectory_weighting.run(progress, n_seeds=1),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "N_TRANSITIONS", 6_000)
        patch.setattr(study, "N_EPISODES", 5)
        patch.setattr(study, "LIMIT", 120)
        return run_section(section, SilentProgress())


def test_the_section_runs_from_data_to_drawings(outcome):
    assert outcome.error == ""
    assert outcome.caught == ()
    assert len(outcome.drawings) == len(outcome.result.figures) == 2
    returns, lottery = outcome.result.tables
    assert [row[0] for row in returns.rows] == list(study.SETTINGS)
    assert [row[0] for row in lottery.rows] == list(study.METHODS)


def test_one_expert_episode_is_enough_with_weights(outcome):
    rows = {row[0]: row for row in outcome.result.tables[0].rows}
    plain, top, by_return, by_advantage = map(float, rows[study.ONE][2:])
    assert max(plain, top) < 70.0 < 110.0 < min(by_return, by_advantage)


def test_what_speaks_against_weights_is_told_beside_the_claim(outcome):
    for words in ("nobody to imitate", "grown to the end", "lottery"):
        assert words in outcome.result.measured
    notes = " ".join(outcome.result.notes)
    for words in ("constraint", "never estimate values", "asked for"):
        assert words in notes
