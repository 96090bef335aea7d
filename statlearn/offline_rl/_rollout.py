"""Trajectories collected from an environment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import numpy as np

from statlearn.offline_rl._registration import register_environments
from statlearn.offline_rl._spaces import is_composite
from statlearn.utils._optional import require
from statlearn.utils._rng import as_generator
from statlearn.utils._validation import positive_integer

_CALLER = "TrajectoryDataset.rollout"


def episodes(
    env: Any,
    policy: Any,
    *,
    n_episodes: int | None,
    n_steps: int | None,
    max_episode_steps: int | None,
    seed: Any,
) -> Iterator[dict[str, Any]]:
    """Yield episodes until there are enough of them, or enough steps.

    The parameters are those of :meth:`TrajectoryDataset.rollout`.
    """
    _check_counts(n_episodes, n_steps, max_episode_steps)
    generator = as_generator(seed)
    env = _prepared(env)
    act = _as_action(policy, env, generator)
    first_seed: int | None = int(generator.integers(2**31))
    made, steps = 0, 0
    while made < (n_episodes or np.inf) and steps < (n_steps or np.inf):
        episode = _episode(env, act, first_seed, max_episode_steps)
        yield episode
        first_seed = None  # later resets go on with the stream of the first
        made, steps = made + 1, steps + len(episode["rewards"])


def _episode(
    env: Any, act: Callable[[Any], Any], seed: int | None, limit: int | None
) -> dict[str, Any]:
    """Run one episode; it has one observation more than actions."""
    observation, _ = env.reset(seed=seed)
    # Copies, since an environment may write into the array that it has returned.
    seen, actions, rewards = [np.array(observation)], [], []
    terminated = truncated = False
    while not (terminated or truncated):
        action = _of_shape(act(observation), env.action_space.shape)
        observation, reward, terminated, truncated, _ = env.step(action)
        seen.append(np.array(observation))
        actions.append(np.array(action))
        rewards.append(float(reward))
        truncated = truncated or len(rewards) == limit
    return {
        "observations": np.stack(seen),
        "actions": np.stack(actions).astype(env.action_space.dtype, copy=False),
        "rewards": np.array(rewards),
        "terminated": terminated,
        "truncated": truncated,
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


def _as_action(
    policy: Any, env: Any, generator: np.random.Generator
) -> Callable[[Any], Any]:
    """Return a function from an observation to an action."""
    if policy is None:
        space = deepcopy(env.action_space)
        space.seed(int(generator.integers(2**31)))
        return lambda observation: space.sample()
    if hasattr(policy, "act"):
        return lambda observation: policy.act(observation, generator)
    if callable(policy):
        found: Callable[[Any], Any] = policy
        return found
    raise TypeError(
        f"The 'policy' of {_CALLER} must be a function of an observation, an object "
        f"with act(observation, rng), or None for random actions. Got "
        f"{type(policy).__name__}; pass for example lambda observation: 0."
    )


def _check_counts(n_episodes: Any, n_steps: Any, max_episode_steps: Any) -> None:
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
    for name, value in counts.items():
        if value is not None:
            positive_integer(value, name, _CALLER, "pass a positive number")
