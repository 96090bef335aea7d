"""Two processes with gloo train the model that one process trains."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import multiprocessing  # noqa: E402

from loop_cases import loop_of, net, rows  # noqa: E402
from statlearn.neural._loss_reweighter import LossReweighter  # noqa: E402

# What started processes need: they find modules on the path, not those of pytest.
workers = pytest.importorskip("gloo_workers")

# Starting two processes takes long.
pytestmark = pytest.mark.slow

SIZE = 2
CASES = {
    "plain": {},
    "weights": {"weighted": True},
    "rule": {"weighted": True, "weighting": "kltilt"},
    "groups": {"weighted": True, "weighting": "inversefrequency"},
    "accumulate": {"weighted": True, "accumulate": 3, "clip_norm": 0.1},
    "chance": {"random_state": None},
}


COUNTS = [(5, 8), (0, 6)]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    place = tmp_path_factory.mktemp("group")
    cases = {
        f"{name}-{kind}": (kind == "ddp", torch.float64, options)
        for name, options in CASES.items()
        for kind in ("bare", "ddp")
    }
    cases["plain-float32"] = (False, torch.float32, {})
    multiprocessing.spawn(
        workers.in_group, args=(SIZE, str(place), cases, COUNTS), nprocs=SIZE
    )
    return [torch.load(place / f"rank-{rank}.pt") for rank in range(SIZE)]


def difference(first, second):
    names = set(first) - {"unused"}
    return max(float((first[k] - second[k]).abs().max()) for k in names)


@pytest.mark.parametrize("kind", ["bare", "ddp"])
@pytest.mark.parametrize("case", [name for name in CASES if name != "chance"])
def test_two_processes_train_the_model_of_one(found, case, kind):
    model = net(dtype=torch.float64)
    _, history = workers.train(model, **CASES[case])
    for process in found:
        here = process["trained"][f"{case}-{kind}"]
        assert difference(here["model"], model.state_dict()) < 1e-12
        np.testing.assert_allclose(here["loss"], history.loss, rtol=1e-12)
        np.testing.assert_allclose(here["weight"], history.weight, rtol=1e-12)


def test_two_processes_train_the_model_of_one_in_float32(found):
    model = net()
    workers.train(model)
    for process in found:
        here = process["trained"]["plain-float32"]["model"]
        assert difference(here, model.state_dict()) < 1e-6


def test_a_parameter_without_gradient_is_left_alone(found):
    for process in found:  # though AdamW would make it decay
        assert process["trained"]["plain-bare"]["model"]["unused"].tolist() == [1, 1, 1]


def test_processes_agree_to_the_bit(found):
    first, second = (process["trained"] for process in found)
    for name in first:
        assert difference(first[name]["model"], second[name]["model"]) == 0.0


@pytest.mark.parametrize("kind", ["bare", "ddp"])
def test_processes_without_a_seed_take_that_of_the_first(found, kind):
    first, second = (process["trained"][f"chance-{kind}"] for process in found)
    assert first["key"] == second["key"]


def test_all_processes_stop_and_go_on_together(found):
    first, second = (process["stopped"] for process in found)
    assert first["steps"] == second["steps"] == [3, 8]
    assert first["keys"][0] == first["keys"][1]
    assert first["keys"] == second["keys"]
    # The statistics of batches too, which each process has its own of.
    assert difference(first["model"], second["model"]) == 0.0


def test_all_processes_hear_of_a_loss_that_is_not_finite(found):
    for process in found:
        assert all("must be finite" in message for message in process["refused"])


def test_wrapped_models_need_a_row_for_each_process(found):
    for process in found:
        assert "must have at least 2 rows of positive weight" in process["short"]


@pytest.mark.parametrize("kind", ["bare", "ddp"])
def test_a_last_batch_without_weight_keeps_processes_together(found, kind):
    model, (X, y) = net(dtype=torch.float64), rows(13, torch.float64)
    loop_of(model).run([(X[:8], y[:8])], 3)
    for process in found:
        assert difference(process["weightless"][kind], model.state_dict()) < 1e-12


def test_unequal_numbers_of_batches_are_refused(found):
    for process in found:
        assert "must be the same in all processes" in process["uneven"]
        assert "Got [4, 3]" in process["uneven"]


def test_sparse_gradients_are_refused(found):
    for process in found:
        assert "must be dense to be averaged over processes" in process["sparse"]


@pytest.mark.parametrize("number", range(len(COUNTS)), ids=["unequal", "empty"])
def test_reweighted_losses_average_to_those_of_the_whole_batch(found, number):
    losses, base, groups = workers.reweigh_example(sum(COUNTS[number]))
    for name, (rule, options) in workers.REWEIGHERS.items():
        leaf = losses.clone().requires_grad_()
        given = {"base_weight": base, "groups": groups}
        reweighter = LossReweighter(rule)
        loss = reweighter(leaf, **{key: given[key] for key in options})
        loss.backward()
        parts = [process["reweighed"][number][name] for process in found]
        mean = sum(part["loss"] for part in parts) / SIZE
        assert mean.item() == pytest.approx(loss.item(), rel=1e-14)
        gradient = torch.cat([part["gradient"] for part in parts]) / SIZE
        torch.testing.assert_close(gradient, leaf.grad, rtol=1e-14, atol=0)
        weights = torch.cat([part["weights"] for part in parts])
        torch.testing.assert_close(weights, reweighter.weights_, rtol=1e-14, atol=0)


def test_processes_that_do_not_gather_weigh_their_own_rows(found):
    losses, _, _ = workers.reweigh_example(13)
    for part, process in zip(losses.split([5, 8]), found, strict=True):
        expected = LossReweighter("kltilt")(part).item()
        assert process["reweighed"][0]["alone"].item() == pytest.approx(expected)
