from __future__ import annotations

import numpy as np
import pytest

from matching_cases import A, B, assert_same_orders, perceptron, shuffled
from statlearn.merging import (
    PermutationSpec,
    apply_permutation,
    get_weights,
    match_weights,
    mlp_spec,
    spec_for,
)
from statlearn.merging._matching._descent import Descent, assigned


def descent(spec, a, b, **options):
    begin = {name: np.arange(n) for name, n in spec.sizes(a).items()}
    return Descent(spec, a, b, begin, **options)


@pytest.mark.parametrize(
    ("order", "gains"),
    [(["P0", "P1"], [2.525, 21.85]), (["P1", "P0"], [5.9, 18.475])],
    ids=["forward", "backward"],
)
def test_single_steps_gain_what_is_known(order, gains):
    steps = descent(mlp_spec(3), A, B)
    found = [steps.step(name, 0.0) for name in [*order, *order]]
    np.testing.assert_allclose(found, [*gains, 0.0, 0.0], atol=1e-12)


def inner_products(spec, a, b, name, current):
    """Products of all pairs of units, with the other permutations applied."""
    others = {other: order for other, order in current.items() if other != name}
    moved = apply_permutation(spec, others, b)
    n = spec.sizes(a)[name]
    total = np.zeros((n, n))
    for array, axis, block in spec.permutations[name]:
        u, v = (np.moveaxis(net[array], axis, 0) for net in (a, moved))
        u, v = (x.reshape(n, block * (x.size // (n * block))) for x in (u, v))
        total += u @ v.T
    return total


CONV = PermutationSpec(
    {
        "k0": ("P0",),
        "k1": ("P1", "P0"),
        "norm": ("P1",),
        "dense": ("P2", ("P1", 4)),
        "mixed": ("P0", "P1", "P2"),
        "out": (None, "P2"),
    }
)


def conv_net(seed):
    rng = np.random.default_rng(seed)
    shapes = {
        "k0": (6, 2, 3, 3),
        "k1": (8, 6, 3, 3),
        "norm": (8,),
        "dense": (10, 32),
        "mixed": (6, 8, 10),
        "out": (3, 10),
        "free": (5,),
    }
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["perceptron", "kernels and blocks"])
def test_products_brought_up_to_date_are_those_computed_anew(kind, seed):
    if kind == "perceptron":
        spec = mlp_spec(4)
        a, b = (perceptron([3, 9, 8, 7, 2], s) for s in (seed, seed + 10))
    else:
        spec, a, b = CONV, conv_net(seed), conv_net(seed + 10)
    steps = descent(spec, a, b)
    rng = np.random.default_rng(seed)
    for _ in range(6):
        name = list(spec.permutations)[rng.integers(3)]
        steps.step(name, 0.0)
        expected = inner_products(spec, a, b, name, steps.current)
        np.testing.assert_allclose(steps._common[name], expected, atol=1e-12)
        # A few units move from outside, as another permutation would move them.
        other = list(spec.permutations)[rng.integers(3)]
        order = steps.current[other].copy()
        order[[0, 3]] = order[[3, 0]]
        steps.current[other] = order


def test_assignment_whose_products_have_not_changed_is_not_solved_again(monkeypatch):
    from statlearn.merging._matching import _descent

    calls = []
    solve = _descent.linear_sum_assignment

    def counted(matrix, maximize):
        calls.append(len(matrix))
        return solve(matrix, maximize=maximize)

    monkeypatch.setattr(_descent, "linear_sum_assignment", counted)
    steps = descent(mlp_spec(3), A, A)
    steps.run("forward", 10, 0.0, np.random.default_rng(0))
    steps.run("forward", 10, 0.0, np.random.default_rng(0))
    assert calls == [3, 2]


def test_no_step_lowers_the_inner_product():
    a, b = conv_net(0), conv_net(1)
    steps = descent(CONV, a, b)
    before = sum(np.vdot(a[n], b[n]) for n in a)
    for name in [*CONV.permutations] * 3:
        gain = steps.step(name, 0.0)
        moved = apply_permutation(CONV, steps.current, b)
        after = sum(np.vdot(a[n], moved[n]) for n in a)
        assert gain >= 0.0
        assert after - before == pytest.approx(gain, abs=1e-10)
        before = after


# --- numbers that are no weights, very large or very small --------------------


def normalised(torch, v=1.0):
    """Two orders of one network whose statistics have the size of v, and the spec."""
    nn = torch.nn
    torch.manual_seed(0)
    network = nn.Sequential(
        *(nn.BatchNorm1d(3), nn.Linear(3, 12), nn.BatchNorm1d(12), nn.ReLU()),
        *(nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 2)),
    ).double()
    network[0].running_var.fill_(v)
    spec, state = spec_for(network), get_weights(network)
    return spec, state, shuffled(spec, state)[0]


@pytest.mark.parametrize("v", [1.0, 1e8, 1e200])
def test_large_statistics_of_inputs_hide_no_gain(torch, v):
    spec, network, moved = normalised(torch, v)
    result = match_weights(spec, network, moved, random_state=0)
    assert result.distance_before > 1.0
    assert result.distance_after == 0.0


@pytest.mark.parametrize("position", [0, 7], ids=["one unit", "another"])
@pytest.mark.parametrize("name", ["b0", "b1", "b2"])
def test_one_large_bias_hides_no_gain(name, position):
    network = perceptron([3, 12, 12, 8])
    network[name][position] = 1e8
    moved, _ = shuffled(mlp_spec(3), network)
    result = match_weights(mlp_spec(3), network, moved, random_state=0)
    assert result.distance_before > 1.0
    assert result.distance_after == 0.0


def test_running_statistics_are_moved_but_do_not_count(torch):
    spec, network, moved = normalised(torch)
    expected = match_weights(spec, network, moved, random_state=0)
    rng = np.random.default_rng(0)
    for state in (network, moved):
        for kind in ("running_mean", "running_var"):
            state[f"2.{kind}"] = torch.tensor(1e4 * rng.uniform(size=12))
    result = match_weights(spec, network, moved, random_state=0)
    assert_same_orders(result.permutations, expected.permutations)
    assert result.distance_after == 0.0
    matched = apply_permutation(spec, result.permutations, moved)
    order = result.permutations[spec.axes["2.weight"][0][0]]
    assert (order != np.arange(12)).any()
    for kind in ("weight", "running_mean", "running_var"):
        array = np.asarray(moved[f"2.{kind}"])
        np.testing.assert_array_equal(matched[f"2.{kind}"], array[order])


@pytest.mark.parametrize("power", [-1040, -664, 531, 1010])
def test_networks_in_another_unit_are_matched_alike(power):
    spec = mlp_spec(3)
    pair = [perceptron([3, 12, 9, 2], seed) for seed in range(2)]
    scaled = [{name: np.ldexp(x, power) for name, x in net.items()} for net in pair]
    expected = match_weights(spec, *pair, n_init=3, random_state=0)
    found = match_weights(spec, *scaled, n_init=3, random_state=0)
    assert_same_orders(found.permutations, expected.permutations)
    assert found.n_sweeps == expected.n_sweeps
    for which in ("distance_before", "distance_after"):
        distance = np.ldexp(getattr(found, which), -power)
        assert distance == pytest.approx(getattr(expected, which), rel=1e-9)


@pytest.mark.parametrize("scale", [1e-200, 1e160])
@pytest.mark.parametrize("names", [["W0", "b0", "W1"], ["W1", "b1", "W2"]], ids=str)
def test_layers_in_another_unit_are_matched_too(names, scale):
    spec, network = mlp_spec(3), perceptron([3, 12, 9, 2])
    network |= {name: scale * network[name] for name in names}
    moved, _ = shuffled(spec, network)
    result = match_weights(spec, network, moved, random_state=0)
    assert result.distance_after == 0.0
    assert result.distance_before > 0.1


def test_distance_of_one_small_layer_is_not_lost():
    spec, network = mlp_spec(3), perceptron([3, 12, 9, 2])
    network["W0"] *= 1e-200
    other = {**network, "W0": 2.0 * network["W0"]}
    expected = np.linalg.norm(1e200 * network["W0"])
    result = match_weights(spec, network, other, random_state=0)
    assert 1e200 * result.distance_after == pytest.approx(expected, rel=1e-12)


def test_networks_of_two_units_are_matched():
    spec, network = mlp_spec(3), perceptron([3, 12, 9, 2])
    moved, orders = shuffled(spec, network)
    large = {name: 1e160 * array for name, array in moved.items()}
    result = match_weights(spec, network, large, random_state=0)
    back = {name: np.argsort(order) for name, order in orders.items()}
    assert_same_orders(result.permutations, back)
    norm = np.sqrt(sum(np.sum(array**2) for array in network.values()))
    assert result.distance_after == pytest.approx(1e160 * norm)


# --- units that may be flipped -----------------------------------------------


def signed_descent(spec, a, b, names, seed=0):
    rng = np.random.default_rng(seed)
    signs = {n: rng.choice([-1, 1], spec.sizes(a)[n]).astype(np.int8) for n in names}
    return descent(spec, a, b, signs=signs)


@pytest.mark.parametrize("names", [["P0", "P1", "P2"], ["P1"]], ids=["all", "one"])
@pytest.mark.parametrize("seed", range(3))
def test_flips_bring_products_up_to_date_and_never_lose(names, seed):
    a, b = conv_net(seed), conv_net(seed + 10)
    del a["norm"], b["norm"]
    spec = PermutationSpec({n: e for n, e in CONV.axes.items() if n != "norm"})
    steps = signed_descent(spec, a, b, names, seed)

    def moved():
        return apply_permutation(spec, steps.current, b, signs=steps.signs)

    before = sum(np.vdot(a[n], moved()[n]) for n in a)
    for name in [*spec.permutations] * 3:
        gain = steps.step(name, 0.0)
        others = {n: s for n, s in steps.signs.items() if n != name}
        orders = {n: o for n, o in steps.current.items() if n != name}
        flipped = apply_permutation(spec, orders, b, signs=others)
        expected = inner_products(spec, a, flipped, name, {})
        np.testing.assert_allclose(steps._common[name], expected, atol=1e-12)
        after = sum(np.vdot(a[n], moved()[n]) for n in a)
        assert gain >= 0.0
        assert after - before == pytest.approx(gain, abs=1e-10)
        before = after
    assert set(steps.signs) == set(names)


def test_assignment_by_sizes_takes_the_signs():
    common = np.array([[1.0, -3.0], [2.0, 0.0]])
    order, signs = assigned(common, flips=True)
    assert order.tolist() == [1, 0]
    assert signs.tolist() == [-1, 1]
    order, signs = assigned(common, flips=False)
    assert order.tolist() == [0, 1]
    assert signs is None
