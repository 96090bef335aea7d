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
    models = {"robust": base + b, "clean": base + a, "base": base}
    return {who: (x * scale).astype(dtype) for who, x in models.items()}


def projected(*, robust, clean, base):
    """The same by the matrix formula, in extended precision."""
    a, b = (x.astype(np.longdouble) - base for x in (clean, robust))
    return b - a * ((a @ b) / (a @ a))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_blocks_give_the_projection_of_the_whole_array(dtype):
    models = updates(dtype)
    expected = projected(**models)
    left = residual("w", **models)
    assert left.dtype == np.float64
    np.testing.assert_allclose(left, expected.astype(float), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-170, 1e-320, 1e160], ids=["small", "tiny", "big"])
def test_updates_whose_squares_are_no_doubles_are_projected(scale):
    clean, robust = np.array([2.0, 0.0, 0.0]), np.array([3.0, 4.0, 0.0])
    left = residual("w", robust=robust * scale, clean=clean * scale, base=np.zeros(3))
    np.testing.assert_allclose(left / scale, [0.0, 4.0, 0.0], atol=1e-12)


def test_arrays_of_any_memory_and_shape_are_read():
    base = np.arange(6.0).reshape(2, 3)
    clean = base + np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    robust = base + np.array([[2.0, 3.0, 0.0], [0.0, 0.0, 5.0]])
    expected = [[0.0, 3.0, 0.0], [0.0, 0.0, 5.0]]
    robust, clean, base = map(np.asfortranarray, (robust, clean, base))
    left = residual("w", robust=robust, clean=clean, base=base)
    np.testing.assert_array_equal(left, expected)
    empty = np.zeros((0, 3))
    left = residual("w", robust=empty, clean=empty, base=empty)
    assert left.shape == (0, 3)
    assert difference("w", robust=empty, clean=empty).shape == (0, 3)


def test_number_alone_is_parallel_to_any_other():
    one, two, zero = (np.array(value) for value in (1.0, 2.0, 0.0))
    assert residual("w", robust=two, clean=one, base=zero) == 0.0
    # Clean training left it alone.
    assert residual("w", robust=two, clean=zero, base=zero) == 2.0
    assert difference("w", robust=two, clean=one) == 1.0


def test_models_go_by_their_names_alone():
    one, two = np.array(1.0), np.array(2.0)
    with pytest.raises(TypeError, match="positional"):
        difference("w", one, two)
    with pytest.raises(TypeError, match="positional"):
        residual("w", one, two, two)


def test_number_alone_can_be_quantised():
    signature = WeightSignature({"w": np.array(2.0)}).quantize(4)
    assert signature["w"].shape == ()
    assert signature["w"] == 2.0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("who", ["clean", "robust", "base"])
def test_number_that_is_not_finite_is_found_in_any_block(who, value):
    models = updates(np.float32)
    models[who][N - 2] = value
    for other in models.keys() - {who}:
        models[other][N - 2] = 0.0
    with pytest.raises(ValueError, match=f"in the {who} model"):
        residual("w", **models)
    if who != "base":
        del models["base"]
        with pytest.raises(ValueError, match=f"in the {who} model"):
            difference("w", **models)


def test_memory_is_that_of_the_result():
    models = {who: np.tile(one, 10) for who, one in updates(np.float32).items()}
    tracemalloc.start()
    try:
        left = residual("w", **models)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < left.nbytes + 2**21
