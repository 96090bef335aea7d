"""A budget of rows, shared by all classes so far."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from statlearn.continual._buffer import TaskRows, alike, joined, stacked
from statlearn.continual._herding import feature_table, ranked
from statlearn.continual._incremental_checks import budget, require_same_labels
from statlearn.utils._arrays import to_labels
from statlearn.utils._groups import group_codes
from statlearn.utils._numbers import is_integer
from statlearn.utils._rng import as_generator
from statlearn.utils._validation import read_sample_weight

SELECTIONS = ("herding", "random")

_CALLER = "ExemplarMemory"


class ExemplarMemory:
    """Keep a few rows of each class, exemplars, in a budget for all of them.

    Each of C classes has room for ``size // C`` rows. When new classes come, those of
    old ones give up their last ones: they are kept in order of importance.

    Parameters
    ----------
    size : int
        Number of rows in all, at least one for each class; 0 keeps none.
    selection : {"herding", "random"}, default="herding"
        Rows whose mean is near that of their class, see :func:`herding`, or random
        ones.
    random_state : int, Generator, RandomState or None, default=None
        For random rows.

    Attributes
    ----------
    per_class_ : dict
        Number of rows kept of each class, in the order in which classes came.
    sample_weight_ : ndarray of shape (n_kept,) or None
        Weights of the rows kept; None if none ever had one.
    n_adds_ : int
        How often rows were added.

    See Also
    --------
    IncrementalClassifier : Learns new classes with such a memory.
    herding : The order of rows of one class.
    statlearn.sampling.ReplayMixer : Batches of old and new rows.

    Notes
    -----
    A class that comes again chooses among the rows kept of it and the new ones. Rows
    need not be tables: images of shape (n, height, width) do, if they come with
    features. A tensor becomes an array. Pickling keeps the memory and the state of its
    random numbers.

    References
    ----------
    Sylvestre-Alvise Rebuffi, Alexander Kolesnikov, Georg Sperl, Christoph H. Lampert.
    iCaRL: Incremental Classifier and Representation Learning. CVPR, 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.continual import ExemplarMemory
    >>> rng = np.random.default_rng(0)
    >>> memory = ExemplarMemory(12)
    >>> memory.add(rng.normal(size=(50, 3)), ["a", "b"] * 25).per_class_
    {'a': 6, 'b': 6}
    >>> memory.add(rng.normal(size=(50, 3)), ["c"] * 50).per_class_
    {'a': 4, 'b': 4, 'c': 4}
    >>> X, y = memory.get()
    >>> X.shape
    (12, 3)
    """

    def __init__(
        self, size: int, *, selection: str = "herding", random_state: Any = None
    ) -> None:
        self.size = _read_size(size)
        if not isinstance(selection, str) or selection not in SELECTIONS:
            raise ValueError(
                f"The 'selection' of {_CALLER} must be one of {list(SELECTIONS)}. Got "
                f"{selection!r}; pass 'herding' for rows near the mean of their class."
            )
        self.selection = selection
        self._generator = as_generator(random_state)
        self._rows: TaskRows | None = None
        self._features: Any = None
        self.per_class_: dict[Any, int] = {}
        self.sample_weight_: NDArray[np.float64] | None = None
        self.n_adds_ = 0

    def __len__(self) -> int:
        """Return the number of rows kept."""
        return 0 if self._rows is None else len(self._rows)

    def __repr__(self) -> str:
        """Return how the memory was made, and what it keeps."""
        return (
            f"{_CALLER}({self.size}, selection={self.selection!r}): {len(self)} rows "
            f"of {len(self.per_class_)} classes"
        )

    def get(self) -> tuple[Any, NDArray[Any]]:
        """Return what is kept, class by class, the most important rows of each first.

        Returns
        -------
        X : ndarray or CSR table of shape (n_kept, ...)
            The rows.
        y : ndarray of shape (n_kept,)
            Their labels.

        Raises
        ------
        ValueError
            If nothing was ever added.
        """
        if self._rows is None:
            raise ValueError(
                f"{_CALLER}.get expected a memory with rows. Got one that none were "
                f"added to; call add first."
            )
        return self._rows.X, self._rows.y

    def add(
        self, X: Any, y: Any, features: Any = None, *, sample_weight: Any = None
    ) -> ExemplarMemory:
        """Keep some rows of the classes that come, and fewer of the others.

        Parameters
        ----------
        X : array-like, sparse table or tensor of shape (n, ...)
            The rows.
        y : array-like of shape (n,)
            Their labels.
        features : array-like or sparse table of shape (n, n_features), default=None
            Features by which "herding" chooses; by default `X` itself.
        sample_weight : array-like of shape (n,), default=None
            Non-negative weights, kept with the rows; those of weight zero are left out.

        Returns
        -------
        self : ExemplarMemory
            The memory, changed.

        Raises
        ------
        ValueError
            For rows, labels, features or weights that do not belong together, or more
            classes than rows in the budget. The memory stays as it was.
        """
        new, phi = self._read(X, y, features, sample_weight)
        if self._rows is not None:
            old, new = alike(self._rows, new)
            require_same_labels(old.y, new.y, f"{_CALLER}.add")
            new = joined(old, new)
            phi = None if phi is None else stacked(self._features, phi)
        labels, codes = group_codes(new.y, f"{_CALLER}.add", name="y")
        # In order of arrival: the old rows come first.
        arrival = np.argsort(np.unique(codes, return_index=True)[1])
        room = budget(self.size, len(labels), _CALLER)
        table = new.X if phi is None else phi
        chosen = []
        for code in arrival:
            where = np.flatnonzero(codes == code)
            if (new.task[where] == self.n_adds_).any():
                where = where[self._order(table, where, new.weight, room)]
            chosen.append(where[:room])
        self._store(new, phi, chosen)
        self.n_adds_ += 1
        return self

    def resize(self, size: int) -> ExemplarMemory:
        """Change the budget; a smaller one keeps the first rows of each class.

        Parameters
        ----------
        size : int
            Number of rows in all. Rows that are gone do not come back with a larger
            one.

        Returns
        -------
        self : ExemplarMemory
            The memory, changed.

        Raises
        ------
        ValueError
            If there are more classes than rows in the budget.
        """
        size = _read_size(size)
        room = budget(size, len(self.per_class_), _CALLER)
        if self._rows is not None:
            ends = np.cumsum([0, *self.per_class_.values()])
            parts = [np.arange(a, b)[:room] for a, b in pairwise(ends)]
            self._store(self._rows, self._features, parts)
        self.size = size
        return self

    def _order(
        self, table: Any, where: NDArray[np.intp], weight: Any, room: int
    ) -> NDArray[np.intp]:
        """Return which of the rows of a class to keep, the most important first."""
        if self.selection == "random":
            return self._generator.permutation(len(where))
        features = feature_table(table[where], "features", f"{_CALLER}.add")
        return ranked(features, room, None if weight is None else weight[where])

    def _store(self, rows: TaskRows, phi: Any, parts: list[NDArray[np.intp]]) -> None:
        """Keep the rows that were chosen of each class."""
        parts = [part for part in parts if len(part)]
        kept = np.concatenate([np.empty(0, np.intp), *parts])
        self._rows = rows.take(kept)
        self._features = None if phi is None else phi[kept]
        self.sample_weight_ = self._rows.weight
        names = rows.y[[part[0] for part in parts]].tolist() if parts else []
        self.per_class_ = dict(zip(names, map(len, parts), strict=True))

    def _read(
        self, X: Any, y: Any, features: Any, sample_weight: Any
    ) -> tuple[TaskRows, Any]:
        """Return rows that have weight, and their features if these are not the X."""
        caller = f"{_CALLER}.add"
        X = X.tocsr() if sparse.issparse(X) else to_labels(X)
        codes = group_codes(y, caller, name="y")[1]
        labels = to_labels(y)
        if X.ndim < 2 or X.shape[0] != len(codes):
            raise ValueError(
                f"The 'X' of {caller} must have a row for each of {len(codes)} labels. "
                f"Got shape {X.shape}; pass rows and labels of the same data."
            )
        phi = None
        if features is not None:
            phi = feature_table(features, "features", caller)
            if phi.shape[0] != len(codes):
                raise ValueError(
                    f"The 'features' of {caller} must have a row for each of "
                    f"{len(codes)} rows. Got shape {phi.shape}; pass what the model "
                    f"makes of X."
                )
        elif self.selection == "herding":
            feature_table(X, "X", caller)
        self._require_alike(X, phi, caller)
        weight = None
        if sample_weight is not None:
            weight = read_sample_weight(sample_weight, X, caller)
        rows = TaskRows(X, labels, weight, np.full(len(codes), self.n_adds_))
        if weight is None:
            return rows, phi
        counted = np.flatnonzero(weight)
        return rows.take(counted), None if phi is None else phi[counted]

    def _require_alike(self, X: Any, phi: Any, caller: str) -> None:
        """Refuse rows that do not fit those that are kept."""
        if self._rows is None:
            return
        before, now = self._rows.X.shape[1:], X.shape[1:]
        if before != now:
            raise ValueError(
                f"The 'X' of {caller} must have rows of shape {before}, as before. Got "
                f"{now}; pass the same columns each time."
            )
        with_phi = self._features is not None
        if with_phi != (phi is not None) or (
            with_phi and self._features.shape[1] != phi.shape[1]
        ):
            raise ValueError(
                f"The 'features' of {caller} must be those of one model each time. Got "
                f"{'none' if phi is None else phi.shape[1]}, after "
                f"{self._features.shape[1] if with_phi else 'none'}; pass the same "
                f"ones each time, or begin a new memory."
            )


def _read_size(size: Any) -> int:
    if is_integer(size) and size >= 0:
        return int(size)
    raise (ValueError if is_integer(size) else TypeError)(
        f"The 'size' of {_CALLER} must be an integer >= 0. Got {size!r}; pass how many "
        f"rows to keep in all."
    )
