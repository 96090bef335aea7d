"""Files that training can go on from: tensors, numbers and text, whole or not there.

They are written by ``torch.save`` under another name and then renamed, and read with
``weights_only=True``, so that a foreign file can at worst hold wrong numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from statlearn.neural._distributed import World
from statlearn.utils._files import replacing

_FORMAT = 1


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


def read(path: Path) -> dict[str, Any] | None:
    """Return the state in a file, None without a file, or say that it is none."""
    if not path.exists():
        return None
    try:
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


def read_for(path: Path, here: dict[str, Any], world: World) -> Any:
    """Return the state in a file of this run, None without a file, in all processes.

    Parameters
    ----------
    path : Path
        Where the first process finds it; the others need not see the file.
    here : dict
        What the run that wrote the file must share with this one.
    world : World
    """
    found: Any = None
    try:
        if world.rank == 0 and (found := read(path)) is not None:
            _check_same_run(path, found.get("run"), here)
    except ValueError as error:  # which the other processes are to hear of
        found = error
    found = world.from_first(found)
    if isinstance(found, ValueError):
        raise found
    return found


def _check_same_run(path: Path, found: Any, here: dict[str, Any]) -> None:
    """Refuse a file of a run that was set up in another way."""
    found = found if isinstance(found, dict) else {}
    other = [name for name, value in here.items() if found.get(name) != value]
    if other:
        name = other[0]
        raise ValueError(
            f"The 'checkpoint' of TrainingLoop must belong to this run. Got "
            f"{str(path)!r}, written with another {', '.join(other)} ({name} was "
            f"{found.get(name)!r}, is {here[name]!r}); restore these, remove the file "
            f"to begin anew, or pass another name."
        )


def check_fits(found: Any, here: dict[str, Any]) -> None:
    """Refuse a state of another model or optimizer, before anything is loaded.

    Parameters
    ----------
    found : any
        What is to be loaded.
    here : dict
        The state of the loop as it is.
    """
    if not isinstance(found, Mapping) or not set(here) <= set(found):
        got = sorted(found) if isinstance(found, Mapping) else type(found).__name__
        raise ValueError(
            f"The 'state' of TrainingLoop must have the parts {sorted(here)}. Got "
            f"{got}; pass what its state_dict returned."
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
    if found["kind"] != here["kind"]:
        raise ValueError(
            f"The 'state' of TrainingLoop must be that of a {here['kind']}. Got one of "
            f"a {found['kind']}; build the optimizer as it was."
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
