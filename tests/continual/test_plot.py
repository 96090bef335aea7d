"""The display of forgetting draws what it stores."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, SGDClassifier

from continual_cases import two_tasks
from statlearn.continual import ContinualLearner, ForgettingDisplay

(X0, Y0), (X1, Y1) = two_tasks()
LOSSES = [[0.2, 1.5, np.nan], [0.9, 0.3, 2.0], [1.0, 0.6, 0.1]]


def legend(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def starts(ax):
    return [ln.get_xdata()[0] for ln in ax.get_lines() if ln.get_gid() == "start"]


@pytest.fixture(scope="module")
def learner():
    inner = SGDClassifier("log_loss", random_state=0)
    model = ContinualLearner(inner, n_steps=40, random_state=0)
    return model.fit(X0, Y0).partial_fit(X1, Y1)


def test_losses_of_a_learner_are_drawn_over_its_steps(learner):
    display = ForgettingDisplay.from_estimator(learner).plot()
    first, second = display.lines_
    assert_array_equal(first.get_xdata(), np.arange(2, 81, 2))
    assert_array_equal(first.get_ydata(), learner.history_.loss[:, 0])
    assert_array_equal(second.get_xdata(), np.arange(40, 81, 2))
    assert starts(display.ax_) == [40]
    assert display.ax_.get_xlabel() == "Step"
    assert display.ax_.get_ylabel() == "Loss"
    assert display.ax_.get_title() == ""
    assert display.ax_.get_ylim()[0] == 0.0
    assert display.figure_ is display.ax_.figure
    assert legend(display) == ["0", "1"]


def test_given_losses_are_drawn_over_tasks():
    display = ForgettingDisplay.from_losses(LOSSES, task_names=["a", "b", "c"]).plot()
    assert_array_equal(display.lines_[0].get_xdata(), [1, 2, 3])
    assert_array_equal(display.lines_[2].get_xdata(), [2, 3])
    assert display.ax_.get_xlabel() == "Tasks learnt"
    assert legend(display) == ["a", "b", "c"]
    assert starts(display.ax_) == []


def test_displays_that_share_axes_can_be_told_apart(learner):
    _, ax = plt.subplots()
    displays = [
        ForgettingDisplay.from_estimator(learner).plot(ax, name=name)
        for name in ("one", "two")
    ]
    lines = [line for display in displays for line in display.lines_]
    assert len({line.get_color() for line in lines}) == 4
    assert legend(displays[1]) == ["one, 0", "one, 1", "two, 0", "two, 1"]
    assert starts(ax) == [40]


def test_keywords_reach_matplotlib():
    display = ForgettingDisplay.from_losses(LOSSES).plot(alpha=0.25, linewidth=3.0)
    assert {line.get_alpha() for line in display.lines_} == {0.25}


def test_an_estimator_that_is_not_fitted_is_refused():
    with pytest.raises(NotFittedError, match=r"expected a fitted .* Got .*; call fit"):
        ForgettingDisplay.from_estimator(ContinualLearner(SGDClassifier()))


def test_an_estimator_without_history_is_refused():
    model = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    with pytest.raises(TypeError, match=r"history_.* LinearRegression; pass"):
        ForgettingDisplay.from_estimator(model)


@pytest.mark.parametrize("loss", [[1.0, 2.0], [[]], [["a"]], [[np.inf]]])
def test_losses_that_are_no_table_are_refused(loss):
    with pytest.raises(ValueError, match=r"'loss' of .* Got shape .*; pass a row"):
        ForgettingDisplay.from_losses(loss)


def test_another_number_of_names_is_refused(learner):
    with pytest.raises(ValueError, match=r"'task_names' .* 2 tasks. Got 1: .*; pass"):
        ForgettingDisplay.from_estimator(learner, task_names=["a"])


def test_several_axes_are_refused():
    _, axes = plt.subplots(1, 2)
    with pytest.raises(ValueError, match=r"'ax' parameter of ForgettingDisplay.plot"):
        ForgettingDisplay.from_losses(LOSSES).plot(axes)
