"""What a fit of a neural estimator refuses before any work."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from statlearn.neural import NeuralClassifier, NeuralRegressor  # noqa: E402
from statlearn.neural import losses as all_losses  # noqa: E402

SHORT = {"max_epochs": 2, "random_state": 0}
FIT = {
    NeuralClassifier: {"cross_entropy"},
    NeuralRegressor: {"squared_error", "absolute_error", "huber", "pinball"},
}
PAIRS = [(kind, name) for kind in FIT for name in all_losses.list_losses()]
NAMES = [f"{kind.__name__}-{name}" for kind, name in PAIRS]


def table(n=60):
    X = np.random.default_rng(0).normal(size=(n, 4))
    return X, (X[:, 0] > 0).astype(int)


@pytest.mark.parametrize("given", ["name", "function", "options"])
@pytest.mark.parametrize(("kind", "name"), PAIRS, ids=NAMES)
def test_a_loss_of_another_kind_is_refused(kind, name, given):
    function = getattr(all_losses, name)
    loss = {"name": name, "function": function, "options": partial(function)}[given]
    if name in FIT[kind]:
        if name == "pinball":
            loss = partial(function, levels=[0.5])
        assert kind(loss=loss, **SHORT).fit(*table()).history_["loss"][0] > 0
    else:
        message = f"'loss' of {kind.__name__} must be one for .* Got '{name}', for targ"
        with pytest.raises(ValueError, match=message):
            kind(loss=loss).fit(*table())


def test_an_own_function_of_any_loss_is_used():
    X, y = table()

    def loss(values, targets):
        return all_losses.binary_cross_entropy_with_logits(values, targets)

    model = NeuralRegressor(loss=loss, **SHORT).fit(X, y)
    assert model.history_["loss"][-1] < model.history_["loss"][0]


def test_a_name_of_a_loss_with_options_says_what_to_pass():
    message = r"needs \['levels'\]; pass functools.partial\(pinball, levels=...\)"
    with pytest.raises(TypeError, match=message):
        NeuralRegressor(loss="pinball").fit(*table())
    with pytest.raises(TypeError, match=message):
        NeuralRegressor(loss="pinball").partial_fit(*table())


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "mps:7"])
@pytest.mark.parametrize("kind", FIT)
def test_a_device_that_is_not_there_is_refused(kind, device):
    with pytest.raises(ValueError, match=rf"'device' of {kind.__name__} .*'{device}'"):
        kind(device=device).fit(*table())
    model = kind(**SHORT).fit(*table())
    model.set_params(device=device)._live = None
    with pytest.raises(ValueError, match="pass for example 'cpu'"):
        model.predict(table()[0])


@pytest.mark.parametrize("kind", FIT)
def test_images_are_refused_with_what_to_do(kind):
    images, y = np.zeros((6, 1, 4, 4)), [0, 1, 0, 1, 0, 1]
    message = r"Got shape \(6, 1, 4, 4\); pass X.reshape.*Unflatten\(1, \(1, 4, 4\)\)"
    with pytest.raises(ValueError, match=message):
        kind().fit(images, y)
    model = kind(**SHORT).fit(images.reshape(6, -1), y)
    with pytest.raises(ValueError, match=message):
        model.predict(images)


def test_labels_of_two_kinds_are_refused():
    X, _ = table(4)
    y = np.array([1, "a", 1, "a"], dtype=object)
    message = "labels of NeuralClassifier must be of one kind.* Got int and str; conv"
    with pytest.raises(TypeError, match=message):
        NeuralClassifier().fit(X, y)
    assert set(NeuralClassifier(**SHORT).fit(X, y.astype(str)).classes_) == {"1", "a"}


def needs_more(n_features, n_hidden):
    return nn.Linear(n_features, n_hidden)


def only_outputs(n_outputs):
    return nn.LazyLinear(n_outputs)


def only_features(*, n_features, width=2):
    return nn.Linear(n_features, width)


def none_of_them():
    return nn.Linear(4, 2)


def all_keywords(**sizes):
    return nn.Linear(sizes["n_features"], sizes["n_outputs"])


def by_position(n_features, n_outputs, /):
    return nn.Linear(n_features, n_outputs)


@pytest.mark.parametrize(
    "module", [only_outputs, only_features, none_of_them, all_keywords]
)
def test_a_function_gets_the_sizes_that_it_takes(module):
    model = NeuralClassifier(module, **SHORT).fit(*table())
    assert model.state_["weight"].shape == (2, 4)


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (needs_more, r"\['n_hidden'\]"),
        (by_position, r"\['n_features', 'n_outputs'\]"),
        (nn.Linear, r"\['in_features', 'out_features'\]"),
    ],
    ids=["function", "position", "class"],
)
def test_a_function_that_needs_more_is_refused_in_words(module, names):
    with pytest.raises(TypeError, match=f"which needs {names}; pass an instance"):
        NeuralClassifier(module).fit(*table())
