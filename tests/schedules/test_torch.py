"""PyTorch drives a learning rate by a schedule and keeps it in its checkpoints."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.testing import assert_allclose

from statlearn.schedules import Concatenate, Cosine

torch = pytest.importorskip("torch")

TASK = Cosine(1.0, n_steps=100, warmup=10)
SCHEDULE = Concatenate([TASK, TASK.over(50)])


def scheduler(schedule, lr=0.1):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)


def test_lambda_lr_multiplies_its_rate_by_the_schedule():
    optimizer, lambda_lr = scheduler(SCHEDULE)
    rates = []
    for _ in range(160):
        rates.append(lambda_lr.get_last_lr()[0])
        optimizer.step()
        lambda_lr.step()
    assert_allclose(rates, 0.1 * SCHEDULE(np.arange(160)), rtol=1e-12)


def test_checkpoint_holds_the_schedule_and_refuses_another_one():
    optimizer, lambda_lr = scheduler(SCHEDULE)
    for _ in range(20):
        optimizer.step()
        lambda_lr.step()
    file = io.BytesIO()
    torch.save(lambda_lr.state_dict(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    assert state["lr_lambdas"] == [SCHEDULE.to_dict()]
    _, resumed = scheduler(SCHEDULE)
    resumed.load_state_dict(state)
    assert resumed.last_epoch == 20
    _, other = scheduler(Concatenate([TASK, TASK.over(60)]))
    with pytest.raises(ValueError, match="stored state must be that of this schedule"):
        other.load_state_dict(state)


def test_tensor_of_steps_gives_a_tensor_of_values():
    steps = torch.arange(150)
    values = SCHEDULE(steps)
    assert values.dtype == torch.float64
    assert_allclose(values.numpy(), SCHEDULE(np.arange(150)), rtol=0)
    assert SCHEDULE(torch.tensor(5)) == SCHEDULE(5)
