from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from statlearn.exceptions import DroppedBiasesWarning  # noqa: E402
from statlearn.neural.adapters import apply_bone  # noqa: E402
from statlearn.neural.models import Attention, CharLM, TinyViT  # noqa: E402
from statlearn.neural.quantization import (  # noqa: E402
    QKReparamAttention,
    quantize_model,
    reparametrize_attention,
)


def vit():
    return TinyViT(qkv_bias=False, generator=0)


def rows():
    return torch.rand(4, 64, generator=torch.Generator().manual_seed(0))


def test_model_of_the_package_computes_the_same_without_bits():
    model, plain = vit().eval(), vit()
    names = [f"blocks.{i}.attention" for i in range(2)]
    assert reparametrize_attention(model, None) == names
    torch.testing.assert_close(model(rows()), plain(rows()))
    assert not model.blocks[0].attention.training


def test_causal_attention_stays_causal():
    model = CharLM(6, generator=0)
    for block in model.blocks:  # biases of queries and keys have no place
        block.attention = Attention(32, 2, qkv_bias=False, causal=True)
    plain = copy.deepcopy(model)
    reparametrize_attention(model, None)
    tokens = torch.arange(18).view(3, 6) % 6
    torch.testing.assert_close(model(tokens), plain(tokens))


def test_modules_of_torch_are_replaced():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, bias=False)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    x = torch.randn(3, 5, 8)
    expected = model(x)
    assert len(reparametrize_attention(model, None)) == 2
    torch.testing.assert_close(model(x), expected)


def test_products_have_bits_and_values_are_found_afterwards():
    model = vit()
    reparametrize_attention(model, 3, include="blocks.1")
    assert isinstance(model.blocks[0].attention, Attention)
    attention = model.blocks[1].attention
    assert isinstance(attention, QKReparamAttention)
    assert attention.quantizer.bits == 3
    names = quantize_model(model, 2, include="blocks.1.attention")
    assert names == [
        f"blocks.1.attention.{part}.weight" for part in ("value", "output")
    ]


def test_dropped_biases_are_warned_of():
    model = TinyViT(n_blocks=1, generator=0)
    nn.init.ones_(model.blocks[0].attention.q.bias)
    with pytest.warns(DroppedBiasesWarning):
        reparametrize_attention(model, 2)


def test_nothing_to_replace_is_refused():
    for model, got in (
        (nn.Linear(2, 2), "Got Linear without"),
        (Attention(8, 2), "Got the attention itself"),
        (nn.MultiheadAttention(8, 2), "Got the attention itself"),
    ):
        with pytest.raises(ValueError, match=got):
            reparametrize_attention(model)
    with pytest.raises(ValueError, match="Got TinyViT without"):
        reparametrize_attention(vit(), include="head")


def test_one_attention_that_is_refused_keeps_all():
    model = vit()
    apply_bone(model, r=2, include="blocks.1.attention.v")
    with pytest.raises(ValueError, match=r"maps on those of 'blocks.1.attention'"):
        reparametrize_attention(model)
    with pytest.raises(ValueError, match="'bits' of StatsQuantizer"):
        reparametrize_attention(model, 9, include="blocks.0")
    assert all(isinstance(block.attention, Attention) for block in model.blocks)


class Repeated(nn.Module):
    """One attention in all layers, and once more under a name of its own."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, bias=False, batch_first=True)
        self.layers = nn.ModuleList([self.attention] * 3)

    def forward(self, x):
        for layer in self.layers:
            x = x + layer(x, x, x, need_weights=False)[0]
        return x


def test_an_attention_of_many_names_is_replaced_under_all():
    torch.manual_seed(0)
    model = Repeated()
    x = torch.randn(3, 5, 8)
    expected, n_numbers = model(x), sum(p.numel() for p in model.parameters())
    assert reparametrize_attention(model, None) == ["attention"]
    assert isinstance(model.attention, QKReparamAttention)
    assert all(layer is model.attention for layer in model.layers)
    torch.testing.assert_close(model(x), expected)
    assert sum(p.numel() for p in model.parameters()) == n_numbers


@pytest.mark.parametrize(
    "options",
    [{"kdim": 4, "vdim": 4}, {"add_bias_kv": True}],
    ids=["keys of another width", "keys besides"],
)
def test_an_attention_that_cannot_be_converted_is_refused(options):
    model = nn.ModuleDict(
        {"a": nn.MultiheadAttention(8, 2), "b": nn.MultiheadAttention(8, 2, **options)}
    )
    with pytest.raises(ValueError, match="keep this module as it is") as refused:
        reparametrize_attention(model)
    assert refused.value.__notes__ == ["It is 'b' of the model."]
    assert all(isinstance(part, nn.MultiheadAttention) for part in model.values())
    assert reparametrize_attention(model, exclude="b") == ["a"]


@pytest.mark.parametrize("kind", ["torch", "package"])
@pytest.mark.parametrize("outside", [False, True], ids=["plain", "no_grad"])
def test_what_is_frozen_stays_so(kind, outside):
    model = vit()
    if kind == "torch":
        model = nn.ModuleDict({"a": nn.MultiheadAttention(8, 2)})
        model.a = model["a"]
    model.requires_grad_(False)
    trained = model.a.out_proj if kind == "torch" else model.blocks[0].attention.proj
    trained.bias.requires_grad_(True)
    with torch.set_grad_enabled(not outside):
        reparametrize_attention(model, 2)
    free = [name for name, p in model.named_parameters() if p.requires_grad]
    assert free == ["a.output.bias" if kind == "torch" else f"{FIRST}.output.bias"]
    model = nn.ModuleDict({"a": nn.MultiheadAttention(8, 2)})
    with torch.set_grad_enabled(not outside):
        reparametrize_attention(model, 2)
    assert all(p.requires_grad for p in model.parameters())


FIRST = "blocks.0.attention"


def test_no_random_numbers_are_drawn():
    model = vit()
    state = torch.get_rng_state()
    reparametrize_attention(model, 2)
    assert torch.equal(torch.get_rng_state(), state)
