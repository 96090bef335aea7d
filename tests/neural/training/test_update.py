"""Weights, groups and texts of rows in batches of any make."""

from __future__ import annotations

from collections import OrderedDict, UserDict
from types import MappingProxyType

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from loop_cases import bits, cross_entropy, equal, net, rows  # noqa: E402
from statlearn.neural import TrainingLoop, map_parameters  # noqa: E402
from statlearn.neural._training._batch_rows import moved  # noqa: E402
from statlearn.neural.adapters import apply_lora  # noqa: E402
from statlearn.weights import InverseFrequency  # noqa: E402

WEIGHT = [0.0, 2.0, 1.0, 0.0, 1.0, 3.0]


def trained(batch, loss=cross_entropy, **options):
    model = net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    TrainingLoop(model, loss, optimizer, random_state=0, **options).run([batch], 2)
    return model


@pytest.mark.parametrize(
    "kind", [list, tuple, np.array], ids=["list", "tuple", "array"]
)
def test_weights_of_a_batch_may_be_a_list(kind):
    X, y = rows(6)
    tensor = trained({"X": X, "y": y, "sample_weight": torch.tensor(WEIGHT)})
    assert equal(trained({"X": X, "y": y, "sample_weight": kind(WEIGHT)}), tensor)


def test_groups_of_a_batch_may_be_a_list_of_texts():
    X, y = rows(6)
    batch = {"X": X, "y": y, "sample_weight": WEIGHT, "groups": list("aabbba")}
    kept = [i for i, weight in enumerate(WEIGHT) if weight]
    counted = {
        "X": X[kept],
        "y": y[kept],
        "sample_weight": torch.tensor(WEIGHT)[kept],
        "groups": np.array(list("aabbba"))[kept],
    }
    rule = {"weighting": InverseFrequency()}
    assert equal(trained(batch, **rule), trained(counted, **rule))


def test_texts_of_rows_go_with_their_rows():
    X, y = rows(6)
    seen = []

    def loss(model, batch):
        seen.append((batch["text"], batch["words"]))
        return cross_entropy(model, batch)

    batch = {"X": X, "y": y, "text": list("abcdef"), "words": ["of", "all"]}
    trained({**batch, "sample_weight": WEIGHT}, loss)
    assert seen == [(list("bcef"), ["of", "all"])] * 2


def test_a_number_before_the_rows_is_no_row():
    X, y = rows(6)
    batch = {"X": X, "y": y, "sample_weight": WEIGHT}
    assert equal(trained({"scale": torch.tensor(2.0), **batch}), trained(batch))


def test_sparse_gradients_are_not_clipped():
    model = nn.EmbeddingBag(10, 2, sparse=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loop = TrainingLoop(model, cross_entropy, optimizer, clip_norm=1.0)
    with pytest.raises(TypeError, match="must be dense to be clipped"):
        loop.run([(torch.arange(10)[:, None], torch.arange(10) % 2)])


@pytest.mark.parametrize("light", [1e-30, 1e-37])
@pytest.mark.parametrize("first", ["light", "heavy"])
def test_accumulated_batches_may_be_of_very_unequal_weight(light, first):
    X, y = rows(8)
    weight = torch.tensor([light] * 4 + [1e6] * 4)
    if first == "heavy":
        weight = weight.flip(0)
    halves = [
        {"X": X[part], "y": y[part], "sample_weight": weight[part]}
        for part in (slice(4), slice(4, 8))
    ]
    model, whole = net(), net()
    for one, data, options in (
        (model, halves, {"accumulate": 2}),
        (whole, [{"X": X, "y": y, "sample_weight": weight}], {}),
    ):
        optimizer = torch.optim.SGD(one.parameters(), lr=0.1)
        TrainingLoop(one, cross_entropy, optimizer, **options).run(data)
    for ours, other in zip(model.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(ours, other)


def test_an_optimizer_of_another_model_is_refused():
    X, y = rows(6)
    model, other = net(norm=True), net()
    optimizer = torch.optim.SGD(other.parameters(), lr=0.1)
    loop = TrainingLoop(model, cross_entropy, optimizer)
    with pytest.raises(
        ValueError, match="or else of the parameters that the model has"
    ):
        loop.run([(X, y)])
    assert equal(model, net(norm=True))
    assert loop.step_ == 0


class Encoding(UserDict):
    """What a tokenizer returns: a mapping with attributes, and names as attributes."""

    def __init__(self, data, encodings=None):
        super().__init__(data)
        self.encodings = encodings

    def __getattr__(self, name):
        return self.data[name]


MAPPINGS = {
    "user dict": UserDict,
    "ordered": OrderedDict,
    "read only": MappingProxyType,
    "encoding": lambda parts: Encoding(parts, "more"),
}


@pytest.mark.parametrize("make", MAPPINGS.values(), ids=MAPPINGS)
@pytest.mark.parametrize("kind", [list, torch.tensor], ids=["list", "tensor"])
def test_weights_and_groups_count_in_every_mapping(make, kind):
    X, y = rows(6)

    def loss(model, batch):
        seen.append(batch)
        return cross_entropy(model, dict(batch))

    parts = {"X": X, "y": y, "sample_weight": kind(WEIGHT)}
    seen = []
    assert equal(trained(make(parts), loss), trained(parts, loss))
    assert len(seen[0]["X"]) == 4
    assert type(seen[0]) in (type(make({})), dict)
    del parts["sample_weight"]
    parts["groups"] = [0, 0, 0, 1, 1, 2]
    rule = {"weighting": InverseFrequency()}
    grouped = trained(make(parts), loss, **rule)
    assert equal(grouped, trained(parts, loss, **rule))
    assert not equal(grouped, trained({"X": X, "y": y}, loss))


def test_a_mapping_keeps_its_attributes_and_is_not_changed():
    X, y = rows(6)
    batch = Encoding({"X": X, "y": y, "sample_weight": torch.tensor(WEIGHT)}, "more")

    def loss(model, batch):
        assert batch.encodings == "more"
        return torch.nn.functional.cross_entropy(
            model(batch.X), batch.y, reduction="none"
        )

    assert equal(trained(batch, loss), trained(dict(batch)))
    assert batch["X"] is X


def test_tensors_in_every_mapping_are_moved():
    meta = torch.device("meta")
    for make in MAPPINGS.values():
        inner = make({"y": torch.ones(3)})
        found = moved(make({"X": torch.ones(2), "inner": inner}), meta)
        assert found["X"].device == found["inner"]["y"].device == meta


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_an_optimizer_made_before_the_maps_is_refused_at_the_first_update(bias):
    X, y = rows(6)
    model = nn.Sequential(nn.Linear(5, 4, bias=bias), nn.Linear(4, 2, bias=bias))
    early = torch.optim.AdamW(model.parameters(), lr=0.1)
    apply_lora(model, r=2)
    before = bits(model)
    loop = TrainingLoop(model, cross_entropy, early)
    with pytest.raises(ValueError, match=r"no gradient .* map_parameters\(model\)"):
        loop.run([(X, y)])
    assert loop.step_ == 0
    assert equal(before, bits(model))
    late = torch.optim.AdamW(map_parameters(model), lr=0.1)
    assert TrainingLoop(model, cross_entropy, late).run([(X, y)]).step.size == 1


@pytest.mark.parametrize(
    ("weight", "error", "message"),
    [
        ([0.0, 1.0], ValueError, "one sample weight for each row. Got 2 weights for 6"),
        (["a"] * 6, TypeError, "must be numbers. Got .*; pass a tensor"),
        ([1.0, None] * 3, TypeError, "must be numbers. Got .*; pass a tensor"),
        ([[1.0]] * 6, ValueError, r"shape \(n,\) for one a row.* Got shape \(6, 1\)"),
        (1.0, ValueError, r"shape \(n,\) for one a row.* Got shape \(\)"),
    ],
    ids=["few", "texts", "none", "column", "number"],
)
def test_weights_that_are_none_are_refused(weight, error, message):
    X, y = rows(6)
    with pytest.raises(error, match=message):
        trained({"X": X, "y": y, "sample_weight": weight})
