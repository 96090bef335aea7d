"""Trajectories collected from an environment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any

import numpy as np

from statlearn.offline_rl._registration import register_environments
from statlearn.offline_rl._spaces import is_composite
from statlearn.utils._numbers import positive_integer
from statlearn.utils._optional import require
from statlearn.utils._rng import as_generator

_CALLER = "TrajectoryDataset.rollout"


def episodes(
    env: Any,
    policy: Any,
    *,
    n_episodes: int | None,
    n_steps: int | None,
    max_episode_steps: int | None,
    n_envs: int,
    seed: Any,
) -> Iterator[dict[str, Any]]:
    """Yield episodes until there are enough of them, or enough steps.

    The parameters are those of :meth:`TrajectoryDataset.rollout`.
    """
    _check_counts(n_episodes, n_steps, max_episode_steps, n_envs)
    generator = as_generator(seed)
    env = _prepared(env)
    act = _as_actions(policy, env, generator)
    envs = [env, *_copies(env, min(n_envs, n_episodes or n_envs) - 1)]
    seeds: list[int | None] = [int(generator.integers(2**31)) for _ in envs]
    made, steps = 0, 0
    while made < (n_episodes or np.inf) and steps < (n_steps or np.inf):
        wanted = len(envs) if n_episodes is None else n_episodes - made
        runs = [_Run(*each) for each in zip(envs[:wanted], seeds, strict=False)]
        going = runs
        while going:
            actions = act([run.observation for run in going])
            for run, action in zip(going, actions, strict=True):
                run.step(action, max_episode_steps)
            going = [run for run in going if not run.ended]
        for run in runs:
            if steps < (n_steps or np.inf):
                yield run.episode()
            made, steps = made + 1, steps + len(run.rewards)
        seeds = [None] * len(envs)  # later resets go on with the streams of the first


class _Run:
    """One episode, from the reset of its environment."""

    def __init__(self, env: Any, seed: int | None) -> None:
        self.env = env
        self.observation, _ = env.reset(seed=seed)
        # Copies, since an environment may write into the array that it has returned.
        self.seen = [np.array(self.observation)]
        self.actions: list[Any] = []
        self.rewards: list[float] = []
        self.terminated = self.truncated = False

    @property
    def ended(self) -> bool:
        return self.terminated or self.truncated

    def step(self, action: Any, limit: int | None) -> None:
        """Take an action."""
        action = _of_shape(action, self.env.action_space.shape)
        found = self.env.step(action)
        self.observation, reward, self.terminated, self.truncated, _ = found
        self.seen.append(np.array(self.observation))
        self.actions.append(np.array(action))
        self.rewards.append(float(reward))
        self.truncated = self.truncated or len(self.rewards) == limit

    def episode(self) -> dict[str, Any]:
        """Return the arrays; there is one observation more than actions."""
        dtype = self.env.action_space.dtype
        return {
            "observations": np.stack(self.seen),
            "actions": np.stack(self.actions).astype(dtype, copy=False),
            "rewards": np.array(self.rewards),
            "terminated": self.terminated,
            "truncated": self.truncated,
        }


def _of_shape(action: Any, shape: tuple[int, ...]) -> Any:
    """Return an action as an environment takes it, also if it comes in a column."""
    values = np.asarray(action)
    if values.size != np.prod(shape, dtype=int):
        raise ValueError(
            f"The 'policy' of {_CALLER} must return actions of shape {shape}. Got "
            f"shape {values.shape}; return what env.step takes."
        )
    return values.reshape(shape)[()]


def _prepared(env: Any) -> Any:
    """Return an environment whose observations are arrays or numbers."""
    gymnasium = require("gymnasium", None, _CALLER)
    if isinstance(env, str):
        register_environments()
        env = gymnasium.make(env)
    if not isinstance(env, gymnasium.Env):
        raise TypeError(
            f"The 'env' of {_CALLER} must be an environment of gymnasium or the name "
            f"of one, not a vector of environments. Got {type(env).__name__}; pass "
            f"gymnasium.make(name)."
        )
    if is_composite(env.observation_space):
        env = gymnasium.wrappers.FlattenObservation(env)
    if is_composite(env.action_space):
        raise ValueError(
            f"The 'env' of {_CALLER} must have actions that are arrays or numbers. "
            f"Got {env.action_space}; wrap it so that it takes flat actions."
        )
    return env


def _copies(env: Any, n: int) -> list[Any]:
    """Return copies of an environment."""
    try:
        return [deepcopy(env) for _ in range(n)]
    except Exception as error:
        raise TypeError(
            f"The 'env' of {_CALLER} must be one that can be copied where n_envs > 1. "
            f"Got {type(env.unwrapped).__name__}, which gave {error!r}; pass n_envs=1."
        ) from error


def _as_actions(
    policy: Any, env: Any, generator: np.random.Generator
) -> Callable[[list[Any]], Sequence[Any]]:
    """Return a function from observations to as many actions."""
    if policy is None:
        space = deepcopy(env.action_space)
        space.seed(int(generator.integers(2**31)))
        return lambda seen: [space.sample() for _ in seen]
    if hasattr(policy, "act_batch"):
        return lambda seen: policy.act_batch(np.stack(seen), generator)
    if hasattr(policy, "act"):
        return lambda seen: [policy.act(each, generator) for each in seen]
    if callable(policy):
        return lambda seen: [policy(each) for each in seen]
    raise TypeError(
        f"The 'policy' of {_CALLER} must be a function of an observation, an object "
        f"with act(observation, rng), or None for random actions. Got "
        f"{type(policy).__name__}; pass for example lambda observation: 0."
    )


def _check_counts(
    n_episodes: Any, n_steps: Any, max_episode_steps: Any, n_envs: Any
) -> None:
    if (n_episodes is None) == (n_steps is None):
        raise ValueError(
            f"{_CALLER} expected n_episodes or n_steps. Got "
            f"{'neither' if n_steps is None else 'both'}; pass one of them."
        )
    counts = {
        "n_episodes": n_episodes,
        "n_steps": n_steps,
        "max_episode_steps": max_episode_steps,
    }
    positive_integer(n_envs, "n_envs", _CALLER, "pass 1 for one after the other")
    for name, value in counts.items():
        if value is not None:
            positive_integer(value, name, _CALLER, "pass a positive number")
