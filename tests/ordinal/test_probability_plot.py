"""The display of probabilities stores what was estimated and draws just that."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csc_array, csr_array
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

from statlearn.datasets import make_rare_ordinal
from statlearn.ordinal import (
    OrdinalProbabilityDisplay,
    PrestoClassifier,
)

N_FEATURES = 5
X, Y = make_rare_ordinal(800, N_FEATURES, random_state=0)
NAMES = ["age", "dose", "weight", "sex", "income"]
FRAME = pd.DataFrame(X, columns=NAMES)
MODEL = PrestoClassifier(alpha=0.005).fit(X, Y)
FRAME_MODEL = PrestoClassifier(alpha=0.005).fit(FRAME, Y)


def along(feature, model=MODEL, table=X, **options):
    return OrdinalProbabilityDisplay.from_estimator(
        model, table, feature=feature, **options
    )


def test_probabilities_are_those_of_the_estimator_at_the_medians():
    display = along(2, grid_resolution=7)
    rows = np.tile(np.median(X, axis=0), (7, 1))
    rows[:, 2] = np.linspace(X[:, 2].min(), X[:, 2].max(), 7)
    assert_allclose(display.values, rows[:, 2])
    assert_allclose(display.proba, MODEL.predict_proba(rows))
    assert_array_equal(display.classes, MODEL.classes_)
    assert display.feature_name == "x2"


def test_other_features_are_held_at_a_given_row():
    display = along(0, at=X[3], grid_resolution=5)
    rows = np.tile(X[3], (5, 1))
    rows[:, 0] = display.values
    assert_allclose(display.proba, MODEL.predict_proba(rows))


@pytest.mark.parametrize("table", [FRAME, pl.DataFrame(FRAME.to_dict("list"))])
@pytest.mark.parametrize("feature", ["weight", 2, -3])
def test_frame_gives_names_and_the_same_numbers(table, feature):
    display = along(feature, FRAME_MODEL, table, grid_resolution=9)
    assert display.feature_name == "weight"
    assert_allclose(display.proba, along(2, grid_resolution=9).proba)


def test_row_of_a_frame_can_be_held():
    at = FRAME.iloc[3]
    display = along("age", FRAME_MODEL, FRAME, at=at, grid_resolution=5)
    assert_allclose(display.proba, along(0, at=X[3], grid_resolution=5).proba)


@pytest.mark.parametrize("container", [csr_array, csc_array])
def test_sparse_table_gives_the_same_numbers(container):
    thin = np.where(np.abs(X) < 0.6, 0.0, X)
    model = PrestoClassifier(alpha=0.005).fit(thin, Y)
    got = along(1, model, container(thin))
    assert_allclose(got.values, along(1, model, thin).values)
    assert_allclose(got.proba, along(1, model, thin).proba)


def test_array_takes_the_names_that_a_pipeline_passes_on():
    model = make_pipeline(StandardScaler(), PrestoClassifier()).fit(FRAME, Y)
    assert along("dose", model, FRAME).feature_name == "dose"


def test_feature_with_few_values_is_shown_at_these():
    rounded = X.round()
    display = along(0, PrestoClassifier().fit(rounded, Y), rounded)
    assert_array_equal(display.values, [-1.0, 0.0, 1.0])


def test_column_of_words_is_held_at_its_most_frequent_value():
    table = FRAME[["age", "dose"]].assign(site=np.where(X[:, 2] > 0.5, "b", "a"))
    encode = make_column_transformer(
        (OneHotEncoder(), ["site"]), remainder="passthrough"
    )
    model = make_pipeline(encode, PrestoClassifier(alpha=0.001)).fit(table, Y)
    rows = pd.DataFrame(
        {"age": [-0.5, 0.5], "dose": table["dose"].median(), "site": "a"}
    )
    at = [0.0, table["dose"].median(), "a"]
    by_default = along("age", model, table, grid_resolution=3)
    assert_allclose(by_default.proba, along("age", model, table, grid_resolution=3,
                                            at=at).proba)  # fmt: skip
    values = OrdinalProbabilityDisplay.from_estimator(
        model, pd.concat([rows, rows]), feature="age", at=at
    )
    assert_allclose(values.proba, model.predict_proba(rows))
    with pytest.raises(TypeError, match=r"numeric column\. Got 'site' of type .*; cho"):
        along("site", model, table)


def test_array_of_objects_keeps_its_types():
    table = FRAME.to_numpy(dtype=object)
    assert_allclose(along(1, MODEL, table).proba, along(1).proba)


def test_predictions_are_sorted_by_value():
    display = OrdinalProbabilityDisplay.from_predictions(
        [3, 1, 2], [[0.1, 0.9], [0.3, 0.7], [0.2, 0.8]], ["low", "high"], "dose"
    )
    assert_array_equal(display.values, [1, 2, 3])
    assert_array_equal(display.proba[:, 0], [0.3, 0.2, 0.1])


def test_areas_are_stacked_probabilities():
    display = along(0, grid_resolution=11).plot()
    total = np.zeros(11)
    for k, area in enumerate(display.artists_):
        low, total = total, total + display.proba[:, k]
        edge = area.get_paths()[0].vertices
        # The outline runs along the lower edge, then back along the upper one.
        assert edge[:, 1].min() == pytest.approx(low.min(), abs=1e-12)
        assert edge[:, 1].max() == pytest.approx(total.max())
    assert display.ax_.get_ylim() == (0.0, 1.0)


def test_lines_are_the_probabilities():
    display = along(0).plot(kind="line", linestyle="--")
    assert len(display.artists_) == 4
    for k, line in enumerate(display.artists_):
        assert_array_equal(line.get_xdata(), display.values)
        assert_array_equal(line.get_ydata(), display.proba[:, k])
        assert line.get_linestyle() == "--"


def test_lines_can_be_put_on_a_logarithmic_axis():
    display = along(0).plot(kind="line")
    display.ax_.set_yscale("log")
    low, high = display.ax_.get_ylim()
    assert 0.0 < low < display.proba.min()
    assert high > display.proba.max()


@pytest.mark.parametrize("kind", ["area", "line"])
def test_probability_axes_are_labelled_and_the_highest_class_is_listed_first(kind):
    display = along("dose", FRAME_MODEL, FRAME).plot(kind=kind, name="Stage")
    assert display.ax_.get_xlabel() == "dose"
    assert display.ax_.get_ylabel() == "Probability"
    assert display.ax_.get_title() == ""
    legend = display.ax_.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["4", "3", "2", "1"]
    assert legend.get_title().get_text() == "Stage"


def test_higher_classes_are_darker():
    lines = along(0).plot(kind="line").artists_
    light = [np.dot(line.get_color()[:3], [0.2126, 0.7152, 0.0722]) for line in lines]
    assert light == sorted(light, reverse=True)


def test_probabilities_are_drawn_on_the_given_axes():
    figure, axes = plt.subplots(1, 2)
    display = along(0).plot(axes[1])
    assert display.ax_ is axes[1]
    assert display.figure_ is figure
    assert not axes[0].has_data()
    assert plt.get_fignums() == [1]


# ------------------------------------------------------------------------------ errors
def test_unknown_feature_of_a_table_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"'feature' parameter.*'height'.*'age', 'do"):
        along("height", FRAME_MODEL, FRAME)
    with pytest.raises(ValueError, match=r"Got 'age'; the features are 'x0', 'x1'"):
        along("age")


def test_long_list_of_features_is_cut():
    wide = np.hstack([X, X, X])
    with pytest.raises(ValueError, match=r"one of the 15 features.*'x9', \.\.\.\.$"):
        along("age", MODEL, wide)


def test_several_axes_are_refused():
    _, axes = plt.subplots(1, 2)
    with pytest.raises(ValueError, match=r"must be one Axes.*Got ndarray; pass"):
        along(0).plot(axes)


def test_unfitted_estimator_is_refused():
    with pytest.raises(NotFittedError, match=r"a fitted PrestoClassifier\. Got.*fit"):
        along(0, PrestoClassifier())


def test_classifier_without_probabilities_is_refused():
    with pytest.raises(TypeError, match=r"with predict_proba\. Got LinearSVC; use one"):
        along(0, LinearSVC().fit(X, Y))


def test_constant_feature_is_refused():
    constant = np.column_stack([np.ones(len(X)), X[:, 1:]])
    with pytest.raises(ValueError, match=r"at least 2 different.*Got 1 of 'x0'.*choo"):
        along(0, MODEL, constant)
    with pytest.raises(ValueError, match=r"Got 800 of 'x0' and grid_resolution=1"):
        along(0, grid_resolution=1)


@pytest.mark.parametrize("at", ["mean", X[:2], X[0, :3]])
def test_row_of_the_wrong_length_is_refused(at):
    with pytest.raises(ValueError, match=r"(?s)'median' or a row of 5 values\. Got"):
        along(0, at=at)


def test_predictions_of_the_wrong_shape_are_refused():
    with pytest.raises(ValueError, match=r"2 classes\. Got shape \(2, 3\) for.*\(2,\)"):
        OrdinalProbabilityDisplay.from_predictions([1, 2], np.ones((2, 3)) / 3, [0, 1])


def test_predictions_that_are_no_distribution_are_refused():
    with pytest.raises(
        ValueError, match=r"in every row\. Got entries from -0\.1.*norm"
    ):
        OrdinalProbabilityDisplay.from_predictions([1], [[1.1, -0.1]], [0, 1])
    with pytest.raises(ValueError, match=r"sums from 0\.7 to 0\.7; normalise"):
        OrdinalProbabilityDisplay.from_predictions([1], [[0.5, 0.2]], [0, 1])


def test_unknown_kind_is_refused():
    with pytest.raises(ValueError, match=r"\['area', 'line'\]\. Got 'bar'; did you"):
        along(0).plot(kind="bar")
    with pytest.raises(TypeError, match=r"\['area', 'line'\]\. Got None; pass one"):
        along(0).plot(kind=None)
