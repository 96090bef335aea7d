from __future__ import annotations

import tracemalloc
from types import MappingProxyType

import numpy as np
import pytest

from statlearn.merging._state._arrays_and_tensors import to_array
from statlearn.merging._state._entry import BLOCK
from statlearn.merging._state._layouts import check_finite
from statlearn.merging._state._merge_states import blockwise, merge_states, merged_names
from stub_tensor import Tensor

add = blockwise(lambda start, updates: start + updates.sum(axis=0))


def merge(base, *models, kernel=add):
    return merge_states(base, list(models), kernel, rule="the rule")


@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, BLOCK), (3, 1, 2)])
def test_shape_and_order_of_keys_are_those_of_the_base(shape):
    base = {"z": np.zeros(shape), "a": np.ones(2)}
    merged = merge(base, {"a": np.zeros(2), "z": np.ones(shape)})
    assert list(merged) == ["z", "a"]
    assert merged["z"].shape == shape
    np.testing.assert_array_equal(merged["z"], np.ones(shape))


def test_arrays_that_are_not_contiguous_are_read_in_their_own_order():
    base = np.arange(6.0).reshape(2, 3).T
    model = np.arange(6.0, 12.0).reshape(3, 2)
    merged = merge({"w": base}, {"w": model})
    np.testing.assert_array_equal(merged["w"], model)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_data_type_is_that_of_the_base(dtype):
    merged = merge({"w": np.zeros(2, dtype)}, {"w": np.full(2, 0.5)})
    assert merged["w"].dtype == dtype
    np.testing.assert_array_equal(merged["w"], 0.5)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.bool_])
def test_integers_are_copied_from_the_base(dtype):
    base = {"steps": np.ones(2, dtype)}
    merged = merge(base, {"steps": np.zeros(2, dtype)})
    assert merged["steps"].dtype == dtype
    np.testing.assert_array_equal(merged["steps"], base["steps"])
    assert not np.shares_memory(merged["steps"], base["steps"])


def test_running_statistics_are_averaged_whatever_the_rule_does():
    base = {"bn.running_var": np.ones(2), "bn.weight": np.ones(2)}
    low = {"bn.running_var": np.full(2, 0.5), "bn.weight": np.full(2, 0.5)}
    merged = merge(base, low, low, low)
    np.testing.assert_allclose(merged["bn.running_var"], 0.5)  # the sum would be -0.5
    np.testing.assert_array_equal(merged["bn.weight"], -0.5)


def test_arrays_with_shared_memory_are_merged_once_and_stay_shared():
    calls = []

    def count(entry):
        calls.append(entry.name)
        return add(entry)

    embedding, tuned = np.zeros(3), np.ones(3)
    base = {"head": embedding, "embed": embedding, "other": np.zeros(3)}
    model = {"head": tuned, "embed": tuned, "other": np.zeros(3)}
    merged = merge(base, model, kernel=count)
    assert calls == ["embed", "other"]
    assert merged["head"] is merged["embed"]


def test_arrays_shared_in_the_base_alone_are_merged_each():
    embedding = np.zeros(3)
    base = {"head": embedding, "embed": embedding}
    merged = merge(base, {"head": np.ones(3), "embed": np.full(3, 2.0)})
    np.testing.assert_array_equal(merged["head"], 1.0)
    np.testing.assert_array_equal(merged["embed"], 2.0)


def test_tensors_come_back_as_tensors_of_their_type(torch):
    base = {"w": torch.zeros(2, dtype=torch.bfloat16), "n": torch.tensor(3)}
    model = {"w": torch.ones(2, dtype=torch.float32), "n": torch.tensor(5)}
    merged = merge(base, model)
    assert merged["w"].dtype == torch.bfloat16
    assert torch.equal(merged["w"], torch.ones(2, dtype=torch.bfloat16))
    assert torch.equal(merged["n"], torch.tensor(3))


def test_tied_tensors_stay_tied(torch):
    embedding, tuned = torch.zeros(3), torch.ones(3)
    merged = merge({"a": embedding, "b": embedding}, {"a": tuned, "b": tuned})
    assert merged["a"] is merged["b"]


def test_tensor_with_gradient_on_a_device_is_read():
    base = {"w": Tensor(np.zeros(2), device="far", requires_grad=True)}
    merged = merge(base, {"w": Tensor(np.ones(2), device="far", requires_grad=True)})
    assert merged["w"].device == "far"
    np.testing.assert_array_equal(to_array(merged["w"]), 1.0)


def test_inputs_are_left_alone_and_output_is_new():
    base, model = {"w": np.zeros(2)}, {"w": np.ones(2)}
    merged = merge(base, model)
    merged["w"][:] = 7.0
    np.testing.assert_array_equal(base["w"], 0.0)
    np.testing.assert_array_equal(model["w"], 1.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_number_that_is_not_finite_names_the_key(bad, dtype):
    tuned = np.ones(3, dtype)
    tuned[1] = bad
    with pytest.raises(ValueError, match=r"'a' must hold finite .* in model 0; look"):
        merge({"a": np.zeros(3, dtype)}, {"a": tuned})
    with pytest.raises(ValueError, match=r"'a' must hold finite .* in the base; look"):
        merge({"a": tuned}, {"a": np.zeros(3, dtype)})


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_finite_numbers_with_a_sum_beyond_the_type_are_fine(dtype):
    check_finite(np.full(100, np.finfo(dtype).max, dtype), "a", "the base")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("propagates", [True, False])
def test_result_beyond_the_type_of_the_base_names_the_key(dtype, propagates):
    large = {"a": np.full(3, np.finfo(dtype).max, dtype)}
    message = rf"finite in the data type .* for 'a' of type {np.dtype(dtype)}; convert"
    with pytest.raises(ValueError, match=message):
        merge_states(
            {"a": np.zeros(3, dtype)},
            [large, large],
            add,
            rule="the rule",
            propagates=propagates,
        )


# --- order of work -----------------------------------------------------------


def sizes_in_order(base, **options):
    seen = []

    def note(entry):
        seen.append(entry.size)
        return add(entry)

    merged = merge_states(base, [base], note, rule="the rule", **options)
    assert list(merged) == list(base)
    return seen


def test_array_that_needs_most_beyond_its_result_is_merged_first():
    base = {"a": np.zeros(2), "b": np.zeros(5), "c": np.zeros((1, 3))}
    assert sizes_in_order(base) == [5, 3, 2]
    few = sizes_in_order(base, excess=lambda shape, itemsize: -itemsize * shape[0])
    assert few == [3, 2, 5]


def test_arrays_that_may_come_from_files_are_merged_in_the_order_of_names():
    base = MappingProxyType({"b": np.zeros(5), "c": np.zeros(9), "a": np.zeros(2)})
    assert sizes_in_order(base) == [2, 5, 9]


def test_names_that_a_kernel_sees_leave_out_counters_statistics_and_twins():
    shared = np.zeros(2)
    base = {
        "z": shared,
        "a": shared,
        "count": np.array(1),
        "bn.running_mean": np.zeros(2),
        "b": np.zeros(3),
    }
    assert merged_names(base, [base], "the rule") == ["a", "b"]


def test_elementwise_merge_needs_little_more_than_its_result():
    base = {f"w{i}": np.zeros(2**18, np.float32) for i in range(8)}
    base |= {f"b{i}": np.zeros(64, np.float32) for i in range(8)}
    tracemalloc.start()
    try:
        merged = merge(base, base, base)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Four blocks of 2**15 float64 (base, two models, their sum) and a copy of one.
    blocks = 5 * 8 * 2**15
    assert peak < sum(array.nbytes for array in merged.values()) + blocks + 2**16
