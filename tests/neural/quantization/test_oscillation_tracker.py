from __future__ import annotations

import copy
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from statlearn.neural.quantization import (  # noqa: E402
    OscillationTracker,
    QKReparamAttention,
    quantize_model,
)

MAPS = [[0, 1, -1], [1, 1, -1], [0, 1, -2], [0, 2, -1], [1, 2, -2], [0, 1, -1]]
KNOWN = [
    [0.0, 0.0, 0.0],
    [0.0, 0.0, 0.0],
    [0.1, 0.0, 0.0],
    [0.09, 0.0, 0.1],
    [0.181, 0.0, 0.19],
    [0.2629, 0.1, 0.271],
]


def test_known_table():
    tracker = OscillationTracker(momentum=0.1)
    for codes, known in zip(MAPS, KNOWN, strict=True):
        tracker.update({"w": torch.tensor(codes)})
        torch.testing.assert_close(tracker.frequency("w"), torch.tensor(known))
    assert tracker.total("w").tolist() == [3, 1, 3]
    assert tracker.fraction_ == 1.0


def test_fractions_count_over_all_weights():
    tracker = OscillationTracker(momentum=0.1, threshold=0.095)
    assert math.isnan(tracker.fraction_)
    for codes in MAPS[:4]:
        tracker.update({"a": torch.tensor(codes), "b": torch.zeros(1)})
    assert tracker.fraction_ == 1 / 4  # .09, 0, .1 and 0
    assert tracker.changed_fraction_ == 2 / 4


def loop(maps, momentum):
    """The definition, number by number."""
    totals, frequencies = [], []
    for series in np.transpose(maps):
        total, frequency, last = 0, 0.0, 0
        for before, now in pairwise(series):
            direction = np.sign(int(before) - int(now))
            flips = last * direction == -1
            frequency = momentum * flips + (1 - momentum) * frequency
            total += flips
            last = direction or last
        totals.append(total)
        frequencies.append(frequency)
    return totals, frequencies


@given(
    maps=st.lists(
        st.lists(st.integers(-128, 127), min_size=3, max_size=3), min_size=1, max_size=9
    )
)
def test_counts_are_those_of_the_definition(maps):
    tracker = OscillationTracker(momentum=0.3)
    for codes in maps:
        tracker.update({"w": torch.tensor(codes, dtype=torch.int8)})
    totals, frequencies = loop(maps, 0.3)
    assert tracker.total("w").tolist() == totals
    np.testing.assert_allclose(tracker.frequency("w"), frequencies, atol=1e-6)


def test_unsigned_codes_change_in_both_directions():
    tracker = OscillationTracker(momentum=1.0)
    for code in (0, 255, 0):
        tracker.update({"w": torch.tensor([code], dtype=torch.uint8)})
    assert tracker.total("w").tolist() == [1]


def test_codes_of_a_module_with_a_product_are_read():
    model = nn.ModuleDict({"a": nn.Linear(4, 4), "b": QKReparamAttention(4, 2, 2)})
    quantize_model(model, 2, include="a")
    tracker = OscillationTracker(model, momentum=0.5)
    tracker.update()
    with torch.no_grad():
        model["a"].parametrizations.weight.original.neg_()
        model["b"].query_weight.neg_()
    tracker.update()
    assert tracker.changed_fraction_ == 1.0
    assert tracker.fraction_ == 0.0
    with torch.no_grad():
        model["a"].parametrizations.weight.original.neg_()
    tracker.update()
    assert tracker.total("a.weight").tolist() == [[1] * 4] * 4
    assert tracker.total("b.qk_product").sum() == 0
    assert tracker.codes("b.qk_product").shape == (8, 4)


def test_copy_of_model_and_tracker_goes_its_own_way():
    model = nn.Linear(4, 4)
    quantize_model(model, 2)
    tracker = OscillationTracker(model)
    tracker.update()
    twin_model, twin = copy.deepcopy((model, tracker))
    with torch.no_grad():
        twin_model.parametrizations.weight.original.neg_()
    twin.update()
    tracker.update()
    assert (tracker.changed_fraction_, twin.changed_fraction_) == (0.0, 1.0)


def test_state_goes_round():
    whole, first = OscillationTracker(momentum=0.1), OscillationTracker(momentum=0.1)
    for codes in MAPS:
        whole.update({"w": torch.tensor(codes)})
    for codes in MAPS[:3]:
        first.update({"w": torch.tensor(codes)})
    second = OscillationTracker(momentum=0.1)
    second.load_state_dict(first.state_dict())
    assert second.fraction_ == first.fraction_
    for codes in MAPS[3:]:
        second.update({"w": torch.tensor(codes)})
    assert torch.equal(second.frequency("w"), whole.frequency("w"))
    assert torch.equal(second.total("w"), whole.total("w"))


def test_bad_input_is_refused():
    with pytest.raises(
        ValueError, match=r"'momentum' of OscillationTracker .* \(0, 1\]"
    ):
        OscillationTracker(momentum=0.0)
    with pytest.raises(ValueError, match=r"'threshold' .* Got -1.0"):
        OscillationTracker(threshold=-1)
    with pytest.raises(ValueError, match=r"OscillationTracker needs .* quantize_model"):
        OscillationTracker(nn.Linear(2, 2))
    tracker = OscillationTracker()
    with pytest.raises(ValueError, match=r"takes codes if it has none. Got neither"):
        tracker.update()
    tracker.update({"w": torch.zeros(3)})
    with pytest.raises(ValueError, match=r"same names and shapes"):
        tracker.update({"w": torch.zeros(4)})
    with pytest.raises(KeyError, match=r"Got 'v'; choose one of \['w'\]"):
        tracker.frequency("v")
    model = nn.Linear(2, 2)
    quantize_model(model)
    with pytest.raises(ValueError, match=r"Got both; pass one"):
        OscillationTracker(model).update({"w": torch.zeros(3)})


def test_a_state_without_its_parts_is_refused():
    with pytest.raises(ValueError, match=r"'state' of OscillationTracker .* without"):
        OscillationTracker().load_state_dict({"_codes": {}})


@pytest.mark.parametrize("part", ["_frequency", "_codes"])
def test_a_state_with_parts_of_other_weights_is_refused(part):
    tracker = OscillationTracker()
    tracker.update({"w": torch.tensor([0, 1])})
    state = {**tracker.state_dict(), part: {}}
    with pytest.raises(ValueError, match="must have the same weights in each part"):
        tracker.load_state_dict(state)
    assert tracker.codes("w").tolist() == [0, 1]


@pytest.mark.parametrize("codes", [[1, 2], np.array([1, 2])], ids=["list", "array"])
def test_codes_that_are_no_tensors_are_refused(codes):
    kind = type(codes).__name__
    with pytest.raises(TypeError, match=rf"must be tensors. Got {kind} for 'w'; pass"):
        OscillationTracker().update({"w": codes})


def test_state_with_short_fractions_is_refused_and_not_loaded():
    tracker = OscillationTracker()
    tracker.update({"w": torch.tensor([1, 2])})
    state = tracker.state_dict() | {"fractions": [0.5]}
    other = OscillationTracker()
    with pytest.raises(ValueError, match=r"two numbers. Got \[0.5\]; pass"):
        other.load_state_dict(state)
    assert other.state_dict()["_codes"] == {}


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_default_type_does_not_matter(dtype):
    torch.set_default_dtype(dtype)
    try:
        tracker = OscillationTracker(momentum=0.1)
        for codes in ([0, 1], [1, 1], [0, 2]):
            tracker.update({"w": torch.tensor(codes)})
    finally:
        torch.set_default_dtype(torch.float32)
    assert tracker.frequency("w").tolist() == pytest.approx([0.1, 0.0])
    assert tracker.frequency("w").dtype == torch.float32
