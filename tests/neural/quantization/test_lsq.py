from __future__ import annotations

import copy
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn.utils.parametrize import register_parametrization  # noqa: E402

from statlearn.neural.quantization import LSQQuantizer  # noqa: E402

FULL = [torch.float32, torch.float64]
W = [[0.9, -0.1, 0.3, -0.5], [0.05, 0.2, -1.4, 0.35]]


def type_name(dtype):
    return str(dtype).removeprefix("torch.")


def trained(w, quantizer, c=None):
    """Levels, and the gradients by weights and scales of their sum times c."""
    w = w.clone().requires_grad_()
    out = quantizer(w)
    c = torch.arange(1.0, 9.0, dtype=w.dtype).view(2, 4) if c is None else c
    (out * c).sum().backward()
    return out.detach(), w.grad, quantizer.scale.grad


def composed(w, scale, low, high):
    """Levels by elementary operations of torch, which differentiates them itself."""
    g = 1.0 / math.sqrt(high * (w.numel() / scale.numel()))
    floored = scale + (scale.clamp(min=1e-5) - scale).detach()
    a = floored * g + (floored - floored * g).detach()
    v = (w / a).clamp(low, high)
    return (v + (v.round() - v).detach()) * a


@pytest.mark.parametrize("dtype", FULL, ids=type_name)
def test_known_answer_of_two_bits(dtype):
    w = torch.tensor(W, dtype=dtype)
    quantizer = LSQQuantizer(2, w)
    torch.testing.assert_close(
        quantizer.scale.detach(), torch.tensor([[0.9], [1.0]], dtype=dtype)
    )
    with torch.no_grad():
        # The first weight lies on the edge; where it counts as cut is a last bit.
        quantizer.scale[0] = torch.nextafter(w[0, 0], torch.zeros(1, dtype=dtype)[0])
    out, by_weight, by_scale = trained(w, quantizer)
    levels = [[0.9, 0.0, 0.0, -0.9], [0.0, 0.0, -1.0, 0.0]]
    torch.testing.assert_close(out, torch.tensor(levels, dtype=dtype))
    assert by_weight.tolist() == [[0.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]
    expected = torch.tensor([[-0.7777777], [-0.7249999]], dtype=dtype)
    torch.testing.assert_close(by_scale, expected, rtol=1e-6, atol=0)


def test_weight_on_the_edge_is_not_cut_in_exact_arithmetic():
    # By hand: (0 + 2 * .1111 - 3 * .3333 - 4 * .4444) * g with g = 1 / 2.
    w = torch.tensor(W, dtype=torch.float64)
    out, by_weight, by_scale = trained(w, LSQQuantizer(2, w))
    assert out[0, 0] == w[0, 0]
    assert by_weight[0].tolist() == [1.0, 2.0, 3.0, 4.0]
    by_hand = 0.5 * (2 / 9 - 3 / 3 - 4 * 4 / 9)
    torch.testing.assert_close(by_scale[0].item(), by_hand)


@pytest.mark.parametrize("dtype", FULL, ids=type_name)
def test_known_answer_of_three_bits(dtype):
    w = torch.tensor(W, dtype=dtype)
    quantizer = LSQQuantizer(3, w)
    out, by_weight, by_scale = trained(w, quantizer)
    assert torch.equal(by_weight, torch.arange(1.0, 9.0, dtype=dtype).view(2, 4))
    for got, known in (
        (quantizer.scale.detach(), [[0.5196152], [0.5773503]]),
        (
            out,
            [[1.0392305, 0, 0.5196152, -0.5196152], [0, 0, -1.1547005, 0.5773503]],
        ),
        (by_scale, [[0.5108973], [1.0429499]]),
    ):
        expected = torch.tensor(known, dtype=dtype)
        torch.testing.assert_close(got, expected, rtol=1e-6, atol=0)


@given(
    bits=st.integers(2, 8),
    signed=st.booleans(),
    per_row=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_gradients_are_those_of_elementary_operations(bits, signed, per_row, seed):
    generator = torch.Generator().manual_seed(seed)
    w = torch.randn(3, 5, generator=generator, dtype=torch.float64)
    c = torch.randn(3, 5, generator=generator, dtype=torch.float64)
    quantizer = LSQQuantizer(bits, w, signed=signed, per_row=per_row)
    out, by_weight, by_scale = trained(w, quantizer, c)
    w = w.clone().requires_grad_()
    scale = quantizer.scale.detach().clone().requires_grad_()
    low, high = (
        (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    )
    other = composed(w, scale, low, high)
    (other * c).sum().backward()
    torch.testing.assert_close(out, other.detach())
    torch.testing.assert_close(by_weight, w.grad)
    torch.testing.assert_close(by_scale, scale.grad)


@pytest.mark.parametrize("dtype", FULL, ids=type_name)
def test_one_signed_bit_trains_its_weights(dtype):
    # Published code takes the sign and leaves the weights without a gradient.
    w = torch.tensor(W, dtype=dtype)
    quantizer = LSQQuantizer(1, w)
    out, by_weight, by_scale = trained(w, quantizer)
    a = quantizer.scale.detach()
    assert torch.equal(out, torch.where(w > 0, a, -a))
    assert by_weight.flatten()[torch.tensor([1, 2, 3, 4, 5, 7])].bool().all()
    assert by_weight[1, 2] == 0.0  # -1.4 is beyond the level -1
    # By hand, second row: the error is sign - w inside, the sign -1 for -1.4.
    by_hand = 0.5 * (5 * 0.95 + 6 * 0.8 - 7 + 8 * 0.65)
    torch.testing.assert_close(by_scale[1].item(), by_hand, rtol=1e-6, atol=0)


def test_one_unsigned_bit_has_the_codes_zero_and_one():
    w = torch.tensor([[0.1, 0.2, 0.9, 1.2]])
    quantizer = LSQQuantizer(1, w, signed=False)
    with torch.no_grad():
        quantizer.scale.fill_(1.0)
    assert quantizer(w).tolist() == [[0.0, 0.0, 1.0, 1.0]]


def test_parameter_exists_before_the_first_forward():
    layer = nn.Linear(4, 2)
    register_parametrization(layer, "weight", LSQQuantizer(2, layer.weight))
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    scale = layer.parametrizations.weight[0].scale
    assert id(scale) in known
    before = scale.detach().clone()
    layer(torch.ones(1, 4)).square().sum().backward()
    optimizer.step()
    assert not torch.equal(scale, before)


def test_one_scale_for_all_rows():
    w = torch.tensor(W)
    quantizer = LSQQuantizer(4, w, per_row=False)
    assert quantizer.scale.shape == (1, 1)
    torch.testing.assert_close(
        quantizer.scale.item(), 2 * w.abs().mean().item() / math.sqrt(7)
    )


def test_steps_have_a_floor_whatever_is_learned():
    w = torch.tensor(W)
    quantizer = LSQQuantizer(2, w)
    with torch.no_grad():
        quantizer.scale.fill_(-3.0)
    out, _, by_scale = trained(w, quantizer)
    assert out.abs().max() <= 2e-5
    assert by_scale.bool().all()  # so that it finds back


@pytest.mark.parametrize("bits", [1, 2, 8])
def test_rows_of_zeros_stay_finite(bits):
    w = torch.zeros(2, 3)
    w[1] = 1.0
    out, by_weight, by_scale = trained(w, LSQQuantizer(bits, w), torch.ones(2, 3))
    for tensor in (out, by_weight, by_scale):
        assert tensor.isfinite().all()
    assert out[0].abs().max() <= 1e-5


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=type_name)
def test_half_precision_computes_in_single_precision(dtype):
    w = torch.tensor(W).to(dtype)
    quantizer = LSQQuantizer(3, w)
    assert quantizer.scale.dtype == torch.float32
    out, by_weight, by_scale = trained(w, quantizer)
    same = trained(w.float(), LSQQuantizer(3, w.float()))
    assert out.dtype == by_weight.dtype == dtype
    assert torch.equal(out, same[0].to(dtype))
    torch.testing.assert_close(by_scale, same[2])


@pytest.mark.parametrize("bits", [1, 2, 8])
@pytest.mark.parametrize("signed", [True, False])
def test_levels_are_those_of_the_codes_to_the_bit(bits, signed):
    w = torch.randn(20, 30, generator=torch.Generator().manual_seed(0))
    quantizer = LSQQuantizer(bits, w, signed=signed)
    coded = quantizer.encode(w)
    assert torch.equal(coded.dequantize(), quantizer(w))
    assert coded.codes.dtype == (torch.int8 if signed or bits < 8 else torch.uint8)


def test_state_goes_round_and_copies_are_independent():
    w = torch.tensor(W)
    quantizer = LSQQuantizer(2, w)
    twin = copy.deepcopy(quantizer)
    with torch.no_grad():
        quantizer.scale.mul_(0.5)
    assert not torch.equal(twin(w), quantizer(w))
    twin.load_state_dict(quantizer.state_dict())
    assert torch.equal(twin(w), quantizer(w))


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"'bits' of LSQQuantizer .* Got 0"):
        LSQQuantizer(0, torch.ones(2, 2))
    with pytest.raises(ValueError, match=r"two to four axes"):
        LSQQuantizer(2, torch.ones(3))
    with pytest.raises(TypeError, match=r"floating point tensor. Got list"):
        LSQQuantizer(2, W)
    with pytest.raises(ValueError, match=r"'axis' of LSQQuantizer .* Got 5"):
        LSQQuantizer(2, torch.ones(2, 2), axis=5)
