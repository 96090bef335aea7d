"""Losses of single rows."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import make_classification
from sklearn.linear_model import LinearRegression, LogisticRegression, Perceptron
from sklearn.metrics import hinge_loss, log_loss
from sklearn.neighbors import NearestCentroid
from sklearn.svm import LinearSVC

from statlearn.utils._losses import hinge_loss_of, log_loss_of, look, positions

X, Y = make_classification(
    60, 5, n_informative=4, n_redundant=0, n_classes=3, random_state=0
)
NAMES = np.array(["a", "b", "c"], dtype=object)[Y]


def test_loss_of_a_regressor_is_half_the_squared_error():
    model = LinearRegression().fit(X, Y)
    seen = look(model, X, Y, "auto", classifier=False)
    assert_allclose(seen.losses, (model.predict(X) - Y) ** 2 / 2)
    assert_allclose(seen.residuals, Y - model.predict(X))


@pytest.mark.parametrize("labels", [Y, NAMES], ids=["numbers", "strings"])
def test_loss_of_probabilities_is_the_log_loss(labels):
    model = LogisticRegression().fit(X, labels)
    losses = look(model, X, labels, "auto", classifier=True).losses
    assert losses.mean() == pytest.approx(log_loss(labels, model.predict_proba(X)))
    row = list(model.classes_).index(labels[7])
    assert losses[7] == pytest.approx(-np.log(model.predict_proba(X)[7, row]))


@pytest.mark.parametrize("kept", [Y < 3, Y < 2], ids=["three classes", "two"])
def test_loss_of_a_decision_function_is_the_hinge_loss(kept):
    model = LinearSVC(random_state=0).fit(X[kept], NAMES[kept])
    losses = look(model, X[kept], NAMES[kept], "auto", classifier=True).losses
    expected = hinge_loss(NAMES[kept], model.decision_function(X[kept]))
    assert losses.mean() == pytest.approx(expected)


def test_multiclass_hinge_loss_compares_with_the_best_other_class():
    score = np.array([[2.0, 1.5, -1.0], [0.0, 3.0, 1.0]])
    assert_allclose(hinge_loss_of(score, np.array([0, 2])), [0.5, 3.0])


def test_loss_of_labels_alone_is_zero_or_one():
    class OnlyLabels(Perceptron):
        decision_function = property()

    model = OnlyLabels(random_state=0).fit(X, NAMES)
    model.predict = NearestCentroid().fit(X, NAMES).predict
    losses = look(model, X, NAMES, "auto", classifier=True).losses
    assert_allclose(losses, model.predict(X) != NAMES)


def test_probability_zero_counts_as_a_rounding_error():
    losses = log_loss_of(np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0, 0]))
    assert_allclose(losses, [-np.log(np.finfo(float).eps), 0.0], atol=1e-15)


def test_labels_are_found_among_classes_in_any_order():
    classes = np.array(["low", "mid", "high"])
    assert_allclose(positions(classes, np.array(["high", "low", "mid"])), [2, 0, 1])


def test_unknown_label_is_named():
    with pytest.raises(ValueError, match=r"among the classes \[0, 1\]. Got also \[5\]"):
        positions(np.array([0, 1]), np.array([0, 5]))


def test_function_gets_predictions_of_a_regressor_and_probabilities_of_a_classifier():
    given = []

    def loss(y_true, y_pred):
        given.append(y_pred)
        return np.zeros(len(y_true))

    look(LinearRegression().fit(X, Y), X, Y, loss, classifier=False)
    look(LogisticRegression().fit(X, Y), X, Y, loss, classifier=True)
    assert [part.shape for part in given] == [(60,), (60, 3)]


def test_loss_that_is_a_mean_is_refused():
    model = LinearRegression().fit(X, Y)
    with pytest.raises(ValueError, match=r"must return one number for each row"):
        look(model, X, Y, lambda y, p: np.mean(y - p), classifier=False)


def test_function_for_a_classifier_without_probabilities_is_refused():
    model = LinearSVC(random_state=0).fit(X, Y)
    with pytest.raises(TypeError, match="LinearSVC has no probabilities"):
        look(model, X, Y, lambda y, p: y, classifier=True)
