"""The display of a path stores what was estimated and draws just that."""

from __future__ import annotations

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from statlearn.datasets import make_rare_ordinal
from statlearn.ordinal import (
    OrdinalPathDisplay,
    PrestoClassifier,
    PrestoClassifierCV,
    presto_path,
)
from statlearn.ordinal._path_drawing import spread

N_FEATURES = 5
X, Y = make_rare_ordinal(800, N_FEATURES, random_state=0)
NAMES = ["age", "dose", "weight", "sex", "income"]
FRAME = pd.DataFrame(X, columns=NAMES)
PATH = presto_path(X, Y, n_alphas=12)


@pytest.fixture(scope="module")
def chosen():
    return PrestoClassifierCV(n_alphas=12, cv=3).fit(FRAME, Y)


def path_display(**options):
    return OrdinalPathDisplay.from_path(PATH, **options)


def written(ax):
    return {text.get_text() for text in ax.texts}


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


def test_names_may_be_those_before_a_pipeline():
    model = make_pipeline(StandardScaler(), PrestoClassifierCV(n_alphas=3, cv=2))
    model.fit(FRAME, Y)
    display = OrdinalPathDisplay.from_estimator(model[-1], feature_names=NAMES)
    assert display.feature_names == NAMES


# ------------------------------------------------------------------------------ errors
def test_unknown_feature_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"'features' parameter.*'height'.*'dose'"):
        path_display(feature_names=NAMES).plot(features=["height"])
    with pytest.raises(ValueError, match=r"5 features.*Got 5; the features are"):
        path_display().plot(features=[5])
    with pytest.raises(ValueError, match=r"5 features.*Got True; the features are"):
        path_display().plot(features=[True])


@pytest.mark.parametrize(
    ("boundary", "error"),
    [
        (3, ValueError),
        (-4, ValueError),
        ("last", TypeError),
        (1.0, TypeError),
        (True, TypeError),
    ],
)
def test_boundary_that_does_not_exist_is_refused(boundary, error):
    with pytest.raises(error, match=r"from -3 to 2. Got .*; .* None draws all"):
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


def test_unfitted_estimator_is_refused():
    with pytest.raises(NotFittedError, match=r"a fitted PrestoClassifierCV\. Got.*fit"):
        OrdinalPathDisplay.from_estimator(PrestoClassifierCV())


def test_estimator_without_a_path_is_refused():
    model = PrestoClassifier().fit(X, Y)
    with pytest.raises(TypeError, match=r"Got PrestoClassifier, which.*presto_path"):
        OrdinalPathDisplay.from_estimator(model)
    with pytest.raises(TypeError, match=r"must be an OrdinalPath\. Got PrestoClass"):
        OrdinalPathDisplay.from_path(model)


def test_wrong_number_of_names_is_refused():
    with pytest.raises(ValueError, match=r"each of the 5 features\. Got 2; pass all"):
        path_display(feature_names=["a", "b"])


def test_path_of_one_positive_penalty_is_refused():
    path = presto_path(X, Y, alphas=[0.01, 0.0])
    with pytest.raises(ValueError, match=r"at least 2 positive.*Got alphas=\[0\.01, 0"):
        OrdinalPathDisplay.from_path(path).plot()
