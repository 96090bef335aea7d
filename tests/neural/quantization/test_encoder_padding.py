"""Padded rows in the encoders of torch, whose nested tensors read weights directly."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from statlearn.neural.quantization import (  # noqa: E402
    quantize_model,
    reparametrize_attention,
)

X = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(0))
PADDING = torch.tensor([[0, 0, 0, 1, 1], [0, 0, 0, 0, 0], [0, 0, 0, 0, 1]]).bool()


def encoder():
    """With biases that are zero, as torch starts them."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    return nn.ModuleDict({"encoder": nn.TransformerEncoder(layer, 2)}).eval()


def kept(model):
    """Return the outputs of what is no padding."""
    return model["encoder"](X, src_key_padding_mask=PADDING)[~PADDING]


def test_attention_of_an_encoder_is_replaced():
    model = encoder()
    expected = kept(model)
    reparametrize_attention(model, None)
    torch.testing.assert_close(kept(model), expected)
    with torch.no_grad():
        torch.testing.assert_close(kept(model), expected)


@pytest.mark.parametrize(
    ("products", "include"),
    [(False, "*.linear*"), (True, "*.linear1"), (True, None)],
    ids=["layers", "one behind products", "all with products"],
)
def test_activations_are_quantised_without_a_gradient_too(products, include):
    model = encoder()
    if products:
        reparametrize_attention(model, 2)
    quantize_model(
        model["encoder"], 2, act_bits=4, sample=X, include=include, act_axis=None
    )
    expected = kept(model)
    with torch.no_grad():
        torch.testing.assert_close(kept(model), expected)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_encoders_without_a_changed_layer_stay_as_they_are():
    model = encoder()
    model["other"] = encoder()["encoder"]
    reparametrize_attention(model, 2, include="other")
    assert model["encoder"].use_nested_tensor
    assert not model["other"].use_nested_tensor
    quantize_model(model, 2, include="encoder")  # weights alone may be read
    assert model["encoder"].use_nested_tensor
    with torch.no_grad():
        inside = kept(model)
    torch.testing.assert_close(inside, kept(model))
