"""Files and folders of a model: which there are, and how new ones appear whole."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.merging._files._replacing_folder import replacing_folder
from statlearn.merging._files._safetensors import (
    SUFFIX,
    Stored,
    n_bytes,
    read_header,
    write_file,
)
from statlearn.utils._files import replacing, synced
from statlearn.utils._numbers import is_integer

# Type in the file and shape of each array of a model.
Contents = dict[str, tuple[str, tuple[int, ...]]]

INDEX = f"model{SUFFIX}.index.json"

_UNITS = {f"{unit}B": 1000**power for power, unit in enumerate("KMGT", start=1)} | {
    f"{unit}iB": 1024**power for power, unit in enumerate("KMGT", start=1)
}
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([KMGT]i?B)", re.IGNORECASE)

# Suffixes of files, as against the dots in "model-1.5" and "model-3.1-8B".
_LIKE_A_FILE = re.compile(r"\.[A-Za-z]\w*")


def read_model(source: Path) -> dict[str, Stored]:
    """Return where the arrays of a file, or of the files of a folder, are.

    Raises
    ------
    FileNotFoundError
        If there are no files, or one that an index names is missing.
    ValueError
        If a file is not of its format, or two files hold arrays of one name.
    """
    index = _read_index(source)
    files = [source]
    if index:
        files = [source / name for name in sorted(set(index.values()))]
    elif source.is_dir():
        files = [
            file
            for file in sorted(source.glob(f"*{SUFFIX}"))
            if not file.name.startswith(".")
        ]
    absent = [file.name for file in files if not file.exists()]
    if absent or not files:
        raise FileNotFoundError(
            f"open_weights needs a {SUFFIX} file, or a folder with such files. Got "
            f"{str(source)!r} without {repr(absent[0]) if files else 'any'}; correct "
            "the path, or complete the files."
        )
    entries: dict[str, Stored] = {}
    for file in files:
        for name, entry in read_header(file).items():
            if name in entries:
                raise ValueError(
                    "Each array of a model must be in one file. Got "
                    f"{name!r} in {entries[name].path.name!r} and {file.name!r}; keep "
                    "one model in a folder, or pass a file."
                )
            entries[name] = entry
    for name, file_name in index.items():
        if name not in entries or entries[name].path.name != file_name:
            raise ValueError(
                "The index of a folder must tell where each array is. Got "
                f"{name!r}, which is not in {file_name!r}; complete the files, or "
                "remove the index."
            )
    return entries


def _read_index(folder: Path) -> dict[str, str]:
    """Return the file of each array by the index of a folder, if it has one."""
    found = sorted(folder.glob(f"*{SUFFIX}.index.json"))
    if len(found) != 1:
        return {}
    try:
        text = found[0].read_text(encoding="utf-8")
        places = dict(json.loads(text)["weight_map"])
        for name in places.values():
            if Path(name).name != name or not name.endswith(SUFFIX):
                raise ValueError(f"{name!r} for a file of the folder")
    except OSError:
        raise
    except Exception as error:
        raise ValueError(
            "The index of a folder must be JSON with the file of each array under "
            f"'weight_map'. Got {found[0].name!r} with another content "
            f"({type(error).__name__}: {error}); remove it, or write it again."
        ) from error
    return places


def shard_size(value: Any, path: Any, caller: str) -> int | None:
    """Return the largest number of bytes in a file of a folder, None for any.

    Parameters
    ----------
    value : int, str or None
        A number of bytes, or words such as "5GB" and "500 MiB".
    path : str or path
        Where the model is to be written; only folders are cut into files.
    caller : str
        For messages.

    Raises
    ------
    ValueError
        If that is no size, or the path is that of a file.
    """
    size = _bytes_of(value, caller) if isinstance(value, str) else value
    if size is None:
        return None
    if not is_integer(size) or size < 1 or Path(path).suffix == SUFFIX:
        raise ValueError(
            f"The 'max_shard_size' of {caller} must be a positive whole number of "
            f"bytes, for a folder of files. Got {size!r} for {Path(path).name!r}; pass "
            "a path without suffix, or None."
        )
    return int(size)


def _bytes_of(value: str, caller: str) -> int:
    """Return the bytes of a size in words."""
    found = _SIZE.fullmatch(value.strip())
    if found is None:
        raise ValueError(
            f"The 'max_shard_size' of {caller} must be a number of bytes, or a number "
            f"with a unit of {', '.join(_UNITS)}. Got {value!r}; pass for example "
            "'5GB'."
        )
    number, unit = found.groups()
    return int(float(number) * _UNITS[unit.upper().replace("I", "i")])


def check_target(path: Any, sources: Iterable[Mapping[str, Any]] = ()) -> Path:
    """Return where a model is to be written, after a look at what is there.

    Parameters
    ----------
    path : str or path
        File or new folder.
    sources : iterable of mappings, default=()
        Models that are read while the new one is written; they may come from files.
    """
    target = Path(path)
    is_file = target.suffix == SUFFIX
    if not is_file and _LIKE_A_FILE.fullmatch(target.suffix):
        raise ValueError(
            f"Weights are written to a {SUFFIX} file, or to a folder of them without "
            f"suffix. Got {target.name!r}; end the name in {SUFFIX}, or leave out "
            f"{target.suffix!r}."
        )
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"Weights are written into a folder that exists. Got {str(target)!r}; make "
            f"{str(target.parent)!r} first, or choose another one."
        )
    if target.is_dir() or (target.exists() and not is_file):
        raise FileExistsError(
            f"Weights are written to a {SUFFIX} file or to a new folder. Got "
            f"{str(target)!r}, which exists; remove it or choose another name."
        )
    files = {file for one in sources for file in getattr(one, "files", ())}
    if target.exists() and any(file.samefile(target) for file in files):
        raise ValueError(
            "A file must not be overwritten while its arrays are in use. Got "
            f"{str(target)!r} for input and output; choose another name."
        )
    return target


def write_model(
    target: Path,
    contents: Contents,
    fetch: Callable[[str], NDArray[Any]],
    max_shard_size: int | None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a file, or a folder of files, that appears at the target when it is whole.

    Parameters
    ----------
    target : Path
        What `check_target` returned.
    contents : dict of str to (str, tuple of int)
        Type and shape of each array, in the order of the files.
    fetch : callable
        Gives the array of a name, when its turn comes.
    max_shard_size : int or None
        Largest number of bytes of arrays in a file of a folder.
    metadata : mapping of str to str, default=None
        Further facts for the header of a single file.
    """
    if target.suffix == SUFFIX:
        with replacing(target) as file:
            write_file(file, contents, fetch, metadata)
    else:
        with replacing_folder(target) as folder:
            _write_shards(folder, contents, fetch, max_shard_size)


def _write_shards(
    folder: Path,
    contents: Contents,
    fetch: Callable[[str], NDArray[Any]],
    max_shard_size: int | None,
) -> None:
    """Write the files of a folder, and the index by which libraries find arrays."""
    shards = _shards(contents, max_shard_size)
    places: dict[str, str] = {}
    for number, shard in enumerate(shards, start=1):
        file_name = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        if len(shards) == 1:
            file_name = "model.safetensors"
        with synced(folder / file_name) as file:
            write_file(file, shard, fetch)
        places |= dict.fromkeys(shard, file_name)
    if len(shards) > 1:
        total = sum(n_bytes(*entry) for entry in contents.values())
        index = {"metadata": {"total_size": total}, "weight_map": places}
        with synced(folder / INDEX) as file:
            file.write(json.dumps(index, indent=2).encode())


def _shards(contents: Contents, max_shard_size: int | None) -> list[Contents]:
    """Cut the arrays, in their order, into files of at most this size."""
    limit = np.inf if max_shard_size is None else max_shard_size
    shards: list[Contents] = [{}]
    used = 0
    for name, entry in contents.items():
        size = n_bytes(*entry)
        if shards[-1] and used + size > limit:
            shards.append({})
            used = 0
        shards[-1][name] = entry
        used += size
    return shards
