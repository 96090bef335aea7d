"""Trajectories on disk: a directory of plain arrays, whole or not there.

Each array is an ``.npy`` file, read without pickle and, if wanted, mapped into memory.
The directory is written under another name and then renamed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._files import synced

_MARK = "dataset.json"
_FORMAT = {"format": "statlearn.TrajectoryDataset", "version": 1}


def write(path: Path, fields: Mapping[str, NDArray[Any]], *, overwrite: bool) -> None:
    """Write arrays to a directory, at once.

    Parameters
    ----------
    path : Path
    fields : mapping of str to array
    overwrite : bool
        Whether a dataset that is there already may be replaced.
    """
    _check_target(path, overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    part, old = (path.parent / f".{path.name}-{uuid4().hex}" for _ in range(2))
    part.mkdir()
    try:
        for name, values in fields.items():
            with synced(part / f"{name}.npy") as file:
                np.save(file, values, allow_pickle=False)
        with synced(part / _MARK) as file:
            file.write(json.dumps(_FORMAT).encode())
        if path.exists():
            path.rename(old)
        try:
            part.rename(path)
        except BaseException:
            if old.exists():
                old.rename(path)
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def read(path: Path, names: Sequence[str], *, mmap: bool) -> dict[str, NDArray[Any]]:
    """Return the arrays of a directory, or say that it holds something else."""
    try:
        if json.loads((path / _MARK).read_text(encoding="utf-8")) != _FORMAT:
            raise ValueError(f"{_MARK} tells of another format")
        mode: Any = "r" if mmap else None
        return {
            name: np.load(path / f"{name}.npy", mmap_mode=mode, allow_pickle=False)
            for name in names
        }
    except FileNotFoundError as error:
        if not path.exists():
            raise FileNotFoundError(
                f"The 'path' of TrajectoryDataset.load must be a directory that save "
                f"has written. Got {str(path)!r}, which does not exist; check its name."
            ) from error
        raise _unreadable(path, error) from error
    except (OSError, EOFError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> ValueError:
    return ValueError(
        f"The 'path' of TrajectoryDataset.load must be a directory that save has "
        f"written. Got {str(path)!r}, which cannot be read: {error}; pass another one."
    )


def _check_target(path: Path, overwrite: bool) -> None:
    if not path.exists():
        return
    if not (path / _MARK).is_file():
        problem, remedy = "which is no saved dataset", "pass another path"
    elif not overwrite:
        problem, remedy = "which exists", "pass overwrite=True to replace it"
    else:
        return
    raise FileExistsError(
        f"The 'path' of TrajectoryDataset.save must be free, or a dataset to replace. "
        f"Got {str(path)!r}, {problem}; {remedy}."
    )
