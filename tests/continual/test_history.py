"""What was learnt when, and what it did to the losses."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.metrics import hinge_loss, log_loss

from continual_cases import Recorder, numbered, two_tasks
from statlearn.continual import ContinualHistory, ContinualLearner
from statlearn.metrics import backward_transfer, forgetting

(X0, Y0), (X1, Y1) = two_tasks()

SMALL = ContinualHistory(
    learning_rate=np.array([0.1, 0.01, 0.1, 0.05, 0.01]),
    task=np.array([0, 0, 1, 1, 1]),
    point=np.array([1, 2, 4, 5]),
    loss=np.array([[0.5, np.nan], [0.2, 2.0], [0.6, 0.4], [0.7, 0.3]]),
)


def logistic():
    inner = SGDClassifier("log_loss", random_state=0)
    return ContinualLearner(inner, n_steps=60, random_state=0)


def test_table_after_tasks_has_a_row_for_each_task():
    assert_array_equal(SMALL.after_tasks(), [[0.2, 2.0], [0.7, 0.3]])
    losses = SMALL.after_tasks()
    assert forgetting(losses, greater_is_better=False) == pytest.approx(0.5)
    assert backward_transfer(losses, greater_is_better=False) == pytest.approx(-0.5)


def test_summary_has_a_line_for_each_task():
    lines = SMALL.summary().splitlines()
    assert " ".join(lines[0].split()) == (
        "task steps highest rate last rate loss 0 loss 1"
    )
    assert lines[2].split() == ["0", "2", "0.1000", "0.0100", "0.2000"]
    assert lines[3].split() == ["1", "3", "0.1000", "0.0100", "0.7000", "0.3000"]


def test_losses_are_those_of_the_models_of_that_time():
    model = logistic().fit(X0, Y0)
    first = log_loss(Y0, model.predict_proba(X0))
    ahead = log_loss(Y1, model.predict_proba(X1))
    losses = model.partial_fit(X1, Y1).history_.after_tasks()
    assert_allclose(losses[0], [first, ahead])
    final = [log_loss(y, model.predict_proba(X)) for X, y in ((X0, Y0), (X1, Y1))]
    assert_allclose(losses[1], final)


def test_points_are_spread_over_each_task():
    history = logistic().fit(X0, Y0).partial_fit(X1, Y1).history_
    assert_array_equal(history.point, np.arange(3, 121, 3))
    assert history.loss.shape == (40, 2)
    assert np.isnan(history.loss[:19, 1]).all()
    assert np.isfinite(history.loss[19:]).all()
    assert_array_equal(history.task, np.repeat([0, 1], 60))


def test_short_tasks_have_a_point_for_each_step():
    model = ContinualLearner(SGDRegressor(), n_steps=3, random_state=0)
    history = model.fit(X0, X0[:, 0]).history_
    assert_array_equal(history.point, [1, 2, 3])


def test_losses_are_hinge_losses_without_probabilities():
    model = ContinualLearner(SGDClassifier(random_state=0), n_steps=30, random_state=0)
    model.fit(X0, Y0)
    expected = hinge_loss(Y0, model.decision_function(X0))
    assert model.history_.loss[-1, 0] == pytest.approx(expected)


def test_losses_of_regressors_are_half_the_squared_error_under_the_weights():
    X, y = numbered(40, 0)
    weight = np.arange(1.0, 41.0)
    model = ContinualLearner(Recorder(), eta_max=0.1, n_steps=5, random_state=0)
    model.fit(X, y, sample_weight=weight)
    expected = np.average(0.5 * (y - model.predict(X)) ** 2, weights=weight)
    assert model.history_.loss[-1, 0] == pytest.approx(expected)


def test_large_tasks_are_measured_on_the_same_thousand_rows_over_time():
    class Fixed(Recorder):
        def predict(self, X):
            return np.zeros(len(X))

    model = ContinualLearner(Fixed(), eta_max=0.1, n_steps=30, random_state=0)
    for task in range(3):
        model.partial_fit(*numbered(1500, task))
    losses = model.history_.loss
    for task in range(3):
        measured = losses[:, task][~np.isnan(losses[:, task])]
        assert_allclose(measured, measured[0])
    _, y = numbered(1500, 0)
    assert losses[-1, 0] == pytest.approx(np.mean(0.5 * y**2), rel=0.1)
