"""Losses by domain."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.metrics import balanced_accuracy_score

from statlearn.metrics import mean_domain_loss, worst_domain_loss
from stub_tensor import Tensor

LOSSES = np.array([1.0, 2.0, 3.0, 8.0, 4.0])
DOMAINS = np.array(["b", "b", "b", "a", "a"])


def test_known_losses_have_the_numbers_found_by_hand():
    assert worst_domain_loss(LOSSES, DOMAINS) == 6.0
    assert mean_domain_loss(LOSSES, DOMAINS) == 4.0
    assert mean_domain_loss(LOSSES, DOMAINS, domain_weight={"a": 3, "b": 1}) == 5.0


def test_mean_loss_of_hits_by_class_is_one_minus_balanced_accuracy():
    generator = np.random.default_rng(0)
    y, found = generator.integers(0, 4, (2, 100))
    expected = 1.0 - balanced_accuracy_score(y, found)
    assert mean_domain_loss((y != found).astype(float), y) == pytest.approx(expected)


@given(
    st.lists(
        st.tuples(st.floats(-9, 9, width=32), st.integers(0, 3), st.integers(0, 3)),
        min_size=1,
    ).filter(lambda rows: any(count for *_, count in rows))
)
def test_integer_weight_is_repetition(rows):
    losses, domains, counts = map(np.array, zip(*rows, strict=True))
    again = np.repeat(losses, counts), np.repeat(domains, counts)
    for function in (worst_domain_loss, mean_domain_loss):
        weighted = function(losses, domains, sample_weight=counts)
        assert weighted == pytest.approx(function(*again), abs=1e-9)
        means = pd.Series(again[0]).groupby(again[1]).mean()
        expected = means.max() if function is worst_domain_loss else means.mean()
        assert weighted == pytest.approx(expected, abs=1e-9)


def test_domains_without_weight_are_left_out():
    weight = (DOMAINS == "b").astype(float)
    losses = np.where(weight, LOSSES, np.nan)
    assert worst_domain_loss(losses, DOMAINS, sample_weight=weight) == 2.0
    found = mean_domain_loss(
        losses, DOMAINS, sample_weight=weight, domain_weight={"b": 2}
    )
    assert found == 2.0


def test_tensors_are_losses_too():
    assert worst_domain_loss(Tensor(LOSSES, requires_grad=True), DOMAINS) == 6.0
    assert_allclose(mean_domain_loss(Tensor(LOSSES), Tensor(np.arange(5))), 3.6)


@pytest.mark.parametrize("function", [worst_domain_loss, mean_domain_loss])
@pytest.mark.parametrize(
    ("losses", "domains", "options", "message"),
    [
        ([], [], {}, r"'losses' of .* Got shape \(0,\); pass the losses"),
        (2.0, ["a"], {}, r"Got shape \(\); pass the losses"),
        ([1.0, 2.0], ["a"], {}, "Got 1 labels for 2 losses; give both"),
        ([1.0, np.nan], ["a", "b"], {}, "NaN or infinity in 1 rows; correct"),
        ([1.0, 2.0], ["a", None], {}, "missing labels"),
        (
            [1.0, 2.0],
            ["a", "b"],
            {"sample_weight": [1.0, -1.0]},
            "'sample_weight' parameter",
        ),
        ([1.0, 2.0], ["a", "b"], {"sample_weight": [0.0, 0.0]}, "not all of them zero"),
    ],
)
def test_bad_input_says_what_to_do(function, losses, domains, options, message):
    with pytest.raises(ValueError, match=message):
        function(losses, domains, **options)


@pytest.mark.parametrize(
    "weight",
    [
        {"a": 1},
        {"a": -1, "b": 1},
        {"a": 0, "b": 0},
        {"a": np.nan, "b": 1},
        {"a": "many", "b": 1},
        [3, 1],
        3.0,
        "ab",
    ],
    ids=str,
)
def test_weights_of_domains_that_are_none_are_refused(weight):
    with pytest.raises(ValueError, match=r"'domain_weight' .* Got .*; pass one"):
        mean_domain_loss(LOSSES, DOMAINS, domain_weight=weight)
