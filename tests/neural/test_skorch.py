"""Modules and losses of the package inside skorch."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

torch = pytest.importorskip("torch")
skorch = pytest.importorskip("skorch")

from statlearn.neural.losses import PerSampleLoss  # noqa: E402
from statlearn.neural.models import MLP  # noqa: E402


class Weighted(skorch.NeuralNetClassifier):
    """A net that takes a weight for each row in a dict of inputs."""

    def get_loss(self, y_pred, y_true, X=None, training=False):
        losses = super().get_loss(y_pred, y_true, X=X, training=training)
        return (losses * X["weight"]).mean()

    def infer(self, x, **parameters):
        return super().infer(x["x"], **parameters)


def test_modules_and_losses_of_single_samples_train_inside_skorch():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 4)).astype(np.float32)
    y = (X[:, 0] > 0).astype(np.int64)
    # Labels of half the rows are wrong, and these rows have hardly any weight.
    wrong = np.arange(400) % 2 == 0
    weight = np.where(wrong, 0.01, 1.0).astype(np.float32)
    torch.manual_seed(0)
    net = Weighted(
        MLP,
        module__n_features=4,
        module__hidden=(16,),
        module__n_outputs=2,
        criterion=PerSampleLoss,
        criterion__loss="cross_entropy",
        predict_nonlinearity=partial(torch.softmax, dim=-1),
        optimizer=torch.optim.AdamW,
        lr=0.01,
        max_epochs=15,
        train_split=None,
        verbose=0,
    )
    net.fit({"x": X, "weight": weight}, np.where(wrong, 1 - y, y))
    rows = {"x": X, "weight": weight}
    assert np.mean(net.predict(rows) == y) > 0.9
    proba = net.predict_proba(rows)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-5)
    assert np.mean(proba[np.arange(400), y] > 0.5) > 0.9
    with torch.no_grad():
        logits = net.module_.eval()(torch.from_numpy(X))
    np.testing.assert_allclose(proba, torch.softmax(logits, 1), rtol=1e-5, atol=1e-7)
    assert net.history[-1]["train_loss"] < net.history[0]["train_loss"]
