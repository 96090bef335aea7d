"""The map on a layer."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn.utils.parametrize import (  # noqa: E402
    cached,
    register_parametrization,
)

from statlearn.exceptions import ClippedWeightsWarning  # noqa: E402
from statlearn.neural.regularization import WeightCompander  # noqa: E402


def layer_with(weight, *args, **kwargs):
    layer = nn.Linear(2, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([weight], dtype=torch.float64))
    compander = WeightCompander(*args, dtype=torch.float64, **kwargs)
    return register_parametrization(layer, "weight", compander), compander


def descend(layer, parameters, n_steps=3):
    """Losses of plain gradient descent on the half mean square of three residuals."""
    X = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]], dtype=torch.float64)
    y = torch.tensor([[0.1], [0.3], [-0.2]], dtype=torch.float64)
    losses = []
    for _ in range(n_steps):
        loss = ((layer(X) - y) ** 2).mean() / 2
        grads = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, grads, strict=True):
                parameter -= 0.1 * gradient
        losses.append(loss.item())
    return losses


def test_descent_gives_the_known_steps():
    layer, _ = layer_with([0.05, -0.02], 0.2, 0.1, init="direct")
    v = layer.parametrizations.weight.original
    losses = descend(layer, [v])
    np.testing.assert_allclose(
        losses, [0.0125982219, 0.0110065157, 0.0100767862], atol=1e-10
    )
    np.testing.assert_allclose(v.detach(), [[0.0817347206, -0.0222361084]], atol=1e-10)


def test_descent_on_logarithms_gives_the_steps_of_a_hand_derivation():
    layer, wc = layer_with([0.05, -0.02], 0.2, 0.1, init="direct", learnable=True)
    v = layer.parametrizations.weight.original
    losses = descend(layer, [v, wc.log_a, wc.log_b])
    X = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
    y = np.array([0.1, 0.3, -0.2])
    u, log_a, log_b, expected = np.array([0.05, -0.02]), 0.0, 0.0, []
    for _ in range(3):
        a, b = 0.2 * np.exp(log_a), 0.1 * np.exp(log_b)
        w = a * np.arctan(u / b)
        residual = X @ w - y
        expected.append((residual**2).mean() / 2)
        by_w = X.T @ residual / 3
        slope = a * b / (b**2 + u**2)
        log_a -= 0.1 * (by_w * w).sum() / np.sqrt(2)
        log_b += 0.1 * (by_w * slope * u).sum() / np.sqrt(2)
        u = u - 0.1 * by_w * slope
    np.testing.assert_allclose(losses, expected, rtol=1e-12)
    np.testing.assert_allclose(v.detach()[0], u, rtol=1e-12)
    np.testing.assert_allclose(wc.a.item(), 0.2 * np.exp(log_a), rtol=1e-12)
    np.testing.assert_allclose(wc.b.item(), 0.1 * np.exp(log_b), rtol=1e-12)


def test_gradient_of_a_logarithm_is_divided_by_the_root_of_the_number_of_weights():
    wc = WeightCompander(0.2, 0.1, learnable=True)
    v = torch.full((4, 4), 0.05)
    wc(v).sum().backward()
    np.testing.assert_allclose(wc.log_a.grad, 16 * 0.0927295218 / 4, rtol=1e-6)
    np.testing.assert_allclose(wc.log_b.grad, 16 * -0.8 * 0.1 / 4, rtol=1e-6)


def test_weight_decay_on_the_logarithms_pulls_scales_to_their_start():
    wc = WeightCompander(0.2, 0.1, learnable=True)
    with torch.no_grad():
        wc.log_a.fill_(1.0)
    optimizer = torch.optim.SGD([wc.log_a], lr=0.5, weight_decay=1.0)
    for _ in range(30):
        optimizer.zero_grad()
        (0.0 * wc(torch.ones(2)).sum()).backward()
        optimizer.step()
    np.testing.assert_allclose(wc.a.item(), 0.2, rtol=1e-6)


def test_learned_scales_stay_positive_whatever_the_gradient():
    wc = WeightCompander(1.0, 1.0, learnable=True)
    optimizer = torch.optim.SGD(wc.parameters(), lr=1.0)
    for _ in range(20):
        optimizer.zero_grad()
        wc(torch.ones(3)).sum().backward()
        optimizer.step()
    assert wc.a.item() > 0
    assert wc.b.item() > 0


def test_scales_that_are_not_learned_are_no_parameters():
    wc = WeightCompander(0.2, 0.1)
    assert list(wc.parameters()) == []
    assert {n: t.item() for n, t in wc.state_dict().items()} == {
        "start_a": pytest.approx(0.2),
        "start_b": pytest.approx(0.1),
    }


@pytest.mark.parametrize("learnable", [False, True])
def test_inverse_start_keeps_the_weight(learnable):
    layer, wc = layer_with([0.3, -0.01], 0.2, 0.1, learnable=learnable)
    torch.testing.assert_close(
        layer.weight.detach(), torch.tensor([[0.3, -0.01]], dtype=torch.float64)
    )
    assert wc.bound.item() == pytest.approx(0.3141592653589793, abs=1e-15)


def test_direct_start_squashes_the_weight():
    layer, _ = layer_with([1.0, -0.1], 0.2, 0.1, init="direct")
    np.testing.assert_allclose(
        layer.weight.detach(), [[0.2942255349, -0.1570796327]], atol=1e-10
    )


def test_weight_assigned_to_a_direct_start_stays_the_callers():
    layer, _ = layer_with([0.5, -0.5], 1.0, 1.0, init="direct")
    weight = torch.ones(1, 2, dtype=torch.float64)
    layer.weight = weight
    with torch.no_grad():
        layer.parametrizations.weight.original.add_(1.0)
    assert torch.equal(weight, torch.ones(1, 2, dtype=torch.float64))


def test_assigned_weight_is_used():
    layer, _ = layer_with([0.1, 0.1], 0.2, 0.1)
    layer.weight = torch.tensor([[0.25, -0.2]], dtype=torch.float64)
    np.testing.assert_allclose(layer.weight.detach(), [[0.25, -0.2]], rtol=1e-12)


def test_assigning_too_large_a_weight_warns():
    with pytest.warns(ClippedWeightsWarning, match=r"Got 1 of 2 \(50.0%\)"):
        layer, _ = layer_with([0.1, 0.5], 0.2, 0.1)
    np.testing.assert_allclose(
        layer.weight.detach(), [[0.1, 0.999 * 0.1 * math.pi]], rtol=1e-12
    )


def test_assigning_too_large_a_weight_raises_when_strict():
    with pytest.raises(ValueError, match="WeightCompander needs weights below"):
        layer_with([0.1, 0.5], 0.2, 0.1, strict=True)


def test_copy_is_independent_and_computes_the_same():
    layer, _ = layer_with([0.1, -0.2], 0.2, 0.1, learnable=True)
    twin = copy.deepcopy(layer)
    assert torch.equal(twin.weight, layer.weight)
    with torch.no_grad():
        twin.parametrizations.weight[0].log_a.add_(1.0)
    assert not torch.equal(twin.weight, layer.weight)


@pytest.mark.parametrize("learnable", [False, True])
def test_state_goes_round(learnable):
    layer, wc = layer_with([0.1, -0.2], 0.2, 0.1, learnable=learnable)
    if learnable:
        with torch.no_grad():
            wc.log_a.fill_(0.3)
    other, _ = layer_with([0.0, 0.0], 0.7, 0.9, learnable=learnable)
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other.weight, layer.weight)


def test_weight_is_computed_once_within_cached():
    layer, _ = layer_with([0.1, -0.2], 0.2, 0.1)
    with cached():
        assert layer.weight is layer.weight
    assert layer.weight is not layer.weight


# PyTorch's own compiler does what the warning warns of.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize(
    ("function", "learnable"), [("arctan", False), ("arctan", True), ("tanh", False)]
)
def test_compiled_layer_computes_the_same(function, learnable):
    layer, _ = layer_with(
        [0.1, -0.15], 0.2, 0.1, function=function, learnable=learnable
    )
    x = torch.ones(3, 2, dtype=torch.float64)
    torch._dynamo.reset()
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    compiled(x).sum().backward()
    found = [p.grad.clone() for p in layer.parameters()]
    layer.zero_grad()
    layer(x).sum().backward()
    torch.testing.assert_close(compiled(x), layer(x))
    for gradient, parameter in zip(found, layer.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad)


def no_parameter_is_trained(layer):
    layer.requires_grad_(False)
    return torch.enable_grad()


WITHOUT_GRADIENT = {
    "no_grad": lambda layer: torch.no_grad(),
    "inference": lambda layer: torch.inference_mode(),
    "frozen": no_parameter_is_trained,
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("way", WITHOUT_GRADIENT.values(), ids=WITHOUT_GRADIENT)
@pytest.mark.parametrize("learnable", [False, True])
def test_layer_compiles_where_no_gradient_is_wanted(way, learnable):
    layer, _ = layer_with([0.1, -0.15], 0.2, 0.1, learnable=learnable)
    x = torch.ones(3, 2, dtype=torch.float64)
    torch._dynamo.reset()
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    with way(layer):
        torch.testing.assert_close(compiled(x), layer(x))


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_half_precision_layer_keeps_its_type_and_bound(kind):
    dtype = getattr(torch, kind)
    layer = nn.Linear(4, 3).to(dtype)
    register_parametrization(layer, "weight", WeightCompander(0.5, 0.5))
    assert layer.weight.dtype == dtype
    layer(torch.ones(2, 4, dtype=dtype)).sum().backward()
    assert layer.parametrizations.weight.original.grad.dtype == dtype


def test_representation_names_scales_and_function():
    wc = WeightCompander(0.2, 0.1, function="tanh")
    text = "WeightCompander(a=0.2, b=0.1, function=tanh, learnable=False)"
    assert repr(wc) == text
    pair = WeightCompander(function=(torch.asinh, torch.sinh))
    assert "function=pair" in repr(pair)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"a": 0.0}, "The 'a' of WeightCompander must be a finite number > 0"),
        ({"b": -1.0}, "The 'b' of WeightCompander must be a finite number > 0"),
        ({"function": "sine"}, "The 'function' of WeightCompander must be one of"),
        ({"init": "random"}, "The 'init' of WeightCompander must be 'inverse' or"),
    ],
    ids=["a", "b", "function", "init"],
)
def test_bad_argument_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        WeightCompander(**arguments)
