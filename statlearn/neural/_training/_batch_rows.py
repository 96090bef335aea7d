"""Rows, weights and groups of a batch of any make: tuples, mappings, tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from copy import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor

from statlearn.neural._training._batches import Batch
from statlearn.utils._arrays import to_labels


def weight_and_groups(batch: Any) -> tuple[Tensor | None, Any]:
    """Return the base weights and groups that a batch carries."""
    if isinstance(batch, Batch):
        return batch.sample_weight, batch.groups
    if isinstance(batch, Mapping):
        return batch.get("sample_weight"), batch.get("groups")
    return None, None


def _is_texts(part: Any) -> bool:
    return isinstance(part, list) and all(isinstance(text, str) for text in part)


def with_arrays(batch: Any) -> Any:
    """Return a batch whose weights and groups can be cut by rows, as its tensors."""
    if not isinstance(batch, Mapping):
        return batch
    changed = {
        name: to_labels(batch[name])
        for name in ("sample_weight", "groups")
        if isinstance(batch.get(name), (list, tuple))
    }
    return _replaced(batch, {**batch, **changed}) if changed else batch


def mapped(batch: Any, change: Callable[[Any], Any]) -> Any:
    """Return a batch of the same make, with tensors, arrays, lists of texts changed."""
    if isinstance(batch, (Tensor, np.ndarray)) or _is_texts(batch):
        return change(batch)
    if isinstance(batch, Batch):
        weight, groups = batch.sample_weight, batch.groups
        return Batch(
            (change(part) for part in batch),
            None if weight is None else change(weight),
            None if groups is None else change(groups),
        )
    if isinstance(batch, Mapping):
        parts = {key: mapped(part, change) for key, part in batch.items()}
        return parts if type(batch) is dict else _replaced(batch, parts)
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(mapped(part, change) for part in batch))
    if isinstance(batch, (tuple, list)):
        return type(batch)(mapped(part, change) for part in batch)
    return batch


def _replaced(batch: Any, parts: dict[Any, Any]) -> Any:
    """Return a mapping of the same make with other parts under its names."""
    if type(batch) is dict or not isinstance(batch, MutableMapping):
        return parts
    found = copy(batch)  # with what else it has, such as the encodings of a tokenizer
    found.update(parts)
    return found


def moved(batch: Any, device: torch.device) -> Any:
    """Return a batch with its tensors on a device."""

    def move(part: Any) -> Any:
        if isinstance(part, Tensor):
            return part.to(device, non_blocking=True)
        return part

    return mapped(batch, move)


def n_rows(batch: Any) -> int:
    """Return the rows of the first tensor in a batch that has any axis."""
    seen: list[int] = []

    def count(part: Any) -> Any:
        if not isinstance(part, list) and part.ndim:
            seen.append(len(part))
        return part

    mapped(batch, count)
    return seen[0] if seen else 0


def rows_of(batch: Any, rows: Any) -> Any:
    """Return some rows of a batch: a slice, or a mask on the CPU."""
    n = n_rows(batch)
    if isinstance(rows, Tensor) and len(rows) != n:
        raise ValueError(
            f"A batch of TrainingLoop must have one sample weight for each row. Got "
            f"{len(rows)} weights for {n} rows; pass weights of the same rows."
        )
    on_cpu = rows if isinstance(rows, slice) else rows.numpy()

    def take(part: Any) -> Any:
        if isinstance(part, list):  # one text a row, as loaders give them
            return list(np.asarray(part, object)[on_cpu]) if len(part) == n else part
        if part.ndim == 0:
            return part
        if len(part) != n:
            raise ValueError(
                f"A batch of TrainingLoop must hold tensors of the same number of rows "
                f"to be divided by rows. Got {n} and {len(part)} rows; give every "
                f"tensor one row a sample, or pass sharded=True and weights above zero."
            )
        if isinstance(rows, Tensor) and isinstance(part, Tensor):
            return part[rows.to(part.device)]
        return part[on_cpu]

    return mapped(batch, take)
