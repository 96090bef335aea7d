from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given

torch = pytest.importorskip("torch")

from adamp_cases import CASES, draw_gradient  # noqa: E402
from adamp_oracle import find_view, remove_radial  # noqa: E402
from statlearn.neural.optim import is_scale_invariant, project_update  # noqa: E402

W = torch.tensor([[3.0, 4.0, 0.0], [0.0, 0.0, 2.0]])


@pytest.mark.parametrize(
    ("grad", "view"),
    [
        ([[4.0, -3.0, 1.0], [1.0, 2.0, 0.0]], "channel"),
        ([[1.0, 0.0, 0.0], [0.0, 0.0, -1.5]], "layer"),
        ([[1.0, 0.0, 0.0], [0.0, 0.0, 1.5]], None),
        ([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]], "channel"),
    ],
    ids=["rows", "whole", "neither", "no gradient"],
)
def test_first_view_that_passes_is_named(grad, view):
    assert is_scale_invariant(W, torch.tensor(grad)) == view


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["along", "against"])
def test_the_angle_to_both_sides_counts(sign):
    assert is_scale_invariant(W, sign * W) is None


def test_threshold_is_strict_and_in_units_of_the_root_of_the_length():
    weight = torch.tensor([[1.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    grad = torch.tensor([[0.6, 0.8, 0.0, 0.0]], dtype=torch.float64)  # cosine 0.6
    assert is_scale_invariant(weight, grad, delta=1.2) is None
    assert is_scale_invariant(weight, grad, delta=1.2 + 1e-12) == "channel"


def test_an_embedding_is_judged_by_its_touched_rows():
    weight = torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
    grad = torch.zeros(50, 8)
    grad[7, 0], grad[7, 1] = weight[7, 1], -weight[7, 0]
    assert is_scale_invariant(weight, grad) == "channel"
    grad[7] = weight[7]
    assert is_scale_invariant(weight, grad) is None


@pytest.mark.parametrize("shape", [(), (3,), (0, 4), (4, 0)], ids=str)
def test_vectors_and_empty_tensors_are_left(shape):
    weight, grad = torch.ones(shape), torch.zeros(shape)
    update = torch.full(shape, 2.0)
    kept, view = project_update(weight, grad, update)
    assert view is None
    assert is_scale_invariant(weight, grad) is None
    torch.testing.assert_close(kept, update, rtol=0, atol=0)
    assert kept is not update


@given(CASES)
def test_projection_is_that_of_the_definition(case):
    shape, kinds, seed = case
    rng = np.random.default_rng(seed)
    w, q = rng.normal(size=(2, *shape))
    for kind in kinds:
        g = draw_gradient(rng, w, kind)
        kept, view = project_update(*map(torch.tensor, (w, g, q)))
        wanted_view, n_rows = find_view(w, g, 0.1, 1e-8)
        wanted = q if n_rows is None else remove_radial(w, q, n_rows, 1e-8)
        assert view == wanted_view
        np.testing.assert_allclose(kept.numpy(), wanted, rtol=1e-9, atol=1e-12)


def test_what_is_kept_is_orthogonal_and_projecting_again_changes_nothing():
    rng = np.random.default_rng(2)
    w = rng.normal(size=(5, 7))
    g, q = draw_gradient(rng, w, "rows"), rng.normal(size=(5, 7))
    once, _ = project_update(*map(torch.tensor, (w, g, q)), eps=0.0)
    twice, _ = project_update(torch.tensor(w), torch.tensor(g), once, eps=0.0)
    np.testing.assert_allclose((w * once.numpy()).sum(1), 0.0, atol=1e-14)
    np.testing.assert_allclose(twice, once, rtol=1e-12)


@pytest.mark.parametrize("eps", [1e-8, 0.0])
def test_a_row_of_zeros_leaves_its_update(eps):
    weight = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    grad = torch.tensor([[1.0, 2.0], [0.0, 1.0]])
    kept, view = project_update(weight, grad, torch.ones(2, 2), eps=eps)
    assert view == "channel"
    torch.testing.assert_close(kept, torch.tensor([[1.0, 1.0], [0.0, 1.0]]))


@pytest.mark.parametrize("eps", [1e-8, 0.0])
def test_rows_without_a_gradient_pass(eps):
    assert is_scale_invariant(W, torch.zeros(2, 3), eps=eps) == "channel"


def test_tiny_rows_do_not_underflow():
    weight = torch.tensor([[3e-18, 4e-18]])
    grad = torch.tensor([[4e-18, -3e-18]])
    kept, view = project_update(weight, grad, torch.tensor([[3.0, 4.0]]), eps=0.0)
    assert view == "channel"
    torch.testing.assert_close(kept, torch.zeros(1, 2), rtol=0, atol=1e-5)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_gradients_that_are_not_finite_are_not_projected(value):
    grad = torch.full((2, 3), value)
    assert is_scale_invariant(W, grad) is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_summed_in_single(dtype):
    """4096 ones have a length of 64 and squares that half precision cannot sum."""
    n = 4096
    weight = torch.full((1, n), 8.0, dtype=dtype)  # its square, 262144, overflows
    grad = torch.ones(1, n, dtype=dtype)
    grad[:, ::2] = -1.0
    update = torch.full((1, n), 0.5, dtype=dtype)
    kept, view = project_update(weight, grad, update)
    assert (view, kept.dtype) == ("channel", dtype)
    assert kept.abs().max() < 1e-6


def test_layout_does_not_matter():
    rng = np.random.default_rng(3)
    w = rng.normal(size=(4, 3, 5, 5))
    g, q = draw_gradient(rng, w, "rows"), rng.normal(size=w.shape)
    plain = [torch.tensor(array) for array in (w, g, q)]
    wanted, _ = project_update(*plain)
    last = [tensor.to(memory_format=torch.channels_last) for tensor in plain]
    turned = [tensor.mT.contiguous().mT for tensor in plain]
    for tensors in (last, turned, [last[0], plain[1], turned[2]]):
        kept, view = project_update(*tensors)
        assert view == "channel"
        torch.testing.assert_close(kept, wanted)


def test_inputs_are_not_changed():
    weight = W.clone().requires_grad_()
    grad, update = torch.tensor([[4.0, -3.0, 1.0], [1.0, 2.0, 0.0]]), torch.ones(2, 3)
    before = [tensor.clone() for tensor in (weight, grad, update)]
    kept, _ = project_update(weight, grad, update)
    for tensor, copy in zip((weight, grad, update), before, strict=True):
        assert torch.equal(tensor, copy)
    assert not kept.requires_grad


def test_shapes_that_differ_are_refused():
    with pytest.raises(
        ValueError,
        match=r"'grad' of is_scale_invariant .* \(2, 3\)\. Got \(3, 2\); pass the grad",
    ):
        is_scale_invariant(W, torch.ones(3, 2))
    with pytest.raises(ValueError, match=r"'update' of project_update .* Got \(6,\)"):
        project_update(W, W, torch.ones(6))


@pytest.mark.parametrize("name", ["delta", "eps"])
def test_negative_tolerances_are_refused(name):
    with pytest.raises(ValueError, match=rf"'{name}' of is_scale_invariant .* Got -1;"):
        is_scale_invariant(W, W, **{name: -1.0})
    with pytest.raises(ValueError, match=rf"'{name}' of project_update .* Got -1;"):
        project_update(W, W, W, **{name: -1.0})


def test_arrays_of_numpy_are_refused():
    with pytest.raises(TypeError, match=r"'param' of is_scale_invariant .* ndarray"):
        is_scale_invariant(W.numpy(), W)
    with pytest.raises(TypeError, match=r"'update' of project_update must be a tensor"):
        project_update(W, W, W.numpy())


@pytest.mark.parametrize(
    ("make", "got"),
    [
        (lambda w: w.double(), r"as precise as 'param', of type torch.float32. Got to"),
        (lambda w: w.long(), r"real floating point type. Got torch.int64 with"),
        (lambda w: w.to(torch.complex64), r"type. Got torch.complex64 with"),
        (lambda w: w.to_sparse(), r"with the layout torch.sparse_coo; pass grad.to_d"),
    ],
    ids=["double", "whole", "complex", "sparse"],
)
def test_gradients_of_other_kinds_are_refused(make, got):
    with pytest.raises(TypeError, match=rf"The 'grad' of is_scale_invariant .*{got}"):
        is_scale_invariant(W, make(W))
    with pytest.raises(TypeError, match=rf"The 'grad' of project_update .*{got}"):
        project_update(W, make(W), W)


def test_weights_of_whole_numbers_are_refused():
    with pytest.raises(TypeError, match=r"The 'param' of .* Got torch.int64"):
        is_scale_invariant(W.long(), W.long())


def test_half_precision_goes_with_single():
    grad = torch.tensor([[4.0, -3.0, 1.0], [1.0, 2.0, 0.0]])
    assert is_scale_invariant(W.half(), grad) == "channel"
    assert is_scale_invariant(W, grad.bfloat16()) == "channel"
