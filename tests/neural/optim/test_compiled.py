"""Optimizers under the compiler of torch."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from statlearn.neural.optim import SGDP, AdamP  # noqa: E402

MAKERS = {"AdamP": AdamP, "SGDP": lambda p, **options: SGDP(p, momentum=0.9, **options)}


def train(make, foreach, wrap):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
    optimizer = make(model.parameters(), lr=0.1, weight_decay=0.01, foreach=foreach)
    step = wrap(optimizer.step)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(16, 4)).square().mean().backward()
        step()
    return [parameter.detach() for parameter in model.parameters()]


# The compiler instantiates a class that torch advises not to.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("foreach", [None, True, False])
@pytest.mark.parametrize("name", MAKERS)
def test_compiled_step_is_the_step(name, foreach, backend):
    torch.compiler.reset()
    compiled = train(MAKERS[name], foreach, lambda f: torch.compile(f, backend=backend))
    for got, expected in zip(
        compiled, train(MAKERS[name], foreach, lambda f: f), strict=True
    ):
        assert torch.equal(got, expected)
