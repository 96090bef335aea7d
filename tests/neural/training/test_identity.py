"""Texts that settings are known by, in this process and in others."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import UserDict
from functools import partial

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.optim import lr_scheduler  # noqa: E402

from statlearn.neural._training._identity import (  # noqa: E402
    checksum,
    checksum_of_rows,
    describe,
    optimizer_settings,
)
from statlearn.neural.adapters import apply_bone, apply_lora  # noqa: E402
from statlearn.schedules import Cosine  # noqa: E402
from statlearn.weights import LinUpper  # noqa: E402

SETTINGS = """
from functools import partial
import numpy as np, torch
from statlearn.neural._training._identity import describe
from statlearn.neural.adapters import apply_bone
from statlearn.schedules import Cosine
from statlearn.weights import LinUpper

class Own:
    def loss(self, model, batch): pass

def made(rate):
    return lambda step, floor=0.5: rate

torch.manual_seed(0)
for value in (
    None, 0.1, "auto", {"a": 1, "b": [1, 2]}, np.arange(5000), torch.ones(2),
    partial(apply_bone, r=8), LinUpper(), Cosine(0.1, n_steps=9), Own, Own(),
    Own().loss, made(0.1), torch.optim.AdamW, torch.nn.Linear(3, 2),
):
    print(describe(value))
"""


def printed(seed):
    environment = os.environ | {"PYTHONHASHSEED": seed}
    done = subprocess.run(
        [sys.executable, "-c", SETTINGS],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_descriptions_are_the_same_in_another_process():
    first = printed("1")
    assert first == printed("2")
    assert " at 0x" not in first
    assert len(set(first.splitlines())) == 15


def rate_of(number):
    return lambda step: number


def moved(kind, **options):
    return kind(torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1), **options)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (rate_of(0.1), rate_of(0.2)),
        (lambda step: 0.1, lambda step: 0.2),
        (partial(apply_bone, r=2), partial(apply_bone, r=4)),
        (partial(apply_bone, r=2), partial(apply_lora, r=2)),
        (LinUpper(), LinUpper(warmup=3)),
        (Cosine(0.1, n_steps=9), Cosine(0.1, n_steps=8)),
        (np.zeros(9000), np.eye(1, 9000, 4500)[0]),
        (torch.zeros(2), torch.zeros(2, dtype=torch.bfloat16)),
        (UserDict(a=1), UserDict(a=2)),
        (
            moved(lr_scheduler.StepLR, step_size=2),
            moved(lr_scheduler.StepLR, step_size=3),
        ),
        (
            moved(lr_scheduler.LambdaLR, lr_lambda=[rate_of(1.0)]),
            moved(lr_scheduler.ConstantLR, factor=0.5),
        ),
    ],
    ids=[
        *("closures", "lambdas", "options", "functions", "rules", "schedules"),
        *("arrays", "types", "mappings", "steps", "schedulers"),
    ],
)
def test_other_settings_have_other_descriptions(one, other):
    assert describe(one) != describe(other)
    assert describe(one) == describe(one)


def test_a_function_may_know_a_name_that_is_given_later():
    def made(rate):
        def loss():
            return rate * later

        known = describe(loss)
        later = 2.0
        return known, describe(loss)

    (first, second), (other, _) = made(0.1), made(0.2)
    assert first != other
    assert first != second


def test_modules_are_known_by_their_weights():
    first, second = nn.Linear(3, 2), nn.Linear(3, 2)
    assert describe(first) != describe(second)
    second.load_state_dict(first.state_dict())
    assert describe(first) == describe(second)


def test_a_scheduler_that_has_moved_is_the_same_one():
    for kind, options in (
        (lr_scheduler.StepLR, {"step_size": 2}),
        (lr_scheduler.OneCycleLR, {"max_lr": 0.5, "total_steps": 9}),
        (lr_scheduler.CosineAnnealingWarmRestarts, {"T_0": 3, "T_mult": 2}),
    ):
        scheduler = moved(kind, **options)
        before = describe(scheduler)
        for _ in range(5):
            scheduler.optimizer.step()
            scheduler.step()
        assert describe(scheduler) == before


def test_how_an_optimizer_computes_is_no_setting():
    parameters = list(nn.Linear(2, 1).parameters())
    one = optimizer_settings(torch.optim.AdamW(parameters, lr=0.1, foreach=True))
    assert one == optimizer_settings(torch.optim.AdamW(parameters, lr=0.1))
    assert one["lr"] == "(0.1)"
    assert one != optimizer_settings(torch.optim.AdamW(parameters, lr=0.1, eps=0.1))


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])
def test_data_are_known_by_shape_type_and_content(kind):
    X = kind(np.arange(600.0).reshape(300, 2))
    known = checksum_of_rows(X)
    assert known == checksum_of_rows(kind(np.arange(600.0).reshape(300, 2)))
    others = (X[:299], X + 1.0, X.reshape(300, 1, 2), kind(np.float32(X)))
    assert len({known, *map(checksum_of_rows, others)}) == 5


def test_words_and_sparse_tensors_have_a_sum():
    assert checksum(np.array(["a", None])) != checksum(np.array(["b", None]))
    sparse = torch.eye(3).to_sparse()
    assert checksum(sparse) == checksum(torch.eye(3).to_sparse())
    assert checksum(sparse) != checksum(2.0 * sparse)
