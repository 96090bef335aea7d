"""What is claimed of weights on trajectories, and where they mislead.

After Hong and others, "Harnessing Mixed Offline Reinforcement Learning Datasets via
Trajectory Weighting", ICLR 2023, on small tasks with policies written by hand as
experts. Weights belong with a learner that stays close to the data, and dynamics that
are estimated from outcome-weighted data are optimistic. Seeds are fixed and not
searched for; run with ``-s`` to see the figures.
"""

from __future__ import annotations

from functools import cache

import gymnasium
import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from statlearn.offline_rl import (
    AdvantageWeighting,
    BehaviorCloning,
    Corridor,
    FittedQIteration,
    ReturnWeighting,
    TabularMDP,
    TabularPolicy,
    TopFraction,
    TrajectoryDataset,
    UniformWeighting,
    scripted_expert,
)

pytestmark = pytest.mark.slow

# Little penalty: a policy is to be as sure of itself as the expert whom it copies.
LINEAR = make_pipeline(StandardScaler(), LogisticRegression(C=100.0))


def report(text):
    """Show a figure of a test that passes too, under ``pytest -s``."""
    print(text)  # noqa: T201


@cache
def mixed(name, n, share, seed):
    """About n transitions, a share of them by an expert and the rest at random."""
    good = TrajectoryDataset.rollout(
        name, scripted_expert(name), n_steps=int(n * share) + 1, seed=seed
    )
    bad = TrajectoryDataset.rollout(name, None, n_steps=n, seed=1000 + seed)
    return TrajectoryDataset.mix(good, bad, share, n, random_state=seed)


def mean_return(name, policy, seed, n_episodes=10):
    """Run episodes side by side, so that the policy predicts many rows at once."""
    rng = np.random.default_rng(seed)
    envs = [gymnasium.make(name) for _ in range(n_episodes)]
    seen = [env.reset(seed=100 * seed + k)[0] for k, env in enumerate(envs)]
    running, total = list(range(n_episodes)), 0.0
    while running:
        share = np.cumsum(policy.predict_proba(np.array([seen[k] for k in running])), 1)
        drawn = np.sum(share[:, :-1] <= rng.random((len(running), 1)), axis=1)
        still = []
        for k, action in zip(running, policy.classes_[drawn], strict=True):
            seen[k], reward, ended, cut, _ = envs[k].step(action)
            total += reward
            if not (ended or cut):
                still.append(k)
        running = still
    return total / n_episodes


def cloned_returns(name, policy, n, weighting, seeds, n_episodes=10):
    """Mean return of a clone of each seed's data with 1 % by the expert."""
    found = []
    for seed in seeds:
        model = BehaviorCloning(policy, weighting=weighting)
        model.fit(mixed(name, n, 0.01, seed))
        found.append(mean_return(name, model, seed, n_episodes))
    report(f"{name} {weighting}: median {np.median(found):.0f}, {np.round(found)}")
    return found


# -------------------------------------------------------------------------- imitation
def test_one_expert_episode_among_a_thousand_balances_the_pole():
    name, seeds = "CartPole-v1", range(10)
    uniform = cloned_returns(name, LINEAR, 20_000, None, seeds)
    top = cloned_returns(name, LINEAR, 20_000, TopFraction(), seeds)
    assert np.median(uniform) <= 40.0
    assert np.median(top) <= 100.0
    for weighting in (ReturnWeighting(), AdvantageWeighting()):
        weighted = cloned_returns(name, LINEAR, 20_000, weighting, seeds)
        assert np.median(weighted) >= 400.0


def test_weights_of_whole_trajectories_undo_the_gain_where_good_ones_are_long():
    whole = ReturnWeighting(level="trajectory")
    found = cloned_returns("CartPole-v1", LINEAR, 20_000, whole, range(3))
    assert np.median(found) <= 150.0


@pytest.mark.parametrize(
    ("name", "n", "bad", "good"),
    [
        ("Acrobot-v1", 50_000, -400.0, -120.0),
        ("MountainCar-v0", 30_000, -190.0, -135.0),
    ],
)
def test_weighted_clone_reaches_the_goal(name, n, bad, good):
    # Leaves of some weight: random actions get none between those of the expert.
    tree = DecisionTreeClassifier(
        max_depth=8, min_weight_fraction_leaf=0.01, random_state=0
    )
    assert np.median(cloned_returns(name, tree, n, None, range(3), 4)) <= bad
    weighted = cloned_returns(name, tree, n, ReturnWeighting(), range(3), 4)
    assert np.median(weighted) >= good


# --------------------------------------------------------------------- starts at random
def test_advantages_help_from_starts_that_promise_little():
    exact = TabularMDP.from_env(Corridor())
    rows = []
    weightings = (
        UniformWeighting(),
        TopFraction(),
        ReturnWeighting(),
        AdvantageWeighting(),
    )
    for seed in range(5):
        left = scripted_expert("Corridor")
        env = gymnasium.make("statlearn/Corridor-v0")
        data = TrajectoryDataset.concatenate(
            [
                TrajectoryDataset.rollout(env, left, n_episodes=100, seed=seed),
                TrajectoryDataset.rollout(env, None, n_episodes=900, seed=50 + seed),
            ]
        )
        for weighting in weightings:
            policy = TabularPolicy.from_dataset(
                data, weighting=weighting, n_states=40, n_actions=2
            )
            value = exact.state_values(policy, horizon=100)
            mass = weighting.fit(data).trajectory_probability_[:100].sum()
            rows.append((exact.initial @ value, value[30:].mean(), mass))
    table = np.reshape(rows, (5, len(weightings), 3)).mean(axis=0)
    report(f"corridor, return / far starts / expert mass:\n{table.round(2)}")
    uniform, top, returns, advantages = table
    assert uniform[0] < -75.0
    assert uniform[1] < -99.0
    assert -65.0 < top[0] < -45.0
    assert top[1] < -95.0
    assert returns[0] > -27.0
    assert advantages[0] > returns[0] + 1.0
    assert advantages[1] > returns[1] + 0.5
    assert advantages[2] > 0.75 > 0.6 > returns[2]


# ------------------------------------------------------------------------- constraints
def fitted_q(weighting, constraint):
    """Return of fitted-Q iteration on data with 5 % by the expert, of one seed."""
    model = FittedQIteration(
        ExtraTreesRegressor(25, min_samples_leaf=5, random_state=0),
        policy_constraint=constraint,
        n_iter=20,
        weighting=weighting,
        n_samples=4_000,
        random_state=0,
    )
    model.fit(mixed("CartPole-v1", 20_000, 0.05, 0))
    found = mean_return("CartPole-v1", model, 0)
    report(f"fitted Q, constraint {constraint}, {weighting}: {found:.0f}")
    return found


def test_weights_help_a_learner_that_stays_close_to_the_data():
    assert fitted_q(ReturnWeighting(), 0.5) > 450.0 > fitted_q(None, 0.5)


def test_weights_ruin_a_learner_without_a_constraint():
    assert fitted_q(ReturnWeighting(), 0.0) < 50.0
    assert fitted_q(None, 0.0) > 150.0


# ------------------------------------------------------------------ stochastic outcomes
@cache
def lake(slippery):
    """Exact process, and data of 1000 episodes of which 5 % are by a noisy expert."""
    env = gymnasium.make("FrozenLake-v1", map_name="8x8", is_slippery=slippery)
    exact = TabularMDP.from_env(env)
    best = exact.optimal_policy(gamma=0.99)
    noisy = TabularPolicy(0.9 * best.probability + 0.025)
    data = [
        TrajectoryDataset.concatenate(
            [
                TrajectoryDataset.rollout(env, noisy, n_episodes=50, seed=seed),
                TrajectoryDataset.rollout(env, None, n_episodes=950, seed=50 + seed),
            ]
        )
        for seed in range(4)
    ]
    return exact, best, data


def cloned_on_ice(slippery, weighting):
    exact, _, data = lake(slippery)
    size = {"n_states": 64, "n_actions": 4}
    policies = [
        TabularPolicy.from_dataset(part, weighting=weighting, **size) for part in data
    ]
    found = np.mean([exact.value(policy, horizon=200) for policy in policies])
    report(f"lake, slippery {slippery}, cloned {weighting}: {found:.3f}")
    return found


def planned_on_ice(weighting, constraint=0.0):
    """Value of plans made in the estimated process: true, and what it predicts."""
    exact, _, data = lake(True)
    found = []
    for part in data:
        process = TabularMDP.from_dataset(
            part,
            weighting=weighting,
            policy_constraint=constraint,
            n_states=64,
            n_actions=4,
        )
        plan = process.optimal_policy(gamma=0.99)
        predicted = process.value(plan, gamma=0.99)
        found.append((exact.value(plan, horizon=200), predicted))
    true, predicted = np.mean(found, axis=0)
    report(f"lake, plan {weighting}, {constraint}: {true:.3f} predicts {predicted:.3f}")
    return true, predicted


def test_optimum_of_the_slippery_lake():
    exact, best, _ = lake(True)
    assert exact.value(best, horizon=200) == pytest.approx(0.863, abs=5e-4)
    assert exact.value(best, gamma=0.99) == pytest.approx(0.4146, abs=5e-5)


def test_weighted_clone_crosses_the_lake_and_gains_on_ice_too():
    assert cloned_on_ice(False, None) < 0.1
    assert cloned_on_ice(False, ReturnWeighting()) > 0.98
    assert cloned_on_ice(True, None) < 0.1
    assert cloned_on_ice(True, ReturnWeighting()) > 0.3


def test_plans_in_weighted_dynamics_promise_much_and_give_nothing():
    true, predicted = planned_on_ice(None)
    assert true > 0.35
    assert predicted < 0.6
    true, predicted = planned_on_ice(ReturnWeighting())
    assert true < 0.2
    assert predicted > 0.7


def test_constraint_saves_plans_in_weighted_dynamics():
    assert planned_on_ice(ReturnWeighting(), 0.5)[0] > 0.6
    assert planned_on_ice(None, 0.5)[0] > 0.6
