"""Numbers of the section on trajectories: clones of mixed data that balance a pole.

One expert, written by hand, is hidden among random actions. Four clones see the same
transitions with different weights, and are then run in the environment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from statlearn.offline_rl import (
    AdvantageWeighting,
    BehaviorCloning,
    ReturnWeighting,
    TabularMDP,
    TabularPolicy,
    TopFraction,
    TrajectoryDataset,
    TrajectoryWeighting,
    UniformWeighting,
    scripted_expert,
)
from statlearn.tour._section import Progress
from statlearn.utils._optional import require

FloatArray = NDArray[np.float64]

TASK = "CartPole-v1"
N_TRANSITIONS = 20_000
#: Episodes in which a clone is judged.
N_EPISODES = 20
#: Steps after which an episode is cut, the largest return.
LIMIT = 500
N_ROUNDS = 1_000
LOTTERY_SEED = 0

PLAIN, TOP = "no weights", "best tenth"
RETURN, ADVANTAGE = "return weights", "advantage weights"
WEIGHTINGS: dict[str, TrajectoryWeighting] = {
    TOP: TopFraction(0.1),
    RETURN: ReturnWeighting(),
    ADVANTAGE: AdvantageWeighting(),
}
PEERS, OURS = (PLAIN, TOP), (RETURN, ADVANTAGE)
METHODS = (*PEERS, *OURS)

# Little penalty: a clone is to be as sure of itself as the expert.
LINEAR = LogisticRegression(C=1000.0)
FULL = DecisionTreeClassifier(random_state=0)
# A share of the weight: leaves that hold weighty rows may be small, others may not.
BROAD = DecisionTreeClassifier(min_weight_fraction_leaf=0.02, random_state=0)

NONE, ONE, HALF = "none", "1 %", "50 %"
FULL_TREE = "1 %, tree grown to the end"
BROAD_TREE = "1 %, tree of broad leaves"
#: Share of transitions asked of the expert, and what the clones are made of.
SETTINGS: dict[str, tuple[float, Any]] = {
    NONE: (0.0, LINEAR),
    ONE: (0.01, LINEAR),
    HALF: (0.5, LINEAR),
    FULL_TREE: (0.01, FULL),
    BROAD_TREE: (0.01, BROAD),
}
#: Settings that the verdict is about.
MIXED = (ONE, HALF)


@dataclass(frozen=True, slots=True)
class Trial:
    """Four clones of one data set.

    Attributes
    ----------
    returns : ndarray of shape (4,)
        Mean return of each clone in the environment, by method.
    weightings : dict of str to TrajectoryWeighting
        Fitted to the data, by method.
    n_experts, n_trajectories, n_transitions : int
        Numbers of expert episodes, of all episodes and of their transitions.
    expert_share : float
        Share of the transitions that are the expert's.
    """

    returns: FloatArray
    weightings: dict[str, TrajectoryWeighting]
    n_experts: int
    n_trajectories: int
    n_transitions: int
    expert_share: float


@dataclass(frozen=True, slots=True)
class Luck:
    """What weights make of a lottery that is worth less than the safe choice.

    Attributes
    ----------
    taken : float
        How often the clone takes the lottery.
    value : float
        What the clone is worth.
    promised : float
        What the lottery is worth by the weighted data.
    planned : float
        What the plan is worth that is best by the weighted data.
    """

    taken: float
    value: float
    promised: float
    planned: float


@dataclass(frozen=True, slots=True)
class Study:
    """Trials of every setting, and the lottery.

    Attributes
    ----------
    trials : dict of str to tuple of Trial
        One for each seed, by setting.
    luck : dict of str to Luck
        By method.
    """

    trials: dict[str, tuple[Trial, ...]]
    luck: dict[str, Luck]

    def returns(self, setting: str, method: str) -> FloatArray:
        """Mean return of the clone of each seed (n_seeds,)."""
        place = METHODS.index(method)
        return np.array([trial.returns[place] for trial in self.trials[setting]])

    def mean(self, setting: str, method: str) -> float:
        """Mean of the seeds."""
        return float(self.returns(setting, method).mean())

    def weights_help(self) -> bool:
        """Whether weights beat both peers, for every share of the expert."""
        return all(
            min(self.mean(setting, method) for method in OURS)
            > max(self.mean(setting, peer) for peer in PEERS)
            for setting in MIXED
        )


def learn(progress: Progress, n_seeds: int) -> Study:
    """Mix data, clone and judge them, once for each seed."""
    trials: dict[str, list[Trial]] = {setting: [] for setting in SETTINGS}
    for seed in progress.track(range(n_seeds), "trajectory weighting: CartPole"):
        good = TrajectoryDataset.rollout(
            TASK, scripted_expert(TASK), n_episodes=10, seed=seed
        )
        bad = TrajectoryDataset.rollout(
            TASK, None, n_steps=N_TRANSITIONS, seed=1000 + seed
        )
        for setting, (share, policy) in SETTINGS.items():
            trials[setting].append(try_share(good, bad, share, policy, seed))
    return Study(
        {setting: tuple(found) for setting, found in trials.items()}, try_lottery()
    )


def try_share(
    good: TrajectoryDataset,
    bad: TrajectoryDataset,
    share: float,
    policy: Any,
    seed: int,
) -> Trial:
    """Clone data of which a share is good, in four ways, and run the clones."""
    data = TrajectoryDataset.mix(good, bad, share, N_TRANSITIONS, random_state=seed)
    clones = clones_of(data, policy)
    expert = data.returns() > bad.returns().max()
    return Trial(
        returns=np.array([mean_return(clones[method], seed) for method in METHODS]),
        weightings={
            PLAIN: UniformWeighting().fit(data),
            **{method: clones[method].weighting_ for method in WEIGHTINGS},
        },
        n_experts=int(expert.sum()),
        n_trajectories=data.n_trajectories,
        n_transitions=data.n_transitions,
        expert_share=float(data.lengths[expert].sum() / data.n_transitions),
    )


def clones_of(data: TrajectoryDataset, policy: Any) -> dict[str, Any]:
    """Return fitted policies by method; the first is scikit-learn's alone."""
    found = {PLAIN: clone(policy).fit(data.observations, data.actions)}
    for method, weighting in WEIGHTINGS.items():
        found[method] = BehaviorCloning(policy, weighting=weighting).fit(data)
    return found


def mean_return(policy: Any, seed: int) -> float:
    """Run episodes side by side until each has ended, with actions drawn at random."""
    gymnasium = require("gymnasium", None, "the tour")
    envs = gymnasium.make_vec(
        TASK,
        num_envs=N_EPISODES,
        vectorization_mode="vector_entry_point",
        max_episode_steps=LIMIT,
    )
    generator = np.random.default_rng(seed)
    seen, _ = envs.reset(seed=seed)
    going, total = np.ones(N_EPISODES, dtype=bool), np.zeros(N_EPISODES)
    while going.any():
        right = policy.predict_proba(seen)[:, 1]
        actions = (generator.random(N_EPISODES) < right).astype(np.int64)
        seen, reward, ended, cut, _ = envs.step(actions)
        # An ended episode starts again by itself, which does not count.
        total += going * reward
        going &= ~(ended | cut)
    envs.close()
    return float(total.mean())


def try_lottery() -> dict[str, Luck]:
    """Clone and plan from rounds of a lottery whose tickets were bought at random."""
    data = TrajectoryDataset.rollout(
        "statlearn/Lottery-v0", None, n_episodes=N_ROUNDS, seed=LOTTERY_SEED
    )
    from statlearn.offline_rl import Lottery  # loads gymnasium

    truth = TabularMDP.from_env(Lottery())
    size: dict[str, Any] = {"n_states": 1, "n_actions": 2}
    found = {}
    for method, weighting in ({PLAIN: None} | WEIGHTINGS).items():
        policy = TabularPolicy.from_dataset(data, weighting=weighting, **size)
        process = TabularMDP.from_dataset(data, weighting=weighting, **size)
        found[method] = Luck(
            taken=float(policy.probability[0, 1]),
            value=truth.value(policy),
            promised=float(process.reward[0, 1]),
            planned=truth.value(process.optimal_policy()),
        )
    return found
