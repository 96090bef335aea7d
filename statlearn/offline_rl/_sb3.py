"""A sampler as a replay buffer of Stable-Baselines3."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from statlearn.offline_rl._d3rlpy import refuse_sequences
from statlearn.utils._optional import require

_CALLER = "TrajectorySampler.to_sb3"


def replay_buffer(
    sampler: Any, observation_space: Any, action_space: Any, device: Any
) -> Any:
    """Return a buffer; the parameters are those of the method."""
    buffers = require("stable_baselines3.common.buffers", None, _CALLER)
    refuse_sequences(sampler, _CALLER)
    members = {"__module__": __name__, "__doc__": _Buffer.__doc__}
    bases = (_Buffer, buffers.ReplayBuffer)
    made: Any = type("TrajectoryReplayBuffer", bases, members)
    return made(sampler, observation_space, action_space, device)


class _Buffer:
    """Transitions drawn by a sampler as tensors; nothing can be added.

    Stands before a class of Stable-Baselines3, whose memory for transitions is left
    out.
    """

    n_envs = 1
    handle_timeout_termination = True
    optimize_memory_usage = False
    observation_space: Any
    action_space: Any
    obs_shape: tuple[int, ...]
    action_dim: int
    device: Any
    _normalize_obs: Any
    _normalize_reward: Any

    def __init__(
        self, sampler: Any, observation_space: Any, action_space: Any, device: Any
    ) -> None:
        base = require("stable_baselines3.common.buffers", None, _CALLER).BaseBuffer
        n = sampler.dataset.n_transitions
        base.__init__(self, n, observation_space, action_space, device)
        self.full = True
        self._sampler = sampler
        self._scale = _scale_of(action_space)

    def __reduce__(self) -> Any:
        spaces = (self.observation_space, self.action_space)
        return replay_buffer, (self._sampler, *spaces, str(self.device))

    def sample(self, batch_size: int, env: Any = None) -> Any:
        """Draw a batch of transitions.

        Parameters
        ----------
        batch_size : int
        env : VecNormalize, default=None
            By which observations and rewards are normalized.
        """
        torch = require("torch", "neural", _CALLER)
        kinds = require("stable_baselines3.common.type_aliases", None, _CALLER)
        batch = self._sampler.sample(batch_size)
        actions = batch["actions"].reshape(batch_size, self.action_dim)
        if self._scale is not None:
            low, factor = self._scale
            actions = (actions - low) * factor - np.float32(1.0)
        shape = (batch_size, *self.obs_shape)
        fields = {
            "observations": self._normalize_obs(
                batch["observations"].reshape(shape), env
            ),
            "actions": actions,
            "next_observations": self._normalize_obs(
                batch["next_observations"].reshape(shape), env
            ),
            "dones": _column(batch["terminations"]),
            "rewards": self._normalize_reward(_column(batch["rewards"]), env),
        }
        if "discounts" in batch:
            fields["discounts"] = _column(batch["discounts"])
        tensors = {
            name: torch.as_tensor(values, device=self.device)
            for name, values in fields.items()
        }
        return kinds.ReplayBufferSamples(**tensors)

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(
            "A buffer made by TrajectorySampler.to_sb3 expected only to be drawn from. "
            "Got a call that adds to it or clears it; call model.train(gradient_steps, "
            "batch_size) instead of model.learn."
        )

    add = extend = reset = _refuse


def _scale_of(space: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """Return lower bounds and the factor that scales actions to [-1, 1], (a,) each."""
    spaces = require("gymnasium.spaces", None, _CALLER)
    if not isinstance(space, spaces.Box):
        return None
    if not space.is_bounded():
        raise ValueError(
            f"The 'action_space' of {_CALLER} must have bounds, by which actions are "
            f"scaled to [-1, 1]. Got {space}; pass the action space of the model."
        )
    low, high = space.low.ravel(), space.high.ravel()
    return low.astype(np.float32), (2.0 / (high - low)).astype(np.float32)


def _column(values: NDArray[Any]) -> NDArray[np.float32]:
    return values.astype(np.float32, copy=False).reshape(-1, 1)
