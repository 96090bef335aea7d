from __future__ import annotations

import copy
import math
import warnings

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from statlearn.exceptions import DroppedBiasesWarning  # noqa: E402
from statlearn.neural import weight_maps  # noqa: E402
from statlearn.neural.quantization import (  # noqa: E402
    QKReparamAttention,
    quantize_model,
)

X = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(0))
PADDING = torch.tensor([[0, 0, 0, 1, 1]] + [[0, 0, 0, 0, 0]] * 2).bool()
CAUSAL = torch.ones(5, 5).triu(1).bool()
ADDED = torch.randn(6, 5, 5, generator=torch.Generator().manual_seed(1))


def multihead(**options):
    torch.manual_seed(2)
    return nn.MultiheadAttention(8, 2, batch_first=True, **options)


def assert_same(converted, original, *inputs, **options):
    out, weights = converted(*inputs, **options)
    expected, expected_weights = original(*inputs, **options)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(weights, expected_weights)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_known_products(dtype):
    attention = QKReparamAttention(4, 2, 2).to(dtype)
    query = torch.arange(1.0, 17.0, dtype=dtype).view(4, 4) / 16 - 0.5
    with torch.no_grad():
        attention.query_weight.copy_(query)
        attention.key_weight.copy_(0.7 * query.flip(0))
    for got, first, last in (
        (
            attention.product(),
            [-0.10390625, -0.13125, -0.15859375, -0.1859375],
            [-0.1859375, -0.153125, -0.1203125, -0.0875],
        ),
        (
            attention.quantized_product(),
            [-0.0724609, -0.0724609, -0.2173828, -0.2173828],
            [-0.2050781, -0.2050781, -0.0683594, -0.0683594],
        ),
    ):
        known = torch.tensor([first, last], dtype=dtype)
        torch.testing.assert_close(got[[0, 7]].detach(), known, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"attn_mask": CAUSAL},
        {"attn_mask": CAUSAL, "is_causal": True},
        {"attn_mask": ADDED},
        {"key_padding_mask": PADDING},
        {"key_padding_mask": PADDING, "attn_mask": CAUSAL},
        {"average_attn_weights": False},
        {"need_weights": False},
    ],
    ids=lambda options: " ".join(options) or "plain",
)
@pytest.mark.parametrize("bias", [False, True])
def test_without_quantisation_and_biases_it_is_multihead_attention(options, bias):
    attention = multihead(bias=bias)
    if bias:  # values and output keep theirs
        with torch.no_grad():
            attention.in_proj_bias[16:] = torch.arange(8.0)
            attention.out_proj.bias.copy_(torch.arange(8.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        converted = QKReparamAttention.from_multihead(attention)
    assert_same(converted, attention, X, X, X, **options)


def test_keys_and_values_may_differ_from_queries():
    attention = multihead(bias=False)
    key, value = X[:, :3] + 1.0, X[:, :3] - 1.0
    converted = QKReparamAttention.from_multihead(attention)
    assert_same(converted, attention, X, key, value)


def test_samples_may_be_the_second_axis():
    torch.manual_seed(2)
    attention = nn.MultiheadAttention(8, 2, bias=False)
    converted = QKReparamAttention.from_multihead(attention)
    assert not converted.batch_first
    assert_same(converted, attention, X, X, X)


def test_dropout_and_mode_are_taken_over():
    attention = multihead(bias=False, dropout=0.5).eval()
    converted = QKReparamAttention.from_multihead(attention)
    assert_same(converted, attention, X, X, X)
    assert converted.train()(X)[1].eq(0.0).any()


def test_stands_in_a_transformer_layer():
    torch.manual_seed(2)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, bias=False).eval()
    expected = layer(X)
    layer.self_attn = QKReparamAttention.from_multihead(layer.self_attn)
    torch.testing.assert_close(layer(X), expected)


def test_dropped_biases_are_warned_of_and_change_the_outputs():
    attention = multihead()
    with torch.no_grad():
        attention.in_proj_bias[2:7] = 1.0
    with pytest.warns(DroppedBiasesWarning, match="Got 5 of queries and keys other"):
        converted = QKReparamAttention.from_multihead(attention)
    assert not torch.allclose(converted(X, X, X)[0], attention(X, X, X)[0])


def test_separate_layers_are_converted():
    torch.manual_seed(2)
    q, k = (nn.Linear(8, 8, bias=False) for _ in range(2))
    v, out = nn.Linear(8, 8, bias=False), nn.Linear(8, 8)
    heads = [x.unflatten(-1, (2, 4)).transpose(1, 2) for x in (q(X), k(X), v(X))]
    mixed = nn.functional.scaled_dot_product_attention(*heads)
    expected = out(mixed.transpose(1, 2).flatten(-2))
    converted = QKReparamAttention.from_projections(q, k, v, out, 2)
    torch.testing.assert_close(converted(X)[0], expected)
    assert converted.value.bias is None
    with torch.no_grad():
        converted.query_weight.zero_()
    assert q.weight.any()  # numbers are copied


def test_quantised_logits_come_from_the_quantised_product():
    attention = QKReparamAttention(8, 2, 2, generator=torch.Generator().manual_seed(0))
    product = attention.quantized_product().view(2, 8, 8)
    logits = torch.einsum("nic,hcd,njd->nhij", X, product, X) / math.sqrt(4)
    weights = attention(X, average_attn_weights=False)[1]
    torch.testing.assert_close(weights, logits.softmax(-1))
    assert len(torch.unique(product[0, 0].abs())) <= 2


def test_gradient_reaches_queries_and_keys_through_the_product():
    attention = QKReparamAttention(
        8, 2, 2, generator=torch.Generator().manual_seed(0)
    ).double()
    c = torch.randn(16, 8, generator=torch.Generator().manual_seed(1)).double()
    (attention.quantized_product() * c).sum().backward()
    quantized = attention.query_weight.grad, attention.key_weight.grad
    query, key = (
        w.detach().clone().requires_grad_()
        for w in (attention.query_weight, attention.key_weight)
    )
    plain = [query[i : i + 4].T @ key[i : i + 4] for i in (0, 4)]
    (torch.cat(plain) * c).sum().backward()
    torch.testing.assert_close(quantized, (query.grad, key.grad))


def test_folding_keeps_outputs_and_stores_the_product_alone():
    attention = QKReparamAttention(8, 2, 2, generator=torch.Generator().manual_seed(0))
    before = attention(X)[0]
    attention.fold()
    assert torch.equal(attention(X)[0], before)
    names = {name for name, _ in attention.named_parameters() if "." not in name}
    assert names == {"qk_product"}
    assert attention.qk_product.shape == (16, 8)
    attention.fold()  # a second time changes nothing
    assert torch.equal(attention(X)[0], before)


def test_copy_is_independent_and_state_goes_round():
    attention = QKReparamAttention(8, 2, 2, generator=torch.Generator().manual_seed(0))
    twin = copy.deepcopy(attention)
    with torch.no_grad():
        attention.query_weight.mul_(-1.0)
    assert not torch.equal(twin(X)[0], attention(X)[0])
    twin.load_state_dict(attention.state_dict())
    assert torch.equal(twin(X)[0], attention(X)[0])


def test_generator_fixes_the_start():
    one, two = (
        QKReparamAttention(8, 2, generator=torch.Generator().manual_seed(5))
        for _ in range(2)
    )
    assert torch.equal(one(X)[0], two(X)[0])


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_other_types_work(dtype):
    attention = QKReparamAttention(8, 2, 2).to(dtype)
    out = attention(X.to(dtype))[0]
    out.sum().backward()
    assert out.dtype == attention.query_weight.grad.dtype == dtype


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"'num_heads' .* must divide .* Got 3 heads"):
        QKReparamAttention(8, 3)
    with pytest.raises(ValueError, match=r"'bits' of StatsQuantizer"):
        QKReparamAttention(8, 2, 0)
    attention = QKReparamAttention(8, 2)
    with pytest.raises(ValueError, match=r"three axes, the last of 8. Got .*\(5, 8\)"):
        attention(X[0])
    with pytest.raises(ValueError, match=r"'is_causal' .* Got no mask"):
        attention(X, is_causal=True)
    with pytest.raises(TypeError, match=r"MultiheadAttention. Got Linear"):
        QKReparamAttention.from_multihead(nn.Linear(8, 8))
    with pytest.raises(ValueError, match=r"of one width.* Got kdim=4 and vdim=8"):
        QKReparamAttention.from_multihead(nn.MultiheadAttention(8, 2, kdim=4))
    with pytest.raises(ValueError, match=r"Got add_bias_kv or add_zero_attn"):
        QKReparamAttention.from_multihead(nn.MultiheadAttention(8, 2, add_bias_kv=True))
    layers = [nn.Linear(8, 8)] * 3
    with pytest.raises(ValueError, match=r"square layers of one width. Got shapes"):
        QKReparamAttention.from_projections(*layers, nn.Linear(8, 4), 2)


# --- quantised tokens -----------------------------------------------------------


def lsq(x, scale, bits):
    """Round half to even onto signed levels, by hand."""
    half = 2 ** (bits - 1)
    return (x / scale).clamp(-half, half - 1).round() * scale


def lsq_scale(x, bits):
    return 2 * x.abs().mean(dim=(0, 2), keepdim=True) / math.sqrt(2 ** (bits - 1) - 1)


@pytest.mark.parametrize("batch_first", [True, False])
def test_tokens_are_rounded_before_and_after_the_product(batch_first):
    generator = torch.Generator().manual_seed(0)
    options = {"batch_first": batch_first, "generator": generator}
    attention = QKReparamAttention(8, 2, 2, **options).double()
    x = X.double()
    attention.quantize_activations(3, x if batch_first else x.transpose(0, 1))
    product = attention.quantized_product().view(2, 8, 8)
    rounded = lsq(x, lsq_scale(x, 3), 3)
    logits = []
    for head in product:
        keys = rounded @ head.T
        keys = lsq(keys, lsq_scale(keys, 3), 3)
        logits.append(rounded @ keys.mT / math.sqrt(4))
    given = x if batch_first else x.transpose(0, 1)
    weights = attention(given, average_attn_weights=False)[1]
    torch.testing.assert_close(weights, torch.stack(logits, 1).softmax(-1))


def test_scales_of_tokens_and_heads_are_trained():
    attention = QKReparamAttention(8, 2, 2, generator=torch.Generator().manual_seed(0))
    attention.quantize_activations(2, X)
    attention(X)[0].square().sum().backward()
    quantizers = [attention.token_quantizer, *attention.key_quantizers]
    shapes = [tuple(quantizer.scale.shape) for quantizer in quantizers]
    assert shapes == [(5, 1)] * 3
    assert all(q.scale.grad.any() for q in quantizers)
    assert attention.query_weight.grad.any()


def test_quantised_tokens_stay_after_folding_and_in_the_state():
    attention = QKReparamAttention(8, 2, 2, generator=torch.Generator().manual_seed(0))
    attention.quantize_activations(2, X)
    twin = QKReparamAttention(8, 2, 2)
    twin.quantize_activations(2, X + 1.0)
    twin.load_state_dict(attention.state_dict())
    before = attention(X)[0]
    assert torch.equal(twin(X)[0], before)
    attention.fold()
    torch.testing.assert_close(attention(X)[0], before)


def test_a_model_quantises_the_tokens_of_its_attention():
    model = nn.Sequential(nn.Linear(8, 8), nn.Identity())
    model[1] = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, bias=False)
    attention = QKReparamAttention.from_multihead(model[1].self_attn, 2)
    model[1].self_attn = attention
    quantize_model(model, 2, act_bits=3, sample=X)
    assert attention.token_quantizer.bits == attention.value.input_quantizer.bits == 3
    assert len(attention.key_quantizers) == 2
    assert model(X).isfinite().all()


def test_tokens_are_left_alone_where_the_values_are_and_quantised_once():
    attention = QKReparamAttention(8, 2, 2)
    quantize_model(attention, 2, include="output", act_bits=3, sample=X)
    assert attention.token_quantizer is None
    attention.quantize_activations(3, X)
    with pytest.raises(ValueError, match=r"once. Got .* inputs of \[''\] already"):
        quantize_model(attention, 2, include="value", act_bits=3, sample=X)


def test_samples_that_give_no_scales_are_refused():
    attention = QKReparamAttention(8, 2, 2)
    with pytest.raises(ValueError, match="three axes"):
        attention.quantize_activations(2, X[0])
    with pytest.raises(ValueError, match="'bits' of ActivationQuantizer"):
        attention.quantize_activations(9, X)
    with pytest.raises(ValueError, match="finite floating point"):
        attention.quantize_activations(2, X / 0.0)
    assert attention.token_quantizer is attention.key_quantizers is None
    attention.quantize_activations(2, X)
    with pytest.raises(ValueError, match="one scale for each token"):
        attention(X[:, :3])


def test_a_model_is_as_it_was_where_tokens_give_no_scales():
    attention = QKReparamAttention(8, 2, 2)
    with torch.no_grad():
        attention.key_weight.fill_(math.inf)
    with pytest.raises(ValueError, match="finite floating point"):
        quantize_model(attention, 2, include="value", act_bits=3, sample=X)
    assert attention.token_quantizer is None
    assert not weight_maps(attention)


def test_one_scale_takes_any_number_of_tokens():
    attention = QKReparamAttention(8, 2, 2, generator=torch.Generator().manual_seed(0))
    attention.quantize_activations(8, X, axis=None)
    quantizers = [attention.token_quantizer, *attention.key_quantizers]
    assert [q.scale.numel() for q in quantizers] == [1] * 3
    assert attention(X[:, :3])[0].shape == (3, 3, 8)


def test_removed_quantisers_leave_the_outputs_from_before():
    attention = QKReparamAttention(8, 2, 2, generator=torch.Generator().manual_seed(0))
    before, names = attention(X)[0], list(attention.state_dict())
    attention.quantize_activations(2, X)
    attention.remove_activation_quantizers()
    assert torch.equal(attention(X)[0], before)
    assert list(attention.state_dict()) == names


# --- calls of one tensor ----------------------------------------------------------


def test_output_alone_is_returned_on_request():
    start = {"generator": torch.Generator().manual_seed(0)}
    attention = QKReparamAttention(8, 2, output_only=True, **start)
    output = attention(X)
    attention.output_only = False
    assert torch.equal(output, attention(X)[0])


def test_causal_attention_is_that_with_a_causal_mask():
    attention = QKReparamAttention(8, 2, generator=torch.Generator().manual_seed(0))
    causal = QKReparamAttention(8, 2, causal=True)
    causal.load_state_dict(attention.state_dict())
    torch.testing.assert_close(causal(X), attention(X, attn_mask=CAUSAL))
    padded = {"key_padding_mask": PADDING}
    expected = attention(X, attn_mask=CAUSAL, **padded)
    torch.testing.assert_close(causal(X, **padded), expected)


def test_converted_layers_take_both_over():
    layers = [nn.Linear(8, 8, bias=False) for _ in range(4)]
    layers[2].eval()
    made = QKReparamAttention.from_projections(
        *layers, 2, causal=True, output_only=True
    )
    assert made.causal
    assert made.output_only
    assert not made.training


@pytest.mark.parametrize(
    ("sizes", "error", "name"),
    [
        ((8, 2.0), TypeError, "num_heads"),
        ((8.0, 2), TypeError, "embed_dim"),
        ((8, 0), ValueError, "num_heads"),
        ((0, 1), ValueError, "embed_dim"),
    ],
    ids=["heads", "width", "no head", "no width"],
)
def test_sizes_must_be_counts(sizes, error, name):
    with pytest.raises(error, match=f"'{name}' of QKReparamAttention must be an integ"):
        QKReparamAttention(*sizes)


@pytest.mark.parametrize("name", ["attn_mask", "key_padding_mask"])
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8], ids=str)
def test_masks_of_whole_numbers_are_refused(name, dtype):
    attention = QKReparamAttention(8, 2)
    mask = CAUSAL if name == "attn_mask" else PADDING
    with pytest.raises(ValueError, match=rf"The '{name}' .* Got {dtype}; pass mask.b"):
        attention(X, **{name: mask.to(dtype)})


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("attn_mask", (1, 5)),
        ("attn_mask", (3, 5, 5)),
        ("attn_mask", (3, 1, 5, 5)),
        ("key_padding_mask", (1, 5)),
        ("key_padding_mask", (3, 1)),
    ],
    ids=str,
)
def test_masks_that_would_broadcast_are_refused(name, shape):
    attention = QKReparamAttention(8, 2)
    with pytest.raises(ValueError, match=rf"'{name}' of QKR.* the shape .* Got \("):
        attention(X, **{name: torch.zeros(shape).bool()})


def test_there_may_be_no_samples():
    attention = QKReparamAttention(8, 2, causal=True)
    assert attention(X[:0])[0].shape == (0, 5, 8)


@pytest.mark.parametrize("bits", [2, 8])
def test_autocast_quantises_the_product_that_is_exported(bits):
    torch.manual_seed(0)
    attention = QKReparamAttention(64, 4, bits)
    seen = []
    attention.quantizer.register_forward_hook(lambda q, i, o: seen.append(i[0]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = attention(torch.randn(2, 5, 64))[0]
    assert torch.equal(seen[0], attention.product())
    output.sum().backward()
    assert attention.query_weight.grad.any()
