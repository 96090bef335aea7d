from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor

from matching_cases import perceptron, shuffled
from signed_cases import planted
from statlearn.merging import MatchedAveraging, get_weights, set_weights, spec_for

X = np.random.default_rng(0).normal(size=(80, 3))
Y = np.where(X[:, 0] > 0, "yes", "no")


def classifier(seed=0, hidden=(8, 6), y=Y, columns=3, **options):
    model = MLPClassifier(hidden, max_iter=500, tol=1e-2, random_state=seed, **options)
    return model.fit(X[:, :columns], y)


def regressor(seed=0):
    model = MLPRegressor(
        hidden_layer_sizes=(8,), max_iter=2000, tol=1e-2, random_state=seed
    )
    return model.fit(X, X[:, 0])


def copies(model, n=3):
    spec, weights = spec_for(model), get_weights(model)
    return [set_weights(model, shuffled(spec, weights, seed)[0]) for seed in range(n)]


@pytest.mark.parametrize("method", ["many", "first", "activation"])
@pytest.mark.parametrize("make", [classifier, regressor])
def test_average_of_one_network_in_several_orders_is_that_network(make, method):
    network = make()
    model = MatchedAveraging(copies(network), method=method, random_state=0).fit(X)
    outputs = "predict_proba" if make is classifier else "predict"
    found, expected = (getattr(m, outputs)(X) for m in (model, network))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert len(model.permutations_) == 3


def test_it_is_what_its_networks_are():
    model = MatchedAveraging([classifier(0), classifier(1)], random_state=0)
    assert is_classifier(model)
    assert model.fit() is model
    assert model.classes_.tolist() == ["no", "yes"]
    assert model.n_features_in_ == 3
    assert model.score(X, Y) == np.mean(model.predict(X) == Y)
    other = MatchedAveraging([regressor(0), regressor(1)]).fit()
    assert is_regressor(other)
    assert not hasattr(other, "classes_")
    assert not hasattr(other, "predict_proba")


def test_matched_average_is_better_than_the_plain_one():
    networks = [classifier(seed, (64,)) for seed in range(4)]
    model = MatchedAveraging(networks, random_state=0).fit()
    states = [get_weights(network) for network in networks]
    plain = set_weights(
        networks[0], {n: np.mean([s[n] for s in states], axis=0) for n in states[0]}
    )
    truth = (Y == "yes").astype(float)
    losses = [np.mean((m.predict_proba(X)[:, 1] - truth) ** 2) for m in (model, plain)]
    assert losses[0] < losses[1]


def test_weights_choose_among_the_networks():
    networks = [classifier(0), classifier(1)]
    model = MatchedAveraging(networks, weights=[0.0, 1.0], random_state=0).fit()
    expected = networks[1].predict_proba(X)
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-9)


def test_networks_stay_and_frozen_ones_survive_a_clone():
    networks = [classifier(0), classifier(1)]
    before = [matrix.copy() for matrix in networks[1].coefs_]
    model = MatchedAveraging([FrozenEstimator(n) for n in networks], random_state=0)
    again = clone(model).fit()
    np.testing.assert_array_equal(again.predict(X), model.fit().predict(X))
    for matrix, old in zip(networks[1].coefs_, before, strict=True):
        np.testing.assert_array_equal(matrix, old)


@pytest.mark.parametrize(
    ("estimators", "error", "message"),
    [
        ([], ValueError, "two networks or more. Got 0"),
        ([classifier()], ValueError, "two networks or more. Got 1"),
        ([classifier(), LogisticRegression().fit(X, Y)], TypeError, "Got LogisticReg"),
        ([classifier(), MLPClassifier()], NotFittedError, "not fitted"),
        ([classifier(), regressor()], ValueError, "one list of classes. Got"),
        ([classifier(), classifier(hidden=(8, 5))], ValueError, "equal shapes.*'W1'"),
        ([classifier(), classifier(activation="tanh")], ValueError, "one activation"),
        ([classifier(), classifier(columns=2)], ValueError, "one number of features"),
        ([classifier(), classifier(y=X[:, 0] > 0)], ValueError, "one list of classes"),
        ([classifier(), classifier(y=np.arange(80) % 3)], ValueError, "of classes"),
        ([classifier(), classifier(hidden=(5,))], ValueError, "with the names of"),
    ],
    ids=[
        *("none", "one", "linear", "not fitted", "kind", "layers", "activation"),
        *("features", "labels", "classes", "units"),
    ],
)
def test_networks_that_cannot_be_averaged_are_refused(estimators, error, message):
    with pytest.raises(error, match=message):
        MatchedAveraging(estimators).fit()


@pytest.mark.parametrize("method", ["many", "first"])
def test_starts_find_orders_that_one_start_misses(method):
    # All but the matrix between the hidden layers is small, as in residual blocks.
    weights = perceptron([3, 12, 12, 1])
    weights |= {name: 0.01 * weights[name] for name in weights if name != "W1"}
    networks = copies(set_weights(classifier(hidden=(12, 12)), weights))
    distances = []
    for n_init in (1, 20):
        model = MatchedAveraging(
            networks, method=method, n_init=n_init, random_state=0
        ).fit()
        found = get_weights(model.estimator_)["W1"]
        distances.append(np.abs(found - networks[0].coefs_[1]).max())
    assert distances[0] > 0.1
    assert distances[1] < 1e-12


def test_starts_must_be_one_or_more():
    with pytest.raises(ValueError, match="'n_init' parameter of MatchedAveraging"):
        MatchedAveraging([classifier(0), classifier(1)], n_init=0).fit()


def test_activations_need_rows():
    networks = [classifier(0), classifier(1)]
    with pytest.raises(ValueError, match="needs rows\\. Got X=None"):
        MatchedAveraging(networks, method="activation").fit()


def test_unknown_method_is_refused():
    with pytest.raises(ValueError, match="'method' parameter of MatchedAveraging"):
        MatchedAveraging([classifier(0), classifier(1)], method="ste").fit()


def test_predictions_before_fit_are_refused():
    with pytest.raises(NotFittedError):
        MatchedAveraging([classifier(0), classifier(1)]).predict(X)


@pytest.mark.parametrize("method", ["many", "first", "activation"])
def test_average_of_one_network_with_flipped_units_is_that_network(method):
    network = classifier(hidden=(8,), activation="tanh")  # one layer: solved exactly
    flipped = [
        set_weights(network, planted(get_weights(network), seed)[0])
        for seed in range(3)
    ]
    model = MatchedAveraging(flipped, method=method, signed=True, random_state=0)
    found = model.fit(X).predict_proba(X)
    np.testing.assert_allclose(found, network.predict_proba(X), atol=1e-12)
    assert len(model.signs_) == 3
    assert model.set_params(signed=False).fit(X).signs_ is None
