from __future__ import annotations

import re

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

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
        (re.compile("nothing"), ValueError, "leave none of the 5 tensors 'weight'"),
        (lambda name, p: False, ValueError, "the test must have something to work on"),
    ],
    ids=["typo", "end", "ends", "glob", "kind", "type", "pattern", "predicate"],
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


def test_masks_are_checked_against_their_tensors(model):
    mask = torch.ones(2, 3, dtype=torch.bool)
    assert list(select_masks(model, {"head.weight": mask}, caller="the test")) == [
        "head.weight"
    ]
    assert select_masks(model, {"head.bias": [True, False]}, caller="the test")


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ({"haed.weight": [True]}, "closest are 'head.weight'"),
        ({"head.bias": [1.0, 0.0]}, "must be boolean and of shape (2,). Got torch.flo"),
        ({"head.bias": [True]}, "of shape (2,). Got torch.bool of shape (1,)"),
    ],
    ids=["name", "type", "shape"],
)
def test_mask_that_cannot_be_is_refused(model, masks, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        select_masks(model, masks, caller="the test")
