"""Squashing functions: their gradients, and pairs of one's own."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.func import grad, vmap  # noqa: E402

from statlearn.neural.regularization import (  # noqa: E402
    compander,
    compander_inverse,
)

A, B = 0.2, 0.1
NAMES = ["arctan", "erf", "power", "softsign", "tanh"]
PAIR = (torch.asinh, torch.sinh)
EACH = pytest.mark.parametrize("function", NAMES)
EACH_AND_PAIR = pytest.mark.parametrize(
    "function", [*NAMES, PAIR], ids=[*NAMES, "pair"]
)


def double(values):
    return torch.tensor(values, dtype=torch.float64)


@EACH_AND_PAIR
def test_gradients_agree_with_differences(function):
    v = double([-0.7, -0.1, 0.02, 0.3, 1.1]).requires_grad_()
    a, b = (double(x).requires_grad_() for x in (0.3, 0.4))
    assert torch.autograd.gradcheck(
        lambda v, a, b: compander(v, a, b, function), (v, a, b)
    )
    assert torch.autograd.gradgradcheck(
        lambda v, a, b: compander(v, a, b, function), (v, a, b)
    )


@EACH
def test_gradient_of_the_input_alone_agrees_with_differences(function):
    v = double([-0.7, -0.1, 0.02, 0.3]).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: compander(v, 0.3, 0.4, function), v)


@EACH
def test_huge_numbers_have_finite_values_and_gradients(function):
    v = torch.tensor([-1e30, 1e25, 1e30], requires_grad=True)
    w = compander(v, A, B, function)
    w.sum().backward()
    assert torch.isfinite(w).all()
    assert torch.isfinite(v.grad).all()
    if function == "arctan":
        np.testing.assert_allclose(w.detach().abs(), A * math.pi / 2, rtol=1e-6)


def test_power_has_a_finite_gradient_at_zero():
    v = torch.zeros(2, requires_grad=True)
    compander(v, 1.0, 1.0, "power").sum().backward()
    np.testing.assert_allclose(v.grad, 0.5 / math.sqrt(1e-3), rtol=1e-6)


@EACH
def test_per_sample_gradients_by_vmap(function):
    v = double([-0.7, 0.1, 0.3])
    each = vmap(grad(lambda x: compander(x, A, B, function)))(v)
    v.requires_grad_()
    compander(v, A, B, function).sum().backward()
    torch.testing.assert_close(each, v.grad)


def test_backward_keeps_no_tensor_but_its_input():
    v = torch.ones(1000, requires_grad=True)
    kept = []

    def pack(tensor):
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        compander(v, A, B)
    assert [t.data_ptr() for t in kept if t.numel() > 1] == [v.data_ptr()]


@pytest.mark.parametrize(
    "pair",
    [
        (torch.cos, torch.acos),
        (torch.exp, torch.log),
        (torch.tanh, torch.tan),
        (torch.sum, torch.tan),
        (lambda x: -torch.tanh(x), lambda y: -torch.atanh(y)),
    ],
    ids=["even", "not odd", "no inverse", "no function", "decreasing"],
)
def test_pair_that_does_not_fit_is_refused(pair):
    with pytest.raises(ValueError, match="must be an odd, increasing function"):
        compander([1.0], 1.0, 1.0, pair)


@pytest.mark.parametrize("scale", [1e-38, 1e-30, 1e-23, 1e-20, 1e20, 1e30, 1e38])
@EACH
def test_gradient_does_not_depend_on_the_scale(function, scale):
    x = torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0])
    reference = double(x.tolist()).requires_grad_()
    compander(reference, 1.0, 1.0, function).sum().backward()
    v = (x * scale).requires_grad_()
    (recorded,) = torch.autograd.grad(
        compander(v, scale, scale, function).sum(), v, create_graph=True
    )
    compander(v, scale, scale, function).sum().backward()
    for found in (v.grad, recorded.detach()):
        np.testing.assert_allclose(found, reference.grad, rtol=1e-5)


def quotient(x):
    return (x.exp() - (-x).exp()) / (x.exp() + (-x).exp())


def test_pair_that_is_not_defined_everywhere_is_refused():
    with pytest.raises(ValueError, match=r"defined for every number. Got \[nan, nan\]"):
        compander([1.0], 1.0, 1.0, (quotient, torch.atanh))


def test_inverse_that_is_not_finite_is_refused():
    def inverse(y):
        return torch.where(y.abs() > 3.0, math.inf, torch.sinh(y))

    assert compander_inverse([2.0], 1.0, 1.0, (torch.asinh, inverse)) == math.sinh(2.0)
    with pytest.raises(ValueError, match=r"for 1 of 2 in .* or correct the inverse"):
        compander_inverse([0.5, 4.0], 1.0, 1.0, (torch.asinh, inverse))
