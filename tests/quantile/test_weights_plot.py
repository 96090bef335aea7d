"""The heat map of weights draws what it stores."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression

from statlearn.quantile import AggregationWeightsDisplay

LEVELS = np.array([0.1, 0.5, 0.9])
MEDIUM = np.array([[0.2, 0.8], [0.5, 0.5], [1.0, 0.0]])  # levels x models


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


class Aggregated(BaseEstimator):
    """What the map looks at in a fitted aggregator."""

    def fit(self, weights):
        self.weights_, self.levels_ = weights, LEVELS
        self.estimator_names_ = ["forest", "boosting"]
        return self


def ticks(axis):
    return [text.get_text() for text in axis.get_ticklabels()]


def test_models_are_rows_and_levels_are_columns():
    display = AggregationWeightsDisplay.from_estimator(Aggregated().fit(MEDIUM)).plot()
    assert_array_equal(display.image_.get_array(), MEDIUM.T)
    assert ticks(display.ax_.yaxis) == ["forest", "boosting"]
    assert ticks(display.ax_.xaxis) == ["0.1", "0.5", "0.9"]
    assert display.ax_.get_xlabel() == "Level"
    assert display.ax_.get_ylabel() == "Model"
    assert display.colorbar_.ax.get_ylabel() == "Weight"
    assert display.figure_ is display.ax_.figure
    numbers = [text.get_text() for text in display.texts_]
    assert numbers == ["0.20", "0.50", "1.00", "0.80", "0.50", "0.00"]


def test_one_weight_for_each_model_is_one_column():
    display = AggregationWeightsDisplay.from_estimator(Aggregated().fit([0.25, 0.75]))
    assert_array_equal(display.weights, [[0.25], [0.75]])
    assert ticks(display.plot().ax_.xaxis) == ["all"]


def test_weights_of_many_levels_of_a_model_are_added_up():
    fine = np.random.default_rng(0).uniform(size=(3, 2, 3))
    display = AggregationWeightsDisplay.from_weights(fine, levels=LEVELS)
    expected = [[fine[k, j].sum() for k in range(3)] for j in range(2)]
    assert_allclose(display.weights, expected)
    label = display.plot().colorbar_.ax.get_ylabel()
    assert label == "Weight, added up over levels of the model"
    assert ticks(display.ax_.yaxis) == ["0", "1"]


def test_negative_weights_get_colours_around_zero():
    display = AggregationWeightsDisplay.from_weights([1.5, -0.5]).plot()
    assert display.image_.get_clim() == (-1.5, 1.5)
    positive = AggregationWeightsDisplay.from_weights([0.75, 0.25]).plot()
    assert positive.image_.get_clim() == (0.0, 0.75)


def test_many_levels_get_few_ticks_and_no_numbers():
    levels = np.arange(1, 100) / 100
    display = AggregationWeightsDisplay.from_weights(
        np.full((99, 3), 1 / 3), levels=levels
    ).plot()
    assert len(display.ax_.get_xticks()) == 9
    assert display.texts_ == []


def test_keywords_reach_the_image():
    display = AggregationWeightsDisplay.from_weights([0.0, 0.0])
    image = display.plot(cmap="Greens", name="Share").image_
    assert image.get_cmap().name == "Greens"
    assert display.colorbar_.ax.get_ylabel() == "Share"


@pytest.mark.parametrize(
    ("weights", "levels"),
    [
        (MEDIUM, [0.1, 0.9]),
        (MEDIUM, None),
        (MEDIUM[:, :, None], LEVELS),
        ([np.nan, 1.0], None),
        (0.5, None),
        ("ab", None),
    ],
    ids=["levels", "no levels", "third axis", "missing", "scalar", "word"],
)
def test_weights_that_do_not_fit_the_levels_are_refused(weights, levels):
    with pytest.raises(ValueError, match="'weights' of AggregationWeightsDisplay"):
        AggregationWeightsDisplay.from_weights(weights, levels=levels)


def test_names_have_to_fit_the_models():
    with pytest.raises(ValueError, match=r"'models' of .* each of 2 models. Got 1"):
        AggregationWeightsDisplay.from_weights([0.5, 0.5], models=["forest"])


def test_an_estimator_without_fit_or_weights_is_refused():
    make = AggregationWeightsDisplay.from_estimator
    with pytest.raises(NotFittedError, match="expected a fitted Aggregated"):
        make(Aggregated())
    with pytest.raises(TypeError, match=r"must have weights_\. Got LinearRegression"):
        make(LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]))
