"""The picture of what matching aligns."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from matching_cases import A, B
from statlearn.merging import SingularAlignmentDisplay, alignment


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_alignment_is_drawn_over_the_threshold():
    display = SingularAlignmentDisplay.from_models(A, {"b": B, "a": A}, n_points=11)
    display.plot(name="case")
    assert legend(display.ax_) == ["case, b", "case, a"]
    np.testing.assert_allclose(display.lines_[0].get_ydata()[3], alignment(A, B, 0.3))
    np.testing.assert_allclose(display.lines_[1].get_ydata(), 1.0)
    np.testing.assert_allclose(display.lines_[0].get_xdata(), np.linspace(0, 1, 11))


def test_layers_are_those_of_alignment():
    display = SingularAlignmentDisplay.from_models(A, {"b": B}, layers="W1", n_points=2)
    expected = alignment(A, B, layers="W1")
    assert display.alignments["b"][0] == pytest.approx(expected)


@pytest.mark.parametrize("models", [{}, [B], None], ids=["none", "list", "missing"])
def test_networks_need_names(models):
    with pytest.raises(ValueError, match="must be networks by their names"):
        SingularAlignmentDisplay.from_models(A, models)


def test_points_must_be_counted():
    with pytest.raises(ValueError, match="'n_points' of SingularAlignmentDisplay"):
        SingularAlignmentDisplay.from_models(A, {"b": B}, n_points=0)


def test_several_axes_are_refused():
    display = SingularAlignmentDisplay.from_models(A, {"b": B})
    with pytest.raises(ValueError, match="must be one Axes"):
        display.plot(plt.subplots(1, 2)[1])
