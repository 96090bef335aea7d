from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from statlearn.merging import get_weights, set_weights

X = np.random.default_rng(0).normal(size=(40, 3))
LABELS = np.arange(40) % 3
NETWORK = MLPClassifier((5, 4), max_iter=300, tol=1e-2, random_state=0).fit(X, LABELS)


def test_perceptron_gives_matrices_and_biases_by_layer():
    weights = get_weights(NETWORK)
    assert {name: array.shape for name, array in weights.items()} == {
        "W0": (3, 5),
        "b0": (5,),
        "W1": (5, 4),
        "b1": (4,),
        "W2": (4, 3),
        "b2": (3,),
    }
    assert np.shares_memory(weights["W1"], NETWORK.coefs_[1])


def test_new_weights_decide_what_a_perceptron_predicts():
    zeros = {name: np.zeros_like(a) for name, a in get_weights(NETWORK).items()}
    blank = set_weights(NETWORK, {**zeros, "b2": [0.0, 5.0, 0.0]})
    np.testing.assert_array_equal(blank.predict(X), 1)
    assert not np.all(NETWORK.predict(X) == 1)


@pytest.mark.parametrize(
    "model",
    [
        LinearRegression().fit(X, X[:, :2]),
        LinearRegression(fit_intercept=False).fit(X, X[:, 0]),
        LogisticRegression().fit(X, LABELS),
        Ridge().fit(X.astype(np.float32), X[:, 0].astype(np.float32)),
        NETWORK,
        MLPRegressor(
            hidden_layer_sizes=(3,), max_iter=2000, tol=1e-2, random_state=0
        ).fit(X, X[:, 0]),
    ],
    ids=lambda model: type(model).__name__,
)
def test_own_weights_give_the_same_model_with_own_memory(model):
    again = set_weights(model, get_weights(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    for name, array in get_weights(model).items():
        assert get_weights(again)[name].dtype == array.dtype
        assert not np.shares_memory(get_weights(again)[name], array)


def test_without_copy_the_model_itself_changes():
    model = Ridge().fit(X, X[:, 0])
    zeros = {name: np.zeros_like(a) for name, a in get_weights(model).items()}
    assert set_weights(model, zeros, copy=False) is model
    np.testing.assert_array_equal(model.predict(X), 0.0)


def test_module_keeps_its_class_and_counters(torch):
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    weights = get_weights(module)
    assert not weights["0.weight"].requires_grad
    doubled = {n: 2 * v for n, v in weights.items()}
    other = set_weights(module, doubled)
    assert isinstance(other, torch.nn.Sequential)
    assert torch.equal(other[0].weight, 2 * module[0].weight)
    assert torch.equal(module[0].weight, weights["0.weight"])


def test_mapping_is_its_own_state_dict_and_is_copied_when_set():
    state = {"w": np.ones(2)}
    assert get_weights(state) is state
    new = {"w": np.zeros(2)}
    result = set_weights(state, new)
    result["w"][:] = 9.0
    np.testing.assert_array_equal(new["w"], 0.0)


def test_model_before_fit_is_refused():
    with pytest.raises(NotFittedError, match="Got Ridge without 'coef_'"):
        get_weights(Ridge())


def test_pipeline_is_told_to_pass_its_last_step():
    with pytest.raises(NotFittedError, match="last step of a pipeline"):
        get_weights(make_pipeline(Ridge()).fit(X, X[:, 0]))


@pytest.mark.parametrize("model", [3.0, None, "model"])
def test_other_objects_are_refused(model):
    with pytest.raises(TypeError, match="Weights are read from a state dict"):
        get_weights(model)


def test_class_of_a_module_is_refused(torch):
    with pytest.raises(TypeError, match="Weights are read from a state dict"):
        get_weights(torch.nn.Linear)


def test_weights_of_another_layout_are_refused():
    model = Ridge().fit(X, X[:, 0])
    with pytest.raises(ValueError, match="without \\['intercept_'\\]"):
        set_weights(model, {"coef_": np.zeros(3)})
    with pytest.raises(ValueError, match="'coef_' in them"):
        set_weights(model, {"coef_": np.zeros(4), "intercept_": np.zeros(())})


def test_computed_weights_cannot_be_set():
    model = SVC(kernel="linear").fit(X, LABELS)
    with pytest.raises(TypeError, match="Got SVC, which computes 'coef_'"):
        set_weights(model, get_weights(model))
