"""Rates that are set from outside are those that an estimator learns with."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor

from continual_cases import Recorder, two_tasks
from statlearn.continual import ContinualLearner

(X0, Y0), (X1, Y1) = two_tasks()
OPTIONS = {"n_steps": 50, "batch_size": 10, "eta_max": 0.03, "random_state": 0}


def what_happens(y0=Y0, y1=Y1, **options):
    """Batches and rates, which do not depend on the estimator."""
    recorder = ContinualLearner(Recorder(), **OPTIONS, **options)
    inner = recorder.fit(X0, y0).partial_fit(X1, y1).estimator_
    return zip(inner.batches_, inner.rates_, strict=True)


def test_gradient_descent_learns_at_the_rates_given():
    inner = SGDClassifier("log_loss", random_state=0)
    model = ContinualLearner(inner, **OPTIONS).fit(X0, Y0).partial_fit(X1, Y1)
    plain = SGDClassifier("log_loss", learning_rate="constant", random_state=0)
    for (X, y, _), rate in what_happens():
        plain.set_params(eta0=rate).partial_fit(X, y, classes=[0, 1])
    assert_allclose(model.estimator_.coef_, plain.coef_, rtol=1e-12)


def test_squared_loss_steps_are_those_of_the_formula():
    # One row a batch and no penalty: w + eta (y - x w) x.
    inner = SGDRegressor(penalty=None, fit_intercept=False, random_state=0)
    options = OPTIONS | {"batch_size": 1}
    y = X0 @ np.arange(5.0)
    recorder = ContinualLearner(Recorder(), **options).fit(X0, y).estimator_
    model = ContinualLearner(inner, **options).fit(X0, y)
    w = np.zeros(5)
    for (X, target, _), rate in zip(recorder.batches_, recorder.rates_, strict=True):
        w += rate * (target[0] - X[0] @ w) * X[0]
    assert_allclose(model.estimator_.coef_, w, rtol=1e-10)


def adam(parameters, gradients, rate, state):
    """One step of Kingma and Ba, 2014, in their own order of operations."""
    state["t"] += 1
    t = state["t"]
    for k, gradient in enumerate(gradients):
        state["m"][k] = 0.9 * state["m"][k] + 0.1 * gradient
        state["v"][k] = 0.999 * state["v"][k] + 0.001 * gradient**2
        scale = np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        step = rate * scale * state["m"][k] / (np.sqrt(state["v"][k]) + 1e-8)
        parameters[k] -= step


@pytest.mark.parametrize("reset", [True, False])
def test_a_network_makes_the_steps_of_adam_at_the_rates_given(reset):
    # A hidden layer of identity units, so that gradients fit in a few lines.
    inner = MLPRegressor(
        hidden_layer_sizes=(3,), activation="identity", alpha=0.0, random_state=0
    )
    y0, y1 = X0[:, 0], X1[:, 1]
    model = ContinualLearner(inner, **OPTIONS, reset_optimizer=reset)
    model.fit(X0, y0).partial_fit(X1, y1)
    # A network that has seen rows at no rate has the weights of the start.
    start = clone(inner).set_params(learning_rate_init=1e-300)
    start.partial_fit(X0[:10], y0[:10])
    weights = [*start.coefs_, *start.intercepts_]

    def begin():
        zeros = [np.zeros_like(w) for w in weights]
        return {"t": 0, "m": zeros, "v": [z.copy() for z in zeros]}

    state = begin()
    for number, ((X, y, _), rate) in enumerate(what_happens(y0, y1)):
        if reset and number == 50:
            state = begin()
        hidden = X @ weights[0] + weights[2]
        error = (hidden @ weights[1] + weights[3] - y[:, None]) / len(y)
        back = error @ weights[1].T
        gradients = [X.T @ back, hidden.T @ error, back.sum(axis=0), error.sum(axis=0)]
        adam(weights, gradients, rate, state)
    for found, expected in zip(
        [*model.estimator_.coefs_, *model.estimator_.intercepts_], weights, strict=True
    ):
        assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    assert model.estimator_._optimizer.t == (50 if reset else 100)


@pytest.mark.parametrize("learning_rate", ["constant", "invscaling", "adaptive"])
def test_momentum_learns_at_the_rates_given_whatever_its_own_scheme(learning_rate):
    inner = MLPClassifier(
        (4,), solver="sgd", learning_rate=learning_rate, random_state=0
    )
    model = ContinualLearner(inner, **OPTIONS).fit(X0, Y0)
    plain = MLPClassifier((4,), solver="sgd", batch_size=10, random_state=0)
    for number, ((X, y, _), rate) in enumerate(what_happens()):
        if number == 50:
            break
        plain.learning_rate_init = rate
        if number:
            plain._optimizer.learning_rate = rate
        plain.partial_fit(X, y, classes=[0, 1])
    for found, expected in zip(model.estimator_.coefs_, plain.coefs_, strict=True):
        assert_allclose(found, expected, rtol=1e-12)


def test_a_batch_is_one_step_of_a_network_however_large():
    for size in (10, 150, 400):
        options = OPTIONS | {"batch_size": size, "n_steps": 5}
        inner = MLPClassifier((4,), batch_size=32, random_state=0)
        model = ContinualLearner(inner, **options).fit(
            np.tile(X0, (3, 1)), np.tile(Y0, 3)
        )
        assert model.estimator_._optimizer.t == 5


def test_a_rate_of_zero_moves_nothing():
    for inner in (
        SGDClassifier("log_loss", random_state=0),
        MLPClassifier((4,), random_state=0),
    ):
        model = ContinualLearner(
            inner, schedule=lambda step: 0.1 if step <= 20 else 0.0, **OPTIONS
        )
        model.set_params(n_steps=20).fit(X0, Y0)
        before = model.predict_proba(X0)
        model.set_params(reset_optimizer=True).partial_fit(X1, Y1)
        assert_allclose(model.predict_proba(X0), before, rtol=1e-12)


def test_a_method_of_its_own_comes_before_the_parameters():
    class Own(SGDClassifier):
        def set_learning_rate(self, eta):
            self.eta0 = 2.0 * eta

    twice = ContinualLearner(
        Own("log_loss", learning_rate="constant", random_state=0), **OPTIONS
    )
    once = ContinualLearner(SGDClassifier("log_loss", random_state=0), **OPTIONS)
    once.set_params(eta_max=0.06).fit(X0, Y0)
    assert_allclose(twice.fit(X0, Y0).estimator_.coef_, once.estimator_.coef_)
