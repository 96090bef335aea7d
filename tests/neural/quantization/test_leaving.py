from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from statlearn.neural import attach, fold, strip, unfold, weight_maps  # noqa: E402
from statlearn.neural.adapters import apply_lora  # noqa: E402
from statlearn.neural.models import TinyViT  # noqa: E402
from statlearn.neural.quantization import (  # noqa: E402
    ActivationQuantizer,
    fold_quantized,
    quantize_model,
    remove_activation_quantizers,
    reparametrize_attention,
)
from statlearn.neural.quantization._grid import WeightQuantizer  # noqa: E402
from statlearn.neural.regularization import WeightCompander  # noqa: E402


def rows(n=4):
    return torch.rand(n, 64, generator=torch.Generator().manual_seed(0))


def vit(*, products=True):
    """Without quantisation of layers, and with products of two bits."""
    model = TinyViT(qkv_bias=False, n_blocks=1, generator=0)
    if products:
        reparametrize_attention(model, 2)
    return model


def quantised(**options):
    model = vit(**options)
    quantize_model(model, 2, act_bits=3, sample=rows())
    return model


def trained(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(rows()).square().sum().backward()
    optimizer.step()
    return model


def quantisers(model, kind):
    return [m for m in model.modules() if isinstance(m, kind)]


def same_state(one, other):
    one, other = one.state_dict(), other.state_dict()
    return list(one) == list(other) and all(torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("products", [False, True])
def test_stripping_brings_outputs_and_state_back_to_the_bit(products):
    plain, model = vit(products=products), quantised(products=products)
    for one in (model, copy.deepcopy(model)):
        assert not torch.equal(one(rows()), plain(rows()))
        strip(one)
        assert same_state(one, plain)
        assert torch.equal(one(rows()), plain(rows()))
        assert not any(m._forward_pre_hooks for m in one.modules())
        quantize_model(one, 2, act_bits=3, sample=rows())  # and on again


def test_copy_is_stripped_alone():
    model = trained(quantised())
    before = model(rows())
    strip(copy.deepcopy(model))
    assert torch.equal(model(rows()), before)


def test_other_hooks_of_a_layer_stay():
    model = nn.Sequential(nn.Linear(64, 3))
    seen = []
    model[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    quantize_model(model, 2, act_bits=3, sample=rows())
    strip(model)
    seen.clear()
    model(rows())
    assert torch.equal(seen[0], rows())


def test_folding_keeps_activations_and_coming_back_does_too():
    model = trained(quantised(products=False))
    before = model(rows())
    fold(model, reversible=True)
    assert torch.equal(model(rows()), before)
    unfold(model)
    assert torch.equal(model(rows()), before)
    strip(model)
    assert not quantisers(model, ActivationQuantizer)


def test_folding_all_keeps_outputs_and_leaves_no_quantiser_of_weights():
    model = trained(quantised())
    before = model(rows())
    names = fold_quantized(model)
    assert "blocks.0.attention.qk_product" in names
    assert "blocks.0.mlp.fc1.weight" in names
    assert not quantisers(model, WeightQuantizer)
    assert torch.equal(model(rows()), before)
    assert quantisers(model, ActivationQuantizer)


def test_folding_all_may_leave_activations_as_they_are():
    model = trained(quantised())
    twin = copy.deepcopy(model)
    fold_quantized(model, activations=False)
    assert not quantisers(model, ActivationQuantizer)
    remove_activation_quantizers(twin)
    assert torch.equal(model(rows()), twin(rows()))


@pytest.mark.parametrize("part", ["blocks.0.attention", "blocks.0.mlp"])
def test_folding_all_takes_what_there_is(part):
    model = vit(products=part.endswith("attention"))
    if part.endswith("mlp"):
        quantize_model(model, 2, include=part)
    names = fold_quantized(model)
    assert all(name.startswith(part) for name in names)
    assert not quantisers(model, WeightQuantizer)


def test_activations_are_released_by_name_and_weights_stay_quantised():
    model = trained(quantised())
    layers = [name.removesuffix(".weight") for name in weight_maps(model)]
    assert remove_activation_quantizers(model) == [*layers, "blocks.0.attention"]
    assert not quantisers(model, ActivationQuantizer)
    assert len(weight_maps(model)) == len(layers)


def test_rest_of_a_model_with_products_is_trained_again():
    model = vit()
    apply_lora(model, r=1, include="blocks.0.mlp")
    strip(model)
    assert all(parameter.requires_grad for parameter in model.parameters())


# --- messages -----------------------------------------------------------------


def test_nothing_to_leave_is_refused():
    with pytest.raises(ValueError, match="fold_quantized needs a module with quant"):
        fold_quantized(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="needs a module with quantisers of activ"):
        remove_activation_quantizers(nn.Linear(2, 2))


def test_map_of_another_class_keeps_all_as_it_is():
    model = vit()
    quantize_model(model, 2, include="blocks.0.mlp")
    apply_lora(model, r=1, include="blocks.0.mlp.fc1", freeze_rest=False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=r"fold_quantized takes all .*neural\.fold\("):
        fold_quantized(model)
    assert model.blocks[0].attention.quantizer is not None
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_stripping_maps_of_another_class_leaves_activations():
    model = nn.Sequential(nn.Linear(64, 4), nn.Linear(4, 3))
    quantize_model(model, 2, include="0", act_bits=3, sample=rows())
    attach(model, lambda name, w: WeightCompander(1.0, 1.0), include="1")
    strip(model, kind=WeightCompander)
    assert len(quantisers(model, ActivationQuantizer)) == 1
