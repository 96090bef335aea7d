"""Files that training can go on from: tensors, numbers and text, whole or not there.

They are written by ``torch.save`` under another name and then renamed, and read with
``weights_only=True``, so that a foreign file can at worst hold wrong numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from zipfile import ZipFile, is_zipfile

import torch
from torch import Tensor

from statlearn.neural._training._distributed import World
from statlearn.utils._files import replacing
from statlearn.utils._numbers import is_integer

_FORMAT = 1
_NOTHING = object()


def write(path: Path, state: dict[str, Any]) -> None:
    """Replace a file by a state, at once.

    Parameters
    ----------
    path : Path
    state : dict
        Of dicts, lists, tuples, tensors, numbers and texts.
    """
    _check_plain(state, "state")
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        torch.save({"format": _FORMAT, **state}, file)


def check_writable(path: Path) -> None:
    """Make the folder of a file, and raise OSError if nothing can be written there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise IsADirectoryError("which is a folder")
    with TemporaryFile(dir=path.parent):
        pass


def read(path: Path) -> dict[str, Any] | None:
    """Return the state in a file, None without a file, or say that it is none."""
    if not path.exists():
        return None
    try:
        _check_sums(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state, dict) or state.pop("format", None) != _FORMAT:
            raise ValueError("it holds no state of a training loop")
    # What torch raises depends on the first bytes that make no sense to it.
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"The 'checkpoint' of TrainingLoop must be a file that it has written. Got "
            f"{str(path)!r}, which cannot be read: {reason}; remove it, or pass "
            f"another name."
        ) from error
    return state


def _check_sums(path: Path) -> None:
    """Refuse a file of which a part has changed, which torch itself does not ask."""
    if torch.serialization.get_crc32_options() and is_zipfile(path):
        with ZipFile(path) as archive:
            if (broken := archive.testzip()) is not None:
                raise ValueError(f"its part {broken!r} is damaged")


class RunFile:
    """The file of a run, which only this run takes up.

    Parameters
    ----------
    path : path-like
        Where the first process finds it; the others need not see the file.
    known_by : dict
        What the run that wrote a file must share with this one, besides the batches.
    caller : str
        Class name for messages.
    """

    def __init__(self, path: Any, known_by: dict[str, Any], caller: str) -> None:
        self._path, self._known_by, self._caller = Path(path), known_by, caller

    def check(self, world: World) -> None:
        """Refuse, in all processes and before any work, what cannot be written."""
        found: OSError | None = None
        if world.rank == 0:
            try:
                check_writable(self._path)
            except OSError as error:
                found = type(error)(
                    f"The 'checkpoint' of {self._caller} must be a file that can be "
                    f"written. Got {str(self._path)!r} ({error}); pass another name, "
                    f"or free this one."
                )
        if (found := world.from_first(found)) is not None:
            raise found

    def load(self, batches: dict[str, Any], world: World) -> Any:
        """Return the state in the file, None without a file, in all processes.

        Parameters
        ----------
        batches : dict
            What these are known by.
        world : World
        """
        found: Any = None
        try:
            if world.rank == 0 and (found := read(self._path)) is not None:
                self._check_same_run(_run_of(found), self._run(batches))
        except ValueError as error:  # which the other processes are to hear of
            found = error
        found = world.from_first(found)
        if isinstance(found, ValueError):
            raise found
        return None if found is None else found["loop"]

    def save(self, batches: dict[str, Any], state: dict[str, Any]) -> None:
        """Replace the state in the file."""
        write(self._path, {"run": self._run(batches), "loop": state})

    def remove(self) -> None:
        """Remove the file, if it is there and no other run has replaced it."""
        try:
            found = read(self._path)
        except ValueError:
            return
        if found is not None and not _differences(_run_of(found), self._known_by):
            self._path.unlink(missing_ok=True)

    def _run(self, batches: dict[str, Any]) -> dict[str, Any]:
        """Return what the run is known by, its own words first and in any case."""
        return self._known_by | batches | self._known_by

    def _check_same_run(self, found: dict[str, Any], here: dict[str, Any]) -> None:
        """Refuse a file of a run that was set up in another way."""
        if other := _differences(found, here):
            name = other[0]
            raise ValueError(
                f"The 'checkpoint' of {self._caller} must belong to this run. Got "
                f"{str(self._path)!r}, written with another {', '.join(other)} ({name} "
                f"was {found.get(name)!r}, is {here[name]!r}); restore these, remove "
                f"the file to begin anew, or pass another name."
            )


def _run_of(state: dict[str, Any]) -> dict[str, Any]:
    """Return what the run is known by that wrote a state."""
    run = state.get("run")
    return run if isinstance(run, dict) else {}


def _differences(found: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """Return the names under which a file says something else, or nothing."""
    return [name for name, value in here.items() if found.get(name) != value]


def check_fits(found: Any, here: dict[str, Any]) -> None:
    """Refuse half a state, or one of another model or optimizer, before it is loaded.

    Parameters
    ----------
    found : any
        What is to be loaded.
    here : dict
        The state of the loop as it is.
    """
    kind = here["kind"]
    if isinstance(found, Mapping) and found.get("kind", kind) != kind:
        raise ValueError(
            f"The 'state' of TrainingLoop must be that of a {kind}. Got one of "
            f"a {found['kind']}; build the optimizer as it was."
        )
    if lacking := _lacking(found, _outline(found, here), ""):
        raise ValueError(
            f"The 'state' of TrainingLoop must be whole, as its state_dict returned "
            f"it. Got nothing that fits for {lacking[:5]}, {len(lacking)} in all; pass "
            f"the whole state of a loop."
        )
    shapes, wanted = _shapes(found["model"]), _shapes(here["model"])
    if shapes != wanted:
        other = sorted(n for n, s in wanted.items() if shapes.get(n) != s)
        other += sorted(set(shapes) - set(wanted))
        name = other[0]
        raise ValueError(
            f"The 'state' of TrainingLoop must be that of a model like this one, with "
            f"{name!r} of shape {wanted.get(name, 'none')}. Got shape "
            f"{shapes.get(name, 'none')} and {len(other)} differences in all; build "
            f"the model as it was."
        )
    sizes = [
        [len(group["params"]) for group in state["optimizer"]["param_groups"]]
        for state in (found, here)
    ]
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"The 'state' of TrainingLoop must be that of an optimizer with groups of "
            f"{sizes[1]} parameters. Got groups of {sizes[0]}; build the optimizer as "
            f"it was."
        )


def _outline(found: Any, here: dict[str, Any]) -> dict[str, Any]:
    """Return the parts that a state must have, None for what may be of any kind."""
    # Other settings of a group may be those of another version of torch.
    groups: list[Any] = [
        {"params": [], "lr": None} for _ in here["optimizer"]["param_groups"]
    ]
    scaler, moments, epochs = (
        _at(found, *place)
        for place in (("scaler",), ("optimizer", "state"), ("history", "epoch"))
    )
    rows = epochs.numel() if isinstance(epochs, Tensor) else 0
    outline = dict(here)
    if "schedule" in here:
        # Private names of a scheduler come and go as it is stepped.
        public = [name for name in here["schedule"] if not name.startswith("_")]
        outline["schedule"] = dict.fromkeys(public)
    return {
        **outline,
        "model": {},  # compared by shapes
        "kind": None,
        "optimizer": {
            "state": {key: {} for key in moments or ()},
            "param_groups": groups,
        },
        "scaler": None if scaler is None else here["scaler"],
        "history": {name: torch.empty(rows) for name in here["history"]},
    }


def _at(state: Any, *keys: str) -> Any:
    """Return what lies under keys within each other; None if nothing does."""
    for key in keys:
        state = state.get(key) if isinstance(state, Mapping) else None
    return state


def _lacking(found: Any, outline: Any, place: str) -> list[str]:
    """Return the places where a state has nothing, or nothing of the right kind."""
    parts: Any = None
    if isinstance(outline, Mapping) and isinstance(found, Mapping):
        parts = [(key, found.get(key, _NOTHING), outline[key]) for key in outline]
    elif isinstance(outline, list) and isinstance(found, (list, tuple)):
        pairs = zip(found, outline, strict=False)
        parts = [(i, part, other) for i, (part, other) in enumerate(pairs)]
        if len(parts) < len(outline) and not isinstance(outline[0], Mapping):
            return [place]
    if parts is not None:
        return [
            name
            for key, part, other in parts
            for name in _lacking(part, other, f"{place}.{key}" if place else str(key))
        ]
    if isinstance(outline, Tensor):
        fits = isinstance(found, Tensor) and found.shape == outline.shape
    elif isinstance(outline, int):
        fits = is_integer(found) and found >= 0
    else:
        fits = found is not _NOTHING and (
            outline is None or isinstance(found, type(outline))
        )
    return [] if fits else [place or "state"]


def _shapes(state: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(getattr(value, "shape", ())) for name, value in state.items()}


def _check_plain(value: Any, place: str) -> None:
    """Refuse what could not be read back without running code."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            _check_plain(part, f"{place}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for number, part in enumerate(value):
            _check_plain(part, f"{place}[{number}]")
    elif value is not None and not isinstance(value, (bool, int, float, str, Tensor)):
        raise TypeError(
            f"The state of model and optimizer must be made of dicts, lists, tensors, "
            f"numbers and texts for TrainingLoop to write a checkpoint. Got "
            f"{type(value).__name__} at {place}; return plain values from "
            f"state_dict() or get_extra_state(), or pass checkpoint=None."
        )
