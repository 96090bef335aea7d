from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from statlearn.tour import _weight_maps_runs as runs
from statlearn.tour import _weight_maps_study as study
from statlearn.tour import weight_maps
from statlearn.tour._overview import verdict
from statlearn.tour._page import render_page
from statlearn.tour._progress import SilentProgress
from statlearn.tour._run import run_section


def bounding(accuracy, near_zero=0.1, largest=0.1):
    return runs.Bounding(accuracy, near_zero, np.array([-largest, 0.0]), 0.2)


def quantising(accuracy=0.9, oscillating=0.01, drift=0.1):
    # Two values around one have their distance from it as relative spread.
    scales = np.array([[1.0 - drift], [1.0 + drift]])
    return runs.Quantising(0.9, accuracy, oscillating, scales, 0.99, exact=True)


def study_of(*, adapted=None, back=True, bounded=None, quantised=None):
    """A study of one seed in which all claims hold, but for what is changed."""
    scores = {(name, view): 0.8 for name in runs.METHODS for view in runs.VIEWS}
    scores |= {(runs.ROW, view): 0.9 for view in runs.VIEWS}
    learnt = {
        runs.PLAIN: bounding(0.7, 0.2),
        runs.BOUNDED: bounding(0.9, 0.1),
        runs.SLOWER: bounding(0.8, 0.2),
    }
    coded = {
        runs.STATSQ: quantising(),
        runs.ANNEALED: quantising(accuracy=0.95, drift=0.001),
        runs.LSQ: quantising(oscillating=0.02),
    }
    scores |= adapted or {}
    return study.Study(
        {},
        {job: np.array([score]) for job, score in scores.items()},
        {},
        back,
        {name: (each,) for name, each in (learnt | (bounded or {})).items()},
        {name: (each,) for name, each in (coded | (quantised or {})).items()},
    )


@pytest.mark.parametrize(
    ("changed", "failing"),
    [
        ({}, []),
        ({"adapted": {(runs.ROW, "turned"): 0.7}}, [0]),
        ({"adapted": {(runs.PISSA, "shifted"): 0.95}}, [0]),
        ({"back": False}, [1]),
        ({"bounded": {runs.BOUNDED: bounding(0.9, 0.3)}}, [2]),
        ({"bounded": {runs.BOUNDED: bounding(0.9, 0.1, 0.21)}}, [2]),
        ({"bounded": {runs.PLAIN: bounding(0.895, 0.2)}}, [3]),
        ({"bounded": {runs.SLOWER: bounding(0.895, 0.2)}}, [4]),
        ({"quantised": {runs.LSQ: quantising(oscillating=0.005)}}, [5]),
        ({"quantised": {runs.ANNEALED: quantising(0.95, drift=0.02)}}, [6]),
        ({"quantised": {runs.ANNEALED: quantising(0.9, drift=0.001)}}, [7]),
    ],
    ids=[
        "all hold",
        "the best variant fails on one view",
        "a peer leads on one view",
        "a bit is lost",
        "more weights are near zero",
        "a weight is beyond the bound",
        "the same rate is as good",
        "a tuned rate is as good",
        "learned scales flip less",
        "scales drift on",
        "annealing changes no accuracy",
    ],
)
def test_each_claim_follows_its_numbers(changed, failing):
    claims = list(study_of(**changed).claims().values())
    assert [place for place, holds in enumerate(claims) if not holds] == failing


def test_drift_is_the_relative_spread_of_a_row():
    scales = np.array([[1.0, 20.0], [3.0, 20.0]])
    found = runs.Quantising(0.9, 0.9, 0.0, scales, 0.0, exact=True)
    assert_allclose(found.drift, (0.5 + 0.0) / 2.0)


def test_views_turn_and_shift_each_image():
    image = np.arange(64.0, dtype=np.float32)
    rows = image[None], np.array([3])
    turned, shifted = (runs.viewed(rows, v)[0].reshape(8, 8) for v in runs.VIEWS)
    square = image.reshape(8, 8)
    for i in range(8):
        for k in range(8):
            assert turned[i, k] == square[k, 7 - i]
            assert shifted[i, k] == square[i, k - 1]


def test_no_image_is_in_two_parts():
    images = [tuple(row) for X, _ in runs.parts(0) for row in X]
    assert len(images) == 1797 == len(set(images))


def test_labels_are_drawn_anew_for_the_share_that_is_said():
    y = np.full(20_000, 10)
    found = runs.relabelled(y, 0)
    share = (found != y).mean()
    assert abs(share - runs.WRONG) < 4.0 * np.sqrt(runs.WRONG * 0.85 / len(y))
    assert_array_equal(np.unique(found), np.arange(11))


def test_without_torch_the_section_says_so_and_does_not_fail(monkeypatch):
    monkeypatch.setattr(weight_maps, "installed", lambda name: False)
    outcome = run_section(weight_maps.SECTION, SilentProgress())
    assert not outcome.failed
    assert verdict(outcome) == ""
    assert 'pip install "statlearn[neural]"' in outcome.result.measured
    assert "PyTorch is not installed" in render_page([outcome], 1.0)


@pytest.fixture(scope="module")
def outcome():
    pytest.importorskip("torch")
    section = dataclasses.replace(
        weight_maps.SECTION,
        run=lambda progress: weight_maps.run(progress, n_seeds=1),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "_N_BASE", 8)
        patch.setattr(runs, "N_ADAPT", 4)
        patch.setattr(runs, "N_LEARN", 20)
        patch.setattr(runs, "N_QUANTISE", 2)
        patch.setattr(runs, "N_END", 1)
        patch.setattr(runs, "_WIDTHS", (32, 32))
        return run_section(section, SilentProgress())


def test_the_section_runs_from_data_to_drawings(outcome):
    assert outcome.error == ""
    assert outcome.caught == ()
    assert len(outcome.drawings) == len(outcome.result.figures) == 2
    adapted, bounded, quantised = outcome.result.tables
    assert [row[0] for row in adapted.rows[1:]] == list(runs.METHODS)
    assert [row[0] for row in bounded.rows] == list(runs.RATES)
    assert {row[0] for row in quantised.rows} == {
        runs.STATSQ,
        runs.ANNEALED,
        runs.LSQ,
    }


def test_mechanics_are_exact_at_any_size(outcome):
    adapted, bounded, quantised = outcome.result.tables
    assert "merging and taking off changed no bit" in outcome.result.measured
    assert {row[-1] for row in quantised.rows} == {"yes"}
    largest, bound = (
        float(cell)
        for row in bounded.rows
        if row[0] == runs.BOUNDED
        for cell in row[-2:]
    )
    assert 0.0 < largest <= bound
    # Layers of 32 x 64 and 32 x 32: blocks of 8 for each group of outputs or inputs,
    # and products of rank 4.
    trained = {row[0]: int(row[1]) for row in adapted.rows}
    assert trained[runs.FULL] == 32 * 64 + 32 * 32
    assert trained[runs.COL] == (32 + 32) * 8
    assert trained[runs.ROW] == (64 + 32) * 8
    assert trained[runs.LORA] == trained[runs.PISSA] == 4 * (32 + 64 + 32 + 32)


def test_what_did_not_reproduce_is_told_beside_the_claims(outcome):
    assert outcome.result.supported is False
    notes = " ".join(outcome.result.notes)
    assert notes.count("did not reproduce") == 2
    assert "no substitute for tuning" in notes
