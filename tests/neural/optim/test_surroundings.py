"""What is set globally around an optimizer does not change its steps."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

torch = pytest.importorskip("torch")

from adamp_cases import fixed_problem  # noqa: E402
from statlearn.neural.optim import (  # noqa: E402
    SGDP,
    AdamP,
    is_scale_invariant,
    project_update,
)

MAKERS = {
    "AdamP": lambda params: AdamP(params, lr=0.05, weight_decay=0.1),
    "SGDP": lambda params: SGDP(params, lr=0.05, momentum=0.9),
}


@pytest.fixture(params=list(MAKERS))
def make(request):
    return MAKERS[request.param]


@contextmanager
def default_dtype(dtype):
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def default_device(device):
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


def autocast():
    return torch.autocast("cpu", dtype=torch.bfloat16)


def single_problem(seed):
    params = [param.detach().float().requires_grad_() for param in fixed_problem(seed)]
    for param, other in zip(params, fixed_problem(seed), strict=True):
        param.grad = other.grad.float()
    return params


SURROUNDINGS = {
    "float64": lambda: default_dtype(torch.float64),
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    "float16": lambda: default_dtype(torch.float16),
    "device": lambda: default_device("meta"),
    "autocast": autocast,
}


@pytest.mark.parametrize("around", list(SURROUNDINGS))
def test_steps_are_those_without(make, around):
    params, others = single_problem(0), single_problem(0)
    optimizer, plain = make(params), make(others)
    for _ in range(3):
        plain.step()
        with SURROUNDINGS[around]():
            optimizer.step()
    for param, other in zip(params, others, strict=True):
        assert torch.equal(param.detach(), other.detach())


@pytest.mark.parametrize("around", ["float64", "bfloat16", "float16", "device"])
@pytest.mark.parametrize("kind", [int, torch.tensor], ids=["whole", "tensor"])
def test_steps_go_on_from_the_count_of_a_checkpoint(around, kind):
    params = single_problem(1)
    optimizer = AdamP(params)
    optimizer.step()
    state = optimizer.state_dict()
    for known in state["state"].values():
        known["step"] = kind(1001)
    with SURROUNDINGS[around]():
        optimizer.load_state_dict(state)
        optimizer.step()
    for known in optimizer.state.values():
        assert known["step"].dtype == torch.float32
        assert known["step"] == 1002


def test_the_closure_keeps_autocast(make):
    params = single_problem(2)
    seen = []

    def closure():
        seen.append((params[0] @ params[0].mT).dtype)
        return 0.0

    with autocast():
        make(params).step(closure)
    assert seen == [torch.bfloat16]


def test_the_functions_compute_as_outside_of_autocast():
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(4, 4096, generator=generator) + 3
    grad, update = torch.randn(2, 4, 4096, generator=generator)
    grad -= weight * ((grad * weight).sum(1) / weight.square().sum(1))[:, None]
    assert is_scale_invariant(weight, grad) == "channel"
    expected, _ = project_update(weight, grad, update)
    with autocast():
        assert is_scale_invariant(weight, grad) == "channel"
        kept, view = project_update(weight, grad, update)
    assert view == "channel"
    assert torch.equal(kept, expected)
