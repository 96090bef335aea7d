from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from adamp_cases import (  # noqa: E402
    CASES,
    GRADIENTS,
    OPTIONS,
    P,
    assert_follows_oracle,
    draw_gradient,
    run,
)
from adamp_oracle import SGDPOracle  # noqa: E402
from statlearn.neural.optim import SGDP  # noqa: E402

# Of the authors' implementation in float64, and of a copy of it that projects a copy
# of the momentum: options, parameter after the steps named, and their digits.
AFTER_TWO_DAMPED = [
    [2.4005338851926914, 4.406592237400393, -0.11970564685721652],
    [-0.11985635544470623, -0.13971271088941248, 1.9922599635704612],
]
KNOWN = {
    "momentum": (
        {},
        {
            1: [[2.597, 4.296, -0.1], [-0.1, -0.2, 1.998]],
            2: [[1.81103, 4.82304, -0.239], [-0.239, -0.278, 1.97802]],
            3: [[0.7089197, 5.5878096, -0.46261], [-0.46261, -0.54722, 1.95823980]],
        },
        1e-12,
    ),
    "Nesterov": (
        {"nesterov": True},
        {
            1: [[2.237, 4.566, -0.19], [-0.19, -0.38, 1.998]],
            3: [[-0.2562763, 6.3117066, -0.663859], [-0.663859, -0.789518, 1.9582398]],
        },
        1e-12,
    ),
    "dampened": (
        {"dampening": 0.5},
        {
            2: AFTER_TWO_DAMPED,
            3: [
                [1.8345285463407646, 4.769026315026390, -0.2315085903886444],
                [-0.2316577918902592, -0.2743155837805184, 1.9723373639347566],
            ],
        },
        1e-14,
    ),
    "dampened, as published": (
        {"dampening": 0.5, "project_buffer": True},
        {
            2: AFTER_TWO_DAMPED,
            3: [
                [1.8222263430141874, 4.750790728686744, -0.2312886725601392],
                [-0.2315735117904948, -0.2741470235809896, 1.9689695311481716],
            ],
        },
        1e-14,
    ),
}


@pytest.mark.parametrize("foreach", [None, False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", KNOWN)
def test_known_answers_of_the_authors_code(name, dtype, foreach):
    options, wanted, precision = KNOWN[name]
    path = run(
        SGDP,
        P,
        GRADIENTS,
        getattr(torch, dtype),
        lr=0.1,
        weight_decay=0.01,
        momentum=0.9,
        foreach=foreach,
        **options,
    )
    atol = precision if dtype == "float64" else 1e-6
    for step, values in wanted.items():
        np.testing.assert_allclose(path[step - 1], values, rtol=0, atol=atol)


sgdp_options = st.fixed_dictionaries(
    {
        **OPTIONS,
        "momentum": st.sampled_from([0.0, 0.9]),
        "dampening": st.sampled_from([0.0, 0.5]),
        "project_buffer": st.booleans(),
    }
)


@given(CASES, sgdp_options, st.sampled_from([None, False, True]))
def test_steps_are_those_of_the_definition(case, options, foreach):
    oracle = SGDPOracle(**options)
    assert_follows_oracle(SGDP, oracle, case, {**options, "foreach": foreach})


def test_the_momentum_is_not_projected():
    """The published code projects it in place; here a copy of it is projected."""
    rng = np.random.default_rng(0)
    w = rng.normal(size=(3, 4))
    b, buffers = 0.0, {}
    for project_buffer in (False, True):
        param = torch.tensor(w, requires_grad=True)
        optimizer = SGDP([param], lr=0.0, momentum=0.9, project_buffer=project_buffer)
        for kind in ("random", "rows"):
            g = draw_gradient(np.random.default_rng(1), w, kind)
            param.grad = torch.tensor(g)
            optimizer.step()
            b = 0.9 * b + g if not project_buffer else b
        buffers[project_buffer] = optimizer.state[param]["momentum_buffer"].numpy()
    np.testing.assert_allclose(buffers[False], b, rtol=1e-12)
    np.testing.assert_allclose((w * buffers[True]).sum(1), 0.0, atol=1e-7)
    assert np.abs((w * buffers[False]).sum(1)).min() > 1e-3


def test_buffers_change_the_path_as_much_as_was_measured():
    """Both variants part in the third step, by about 1 % of an entry."""
    options = {"lr": 0.1, "weight_decay": 0.01, "momentum": 0.9, "dampening": 0.5}
    kept = run(SGDP, P, GRADIENTS, **options)
    spoilt = run(SGDP, P, GRADIENTS, project_buffer=True, **options)
    np.testing.assert_allclose(kept[1], spoilt[1], rtol=1e-8)
    assert np.abs(kept[2] - spoilt[2]).max() == pytest.approx(0.0182, abs=1e-4)


@pytest.mark.parametrize("nesterov", [False, True], ids=["heavy ball", "Nesterov"])
def test_without_tolerance_and_decay_it_is_sgd(nesterov):
    rng = np.random.default_rng(1)
    start, gradients = rng.normal(size=(4, 6)), rng.normal(size=(10, 4, 6))
    options = {"lr": 0.01, "momentum": 0.9, "nesterov": nesterov}
    ours = run(SGDP, start, gradients, delta=0.0, **options)
    torchs = run(torch.optim.SGD, start, gradients, **options)
    np.testing.assert_allclose(ours, torchs, rtol=1e-12)


def test_first_gradient_is_dampened():
    ours = run(SGDP, [1.0], [[1.0]], lr=0.1, momentum=0.9, dampening=0.5)
    torchs = run(torch.optim.SGD, [1.0], [[1.0]], lr=0.1, momentum=0.9, dampening=0.5)
    np.testing.assert_allclose([ours[0], torchs[0]], [[0.95], [0.9]], rtol=1e-15)


def test_without_momentum_there_is_no_state_until_there_is_one():
    param = torch.ones(2, 3, requires_grad=True)
    param.grad = torch.ones(2, 3)
    optimizer = SGDP([param], lr=0.1)
    optimizer.step()
    assert not optimizer.state[param]
    optimizer.param_groups[0]["momentum"] = 0.9
    optimizer.step()
    assert set(optimizer.state[param]) == {"momentum_buffer"}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"lr": -0.1}, r"The 'lr' of SGDP must be .* >= 0\. Got -0\.1; pass"),
        ({"momentum": 1.0}, r"The 'momentum' of SGDP .* \[0, 1\)\. Got 1; pass"),
        ({"momentum": -0.5}, r"The 'momentum' of SGDP .* Got -0\.5; pass"),
        ({"eps": -1e-8}, r"The 'eps' of SGDP .* Got -1e-08; pass"),
        ({"weight_decay": -1}, r"The 'weight_decay' of SGDP .* Got -1; pass"),
        ({"delta": -0.1}, r"The 'delta' of SGDP .* Got -0\.1; pass"),
        ({"dampening": float("nan")}, r"'dampening' of SGDP must be finite. Got nan"),
        ({"weight_decay": float("inf")}, r"'weight_decay' of SGDP must be finite"),
        ({"wd_ratio": -0.5}, r"The 'wd_ratio' .*SGDP must .* Got -0\.5; "),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_options_out_of_range_are_refused(options, text):
    param = torch.ones(2, requires_grad=True)
    with pytest.raises(ValueError, match=text):
        SGDP([param], **{"lr": 0.1, **options})


def test_dampening_must_be_a_number():
    with pytest.raises(TypeError, match="The 'dampening' of SGDP must be a real"):
        SGDP([torch.ones(2, requires_grad=True)], lr=0.1, dampening="half")


@pytest.mark.parametrize("foreach", [None, False, True])
@pytest.mark.parametrize("maximize", [False, True])
def test_gradients_are_not_changed(foreach, maximize):
    w = torch.tensor(P, requires_grad=True)
    optimizer = SGDP(
        [w], 0.1, momentum=0.9, nesterov=True, foreach=foreach, maximize=maximize
    )
    for gradient in GRADIENTS:
        w.grad = torch.tensor(gradient)
        optimizer.step()
        assert w.grad.tolist() == gradient


def test_checkpoint_of_the_authors_code_is_taken():
    """They call the momentum by its short name."""
    start = torch.tensor(P, requires_grad=True)
    optimizer = SGDP([start], 0.1, momentum=0.9)
    start.grad = torch.tensor(GRADIENTS[0])
    optimizer.step()
    state = optimizer.state_dict()
    state["state"][0] = {"momentum": state["state"][0]["momentum_buffer"].clone()}
    for name in ("maximize", "foreach", "project_buffer"):
        del state["param_groups"][0][name]
    twin = start.detach().clone().requires_grad_()
    other = SGDP([twin], 0.1)
    other.load_state_dict(state)
    for one, its in ((start, optimizer), (twin, other)):
        one.grad = torch.tensor(GRADIENTS[1])
        its.step()
    assert torch.equal(start.detach(), twin.detach())
    assert list(other.state[twin]) == ["momentum_buffer"]
