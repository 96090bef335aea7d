"""Weights that depend on features: what is learnt, its gradient, and its laws."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import check_grad

from statlearn.metrics import pinball_loss
from statlearn.quantile import LinearGate
from statlearn.quantile._gate import _Problem

LEVELS = np.array([0.1, 0.5, 0.9])


def _experts(n=600, seed=0):
    """Two models, each right on one side of zero of the first feature."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1.0, 1.0, size=(n, 2))
    right = X[:, 0] > 0.0
    noise = rng.normal(size=n)
    y = 3.0 * X[:, 1] + noise
    quantiles = 3.0 * X[:, 1, None] + np.array([-1.2816, 0.0, 1.2816])
    wrong = quantiles + 4.0
    first = np.where(right[:, None], quantiles, wrong)
    second = np.where(right[:, None], wrong, quantiles)
    return X, y, np.stack([first, second], axis=1)


@pytest.mark.parametrize("shape", [(3,), (3, 4)])
def test_gradient_is_that_of_the_objective(shape):
    rng = np.random.default_rng(0)
    Z = np.column_stack([np.ones(30), rng.normal(size=(30, 2))])
    share = rng.dirichlet(np.ones(30))
    problem = _Problem(
        rng.normal(size=(30, 3, 4)),
        rng.normal(size=30),
        Z,
        np.array([0.1, 0.3, 0.6, 0.9]),
        share,
        0.3,
        shape,
    )
    theta = rng.normal(size=3 * int(np.prod(shape)))

    def value(point):
        return problem.value_and_gradient(point, 2.0, 0.5)[0]

    def gradient(point):
        return problem.value_and_gradient(point, 2.0, 0.5)[1]

    assert check_grad(value, gradient, theta) < 1e-6


@pytest.mark.parametrize("resolution", ["coarse", "medium"])
def test_each_model_has_weight_where_it_is_right(resolution):
    X, y, Q = _experts()
    gate = LinearGate(resolution=resolution, alpha=1e-4).fit(Q, y, X, LEVELS)
    weights = gate.weights([[0.8, 0.0], [-0.8, 0.0]])
    assert weights.shape == ((2, 2) if resolution == "coarse" else (2, 2, 3))
    assert (weights[0, 0] > 0.95).all()
    assert (weights[1, 1] > 0.95).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)


def test_it_does_better_than_the_best_constant_weights():
    X, y, Q = _experts()
    gate = LinearGate().fit(Q[:400], y[:400], X[:400], LEVELS)
    local = (gate.weights(X[400:])[:, :, None] * Q[400:]).sum(axis=1)
    constant = min(
        pinball_loss(y[400:], share * Q[400:, 0] + (1 - share) * Q[400:, 1], LEVELS)
        for share in np.linspace(0.0, 1.0, 101)
    )
    assert pinball_loss(y[400:], local, LEVELS) < 0.6 * constant


def test_a_strong_penalty_gives_the_same_weights_everywhere():
    X, y, Q = _experts()
    weights = LinearGate(alpha=1e6).fit(Q, y, X, LEVELS).weights(X)
    np.testing.assert_allclose(
        weights, np.broadcast_to(weights[0], (600, 2)), atol=1e-5
    )


def test_integer_weights_equal_repeated_rows():
    X, y, Q = _experts(120)
    counts = np.random.default_rng(1).integers(0, 3, size=120)
    weighted = LinearGate().fit(Q, y, X, LEVELS, sample_weight=counts)
    rows = np.repeat(np.arange(120), counts)
    repeated = LinearGate().fit(Q[rows], y[rows], X[rows], LEVELS)
    np.testing.assert_allclose(
        weighted.weights(X), repeated.weights(X), atol=2e-3
    )  # L-BFGS ends where its own tests say


@pytest.mark.parametrize(("unit", "shift"), [(1e-9, 0.0), (1e9, 0.0), (1.0, 1e6)])
def test_unit_and_zero_of_the_target_do_not_matter(unit, shift):
    X, y, Q = _experts(300)
    once = LinearGate().fit(Q, y, X, LEVELS).weights(X)
    again = LinearGate().fit(shift + unit * Q, shift + unit * y, X, LEVELS).weights(X)
    np.testing.assert_allclose(again, once, atol=2e-3)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_feature_that_was_constant_in_training_says_nothing(weighted):
    # The mean of 300 times 0.1 is not 0.1: their spread is rounding, not zero.
    X, y, Q = _experts(n=300)
    weight = np.arange(300) % 3 if weighted else None
    constant = np.full(300, 0.1)
    if weighted:  # rows that do not count are no data
        constant[::3] = 9.0
    plain = LinearGate().fit(Q, y, X, LEVELS, weight)
    more = LinearGate().fit(Q, y, np.column_stack([X, constant]), LEVELS, weight)
    rows = np.array([[0.8, 0.0], [-0.1, 0.3]])
    for value in (0.1, 0.2, -1.0, 1e6):
        beside = np.column_stack([rows, np.full(2, value)])
        assert_allclose(more.weights(beside), plain.weights(rows), rtol=1e-12)


@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_weights_do_not_depend_on_the_unit_of_the_features(unit):
    X, y, Q = _experts(n=300)
    plain = LinearGate().fit(Q, y, X, LEVELS).weights(X)
    scaled = LinearGate().fit(Q, y, unit * X, LEVELS).weights(unit * X)
    assert_allclose(scaled, plain, rtol=1e-6)


def test_a_constant_feature_and_a_constant_target_do_no_harm():
    X, y, Q = _experts(100)
    X[:, 1] = 7.0
    assert np.isfinite(LinearGate().fit(Q, y, X, LEVELS).weights(X)).all()
    gate = LinearGate().fit(np.ones_like(Q), np.ones(100), X, LEVELS)
    np.testing.assert_allclose(gate.weights(X), 0.5)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"resolution": "fine"}, "'resolution' of LinearGate .* Got 'fine'"),
        ({"alpha": -1.0}, "'alpha' of LinearGate .* Got -1.0"),
        ({"alpha": np.nan}, "'alpha' of LinearGate .* Got nan"),
        ({"max_iter": 0}, "'max_iter' of LinearGate .* Got 0"),
    ],
)
def test_parameters_out_of_range_are_refused(parameters, message):
    X, y, Q = _experts(30)
    with pytest.raises(ValueError, match=message):
        LinearGate(**parameters).fit(Q, y, X, LEVELS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("resolution", None),
        ("alpha", "much"),
        ("alpha", True),
        ("max_iter", True),
        ("max_iter", 1.5),
    ],
)
def test_parameters_of_another_kind_are_refused(name, value):
    X, y, Q = _experts(30)
    with pytest.raises(TypeError, match=f"'{name}' of LinearGate must be .* Got"):
        LinearGate(**{name: value}).fit(Q, y, X, LEVELS)


def test_features_that_are_no_numbers_are_refused():
    _, y, Q = _experts(30)
    with pytest.raises(ValueError, match="'X' of LinearGate must be finite numbers"):
        LinearGate().fit(Q, y, np.full((30, 1), "red"), LEVELS)
