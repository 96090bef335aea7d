"""An epoch with companders on all weights against a plain one, on one thread.

The arctangent of every weight is what the map must compute, and PyTorch's own costs as
much as a good part of a step at 50 rows. So beside the bar stand its share of the plain
step, from the same arrays, and the ratio of a function that is cheap.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from _race import bar, finish, race
from statlearn.neural.regularization import compand

SIZES = {
    "digits": ((64, 256, 256, 10), 50, 2000),
    "large": ((64, 1024, 1024, 10), 128, 1280),
}

WIDTH = torch.tensor(0.1)


def network(sizes: tuple[int, ...]) -> nn.Sequential:
    torch.manual_seed(0)
    parts: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        parts += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*parts[:-1])


def main() -> None:
    torch.set_num_threads(1)
    bars = []
    for name, (sizes, n_batch, n_rows) in SIZES.items():
        X, y = torch.randn(n_rows, sizes[0]), torch.randint(0, sizes[-1], (n_rows,))

        def epoch(model, optimizer, X=X, y=y, n_batch=n_batch):
            for rows in torch.randperm(len(X)).split(n_batch):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
                optimizer.step()

        def contestant(function, sizes=sizes, epoch=epoch):
            model = network(sizes)
            if function is not None:
                compand(model, function=function)
            optimizer = torch.optim.SGD(
                model.parameters(), lr=0.01, momentum=0.9, nesterov=True
            )
            return lambda: epoch(model, optimizer)

        weights = [p.detach() for p in network(sizes).parameters() if p.ndim == 2]
        n_steps = -(-n_rows // n_batch)

        def angles(weights=weights, n_steps=n_steps):
            for _ in range(n_steps):
                for weight in weights:
                    torch.atan2(weight, WIDTH)

        result = race(
            f"Epoch, {name}",
            {
                "plain": contestant(None),
                "arctan": contestant("arctan"),
                "softsign": contestant("softsign"),
                "tanh": contestant("tanh"),
                "angles alone": angles,
            },
            size=f"{'-'.join(map(str, sizes))}, batch {n_batch}, {n_steps} steps",
            repeats=9,
        )
        bars.append(
            bar("arctan / plain", result.ratio("arctan", "plain"), at_most=1.15)
        )
        bars.append(
            bar("softsign / plain", result.ratio("softsign", "plain"), at_most=1.15)
        )
    finish(*bars)


if __name__ == "__main__":
    main()
