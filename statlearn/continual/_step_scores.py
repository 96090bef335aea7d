"""How well classes are told that were learnt in different steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._losses import positions
from statlearn.utils._tables import number, text_table

Array = NDArray[np.float64]

# Labels of a step that its line names.
_N_NAMES = 4


@dataclass(frozen=True, slots=True)
class StepScores:
    """Accuracy on the classes of each step, of an :class:`IncrementalClassifier`.

    Attributes
    ----------
    step_classes : tuple of ndarray
        The classes that each step brought; none for a step of known ones.
    n_rows : ndarray of shape (n_steps,)
        Number of rows of these classes.
    accuracy : ndarray of shape (n_steps,)
        Share of them whose label is right; NaN without rows, like all others.
    confusion : ndarray of shape (n_steps, n_steps)
        Share of the rows of classes of step i that are taken for a class of step j.
    overall : float
        Accuracy on all rows.
    old : float
        Accuracy on classes that came before the last new ones.
    new : float
        Accuracy on the last new classes.

    See Also
    --------
    IncrementalClassifier : Makes it by `score_steps`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from statlearn.continual import IncrementalClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = IncrementalClassifier(memory_size=20)
    >>> for low in (0, 2):
    ...     rows = (y == low) | (y == low + 1)
    ...     model = model.partial_fit(X[rows], y[rows])
    >>> scores = model.score_steps(X[y < 4], y[y < 4])
    >>> scores.n_rows
    array([360, 360])
    >>> scores.overall > 0.9
    True
    """

    step_classes: tuple[NDArray[Any], ...]
    n_rows: NDArray[np.intp]
    accuracy: Array
    confusion: Array
    overall: float
    old: float
    new: float

    def summary(self) -> str:
        """Return a table with a line for each step.

        Returns
        -------
        text : str
            Its classes, rows and accuracy, and the share of rows that are taken for one
            of the classes learnt last, followed by the accuracy on old, new and all
            classes.
        """
        newest = self._newest()
        head = ["step", "classes", "rows", "accuracy", f"taken for step {newest}"]
        lines = []
        for step, classes in enumerate(self.step_classes):
            names = [str(name) for name in classes[:_N_NAMES].tolist()]
            names += ["..."] if len(classes) > _N_NAMES else []
            figures = (self.accuracy[step], self.confusion[step, newest])
            cells = [str(step), " ".join(names), str(self.n_rows[step])]
            lines.append(cells + [number(value) for value in figures])
        ends = [("old", self.old), ("new", self.new), ("all", self.overall)]
        lines += [[name, "", "", number(value), ""] for name, value in ends]
        return text_table(head, lines)

    def _newest(self) -> int:
        return max(i for i, classes in enumerate(self.step_classes) if len(classes))


def step_scores(
    step_classes: list[NDArray[Any]],
    classes: NDArray[Any],
    own: NDArray[np.intp],
    taken: NDArray[np.intp],
) -> StepScores:
    """Return the scores of rows.

    Parameters
    ----------
    step_classes : list of ndarray
        The classes that each step brought.
    classes : ndarray of shape (n_classes,)
        All of them.
    own : ndarray of shape (n,)
        Position of the class of each row.
    taken : ndarray of shape (n,)
        Position of the class that each row is taken for.
    """
    n_steps = len(step_classes)
    step_of = np.empty(len(classes), dtype=np.intp)
    for step, brought in enumerate(step_classes):
        step_of[positions(classes, brought)] = step
    right, own, taken = own == taken, step_of[own], step_of[taken]
    n_rows = np.bincount(own, minlength=n_steps)
    pairs = np.bincount(own * n_steps + taken, minlength=n_steps**2)
    per_row = 1.0 / np.where(n_rows, n_rows, np.nan)
    newest = step_of.max()
    return StepScores(
        tuple(step_classes),
        n_rows,
        np.bincount(own, weights=right, minlength=n_steps) * per_row,
        pairs.reshape(n_steps, n_steps) * per_row[:, None],
        _share(right),
        _share(right[own != newest]),
        _share(right[own == newest]),
    )


def _share(right: NDArray[np.bool_]) -> float:
    return float(right.mean()) if len(right) else float("nan")
