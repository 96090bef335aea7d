"""Trajectories in a deterministic decision process, and its exact solution."""

from __future__ import annotations

import numpy as np

from statlearn.offline_rl import TrajectoryDataset


class Graph:
    """States 0 to n_states - 1, deterministic moves, and an end that is reached."""

    def __init__(self, n_states, n_actions, seed):
        self.rng = np.random.default_rng(seed)
        shape = (n_states, n_actions)
        self.target = self.rng.integers(n_states, size=shape)
        self.target[self.rng.random(shape) < 0.3] = -1  # the end
        self.target[:, 0] = -1
        self.reward = self.rng.normal(size=shape)

    def walks(self, n):
        """Return n trajectories, each of a random policy of its own."""
        return TrajectoryDataset.from_episodes(self._walk() for _ in range(n))

    def _walk(self):
        n_states, n_actions = self.target.shape
        policy = self.rng.dirichlet(np.ones(n_actions), size=n_states)
        state, seen, done, gained = int(self.rng.integers(n_states)), [], [], []
        while state >= 0:
            action = int(self.rng.choice(n_actions, p=policy[state]))
            seen.append(state)
            done.append(action)
            gained.append(self.reward[state, action])
            state = self.target[state, action]
        return {
            "observations": np.array([*seen, 0]),
            "actions": np.array(done),
            "rewards": np.array(gained),
            "terminated": True,
        }

    def value_of_implied_policy(self, dataset, row_weight):
        """Solve for the return of the policy of weighted rows, from weighted starts."""
        count = np.zeros(self.target.shape)
        np.add.at(count, (dataset.observations, dataset.actions), row_weight)
        visited = np.maximum(count.sum(axis=1, keepdims=True), 1e-300)
        policy = count / visited
        move = np.zeros((len(count), len(count)))
        for action in range(count.shape[1]):
            going = np.flatnonzero(self.target[:, action] >= 0)
            move[going, self.target[going, action]] += policy[going, action]
        value = np.linalg.solve(
            np.eye(len(count)) - move, (policy * self.reward).sum(axis=1)
        )
        first = row_weight[dataset.offsets[:-1]]
        return first @ value[dataset.initial_observations] / first.sum()
