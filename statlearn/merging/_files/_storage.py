"""Models in files: read one array at a time, merge, and write one array at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from statlearn.merging._files._model_files import (
    Contents,
    check_target,
    read_model,
    shard_size,
    write_model,
)
from statlearn.merging._files._safetensors import Stored, dtype_name
from statlearn.merging._rules._methods import MergeMethod, Rule, find_method
from statlearn.merging._rules._tasks import Task, names_to_merge, plan
from statlearn.merging._state._arrays_and_tensors import to_array
from statlearn.merging._state._fitted_models import get_weights
from statlearn.merging._state._layouts import State

PathLike = str | os.PathLike[str]


class StoredWeights(Mapping[str, NDArray[Any]]):
    """A state dict that reads an array from its file each time it is asked for.

    Made by :func:`open_weights`; all functions of this subpackage take it for a model.

    Parameters
    ----------
    entries : mapping of str to Stored
        Where each array is.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from statlearn.merging import open_weights, save_weights
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_weights(f"{folder}/model", {"a": np.zeros(2), "b": np.ones(3)})
    ...     open_weights(f"{folder}/model").layout()
    {'a': ((2,), 'f'), 'b': ((3,), 'f')}
    """

    def __init__(self, entries: Mapping[str, Stored]) -> None:
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._entries[name].read()

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries  # the inherited way reads the array

    def __repr__(self) -> str:
        return f"StoredWeights({len(self)} arrays in {len(self.files)} files)"

    @property
    def files(self) -> set[Path]:
        """Files with the arrays."""
        return {entry.path for entry in self._entries.values()}

    def layout(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Return shape and kind, "f" or "i", of each array, without reading it.

        Returns
        -------
        dict of str to (tuple of int, str)
            Under the names of the arrays.
        """
        return {
            name: (entry.shape, entry.kind) for name, entry in self._entries.items()
        }

    def contents(self) -> Contents:
        """Return type in the file and shape of each array, without reading it.

        Returns
        -------
        dict of str to (str, tuple of int)
            Under the names of the arrays; types are "F32", "BF16" and so on.
        """
        return {name: (e.dtype, e.shape) for name, e in self._entries.items()}


def open_weights(path: PathLike) -> StoredWeights:
    """Open a model in safetensors files as a state dict that stays on disk.

    Parameters
    ----------
    path : str or path
        A file, or a folder with one or several files with the suffix ``.safetensors``.
        If the folder has an index, the files that it names are read.

    Returns
    -------
    StoredWeights
        Mapping of names to arrays. Each access reads one array from its file; numbers
        of type bfloat16, which NumPy lacks, come as float32.

    Raises
    ------
    FileNotFoundError
        If there is no such file, none in the folder, or one of the index is missing.
    ValueError
        If a file is not of this format, two files hold arrays of one name, or the index
        is wrong. Nothing in a file is run.

    See Also
    --------
    save_weights : Write such files.
    merge_files : Merge models in files.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from statlearn.merging import open_weights, save_weights
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_weights(f"{folder}/model.safetensors", {"w": np.arange(3.0)})
    ...     open_weights(f"{folder}/model.safetensors")["w"]
    array([0., 1., 2.])
    """
    return StoredWeights(read_model(Path(path)))


def save_weights(
    path: PathLike, weights: Any, *, max_shard_size: int | str | None = None
) -> None:
    """Write the weights of a model to safetensors files.

    Parameters
    ----------
    path : str or path
        File with the suffix ``.safetensors``, or a folder that does not exist yet. It
        appears when all of it is written, or not at all. A file of this name is
        replaced.
    weights : mapping of str to array or tensor, estimator or torch module
        Arrays by name, or a fitted model that :func:`get_weights` reads them from.
        Tensors of type bfloat16 are written as such.
    max_shard_size : int or str, default=None
        Largest number of bytes of arrays in a file of a folder, such as 5_000_000_000
        or "5GB", at least one array in each; None for one file.

    Raises
    ------
    FileExistsError
        If the folder exists.
    FileNotFoundError
        If the folder around it does not exist.
    TypeError
        If an array holds no real numbers, or a model no weights that we know of.
    ValueError
        If a size is given for a single file, or is not positive, the path has another
        suffix, a name is no word, or the weights are read from the file that is to be
        written.

    See Also
    --------
    open_weights : Read them.
    safetensors.numpy.save_file : Writes a dictionary of arrays in memory.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from statlearn.merging import save_weights
    >>> state = {"a": np.zeros(10), "b": np.zeros(10)}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_weights(f"{folder}/model", state, max_shard_size=100)
    ...     print(*sorted(file.name for file in Path(f"{folder}/model").iterdir()))
    model-00001-of-00002.safetensors model-00002-of-00002.safetensors \
model.safetensors.index.json
    """
    state, caller = get_weights(weights), "save_weights"
    limit = shard_size(max_shard_size, path, caller)
    target = check_target(path, [state])
    contents = _contents(state, caller)
    write_model(target, contents, lambda name: to_array(state[name]), limit)


def merge_files(
    base: PathLike | State | None,
    models: Sequence[PathLike | State],
    destination: PathLike,
    method: str | Rule = "r-tsvm",
    *,
    weights: Sequence[float] | None = None,
    scale: float = 1.0,
    density: float | None = None,
    random_state: Any = None,
    include: str | Iterable[str] | None = None,
    exclude: str | Iterable[str] | None = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    max_shard_size: int | str | None = None,
    **options: Any,
) -> None:
    """Merge models in files that are larger than memory, array by array.

    Parameters
    ----------
    base : str, path, mapping or None
        Path for :func:`open_weights`, or a state dict. None for rules that need no
        base, as in :func:`merge_weights`.
    models : sequence of str, path or mapping
        Tuned models of the base's layout.
    destination : str or path
        File or new folder for the result, as in :func:`save_weights`.
    method : str or callable, default="r-tsvm"
        Rule, as in :func:`merge_weights`, one that merges each array alone.
    weights : sequence of float, default=None
        As in :func:`merge_weights`.
    scale : float, default=1.0
        As in :func:`merge_weights`.
    density : float, default=None
        As in :func:`merge_weights`.
    random_state : int, Generator, RandomState or None, default=None
        As in :func:`merge_weights`.
    include, exclude : str or iterable of str, default=None
        As in :func:`merge_weights`.
    overrides : mapping of str to mapping, default=None
        As in :func:`merge_weights`.
    max_shard_size : int or str, default=None
        Largest number of bytes of arrays in a file of a folder, or words such as "5GB";
        None for one file.
    **options : object
        Further parameters of the rule.

    Raises
    ------
    FileNotFoundError
        If a model is not there.
    TypeError
        If a model is no path and no state dict.
    ValueError
        If the rule looks at all arrays together, the destination is one of the files
        that are read, or anything that :func:`merge_weights` refuses. Nothing is left
        at the destination.

    See Also
    --------
    merge_weights : The same in memory.

    Notes
    -----
    The result is that of :func:`merge_weights` to the bit, with the types of numbers
    that the base has in its files, or the first model without a base. Memory holds the
    arrays of one name: those of base and models, the result, and what the rule needs.

    Files of adapters such as LoRA hold factors, whose products are not merged by
    merging factors: fold adapters into the weights first, see :func:`get_weights`.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from statlearn.merging import merge_files, open_weights
    >>> base, models = {"w": np.zeros(2)}, [{"w": np.ones(2)}, {"w": np.full(2, 3.0)}]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     merge_files(base, models, f"{folder}/merged.safetensors", "average")
    ...     open_weights(f"{folder}/merged.safetensors")["w"]
    array([2., 2.])
    """
    caller = "merge_files"
    row = find_method(method, caller)
    limit = shard_size(max_shard_size, destination, caller)
    start, states = _models(base, models)
    if base is None:
        _require_no_base(row, scale)
    keep = names_to_merge(start, states, include, exclude, caller)
    target = check_target(destination, [start, *states])
    contents = _contents(start, caller)
    options |= {"weights": weights, "scale": scale, "density": density}
    tasks = plan(list(start), keep, row, options, random_state, overrides, caller)
    for task in tasks:
        _require_by_array(task)
    task_of = {name: task for task in tasks for name in task.names}

    def fetch(name: str) -> NDArray[Any]:
        return to_array(task_of[name].run(start, states, [name])[name])

    # Random rules draw in this order in memory too.
    order = [name for task in tasks for name in sorted(task.names)]
    ordered = {name: contents[name] for name in order}
    write_model(target, ordered, fetch, limit)


def _models(
    base: PathLike | State | None, models: Sequence[PathLike | State]
) -> tuple[State, list[State]]:
    """Open what is given as a path; the first model stands in for no base."""
    alone = isinstance(models, (str, os.PathLike, Mapping))
    if alone or not isinstance(models, Sequence):
        raise TypeError(
            "The 'models' of merge_files must be a list of paths or state dicts. Got "
            f"{type(models).__name__}; put them into a list, also if it is one."
        )
    if not models:
        raise ValueError(
            "merge_files needs at least 1 model. Got an empty list; pass models."
        )
    given = [*([] if base is None else [base]), *models]
    for one in given:
        if not isinstance(one, (str, os.PathLike, Mapping)):
            raise TypeError(
                "merge_files merges files, given by their paths, and state dicts. Got "
                f"{type(one).__name__}; pass get_weights(model), or use merge_weights."
            )
    opened = [one if isinstance(one, Mapping) else open_weights(one) for one in given]
    return opened[0], opened if base is None else opened[1:]


def _require_no_base(row: MergeMethod, scale: Any) -> None:
    """Refuse what needs a base where there is none."""
    if "base" in row.needs or scale != 1.0:
        what = f"the rule {row.name!r}" if "base" in row.needs else f"scale={scale!r}"
        raise ValueError(
            "The 'base' of merge_files may be None for rules that need none, at scale "
            f"1. Got {what} and base=None; pass the base, or use 'average'."
        )


def _require_by_array(task: Task) -> None:
    """Refuse a rule on all arrays together."""
    if task.row is not None and not task.by_array:
        raise ValueError(
            "merge_files needs a rule that merges each array alone. Got "
            f"{task.row.name!r} with parameters by which it looks at all arrays "
            "together; use merge_weights, or another rule."
        )


def _contents(weights: State, caller: str) -> Contents:
    """Return type in files and shape of each array."""
    for name in weights:
        if not isinstance(name, str) or name == "__metadata__":
            raise ValueError(
                f"The names of arrays in {caller} must be words other than "
                f"'__metadata__'. Got {name!r}; rename the array."
            )
    if isinstance(weights, StoredWeights):
        return weights.contents()
    contents: Contents = {}
    for name in weights:
        value = weights[name]
        bfloat = str(getattr(value, "dtype", "")) == "torch.bfloat16"
        array = to_array(value)
        contents[name] = ("BF16" if bfloat else dtype_name(array), array.shape)
    return contents
