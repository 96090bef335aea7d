"""Names of the toy environments in gymnasium."""

from __future__ import annotations

from typing import Any

from statlearn.utils._optional import require

_MODULE = "statlearn.offline_rl.toy_environments"
_ENVIRONMENTS: dict[str, dict[str, Any]] = {
    "statlearn/Corridor-v0": {
        "entry_point": f"{_MODULE}:Corridor",
        "max_episode_steps": 100,
    },
    "statlearn/Lottery-v0": {"entry_point": f"{_MODULE}:Lottery"},
}


def register_environments() -> None:
    """Tell gymnasium the names of the toy environments.

    Afterwards ``gymnasium.make`` knows "statlearn/Corridor-v0" and
    "statlearn/Lottery-v0". Where gymnasium is loaded before this package, or one of the
    two classes is imported, that has been done.

    Raises
    ------
    ImportError
        If gymnasium cannot be imported.

    See Also
    --------
    TrajectoryDataset.rollout : Runs an environment.

    Examples
    --------
    >>> import gymnasium
    >>> from statlearn.offline_rl import register_environments
    >>> register_environments()
    >>> gymnasium.make("statlearn/Corridor-v0").observation_space
    Discrete(40)
    """
    gymnasium = require("gymnasium", None, "register_environments")
    for name, options in _ENVIRONMENTS.items():
        if name not in gymnasium.registry:
            gymnasium.register(name, **options)
