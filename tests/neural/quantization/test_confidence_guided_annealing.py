from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from statlearn.neural import weight_maps  # noqa: E402
from statlearn.neural.quantization import (  # noqa: E402
    ConfidenceGuidedAnnealing,
    LSQQuantizer,
    StatsQuantizer,
    quantize_model,
)
from statlearn.neural.quantization._boundaries import undecided  # noqa: E402

WC = [[0.5, 0.2505, -0.001, -0.7, 0.249, -0.2499]]
OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.1),
    "nesterov": lambda p: torch.optim.SGD(
        p, 0.1, momentum=0.9, nesterov=True, foreach=True
    ),
    "AdamW": lambda p: torch.optim.AdamW(p, 0.05, weight_decay=0.1),
}


def free(w, quantizer, boundary_range):
    step = quantizer.step(w)
    return undecided(w, step, quantizer.grid, boundary_range)


def published_loop(w, bits, boundary_range):
    """One comparison for each boundary between codes in use, in double precision."""
    n = 2 ** (bits - 1)
    s = 2 * np.abs(w).mean(1, keepdims=True)
    p = np.clip(w / s, -1, 1 - 1e-6) * n - 0.5
    codes = np.maximum(np.round(p), -n)  # the published code lets one bit fall to -2
    found = np.zeros(w.shape, dtype=bool)
    for z in range(int(codes.min()), int(codes.max())):
        found |= np.abs(p - (z + 0.5)) <= boundary_range
    return found


def model_of(*, seed=0, **options):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(6, 40), nn.Tanh(), nn.Linear(40, 30), nn.Tanh())
    quantize_model(model, 2, exclude=None, **options)
    return model


def stored(model):
    return {
        name: layer.parametrizations.weight.original
        for name, layer in (("0", model[0]), ("2", model[2]))
    }


def backward(model, seed):
    x = torch.randn(16, 6, generator=torch.Generator().manual_seed(seed))
    model(x).square().mean().backward()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_known_masks(dtype):
    w = torch.tensor(WC, dtype=dtype)
    quantizer = StatsQuantizer(2)
    torch.testing.assert_close(
        2 * quantizer.step(w), torch.tensor([[0.6501333]], dtype=dtype)
    )
    # The code cuts positions at the ends; ours go on.
    cut = quantizer.positions(w).clamp(min=-2.5)
    known = [[1.0381459, 0.2706111, -0.5030763, -2.5, 0.2659967, -1.2687653]]
    torch.testing.assert_close(cut, torch.tensor(known, dtype=dtype))
    for boundary_range in (0.005, 0.05, 0.1):
        frozen = ~free(w, quantizer, boundary_range)
        assert frozen.int().tolist() == [[1, 1, 0, 1, 1, 1]]
    assert (~free(w, quantizer, 0.3)).int().tolist() == [[1, 0, 0, 1, 0, 0]]


@given(
    bits=st.integers(1, 8),
    seed=st.integers(0, 10_000),
    boundary_range=st.sampled_from([0.005, 0.05, 0.3, 0.499]),
)
def test_masks_are_those_of_the_published_loop(bits, seed, boundary_range):
    w = np.random.default_rng(seed).standard_normal((4, 9))
    got = free(torch.from_numpy(w), StatsQuantizer(bits), boundary_range)
    np.testing.assert_array_equal(got, published_loop(w, bits, boundary_range))


@given(bits=st.integers(2, 8), seed=st.integers(0, 10_000), signed=st.booleans())
def test_masks_of_learned_scales_look_at_all_boundaries(bits, seed, signed):
    w = torch.from_numpy(np.random.default_rng(seed).standard_normal((4, 9)))
    quantizer = LSQQuantizer(bits, w, signed=signed)
    v = w / quantizer.scale.detach()
    low, high = (
        (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    )
    codes = v.round().clamp(low, high)
    expected = torch.zeros_like(v, dtype=torch.bool)
    for z in range(int(codes.min()), int(codes.max())):
        expected |= (v - (z + 0.5)).abs() <= 0.1
    assert torch.equal(free(w, quantizer, 0.1), expected)


def test_one_code_in_use_has_no_boundary():
    w = torch.ones(2, 3)
    assert not free(w, StatsQuantizer(2), 0.5).any()


def test_range_of_one_half_leaves_all_free_between_the_ends():
    w = torch.tensor([[-1.0, -0.2, 0.3, 1.0]], dtype=torch.float64)
    got = free(w, StatsQuantizer(2), 0.5)
    np.testing.assert_array_equal(got, published_loop(w.numpy(), 2, 0.5))


@pytest.mark.parametrize("method", ["statsq", "lsq"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_frozen_weights_keep_their_bits(optimizer, method):
    model = model_of(method=method)
    optimizer = OPTIMIZERS[optimizer](model.parameters())
    for seed in range(3):  # builds up momentum
        optimizer.zero_grad()
        backward(model, seed)
        optimizer.step()
    annealing = ConfidenceGuidedAnnealing(model, 0.05)
    for seed in range(3, 8):
        before = {name: w.detach().clone() for name, w in stored(model).items()}
        maps = weight_maps(model)
        masks = {
            name: ~free(w, maps[f"{name}.weight"], 0.05) for name, w in before.items()
        }
        optimizer.zero_grad()
        backward(model, seed)
        annealing.step(optimizer)
        moved = 0
        for name, now in stored(model).items():
            assert torch.equal(now[masks[name]], before[name][masks[name]])
            moved += int((now != before[name]).count_nonzero())
        n_free = sum(int((~mask).count_nonzero()) for mask in masks.values())
        assert 0 < moved <= n_free
        total = sum(mask.numel() for mask in masks.values())
        assert annealing.frozen_fraction_ == pytest.approx(1 - n_free / total)


def test_mask_is_found_anew_at_each_step():
    model = model_of()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    annealing = ConfidenceGuidedAnnealing(model, 0.05)
    free_at = []
    for _ in range(2):
        for w in stored(model).values():
            w.grad = torch.full_like(w, 0.02)
        annealing.mask_gradients()
        free_at.append(stored(model)["0"].grad != 0)
        optimizer.step()
        annealing.restore()
    # What was undecided has left the boundary and is frozen there.
    assert free_at[0].any()
    assert (free_at[0] & ~free_at[1]).any()


def test_gradients_of_frozen_weights_are_zero_even_if_not_finite():
    model = model_of()
    backward(model, 0)
    stored(model)["0"].grad.fill_(math.nan)
    annealing = ConfidenceGuidedAnnealing(model)
    annealing.mask_gradients()
    gradient = stored(model)["0"].grad
    mask = free(stored(model)["0"].detach(), StatsQuantizer(2), 0.005)
    assert (gradient[~mask] == 0.0).all()
    assert gradient[mask].isnan().all()


def test_following_freezes_the_steps_of_someone_elses_loop():
    one, two = model_of(), model_of()
    first = torch.optim.AdamW(one.parameters(), lr=0.05)
    second = torch.optim.AdamW(two.parameters(), lr=0.05)
    annealing = ConfidenceGuidedAnnealing(one, 0.05)
    with ConfidenceGuidedAnnealing(two, 0.05).follow(second):
        for seed in range(3):
            for model, optimizer in ((one, first), (two, second)):
                optimizer.zero_grad()
                backward(model, seed)
                if model is one:
                    annealing.mask_gradients()
                optimizer.step()
                if model is one:
                    annealing.restore()
    for name, w in stored(one).items():
        assert torch.equal(w, stored(two)[name])
    before = stored(two)["0"].detach().clone()
    backward(two, 9)
    second.step()  # the context has ended
    assert (stored(two)["0"] != before).all()


def test_mixed_precision_freezes_too():
    model = model_of()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
    before = stored(model)["2"].detach().clone()
    mask = free(before, StatsQuantizer(2), 0.05)
    with ConfidenceGuidedAnnealing(model, 0.05).follow(optimizer):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model(torch.ones(4, 6)).square().sum()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
    now = stored(model)["2"]
    assert torch.equal(now[~mask], before[~mask])
    assert (now[mask] != before[mask]).any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_weights_of_half_precision_are_frozen(dtype):
    w = torch.randn(50, 40, generator=torch.Generator().manual_seed(0)).to(dtype)
    model = nn.Linear(40, 50, bias=False).to(dtype)
    with torch.no_grad():
        model.weight.copy_(w)
    quantize_model(model, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, weight_decay=0.5)
    model.parametrizations.weight.original.grad = torch.ones_like(w)
    ConfidenceGuidedAnnealing(model, 0.05).step(optimizer)
    mask = free(w.float(), StatsQuantizer(2), 0.05)
    now = model.parametrizations.weight.original
    assert torch.equal(now[~mask], w[~mask])
    assert (now[mask] != w[mask]).all()


def test_closure_is_passed_on():
    model = model_of()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    backward(model, 0)
    annealing = ConfidenceGuidedAnnealing(model)
    assert annealing.step(optimizer, lambda: 17.0) == 17.0


@pytest.mark.parametrize("by_name", [False, True], ids=["position", "name"])
def test_gradients_of_a_closure_leave_no_momentum_in_frozen_weights(by_name):
    model = model_of()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    annealing = ConfidenceGuidedAnnealing(model, 0.05)
    frozen = {
        name: ~free(w.detach(), StatsQuantizer(2), 0.05)
        for name, w in stored(model).items()
    }

    def closure():
        optimizer.zero_grad()
        loss = model(torch.ones(16, 6)).square().mean()
        loss.backward()
        return loss

    if by_name:
        with annealing.follow(optimizer):
            loss = optimizer.step(closure=closure)
    else:
        loss = annealing.step(optimizer, closure)
    assert loss > 0.0
    for name, w in stored(model).items():
        momentum = optimizer.state[w]["momentum_buffer"]
        assert not momentum[frozen[name]].any()
        assert momentum[~frozen[name]].any()


def test_selection_leaves_other_weights_free():
    model = model_of()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = {name: w.detach().clone() for name, w in stored(model).items()}
    backward(model, 0)
    ConfidenceGuidedAnnealing(model, exclude="0").step(optimizer)
    assert (stored(model)["0"] != before["0"]).all()
    assert (stored(model)["2"] == before["2"]).float().mean() > 0.9


# --- messages ----------------------------------------------------------------


@pytest.mark.parametrize("boundary_range", [0.0, 0.51, -0.1, math.nan, "a", None, True])
def test_boundary_range_is_checked(boundary_range):
    with pytest.raises(ValueError, match=r"'boundary_range' .* must be in \(0, 0.5\]"):
        ConfidenceGuidedAnnealing(model_of(), boundary_range)


def test_model_without_quantizers_is_refused():
    with pytest.raises(ValueError, match=r"needs a module with quantised weights"):
        ConfidenceGuidedAnnealing(nn.Linear(2, 2))


def test_restoring_without_masking_is_refused():
    annealing = ConfidenceGuidedAnnealing(model_of())
    with pytest.raises(RuntimeError, match=r"Got no call of it since the last restore"):
        annealing.restore()


def test_weights_that_are_not_finite_are_refused():
    model = model_of()
    with torch.no_grad():
        stored(model)["0"][0, 0] = math.nan
    with pytest.raises(ValueError, match=r"needs finite weights. Got NaN or infinity"):
        ConfidenceGuidedAnnealing(model).mask_gradients()


def test_a_step_that_fails_on_its_way_leaves_frozen_weights():
    class Failing(torch.optim.Optimizer):
        @torch.no_grad()
        def step(self, closure=None):
            for parameter in self.param_groups[0]["params"]:
                parameter.mul_(0.5)
            raise RuntimeError("out of memory")

    torch.manual_seed(0)
    model = nn.Linear(50, 20)
    quantize_model(model, 2)
    stored = model.parametrizations.weight.original
    optimizer = Failing(model.parameters(), {})
    annealing = ConfidenceGuidedAnnealing(model)
    model(torch.ones(1, 50)).sum().backward()
    before = stored.detach().clone()
    moves = free(before, weight_maps(model)["weight"], 0.005)
    with pytest.raises(RuntimeError, match="out of memory"):
        annealing.step(optimizer)
    assert torch.equal(stored[~moves], before[~moves])
    with pytest.raises(RuntimeError, match="Got no call of it since"):
        annealing.restore()
