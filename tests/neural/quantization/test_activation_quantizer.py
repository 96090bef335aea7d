from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")

from statlearn.neural.quantization import ActivationQuantizer  # noqa: E402

FULL = [torch.float32, torch.float64]
A = [
    [[0.1, 0.5, 0.2], [0.9, 0.0, 0.3]],
    [[0.4, 0.4, 1.2], [0.05, 2.0, 0.6]],
]


def type_name(dtype):
    return str(dtype).removeprefix("torch.")


@pytest.mark.parametrize("dtype", FULL, ids=type_name)
def test_known_answer_of_two_unsigned_bits_per_token(dtype):
    x = torch.tensor(A, dtype=dtype)
    quantizer = ActivationQuantizer(2, x)
    assert not quantizer.signed
    out = quantizer(x)
    out.square().sum().backward()
    expected = [
        [[0.0, 0.0, 0.0], [1.4818659, 0.0, 0.0]],
        [[0.0, 0.0, 1.0777206], [0.0, 1.4818659, 0.0]],
    ]
    for got, known in (
        (quantizer.scale.detach().flatten(), [1.0777206, 1.4818658]),
        (out.detach(), expected),
        (quantizer.scale.grad.flatten(), [-0.0576431, 0.0300435]),
    ):
        known = torch.tensor(known, dtype=dtype)
        torch.testing.assert_close(got, known, rtol=1e-5, atol=0)


def test_both_shifts_are_trained():
    x = torch.tensor(A)
    quantizer = ActivationQuantizer(2, x)
    assert quantizer.shift_before.tolist() == [[0.0, 0.0, 0.0]]
    quantizer(x).sum().backward()
    # By hand: all numbers lie between the codes 0 and 3.
    assert quantizer.shift_before.grad.tolist() == [[4.0, 4.0, 4.0]]
    assert quantizer.shift_after.grad.tolist() == [[4.0, 4.0, 4.0]]


def test_shifts_are_added_before_and_after():
    x = torch.tensor(A)
    quantizer = ActivationQuantizer(4, x)
    plain = quantizer(x)
    with torch.no_grad():
        quantizer.shift_before.fill_(100.0)
        quantizer.shift_after.fill_(-1.0)
    top = 15.0 * quantizer.scale.detach().expand_as(plain)
    torch.testing.assert_close(quantizer(x), top - 1.0)


def test_negative_samples_make_it_signed():
    x = torch.tensor(A) - 0.5
    assert ActivationQuantizer(2, x).signed
    assert not ActivationQuantizer(2, x, signed=False).signed


def test_any_number_of_rows_but_not_of_tokens():
    quantizer = ActivationQuantizer(2, torch.tensor(A))
    assert quantizer(torch.ones(7, 2, 3)).shape == (7, 2, 3)
    with pytest.raises(ValueError, match=r"Got 5 tokens for 2 scales; pad the input"):
        quantizer(torch.ones(7, 5, 3))


def test_one_scale_takes_any_number_of_tokens():
    quantizer = ActivationQuantizer(2, torch.tensor(A), axis=None)
    assert quantizer.scale.numel() == 1
    assert quantizer(torch.ones(7, 5, 3)).shape == (7, 5, 3)


def test_images_have_shifts_for_each_channel():
    quantizer = ActivationQuantizer(
        2, torch.ones(2, 3, 4, 4), axis=None, feature_axis=1
    )
    assert quantizer.shift_before.shape == (3, 1, 1)
    assert quantizer(torch.ones(5, 3, 6, 6)).shape == (5, 3, 6, 6)


def test_values_may_have_a_scale_for_each_feature():
    quantizer = ActivationQuantizer(2, torch.tensor(A), axis=-1)
    assert quantizer.scale.shape == (1, 3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=type_name)
def test_type_of_the_input_stays(dtype):
    x = torch.tensor(A)
    quantizer = ActivationQuantizer(2, x)
    out = quantizer(x.to(dtype))
    out.sum().backward()
    assert out.dtype == dtype
    assert quantizer.scale.grad.dtype == torch.float32


def test_copy_is_independent_and_state_goes_round():
    x = torch.tensor(A)
    quantizer = ActivationQuantizer(2, x)
    twin = copy.deepcopy(quantizer)
    with torch.no_grad():
        quantizer.scale.mul_(0.1)
    assert not torch.equal(twin(x), quantizer(x))
    twin.load_state_dict(quantizer.state_dict())
    assert torch.equal(twin(x), quantizer(x))


@pytest.mark.parametrize(
    ("sample", "options"),
    [
        (torch.ones(3), {}),
        (torch.ones(3, 4), {}),  # the second axis from behind is that of the rows
        (torch.ones(0, 4, 4), {}),
        (A, {}),
        (torch.ones(2, 3, 4), {"axis": 3}),
        (torch.ones(2, 3, 4), {"feature_axis": 0}),
    ],
    ids=["vector", "table", "empty", "list", "axis", "feature axis"],
)
def test_samples_without_the_axes_are_refused(sample, options):
    with pytest.raises(ValueError, match=r"'sample' of ActivationQuantizer must be"):
        ActivationQuantizer(2, sample, **options)


@pytest.mark.parametrize(
    "sample",
    [torch.tensor([[[float("nan")], [1.0]]]), torch.ones(2, 3, 4).long()],
    ids=["nan", "integers"],
)
def test_samples_that_give_no_scale_are_refused(sample):
    with pytest.raises(ValueError, match=r"must hold finite floating point numbers"):
        ActivationQuantizer(2, sample)


def test_number_of_bits_is_checked():
    with pytest.raises(ValueError, match=r"'bits' of ActivationQuantizer"):
        ActivationQuantizer(16, torch.tensor(A))
