"""Look-ups of schedules against the step of PyTorch's LambdaLR.

A look-up is what a training loop pays for each batch. The step of LambdaLR is what it
pays with PyTorch, for a function that costs nothing.
"""

from __future__ import annotations

import math

import numpy as np

from _race import bar, finish, race
from statlearn import schedules

N = 20_000
BAR = 3.0

RATE = {"n_steps": N, "warmup": 200}
SCHEDULES = [
    schedules.Constant(0.1, warmup=200),
    schedules.Linear(0.1, **RATE),
    schedules.Cosine(0.1, **RATE),
    schedules.Exponential(0.1, **RATE),
    schedules.InfiniteCosine(0.1, **RATE),
    schedules.InfiniteInvSqrt(0.1, **RATE),
    schedules.WarmupStableDecay(0.1, **RATE),
    schedules.StepCooldown(n_steps=N),
    schedules.LinearCooldown(n_steps=N),
    schedules.CosineCooldown(n_steps=N),
    schedules.ExponentialCooldown(n_steps=N),
    schedules.Concatenate([schedules.Cosine(0.1, n_steps=N // 4)] * 4),
    schedules.Constant(0.1).anneal_from(N // 2, N // 2),
]


def main() -> None:
    try:
        import torch
    except ImportError:
        print("Skipped: PyTorch is not installed; install the extra 'neural'.")
        return
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    peer = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    optimizer.step()
    steps = range(N)

    def step_peer() -> None:
        for _ in steps:
            peer.step()

    def look_up(schedule: schedules.Schedule) -> None:
        for step in steps:
            schedule(step)

    names = [type(schedule).__name__ for schedule in SCHEDULES]
    contestants = {"LambdaLR": step_peer}
    contestants |= {
        name: lambda schedule=schedule: look_up(schedule)
        for name, schedule in zip(names, SCHEDULES, strict=True)
    }
    result = race("One look-up a step", contestants, size=f"{N} steps")
    bars = [
        bar(f"{name} / LambdaLR", result.ratio(name, "LambdaLR"), at_most=BAR)
        for name in names
    ]
    million = np.arange(1_000_000) % N
    race(
        "A million steps at once, no bar",
        {
            "np.cos": lambda: np.cos(math.pi / N * million),
            **{
                name: lambda schedule=schedule: schedule(million)
                for name, schedule in zip(names, SCHEDULES, strict=True)
            },
        },
        size="1000000 steps",
    )
    finish(*bars)


if __name__ == "__main__":
    main()
