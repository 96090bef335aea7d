"""Values, shapes, weights and state of the neural regressor."""

from __future__ import annotations

import pickle
from functools import partial

import numpy as np
import pytest
from sklearn.exceptions import DataConversionWarning
from sklearn.linear_model import LinearRegression

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from statlearn.neural import NeuralRegressor  # noqa: E402
from statlearn.neural._estimators._state_file import (  # noqa: E402
    read_state,
    write_state,
)
from statlearn.neural.losses import pinball  # noqa: E402

SHORT = {"max_epochs": 4, "batch_size": 32, "random_state": 0}


def table(n=120, seed=0):
    """Return rows of three columns and a curved target of size one."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    return X, X[:, 0] + np.abs(X[:, 1]) - 0.8 + 0.1 * rng.normal(size=n)


def linear(rate=0.1, **parameters):
    """Return a linear model that descends along the plain gradient."""
    return NeuralRegressor(
        hidden_layer_sizes=(),
        optimizer=partial(torch.optim.SGD, lr=rate),
        dtype="float64",
        **parameters,
    )


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_a_module_without_hidden_layers_converges_to_least_squares(weighted):
    X, y = table()
    Y = np.column_stack([y, X[:, 2] ** 2])
    weight = np.arange(1, 121) % 7 if weighted else None
    peer = LinearRegression().fit(X, Y, sample_weight=weight)
    # The loss is a mean over two outputs, so a step of one is that of a half each.
    model = linear(0.5, batch_size=120, max_epochs=200).fit(X, Y, sample_weight=weight)
    assert model.state_["head.weight"] == pytest.approx(peer.coef_, abs=1e-8)
    assert model.predict(X) == pytest.approx(peer.predict(X), abs=1e-8)


@pytest.mark.parametrize("form", ["weighted", "repeated"])
def test_small_steps_lead_to_the_weighted_optimum(form):
    # Batches of few rows, of which one in four weighs twenty: a single fit cannot equal
    # that of repeated rows, but the place to which the steps lead is the same.
    X, y = table(40)
    weight = np.random.default_rng(1).choice([1, 1, 1, 20], size=40)
    exact = LinearRegression().fit(X, y, sample_weight=weight).coef_
    plain = LinearRegression().fit(X, y).coef_
    n_epochs = 200
    if form == "repeated":
        rows = np.repeat(np.arange(40), weight)
        X, y, weight = X[rows], y[rows], None
        n_epochs = n_epochs * 40 // len(rows)
    model = linear(
        learning_rate=0.05,
        schedule="cosine",
        batch_size=8,
        max_epochs=n_epochs,
        random_state=0,
    ).fit(X, y, sample_weight=weight)
    off = np.linalg.norm(model.state_["head.weight"][0] - exact)
    assert off < 0.1 * np.linalg.norm(plain - exact)


def test_predictions_have_the_shape_of_the_targets():
    X, y = table()
    model = NeuralRegressor(**SHORT).fit(X, y)
    assert model.predict(X).shape == (120,)
    assert model.fit(X, np.column_stack([y, y])).predict(X).shape == (120, 2)
    with pytest.warns(DataConversionWarning):
        model.fit(X, y[:, None])
    assert model.predict(X).shape == (120,)


def test_targets_beyond_the_type_are_refused():
    X, y = np.ones((4, 1)), np.array([0.0, 1.0, 2.0, 1e39])
    with pytest.raises(ValueError, match="'y' of NeuralRegressor must be within the"):
        NeuralRegressor(max_epochs=1).fit(X, y)


def test_a_module_may_return_a_vector():
    X, y = table()
    module = nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))
    model = NeuralRegressor(module, **SHORT).fit(X, y)
    assert model.predict(X).shape == (120,)


def test_predictions_have_the_type_of_the_rows():
    X, y = table()
    model = NeuralRegressor(**SHORT).fit(X, y)
    assert model.predict(X).dtype == np.float64
    assert model.predict(X.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize(
    ("loss", "end"),
    [("absolute_error", 0.5), (partial(pinball, levels=[0.9]), 0.9)],
    ids=["name", "function"],
)
def test_a_loss_may_have_a_name_or_be_a_function(loss, end):
    # Of rows without features only the intercept learns.
    X, y = np.zeros((100, 1)), (np.arange(100) + 0.5) / 100
    model = linear(0.1, loss=loss, batch_size=100, max_epochs=100).fit(X, y)
    assert model.predict(X[:1]) == pytest.approx(end, abs=0.02)


def test_early_stopping_looks_at_the_share_of_variance():
    X, y = table(400)
    model = NeuralRegressor(
        early_stopping=True, learning_rate=0.02, n_iter_no_change=3, random_state=0
    ).fit(X, y, sample_weight=np.arange(400) % 5)
    assert model.n_iter_ < 100
    assert model.best_validation_score_ == max(model.history_["validation_score"])
    assert 0.8 < model.best_validation_score_ < 1.0


def test_a_fit_that_diverges_before_it_is_scored_says_so():
    model = NeuralRegressor(
        early_stopping=True,
        learning_rate=1e30,
        optimizer="sgd",
        max_epochs=3,
        batch_size=1000,
        random_state=0,
    )
    with pytest.raises(FloatingPointError, match="outputs of NeuralRegressor must be"):
        model.fit(*table())


@pytest.mark.parametrize("flat", [True, [1]], ids=str)
def test_facts_that_contradict_each_other_are_refused(tmp_path, flat):
    X, y = table()
    path = tmp_path / "state.safetensors"
    NeuralRegressor(**SHORT).fit(X, np.column_stack([y, y])).save_state(path)
    arrays, facts = read_state(path, "test")
    write_state(path, arrays, facts | {"flat": flat}, "test")
    with pytest.raises(ValueError, match="with 2 outputs"):
        NeuralRegressor(**SHORT).load_state(path)


def test_one_row_is_too_few_to_hold_out():
    X, y = table(10)
    with pytest.raises(ValueError, match="must hold out 2 rows at least"):
        NeuralRegressor(early_stopping=True).fit(X, y)


def test_another_dtype_waits_for_the_next_fit():
    X, y = np.ones((8, 2)), np.arange(8.0)
    model = NeuralRegressor(max_epochs=2, random_state=0).fit(X, y)
    expected = model.predict(X)
    model.set_params(dtype="float64")
    np.testing.assert_array_equal(model.predict(X), expected)
    model.partial_fit(X, y)
    assert {a.dtype for a in model.state_.values()} == {np.dtype("float32")}


def test_partial_fit_makes_the_steps_of_a_fit():
    X, y = table()
    one, other = NeuralRegressor(**SHORT).fit(X, y), NeuralRegressor(**SHORT)
    for _ in range(4):
        other = pickle.loads(pickle.dumps(other)).partial_fit(X, y)
    assert (one.predict(X) == other.predict(X)).all()
    with pytest.raises(ValueError, match="must have 1 targets"):
        other.partial_fit(X, np.column_stack([y, y]))


@pytest.mark.parametrize("n_targets", [1, 2])
def test_a_saved_state_predicts_the_same(tmp_path, n_targets):
    X, y = table()
    y = y if n_targets == 1 else np.column_stack([y, -y])
    model = NeuralRegressor(**SHORT).fit(X, y)
    model.save_state(tmp_path / "model.safetensors")
    again = NeuralRegressor(**SHORT).load_state(tmp_path / "model.safetensors")
    assert (again.predict(X) == model.predict(X)).all()
    assert again.predict(X).shape == y.shape


@pytest.mark.parametrize(
    ("weighting", "kind"), [("huber", "residual"), ("inversefrequency", "group")]
)
def test_rules_without_losses_are_refused(weighting, kind):
    with pytest.raises(ValueError, match=f"a rule on {kind}s"):
        NeuralRegressor(weighting=weighting).fit(*table())
