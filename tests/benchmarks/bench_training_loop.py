"""What the training loop costs over a loop written by hand."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

from _race import bar, finish, race
from statlearn.neural import Batches, TrainingLoop

N_EPOCHS, BATCH_SIZE, RATE = 10, 64, 1e-3
BAR = 1.10


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(64, 128),
        nn.ReLU(),
        nn.Linear(128, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def cross_entropy(model: nn.Module, batch: tuple[torch.Tensor, ...]) -> torch.Tensor:
    X, y = batch
    return F.cross_entropy(model(X), y, reduction="none")


def main() -> None:
    torch.set_num_threads(1)
    X, y = load_digits(return_X_y=True)
    X, y = torch.as_tensor(X / 16.0, dtype=torch.float32), torch.as_tensor(y)
    weight = torch.ones(len(y))

    def bare() -> None:
        model = network().train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
        generator = torch.Generator().manual_seed(0)
        for _ in range(N_EPOCHS):
            order = torch.randperm(len(X), generator=generator)
            for rows in order.split(BATCH_SIZE):
                loss = F.cross_entropy(model(X[rows]), y[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    def ours(sample_weight: torch.Tensor | None = None, **options: object) -> None:
        model = network()
        optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
        loop = TrainingLoop(model, cross_entropy, optimizer, random_state=0, **options)
        batches = Batches(X, y, batch_size=BATCH_SIZE, sample_weight=sample_weight)
        loop.run(batches, N_EPOCHS)

    n_steps = N_EPOCHS * -(-len(X) // BATCH_SIZE)
    result = race(
        "Digits, 64-128-128-10, AdamW",
        {
            "bare loop": bare,
            "TrainingLoop": ours,
            "with a schedule and a callback": lambda: ours(
                schedule=lambda step: RATE, callbacks=[lambda progress: False]
            ),
            "with base weights": lambda: ours(weight),
            "with a rule": lambda: ours(weighting="linupper"),
        },
        size=f"{n_steps} steps of {BATCH_SIZE} rows",
        repeats=9,
    )
    ratio = result.ratio("TrainingLoop", "bare loop", "cpu")
    finish(bar("TrainingLoop / bare loop", ratio, at_most=BAR))


if __name__ == "__main__":
    main()
