"""An epoch with companders on all weights against a plain one, on one thread.

The map computes an arctangent of every weight in every step. What that is beside a
plain step depends on how often a step uses a weight: a linear layer once a row, a
convolution once a row and pixel. So the bar stands beside networks of both kinds, with
the time of the arctangents alone, which no implementation of the map can do without,
and with the same map written in one line and left to autograd. Last, both are compiled,
which joins the passes over a weight: what is left then is about the arctangent.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

from _race import bar, finish, race
from statlearn.neural.models import ConvNet
from statlearn.neural.regularization import compand

BAR = 1.15
WIDTH = torch.tensor(0.1)


class OneLine(nn.Module):
    """The arctangent map as one would write it by hand."""

    def forward(self, weight: Tensor) -> Tensor:
        return WIDTH * torch.atan(weight / WIDTH)


def perceptron(*sizes: int) -> nn.Sequential:
    parts: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        parts += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*parts[:-1])


# Name, network, shape of a row, rows in a batch, steps in an epoch.
CASES: list[tuple[str, Callable[[], nn.Module], tuple[int, ...], int, int]] = [
    ("MLP 64-256-256-10", lambda: perceptron(64, 256, 256, 10), (64,), 50, 40),
    ("MLP 64-1024-1024-10", lambda: perceptron(64, 1024, 1024, 10), (64,), 128, 10),
    ("ConvNet of 8x8 pixels", lambda: ConvNet(widths=(32, 64)), (1, 8, 8), 50, 20),
    (
        "ConvNet of 32x32 pixels",
        lambda: ConvNet(32, 3, widths=(32, 64, 128)),
        (3, 32, 32),
        50,
        2,
    ),
]


def by_hand(model: nn.Module) -> None:
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            register_parametrization(layer, "weight", OneLine())


def main() -> None:
    torch.set_num_threads(1)
    bars = []
    for name, make, shape, n_batch, n_steps in CASES:
        torch.manual_seed(0)
        X = torch.randn(n_steps * n_batch, *shape)
        y = torch.randint(0, 10, (len(X),))

        def epoch(model, optimizer, X=X, y=y, n_batch=n_batch):
            for rows in torch.randperm(len(X)).split(n_batch):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
                optimizer.step()

        def contestant(put=None, make=make, epoch=epoch, through=lambda model: model):
            torch.manual_seed(0)
            model = make()
            if put is not None:
                put(model)
            optimizer = torch.optim.SGD(
                model.parameters(), lr=0.01, momentum=0.9, nesterov=True
            )
            run = through(model)
            return lambda: epoch(run, optimizer)

        weights = [p.detach() for p in make().parameters() if p.ndim > 1]
        n_weights = sum(weight.numel() for weight in weights)

        def angles(weights=weights, n_steps=n_steps):
            for _ in range(n_steps):
                for weight in weights:
                    torch.atan2(weight, WIDTH)

        result = race(
            f"Epoch, {name}",
            {
                "plain": contestant(),
                "arctan": contestant(compand),
                "softsign": contestant(
                    lambda model: compand(model, function="softsign")
                ),
                "arctan by hand": contestant(by_hand),
                "arctangents alone": angles,
                "plain, compiled": contestant(through=torch.compile),
                "arctan, compiled": contestant(compand, through=torch.compile),
            },
            size=f"{n_weights} weights, {n_steps} steps of {n_batch} rows",
            repeats=9,
        )
        bars += [
            bar("arctan / plain", result.ratio("arctan", "plain", "cpu"), at_most=BAR),
            bar(
                "arctan / plain, both compiled",
                result.ratio("arctan, compiled", "plain, compiled", "cpu"),
                at_most=BAR,
            ),
            bar(
                "arctan / arctan by hand",
                result.ratio("arctan", "arctan by hand", "cpu"),
                at_most=1.05,
            ),
        ]
    finish(*bars)


if __name__ == "__main__":
    main()
