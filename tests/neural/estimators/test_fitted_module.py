"""The module of a fit: the same one until the next fit, live and in a pickle."""

from __future__ import annotations

import copy
import pickle
from functools import partial

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from statlearn.neural import NeuralClassifier, fold  # noqa: E402
from statlearn.neural.adapters import apply_bone  # noqa: E402
from statlearn.neural.models import MLP, ConvNet, TinyViT  # noqa: E402
from statlearn.neural.quantization import quantize_model  # noqa: E402

SHORT = {"max_epochs": 2, "random_state": 0}
CHANGES = {
    "sizes": {"hidden_layer_sizes": (5,)},
    "module": {"module": partial(MLP, hidden=(3,))},
    "map": {"weight_map": partial(quantize_model, bits=4)},
}


def table(n=60):
    X = np.random.default_rng(0).normal(size=(n, 4))
    return X, (X[:, 0] > 0).astype(int)


def pickled(model):
    return pickle.loads(pickle.dumps(model))


@pytest.mark.parametrize("copied", [pickled, copy.deepcopy, copy.copy])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_copy_predicts_as_the_live_model_after_a_change(change, copied):
    X, y = table()
    model = NeuralClassifier(**SHORT).fit(X, y)
    proba = model.predict_proba(X)
    model.set_params(**change)
    assert (model.predict_proba(X) == proba).all()
    again = copied(model)
    assert (again.predict_proba(X) == proba).all()
    assert again.to_module()(torch.zeros(1, 4)).shape == (1, 2)
    assert again.partial_fit(X, y).n_iter_ == 3
    assert again.get_params().keys() == model.get_params().keys()
    assert again.fit(X, y).state_.keys() == clone(model).fit(X, y).state_.keys()


@pytest.mark.parametrize("copied", [False, True], ids=["fitted", "unpickled"])
def test_a_part_of_the_state_that_was_replaced_counts_everywhere(copied):
    X, y = table()
    model = NeuralClassifier(**SHORT).fit(X, y)
    if copied:
        model = pickled(model)
        model.predict(X)
    for name, part in model.state_.items():
        model.state_[name] = np.zeros_like(part)
    assert model.predict_proba(X) == pytest.approx(0.5)
    assert pickled(model).predict_proba(X) == pytest.approx(0.5)
    mine = np.ones_like(model.state_["head.bias"])
    model.state_["head.bias"] = mine
    model.predict(X)
    mine[:] = 2.0  # an array of the user stays theirs, and what was taken of it too
    assert (model.state_["head.bias"] == 1.0).all()


@pytest.mark.parametrize("copied", [False, True], ids=["fitted", "unpickled"])
def test_the_state_cannot_be_written_into(copied):
    X, y = table()
    model = NeuralClassifier(**SHORT).fit(X, y)
    if copied:
        model = pickled(model)
        model.predict(X)
    with pytest.raises(ValueError, match="read-only"):
        model.state_["head.bias"][:] = 0.0


def test_a_warm_start_with_another_module_is_refused_and_changes_nothing():
    X, y = table()
    model = NeuralClassifier(warm_start=True, **SHORT).fit(X, y)
    proba = model.predict_proba(X)
    model.set_params(hidden_layer_sizes=(5,))
    with pytest.raises(ValueError, match="must be that of its module"):
        model.fit(X, y)
    assert (pickled(model).predict_proba(X) == proba).all()


def test_a_state_from_a_file_has_the_module_of_the_parameters(tmp_path):
    X, y = table()
    model = NeuralClassifier(**SHORT).fit(X, y)
    model.save_state(tmp_path / "model.safetensors")
    again = NeuralClassifier(**SHORT).load_state(tmp_path / "model.safetensors")
    again.set_params(hidden_layer_sizes=(5,))
    assert (pickled(again).predict_proba(X) == model.predict_proba(X)).all()


def mapped():
    module = nn.Sequential(nn.Linear(4, 2))
    apply_bone(module, r=2)
    return module


def test_a_module_with_maps_cannot_be_pickled_but_copied():
    X, y = table()
    model = NeuralClassifier(mapped(), **SHORT)
    message = "'module' of NeuralClassifier must have no maps.* pass the plain module"
    with pytest.raises(TypeError, match=message):
        pickle.dumps(model)
    model.fit(X, y)
    with pytest.raises(TypeError, match=message):
        pickle.dumps(model)
    for again in (copy.deepcopy(model), copy.copy(model), clone(model).fit(X, y)):
        assert (again.predict_proba(X) == model.predict_proba(X)).all()
    plain = NeuralClassifier(
        nn.Sequential(nn.Linear(4, 2)), weight_map=partial(apply_bone, r=2), **SHORT
    ).fit(X, y)
    assert (pickled(plain).predict_proba(X) == plain.predict_proba(X)).all()
    folded = mapped()
    fold(folded)
    assert pickled(NeuralClassifier(folded, **SHORT).fit(X, y)).score(X, y) >= 0


@pytest.mark.parametrize("module", [TinyViT, ConvNet])
def test_a_class_without_features_is_made_of_the_outputs(module):
    X, y = load_digits(n_class=3, return_X_y=True)
    model = NeuralClassifier(module, learning_rate=0.01, max_epochs=5, random_state=0)
    loss = model.fit(X / 16, y).history_["loss"]
    assert loss[-1] < 0.8 * loss[0]
    assert (pickled(model).predict(X / 16) == model.predict(X / 16)).all()
