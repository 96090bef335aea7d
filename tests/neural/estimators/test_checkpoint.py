"""Checkpoints of fits: taken up by the same fit, and by no other one."""

from __future__ import annotations

import signal
from functools import partial

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from statlearn.neural import NeuralClassifier, NeuralRegressor  # noqa: E402
from statlearn.neural.adapters import apply_bone  # noqa: E402
from statlearn.neural.losses import cross_entropy  # noqa: E402
from statlearn.neural.models import MLP  # noqa: E402
from statlearn.schedules import Cosine  # noqa: E402

SHORT = {"max_epochs": 5, "batch_size": 32, "random_state": 0}


def table(n=120):
    X = np.random.default_rng(0).normal(size=(n, 4))
    return X, (X[:, 0] > 0).astype(int)


class AtEpoch:
    """A callback that does something at the end of an epoch, or of the fit for 0."""

    def __init__(self, epoch, action):
        self.epoch, self.action = epoch, action

    def setup(self, estimator, context):
        self.ended = 0

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        in_fit = context.task_name == "block"
        self.ended += in_fit
        if self.ended == self.epoch if in_fit else not self.epoch:
            self.action()
        return False

    def teardown(self, estimator, context):
        pass


def interrupt():
    raise KeyboardInterrupt


def interrupted(model):
    """Leave the file of a fit that was interrupted in the third epoch."""
    stopped = clone(model).set_callbacks(AtEpoch(3, interrupt))
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(*table())
    return model


def same_state(one, other):
    return all(np.array_equal(one.state_[n], other.state_[n]) for n in other.state_)


def module(seed=0):
    return MLP(4, (8,), 2, generator=seed)


class Linear(nn.Module):
    """A linear model, of which the user loses patience while it is scored."""

    scorings = 0

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.linear = nn.Linear(n_features, n_outputs)

    def forward(self, X):
        if not self.training and Linear.scorings:
            Linear.scorings -= 1
            if not Linear.scorings:
                raise KeyboardInterrupt
        return self.linear(X)


STOPPING = {
    "module": Linear,
    "early_stopping": True,
    "n_iter_no_change": 2,
    "learning_rate": 0.05,
    "tol": 0.01,
    "max_epochs": 40,
    "random_state": 0,
}


def test_a_fit_interrupted_while_it_is_scored_ends_as_without(tmp_path):
    whole = NeuralClassifier(**STOPPING).fit(*table())
    model = NeuralClassifier(**STOPPING, checkpoint=tmp_path / "fit.pt")
    Linear.scorings = 3  # the first is of two rows, to see what comes out
    with pytest.raises(KeyboardInterrupt):
        model.fit(*table())
    assert Linear.scorings == 0
    model.fit(*table())
    assert model.history_ == whole.history_
    assert same_state(model, whole)


@pytest.mark.usefixtures("keyboard")
def test_a_fit_interrupted_at_its_end_does_not_go_on(tmp_path):
    whole = NeuralClassifier(**STOPPING).fit(*table())
    assert 2 < whole.n_iter_ < 40
    model = NeuralClassifier(**STOPPING, checkpoint=tmp_path / "fit.pt")
    press = AtEpoch(whole.n_iter_, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        clone(model).set_callbacks(press).fit(*table())
    model.fit(*table())
    assert model.history_ == whole.history_
    assert same_state(model, whole)


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        ({"learning_rate": 1e-5}, {"learning_rate": 0.1}, "learning_rate"),
        ({}, {"weight_decay": 0.1}, "weight_decay"),
        ({}, {"loss": partial(cross_entropy, label_smoothing=0.1)}, "loss"),
        ({}, {"weighting": "linupper"}, "weighting"),
        ({}, {"schedule": "linear"}, "schedule"),
        ({"schedule": Cosine(0.1)}, {"schedule": Cosine(0.2)}, "schedule"),
        ({}, {"optimizer": "sgd"}, "optimizer"),
        ({}, {"clip_norm": 1.0}, "clip_norm"),
        ({}, {"precision": "bf16"}, "precision"),
        ({}, {"accumulate": 2}, "accumulate"),
        ({}, {"max_epochs": 2}, "max_epochs"),
        ({}, {"class_weight": {1: 2.0}}, "class_weight, data"),
        ({}, {"random_state": 1}, "random_state, start"),
        ({"module": module(0)}, {"module": module(1)}, "module, start"),
        (
            {"weight_map": partial(apply_bone, r=2)},
            {"weight_map": partial(apply_bone, r=1)},
            "weight_map, start",
        ),
    ],
    ids=[
        *("rate", "decay", "loss", "rule", "schedule", "rates", "optimizer"),
        *("clipping", "precision", "accumulate", "epochs", "classes", "seed"),
        *("module", "map"),
    ],
)
def test_a_fit_with_other_parameters_is_refused(tmp_path, before, after, names):
    path = tmp_path / "fit.pt"
    model = NeuralClassifier(checkpoint=path, **SHORT | before)
    interrupted(model)
    other = clone(model).set_params(**after)
    message = rf"'checkpoint' of NeuralClassifier .* another .*({names})"
    with pytest.raises(ValueError, match=message):
        other.fit(*table())
    assert not hasattr(other, "state_")
    plain = clone(model).set_params(checkpoint=None).fit(*table())
    assert same_state(clone(model).fit(*table()), plain)
    assert not path.exists()


def test_the_same_estimator_is_refused_after_a_change_of_its_rate(tmp_path):
    model = NeuralRegressor(checkpoint=tmp_path / "fit.pt", **SHORT)
    interrupted(model)
    words = r"another learning_rate \(learning_rate was '0.001', is '0.1'\); restore"
    with pytest.raises(ValueError, match=f"'checkpoint' of NeuralRegressor .*{words}"):
        model.set_params(learning_rate=0.1).fit(*table())


def test_another_estimator_is_refused(tmp_path):
    interrupted(NeuralClassifier(checkpoint=tmp_path / "fit.pt", **SHORT))
    with pytest.raises(ValueError, match=r"another .*estimator"):
        NeuralRegressor(checkpoint=tmp_path / "fit.pt", **SHORT).fit(*table())


def test_candidates_of_a_search_do_not_go_on_from_each_other(tmp_path):
    path = tmp_path / "fit.pt"
    model = NeuralClassifier(checkpoint=path, **SHORT)
    rates = {"learning_rate": [1e-5, 0.1]}
    search = GridSearchCV(model, rates, cv=2).fit(*table())
    plain = GridSearchCV(clone(model).set_params(checkpoint=None), rates, cv=2)
    scores = plain.fit(*table()).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], scores)
    assert search.best_params_ == {"learning_rate": 0.1}


@pytest.mark.parametrize("epoch", [1, 3], ids=["before", "after"])
def test_fits_at_one_time_with_one_path_keep_apart(tmp_path, epoch):
    X, y = table()
    model = NeuralClassifier(checkpoint=tmp_path / "fit.pt", **SHORT)
    other = clone(model).set_params(learning_rate=0.1)
    words = []

    def fit_other():
        try:
            other.fit(X, y)
        except ValueError as error:
            words.append(str(error))

    first = clone(model).set_callbacks(AtEpoch(epoch, fit_other)).fit(X, y)
    assert same_state(first, clone(model).set_params(checkpoint=None).fit(X, y))
    if epoch == 1:  # no file of the first one was there yet
        alone = clone(other).set_params(checkpoint=None).fit(X, y)
        assert same_state(other, alone)
    else:
        assert "another learning_rate" in words[0]
        assert not hasattr(other, "state_")
    assert not (tmp_path / "fit.pt").exists()


def test_a_fit_removes_no_file_but_its_own(tmp_path):
    path = tmp_path / "fit.pt"
    model = NeuralClassifier(checkpoint=path, **SHORT)
    other = clone(model).set_params(learning_rate=0.1)

    def replace():
        path.unlink()
        interrupted(other)

    fitted = clone(model).set_callbacks(AtEpoch(0, replace)).fit(*table())
    assert fitted.n_iter_ == 5
    assert path.exists()
    other.fit(*table())
    assert other.n_iter_ == 5
    assert not path.exists()
    path.write_text("mine")
    with pytest.raises(ValueError, match="must be a file that it has written"):
        clone(model).fit(*table())
    assert path.read_text() == "mine"


def test_the_device_may_be_another_one(tmp_path):
    model = NeuralClassifier(checkpoint=tmp_path / "fit.pt", **SHORT)
    interrupted(model)
    plain = clone(model).set_params(checkpoint=None).fit(*table())
    moved = clone(model).set_params(device="cpu").fit(*table())
    assert same_state(moved, plain)


def test_a_warm_start_from_other_weights_is_refused(tmp_path):
    X, y = table()
    path = tmp_path / "fit.pt"
    parameters = {"warm_start": True, "checkpoint": path, **SHORT}
    one = NeuralClassifier(**parameters).fit(X, y)
    two = NeuralClassifier(**parameters).fit(X, 1 - y)
    one.set_callbacks(AtEpoch(3, interrupt))
    with pytest.raises(KeyboardInterrupt):
        one.fit(X, y)
    with pytest.raises(ValueError, match="another start"):
        two.fit(X, y)


def test_a_module_of_the_user_is_known_by_its_weights(tmp_path):
    model = NeuralClassifier(module(), checkpoint=tmp_path / "fit.pt", **SHORT)
    interrupted(model)
    equal = clone(model).set_params(module=module())
    assert equal.fit(*table()).n_iter_ == 5
    assert isinstance(equal.module, nn.Module)
