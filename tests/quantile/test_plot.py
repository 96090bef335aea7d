"""The displays of quantiles draw what they store."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import binom, norm
from sklearn.base import BaseEstimator
from sklearn.linear_model import LinearRegression

from statlearn.quantile import IntervalDisplay, QuantileCalibrationDisplay

LEVELS = np.array([0.1, 0.25, 0.5, 0.75, 0.9])
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 2))
Y = X[:, 0] + RNG.normal(size=40)
GRID = X[:, :1] + norm.ppf(LEVELS)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


class Normal(BaseEstimator):
    """Right quantiles of the data above, without any fit."""

    def __init__(self, levels=LEVELS):
        self.levels = self.levels_ = levels

    def predict_quantiles(self, X, levels=None):
        wanted = self.levels_ if levels is None else levels
        return np.asarray(X)[:, :1] + norm.ppf(wanted)


def legend(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def band_of(collection):
    """Lower and upper edge of a filled band at each of its places."""
    points = collection.get_paths()[0].vertices
    places = np.unique(points[:, 0])
    inside = [points[points[:, 0] == place, 1] for place in places]
    return places, np.array([[each.min(), each.max()] for each in inside])


# -- calibration ------------------------------------------------------------------


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


# -- intervals ------------------------------------------------------------------


def test_fan_has_a_band_for_each_pair_of_levels_in_the_order_of_the_feature():
    display = IntervalDisplay.from_estimator(Normal(), X, Y, feature=0, name="fan")
    display.plot()
    order = np.argsort(X[:, 0])
    assert len(display.bands_) == 2
    for k, band in enumerate(display.bands_):
        places, edges = band_of(band)
        assert_allclose(places, X[order, 0])
        assert_allclose(edges, GRID[order][:, [k, 4 - k]])
    assert_allclose(display.line_.get_ydata(), GRID[order, 2])
    assert_allclose(display.points_.get_ydata(), Y[order])
    assert legend(display) == [
        "fan, 80 % interval",
        "fan, 50 % interval",
        "fan, level 0.5",
        "targets",
    ]
    assert display.ax_.get_xlabel() == "Feature 0"
    assert display.ax_.get_ylabel() == "Target"


def test_without_a_feature_rows_stand_side_by_side():
    display = IntervalDisplay.from_estimator(Normal([0.2, 0.8]), X).plot()
    assert_array_equal(display.x, np.arange(40))
    assert display.ax_.get_xlabel() == "Row"
    assert display.line_ is None
    assert display.points_ is None
    assert legend(display) == ["60 % interval"]


def test_a_column_of_a_data_frame_is_found_by_its_name():
    frame = pd.DataFrame(X, columns=["size", "age"])
    display = IntervalDisplay.from_estimator(Normal(), frame, feature="age").plot()
    assert_array_equal(display.x, X[:, 1])
    assert display.ax_.get_xlabel() == "age"


def test_dates_may_be_the_horizontal_axis():
    dates = np.arange("2026-01-01", "2026-02-10", dtype="datetime64[D]")
    display = IntervalDisplay.from_predictions(
        None, GRID, LEVELS, x=dates, x_name="Date"
    )
    display.plot().figure_.draw_without_rendering()
    assert display.ax_.get_xlabel() == "Date"


def test_infinite_ends_are_drawn_at_the_edge_of_the_finite_ones():
    grid = np.array([[-np.inf, 0.0, np.inf], [-2.0, 1.0, 3.0]])
    display = IntervalDisplay.from_predictions([0.0, 8.0], grid, [0.1, 0.5, 0.9])
    _, edges = band_of(display.plot().bands_[0])
    assert_allclose(edges, [[-3.0, 9.0], [-2.0, 3.0]])
    empty = IntervalDisplay.from_predictions(None, [[-np.inf, np.inf]] * 2, [0.1, 0.9])
    empty.plot().figure_.draw_without_rendering()
    assert np.isfinite(empty.ax_.get_ylim()).all()


def test_keywords_reach_the_bands():
    display = IntervalDisplay.from_predictions(Y, GRID, LEVELS).plot(alpha=0.5)
    assert [band.get_alpha() for band in display.bands_] == [0.5, 0.5]


# -- bad input ------------------------------------------------------------------


def test_an_estimator_without_levels_is_refused():
    for display in (QuantileCalibrationDisplay, IntervalDisplay):
        with pytest.raises(TypeError, match=f"'estimator' of {display.__name__}"):
            display.from_estimator(LinearRegression().fit(X, Y), X, Y)


def test_places_of_another_number_than_rows_are_refused():
    with pytest.raises(ValueError, match=r"'x' of IntervalDisplay.*each of 40 rows"):
        IntervalDisplay.from_predictions(Y, GRID, LEVELS, x=[1.0, 2.0])


def test_a_column_of_targets_does_not_become_a_square():
    display = IntervalDisplay.from_predictions(Y[:, None], GRID, LEVELS)
    assert display.y.shape == (40,)


def test_one_axes_is_needed():
    _, axes = plt.subplots(1, 2)
    for display in (
        QuantileCalibrationDisplay.from_predictions(Y, GRID, LEVELS),
        IntervalDisplay.from_predictions(Y, GRID, LEVELS),
    ):
        with pytest.raises(ValueError, match="must be one Axes"):
            display.plot(axes)


def test_a_band_for_certain_is_refused():
    display = QuantileCalibrationDisplay.from_predictions(Y, GRID, LEVELS)
    with pytest.raises(ValueError, match="'coverage' of QuantileCalibrationDisplay"):
        display.plot(coverage=1.0)
