from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn.utils.parametrize import register_parametrization  # noqa: E402

from statlearn.neural.quantization import (  # noqa: E402
    StatsQuantizer,
    stats_codes,
    stats_quantize,
)

FULL = [torch.float32, torch.float64]
HALF = [torch.float16, torch.bfloat16]
W = [[0.9, -0.1, 0.3, -0.5], [0.05, 0.2, -1.4, 0.35]]
PUBLISHED = {
    2: [[0.675, -0.225, 0.225, -0.675], [0.25, 0.25, -0.75, 0.25]],
    3: [[0.7875, -0.1125, 0.3375, -0.5625], [0.125, 0.125, -0.875, 0.375]],
    4: [[0.84375, -0.05625, 0.28125, -0.50625], [0.0625, 0.1875, -0.9375, 0.3125]],
}


def type_name(dtype):
    return str(dtype).removeprefix("torch.")


def by_hand(w, bits):
    """Codes and scales in exact arithmetic on float64 numbers, value by value."""
    n = 2 ** (bits - 1)
    scale = 2.0 * np.abs(w).mean(axis=1, keepdims=True)
    cut = np.clip(w / scale, -1.0, 1.0 - 1e-9)
    return np.clip(np.rint(cut * n - 0.5), -n, n - 1), scale


@pytest.mark.parametrize("dtype", FULL, ids=type_name)
@pytest.mark.parametrize("bits", PUBLISHED)
def test_known_levels(bits, dtype):
    out = stats_quantize(torch.tensor(W, dtype=dtype), bits)
    assert out.dtype == dtype
    torch.testing.assert_close(out, torch.tensor(PUBLISHED[bits], dtype=dtype))


@pytest.mark.parametrize("dtype", FULL, ids=type_name)
def test_known_scales_and_codes(dtype):
    codes, scale = stats_codes(torch.tensor(W, dtype=dtype), 2)
    torch.testing.assert_close(scale, torch.tensor([[0.9], [1.0]], dtype=dtype))
    assert codes.dtype == torch.int8
    assert codes.tolist() == [[1, -1, 0, -2], [0, 0, -2, 0]]


@pytest.mark.parametrize("dtype", FULL, ids=type_name)
def test_known_levels_of_a_stack(dtype):
    w = torch.tensor(W, dtype=dtype)
    out = stats_quantize(torch.stack([w, 2 * w]), 2)
    expected = [
        [[1.0125, -0.3375, 0.3375, -0.3375], [0.375, 0.375, -1.125, 0.375]],
        [[1.0125, -0.3375, 0.3375, -1.0125], [0.375, 0.375, -1.125, 0.375]],
    ]
    torch.testing.assert_close(out, torch.tensor(expected, dtype=dtype))


def test_four_axes_have_a_scale_for_each_entry_of_the_third():
    w = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    _, scale = stats_codes(w, 2)
    torch.testing.assert_close(scale, 2 * w.abs().mean((0, 1, 3), keepdim=True))


def test_axis_zero_gives_a_scale_for_each_output_of_a_convolution():
    w = torch.randn(6, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    out = stats_quantize(w, 3, axis=0)
    flat = stats_quantize(w.flatten(1), 3)
    torch.testing.assert_close(out, flat.view_as(w), rtol=0, atol=0)


@given(
    bits=st.integers(1, 8),
    seed=st.integers(0, 10_000),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 7)),
)
def test_codes_are_those_of_exact_arithmetic(bits, seed, shape):
    w = np.random.default_rng(seed).standard_normal(shape)
    expected, scale = by_hand(w, bits)
    codes, got = stats_codes(torch.from_numpy(w), bits)
    np.testing.assert_allclose(got, scale, rtol=1e-14)
    np.testing.assert_array_equal(codes, expected)
    n = 2 ** (bits - 1)
    levels = stats_quantize(torch.from_numpy(w), bits)
    np.testing.assert_allclose(levels, scale * (expected + 0.5) / n, rtol=1e-14)


@given(bits=st.integers(1, 8), seed=st.integers(0, 10_000))
def test_rows_scale_by_themselves(bits, seed):
    w = torch.randn(4, 6, generator=torch.Generator().manual_seed(seed))
    gain = torch.tensor([[0.25], [1.0], [8.0], [1024.0]])
    out = stats_quantize(gain * w, bits)
    torch.testing.assert_close(out, gain * stats_quantize(w, bits), rtol=0, atol=0)


def test_one_bit_has_two_levels_also_for_large_weights():
    # The published rounding gives the lowest weights a third level of one bit.
    w = torch.tensor([[-5.0, 0.1, 0.2, 0.1], [5.0, -0.1, -0.2, -0.1]])
    half = w.abs().mean(1, keepdim=True)
    torch.testing.assert_close(stats_quantize(w, 1), torch.where(w > 0, half, -half))


@pytest.mark.parametrize("bits", [1, 2, 8])
@pytest.mark.parametrize("dtype", FULL + HALF, ids=type_name)
def test_rows_of_zeros_stay_zero(dtype, bits):
    w = torch.tensor([[0.0, 0.0], [1.0, -1.0]], dtype=dtype, requires_grad=True)
    out = stats_quantize(w, bits)
    out.sum().backward()
    assert out[0].tolist() == [0.0, 0.0]
    assert out.isfinite().all()
    assert w.grad.isfinite().all()
    assert stats_codes(w, bits)[1][0].item() == 0.0


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("dtype", HALF, ids=type_name)
def test_half_precision_computes_in_single_precision(dtype, bits):
    # In half precision 1 - 1e-6 is 1, and positions beyond 256 are not all numbers.
    w = torch.randn(8, 16, generator=torch.Generator().manual_seed(0)).to(dtype)
    out = stats_quantize(w, bits)
    assert out.dtype == dtype
    assert torch.equal(out, stats_quantize(w.float(), bits).to(dtype))
    codes, scale = stats_codes(w, bits)
    assert scale.dtype == torch.float32
    assert torch.equal(codes, stats_codes(w.float(), bits)[0])
    assert codes.min() == -(2 ** (bits - 1))
    assert codes.max() == 2 ** (bits - 1) - 1


@pytest.mark.parametrize("dtype", FULL, ids=type_name)
@pytest.mark.parametrize("bits", [1, 2, 8])
def test_identity_gradient_reaches_cut_weights_too(bits, dtype):
    w = torch.tensor(W, dtype=dtype, requires_grad=True)
    c = torch.arange(1.0, 9.0, dtype=dtype).view(2, 4)
    (stats_quantize(w, bits) * c).sum().backward()
    assert torch.equal(w.grad, c)


def test_clipped_gradient_stops_beyond_the_scale():
    w = torch.tensor(W, requires_grad=True)
    c = torch.arange(1.0, 9.0).view(2, 4)
    (stats_quantize(w, 2, ste="clipped") * c).sum().backward()
    assert w.grad.tolist() == [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 0.0, 8.0]]


def test_levels_are_those_of_the_codes_to_the_bit():
    w = torch.randn(50, 40, generator=torch.Generator().manual_seed(0))
    quantizer = StatsQuantizer(3)
    assert torch.equal(quantizer.encode(w).dequantize(), quantizer(w))


def test_input_is_not_changed():
    w = torch.tensor(W)
    stats_quantize(w, 2)
    stats_codes(w, 2)
    assert torch.equal(w, torch.tensor(W))


def test_quantizer_is_a_parametrization_without_parameters():
    layer = nn.Linear(4, 2)
    stored = layer.weight.detach().clone()
    register_parametrization(layer, "weight", StatsQuantizer(2))
    assert torch.equal(layer.weight, stats_quantize(stored, 2))
    assert list(StatsQuantizer(2).parameters()) == []
    layer(torch.ones(1, 4)).sum().backward()
    assert torch.equal(layer.parametrizations.weight.original.grad, torch.ones(2, 4))


def test_copy_of_a_quantized_layer_is_independent():
    layer = nn.Linear(4, 2)
    register_parametrization(layer, "weight", StatsQuantizer(2))
    twin = copy.deepcopy(layer)
    with torch.no_grad():
        twin.parametrizations.weight.original.mul_(2.0)
    assert torch.equal(twin.weight, 2.0 * layer.weight)


def test_gradients_of_single_samples_by_vmap():
    w = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))

    def loss(weight, row):
        return (stats_quantize(weight, 2) @ row).sum()

    gradients = torch.func.vmap(torch.func.grad(loss), (None, 0))(w, x)
    torch.testing.assert_close(gradients, x[:, None, :].expand(5, 3, 4))


@pytest.mark.parametrize("bits", [0, 9, 2.0, True, "2", None])
@pytest.mark.parametrize("function", [stats_quantize, stats_codes])
def test_number_of_bits_is_checked(function, bits):
    message = rf"'bits' of {function.__name__} must be a whole number from 1 to 8"
    with pytest.raises(ValueError, match=message):
        function(torch.ones(2, 2), bits)


@pytest.mark.parametrize("shape", [(3,), (1, 1, 1, 1, 1), (0, 3)], ids=str)
@pytest.mark.parametrize("function", [stats_quantize, stats_codes])
def test_axes_are_checked(function, shape):
    with pytest.raises(ValueError, match=r"must have two to four axes .* Got shape"):
        function(torch.ones(shape), 2)


@pytest.mark.parametrize("function", [stats_quantize, stats_codes])
def test_other_numbers_than_floats_are_refused(function):
    with pytest.raises(TypeError, match=r"floating point tensor. Got torch.int64"):
        function(torch.ones(2, 2, dtype=torch.int64), 2)
    with pytest.raises(TypeError, match=r"floating point tensor. Got ndarray"):
        function(np.ones((2, 2)), 2)


def test_unknown_gradient_and_axis_are_refused():
    with pytest.raises(ValueError, match=r"'ste' of stats_quantize must be 'identity'"):
        stats_quantize(torch.ones(2, 2), 2, ste="soft")
    with pytest.raises(ValueError, match=r"'ste' of StatsQuantizer .* Got None"):
        StatsQuantizer(2, ste=None)
    with pytest.raises(
        ValueError, match=r"'axis' of stats_quantize .* Got 2 for shape"
    ):
        stats_quantize(torch.ones(2, 2), 2, axis=2)
    with pytest.raises(ValueError, match=r"'bits' of StatsQuantizer"):
        StatsQuantizer(9)
