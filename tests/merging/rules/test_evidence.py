from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
)
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeRegressor

from statlearn.merging._rules._evidence import fisher_information, layer_grams
from statlearn.merging._state._fitted_models import get_weights, set_weights

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
CLASSES = np.array(["a", "b", "c"])[RNG.integers(0, 3, size=40)]
Y2 = RNG.normal(size=(40, 2))
FEW = X[:6]


def perceptron(kind, y, activation="tanh"):
    model = kind(hidden_layer_sizes=(4, 3), activation=activation, random_state=0)
    for _ in range(3):
        model.partial_fit(X, y, **({"classes": np.unique(y)} if _first(model) else {}))
    return model


def _first(model):
    return isinstance(model, MLPClassifier) and not hasattr(model, "coefs_")


def models():
    """Fitted models, targets of their rows and the log-likelihood of one row."""
    two = CLASSES == "a"
    counts = RNG.poisson(2.0, size=40).astype(float)
    yield "softmax", perceptron(MLPClassifier, CLASSES), CLASSES
    yield "logistic", perceptron(MLPClassifier, two, "logistic"), two
    yield "relu", perceptron(MLPClassifier, CLASSES, "relu"), CLASSES
    yield "normal", perceptron(MLPRegressor, Y2), Y2
    poisson = MLPRegressor(hidden_layer_sizes=(4, 3), loss="poisson", random_state=0)
    yield "poisson", poisson.partial_fit(X, counts), counts
    yield "multinomial", LogisticRegression().fit(X, CLASSES), CLASSES
    yield "binomial", LogisticRegression().fit(X, two), two
    yield "ridge", Ridge().fit(X, Y2), Y2
    yield "one target", LinearRegression().fit(X, Y2[:, 0]), Y2[:, 0]


MODELS = list(models())
EACH = pytest.mark.parametrize(
    ("model", "y"), [case[1:] for case in MODELS], ids=[case[0] for case in MODELS]
)


def log_likelihood(model, row, target):
    """Log-density of one target up to a constant, from public predictions."""
    if hasattr(model, "predict_proba"):
        position = np.flatnonzero(model.classes_ == target)[0]
        return np.log(model.predict_proba(row[None])[0, position])
    mean = model.predict(row[None])[0]
    if getattr(model, "loss", "") == "poisson":
        return target * np.log(mean) - mean
    return -0.5 * np.sum((target - mean) ** 2)


def gradients(model, row, target, step=1e-5):
    """Central differences by each weight."""
    weights = {k: np.array(v, dtype=float) for k, v in get_weights(model).items()}
    found = {name: np.zeros(array.shape) for name, array in weights.items()}
    for name, array in weights.items():
        for index in np.ndindex(array.shape):
            ends = []
            for sign in (1, -1):
                moved = {k: v.copy() for k, v in weights.items()}
                moved[name][index] += sign * step
                ends.append(log_likelihood(set_weights(model, moved), row, target))
            found[name][index] = (ends[0] - ends[1]) / (2 * step)
    return found


@EACH
def test_empirical_information_is_the_mean_of_squared_gradients_of_rows(model, y):
    found = fisher_information(model, FEW, y[:6])
    rows = [gradients(model, FEW[i], y[i]) for i in range(6)]
    for name, information in found.items():
        expected = np.mean([row[name] ** 2 for row in rows], axis=0)
        assert information.shape == np.shape(get_weights(model)[name])
        np.testing.assert_allclose(information, expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("case", [0, 1, 5, 6], ids=lambda i: MODELS[i][0])
def test_information_is_the_expectation_over_the_predicted_classes(case):
    model = MODELS[case][1]
    found = fisher_information(model, FEW)
    proba = model.predict_proba(FEW)
    for name, information in found.items():
        expected = np.zeros(information.shape)
        for c, label in enumerate(model.classes_):
            for i in range(6):
                alone = fisher_information(model, FEW[i : i + 1], [label])[name]
                expected += proba[i, c] * alone / 6
        np.testing.assert_allclose(information, expected, rtol=1e-9, atol=1e-12)


def test_information_of_a_linear_regression_is_the_mean_square_of_the_inputs():
    model = LinearRegression().fit(X, Y2)
    found = fisher_information(model, X)
    expected = np.tile((X**2).mean(axis=0), (2, 1))
    np.testing.assert_allclose(found["coef_"], expected)
    np.testing.assert_allclose(found["intercept_"], [1.0, 1.0])


def test_information_is_not_the_square_of_the_summed_gradient():
    model = LogisticRegression(C=1e6, max_iter=1000, tol=1e-10).fit(X, CLASSES)
    found = fisher_information(model, X, CLASSES)
    summed = [gradients(model, X[i], CLASSES[i])["coef_"] for i in range(40)]
    assert np.abs(np.mean(summed, axis=0)).max() < 1e-4  # it is the optimum
    assert found["coef_"].min() > 1e-2


@EACH
def test_products_are_those_of_the_inputs_of_each_layer(model, y):
    found = layer_grams(model, X)
    assert list(found) == [n for n in get_weights(model) if n[0] in "Wc"]
    np.testing.assert_allclose(found[next(iter(found))], X.T @ X / 40)


def test_products_of_inner_layers_follow_the_activation():
    model = MODELS[0][1]
    hidden = np.tanh(X @ model.coefs_[0] + model.intercepts_[0])
    np.testing.assert_allclose(
        layer_grams(model, X)["W1"], hidden.T @ hidden / 40, atol=1e-12
    )


def test_models_of_other_kinds_are_refused():
    with pytest.raises(TypeError, match="Got DecisionTreeRegressor"):
        layer_grams(DecisionTreeRegressor().fit(X, Y2), X)
    for model in (
        LinearSVC().fit(X, CLASSES),
        PoissonRegressor().fit(X, Y2[:, 0] ** 2),
    ):
        assert set(layer_grams(model, X)) == {"coef_"}
        with pytest.raises(TypeError, match="a model with a likelihood"):
            fisher_information(model, X)
    with pytest.raises(NotFittedError):
        layer_grams(Ridge(), X)


def test_rows_and_targets_that_do_not_fit_are_refused():
    model = MODELS[0][1]
    with pytest.raises(ValueError, match=r"3 features of the model\. Got 2"):
        layer_grams(model, X[:, :2])
    with pytest.raises(ValueError, match=r"each of the 40 rows\. Got 2"):
        fisher_information(model, X, ["a", "b"])
    with pytest.raises(ValueError, match="'z', which is not among"):
        fisher_information(model, X, np.full(40, "z"))
    with pytest.raises(ValueError, match="must have 2 columns"):
        fisher_information(MODELS[3][1], X, Y2[:, 0])
