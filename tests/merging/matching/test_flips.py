from __future__ import annotations

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from matching_cases import A, B, perceptron
from statlearn.merging import (
    MatchedAveraging,
    PermutationSpec,
    WeightMatcher,
    apply_permutation,
    check_function_preserved,
    match_activations,
    match_many,
    match_weights,
    mlp_spec,
    spec_for,
)

SPEC = mlp_spec(3)
X = np.random.default_rng(0).normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)


def networks(activation):
    return [
        MLPClassifier(
            (4,), activation=activation, max_iter=500, tol=0.1, random_state=seed
        ).fit(X, Y)
        for seed in range(2)
    ]


WAYS = {
    "match_weights": lambda a, b: match_weights(spec_for(a), a, b, signed=True),
    "match_activations": lambda a, b: match_activations(
        spec_for(a), a, b, X, signed=True
    ),
    "match_many": lambda a, b: match_many([a, b], spec_for(a), signed=True),
    "matcher": lambda a, b: WeightMatcher(signed=True).fit(a, b),
    "average": lambda a, b: MatchedAveraging([a, b], signed=True).fit(),
    "trial": lambda a, b: check_function_preserved(
        spec_for(a), a, lambda m: m.predict_proba(X), signed=True
    ),
}


@pytest.mark.parametrize("activation", ["relu", "logistic"])
@pytest.mark.parametrize("way", WAYS)
def test_perceptrons_whose_units_cannot_be_flipped_are_refused(way, activation):
    message = (
        "^The 'signed' of .* needs networks with activation='tanh' or 'identity'.* "
        f"Got MLPClassifier with activation='{activation}'; pass signed=False.$"
    )
    with pytest.raises(ValueError, match=message):
        WAYS[way](*networks(activation))


@pytest.mark.parametrize("activation", ["tanh", "identity"])
@pytest.mark.parametrize("way", WAYS)
def test_perceptrons_of_odd_activations_are_accepted(way, activation):
    pair = networks(activation)
    before = [[array.copy() for array in net.coefs_] for net in pair]
    WAYS[way](*pair)
    for net, arrays in zip(pair, before, strict=True):
        assert all(map(np.array_equal, net.coefs_, arrays))


def test_activation_of_the_model_counts_as_that_of_the_reference_does():
    pair = [networks("tanh")[0], networks("relu")[1]]
    for a, b in (pair, pair[::-1]):
        with pytest.raises(ValueError, match="activation='relu'"):
            match_weights(mlp_spec(2), a, b, signed=True)


@pytest.mark.parametrize(
    ("signed", "error", "message"),
    [
        ("P0", TypeError, "Got 'P0'; pass for example \\['P0'\\]"),
        (1.0, TypeError, "must be True, False or a list of names .* Got 1.0"),
        (["P0", "P7"], ValueError, "\\['P0', 'P1'\\]. Got 'P7'; correct the name"),
    ],
    ids=["string", "number", "unknown"],
)
def test_what_names_no_permutations_is_refused(signed, error, message):
    with pytest.raises(error, match=message):
        match_weights(SPEC, A, B, signed=signed)


@pytest.mark.parametrize("signed", [False, [], np.False_], ids=["no", "none", "numpy"])
def test_nothing_flips_unless_it_is_named(signed):
    assert match_weights(SPEC, A, B, signed=signed).signs is None
    assert match_many([A, B], SPEC, signed=signed).signs is None


# --- arrays that have no sign to change --------------------------------------


@pytest.mark.parametrize("last", ["weight", "scale", "running_mean", "running_var"])
def test_units_of_a_normalisation_layer_are_refused(last):
    spec = PermutationSpec(
        {"in.weight": ("P0",), f"norm.{last}": ("P0",), "out.weight": (None, "P0")}
    )
    state = {"in.weight": np.ones((2, 3)), f"norm.{last}": np.array([1.0, 2.0])}
    state |= {"out.weight": np.ones((1, 2))}
    message = f"Got 'norm.{last}' among the arrays of 'P0'; leave 'P0' out"
    with pytest.raises(ValueError, match=f"match_weights flips must not.* {message}"):
        match_weights(spec, state, state, signed=True)
    with pytest.raises(ValueError, match=message):
        apply_permutation(spec, {}, state, signs={"P0": [1, -1]})
    with pytest.raises(ValueError, match=message):
        check_function_preserved(spec, state, lambda s: s["out.weight"], signed=True)


def test_integers_are_not_flipped():
    whole = {name: array.astype(np.uint8) for name, array in A.items()}
    with pytest.raises(TypeError, match="Got uint8 in 'W0'; convert it, or leave 'P0'"):
        apply_permutation(SPEC, {}, whole, signs={"P0": [1, -1, 1]})
    with pytest.raises(TypeError, match="must hold floating numbers"):
        match_weights(SPEC, whole, whole, signed=True)


def test_counters_beside_the_units_stay():
    state = {"steps": np.array(7), **perceptron([2, 3, 2])}
    spec = mlp_spec(2)
    moved = apply_permutation(spec, {}, state, signs={"P0": [-1, -1, 1]})
    assert moved["steps"] == 7
    assert match_weights(spec, state, moved, signed=True).distance_after == 0.0


# --- torch -------------------------------------------------------------------


def images(nn, *layers):
    """Channels that meet layers, then ones that meet tanh, then units that do."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.Sequential(*layers, nn.AvgPool2d(2)),
        *(nn.Conv2d(4, 5, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten()),
        *(
            nn.Dropout(0.1),
            nn.Linear(20, 6),
            nn.Softsign(),
            nn.Linear(6, 3),
            nn.Softmax(dim=1),
        ),
    ).double()


ODD = {
    "tanh": lambda nn: [nn.Tanh()],
    "shrunk": lambda nn: [nn.Tanhshrink(), nn.Hardshrink(0.1), nn.Softshrink(0.1)],
    "cut": lambda nn: [nn.Hardtanh(-0.5, 0.5), nn.ConstantPad2d(1, 0.0), nn.Identity()],
}
NOT_ODD = {
    "ReLU": lambda nn: nn.ReLU(),
    "ReLU6": lambda nn: nn.ReLU6(),
    "Sigmoid": lambda nn: nn.Sigmoid(),
    "Threshold": lambda nn: nn.Threshold(0.1, 0.2),
    "GELU": lambda nn: nn.GELU(),
    "PReLU": lambda nn: nn.PReLU(),
    "MaxPool2d": lambda nn: nn.MaxPool2d(2, 1),
    "LPPool2d": lambda nn: nn.LPPool2d(2, 2, 1),
    "Hardtanh": lambda nn: nn.Hardtanh(-1.0, 2.0),
    "ConstantPad2d": lambda nn: nn.ConstantPad2d(1, 0.5),
    "BatchNorm2d": lambda nn: nn.BatchNorm2d(4, affine=False),
    "GroupNorm": lambda nn: nn.GroupNorm(1, 4),
    "Conv2d": lambda nn: nn.Conv2d(4, 4, 1, groups=4),
}


def outputs_of(torch, rows):
    def outputs(module):
        with torch.no_grad():
            return module.eval()(rows.double())

    return outputs


@pytest.mark.parametrize("kind", ODD)
def test_sequential_of_odd_layers_computes_the_same_after_flips(torch, kind):
    torch.manual_seed(0)
    module = images(torch.nn, *ODD[kind](torch.nn))
    spec, outputs = spec_for(module), outputs_of(torch, torch.randn(7, 1, 8, 8))
    assert check_function_preserved(spec, module, outputs, signed=True) < 1e-9
    rng = np.random.default_rng(0)
    state = module.state_dict()
    signs = {p: rng.choice([-1, 1], n) for p, n in spec.sizes(state).items()}
    moved = apply_permutation(spec, {}, state, signs=signs)
    found = match_weights(spec, state, moved, signed=True, n_init=20, random_state=0)
    assert found.distance_after == 0.0


@pytest.mark.parametrize("kind", NOT_ODD)
def test_layers_that_are_not_odd_are_refused_for_their_units_alone(torch, kind):
    module = images(torch.nn, NOT_ODD[kind](torch.nn))
    spec = spec_for(module)
    message = f"Got {kind} at '1.0' behind units of 'P0'; leave 'P0' out of 'signed'"
    with pytest.raises(ValueError, match=message):
        match_weights(spec, module, module, signed=True)
    others = match_weights(spec, module, module, signed=["P1", "P2"])
    assert set(others.signs) == {"P1", "P2"}


@pytest.mark.parametrize("kind", sorted(set(NOT_ODD) - {"BatchNorm2d", "GroupNorm"}))
def test_layers_that_are_refused_do_change_the_outputs(torch, kind):
    torch.manual_seed(0)
    module = images(torch.nn, NOT_ODD[kind](torch.nn))
    spec, outputs = spec_for(module), outputs_of(torch, torch.randn(7, 1, 8, 8))
    before = outputs(module)
    signs = {"P0": [1, -1, 1, 1]}
    moved = apply_permutation(spec, {}, module.state_dict(), signs=signs)
    module.load_state_dict(moved)
    assert (outputs(module) - before).abs().max() > 1e-6


def test_layers_that_are_not_known_are_the_word_of_the_caller(torch):
    class Sine(torch.nn.Module):
        def forward(self, x):
            return torch.sin(x)

    module = torch.nn.Sequential(
        torch.nn.Linear(3, 5), Sine(), torch.nn.Linear(5, 2)
    ).double()
    spec = PermutationSpec(
        {"0.weight": ("P0", None), "0.bias": ("P0",), "2.weight": (None, "P0")}
    )
    outputs = outputs_of(torch, torch.randn(6, 3))
    assert check_function_preserved(spec, module, outputs, signed=True) < 1e-12
