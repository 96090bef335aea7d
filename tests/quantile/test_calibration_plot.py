"""The display of calibration draws what it stores."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import binom
from sklearn.linear_model import LinearRegression

from normal_quantiles import GRID, LEVELS, Normal, X, Y, band_of, legend
from statlearn.quantile import QuantileCalibrationDisplay


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_shares_of_targets_below_are_drawn_against_levels():
    display = QuantileCalibrationDisplay.from_predictions(Y, GRID, LEVELS, name="model")
    shares = [(GRID[:, k] >= Y).mean() for k in range(5)]
    assert_allclose(display.shares, shares)
    display.plot()
    assert_array_equal(display.line_.get_xdata(), LEVELS)
    assert_allclose(display.line_.get_ydata(), shares)
    assert display.ax_.get_xlabel() == "Level"
    assert display.ax_.get_ylabel() == "Share of targets not above"
    assert display.ax_.get_title() == ""
    assert display.figure_ is display.ax_.figure
    assert legend(display) == ["model"]
    assert legend(display.plot(display.ax_, name="mine")) == ["model", "mine"]


def test_an_estimator_is_asked_for_its_own_or_other_levels():
    make = QuantileCalibrationDisplay.from_estimator
    display = make(Normal(), X, Y)
    whole = QuantileCalibrationDisplay.from_predictions(Y, GRID, LEVELS)
    assert_array_equal(display.shares, whole.shares)
    assert legend(display.plot()) == ["Normal"]
    assert make(Normal(), X, Y, levels=[0.5]).shares == whole.shares[2]


def test_weights_count_rows_and_widen_the_band():
    weight = np.array([3.0, 1.0, 0.0, 0.0] * 10)
    display = QuantileCalibrationDisplay.from_predictions(
        Y, GRID, LEVELS, sample_weight=weight
    )
    expected = np.average(GRID[:, 0] >= Y, weights=weight)
    assert_allclose(display.shares[0], expected)
    assert_allclose(display.n_effective, weight.sum() ** 2 / (weight**2).sum())


def test_band_holds_shares_of_honest_quantiles():
    display = QuantileCalibrationDisplay.from_predictions(Y, GRID, LEVELS)
    places, edges = band_of(display.plot(coverage=0.9).band_)
    for level in (0.25, 0.5, 0.9):
        at = int(np.argmin(np.abs(places - level)))
        chance = binom(40, level)
        inside = chance.cdf(40 * edges[at, 1] + 1e-9) - chance.cdf(
            40 * edges[at, 0] - 1 + 1e-9
        )
        assert inside >= 0.9
    assert edges.min() == 0.0
    assert edges.max() == 1.0
    assert display.plot(coverage=None).band_ is None


def test_displays_that_share_axes_have_their_own_colours():
    _, ax = plt.subplots()
    displays = [
        QuantileCalibrationDisplay.from_estimator(Normal(), X, Y).plot(ax)
        for _ in range(3)
    ]
    assert len({display.line_.get_color() for display in displays}) == 3
    assert sum(line.get_gid() == "equal" for line in ax.get_lines()) == 1


def test_keywords_reach_the_line():
    display = QuantileCalibrationDisplay.from_predictions(Y, GRID, LEVELS)
    display.plot(linewidth=7.0, label="given")
    assert display.line_.get_linewidth() == 7.0
    assert legend(display) == ["given"]


# -- bad input ------------------------------------------------------------------


def test_an_estimator_without_levels_is_refused():
    model = LinearRegression().fit(X, Y)
    with pytest.raises(TypeError, match="'estimator' of QuantileCalibrationDisplay"):
        QuantileCalibrationDisplay.from_estimator(model, X, Y)


def test_one_axes_is_needed():
    _, axes = plt.subplots(1, 2)
    display = QuantileCalibrationDisplay.from_predictions(Y, GRID, LEVELS)
    with pytest.raises(ValueError, match="must be one Axes"):
        display.plot(axes)


def test_a_band_for_certain_is_refused():
    display = QuantileCalibrationDisplay.from_predictions(Y, GRID, LEVELS)
    with pytest.raises(ValueError, match="'coverage' of QuantileCalibrationDisplay"):
        display.plot(coverage=1.0)
