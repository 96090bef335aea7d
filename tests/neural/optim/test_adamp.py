from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from adamp_cases import (  # noqa: E402
    CASES,
    GRADIENTS,
    KINDS,
    OPTIONS,
    P,
    assert_follows_oracle,
    draw_gradient,
    run,
)
from adamp_oracle import AdamPOracle  # noqa: E402
from statlearn.neural.optim import AdamP  # noqa: E402

# Of the authors' implementation in float64: start, gradients, options, the parameter
# after the steps that are named, and the precision of what is written here.
KNOWN = {
    "channel view, then none": (
        P,
        GRADIENTS,
        {},
        {
            1: [
                [2.885000000368, 4.079999999824, -0.099999999],
                [-0.099999999, -0.0999999995, 1.998],
            ],
            2: [
                [2.767236839775596, 4.154879134248157, -0.1926022542265354],
                [-0.19281922904193485, -0.1262349706356707, 1.9900333213754497],
            ],
            3: [
                [2.6395644716278404, 4.213330342572341, -0.28697228487540094],
                [-0.28718708994264636, -0.18292068867092953, 1.9701329881616951],
            ],
        },
        1e-12,
    ),
    "Nesterov": (
        P,
        GRADIENTS,
        {"nesterov": True},
        {
            1: [
                [2.7842000006992, 4.1555999996656, -0.1899999981],
                [-0.1899999981, -0.18999999905, 1.998],
            ],
            3: [
                [2.461529352860728, 4.34226378700812, -0.43156809404502144],
                [-0.4322550968551425, -0.27249691975719464, 1.9660673830130608],
            ],
        },
        1e-12,
    ),
    "layer view, then none": (
        [[1.0, 0.0], [0.0, 1.0]],
        [[[1.0, 0.5], [0.25, -1.0]]] * 2,
        {},
        {
            1: [[0.899000001, -0.099999998], [-0.099999996, 1.098999999]],
            2: [
                [0.7900100019900006, -0.1989999960],
                [-0.1989999920, 1.1880099980099994],
            ],
        },
        5e-11,
    ),
    "no projection": (
        [[1.0, 2.0], [3.0, 4.0]],
        [[[1.0, 1.0], [1.0, 1.0]], [[1.0, -0.5], [0.3, 0.2]]],
        {},
        {
            1: [[0.890000001, 1.880000001], [2.870000001, 3.860000001]],
            2: [
                [0.7811000019900006, 1.8345662973609032],
                [2.7557302838484525, 3.741095904260777],
            ],
        },
        1e-12,
    ),
    "one axis": (
        [1.0, -1.0],
        [[1.0, 1.0]] * 2,
        {},
        {
            1: [0.890000001, -1.089999999],
            2: [0.78110000199, -1.17909999801],
        },
        5e-12,
    ),
}


@pytest.mark.parametrize("foreach", [None, False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", KNOWN)
def test_known_answers_of_the_authors_code(name, dtype, foreach):
    start, gradients, options, wanted, precision = KNOWN[name]
    options = {"lr": 0.1, "weight_decay": 0.1, "foreach": foreach, **options}
    path = run(AdamP, start, gradients, getattr(torch, dtype), **options)
    atol = precision if dtype == "float64" else 1e-6
    for step, values in wanted.items():
        np.testing.assert_allclose(path[step - 1], values, rtol=0, atol=atol)


adamp_options = st.fixed_dictionaries(
    {**OPTIONS, "betas": st.sampled_from([(0.9, 0.999), (0.5, 0.9), (0.0, 0.0)])}
)


@given(CASES, adamp_options, st.sampled_from([None, False, True]))
def test_steps_are_those_of_the_definition(case, options, foreach):
    oracle = AdamPOracle(**options)
    assert_follows_oracle(AdamP, oracle, case, {**options, "foreach": foreach})


def test_cases_reach_all_views():
    rng, views = np.random.default_rng(0), []
    w = rng.normal(size=(3, 4))
    for kind in KINDS:
        oracle = AdamPOracle()
        oracle.step(w, draw_gradient(rng, w, kind))
        views += oracle.views
    assert views == ["channel", "layer", None]


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_without_tolerance_it_is_adamw(weight_decay):
    rng = np.random.default_rng(1)
    start, gradients = rng.normal(size=(4, 6)), rng.normal(size=(10, 4, 6))
    options = {"lr": 0.01, "weight_decay": weight_decay}
    ours = run(AdamP, start, gradients, delta=0.0, **options)
    torchs = run(torch.optim.AdamW, start, gradients, **options)
    np.testing.assert_allclose(ours, torchs, rtol=1e-12)


def test_state_has_the_keys_of_adam():
    param = torch.ones(2, 3, requires_grad=True)
    param.grad = torch.ones(2, 3)
    optimizer = AdamP([param])
    optimizer.step()
    state = optimizer.state[param]
    assert set(state) == {"step", "exp_avg", "exp_avg_sq"}
    assert state["step"] == 1
    assert state["exp_avg"].shape == state["exp_avg_sq"].shape == (2, 3)


def test_nesterov_stores_the_plain_momentum():
    w = torch.randn(3, 4, dtype=torch.float64)
    states = []
    for nesterov in (False, True):
        param = w.clone().requires_grad_()
        optimizer = AdamP([param], nesterov=nesterov)
        for k in range(3):
            param.grad = torch.full_like(w, k - 0.5)
            optimizer.step()
        states.append(optimizer.state[param])
    for name in ("exp_avg", "exp_avg_sq"):
        torch.testing.assert_close(states[0][name], states[1][name])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"lr": -0.1}, r"The 'lr' of AdamP must be .* >= 0\. Got -0\.1; pass"),
        ({"lr": float("nan")}, r"The 'lr' of AdamP .* Got nan; pass"),
        ({"lr": float("inf")}, r"The 'lr' of AdamP must be finite. Got inf; pass"),
        ({"foreach": "x"}, r"The 'foreach' of AdamP must be None.* Got 'x'; pass"),
        ({"eps": -1e-8}, r"The 'eps' of AdamP .* Got -1e-08; pass"),
        ({"weight_decay": -1}, r"The 'weight_decay' of AdamP .* Got -1; pass"),
        ({"delta": -0.1}, r"The 'delta' of AdamP .* Got -0\.1; pass"),
        ({"wd_ratio": 1.5}, r"The 'wd_ratio' .*AdamP must .* Got 1\.5; "),
        ({"betas": (0.9, 1.0)}, r"The 'betas\[1\]' of AdamP .* \[0, 1\)\. Got 1; pass"),
        ({"betas": (-0.1, 0.9)}, r"The 'betas\[0\]' of AdamP .* Got -0\.1; pass"),
        ({"betas": 0.9}, r"The 'betas' of AdamP must be two numbers .* Got 0\.9; pass"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_options_out_of_range_are_refused(options, text):
    param = torch.ones(2, requires_grad=True)
    with pytest.raises(ValueError, match=text):
        AdamP([param], **options)
    with pytest.raises(ValueError, match=text):
        AdamP([{"params": [param], **options}])


def test_an_option_that_is_no_number_is_refused():
    with pytest.raises(TypeError, match="The 'lr' of AdamP must be a real number"):
        AdamP([torch.ones(2, requires_grad=True)], lr="fast")


def test_capturable_is_not_offered():
    with pytest.raises(TypeError, match="capturable"):
        AdamP([torch.ones(2, requires_grad=True)], capturable=True)


def spread(dtype, scale):
    """Standard deviation of weights after 300 steps of random gradients of a size."""
    param = torch.zeros(500, dtype=dtype, requires_grad=True)
    optimizer = AdamP([param], lr=1e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(300):
        param.grad = (scale * torch.randn(500, generator=generator)).to(dtype)
        optimizer.step()
    return param.detach().double().std().item()


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-4])
def test_small_gradients_move_half_precision_as_far_as_single(scale):
    """The square of 1e-4 is zero in float16."""
    single = spread(torch.float32, scale)
    assert spread(torch.float16, scale) == pytest.approx(single, rel=0.1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_mean_square_of_half_precision_reaches_its_limit(dtype):
    """Steps of a thousandth are below the digits of either type."""
    param = torch.ones(3, dtype=dtype, requires_grad=True)
    optimizer = AdamP([param], lr=0.0)
    for _ in range(2000):
        param.grad = torch.full_like(param, 0.5)
        optimizer.step()
    expected = torch.full((3,), 0.25 * (1 - 0.999**2000))
    torch.testing.assert_close(optimizer.state[param]["exp_avg_sq"], expected)


def test_mean_square_of_half_precision_is_loaded_in_full():
    param = torch.ones(3, dtype=torch.float16, requires_grad=True)
    optimizer = AdamP([param])
    param.grad = torch.full_like(param, 1e-4)
    optimizer.step()
    other = AdamP([param.detach().clone().requires_grad_()])
    other.load_state_dict(optimizer.state_dict())
    loaded = next(iter(other.state.values()))["exp_avg_sq"]
    assert torch.equal(loaded, optimizer.state[param]["exp_avg_sq"])
    assert loaded[0] > 0.0
