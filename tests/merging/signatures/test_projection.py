from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from statlearn.merging import WeightSignature
from statlearn.merging._signatures._projection import difference, residual

N = 300_001  # several blocks and a rest


def updates(dtype=np.float64, scale=1.0):
    rng = np.random.default_rng(0)
    base, a, b = rng.standard_normal((3, N))
    return tuple((x * scale).astype(dtype) for x in (base + a, base + b, base))


def projected(clean, robust, base):
    """The same by the matrix formula, in extended precision."""
    a, b = (x.astype(np.longdouble) - base for x in (clean, robust))
    return b - a * ((a @ b) / (a @ a))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_blocks_give_the_projection_of_the_whole_array(dtype):
    clean, robust, base = updates(dtype)
    expected = projected(clean, robust, base)
    left = residual("w", clean, robust, base)
    assert left.dtype == np.float64
    np.testing.assert_allclose(left, expected.astype(float), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-170, 1e-320, 1e160], ids=["small", "tiny", "big"])
def test_updates_whose_squares_are_no_doubles_are_projected(scale):
    clean, robust = np.array([2.0, 0.0, 0.0]), np.array([3.0, 4.0, 0.0])
    left = residual("w", clean * scale, robust * scale, np.zeros(3))
    np.testing.assert_allclose(left / scale, [0.0, 4.0, 0.0], atol=1e-12)


def test_arrays_of_any_memory_and_shape_are_read():
    base = np.arange(6.0).reshape(2, 3)
    clean = base + np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    robust = base + np.array([[2.0, 3.0, 0.0], [0.0, 0.0, 5.0]])
    expected = [[0.0, 3.0, 0.0], [0.0, 0.0, 5.0]]
    turned = (np.asfortranarray(array) for array in (clean, robust, base))
    np.testing.assert_array_equal(residual("w", *turned), expected)
    empty = np.zeros((0, 3))
    assert residual("w", empty, empty, empty).shape == (0, 3)
    assert difference("w", empty, empty).shape == (0, 3)


def test_number_alone_is_parallel_to_any_other():
    one, two, zero = (np.array(value) for value in (1.0, 2.0, 0.0))
    assert residual("w", one, two, zero) == 0.0
    assert residual("w", zero, two, zero) == 2.0  # clean training left it alone
    assert difference("w", one, two) == 1.0


def test_number_alone_can_be_quantised():
    signature = WeightSignature({"w": np.array(2.0)}).quantize(4)
    assert signature["w"].shape == ()
    assert signature["w"] == 2.0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("who", [0, 1, 2])
def test_number_that_is_not_finite_is_found_in_any_block(who, value):
    models = updates(np.float32)
    models[who][N - 2] = value
    for others in set(range(3)) - {who}:
        models[others][N - 2] = 0.0
    name = ("clean", "robust", "base")[who]
    with pytest.raises(ValueError, match=f"in the {name} model"):
        residual("w", *models)
    if who < 2:
        with pytest.raises(ValueError, match=f"in the {name} model"):
            difference("w", *models[:2])


def test_memory_is_that_of_the_result():
    models = tuple(np.tile(array, 10) for array in updates(np.float32))
    tracemalloc.start()
    try:
        left = residual("w", *models)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < left.nbytes + 2**21
