from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from statlearn.neural.quantization import (  # noqa: E402
    QKReparamAttention,
    dampening_loss,
    quantize_model,
)

W = [[0.9, -0.1, 0.3, -0.5], [0.05, 0.2, -1.4, 0.35]]
# Two bits by hand: the levels, and the weights cut at the last of them.
LEVELS = [[0.675, -0.225, 0.225, -0.675], [0.25, 0.25, -0.75, 0.25]]
CUT = [[0.675, -0.1, 0.3, -0.5], [0.05, 0.2, -0.75, 0.35]]


def layer(dtype=torch.float64):
    model = nn.Linear(4, 2, bias=False).to(dtype)
    with torch.no_grad():
        model.weight.copy_(torch.tensor(W))
    quantize_model(model, 2)
    return model


def test_loss_and_gradient_by_hand():
    model = layer()
    loss = dampening_loss(model)
    loss.backward()
    distance = torch.tensor(CUT).double() - torch.tensor(LEVELS).double()
    torch.testing.assert_close(
        loss.detach(), distance.square().sum(), rtol=1e-6, atol=0
    )
    gradient = model.parametrizations.weight.original.grad
    torch.testing.assert_close(gradient, 2 * distance, rtol=1e-5, atol=1e-6)
    assert gradient[0, 0] == gradient[1, 2] == 0.0  # beyond the last level


def test_descent_shrinks_distances_to_fixed_levels():
    model = nn.Linear(20, 5, bias=False)
    quantize_model(model, 3, method="lsq")
    optimizer = torch.optim.SGD([model.parametrizations.weight.original], lr=0.05)
    start = dampening_loss(model).item()
    for _ in range(10):
        optimizer.zero_grad()
        dampening_loss(model).backward()
        optimizer.step()
    # A step takes a tenth off each distance.
    assert dampening_loss(model).item() == pytest.approx(0.9**20 * start, rel=1e-4)


def test_learned_scales_get_no_gradient():
    model = nn.Linear(4, 2)
    quantize_model(model, 2, method="lsq")
    dampening_loss(model).backward()
    assert model.parametrizations.weight[0].scale.grad is None


def test_products_and_layers_are_summed():
    model = nn.ModuleDict({"a": QKReparamAttention(4, 2, 2), "b": nn.Linear(4, 4)})
    quantize_model(model, 2, include="b")
    parts = [dampening_loss(model, include=name) for name in ("a", "b")]
    torch.testing.assert_close(dampening_loss(model), sum(parts))
    dampening_loss(model).backward()
    assert model["a"].query_weight.grad.any()


def test_half_precision_sums_in_single_precision():
    loss = dampening_loss(layer(torch.bfloat16))
    assert loss.dtype == torch.float32
    torch.testing.assert_close(
        loss.item(), dampening_loss(layer(torch.float32)).item(), rtol=0.05, atol=0
    )


def test_model_without_quantizers_is_refused():
    with pytest.raises(
        ValueError, match=r"dampening_loss needs a module with quantised"
    ):
        dampening_loss(nn.Linear(2, 2))
