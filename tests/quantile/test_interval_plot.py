"""The display of intervals draws what it stores."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LinearRegression

from normal_quantiles import GRID, LEVELS, Normal, X, Y, band_of, legend
from statlearn.quantile import IntervalDisplay


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


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
    model = LinearRegression().fit(X, Y)
    with pytest.raises(TypeError, match="'estimator' of IntervalDisplay"):
        IntervalDisplay.from_estimator(model, X, Y)


def test_places_of_another_number_than_rows_are_refused():
    with pytest.raises(ValueError, match=r"'x' of IntervalDisplay.*each of 40 rows"):
        IntervalDisplay.from_predictions(Y, GRID, LEVELS, x=[1.0, 2.0])


def test_a_column_of_targets_does_not_become_a_square():
    display = IntervalDisplay.from_predictions(Y[:, None], GRID, LEVELS)
    assert display.y.shape == (40,)


def test_one_axes_is_needed():
    _, axes = plt.subplots(1, 2)
    display = IntervalDisplay.from_predictions(Y, GRID, LEVELS)
    with pytest.raises(ValueError, match="must be one Axes"):
        display.plot(axes)
