"""Schedulers of torch in the loop, against a loop that is written down."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.optim import lr_scheduler  # noqa: E402

from loop_cases import batches_of, cross_entropy, equal, net, rows  # noqa: E402
from statlearn.neural import TrainingLoop  # noqa: E402

N_STEPS = 10


def halved(step):
    return 0.5**step


def sequential(optimizer):
    parts = [
        lr_scheduler.LinearLR(optimizer, 0.1, total_iters=3),
        lr_scheduler.CosineAnnealingLR(optimizer, 7),
    ]
    return lr_scheduler.SequentialLR(optimizer, parts, milestones=[3])


def chained(optimizer):
    parts = [
        lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=4),
        lr_scheduler.ExponentialLR(optimizer, gamma=0.9),
    ]
    return lr_scheduler.ChainedScheduler(parts, optimizer=optimizer)


SCHEDULERS = {
    "steps": lambda o: lr_scheduler.StepLR(o, 3, gamma=0.5),
    "milestones": lambda o: lr_scheduler.MultiStepLR(o, [2, 5], gamma=0.5),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, N_STEPS),
    "restarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 4),
    "one cycle": lambda o: lr_scheduler.OneCycleLR(o, 0.2, total_steps=N_STEPS),
    "cyclic": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1, step_size_up=3),
    "function": lambda o: lr_scheduler.LambdaLR(o, halved),
    "sequence": sequential,
    "chain": chained,
}


def parts_of(make):
    model = net(norm=True)
    groups = [{"params": model[0].parameters(), "lr": 0.02}]
    groups.append({"params": [p for m in model[1:] for p in m.parameters()]})
    optimizer = torch.optim.SGD(groups, lr=0.05, momentum=0.9)
    return model, optimizer, make(optimizer)


def loop_with(make, **options):
    model, optimizer, scheduler = parts_of(make)
    options = {"schedule": scheduler, "random_state": 0, **options}
    return model, TrainingLoop(model, cross_entropy, optimizer, **options)


def by_hand(make, n_epochs=2):
    model, optimizer, scheduler = parts_of(make)
    rates = []
    model.train()
    for _ in range(n_epochs):
        for batch in batches_of(rows(), shuffle=False):
            optimizer.zero_grad()
            cross_entropy(model, batch).mean().backward()
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
    return model, rates


@pytest.mark.parametrize("make", SCHEDULERS.values(), ids=SCHEDULERS)
def test_a_scheduler_of_torch_gives_the_rates_of_a_loop_by_hand(make):
    model, rates = by_hand(make)
    trained, loop = loop_with(make)
    history = loop.run(batches_of(rows(), shuffle=False), 2)
    np.testing.assert_array_equal(history.lr, rates)
    assert len(set(rates)) > 1
    for name, value in model.state_dict().items():
        torch.testing.assert_close(trained.state_dict()[name], value, msg=name)


@pytest.mark.parametrize("make", SCHEDULERS.values(), ids=SCHEDULERS)
def test_a_run_with_a_scheduler_of_torch_is_taken_up_to_the_same_bits(tmp_path, make):
    path = tmp_path / "run.pt"
    whole, loop = loop_with(make)
    loop.run(batches_of(rows()), 2)
    loop_with(make, checkpoint=path)[1].run(batches_of(rows()), 2, n_steps=4)
    resumed, again = loop_with(make, checkpoint=path)
    again.run(batches_of(rows()), 2)
    np.testing.assert_array_equal(again.history_.lr, loop.history_.lr)
    assert again.step_ == N_STEPS
    assert equal(resumed, whole)


def test_a_scheduler_is_stepped_once_an_update():
    _, loop = loop_with(SCHEDULERS["function"], accumulate=2)
    history = loop.run(batches_of(rows()), 2)
    np.testing.assert_allclose(history.lr, 0.02 * 0.5 ** np.arange(6.0))


def test_an_update_without_weight_makes_no_step_of_the_scheduler():
    X, y = rows(8)
    batch = {"X": X, "y": y}
    empty = {**batch, "sample_weight": torch.zeros(8)}
    _, loop = loop_with(SCHEDULERS["function"])
    history = loop.run([batch, empty, batch])
    np.testing.assert_allclose(history.lr, [0.02, 0.01])


def test_a_step_that_overflows_makes_no_step_of_the_scheduler():
    def loss(model, batch):  # too large for the first scale of half precision
        return 1e3 * cross_entropy(model, batch)

    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    scheduler = lr_scheduler.ExponentialLR(optimizer, 0.5)
    loop = TrainingLoop(
        model, loss, optimizer, schedule=scheduler, precision="fp16", random_state=0
    )
    rates = loop.run(batches_of(rows()), 2).lr
    assert rates[0] == rates[1] > rates[-1]


def test_a_state_of_a_loop_without_the_scheduler_is_refused():
    _, loop = loop_with(SCHEDULERS["steps"])
    _, other = loop_with(SCHEDULERS["one cycle"])
    _, plain = loop_with(SCHEDULERS["steps"], schedule=None)
    for state in (other.state_dict(), plain.state_dict()):
        with pytest.raises(ValueError, match=r"nothing that fits for \['schedule"):
            loop.load_state_dict(state)


def test_a_scheduler_of_another_optimizer_is_refused():
    scheduler = parts_of(SCHEDULERS["steps"])[2]
    with pytest.raises(ValueError, match=r"Got StepLR of another one; pass StepLR\("):
        loop_with(SCHEDULERS["steps"], schedule=scheduler)


def test_a_scheduler_that_asks_for_a_measure_is_refused():
    with pytest.raises(TypeError, match="Got ReduceLROnPlateau, which asks for one"):
        loop_with(lr_scheduler.ReduceLROnPlateau)


def test_a_scheduler_on_a_measure_is_stepped_in_a_callback():
    model, optimizer, scheduler = parts_of(
        lambda optimizer: lr_scheduler.ReduceLROnPlateau(
            optimizer, patience=0, threshold=0.99
        )
    )
    loop = TrainingLoop(
        model,
        cross_entropy,
        optimizer,
        callbacks=[lambda progress: scheduler.step(progress.loss)],
    )
    history = loop.run(batches_of(rows()))
    np.testing.assert_allclose(history.lr, [0.02, 0.02, 2e-3, 2e-4, 2e-5])


@pytest.mark.parametrize(
    "schedule", [0.1, lr_scheduler.StepLR], ids=["number", "class"]
)
def test_other_schedules_are_refused(schedule):
    with pytest.raises(TypeError, match="or an LRScheduler of torch with the optimiz"):
        loop_with(SCHEDULERS["steps"], schedule=schedule)
