"""A picture of the angles between task vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from statlearn.merging._state._entry import Array
from statlearn.merging._task_vectors._task_vector import cosine_matrix
from statlearn.utils._axes import COLORS, axes_for
from statlearn.utils._heat_map import annotated_image
from statlearn.utils._optional import require
from statlearn.utils._validation import as_numbers

# Cells of the map that still have room for numbers: those of 12 models.
_MAX_NUMBERS = 144
# Cells stay pale enough for the numbers on them, on light and on dark ground.
_OPACITY = 0.6


class TaskVectorDisplay:
    """A heat map of the cosines between task vectors.

    Where all are near zero, tasks changed different weights and merge with little
    conflict; where they are negative, one task undoes another. Create it with
    `from_models` or `from_cosines`, then call `plot`.

    Parameters
    ----------
    cosines : ndarray of shape (n_models, n_models)
        Cosine of the angle between each two task vectors.
    models : list of str
        Names of the models.

    Attributes
    ----------
    ax_ : Axes
        Where `plot` drew. Set by `plot`, like the following ones.
    figure_ : Figure
        The figure.
    image_ : AxesImage
        The map.
    colorbar_ : Colorbar
        Its scale.
    texts_ : list of Text
        Cosines as numbers, where there are few.

    See Also
    --------
    cosine_matrix : Computes the numbers.
    merge_weights : Merges what the task vectors have learnt.
    sti : How much the singular vectors of tasks interfere, layer by layer.
    sklearn.metrics.ConfusionMatrixDisplay : Another map of numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import TaskVectorDisplay
    >>> base = {"w": np.zeros(2)}
    >>> add, undo = {"w": np.array([1.0, 0.0])}, {"w": np.array([-2.0, 0.0])}
    >>> display = TaskVectorDisplay.from_models({"add": add, "undo": undo}, base)
    >>> [text.get_text() for text in display.plot().texts_]
    ['1.00', '-1.00', '-1.00', '1.00']
    """

    ax_: Any
    figure_: Any
    image_: Any
    colorbar_: Any
    texts_: list[Any]

    def __init__(self, cosines: Array, models: Sequence[str]) -> None:
        self.cosines = cosines
        self.models = list(models)

    @classmethod
    def from_models(cls, models: Mapping[str, Any], base: Any) -> TaskVectorDisplay:
        """Compare what tuning added to a base, for each two models.

        Parameters
        ----------
        models : mapping of str to estimator, torch module, mapping or TaskVector
            Tuned models, or their task vectors, by names for the axes.
        base : estimator, torch module or mapping
            Model that they all started from; not looked at for task vectors.

        Returns
        -------
        display : TaskVectorDisplay
            Not drawn yet.

        Raises
        ------
        TypeError
            If the models have no names.
        ValueError
            If there are no models, or names or shapes of their arrays differ.
        """
        if not isinstance(models, Mapping):
            raise TypeError(
                "The 'models' of TaskVectorDisplay.from_models must be models by their "
                f"names. Got {type(models).__name__}; pass {{'first': model, ...}}."
            )
        return cls(cosine_matrix(list(models.values()), base), [*map(str, models)])

    @classmethod
    def from_cosines(
        cls, cosines: Any, models: Sequence[str] | None = None
    ) -> TaskVectorDisplay:
        """Take cosines that :func:`cosine_matrix` has returned.

        Parameters
        ----------
        cosines : array-like of shape (n_models, n_models)
            Cosine for each two models.
        models : sequence of n_models str, default=None
            Names of the models; by default numbers.

        Returns
        -------
        display : TaskVectorDisplay
            Not drawn yet.

        Raises
        ------
        ValueError
            If it is no square of numbers from -1 to 1, or names are missing.
        """
        caller = "TaskVectorDisplay.from_cosines"
        found = as_numbers(cosines)
        square = found.ndim == 2 and found.shape[0] == found.shape[1] > 0
        # Rounding may carry the cosine of equal vectors a little beyond one.
        wrong = ~(np.abs(found) <= 1.0 + 1e-9)
        if not square or wrong.any():
            raise ValueError(
                f"The 'cosines' of {caller} must be a square of numbers from -1 to 1. "
                f"Got shape {found.shape} with {wrong.sum()} others; pass "
                "cosine_matrix(models, base)."
            )
        names = [str(name) for name in (models or range(len(found)))]
        if len(names) != len(found):
            raise ValueError(
                f"The 'models' of {caller} must name each of {len(found)} models. Got "
                f"{len(names)} names; pass one for each."
            )
        return cls(found, names)

    def plot(
        self, ax: Any = None, *, name: str | None = None, **kwargs: Any
    ) -> TaskVectorDisplay:
        """Draw the heat map.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; by default a new figure.
        name : str, default=None
            What the colours stand for, instead of "Cosine of task vectors".
        **kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.imshow`.

        Returns
        -------
        self : TaskVectorDisplay
            With `ax_`, `figure_`, `image_`, `colorbar_` and `texts_`.

        Raises
        ------
        ValueError
            For more than one Axes.
        """
        self.ax_ = ax = axes_for(ax, "TaskVectorDisplay.plot")
        self.figure_ = ax.figure
        style: dict[str, Any] = {"cmap": _opposites(), "vmin": -1.0, "vmax": 1.0}
        self.image_, self.colorbar_, self.texts_ = annotated_image(
            ax,
            self.cosines,
            name or "Cosine of task vectors",
            style | kwargs,
            max_numbers=_MAX_NUMBERS,
        )
        places = range(len(self.models))
        ax.set_xticks(
            places, self.models, rotation=45, ha="right", rotation_mode="anchor"
        )
        ax.set_yticks(places, self.models)
        ax.grid(visible=False)
        return self


def _opposites() -> Any:
    """Return colours that fade towards zero, of another kind on either side."""
    colors = require("matplotlib.colors", "plot", "TaskVectorDisplay.plot")
    low, high = (colors.to_rgb(COLORS[place]) for place in (1, 0))
    # Two nodes at zero: on the way to one transparent white a side would turn grey.
    nodes = [
        (0.0, (*low, _OPACITY)),
        (0.5, (*low, 0.0)),
        (0.5, (*high, 0.0)),
        (1.0, (*high, _OPACITY)),
    ]
    return colors.LinearSegmentedColormap.from_list("opposites", nodes)
