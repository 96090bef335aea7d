from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from statlearn.merging import WeightSignature
from statlearn.merging._signatures._quantization import decode, encode, pack, unpack

VALUES = np.array([-0.8, -0.1, 0.05, 0.3, 0.9])

arrays = hnp.arrays(
    np.float64,
    hnp.array_shapes(max_dims=3, max_side=5),
    elements=st.floats(-1e3, 1e3),
)
methods = st.sampled_from(["linear", "log", "tanh"])
levels = st.sampled_from([4, 5, 8, 16, 256, 1000, 65535])


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        (3, [-0.8, 0.05, 0.05, 0.05, 0.9]),
        (4, [-0.8, -0.2333333, 0.3333333, 0.3333333, 0.9]),
        (8, [-0.8, -0.0714286, 0.1714286, 0.4142857, 0.9]),
    ],
)
def test_linear_levels_are_those_of_the_published_code(levels, expected):
    rounded = decode(encode(VALUES, levels, "linear"))
    np.testing.assert_allclose(rounded, expected, atol=5e-8)


def test_logarithmic_levels_are_powers_at_equal_steps():
    values = np.array([-4.0, -1.0, 0.0, 1.9, 2.1, 4.0])
    rounded = decode(encode(values, 6, "log"))  # three a sign: 1, 2 and 4
    np.testing.assert_allclose(rounded, [-4.0, -1.0, 0.0, 2.0, 2.0, 4.0], rtol=1e-15)


def test_tangent_levels_are_finer_near_zero():
    values = np.tanh([-1.0, 0.0, 1.0]) * 0 + np.array([-2.0, 0.1, 2.0])
    rounded = decode(encode(values, 5, "tanh"))
    step = np.tanh(2.0) / 2
    np.testing.assert_allclose(rounded[1], 0.0, atol=1e-15)
    nearest = decode(encode(np.array([-2.0, 0.6, 2.0]), 5, "tanh"))[1]
    np.testing.assert_allclose(nearest, np.arctanh(step))


@given(values=arrays, n=levels, method=methods)
def test_every_number_stays_finite_within_the_bounds_and_near(values, n, method):
    rounded = decode(encode(values, n, method))
    assert rounded.shape == values.shape
    assert rounded.min() >= values.min()
    assert rounded.max() <= values.max()
    if method == "linear":
        step = (values.max() - values.min()) / (n - 1)
        assert np.abs(rounded - values).max() <= step / 2 + 1e-9
    if method == "log":
        np.testing.assert_array_equal(np.sign(rounded), np.sign(values))


@given(values=arrays, n=levels, method=methods)
def test_rounding_twice_is_rounding_once(values, n, method):
    once = decode(encode(values, n, method))
    np.testing.assert_allclose(
        decode(encode(once, n, method)), once, rtol=1e-9, atol=1e-9
    )


@given(values=arrays, n=levels, method=methods)
def test_codes_come_back_from_their_packing(values, n, method):
    coded = encode(values, n, method)
    packed = pack(coded)
    assert packed.nbytes == -(-values.size * coded.n_bits // 8)
    again = unpack(packed, coded.n_bits, values.shape)
    np.testing.assert_array_equal(again, coded.codes)


@pytest.mark.parametrize("method", ["linear", "log", "tanh"])
@pytest.mark.parametrize("value", [0.0, -0.3, 1e300, 5e-324])
def test_equal_numbers_are_kept(method, value):
    kept = decode(encode(np.full(3, value), 4, method))
    np.testing.assert_array_equal(kept, value)


@pytest.mark.parametrize("method", ["linear", "log", "tanh"])
def test_no_numbers_have_no_codes(method):
    assert decode(encode(np.zeros((0, 2)), 4, method)).shape == (0, 2)


def test_huge_numbers_do_not_overflow():
    values = np.array([-1.7e308, 0.0, 1.7e308])
    np.testing.assert_array_equal(decode(encode(values, 3, "linear")), values)
    assert np.isfinite(decode(encode(values, 3, "tanh"))).all()


@pytest.mark.parametrize("levels", [1, 0, 65536, 2.0, True, "4"])
def test_levels_that_cannot_be_are_refused(levels):
    with pytest.raises(ValueError, match="The 'levels' of quantize must be a whole"):
        WeightSignature({"w": VALUES}).quantize(levels)


def test_two_levels_are_too_few_for_two_signs():
    with pytest.raises(ValueError, match=r"from 4 to 65535 for method 'log'. Got 2"):
        WeightSignature({"w": VALUES}).quantize(2, "log")


def test_unknown_scale_is_refused():
    with pytest.raises(ValueError, match="The 'method' of quantize must be one of"):
        WeightSignature({"w": VALUES}).quantize(4, "cubic")
