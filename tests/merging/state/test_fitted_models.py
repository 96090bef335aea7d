from __future__ import annotations

import copy

import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    Ridge,
    SGDClassifier,
    SGDOneClassSVM,
    SGDRegressor,
)
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

from statlearn.merging import (
    get_weights,
    merge_weights,
    open_weights,
    save_weights,
    set_weights,
)

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


# --- arrays in modules -------------------------------------------------------


@pytest.fixture(params=["float32", "bfloat16"])
def network(torch, request):
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    return module.to(getattr(torch, request.param))


def test_arrays_from_a_file_go_into_a_module(torch, network, tmp_path):
    save_weights(tmp_path / "n.safetensors", network)
    blank = set_weights(network, {n: 0 * v for n, v in get_weights(network).items()})
    again = set_weights(blank, open_weights(tmp_path / "n.safetensors"))
    for name, tensor in network.state_dict().items():
        assert again.state_dict()[name].dtype == tensor.dtype
        assert torch.equal(again.state_dict()[name], tensor)


def test_weights_merged_from_files_go_into_a_module(torch, network, tmp_path):
    save_weights(tmp_path / "n.safetensors", network)
    base = open_weights(tmp_path / "n.safetensors")
    merged = merge_weights(base, [network, network], "average")
    again = set_weights(network, merged).state_dict()
    for name, tensor in network.state_dict().items():
        assert torch.equal(again[name], tensor)


@pytest.mark.parametrize(
    "weight",
    [
        [[1, 2, 3], [4, 5, 6]],
        np.array([[3.0, 2.0, 1.0], [6.0, 5.0, 4.0]])[:, ::-1],
        np.array([[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]], dtype=">f8").T,
    ],
    ids=["lists", "reversed", "big-endian"],
)
def test_arrays_of_any_memory_go_into_a_module(torch, weight):
    module = torch.nn.Linear(3, 2, bias=False)
    if isinstance(weight, list):
        weight = [[float(number) for number in row] for row in weight]
    found = set_weights(module, {"weight": weight}).weight
    expected = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert torch.equal(found.detach(), expected)


@pytest.mark.parametrize("kind", ["float16", "float32"])
@pytest.mark.parametrize("given", ["array", "tensor"])
def test_numbers_out_of_range_of_a_module_are_refused(torch, kind, given):
    module = torch.nn.Linear(1, 1, bias=False).to(getattr(torch, kind))
    new = np.array([[1e39]])
    weights = {"weight": torch.tensor(new) if given == "tensor" else new}
    with pytest.raises(
        ValueError, match=rf"Got 1e\+39 for 'weight' of .*{kind}, where"
    ):
        set_weights(module, weights)


def test_numbers_out_of_range_of_an_array_are_refused():
    rows = X.astype(np.float32)
    model = Ridge().fit(rows, rows[:, 0])
    new = {"coef_": np.full(3, 1e39), "intercept_": np.zeros(())}
    with pytest.raises(ValueError, match=r"Got 1e\+39 for 'coef_' of type float32"):
        set_weights(model, new)


# --- neural estimators -------------------------------------------------------


@pytest.fixture(scope="module")
def neural(torch):
    from statlearn.neural import NeuralClassifier

    model = NeuralClassifier(hidden_layer_sizes=(4,), max_epochs=2, random_state=0)
    return model.fit(X, LABELS)


def test_neural_estimator_gives_the_state_dict_of_its_module(neural):
    module = neural.to_module().state_dict()
    weights = get_weights(neural)
    assert weights.keys() == module.keys()
    for name, tensor in module.items():
        np.testing.assert_array_equal(weights[name], tensor.numpy())


def test_new_weights_decide_what_a_neural_estimator_predicts(neural):
    before = neural.predict_proba(X)
    zeros = {name: 0 * array for name, array in get_weights(neural).items()}
    blank = set_weights(neural, zeros)
    np.testing.assert_allclose(blank.predict_proba(X), 1 / 3)
    np.testing.assert_array_equal(neural.predict_proba(X), before)
    back = set_weights(blank, get_weights(neural), copy=False)
    assert back is blank
    np.testing.assert_array_equal(blank.predict_proba(X), before)


def test_neural_estimators_merge(neural):
    doubled = {name: 2 * array for name, array in get_weights(neural).items()}
    merged = merge_weights(neural, [neural, set_weights(neural, doubled)], "average")
    for name, array in get_weights(neural).items():
        np.testing.assert_allclose(merged[name], 1.5 * array, rtol=1e-6)


def test_neural_estimator_with_a_map_is_told_to_be_folded(torch):
    from functools import partial

    from statlearn.neural import NeuralClassifier
    from statlearn.neural.adapters import apply_bone

    model = NeuralClassifier(
        hidden_layer_sizes=(4,),
        max_epochs=1,
        weight_map=partial(apply_bone, r=1),
        random_state=0,
    ).fit(X, LABELS)
    with pytest.raises(
        TypeError, match=r"with a weight_map; pass statlearn.neural.fold"
    ):
        get_weights(model)


def test_weights_of_a_frozen_neural_estimator_are_set_inside(neural):
    frozen = FrozenEstimator(neural)
    with pytest.raises(TypeError, match=r"Got FrozenEstimator, .* 'state_' .* inside"):
        set_weights(frozen, get_weights(frozen))


def test_neural_estimator_before_fit_is_refused(torch):
    from statlearn.neural import NeuralClassifier

    with pytest.raises(NotFittedError, match="Got NeuralClassifier, which is not fit"):
        get_weights(NeuralClassifier())


# --- models with more than coefficients --------------------------------------


def test_offset_of_a_one_class_model_is_carried():
    model = SGDOneClassSVM(random_state=0).fit(X)
    weights = get_weights(model)
    assert list(weights) == ["coef_", "offset_"]
    moved = set_weights(model, {**weights, "offset_": weights["offset_"] + 2.0})
    expected = model.decision_function(X) - 2.0
    np.testing.assert_allclose(moved.decision_function(X), expected, atol=1e-12)


AVERAGED = [
    (SGDRegressor, X[:, 0]),
    (SGDClassifier, LABELS > 0),
    (SGDClassifier, LABELS),
    (SGDOneClassSVM, None),
]
averaged = pytest.mark.parametrize(
    ("kind", "targets"), AVERAGED, ids=["regressor", "two", "three", "one-class"]
)


@averaged
@pytest.mark.parametrize("start", [True, 70, 1000])
def test_own_weights_leave_an_averaged_descent_as_it_is(kind, targets, start):
    model = kind(average=start, max_iter=2, tol=None, random_state=0).fit(X, targets)
    again = set_weights(model, get_weights(model))
    for one in (model, again):
        one.partial_fit(X, targets)
    np.testing.assert_array_equal(again.coef_, model.coef_)


@pytest.mark.parametrize("start", [True, 1000])
@pytest.mark.parametrize(
    ("kind", "targets"), AVERAGED[:3], ids=["regressor", "two", "three"]
)
def test_an_averaged_descent_goes_on_from_new_weights(kind, targets, start):
    model = kind(average=start, alpha=1e-12, max_iter=2, tol=None, random_state=0)
    model.fit(X, targets)
    shift = {name: array + 100.0 for name, array in get_weights(model).items()}
    moved = set_weights(model, shift)
    # Rows of zeros do not move coefficients: what comes back is where it went on from.
    moved.partial_fit(0.0 * X, targets)
    still = copy.deepcopy(model).partial_fit(0.0 * X, targets)
    np.testing.assert_allclose(moved.coef_ - still.coef_, 100.0, rtol=1e-6)


@pytest.mark.parametrize("start", [True, 1000])
def test_an_averaged_one_class_descent_goes_on_from_a_new_offset(start):
    model = SGDOneClassSVM(average=start, max_iter=2, tol=None, random_state=0).fit(X)
    weights = get_weights(model)
    moved = set_weights(model, {**weights, "offset_": weights["offset_"] + 100.0})
    assert moved.partial_fit(X).offset_ > model.partial_fit(X).offset_ + 50.0


def test_model_that_centres_rows_is_refused():
    with pytest.raises(TypeError, match=r"Got PLSRegression, which also subtracts"):
        get_weights(PLSRegression(n_components=2).fit(X, X[:, 0]))


# --- refusals ----------------------------------------------------------------


@pytest.mark.parametrize("model", [Ridge(), MLPClassifier(), RandomForestClassifier()])
def test_model_before_fit_is_refused(model):
    message = f"Got {type(model).__name__}, which is not fitted; call fit first"
    with pytest.raises(NotFittedError, match=message):
        get_weights(model)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (make_pipeline(Ridge()).fit(X, X[:, 0]), r"Got Pipeline, .* last step, model"),
        (make_pipeline(Ridge()), r"Got Pipeline, .* pass its last step, model\[-1\]"),
        (
            GridSearchCV(Ridge(), {"alpha": [1.0]}).fit(X, X[:, 0]),
            r"Got GridSearchCV, .* pass its best_estimator_",
        ),
        (
            RandomForestClassifier(2).fit(X, LABELS),
            r"Got RandomForestClassifier, which predicts in another way",
        ),
        (
            OneVsRestClassifier(Ridge()).fit(X, LABELS),
            r"Got OneVsRestClassifier, which predicts in another way",
        ),
        (FunctionTransformer(), r"Got FunctionTransformer, which predicts in another"),
    ],
    ids=["pipeline", "before-fit", "search", "forest", "one-vs-rest", "stateless"],
)
def test_kind_of_model_without_weights_is_told_what_to_pass(model, message):
    with pytest.raises(TypeError, match=message):
        get_weights(model)


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


@pytest.mark.parametrize(
    ("inside", "name"),
    [(Ridge().fit(X, X[:, 0]), "coef_"), (NETWORK, "coefs_")],
    ids=["linear", "perceptron"],
)
def test_weights_of_a_frozen_model_are_set_inside(inside, name):
    frozen = FrozenEstimator(inside)
    with pytest.raises(TypeError, match=rf"Got FrozenEstimator, .* '{name}' .* inside"):
        set_weights(frozen, get_weights(frozen))
