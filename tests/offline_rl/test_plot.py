"""A picture of returns before and after weighting."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.exceptions import NotFittedError

from statlearn.offline_rl import (
    ReturnDistributionDisplay,
    ReturnWeighting,
    UniformWeighting,
)
from trajectory_cases import four, with_returns


def heights(polygon):
    """Heights of the steps of an outline, as areas over widths."""
    return np.array(polygon.get_xy())[:, 1].max()


def test_bars_are_shares_of_drawn_transitions():
    weighting = ReturnWeighting(0.1).fit(four())
    display = ReturnDistributionDisplay.from_weighting(weighting)
    assert display.plot(bins=8) is display  # returns 2, 3, 6, 10 in bins of width 1
    before, after = display.bars_
    found = [bar.get_height() for bar in before]
    assert_allclose(found, [0.4, 0.2, 0.0, 0.0, 0.3, 0.0, 0.0, 0.1])
    assert heights(after[0]) == pytest.approx(0.979707933293)


def test_legend_tells_effective_size_and_variance():
    display = ReturnDistributionDisplay.from_weighting(ReturnWeighting().fit(four()))
    texts = [t.get_text() for t in display.plot().ax_.get_legend().get_texts()]
    # Outlines come before bars in a legend or after, as matplotlib likes.
    assert sorted(texts) == [
        "ReturnWeighting (ESS 1.042 of 10)",
        "uniform (PSV 0.0903 of range²)",
    ]
    assert display.ax_.get_ylabel() == "Share of drawn transitions"


def test_equal_returns_have_no_variance():
    weighting = UniformWeighting().fit(with_returns([2.0, 2.0]))
    display = ReturnDistributionDisplay.from_weighting(weighting, name="none").plot()
    assert display.psv == 0.0
    assert display.name == "none"


def test_what_is_no_fitted_weighting_is_refused():
    with pytest.raises(NotFittedError, match="expected a fitted ReturnWeighting"):
        ReturnDistributionDisplay.from_weighting(ReturnWeighting())
    with pytest.raises(TypeError, match="must be a TrajectoryWeighting"):
        ReturnDistributionDisplay.from_weighting(np.ones(3))
