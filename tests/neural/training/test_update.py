"""Weights, groups and texts of rows in batches of any make."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from loop_cases import cross_entropy, equal, net, rows  # noqa: E402
from statlearn.neural import TrainingLoop  # noqa: E402
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


def test_an_optimizer_of_another_model_is_refused():
    X, y = rows(6)
    model, other = net(norm=True), net()
    optimizer = torch.optim.SGD(other.parameters(), lr=0.1)
    loop = TrainingLoop(model, cross_entropy, optimizer)
    with pytest.raises(ValueError, match="make it of the parameters that this model"):
        loop.run([(X, y)])
    assert equal(model, net(norm=True))
    assert loop.step_ == 0


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
