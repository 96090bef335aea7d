"""Trajectories from arrays, files and other libraries, and back.

Every reader returns the arrays of a :class:`TrajectoryDataset` by their names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.offline_rl._segmentation import (
    Segments,
    offsets_of,
    rows_at,
    rows_of,
    segment,
    warn_of_short,
)
from statlearn.offline_rl._spaces import plain_rows
from statlearn.utils._arrays import to_labels
from statlearn.utils._numbers import positive_integer

Fields = dict[str, NDArray[Any]]

_COLUMNS = (
    "observations",
    "actions",
    "rewards",
    "next_observations",
    "terminations",
    "truncations",
)


# -- one long record ------------------------------------------------------------


def from_arrays(
    observations: Any,
    actions: Any,
    rewards: Any,
    terminals: Any,
    timeouts: Any,
    next_observations: Any,
    *,
    max_episode_steps: int | None,
    on_incomplete: str,
    autoreset_rows: bool,
    caller: str,
) -> Fields:
    """Cut a record of n rows into trajectories; arrays are views where they can be.

    The parameters are those of :meth:`TrajectoryDataset.from_arrays`.
    """
    _check_options(max_episode_steps, on_incomplete, autoreset_rows, caller)
    record = {
        "observations": as_array(observations, "observations", caller),
        "actions": as_array(actions, "actions", caller),
        "rewards": column(rewards, "rewards", caller),
        "terminals": flags(terminals, "terminals", caller),
    }
    if timeouts is not None:
        record["timeouts"] = flags(timeouts, "timeouts", caller)
    if next_observations is not None:
        record["next_observations"] = as_array(
            next_observations, "next_observations", caller
        )
    if check_rows(record, caller) == 0:
        raise ValueError(
            f"{caller} expected at least one row. Got none; check that the source is "
            f"not empty."
        )
    found = segment(
        record["rewards"],
        record["terminals"],
        record.get("timeouts"),
        has_next=next_observations is not None,
        max_episode_steps=max_episode_steps,
        keep_incomplete=on_incomplete == "keep",
        autoreset_rows=autoreset_rows,
        caller=caller,
    )
    return _cut(record, found)


def _cut(record: Fields, found: Segments) -> Fields:
    """Return the fields of the trajectories found in a record of n rows."""
    rows, offsets = rows_of(found.starts, found.lengths), offsets_of(found.lengths)
    last = offsets[1:] - 1
    fields = {
        name: rows_at(record[name], rows)
        for name in ("observations", "actions", "rewards")
    }
    if "next_observations" in record:
        fields["next_observations"] = rows_at(record["next_observations"], rows)
    else:
        fields["next_observations"] = _shifted(
            record["observations"], rows, last[found.without_next]
        )
    fields["terminations"] = rows_at(record["terminals"], rows)
    if "timeouts" in record:
        truncations = rows_at(record["timeouts"], rows)
    else:
        truncations = np.zeros(offsets[-1], bool)
    if not truncations[last[found.cut]].all():
        truncations = truncations.copy()
        truncations[last[found.cut]] = True
    return fields | {
        "truncations": truncations,
        "offsets": offsets,
        "tail_rewards": found.tail_rewards,
    }


def from_d4rl(
    data: Any, *, max_episode_steps: int | None, on_incomplete: str, caller: str
) -> Fields:
    """Read the fields of a mapping or an open HDF5 file in the layout of D4RL."""
    names = ("observations", "actions", "rewards", "terminals")
    try:
        present = set(data.keys())
    except AttributeError:
        raise TypeError(
            f"The 'data' of {caller} must be a dict of arrays or an open HDF5 file. "
            f"Got {type(data).__name__}; pass for example h5py.File(path)."
        ) from None
    missing = [name for name in names if name not in present]
    if missing:
        raise ValueError(
            f"The 'data' of {caller} must hold {', '.join(names)}. Got no "
            f"{', '.join(missing)} among {sorted(present)}; rename the arrays, or use "
            f"from_arrays."
        )
    optional = ("timeouts", "next_observations")
    return from_arrays(
        *(data[name] for name in names),
        *(data[name] if name in present else None for name in optional),
        max_episode_steps=max_episode_steps,
        on_incomplete=on_incomplete,
        autoreset_rows=False,
        caller=caller,
    )


def _shifted(
    observations: NDArray[Any], rows: slice | NDArray[np.int64], unseen: NDArray[Any]
) -> NDArray[Any]:
    """Return the observations that follow rows, their own where none was recorded.

    Parameters
    ----------
    observations : (n, ...) array
    rows : slice or (m,) integers
    unseen : integers
        Positions among the rows whose next observation is not recorded.
    """
    if isinstance(rows, slice) and len(unseen) == 0:
        return observations[rows.start + 1 : rows.stop + 1]
    if isinstance(rows, slice):
        rows = np.arange(rows.start, rows.stop)
    following = rows + 1
    following[unseen] -= 1
    return rows_at(observations, following)


def _check_options(
    max_episode_steps: Any, on_incomplete: Any, autoreset_rows: Any, caller: str
) -> None:
    if on_incomplete not in ("drop", "keep"):
        raise ValueError(
            f"The 'on_incomplete' of {caller} must be 'drop' or 'keep'. Got "
            f"{on_incomplete!r}; pass one of them."
        )
    if max_episode_steps is None:
        return
    hint = "pass the time limit of the environment"
    positive_integer(max_episode_steps, "max_episode_steps", caller, hint)
    if autoreset_rows:
        raise ValueError(
            f"{caller} expected timeouts to say which rows are resets. Got "
            f"max_episode_steps={max_episode_steps} with autoreset_rows=True; pass "
            f"the recorded truncations as timeouts."
        )


# -- a list of episodes -----------------------------------------------------------


def from_episodes(episodes: Iterable[Any], caller: str) -> Fields:
    """Join episodes, each a mapping or an object with attributes."""
    if isinstance(episodes, (str, Mapping)) or not isinstance(episodes, Iterable):
        raise TypeError(
            f"{caller} expected a list of episodes. Got {type(episodes).__name__}; "
            f"pass [episode] for a single one."
        )
    read = [
        _read_episode(episode, number, caller)
        for number, episode in enumerate(episodes)
    ]
    if not read:
        raise ValueError(
            f"{caller} expected at least one episode. Got none; check that the source "
            f"is not empty."
        )
    parts = [part for part, _ in read if len(part["rewards"])]
    if len(parts) < len(read):
        warn_of_short(len(read) - len(parts), len(read), caller)
    lengths = np.array([len(part["rewards"]) for part in parts])
    fields = {name: join([part[name] for part in parts], name) for name in _COLUMNS}
    return fields | {
        "offsets": offsets_of(lengths),
        "tail_rewards": np.array([t for part, t in read if len(part["rewards"])]),
    }


def _read_episode(episode: Any, number: int, caller: str) -> tuple[Fields, float]:
    """Return the columns of an episode and the reward that has no transition."""
    where = f"episode {number} of {caller}"
    rewards = column(_part(episode, where, "rewards"), "rewards", where)
    T = stop = len(rewards)
    tail = float(_part(episode, where, "tail_reward", optional=True) or 0.0)
    observations, actions = (
        as_array(_part(episode, where, name), name, where)
        for name in ("observations", "actions")
    )
    following = _part(episode, where, "next_observations", optional=True)
    terminations = _ending(episode, where, T, "terminations", "terminated", False)
    truncations = _ending(episode, where, T, "truncations", "truncated", True)
    if following is not None:
        following = as_array(following, "next_observations", where)
    elif observations.shape[:1] == (T + 1,):
        observations, following = observations[:-1], observations[1:]
    else:
        check_rows({"observations": observations, "rewards": rewards}, where)
        following = np.concatenate((observations[1:], observations[-1:]))
        if T and not terminations[-1]:  # nothing tells where the last row led to
            _check_tail(tail, where)
            stop, tail = T - 1, float(rewards[-1])
    found = (observations, actions, rewards, following, terminations, truncations)
    record = dict(zip(_COLUMNS, found, strict=True))
    check_rows(record, where)
    if 0 < stop < T:
        record["truncations"] = truncations.copy()
        record["truncations"][stop - 1] = True
    return {name: values[:stop] for name, values in record.items()}, tail


def _check_tail(tail: float, where: str) -> None:
    """Refuse a second reward without a transition, which has no place."""
    if tail != 0.0:
        raise ValueError(
            f"Expected a final observation together with 'tail_reward' in {where}. Got "
            f"{tail} without it, after a last step that is no transition itself; pass "
            f"observations of T + 1 rows, or next_observations."
        )


def _part(episode: Any, where: str, name: str, optional: bool = False) -> Any:
    if isinstance(episode, Mapping):
        value = episode.get(name)
    else:
        value = getattr(episode, name, None)
    if value is None and not optional:
        raise ValueError(
            f"Expected '{name}' in {where}. Got {type(episode).__name__} without it; "
            f"pass dicts or objects with observations, actions, rewards, terminations "
            f"and truncations."
        )
    return value


def _ending(
    episode: Any, where: str, T: int, name: str, scalar: str, optional: bool
) -> NDArray[np.bool_]:
    """Return flags (T,), given for each row or for the last one."""
    key, value = name, _part(episode, where, name, optional=True)
    if value is None:
        key, value = scalar, _part(episode, where, scalar, optional=True)
    if value is None and not optional:
        raise ValueError(
            f"Expected '{name}' or '{scalar}' in {where}. Got neither, so nothing "
            f"tells whether it ended by itself; pass flags, False if it did not."
        )
    if np.ndim(value) > 0:
        return flags(value, key, where)
    out = np.zeros(T, bool)
    out[-1:] = bool(value)
    return out


# -- Minari ---------------------------------------------------------------------


def from_minari(dataset: Any, caller: str) -> Fields:
    """Read the episodes that a dataset of Minari, or a view of one, shows."""
    if not hasattr(dataset, "iterate_episodes"):
        raise TypeError(
            f"The 'dataset' of {caller} must be a MinariDataset. Got "
            f"{type(dataset).__name__}; pass for example minari.load_dataset(name)."
        )
    spaces = {
        "observations": dataset.observation_space,
        "actions": dataset.action_space,
    }

    def flat(episode: Any) -> dict[str, Any]:
        plain = {
            name: plain_rows(space, getattr(episode, name), caller)
            for name, space in spaces.items()
        }
        rest = ("rewards", "terminations", "truncations")
        return plain | {name: getattr(episode, name) for name in rest}

    return from_episodes(map(flat, dataset.iterate_episodes()), caller)


# -- checks -----------------------------------------------------------------------


def as_array(values: Any, name: str, caller: str) -> NDArray[Any]:
    """Return an array; one that is mapped into memory stays so."""
    if isinstance(values, np.ndarray):
        return values
    try:
        array = to_labels(values)
    except ValueError:  # rows of several lengths
        array = np.empty((), object)
    if array.dtype == object:
        raise ValueError(
            f"The '{name}' of {caller} must be an array of numbers, with rows of one "
            f"shape. Got {type(values).__name__} of something else; flatten composite "
            f"ones, for example with gymnasium.spaces.flatten."
        )
    return array


def column(values: Any, name: str, caller: str) -> NDArray[Any]:
    """Return one number for each row, also if they come as (n, 1)."""
    array = as_array(values, name, caller)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or array.dtype.kind not in "fiub":
        raise ValueError(
            f"The '{name}' of {caller} must be numbers of shape (n,). Got shape "
            f"{array.shape} of dtype {array.dtype}; pass one for each row, and records "
            f"of several environments one by one."
        )
    return array


def flags(values: Any, name: str, caller: str) -> NDArray[np.bool_]:
    """Return booleans (n,), also if they come as numbers 0 and 1."""
    array = column(values, name, caller)
    if array.dtype == bool:
        return array
    out = array == 1
    if not np.array_equal(out, array):
        raise ValueError(
            f"The '{name}' of {caller} must be True or False, or 1 or 0. Got other "
            f"numbers; compare them with what they mean."
        )
    return out


def check_rows(record: Mapping[str, NDArray[Any]], caller: str) -> int:
    """Return the number of rows, or say that it is not one number."""
    counts = {name: len(rows) if rows.ndim else 0 for name, rows in record.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(
            f"The arrays of {caller} must have a row for each step. Got rows: {counts};"
            f" pass arrays of one length."
        )
    return next(iter(counts.values()))


def join(parts: list[NDArray[Any]], name: str) -> NDArray[Any]:
    """Concatenate rows of one shape and kind."""
    shapes = {part.shape[1:] for part in parts}
    kinds = {part.dtype.kind for part in parts}
    if len(shapes) > 1 or (name == "actions" and len(kinds) > 1):
        found = sorted({f"{part.shape[1:]} of {part.dtype}" for part in parts})
        raise ValueError(
            f"The '{name}' of all trajectories must have one shape and kind. Got "
            f"{' and '.join(found)}; bring them to one form first."
        )
    return np.concatenate(parts) if len(parts) > 1 else parts[0]
