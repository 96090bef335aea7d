"""What the adaptors ask of d3rlpy and Stable-Baselines3, without these packages.

Names and fields are theirs; tests/rl compares them with the packages themselves.
"""

from __future__ import annotations

import math
from abc import ABC, ABCMeta, abstractmethod
from dataclasses import make_dataclass
from enum import Enum
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

ABSTRACT = (
    *("append", "append_episode", "clip_episode", "sample_transition"),
    *("sample_transition_batch", "sample_trajectory", "sample_trajectory_batch"),
    *("dump", "from_episode_generator", "load", "episodes", "size", "buffer"),
    *("transition_count", "transition_picker", "trajectory_slicer", "dataset_info"),
)
_OF_BATCH = "observations actions rewards"
_OF_PIECE = f"{_OF_BATCH} returns_to_go terminals timesteps masks length"
FIELDS = {
    "TransitionMiniBatch": f"{_OF_BATCH} next_observations next_actions terminals "
    "intervals transitions",
    "Transition": "observation action reward next_observation next_action terminal "
    "interval rewards_to_go",
    "TrajectoryMiniBatch": _OF_PIECE,
    "PartialTrajectory": _OF_PIECE,
    "DatasetInfo": "observation_signature action_signature reward_signature "
    "action_space action_size",
    "BasicTransitionPicker": "",
    "BasicTrajectorySlicer": "",
}


class Episode(make_dataclass("Fields", f"{_OF_BATCH} terminated".split())):
    """An episode whose signatures are the type and shape of a row."""

    def _signature(name):
        def of(self):
            values = getattr(self, name)
            return values.dtype, values.shape[1:]

        return property(of)

    observation_signature = _signature("observations")
    action_signature = _signature("actions")
    reward_signature = _signature("rewards")


class ActionSpace(Enum):
    CONTINUOUS = 1
    DISCRETE = 2


class ReplayBufferSamples(NamedTuple):
    observations: Any
    actions: Any
    next_observations: Any
    dones: Any
    rewards: Any
    discounts: Any = None


class BaseBuffer:
    """The shapes that a buffer keeps of its spaces, and what normalizes a batch."""

    def __init__(self, buffer_size, observation_space, action_space, device="auto"):
        self.buffer_size, self.full, self.device = buffer_size, False, device
        self.observation_space, self.action_space = observation_space, action_space
        self.obs_shape = observation_space.shape
        self.action_dim = math.prod(action_space.shape)  # 1 for a discrete one

    def size(self):
        return self.buffer_size if self.full else 0

    @staticmethod
    def _normalize_obs(values, env=None):
        return values if env is None else env.normalize_obs(values)

    @staticmethod
    def _normalize_reward(values, env=None):
        if env is None:
            return values
        return env.normalize_reward(values).astype(np.float32)


class ReplayBuffer(BaseBuffer):
    """Memory for transitions, which the adaptor has to leave out."""

    def __init__(self, *args):
        raise AssertionError("memory is set aside")


def d3rlpy_modules(dumped):
    """Modules by name; what is dumped is appended to a list."""
    members = {name: abstractmethod(lambda self: None) for name in ABSTRACT}
    dataset = {
        name: make_dataclass(name, text.split()) for name, text in FIELDS.items()
    }
    dataset |= {
        "ReplayBufferBase": ABCMeta("ReplayBufferBase", (ABC,), members),
        "Episode": Episode,
    }
    return {
        "d3rlpy": _module("d3rlpy", ActionSpace=ActionSpace),
        "d3rlpy.dataset": _module("d3rlpy.dataset", **dataset),
        "d3rlpy.dataset.io": _module(
            "d3rlpy.dataset.io",
            dump=lambda episodes, file: dumped.append((episodes, file)),
        ),
    }


def sb3_modules():
    """Modules by name."""
    name = "stable_baselines3"
    return {
        name: _module(name),
        f"{name}.common": _module(f"{name}.common"),
        f"{name}.common.buffers": _module(
            f"{name}.common.buffers", BaseBuffer=BaseBuffer, ReplayBuffer=ReplayBuffer
        ),
        f"{name}.common.type_aliases": _module(
            f"{name}.common.type_aliases", ReplayBufferSamples=ReplayBufferSamples
        ),
    }


def _module(name, **members):
    module = ModuleType(name)
    vars(module).update(members)
    return module
