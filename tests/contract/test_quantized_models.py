"""Laws of what comes with quantisers: activations, products of queries and keys."""

from __future__ import annotations

import copy
import io

import pytest

torch = pytest.importorskip("torch")

from statlearn.neural import WeightMap, strip  # noqa: E402
from statlearn.neural.models import TinyViT  # noqa: E402
from statlearn.neural.quantization import (  # noqa: E402
    fold_quantized,
    quantize_model,
    reparametrize_attention,
)


def transformer(products):
    model = TinyViT(qkv_bias=False, n_blocks=1, generator=0).double()
    if products:
        reparametrize_attention(model, 2)
    return model


def images(dtype=torch.float64):
    return torch.rand(4, 64, generator=torch.Generator().manual_seed(1)).to(dtype)


def quantised(products, *, act_bits=3):
    """A transformer of few bits whose weights and scales have moved."""
    model = transformer(products)
    quantize_model(model, 2, act_bits=act_bits, sample=images())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(3):
        optimizer.zero_grad()
        model(images()).square().sum().backward()
        assert all(p.grad.isfinite().all() for p in model.parameters())
        optimizer.step()
    return model


with_products = pytest.mark.parametrize("products", [False, True])


@with_products
def test_folding_all_of_a_quantised_model_keeps_what_it_computes(products):
    model = quantised(products)
    before = model(images()).detach()
    fold_quantized(model)
    assert not any(isinstance(m, WeightMap) for m in model.modules())
    torch.testing.assert_close(model(images()), before, rtol=1e-10, atol=1e-10)


@with_products
def test_strip_takes_away_what_came_with_quantisers(products):
    model, base = quantised(products), transformer(products)
    strip(model)
    assert list(model.state_dict()) == list(base.state_dict())
    # All but the weights of layers was trained beside the maps, and stays.
    model.load_state_dict(base.state_dict())
    assert torch.equal(model(images()), base(images()))


@with_products
def test_copy_of_a_quantised_model_is_independent(products):
    model = quantised(products)
    before = model(images()).detach()
    twin = copy.deepcopy(model)
    assert torch.equal(twin(images()), before)
    fold_quantized(twin, activations=False)
    assert torch.equal(model(images()), before)


@with_products
def test_state_of_a_quantised_model_goes_through_a_file_and_back(products):
    model, other, file = quantised(products), transformer(products), io.BytesIO()
    quantize_model(other, 2, act_bits=3, sample=images())
    torch.save(model.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other(images()), model(images()))


@with_products
def test_quantised_model_changes_its_precision(products):
    model = quantised(products).float()
    assert model(images(torch.float32)).dtype == torch.float32
