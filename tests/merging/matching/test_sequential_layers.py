from __future__ import annotations

import numpy as np
import pytest

from statlearn.merging import (
    apply_permutation,
    check_function_preserved,
    match_weights,
    spec_for,
)

torch = pytest.importorskip("torch")
nn = torch.nn


class Named(nn.Sequential):
    """A Sequential of another name, which works like one."""


class Changed(nn.Sequential):
    def forward(self, x):
        return 2.0 * super().forward(x)


def perceptron():
    return nn.Sequential(
        *(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.PReLU(8), nn.Dropout(0.1)),
        Named(nn.Linear(8, 6, bias=False), nn.LayerNorm(6), nn.Tanh()),
        *(nn.PReLU(), nn.Linear(6, 3), nn.Softmax(dim=1)),
    )


def images():
    return nn.Sequential(
        *(nn.BatchNorm2d(1), nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU()),
        *(nn.MaxPool2d(2), nn.Conv2d(4, 4, 3, groups=4), nn.GroupNorm(1, 4)),
        *(nn.ZeroPad2d(1), nn.Conv2d(4, 6, 3, padding=1)),
        *(nn.InstanceNorm2d(6, affine=True), nn.Identity()),
        *(nn.Flatten(), nn.BatchNorm1d(6 * 9), nn.GELU(), nn.Linear(6 * 9, 7)),
        *(nn.ReLU(), nn.Linear(7, 3)),
    )


def pooled():
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3), nn.GroupNorm(4, 4), nn.SiLU(), nn.Conv2d(4, 5, 1)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3)),
    )


CASES = {
    "perceptron": (perceptron, (9, 5), {"P0": 8, "P1": 6}),
    "images": (images, (9, 1, 8, 8), {"P0": 4, "P1": 6, "P2": 7}),
    "pooled": (pooled, (9, 1, 6, 6), {"P0": 4, "P1": 5}),
}


def build(name, seed=0):
    """Network in double precision with statistics that differ between units."""
    torch.manual_seed(seed)
    make, shape, _ = CASES[name]
    module = make().double()
    rows = torch.randn(shape).double()
    with torch.no_grad():
        for array in module.state_dict().values():
            if array.is_floating_point():
                array.add_(0.3 * torch.rand_like(array))
    return module.eval(), rows


def outputs_on(rows):
    def outputs(module):
        with torch.no_grad():
            return module(rows)

    return outputs


@pytest.mark.parametrize("name", CASES)
def test_network_computes_the_same_after_its_units_moved(name):
    module, rows = build(name)
    spec = spec_for(module)
    assert spec.sizes(module.state_dict()) == CASES[name][2]
    change = check_function_preserved(spec, module, outputs_on(rows), random_state=0)
    assert change < 1e-9


@pytest.mark.parametrize("name", CASES)
def test_planted_order_of_a_network_is_found(name):
    module, _ = build(name)
    spec, state = spec_for(module), module.state_dict()
    rng = np.random.default_rng(0)
    orders = {p: rng.permutation(n) for p, n in spec.sizes(state).items()}
    moved = apply_permutation(spec, orders, state)
    result = match_weights(spec, state, moved, n_init=5, random_state=0)
    assert result.distance_after == 0.0


def test_flattened_channels_move_as_blocks():
    module, _ = build("images")
    spec = spec_for(module)
    assert spec.axes["14.weight"] == (("P2", 1), ("P1", 9))
    assert spec.axes["12.running_var"] == (("P1", 9),)
    assert spec.axes["5.weight"] == (("P0", 1), None, None, None)


def linear(*layers):
    return nn.Sequential(nn.Linear(4, 8), *layers, nn.Linear(8, 2))


def conv(*layers):
    return nn.Sequential(nn.Conv2d(1, 8, 3), *layers, nn.Flatten(), nn.Linear(72, 2))


SHARED = nn.Linear(8, 8)
FIRST_BY_CHANNEL = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 2, 1))
ROWS_FLATTENED = nn.Sequential(nn.Linear(4, 8), nn.Flatten(), nn.Linear(16, 2))


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (linear(nn.GroupNorm(2, 8)), ValueError, "'1', whose 2 groups tie units"),
        (linear(nn.GLU()), TypeError, "Got GLU at '1'; write"),
        (linear(nn.LSTM(8, 8)), TypeError, "Got LSTM at '1'"),
        (linear(Changed(nn.ReLU())), TypeError, "Got Changed at '1'"),
        (linear(nn.Sequential(nn.Bilinear(8, 8, 8))), TypeError, "at '1.0'"),
        (linear(nn.MaxPool1d(2)), ValueError, "neighbouring units together"),
        (linear(SHARED, SHARED), ValueError, "'2', which shares its weights"),
        (linear(nn.Flatten(0)), ValueError, "does not flatten all axes"),
        (linear(nn.Conv1d(8, 8, 1)), ValueError, "works on another axis"),
        (
            nn.Sequential(nn.Conv2d(1, 8, 3), nn.Linear(8, 2)),
            ValueError,
            "another axis",
        ),
        (conv(nn.Conv2d(8, 8, 1, groups=2)), ValueError, "whose 2 groups tie channels"),
        (conv(nn.LayerNorm([8, 3, 3])), ValueError, "over positions of an image"),
        (conv(nn.LayerNorm(3)), ValueError, "over positions of an image"),
        (FIRST_BY_CHANNEL, ValueError, "whose 4 groups tie channels"),
        (ROWS_FLATTENED, ValueError, "8 units and 16 numbers"),
        (nn.Sequential(nn.Linear(4, 2)), ValueError, "nothing to permute"),
        (nn.Sequential(), ValueError, "at least one array"),
        (Changed(nn.Linear(4, 2)), TypeError, "Got Changed; name the layers"),
        (nn.Linear(4, 2), TypeError, "Got Linear; name the layers"),
        (nn.Sequential, TypeError, "Got type"),
    ],
    ids=[
        *("groups", "gated", "recurrent", "changed inside", "nested", "pool", "shared"),
        *("flatten", "kernel", "no flatten", "grouped", "layer norm", "row norm"),
        *(
            "first by channel",
            "rows",
            "one layer",
            "empty",
            "changed",
            "layer",
            "class",
        ),
    ],
)
def test_networks_that_are_not_understood_are_refused(model, error, message):
    with pytest.raises(error, match=message):
        spec_for(model)
