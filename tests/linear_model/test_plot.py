"""Standardised residuals against robust distances, and how they are drawn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.covariance import MinCovDet
from sklearn.exceptions import NotFittedError

from reweighted_oracle import dirty
from statlearn.exceptions import ExactFitWarning
from statlearn.linear_model import ReweightedLinearRegression, RobustResidualsDisplay
from statlearn.linear_model._plot import robust_distances

X, Y = dirty()
X[50:53] += 12.0  # good leverage points
Y[50:53] += 12.0 * np.sum(np.linspace(1.0, -2.0, 3))
MODEL = ReweightedLinearRegression("mm", random_state=0).fit(X, Y)
N = len(Y)


def of_the_fit(**options):
    options = {"random_state": 0} | options
    return RobustResidualsDisplay.from_estimator(MODEL, X, **options)


# ----------------------------------------------------------------------------- contents
def test_residuals_are_in_scales_and_weights_are_those_of_the_fit():
    display = of_the_fit()
    assert_allclose(display.residuals, (Y - MODEL.predict(X)) / MODEL.scale_)
    assert_array_equal(display.weights, MODEL.weights_)
    assert display.n_features == 3
    assert display.name == "ReweightedLinearRegression"
    assert_array_equal(display.labels, np.arange(N))


def test_new_rows_are_shown_with_the_scale_of_the_fit():
    new, response = dirty(5, n=30)
    display = RobustResidualsDisplay.from_estimator(
        MODEL, new, response, random_state=0, name="new"
    )
    assert_allclose(display.residuals, (response - MODEL.predict(new)) / MODEL.scale_)
    assert display.weights is None
    assert display.name == "new"


def test_distances_are_those_of_the_minimum_covariance_determinant():
    found = MinCovDet(random_state=0).fit(X)
    expected = np.sqrt(found.mahalanobis(X))
    assert_allclose(of_the_fit().distances, expected, rtol=1e-6)
    assert expected[50:53].min() > 2.0 * np.sqrt(stats.chi2.ppf(0.975, 3))


def test_predictions_of_any_model_are_scaled_by_their_median():
    display = RobustResidualsDisplay.from_predictions(Y, MODEL.predict(X), X)
    r = Y - MODEL.predict(X)
    expected = r / (1.482602218505602 * np.median(np.abs(r)))
    assert_allclose(display.residuals, expected)
    assert display.weights is display.name is None
    given = RobustResidualsDisplay.from_predictions(
        Y.tolist(), MODEL.predict(X), X.tolist(), scale=2, weights=[1.0] * N
    )
    assert_allclose(given.residuals, r / 2.0)
    assert_array_equal(given.weights, 1.0)
    assert_array_equal(given.labels, np.arange(N))


def test_rows_are_named_by_the_index_of_a_frame_or_by_hand():
    names = [f"r{i}" for i in range(N)]
    frame = pd.DataFrame(X, index=names)
    display = RobustResidualsDisplay.from_predictions(Y, Y + 1.0, frame)
    assert display.labels.tolist() == names
    other = RobustResidualsDisplay.from_predictions(
        Y, Y + 1.0, frame, labels=names[::-1]
    )
    assert other.labels.tolist() == names[::-1]
    plain = RobustResidualsDisplay.from_predictions(Y, Y + 1.0, pl.DataFrame(X))
    assert_array_equal(plain.labels, np.arange(N))


# ---------------------------------------------------------------------------- distances
@pytest.mark.parametrize("units", [[1e-200, 1.0, 1e200], [-3.0, 1e5, 1e-5]])
def test_distances_do_not_depend_on_units(units):
    plain = robust_distances(X, 0)
    assert_allclose(robust_distances(X * units + [0.0, 1.0, 0.0], 0), plain, rtol=1e-6)


def test_same_random_state_gives_the_same_distances():
    many = np.random.default_rng(0).normal(size=(700, 3))
    generator = [robust_distances(many, np.random.default_rng(3)) for _ in range(2)]
    assert_array_equal(generator[0], generator[1])
    legacy = [robust_distances(many, np.random.RandomState(3)) for _ in range(2)]
    assert_array_equal(legacy[0], legacy[1])


def test_constant_column_changes_no_distance():
    more = np.column_stack((X, np.full(N, 7.0)))
    assert_allclose(robust_distances(more, 0), robust_distances(X, 0), rtol=1e-6)
    display = RobustResidualsDisplay.from_predictions(Y, Y + 1.0, more)
    assert display.n_features == 3


def test_column_without_a_bulk_has_no_distances():
    assert_array_equal(robust_distances(np.ones((20, 1)), 0), 0.0)
    rare = (np.arange(40) < 4).astype(float)[:, None]
    assert_array_equal(robust_distances(rare, 0), 0.0)


def test_rare_dummy_beside_a_number_is_measured():
    mixed = np.column_stack((X[:, 0], np.arange(N) < 4))
    distances = robust_distances(mixed, 0)
    assert np.isfinite(distances).all()
    assert distances.max() > 2.0


def test_few_rows_can_be_measured():
    for n in (2, 3, 5):
        assert np.isfinite(robust_distances(X[:n], 0)).all()


# ------------------------------------------------------------------------------ drawing
def test_points_lines_and_labels_are_drawn():
    display = of_the_fit().plot()
    offsets = display.points_.get_offsets()
    assert_allclose(offsets, np.column_stack((display.distances, display.residuals)))
    assert_allclose(display.points_.get_array(), MODEL.weights_)
    heights = [line.get_ydata()[0] for line in display.ax_.lines[:2]]
    assert heights == [-2.5, 2.5]
    limit = display.ax_.lines[2].get_xdata()[0]
    assert limit == pytest.approx(np.sqrt(stats.chi2.ppf(0.975, 3)))
    assert "distance" in display.ax_.get_xlabel()
    assert display.ax_.get_ylabel() == "Residual / scale"
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == ["ReweightedLinearRegression"]


def test_rows_farthest_out_are_named_and_no_others():
    display = of_the_fit().plot(n_labels=100)
    limit = np.sqrt(stats.chi2.ppf(0.975, 3))
    out = (np.abs(display.residuals) > 2.5) | (display.distances > limit)
    named = {int(text.get_text()) for text in display.texts_}
    assert named == set(np.flatnonzero(out))
    assert {0, 1, 2, 3, 4, 50, 51, 52} <= named
    three = [text.get_text() for text in of_the_fit().plot(n_labels=3).texts_]
    assert three == [text.get_text() for text in display.texts_[:3]]
    assert of_the_fit().plot(n_labels=0).texts_ == []


def test_names_of_a_frame_are_written():
    names = [f"row {i}" for i in range(N)]
    frame = pd.DataFrame(X, index=names)
    display = RobustResidualsDisplay.from_predictions(Y, MODEL.predict(X), frame)
    written = {text.get_text() for text in display.plot(n_labels=50).texts_}
    assert {"row 0", "row 51"} <= written


def test_axes_and_options_of_the_caller_are_used():
    axes = Figure().subplots()
    display = of_the_fit()
    same = display.plot(axes, name="robust", s=9, marker="^", edgecolors="red")
    assert same is display
    assert display.ax_ is axes
    assert display.figure_ is axes.figure
    assert_array_equal(display.points_.get_sizes(), 9)
    assert same_color(display.points_.get_edgecolor()[0], "red")
    assert axes.get_legend().get_texts()[0].get_text() == "robust"


def test_weights_have_a_colour_bar_from_zero_to_their_largest():
    display = of_the_fit().plot()
    assert display.points_.get_clim() == (0.0, 1.0)
    assert len(display.figure_.axes) == 2
    model = ReweightedLinearRegression("linupper").fit(X, Y)
    loss = RobustResidualsDisplay.from_estimator(model, X).plot()
    assert loss.points_.get_clim() == (0.0, model.weights_.max())
    bare = RobustResidualsDisplay.from_predictions(Y, Y + 1.0, X).plot()
    assert len(bare.figure_.axes) == 1
    assert bare.ax_.get_legend() is None


# ---------------------------------------------------------------------------- bad input
@pytest.mark.parametrize(
    ("n_labels", "error"), [(-1, ValueError), (2.0, TypeError), (True, TypeError)]
)
def test_number_of_names_is_refused_if_it_is_none(n_labels, error):
    with pytest.raises(error, match=r"'n_labels' of RobustRes.* be an integer >= 0"):
        of_the_fit().plot(n_labels=n_labels)


def test_model_has_to_be_fitted_first():
    with pytest.raises(NotFittedError, match="expected a fitted"):
        RobustResidualsDisplay.from_estimator(ReweightedLinearRegression(), X)


@pytest.mark.parametrize(
    "make",
    [
        lambda: RobustResidualsDisplay.from_estimator(MODEL, X[:-1]),
        lambda: RobustResidualsDisplay.from_predictions(Y, Y + 1.0, X[:-1]),
        lambda: RobustResidualsDisplay.from_predictions(Y, Y + 1.0, X, weights=[1.0]),
        lambda: RobustResidualsDisplay.from_predictions(Y, Y + 1.0, X, labels=["a"]),
        lambda: RobustResidualsDisplay.from_predictions(Y[:, None], Y[:, None] + 1, X),
    ],
    ids=["rows", "predictions", "weights", "labels", "column"],
)
def test_lengths_that_disagree_are_refused(make):
    expected = r"one value for each of the .* rows of X. Got shapes .*; pass the rows"
    with pytest.raises(ValueError, match=expected):
        make()


def test_scale_of_zero_is_refused():
    with pytest.raises(ValueError, match=r"positive scale. Got 0.*; pass .*scale=<"):
        RobustResidualsDisplay.from_predictions(Y, Y, X)
    with pytest.warns(ExactFitWarning, match="plane"):
        model = ReweightedLinearRegression().fit(X, X[:, 0])
    with pytest.raises(ValueError, match="positive scale"):
        RobustResidualsDisplay.from_estimator(model, X)


def test_table_with_gaps_is_refused():
    gap = X.copy()
    gap[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        RobustResidualsDisplay.from_predictions(Y, Y + 1.0, gap)
