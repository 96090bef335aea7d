from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier

from matching_cases import (
    DISTANCE_AFTER,
    DISTANCE_BEFORE,
    PERMUTATIONS,
    A,
    B,
    assert_same_orders,
    outputs,
    perceptron,
)
from statlearn.merging import WeightMatcher, match_activations, match_weights, mlp_spec

X = np.random.default_rng(0).normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)
NETWORKS = [
    MLPClassifier((8, 6), max_iter=500, tol=1e-2, random_state=seed).fit(X, Y)
    for seed in range(2)
]


@pytest.mark.parametrize("spec", ["auto", mlp_spec(3)], ids=["auto", "given"])
def test_known_networks_are_matched(spec):
    matcher = WeightMatcher(spec, random_state=0)
    assert matcher.fit(A, B) is matcher
    assert_same_orders(matcher.permutations_, PERMUTATIONS)
    assert matcher.distance_before_ == pytest.approx(DISTANCE_BEFORE, abs=1e-9)
    assert matcher.distance_after_ == pytest.approx(DISTANCE_AFTER, abs=1e-9)
    assert matcher.n_sweeps_ == len(matcher.gains_) == 2
    np.testing.assert_allclose(outputs(matcher.transform(B)), outputs(B), rtol=1e-9)


def test_object_does_what_the_functions_do():
    options = {"order": "forward", "n_init": 3, "include_bias": False}
    matcher = WeightMatcher(random_state=1, **options).fit(*NETWORKS)
    expected = match_weights(mlp_spec(3), *NETWORKS, random_state=1, **options)
    assert_same_orders(matcher.permutations_, expected.permutations)
    matcher = WeightMatcher(method="activation", correlation=True).fit(*NETWORKS, X)
    expected = match_activations(mlp_spec(3), *NETWORKS, X, correlation=True)
    assert_same_orders(matcher.permutations_, expected.permutations)


def test_estimator_comes_back_with_the_same_predictions():
    matched = WeightMatcher(random_state=0).fit_transform(*NETWORKS)
    expected = NETWORKS[1].predict_proba(X)
    np.testing.assert_allclose(matched.predict_proba(X), expected, rtol=1e-9)
    assert matched is not NETWORKS[1]


def test_warm_start_goes_on_from_the_last_result():
    a, b = perceptron([4, 20, 20, 3], 0), perceptron([4, 20, 20, 3], 1)
    matcher = WeightMatcher(warm_start=True, random_state=0).fit(a, b)
    assert matcher.n_sweeps_ > 1
    first = matcher.permutations_
    assert matcher.fit(a, b).n_sweeps_ == 1
    assert_same_orders(matcher.permutations_, first)
    assert matcher.set_params(warm_start=False).fit(a, b).n_sweeps_ > 1


def test_clone_has_the_parameters_alone():
    matcher = clone(WeightMatcher(mlp_spec(3), n_init=2).fit(A, B))
    assert matcher.get_params()["n_init"] == 2
    with pytest.raises(NotFittedError):
        matcher.transform(B)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "ste"}, "'method' parameter of WeightMatcher"),
        ({"order": "up"}, "'order' parameter of WeightMatcher"),
        ({"n_init": 0}, "'n_init' parameter of WeightMatcher"),
        ({"max_iter": 0}, "'max_iter' parameter of WeightMatcher"),
        ({"tol": -1.0}, "'tol' parameter of WeightMatcher"),
        ({"spec": "mlp"}, "'spec' parameter of WeightMatcher"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_parameters_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        WeightMatcher(**options).fit(A, B)


def test_activations_need_rows():
    with pytest.raises(ValueError, match="needs rows\\. Got X=None"):
        WeightMatcher(method="activation").fit(*NETWORKS)


def test_layers_that_are_unknown_are_refused():
    with pytest.raises(TypeError, match="spec_for reads the layers"):
        WeightMatcher().fit({"w": np.ones(2)}, {"w": np.ones(2)})


# --- units that may be flipped -----------------------------------------------

TANH = [
    MLPClassifier(
        (8, 6), activation="tanh", max_iter=500, tol=1e-2, random_state=seed
    ).fit(X, Y)
    for seed in range(2)
]


@pytest.mark.parametrize("method", ["weight", "activation"])
def test_estimator_with_flipped_units_predicts_the_same(method):
    matcher = WeightMatcher(method=method, signed=True, random_state=0)
    matched = matcher.fit_transform(*TANH, X)
    assert any((signs < 0).any() for signs in matcher.signs_.values())
    expected = TANH[1].predict_proba(X)
    np.testing.assert_allclose(matched.predict_proba(X), expected, rtol=0, atol=1e-9)
    match = (
        match_weights(mlp_spec(3), *TANH, signed=True, random_state=0)
        if method == "weight"
        else match_activations(mlp_spec(3), *TANH, X, signed=True)
    )
    assert_same_orders(matcher.permutations_, match.permutations)
    assert_same_orders(matcher.signs_, match.signs)


def test_signs_are_none_without_flips():
    assert WeightMatcher(random_state=0).fit(*TANH).signs_ is None


def test_warm_start_goes_on_from_the_last_signs_of_units_that_still_may_flip():
    a, b = perceptron([4, 20, 20, 3], 0), perceptron([4, 20, 20, 3], 1)
    matcher = WeightMatcher(signed=True, warm_start=True, random_state=0).fit(a, b)
    first = matcher.signs_
    assert matcher.fit(a, b).n_sweeps_ == 1
    assert_same_orders(matcher.signs_, first)
    assert set(matcher.set_params(signed=["P1"]).fit(a, b).signs_) == {"P1"}
    assert matcher.set_params(signed=False).fit(a, b).signs_ is None
    assert set(matcher.set_params(signed=True).fit(a, b).signs_) == {"P0", "P1"}


def test_what_is_no_name_of_a_permutation_is_refused():
    with pytest.raises(ValueError, match="'signed' parameter of WeightMatcher"):
        WeightMatcher(signed="P0").fit(*TANH)
    with pytest.raises(ValueError, match="'signed' of match_weights must name"):
        WeightMatcher(signed=["P5"]).fit(*TANH)
