from __future__ import annotations

import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from loop_cases import cross_entropy, net, rows  # noqa: E402
from statlearn.neural._training._batches import Batches  # noqa: E402
from statlearn.neural._training._inference import evaluate, predict  # noqa: E402
from statlearn.neural._training._seeding import kept_random_state  # noqa: E402


def test_outputs_are_those_of_the_model_in_evaluation_mode():
    model, (X, _) = net(dropout=0.5, norm=True), rows()
    found = predict(model, X, batch_size=7)
    assert not found.requires_grad
    torch.testing.assert_close(found, model.eval()(X).detach())


def test_each_module_comes_back_into_its_own_mode():
    model, (X, y) = net(dropout=0.5), rows()
    model[0].eval()
    modes = [module.training for module in model.modules()]
    predict(model, X)
    evaluate(model, cross_entropy, [(X, y)])
    assert [module.training for module in model.modules()] == modes


class Mode(torch.nn.Module):
    """Says in which mode it is, in its own time."""

    def forward(self, X):
        time.sleep(0.005)
        return X + float(self.training)


def test_threads_may_ask_one_model_in_training_mode():
    model, zeros = Mode().train(), torch.zeros(8)
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda n: predict(model, zeros, batch_size=n), range(8, 0, -1))
        )
    assert not torch.cat(found).any()
    assert model.training


def test_a_model_in_evaluation_mode_is_asked_while_another_trains():
    begun, ended = threading.Event(), threading.Event()

    def train():
        with kept_random_state(torch.device("cpu")):
            begun.set()
            return ended.wait(60)

    with ThreadPoolExecutor(2) as pool:
        waited = pool.submit(train)
        begun.wait()
        asked = pool.submit(predict, Mode().eval(), torch.zeros(8))
        try:
            assert not asked.result(timeout=60).any()
        finally:
            ended.set()
        assert waited.result()


def test_arrays_and_other_calls_of_the_model_are_taken():
    model, (X, _) = net(), rows()
    found = predict(model, X.numpy(), forward=lambda model, X: model(X).argmax(1))
    assert found.tolist() == model(X).argmax(1).tolist()


@pytest.mark.parametrize("weighted", [False, True])
def test_the_mean_loss_is_that_of_all_rows(weighted):
    model, data = net(), rows()
    weight = np.arange(40) % 3 if weighted else None
    found = evaluate(
        model, cross_entropy, Batches(*data, batch_size=7, sample_weight=weight)
    )
    losses = cross_entropy(model, data).detach().double().numpy()
    assert found == pytest.approx(np.average(losses, weights=weight), rel=1e-6)


def test_rows_without_weight_may_have_no_loss():
    X, y = rows(4)
    X[0] = math.nan
    weight = torch.tensor([0.0, 1.0, 1.0, 1.0])
    batch = {"X": X, "y": y, "sample_weight": weight}
    found = evaluate(net(), cross_entropy, [batch])
    assert found == pytest.approx(
        evaluate(net(), cross_entropy, [(X[1:], y[1:])]), rel=1e-6
    )


@pytest.mark.parametrize(
    "weight",
    [torch.ones(2, 1), [1.0], [1.0, math.nan], [1.0, -1.0]],
    ids=["column", "few", "nan", "negative"],
)
def test_weights_that_are_no_weights_of_the_rows_are_refused(weight):
    X, y = rows(2)
    batch = {"X": X, "y": y, "sample_weight": weight}
    with pytest.raises(ValueError, match=r"weights of a batch of evaluate must be"):
        evaluate(net(), cross_entropy, [batch])


def test_without_any_weight_there_is_no_mean():
    X, y = rows(2)
    batch = {"X": X, "y": y, "sample_weight": torch.zeros(2)}
    assert math.isnan(evaluate(net(), cross_entropy, [batch]))


def test_mixed_precision_computes_in_half_precision():
    X, _ = rows()
    assert predict(net(), X, precision="bf16").dtype == torch.bfloat16


def test_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="'precision' of predict"):
        predict(net(), rows()[0], precision="fp8")


def test_models_without_parameters_are_on_the_cpu():
    assert predict(torch.nn.ReLU(), torch.tensor([[-1.0], [2.0]])).tolist() == [
        [0],
        [2],
    ]


def test_outputs_that_are_no_tensor_are_refused():
    with pytest.raises(TypeError, match=r"must return a tensor. Got tuple; pass"):
        predict(torch.nn.LSTM(2, 3), torch.ones(4, 2))
