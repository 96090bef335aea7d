from __future__ import annotations

import numpy as np
import pytest

from statlearn.utils._axes import INK
from statlearn.utils._heat_map import annotated_image

pyplot = pytest.importorskip("matplotlib.pyplot")
TABLE = np.array([[0.1, -0.9, 0.25], [0.5, 1.0, 0.0]])


@pytest.fixture
def ax():
    figure, axes = pyplot.subplots()
    yield axes
    pyplot.close(figure)


def test_cells_have_their_numbers_and_a_bar(ax):
    drawn = annotated_image(ax, TABLE, "Share", {"vmax": 2.0}, max_numbers=6)
    found = [text.get_text() for text in drawn.texts]
    assert found == ["0.10", "-0.90", "0.25", "0.50", "1.00", "0.00"]
    assert [t.get_position() for t in drawn.texts[:4]] == [
        (0, 0),
        (1, 0),
        (2, 0),
        (0, 1),
    ]
    assert drawn.colorbar.ax.get_ylabel() == "Share"
    assert drawn.image.get_clim()[1] == 2.0
    assert drawn.image.get_interpolation() == "nearest"
    np.testing.assert_array_equal(drawn.image.get_array(), TABLE)


def test_numbers_are_left_out_without_room(ax):
    assert annotated_image(ax, TABLE, "Share", {}, max_numbers=5).texts == []


def test_numbers_on_dark_cells_are_white(ax):
    drawn = annotated_image(ax, TABLE, "", {}, max_numbers=6, white_above=0.6)
    colors = [text.get_color() for text in drawn.texts]
    assert colors == [INK, "white", INK, INK, "white", INK]
