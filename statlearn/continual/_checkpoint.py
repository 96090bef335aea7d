"""Files that a run can go on from: numbers and text only, whole or not there.

A file is an ``.npz`` archive of arrays, read without pickle, so that a foreign file can
at worst hold wrong numbers. It is written under another name and then renamed, which a
file system does at once or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from statlearn.utils._files import replacing
from statlearn.utils._identity import checksum, describe

# Parameters that may differ from those of the run that wrote a checkpoint.
_NO_IDENTITY = {"estimator", "checkpoint", "checkpoint_every", "random_state"}
_TREE = "tree"
_NUMBERS = "biufc"


def plain_state(thing: Any, leave_out: Collection[str] = ()) -> dict[str, Any]:
    """Return the attributes of an object that are numbers, texts or arrays of numbers.

    Parameters
    ----------
    thing : object
    leave_out : collection of str
        Names of attributes that are no state.
    """
    return {
        name: value
        for name, value in vars(thing).items()
        if name not in leave_out and _is_plain(value)
    }


def _is_plain(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind in _NUMBERS
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str, np.number))


def write(path: Path, tree: dict[str, Any]) -> None:
    """Write a tree of dicts, lists, numbers, texts and arrays, at once.

    Parameters
    ----------
    path : Path
    tree : dict
    """
    arrays: dict[str, Any] = {}
    text = json.dumps(_packed(tree, arrays))
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        np.savez(file, allow_pickle=False, **{_TREE: np.array(text), **arrays})


def read(path: Path) -> dict[str, Any]:
    """Return what was written, or say that the file is something else."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return _unpacked(json.loads(str(archive[_TREE])), archive)
    except (OSError, EOFError, BadZipFile, ValueError, KeyError) as error:
        raise ValueError(
            f"The 'checkpoint' of ContinualLearner must hold files that it has "
            f"written. Got {str(path)!r}, which cannot be read: {error}; remove it, or "
            f"pass another directory."
        ) from error


def _packed(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Return what JSON can hold, with the arrays set aside."""
    if isinstance(value, np.ndarray) or hasattr(value, "detach"):
        name = f"a{len(arrays)}"
        arrays[name] = np.asarray(value)
        return {"array": name}
    if isinstance(value, dict):
        return {"dict": [[key, _packed(item, arrays)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_packed(item, arrays) for item in value]}
    if isinstance(value, list):
        return [_packed(item, arrays) for item in value]
    if isinstance(value, np.generic):
        return {"number": [value.dtype.str, value.item()]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(
        f"The state of an estimator must be made of dicts, lists, numbers, texts and "
        f"arrays of numbers to be written to a checkpoint. Got "
        f"{type(value).__name__}; return plain values from state_dict()."
    )


def _unpacked(value: Any, arrays: Any) -> Any:
    if isinstance(value, list):
        return [_unpacked(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "array":
        return arrays[content]
    if kind == "dict":
        return {key: _unpacked(item, arrays) for key, item in content}
    if kind == "tuple":
        return tuple(_unpacked(item, arrays) for item in content)
    return np.dtype(content[0]).type(content[1])


def identity_of(learner: Any, *, data: str, before: str) -> dict[str, str]:
    """Return what a run must share with a file to go on from it.

    Parameters
    ----------
    learner : estimator
    data : str
        Checksum of the rows of the task.
    before : str
        By which the tasks before are known.
    """
    parameters = {
        name: describe(value)
        for name, value in learner.get_params().items()
        if name not in _NO_IDENTITY
    }
    kind = describe(type(learner.estimator))
    return {"data": data, "tasks before": before, "estimator": kind, **parameters}


class Checkpoint:
    """The file of one task.

    Parameters
    ----------
    directory : path-like
    task : int
    identity : dict of str
        What a run must share with the file to go on from it.

    Raises
    ------
    ValueError
        If there is no directory and none can be made, since a file is in its place.
    """

    def __init__(self, directory: Any, task: int, identity: dict[str, str]) -> None:
        place = Path(directory)
        there = next(path for path in (place, *place.parents) if path.exists())
        if not there.is_dir():
            raise ValueError(
                f"The 'checkpoint' of ContinualLearner must be a directory, or the "
                f"name of one to make. Got {str(place)!r}, where {str(there)!r} is a "
                f"file; pass another name."
            )
        self.path = place / f"task-{task:04d}.npz"
        self.identity = identity

    def load(self) -> dict[str, Any] | None:
        """Return the state in the file, None without a file.

        Raises
        ------
        ValueError
            If the file cannot be read, or belongs to another run.
        """
        if not self.path.exists():
            return None
        tree = read(self.path)
        found = tree.get("identity", {})
        other = sorted(k for k, v in self.identity.items() if found.get(k) != v)
        if other:
            raise ValueError(
                f"The 'checkpoint' of ContinualLearner must belong to this run. Got "
                f"{str(self.path)!r}, written with another {', '.join(other)}; restore "
                f"these, remove the file to begin anew, or pass another directory."
            )
        return tree

    def name_of_run(self, seed: int, n_steps: int) -> str:
        """Return a text by which the next task knows this one and those before."""
        return str(checksum(dict(sorted(self.identity.items())), seed, n_steps))

    def save(self, tree: dict[str, Any]) -> None:
        """Replace the state in the file."""
        write(self.path, {"identity": self.identity, **tree})
