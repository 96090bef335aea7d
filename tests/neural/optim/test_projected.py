from __future__ import annotations

import copy
import io
import re

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from adamp_cases import fixed_problem, run  # noqa: E402
from statlearn.neural.optim import SGDP, AdamP  # noqa: E402
from statlearn.neural.optim import _blocks as blocks_module  # noqa: E402
from statlearn.schedules import Cosine  # noqa: E402

MAKERS = {
    "AdamP": lambda params, **options: AdamP(
        params, **{"lr": 0.05, "weight_decay": 0.1, **options}
    ),
    "AdamP-nesterov": lambda params, **options: AdamP(
        params, **{"lr": 0.05, "weight_decay": 0.1, "nesterov": True, **options}
    ),
    "SGDP": lambda params, **options: SGDP(
        params, **{"lr": 0.05, "weight_decay": 0.1, "momentum": 0.9, **options}
    ),
    "SGDP-published": lambda params, **options: SGDP(
        params,
        **{"lr": 0.05, "momentum": 0.9, "project_buffer": True, **options},
    ),
}


@pytest.fixture(params=list(MAKERS))
def make(request):
    return MAKERS[request.param]


def take_steps(optimizer, params, n_steps, seed=5):
    """Steps with gradients that are orthogonal to the rows in every second step."""
    rng = np.random.default_rng(seed)
    for step in range(n_steps):
        for param in params:
            g = torch.tensor(rng.normal(size=tuple(param.shape)))
            if step % 2 and param.ndim > 1:
                w = param.detach().double()
                rows = (g * w).flatten(1).sum(1) / w.square().flatten(1).sum(1)
                g = g - w * rows.view(-1, *[1] * (w.ndim - 1))
            param.grad = torch.empty_like(param).copy_(g)
        optimizer.step()


def assert_same(params, others, **tolerance):
    for param, other in zip(params, others, strict=True):
        torch.testing.assert_close(param.detach(), other.detach(), **tolerance)


@pytest.mark.parametrize("foreach", [False, True])
def test_many_at_once_are_updated_like_one_by_one(make, foreach):
    """The kernels order their operations differently: equal to rounding."""
    params, others = fixed_problem(0), fixed_problem(0)
    take_steps(make(params), params, 6)
    take_steps(make(others, foreach=foreach), others, 6)
    assert_same(params, others, rtol=1e-12, atol=1e-14)


def test_blocks_do_not_change_the_step(make, monkeypatch):
    whole, parts = fixed_problem(1), fixed_problem(1)
    take_steps(make(whole), whole, 6)
    monkeypatch.setattr(blocks_module, "BLOCK_SIZE", 11)
    optimizer = make(parts)
    take_steps(optimizer, parts, 6)
    assert_same(whole, parts, rtol=1e-12, atol=1e-14)
    for param in parts:
        assert optimizer.state[param].get("step", 6) == 6


def test_state_goes_round_by_a_file(make):
    params = fixed_problem(2)
    optimizer = make(params)
    take_steps(optimizer, params, 3)
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    twins = [param.detach().clone().requires_grad_() for param in params]
    other = make(twins)
    other.load_state_dict(torch.load(file, weights_only=True))
    take_steps(optimizer, params, 3, seed=6)
    take_steps(other, twins, 3, seed=6)
    assert_same(params, twins, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_state_goes_round_in_half_precision(make, dtype):
    params = [param.detach().to(dtype).requires_grad_() for param in fixed_problem(3)]
    optimizer = make(params)
    take_steps(optimizer, params, 3)
    twins = [param.detach().clone().requires_grad_() for param in params]
    other = make(twins)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for state in other.state.values():
        for name, value in state.items():
            single = name in ("step", "exp_avg_sq")
            assert value.dtype == (torch.float32 if single else dtype)
    take_steps(optimizer, params, 3, seed=6)
    take_steps(other, twins, 3, seed=6)
    assert_same(params, twins, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_rounds_once_a_step(make, dtype):
    """One step from equal values: float64 rounded to the type, or its neighbour."""
    start = [param.detach().to(dtype) for param in fixed_problem(4)]
    half = [tensor.clone().requires_grad_() for tensor in start]
    double = [tensor.double().requires_grad_() for tensor in start]
    for pair in zip(half, double, strict=True):
        gradient = torch.randn(
            pair[0].shape, generator=torch.Generator().manual_seed(0)
        )
        for param in pair:
            param.grad = gradient.to(dtype).to(param.dtype)
    make(half).step()
    make(double).step()
    eps = torch.finfo(dtype).eps
    for param, exact in zip(half, double, strict=True):
        torch.testing.assert_close(
            param.detach().double(), exact.detach(), rtol=0.51 * eps, atol=1e-6
        )


def test_checkpoint_of_another_implementation_is_taken():
    """Theirs counts steps in ints and lacks options that came later."""
    params = fixed_problem(5)
    optimizer = AdamP(params, lr=0.05)
    take_steps(optimizer, params, 2)
    state = copy.deepcopy(optimizer.state_dict())
    for known in state["state"].values():
        known["step"] = int(known["step"])
    for group in state["param_groups"]:
        for name in ("maximize", "foreach"):
            del group[name]
    twins = [param.detach().clone().requires_grad_() for param in params]
    other = AdamP(twins)
    other.load_state_dict(state)
    take_steps(optimizer, params, 2, seed=6)
    take_steps(other, twins, 2, seed=6)
    assert_same(params, twins, rtol=0, atol=0)


def test_a_copy_goes_on_alike(make):
    params = fixed_problem(6)
    optimizer = make(params)
    take_steps(optimizer, params, 2)
    other = copy.deepcopy(optimizer)
    twins = other.param_groups[0]["params"]
    take_steps(optimizer, params, 2, seed=6)
    take_steps(other, twins, 2, seed=6)
    assert_same(params, twins, rtol=0, atol=0)


def test_groups_have_options_of_their_own(make):
    options = [{"delta": 0.0, "lr": 0.01}, {"weight_decay": 0.0, "wd_ratio": 1.0}]
    params, others = fixed_problem(7), fixed_problem(7)
    optimizer = make([{"params": params[:2], **options[0]}])
    optimizer.add_param_group({"params": params[2:], **options[1]})
    for step in range(4):
        take_steps(optimizer, params, 1, seed=step)
    singles = [make(others[:2], **options[0]), make(others[2:], **options[1])]

    class Both:
        def step(self):
            for single in singles:
                single.step()

    for step in range(4):
        take_steps(Both(), others, 1, seed=step)
    assert_same(params, others, rtol=1e-12, atol=1e-14)


def test_options_of_a_group_are_checked(make):
    optimizer = make(fixed_problem(0))
    with pytest.raises(ValueError, match=r"The 'delta' of .* Got -1; pass"):
        optimizer.add_param_group({"params": [torch.ones(2)], "delta": -1.0})
    assert len(optimizer.param_groups) == 1


def test_closure_runs_with_gradients_and_gives_the_loss(make):
    w = torch.tensor([[1.0, 2.0]], requires_grad=True)
    optimizer = make([w])

    def closure():
        optimizer.zero_grad()
        loss = (w**2).sum()
        loss.backward()
        return loss

    with torch.no_grad():
        loss = optimizer.step(closure)
    assert loss.item() == 5.0
    assert w.tolist() != [[1.0, 2.0]]
    assert optimizer.step() is None


def test_maximize_goes_up_as_far_as_the_negative_down(make):
    params, others = fixed_problem(8), fixed_problem(8)
    for param in others:
        param.grad.neg_()
    make(params, maximize=True).step()
    make(others).step()
    assert_same(params, others, rtol=1e-15, atol=1e-16)


def test_parameters_without_gradient_are_left(make):
    params = fixed_problem(9)
    params[0].grad = params[3].grad = None
    before = [param.detach().clone() for param in params]
    optimizer = make(params)
    optimizer.step()
    for k, (param, old) in enumerate(zip(params, before, strict=True)):
        assert torch.equal(param.detach(), old) == (k in (0, 3))
        assert (param in optimizer.state) == (k not in (0, 3))
    make([torch.ones(2, requires_grad=True)]).step()  # none at all


def test_parameters_may_join_later_and_count_their_own_steps():
    late = torch.ones(2, 3, dtype=torch.float64, requires_grad=True)
    early = torch.ones(2, 3, dtype=torch.float64, requires_grad=True)
    optimizer = AdamP([early, late], lr=0.1)
    g = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], dtype=torch.float64)
    early.grad = g
    optimizer.step()
    first = early.detach().clone()
    early.grad, late.grad = None, g
    optimizer.step()
    torch.testing.assert_close(late.detach(), first)


@pytest.mark.parametrize("layout", ["channels last", "turned", "strided"])
def test_layout_of_storage_does_not_matter(make, layout):
    plain = torch.tensor(np.random.default_rng(0).normal(size=(4, 3, 5, 2)))
    stored = {
        "channels last": plain.clone(memory_format=torch.channels_last),
        "turned": plain.transpose(0, 3).contiguous().transpose(0, 3),
        "strided": torch.stack([plain, plain], dim=-1)[..., 0],
    }[layout]
    assert not stored.is_contiguous()
    params, others = [plain.requires_grad_()], [stored.requires_grad_()]
    take_steps(make(params), params, 4)
    take_steps(make(others), others, 4)
    assert_same(params, others, rtol=1e-12, atol=1e-14)
    assert others[0].stride() == stored.stride()


def test_gradient_may_be_stored_in_another_order(make):
    plain = torch.tensor(np.random.default_rng(0).normal(size=(4, 3, 5, 2)))
    other = plain.clone().requires_grad_()
    plain.requires_grad_()
    plain.grad = torch.randn(plain.shape, dtype=torch.float64)
    other.grad = plain.grad.clone(memory_format=torch.channels_last)
    make([plain]).step()
    make([other]).step()
    assert_same([plain], [other], rtol=1e-12, atol=1e-14)


def test_vectors_and_scalars_are_never_projected(make):
    for shape in ((), (6,)):
        w = torch.ones(shape, dtype=torch.float64)
        w.view(-1)[0] = 3.0
        g = torch.zeros(shape, dtype=torch.float64)  # orthogonal to everything
        paths = [run(make, w.tolist(), [g, g, g], delta=delta) for delta in (0.0, 1.0)]
        np.testing.assert_array_equal(*paths)


def test_types_may_be_mixed_in_a_group(make):
    params = [param.detach() for param in fixed_problem(10)]
    mixed = [
        param.to(dtype).requires_grad_()
        for param, dtype in zip(
            params,
            [torch.float32, torch.float64, torch.float64, torch.float32, torch.float16],
            strict=True,
        )
    ]
    optimizer = make(mixed)
    take_steps(optimizer, mixed, 2)
    singles = [
        param.to(like.dtype).requires_grad_()
        for param, like in zip(params, mixed, strict=True)
    ]
    take_steps(make([{"params": [param]} for param in singles]), singles, 2)
    assert_same(mixed, singles)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)], ids=str)
def test_empty_tensors_are_passed_over(make, shape):
    empty, other = torch.ones(shape, requires_grad=True), fixed_problem(0)[0]
    empty.grad = torch.ones(shape)
    make([empty, other]).step()
    assert empty.shape == shape


@pytest.mark.parametrize(
    ("grad", "text"),
    [
        (
            torch.ones(2, 2).to_sparse(),
            "expected dense gradients. Got one with the layout torch.sparse_coo; ",
        ),
        (
            torch.ones(2, 2, dtype=torch.complex64),
            "expected real gradients. Got one of type torch.complex64; store",
        ),
    ],
    ids=["sparse", "complex"],
)
def test_gradients_of_other_kinds_are_refused_before_any_change(make, grad, text):
    first = fixed_problem(0)[0]
    second = torch.ones(2, 2, dtype=grad.dtype, requires_grad=True)
    second.grad = grad
    before = first.detach().clone()
    with pytest.raises(RuntimeError, match=re.escape(text)):
        make([{"params": [first]}, {"params": [second]}]).step()
    assert torch.equal(first.detach(), before)


def test_schedulers_and_schedules_set_the_rate(make):
    paths = []
    schedule = Cosine(1.0, n_steps=5)
    rates = [0.05 * schedule(step) for step in range(4)]
    for scheduled in (False, True):
        params = fixed_problem(11)
        optimizer = make(params)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
        for step in range(4):
            if not scheduled:
                optimizer.param_groups[0]["lr"] = rates[step]
            take_steps(optimizer, params, 1, seed=step)
            if scheduled:
                scheduler.step()
        paths.append(params)
    assert_same(*paths, rtol=1e-12, atol=1e-14)


def test_one_cycle_sets_the_rate_and_the_momentum(make):
    params = fixed_problem(12)
    optimizer = make(params)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=4)
    for _ in range(4):
        take_steps(optimizer, params, 1)
        scheduler.step() if scheduler.last_epoch < 3 else None
    assert all(torch.isfinite(param).all() for param in params)


def test_rate_may_be_a_tensor(make):
    params, others = fixed_problem(13), fixed_problem(13)
    take_steps(make(params, lr=torch.tensor(0.25)), params, 2)
    take_steps(make(others, lr=0.25), others, 2)
    assert_same(params, others, rtol=0, atol=0)


def test_a_compiled_model_is_trained(make):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
    compiled = torch.compile(model, backend="aot_eager")
    optimizer = make(model.parameters(), lr=0.01)
    X = torch.randn(32, 4)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = (compiled(X)[:, 0] - X[:, 0]).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_gradients_that_are_not_finite_show_in_the_weight(make):
    w = torch.ones(2, 3, requires_grad=True)
    w.grad = torch.full((2, 3), torch.nan)
    make([w]).step()
    assert torch.isnan(w).all()
