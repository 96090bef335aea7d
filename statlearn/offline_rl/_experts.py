"""Policies written by hand that solve the small tasks of gymnasium."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Policy = Callable[[Any], Any]


def scripted_expert(name: str) -> Policy:
    """Return a policy, written by hand, that does a classic task well.

    Good trajectories at no cost, to hide among bad ones.

    Parameters
    ----------
    name : str
        "Acrobot", "CartPole", "Corridor", "MountainCar", "MountainCarContinuous" or
        "Pendulum", with or without a version and the name of the package.

    Returns
    -------
    policy : callable
        From an observation to an action, deterministic.

    Raises
    ------
    ValueError
        For another task.

    See Also
    --------
    TrajectoryDataset.rollout : Runs a policy.
    gymnasium.make : Makes the environment.

    Notes
    -----
    Mean returns are about -88 (Acrobot), 500 (CartPole), -120 (MountainCar), 89
    (MountainCarContinuous) and -140 (Pendulum); in the corridor they are the largest
    possible.

    Examples
    --------
    >>> from statlearn.offline_rl import scripted_expert
    >>> expert = scripted_expert("CartPole-v1")
    >>> expert([0.0, 0.0, 0.1, 0.0]), expert([0.0, 0.0, -0.1, 0.0])
    (1, 0)
    """
    task = str(name).rpartition("/")[2].partition("-v")[0]
    if task not in _EXPERTS:
        raise ValueError(
            f"The 'name' of scripted_expert must be one of {sorted(_EXPERTS)}. Got "
            f"{name!r}; write a function from an observation to an action."
        )
    return _EXPERTS[task]


def _cart_pole(observation: Any) -> int:
    position, speed, angle, spin = observation
    # Lean against the fall, and a little towards the middle.
    return int(3.0 * angle + spin + 0.1 * speed + 0.05 * position > 0.0)


def _acrobot(observation: Any) -> int:
    # Push the first joint on in its swing.
    return 2 if observation[4] < 0.0 else 0


def _mountain_car(observation: Any) -> int:
    return 2 if observation[1] >= 0.0 else 0


def _mountain_car_continuous(observation: Any) -> Any:
    return np.array([1.0 if observation[1] >= 0.0 else -1.0], dtype=np.float32)


def _pendulum(observation: Any) -> Any:
    cosine, sine, spin = (float(value) for value in observation)
    if cosine > 0.8:
        torque = -(10.0 * np.arctan2(sine, cosine) + 2.0 * spin)
    else:
        # Above or below the energy of standing upright.
        energy = spin**2 / 6.0 + 5.0 * cosine - 5.0
        torque = -2.0 * np.sign(energy * spin)
    return np.array([np.clip(torque, -2.0, 2.0)], dtype=np.float32)


def _corridor(observation: Any) -> int:
    return 0


_EXPERTS: dict[str, Policy] = {
    "Acrobot": _acrobot,
    "CartPole": _cart_pole,
    "Corridor": _corridor,
    "MountainCar": _mountain_car,
    "MountainCarContinuous": _mountain_car_continuous,
    "Pendulum": _pendulum,
}
