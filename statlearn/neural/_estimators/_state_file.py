"""Files with the state of an estimator: safetensors, with a few facts in the header.

The facts are JSON, since the format takes text only. Nothing in a file is run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.merging._files._model_files import check_target, write_model
from statlearn.merging._files._safetensors import SUFFIX, dtype_name, read_contents
from statlearn.utils._identity import checksum

_FACTS, _SUM = "statlearn", "checksum"


def write_state(
    path: Any, state: Mapping[str, NDArray[Any]], facts: dict[str, Any], caller: str
) -> None:
    """Write arrays and facts to a file, which appears whole or not at all.

    Parameters
    ----------
    path : path-like
        With the suffix of such files.
    state : mapping of str to ndarray
    facts : dict
        What JSON can say.
    caller : str
        For messages.
    """
    if Path(path).suffix != SUFFIX:
        raise ValueError(
            f"The 'path' of {caller} must end in {SUFFIX}. Got {str(path)!r}; pass "
            f"{str(path) + SUFFIX!r}."
        )
    target = check_target(path)
    arrays = {name: np.asarray(array) for name, array in state.items()}
    contents = {name: (dtype_name(a), a.shape) for name, a in arrays.items()}
    facts_text = {_FACTS: json.dumps({**facts, _SUM: _sum_of(arrays)})}
    write_model(target, contents, arrays.__getitem__, None, facts_text)


def read_state(path: Any, caller: str) -> tuple[dict[str, NDArray[Any]], Any]:
    """Return arrays and facts that `write_state` wrote.

    Raises
    ------
    ValueError
        If the file is of another format, or has no facts of an estimator.
    """
    source = Path(path)
    stored, metadata = read_contents(source)
    try:
        facts = json.loads(metadata[_FACTS])
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            f"The 'path' of {caller} must be a file that save_state has written. Got "
            f"{source.name!r}, which has weights only; load these into the module, and "
            f"pass that as 'module'."
        ) from None
    state = {name: one.read() for name, one in stored.items()}
    if not isinstance(facts, dict) or facts.pop(_SUM, None) != checksum(
        dict(sorted(state.items()))
    ):
        raise ValueError(
            f"The 'path' of {caller} must be a file as save_state has written it. Got "
            f"{source.name!r}, of which some numbers have changed since; save the "
            f"state again."
        )
    return state, facts


def _sum_of(state: Mapping[str, NDArray[Any]]) -> int:
    """Return the checksum of a state, in whichever order it is read."""
    return checksum({name: state[name] for name in sorted(state)})
