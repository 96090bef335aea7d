"""Displays store what was estimated and draw just that."""

from __future__ import annotations

from itertools import pairwise

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
    OrdinalPathDisplay,
    OrdinalProbabilityDisplay,
    PrestoClassifier,
    PrestoClassifierCV,
    presto_path,
)
from statlearn.ordinal._drawing import spread

N_FEATURES = 5
X, Y = make_rare_ordinal(800, N_FEATURES, random_state=0)
NAMES = ["age", "dose", "weight", "sex", "income"]
FRAME = pd.DataFrame(X, columns=NAMES)
PATH = presto_path(X, Y, n_alphas=12)
MODEL = PrestoClassifier(alpha=0.005).fit(X, Y)
FRAME_MODEL = PrestoClassifier(alpha=0.005).fit(FRAME, Y)


@pytest.fixture(scope="module")
def chosen():
    return PrestoClassifierCV(n_alphas=12, cv=3).fit(FRAME, Y)


def path_display(**options):
    return OrdinalPathDisplay.from_path(PATH, **options)


def along(feature, model=MODEL, table=X, **options):
    return OrdinalProbabilityDisplay.from_estimator(
        model, table, feature=feature, **options
    )


def written(ax):
    return {text.get_text() for text in ax.texts}


# -------------------------------------------------------------------------- paths
def test_path_display_holds_the_path():
    display = path_display()
    assert_array_equal(display.alphas, PATH.alphas)
    assert_array_equal(display.coefs, PATH.coefs)
    assert_array_equal(display.classes, [1, 2, 3, 4])
    assert display.feature_names == ["x0", "x1", "x2", "x3", "x4"]
    assert display.alpha is None


def test_display_of_a_cross_validated_model_holds_its_path_and_choice(chosen):
    display = OrdinalPathDisplay.from_estimator(chosen)
    assert_array_equal(display.alphas, chosen.alphas_)
    assert_array_equal(display.coefs, chosen.coefs_path_)
    assert display.feature_names == NAMES
    assert display.alpha == chosen.alpha_


def test_from_estimator_takes_a_path_too():
    display = OrdinalPathDisplay.from_estimator(PATH, feature_names=NAMES)
    assert display.coefs is PATH.coefs
    assert display.feature_names == NAMES


def test_lines_are_the_slopes_of_every_boundary_and_feature():
    display = path_display().plot()
    assert len(display.axes_) == 3
    assert display.ax_ is display.axes_[0]
    for k, lines in enumerate(display.lines_):
        assert len(lines) == N_FEATURES
        for j, line in enumerate(lines):
            assert line.axes is display.axes_[k]
            assert_array_equal(line.get_xdata(), PATH.alphas)
            assert_array_equal(line.get_ydata(), PATH.coefs[:, k, j])


def test_penalty_is_logarithmic_and_falls_to_the_right():
    display = path_display().plot()
    for ax in display.axes_:
        assert ax.get_xscale() == "log"
        left, right = ax.get_xlim()
        assert left == pytest.approx(PATH.alphas.max())
        assert right == pytest.approx(PATH.alphas.min())
        assert "enalty" in ax.get_xlabel()
    assert "Slope" in display.ax_.get_ylabel()


def test_panels_share_the_slope_axis_and_name_their_boundary():
    display = path_display().plot()
    limits = {ax.get_ylim() for ax in display.axes_}
    assert len(limits) == 1
    names = [ax.get_title(loc="left") for ax in display.axes_]
    assert names == [f"Boundary {low} | {high}" for low, high in pairwise([1, 2, 3, 4])]
    assert display.figure_.get_suptitle() == ""


@pytest.mark.parametrize(("boundary", "k"), [(0, 0), (2, 2), (-1, 2)])
def test_one_boundary_is_drawn_in_one_panel(boundary, k):
    display = path_display().plot(boundary=boundary)
    assert len(display.axes_) == 1
    assert_array_equal(display.lines_[0][0].get_ydata(), PATH.coefs[:, k, 0])
    assert f"{k + 1} | {k + 2}" in display.ax_.get_ylabel()
    assert display.ax_.get_title() == ""


def test_given_axes_are_used():
    figure, ax = plt.subplots()
    display = path_display().plot(ax, boundary=1)
    assert display.ax_ is ax
    assert display.figure_ is figure
    figure, axes = plt.subplots(1, 3)
    display = path_display().plot(axes)
    assert display.axes_.tolist() == axes.tolist()
    assert plt.get_fignums() == [1, 2]


def test_chosen_penalty_is_marked(chosen):
    display = OrdinalPathDisplay.from_estimator(chosen).plot()
    for ax in display.axes_:
        vertical = [
            line for line in ax.lines if list(line.get_xdata()) == [chosen.alpha_] * 2
        ]
        assert len(vertical) == 1
    assert "chosen penalty" in written(display.figure_.legends[0])


def test_nothing_is_marked_without_a_chosen_penalty():
    display = path_display().plot()
    assert "chosen penalty" not in written(display.figure_.legends[0])


def test_slope_equal_to_the_boundary_before_is_dashed():
    display = path_display().plot()
    solid = display.lines_[0][0].get_linestyle()
    assert {line.get_linestyle() for line in display.lines_[0]} == {solid}
    for k in (1, 2):
        for j, line in enumerate(display.lines_[k]):
            equal = PATH.coefs[:, k, j] == PATH.coefs[:, k - 1, j]
            assert (line.get_linestyle() != solid) == equal.any()
    assert "equal to the boundary before" in written(display.figure_.legends[0])


def test_full_line_covers_where_the_slope_is_free_and_the_step_to_it():
    coefs = np.zeros((5, 2, 1))
    coefs[:, 0, 0] = [0, 1, 2, 3, 4]
    coefs[:, 1, 0] = [0, 1, 2, 3.5, 5]
    display = OrdinalPathDisplay(
        alphas=np.array([16.0, 8, 4, 2, 1]),
        coefs=coefs,
        feature_names=["dose"],
        classes=np.array([0, 1, 2]),
    ).plot(boundary=1)
    cover = display.ax_.lines[-1]
    assert cover is not display.lines_[0][0]
    assert_array_equal(cover.get_ydata(), [np.nan, np.nan, 2, 3.5, 5])


def test_features_are_named_at_the_end_of_their_lines():
    display = path_display(feature_names=NAMES).plot()
    assert written(display.axes_[-1]) == set(NAMES)
    assert written(display.axes_[0]) == set()
    colors = {line.get_color() for line in display.lines_[0]}
    assert len(colors) == N_FEATURES


@pytest.mark.parametrize("features", [["dose", "income"], [1, -1], (1, "income")])
def test_features_that_are_not_asked_for_are_grey(features):
    display = path_display(feature_names=NAMES).plot(features=features)
    assert written(display.axes_[-1]) == {"dose", "income"}
    colors = [line.get_color() for line in display.lines_[0]]
    grey = {colors[0], colors[2], colors[3]}
    assert len(grey) == 1
    assert not grey & {colors[1], colors[4]}
    assert colors[1] != colors[4]


def test_one_name_is_a_list_of_one():
    display = path_display(feature_names=NAMES).plot(features="dose")
    assert written(display.axes_[-1]) == {"dose"}


def test_no_feature_need_be_named():
    display = path_display().plot(features=[])
    assert written(display.axes_[-1]) == set()
    assert len({line.get_color() for line in display.lines_[0]}) == 1


def many_features(n_features, n_boundaries=1):
    size = np.arange(n_features, dtype=float)
    coefs = np.linspace(0, 1, 4)[:, None, None] * np.ones((n_boundaries, 1)) * size
    return OrdinalPathDisplay(
        alphas=np.array([8.0, 4, 2, 1]),
        coefs=coefs,
        feature_names=[f"f{j}" for j in range(n_features)],
        classes=np.arange(n_boundaries + 1),
    )


def test_only_the_ten_largest_slopes_are_named_by_default():
    display = many_features(14).plot()
    assert written(display.ax_) == {f"f{j}" for j in range(4, 14)}


def test_feature_without_a_slope_is_not_named_by_default():
    assert written(many_features(3).plot().ax_) == {"f1", "f2"}


def test_rows_of_panels_are_filled_evenly():
    display = many_features(2, n_boundaries=5).plot()
    rows = [ax.get_subplotspec().rowspan.start for ax in display.axes_]
    assert rows == [0, 0, 0, 1, 1]
    assert len(display.figure_.axes) == 5


def test_keywords_reach_the_lines():
    display = path_display().plot(linewidth=4.0)
    assert {line.get_linewidth() for lines in display.lines_ for line in lines} == {4.0}


def test_penalty_of_zero_is_left_out():
    path = presto_path(X, Y, alphas=[0.1, 0.01, 0.0])
    display = OrdinalPathDisplay.from_path(path).plot()
    assert_array_equal(display.lines_[0][0].get_xdata(), [0.1, 0.01])


def test_two_classes_need_one_panel():
    path = presto_path(X, Y > 1, n_alphas=5)
    _, ax = plt.subplots()
    display = OrdinalPathDisplay.from_path(path).plot(ax)
    assert display.axes_.tolist() == [ax]


def test_labels_are_spread_as_little_as_possible():
    assert_allclose(spread(np.array([0.0, 5.0]), 1.0, 0.0, 10.0), [0, 5])
    assert_allclose(spread(np.array([4.0, 4.0]), 1.0, 0.0, 10.0), [3.5, 4.5])
    assert_allclose(spread(np.array([0.0, 0.0, 9]), 1.0, 0.0, 9.0), [0, 1, 9])
    assert_allclose(spread(np.array([9.0, 9.0]), 1.0, 0.0, 9.0), [8, 9])


# ------------------------------------------------------------- errors of the path
def test_unknown_feature_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"'features' parameter.*'height'.*'dose'"):
        path_display(feature_names=NAMES).plot(features=["height"])
    with pytest.raises(ValueError, match=r"5 features.*Got 5; the features are"):
        path_display().plot(features=[5])


@pytest.mark.parametrize("boundary", [3, -4, "last", 1.0])
def test_boundary_that_does_not_exist_is_refused(boundary):
    with pytest.raises(ValueError, match=r"from 0 to 2.*Got .*; pass None"):
        path_display().plot(boundary=boundary)


def test_wrong_number_of_axes_is_refused():
    _, axes = plt.subplots(1, 2)
    with pytest.raises(ValueError, match=r"must hold 3 Axes.*Got 2 Axes; pass"):
        path_display().plot(axes)
    with pytest.raises(ValueError, match=r"must hold 3 Axes.*Got 1 Axes; pass"):
        path_display().plot(axes[0])


def test_something_else_than_axes_is_refused():
    with pytest.raises(ValueError, match=r"must hold 1 Axes.*Got Figure; pass"):
        path_display().plot(plt.figure(), boundary=0)
    _, axes = plt.subplots(1, 2)
    with pytest.raises(ValueError, match=r"must be one Axes.*Got ndarray; pass"):
        along(0).plot(axes)


def test_unfitted_estimator_is_refused():
    with pytest.raises(NotFittedError, match=r"a fitted PrestoClassifierCV\. Got.*fit"):
        OrdinalPathDisplay.from_estimator(PrestoClassifierCV())
    with pytest.raises(NotFittedError, match=r"a fitted PrestoClassifier\. Got.*fit"):
        along(0, PrestoClassifier())


def test_estimator_without_a_path_is_refused():
    with pytest.raises(TypeError, match=r"Got PrestoClassifier, which.*presto_path"):
        OrdinalPathDisplay.from_estimator(MODEL)
    with pytest.raises(TypeError, match=r"must be an OrdinalPath\. Got PrestoClass"):
        OrdinalPathDisplay.from_path(MODEL)


def test_wrong_number_of_names_is_refused():
    with pytest.raises(ValueError, match=r"each of the 5 features\. Got 2; pass all"):
        path_display(feature_names=["a", "b"])


def test_path_of_one_positive_penalty_is_refused():
    path = presto_path(X, Y, alphas=[0.01, 0.0])
    with pytest.raises(ValueError, match=r"at least 2 positive.*Got alphas=\[0\.01, 0"):
        OrdinalPathDisplay.from_path(path).plot()


# ------------------------------------------------------------------ probabilities
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
    model = make_pipeline(StandardScaler(), PrestoClassifierCV(n_alphas=3, cv=2))
    model.fit(FRAME, Y)
    assert along("dose", model, FRAME).feature_name == "dose"
    display = OrdinalPathDisplay.from_estimator(model[-1], feature_names=NAMES)
    assert display.feature_names == NAMES


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


# ---------------------------------------------------- errors of the probabilities
def test_unknown_feature_of_a_table_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"'feature' parameter.*'height'.*'age', 'do"):
        along("height", FRAME_MODEL, FRAME)
    with pytest.raises(ValueError, match=r"Got 'age'; the features are 'x0', 'x1'"):
        along("age")


def test_long_list_of_features_is_cut():
    wide = np.hstack([X, X, X])
    with pytest.raises(ValueError, match=r"one of the 15 features.*'x9', \.\.\.\.$"):
        along("age", MODEL, wide)


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
    with pytest.raises(ValueError, match=r"'area' or 'line'\. Got 'bar'; pass one"):
        along(0).plot(kind="bar")
