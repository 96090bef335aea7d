from __future__ import annotations

import re

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn.utils import prune  # noqa: E402
from torch.nn.utils import spectral_norm as older_spectral_norm  # noqa: E402
from torch.nn.utils import weight_norm as older_weight_norm  # noqa: E402
from torch.nn.utils.parametrizations import spectral_norm, weight_norm  # noqa: E402

from statlearn.neural import attach  # noqa: E402
from statlearn.neural._select import (  # noqa: E402
    named_tensors,
    select,
    select_masks,
)
from statlearn.neural._weight_map import WeightMap  # noqa: E402


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.value = nn.Linear(3, 3), nn.Linear(3, 3)
        self.norm = nn.LayerNorm(3)


@pytest.fixture
def model():
    return nn.ModuleDict(
        {
            "embed": nn.Embedding(5, 3),
            "blocks": nn.ModuleList([Block(), Block()]),
            "head": nn.Linear(3, 2),
        }
    )


def names(*arguments, **options):
    return [t.name for t in select(*arguments, caller="the test", **options)]


LINEAR = [
    "blocks.0.query.weight",
    "blocks.0.value.weight",
    "blocks.1.query.weight",
    "blocks.1.value.weight",
    "head.weight",
]


def test_nothing_asked_for_is_every_layer_of_the_kind(model):
    assert names(model, layers=(nn.Linear,)) == LINEAR


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        ("head", LINEAR[4:]),
        ("head.weight", LINEAR[4:]),
        ("blocks.1", LINEAR[2:4]),
        ("blocks.*.value", LINEAR[1:4:2]),
        (re.compile(r"blocks\.\d\.query"), LINEAR[0:4:2]),
        (lambda name, p: p.shape[0] == 2, LINEAR[4:]),
        (["head", re.compile(r".*query\.weight")], [LINEAR[0], LINEAR[2], LINEAR[4]]),
    ],
    ids=["layer", "tensor", "room", "glob", "pattern", "predicate", "list"],
)
def test_selector_of_each_kind_fits(model, include, expected):
    assert names(model, include, layers=(nn.Linear,)) == expected


def test_exclusion_wins_over_inclusion(model):
    assert names(model, "blocks", "*.query", layers=(nn.Linear,)) == LINEAR[1:4:2]


def test_all_tensors_of_all_layers_can_be_asked_for(model):
    everything = names(model, parameter=None)
    assert "embed.weight" in everything
    assert "blocks.0.norm.bias" in everything
    assert len(everything) == 1 + 2 * 6 + 2


def test_excluding_a_layer_that_is_not_worked_on_is_allowed(model):
    assert names(model, exclude="embed", layers=(nn.Linear,)) == LINEAR


@pytest.mark.parametrize(
    ("include", "error", "message"),
    [
        ("haed", ValueError, "closest are 'head'"),
        ("value", ValueError, "which fits none; pass '*.value' for all that end so"),
        (["value", "head"], ValueError, "pass '*.value' for all that end so"),
        ("blocks.*.values", ValueError, "Got 'blocks.*.values', which fits none"),
        ("embed", TypeError, "must name layers of a kind that it works on"),
        (3, TypeError, "must be a name, a glob, a compiled pattern, a predicate"),
        (nn.Linear, TypeError, "Got the class Linear; pass, for example"),
        ({"head.weight": 1}, TypeError, "Got dict; pass, for example"),
        (re.compile("nothing"), ValueError, "leave none of the 5 tensors 'weight'"),
        (lambda name, p: False, ValueError, "the test must have something to work on"),
    ],
    ids=[
        "typo",
        "end",
        "ends",
        "glob",
        "kind",
        "type",
        "class",
        "masks",
        "pattern",
        "predicate",
    ],
)
def test_selector_that_fits_nothing_is_refused(model, include, error, message):
    with pytest.raises(error, match=re.escape(message)):
        select(model, include, layers=(nn.Linear,), caller="the test")


def test_what_is_no_module_is_refused():
    with pytest.raises(TypeError, match=r"the test needs a torch module. Got dict"):
        select({}, caller="the test")


class Same(WeightMap):
    def __init__(self):
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(()))

    def forward(self, weight):
        return weight + self.theta


def test_tensor_below_a_map_keeps_its_name(model):
    before = {t.name: t.parameter for t in named_tensors(model)}
    attach(model, lambda *_: Same(), include="head")
    after = {t.name: t.parameter for t in named_tensors(model)}
    assert before.keys() == after.keys()
    assert all(after[name] is before[name] for name in before)


def test_iterators_are_selectors(model):
    assert names(model, iter(["head", "blocks.1"]), layers=(nn.Linear,)) == LINEAR[2:]


def test_name_with_signs_of_a_glob_is_a_name_first():
    model = nn.ModuleDict(
        {"a[0]": nn.Linear(3, 3), "a0": nn.Linear(3, 3), "b*": nn.Linear(3, 3)}
    )
    model["bc"] = nn.Linear(3, 3)
    assert names(model, "a[0]") == ["a[0].weight"]
    assert names(model, "a[0].weight") == ["a[0].weight"]
    assert names(model, "b*") == ["b*.weight"]
    assert names(model, "a[0-9]") == ["a0.weight"]
    assert names(model, "?0") == ["a0.weight"]
    assert names(model, exclude=["a[0]", "b*"]) == ["a0.weight", "bc.weight"]


def test_module_that_is_used_twice_is_known_by_both_names(model):
    model["again"] = model["head"]
    model["rest"] = nn.ModuleDict({"block": model["blocks"][0]})
    assert names(model, "again", layers=(nn.Linear,)) == ["head.weight"]
    assert names(model, "again.weight", layers=(nn.Linear,)) == ["head.weight"]
    assert names(model, "rest.block", layers=(nn.Linear,)) == LINEAR[:2]
    assert names(model, exclude="rest.block", layers=(nn.Linear,)) == LINEAR[2:]


@pytest.mark.parametrize("include", ["", "weight", "query"])
def test_ends_and_nothing_are_no_names(model, include):
    with pytest.raises(ValueError, match="which fits none"):
        select(model, include, layers=(nn.Linear,), caller="the test")


COMPUTED = {
    "weight norm": weight_norm,
    "older weight norm": older_weight_norm,
    "spectral norm": spectral_norm,
    "older spectral norm": older_spectral_norm,
    "pruned": lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated:FutureWarning")
@pytest.mark.parametrize("change", COMPUTED.values(), ids=COMPUTED)
def test_tensor_that_a_layer_computes_from_others_is_seen_and_refused(change):
    model = nn.Sequential(nn.Linear(3, 3), change(nn.Linear(3, 3)))
    found = select(model, layers=(nn.Linear,), caller="the test")
    assert [(t.name, tuple(t.parameter.shape)) for t in found] == [
        ("0.weight", (3, 3)),
        ("1.weight", (3, 3)),
    ]
    before = list(model.state_dict())
    with pytest.raises(ValueError, match=r"attach works on plain .* Got '1.weight'"):
        attach(model, lambda *_: Same())
    assert list(model.state_dict()) == before
    assert attach(model, lambda *_: Same(), exclude="1") == ["0.weight"]


def test_masks_are_checked_against_their_tensors(model):
    mask = torch.ones(2, 3, dtype=torch.bool)
    masks = {"head.weight": mask, "head.bias": [True, False]}
    found = select_masks(model, masks, caller="the test")
    assert list(found) == ["head.weight", "head.bias"]
    assert torch.equal(found["head.weight"], mask)
    assert found["head.bias"].tolist() == [True, False]


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ({"haed.weight": [True]}, "closest are 'head.weight'"),
        ({"head.bias": [1.0, 0.0]}, "must be boolean and of shape (2,). Got torch.flo"),
        ({"head.bias": [True]}, "of shape (2,). Got torch.bool of shape (1,)"),
        ({"head.bias": [False, False]}, "must be true somewhere"),
    ],
    ids=["name", "type", "shape", "nothing"],
)
def test_mask_that_cannot_be_is_refused(model, masks, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        select_masks(model, masks, caller="the test")
