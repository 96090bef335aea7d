"""The picture of the line between two networks."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from matching_cases import A, B, cross_entropy
from statlearn.merging import BarrierDisplay, loss_barrier


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_losses_and_the_line_between_their_ends_are_drawn():
    display = BarrierDisplay.from_models(cross_entropy, A, B, n_points=5, name="naive")
    display.plot()
    expected = loss_barrier(cross_entropy, A, B, 5, return_curve=True)
    np.testing.assert_array_equal(display.line_.get_ydata(), expected.loss)
    np.testing.assert_array_equal(display.line_.get_xdata(), expected.lam)
    np.testing.assert_array_equal(display.chord_.get_xdata(), [0.0, 1.0])
    np.testing.assert_array_equal(display.chord_.get_ydata(), expected.loss[[0, -1]])
    assert legend(display.ax_) == ["naive"]
    assert display.ax_.get_ylabel() == "Loss"


def test_lines_on_one_axes_have_colours_and_names_of_their_own():
    curve = loss_barrier(cross_entropy, A, B, 5, return_curve=True)
    first = BarrierDisplay.from_curve(curve, name="first").plot()
    second = BarrierDisplay.from_curve(curve).plot(first.ax_, name="second", alpha=0.5)
    assert second.ax_ is first.ax_
    assert first.line_.get_color() != second.line_.get_color()
    assert second.line_.get_alpha() == 0.5
    assert legend(first.ax_) == ["first", "second"]


def test_line_without_a_name_has_no_legend():
    curve = loss_barrier(cross_entropy, A, B, 5, return_curve=True)
    assert BarrierDisplay.from_curve(curve).plot().ax_.get_legend() is None


def test_what_is_no_curve_is_refused():
    with pytest.raises(TypeError, match="must be a BarrierCurve\\. Got float"):
        BarrierDisplay.from_curve(0.3)


def test_several_axes_are_refused():
    display = BarrierDisplay.from_models(cross_entropy, A, B, n_points=3)
    with pytest.raises(ValueError, match="must be one Axes"):
        display.plot(plt.subplots(1, 2)[1])
