"""The squashing functions on arrays and tensors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from statlearn.exceptions import ClippedWeightsWarning  # noqa: E402
from statlearn.neural.regularization import (  # noqa: E402
    compander,
    compander_inverse,
)

A, B = 0.2, 0.1
V = [-1.0, -0.1, 0.0, 0.05, 0.1, 1.0]
# Derived by hand in double precision, apart from this package.
W = [-0.2942255349, -0.1570796327, 0.0, 0.0927295218, 0.1570796327, 0.2942255349]
BY_V = [0.0198019802, 1.0, 2.0, 1.6, 1.0, 0.0198019802]
BY_A = [-1.4711276743, -0.7853981634, 0.0, 0.463647609, 0.7853981634, 1.4711276743]
BY_B = [0.198019802, 1.0, 0.0, -0.8, -1.0, -0.198019802]

NUMPY = {
    "arctan": lambda x: np.arctan(x),
    "erf": np.vectorize(math.erf),
    "power": lambda x: np.sign(x) * np.sqrt(np.abs(x)),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "tanh": lambda x: np.tanh(x),
}
PAIR = (torch.asinh, torch.sinh)
EACH = pytest.mark.parametrize("function", list(NUMPY))
EACH_AND_PAIR = pytest.mark.parametrize(
    "function", [*NUMPY, PAIR], ids=[*NUMPY, "pair"]
)
# The inverse of the root squares them, so that smaller ones vanish.
SHARES = st.floats(-0.95, 0.95).filter(lambda share: abs(share) > 1e-140)
FLOATS = pytest.mark.parametrize("dtype", ["float64", "float32"])


def double(values):
    return torch.tensor(values, dtype=torch.float64)


def tolerance(dtype):
    return {"float64": 1e-9, "float32": 1e-6}[dtype]


@FLOATS
def test_arctan_gives_the_known_values(dtype):
    w = compander(np.array(V, dtype), A, B)
    assert w.dtype == dtype
    np.testing.assert_allclose(w, W, rtol=tolerance(dtype), atol=1e-10)


@FLOATS
def test_arctan_gives_the_known_gradients(dtype):
    kind = getattr(torch, dtype)
    for i in range(len(V)):
        v, a, b = (
            torch.tensor(x, dtype=kind, requires_grad=True) for x in (V[i], A, B)
        )
        compander(v, a, b).backward()
        found = [v.grad.item(), a.grad.item(), b.grad.item()]
        known = [BY_V[i], BY_A[i], BY_B[i]]
        np.testing.assert_allclose(found, known, rtol=tolerance(dtype), atol=1e-10)


@FLOATS
def test_inverse_gives_the_known_values(dtype):
    v = compander_inverse(np.array([-0.3, 0.05, 0.1, 0.2, 0.31], dtype), A, B)
    known = [-1.4101419947, 0.0255341921, 0.054630249, 0.1557407725, 4.8078482479]
    # Rounding the input is amplified by the slope of the inverse, 2,300 at the end.
    rtol = {"float64": 1e-9, "float32": 2e-5}[dtype]
    np.testing.assert_allclose(v, known, rtol=rtol)


@EACH
def test_function_agrees_with_numpy(function):
    v = np.linspace(-0.7, 0.9, 23)
    expected = 0.3 * NUMPY[function](v / 0.4)
    np.testing.assert_allclose(compander(v, 0.3, 0.4, function), expected, rtol=1e-12)


@EACH_AND_PAIR
@given(SHARES, st.floats(0.01, 10.0), st.floats(0.01, 10.0))
def test_inverse_undoes_the_function(function, share, a, b):
    limit = {"arctan": math.pi / 2}.get(function, 1.0)
    w = np.array([share * limit * a])
    v = compander_inverse(w, a, b, function)
    np.testing.assert_allclose(compander(v, a, b, function), w, rtol=1e-10, atol=1e-300)


@pytest.mark.parametrize("function", ["arctan", "erf", "softsign", "tanh"])
@given(st.floats(allow_nan=False), st.floats(0.01, 10.0), st.floats(0.01, 10.0))
def test_bound_holds_for_any_number(function, v, a, b):
    limit = math.pi / 2 if function == "arctan" else 1.0
    if function == "softsign" and math.isinf(v):
        return
    assert abs(compander([v], a, b, function)[0]) <= a * limit * (1 + 1e-15)


def test_tiny_width_is_a_step():
    np.testing.assert_allclose(
        compander([-0.1, 0.1], 1.0, 1e-30), [-np.pi / 2, np.pi / 2]
    )


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
@EACH
def test_half_precision_is_computed_in_single(kind, function):
    dtype = getattr(torch, kind)
    v = torch.linspace(-1, 1, 41).to(dtype).requires_grad_()
    w = compander(v, 0.2, 0.1, function)
    single = v.detach().float().requires_grad_()
    reference = compander(single, 0.2, 0.1, function)
    assert w.dtype == dtype
    assert torch.equal(w, reference.to(dtype))
    w.float().sum().backward()
    reference.sum().backward()
    assert torch.equal(v.grad, single.grad.to(dtype))


def test_half_precision_arrays_come_back_so():
    assert compander(np.ones(2, np.float16), A, B).dtype == np.float16


def test_integers_and_lists_become_double():
    assert compander([1, 2], A, B).dtype == np.float64
    assert compander(torch.tensor([1, 2]), A, B).dtype == torch.float64


def test_input_is_left_alone():
    v = np.array(V)
    v.setflags(write=False)
    tensor = torch.tensor(V)
    compander(v, A, B)
    compander_inverse(v / 10, A, B)
    compander(tensor, A, B)
    assert v.tolist() == V
    assert torch.equal(tensor, torch.tensor(V))


def test_numbers_at_the_bound_are_clipped_with_a_warning():
    bound = A * math.pi / 2
    w = np.array([0.1, bound, -2 * bound])
    with pytest.warns(ClippedWeightsWarning, match=r"Got 2 of 3 \(66.7%\)"):
        v = compander_inverse(w, A, B)
    np.testing.assert_allclose(
        compander(v, A, B), [0.1, 0.999 * bound, -0.999 * bound], rtol=1e-12
    )


def test_numbers_at_the_bound_raise_when_strict():
    with pytest.raises(ValueError, match=r"at or beyond it; pass a larger 'a'"):
        compander_inverse([0.4], A, B, strict=True)


def test_single_precision_inverse_near_the_bound_keeps_its_sign():
    w = torch.tensor([0.9989, -0.9989]) * (A * math.pi / 2)
    v = compander_inverse(w, A, B)
    assert torch.equal(v.sign(), w.sign())
    torch.testing.assert_close(compander(v, A, B), w, rtol=1e-6, atol=0)


def test_unbounded_functions_clip_nothing():
    assert compander_inverse([50.0], 1.0, 1.0, "power").tolist() == [2500.0]
    np.testing.assert_allclose(compander_inverse([5.0], 1.0, 1.0, PAIR), math.sinh(5))


@pytest.mark.parametrize("name", ["a", "b"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_scale_that_is_not_positive_is_refused(name, value):
    scales = {"a": 1.0, "b": 1.0, name: value}
    for function in (compander, compander_inverse):
        with pytest.raises(ValueError, match=f"The '{name}' of {function.__name__} "):
            function([1.0], **scales)


def test_scale_that_is_no_number_is_refused():
    with pytest.raises(TypeError, match="The 'a' of compander must be a real number"):
        compander([1.0], "auto", 1.0)


def test_unknown_function_is_refused():
    with pytest.raises(ValueError, match="must be one of 'arctan', 'erf', 'power'"):
        compander([1.0], 1.0, 1.0, "sine")
    with pytest.raises(TypeError, match="or a pair of callables"):
        compander([1.0], 1.0, 1.0, torch.atan)


@pytest.mark.parametrize(
    "values",
    [
        np.arange(8.0)[::-1],
        np.arange(12.0).reshape(3, 4)[:, ::-2],
        np.array(0.05),
        np.arange(3.0).astype(">f8"),
        np.array([]),
    ],
    ids=["reversed", "slice", "one number", "other byte order", "empty"],
)
def test_arrays_of_every_layout_do(values):
    w = compander(values, A, B)
    np.testing.assert_allclose(w, A * np.arctan(values / B), rtol=1e-12)
    assert w.shape == values.shape
    np.testing.assert_allclose(compander_inverse(w, A, B), values, rtol=1e-10)


@pytest.mark.parametrize(
    "values",
    [None, "a", np.array([1j]), torch.tensor([1j])],
    ids=["none", "word", "complex array", "complex tensor"],
)
@pytest.mark.parametrize("function", [compander, compander_inverse])
def test_what_is_no_real_number_is_refused(function, values):
    name = {compander: "v", compander_inverse: "w"}[function]
    with pytest.raises(TypeError, match=f"The '{name}' of {function.__name__} must ho"):
        function(values, A, B)


def test_number_whose_inverse_overflows_is_refused():
    w = torch.tensor([0.1, 0.997 * math.pi / 2], dtype=torch.float16)
    with pytest.raises(ValueError, match=r"for 1 of 2 in torch.float16; pass a larger"):
        compander_inverse(w, 1.0, 1e4)
