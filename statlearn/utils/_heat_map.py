"""A heat map with its numbers. matplotlib comes with the axes that are handed in."""

from __future__ import annotations

from math import inf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._axes import INK


class AnnotatedImage(NamedTuple):
    """What :func:`annotated_image` has drawn.

    Attributes
    ----------
    image : AxesImage
    colorbar : Colorbar
    texts : list of Text
        Row by row; empty if there was no room.
    """

    image: Any
    colorbar: Any
    texts: list[Any]


def annotated_image(
    ax: Any,
    table: NDArray[np.float64],
    label: str,
    style: dict[str, Any],
    *,
    max_numbers: int,
    white_above: float = inf,
) -> AnnotatedImage:
    """Draw a table as colours with a bar, and its numbers while there is room.

    Parameters
    ----------
    ax : Axes
    table : ndarray of shape (n_rows, n_columns)
    label : str
        What the colours stand for.
    style : dict
        For `imshow`.
    max_numbers : int
        Largest number of cells that have their number written in.
    white_above : float, default=inf
        Absolute value beyond which colours are too dark for dark numbers.

    Returns
    -------
    drawn : AnnotatedImage
    """
    image = ax.imshow(table, **{"interpolation": "nearest"} | style)
    colorbar = ax.figure.colorbar(image, ax=ax, label=label)
    cells = np.ndenumerate(table) if table.size <= max_numbers else ()
    texts = [
        ax.text(
            column,
            row,
            f"{value:.2f}",
            color="white" if abs(value) > white_above else INK,
            ha="center",
            va="center",
        )
        for (row, column), value in cells
    ]
    return AnnotatedImage(image, colorbar, texts)
