from __future__ import annotations

import numpy as np
import pytest

from statlearn.merging._state._arrays_and_tensors import (
    copied,
    in_range,
    memory_of,
    shape_and_kind,
    to_array,
)
from stub_tensor import Tensor


def unusual_tensors(torch):
    return {
        "complex64": torch.zeros(2, 2, dtype=torch.complex64),
        "float8_e4m3fn; pass tensor.float()": torch.zeros(2, dtype=torch.float8_e4m3fn),
        "sparse_coo; pass tensor.to_dense()": torch.zeros(2, 2).to_sparse(),
        "'meta'; load its numbers first": torch.zeros(2, device="meta"),
    }


def test_tensors_without_an_array_of_numbers_name_the_key(torch):
    for problem, tensor in unusual_tensors(torch).items():
        with pytest.raises(TypeError, match="'w' of the base must hold") as error:
            shape_and_kind(tensor, "w", "the base")
        assert problem in str(error.value)


@pytest.mark.filterwarnings("ignore:torch.quantize")
def test_quantised_tensor_names_the_key(torch):
    tensor = torch.quantize_per_tensor(torch.zeros(2), 0.1, 0, torch.qint8)
    with pytest.raises(TypeError, match=r"'w' of model 1 .* pass tensor.dequantize"):
        shape_and_kind(tensor, "w", "model 1")


@pytest.mark.parametrize(
    "value", [{"x": 1}, b"abc", None, [[1], [1, 2]], np.array([1j]), np.array(["a"])]
)
def test_what_is_no_array_of_numbers_names_the_key(value):
    with pytest.raises(TypeError, match="'w' of the base must hold real numbers"):
        shape_and_kind(value, "w", "the base")


def test_numbers_have_a_shape_and_a_kind(torch):
    assert shape_and_kind(np.zeros((2, 3)), "w", "") == ((2, 3), "f")
    assert shape_and_kind(np.zeros(2, bool), "w", "") == ((2,), "i")
    assert shape_and_kind(Tensor(np.zeros(2)), "w", "") == ((2,), "f")
    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        assert shape_and_kind(torch.zeros(2, dtype=dtype), "w", "") == ((2,), "f")
    for dtype in (torch.uint16, torch.int64, torch.bool):
        assert shape_and_kind(torch.zeros(2, dtype=dtype), "w", "") == ((2,), "i")


def test_anything_can_be_copied(torch):
    for tensor in unusual_tensors(torch).values():
        assert copied(tensor) is not tensor
        assert copied(tensor).dtype == tensor.dtype
    array = np.zeros(2)
    assert not np.shares_memory(copied(array), array)
    nested = {"x": [1]}
    assert copied(nested) == nested
    assert copied(nested)["x"] is not nested["x"]
    far = Tensor(np.ones(2), device="far")
    assert copied(far).device == "far"


def test_memory_is_that_of_views_and_of_nothing_else(torch):
    array = np.zeros((2, 3))
    place = array.__array_interface__["data"][0]
    assert memory_of(array) == memory_of(array[:]) == (place, (2, 3), (24, 8))
    assert memory_of(array.T[1:]) == (place + 8, (2, 2), (8, 24))
    tensor = torch.zeros(2, 3)
    place = tensor.untyped_storage().data_ptr()
    assert memory_of(tensor[:, 1:]) == (place + 4, (2, 2), (3, 1))
    assert memory_of(array.copy()) != memory_of(array)
    empty = [torch.zeros(2, device="meta") for _ in range(2)]
    assert memory_of(empty[0]) != memory_of(empty[1])
    for value in (torch.zeros(2, 2).to_sparse(), empty[0], np.zeros(0), [1.0], 2.0):
        assert memory_of(value) == (id(value),)


@pytest.mark.parametrize(("factor", "fits"), [(1.0, True), (1.002, False)])
def test_numbers_beyond_bfloat16_are_refused(factor, fits, torch):
    like = torch.zeros(2, dtype=torch.bfloat16)
    largest = float(torch.finfo(torch.bfloat16).max)
    merged = np.array([0.0, -factor * largest], np.float32)
    assert np.isfinite(merged).all()
    if fits:
        assert torch.isfinite(in_range(merged, like, "w", "f")).all()
        return
    with pytest.raises(ValueError, match=r"for 'w' of type torch\.bfloat16; convert"):
        in_range(merged, like, "w", "f")


def test_finite_numbers_with_an_infinite_sum_are_in_range():
    large = np.full(4, np.finfo(np.float64).max)
    np.testing.assert_array_equal(in_range(large, large, "w", "f"), large)
    np.testing.assert_array_equal(to_array(large), large)
