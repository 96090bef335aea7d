from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from statlearn.merging import BarrierCurve
from statlearn.tour import _merging_study as study
from statlearn.tour import model_merging
from statlearn.tour._progress import SilentProgress
from statlearn.tour._run import run_section


def curve(barrier):
    return BarrierCurve(np.array([0.0, 0.5, 1.0]), np.array([0.1, 0.1 + barrier, 0.1]))


def study_of(**changed):
    """A study of one seed in which all claims hold, but for what is changed."""
    values = {
        "merged": {"average": 0.8, "TIES": 0.7, "TSV-M": 0.85, "R-TSVM": 0.9}
        | {study.BASE: 0.7, study.EXPERT: 0.97, study.MIXTURE: 0.88},
        "apart": {study.BEFORE: 10.0, study.AFTER: 8.0},
        "agreement": {study.BEFORE: [0.0, 0.0], study.AFTER: [0.2, 0.3]},
        "patched": {
            study.CLEAN: [0.4, 0.96],
            study.PATCHED: [0.8, 0.95],
            study.ROBUST: [0.9, 0.92],
        },
        "steps": {study.ALIGNED: [0.9], study.UNALIGNED: [0.8]},
    }
    barriers = {study.BEFORE: 1.0, study.AFTER: 0.1} | changed.pop("barriers", {})
    for key, change in changed.items():
        values[key] |= change
    return study.Study(
        scaled={},
        cosines=np.eye(4),
        curves={name: [curve(barrier)] for name, barrier in barriers.items()},
        middle={},
        strengths=np.zeros((1, 1, 2)),
        **{
            key: {name: np.array([value]) for name, value in found.items()}
            for key, found in values.items()
        },
    )


@pytest.mark.parametrize(
    ("changed", "failing"),
    [
        ({}, []),
        ({"merged": {"TSV-M": 0.9}}, [0]),
        ({"merged": {study.MIXTURE: 0.95}}, [1]),
        ({"barriers": {study.AFTER: 0.3}}, [2]),
        ({"apart": {study.AFTER: 5.0}}, [2]),
        ({"agreement": {study.AFTER: [0.3, 0.2]}}, [3]),
        ({"patched": {study.PATCHED: [0.6, 0.95]}}, [4]),
        ({"patched": {study.PATCHED: [0.8, 0.93]}}, [4]),
        ({"steps": {study.ALIGNED: [0.8]}}, [5]),
    ],
    ids=[
        "all hold",
        "another rule is as good",
        "the mixture is better",
        "a barrier is left",
        "the distance falls by half",
        "small directions are aligned more",
        "the gap stays open",
        "the patch costs as much as robust training",
        "aligning changes nothing",
    ],
)
def test_each_claim_follows_its_numbers(changed, failing):
    claims = list(study_of(**changed).claims().values())
    assert [place for place, holds in enumerate(claims) if not holds] == failing


def test_the_views_are_the_changes_that_their_names_say():
    image = np.random.default_rng(0).uniform(size=(8, 8))
    views = study.views_of(image.reshape(1, -1))
    turned, inverted, shifted, mirrored = (v.reshape(8, 8) for v in views.values())
    assert list(views) == list(study.VIEWS)
    for i in range(8):
        for k in range(8):
            assert turned[i, k] == image[k, 7 - i]
            assert inverted[i, k] == 1.0 - image[i, k]
            assert shifted[i, k] == image[i - 3, k - 3]
            assert mirrored[i, k] == image[i, 7 - k]


def test_no_image_is_both_learnt_and_left_out():
    (X, y), (X_test, y_test) = study.split(0)
    rows = [tuple(row) for row in np.vstack([X, X_test])]
    assert len(y) + len(y_test) == 1797 == len(set(rows))
    assert not np.array_equal(study.split(1)[0][0], X)


def test_an_expert_is_a_copy_that_went_on(monkeypatch):
    monkeypatch.setattr(study, "N_PASSES", 2)
    (X, y), _ = study.split(0)
    with pytest.warns(ConvergenceWarning):
        base = MLPClassifier((4,), max_iter=1, random_state=0).fit(X[:100], y[:100])
    before = base.coefs_[0].copy()
    expert = study.trained_on(base, X[:100], y[:100])
    assert_array_equal(base.coefs_[0], before)
    assert np.abs(expert.coefs_[0] - before).max() > 0.0


def test_a_recovered_share_lies_between_clean_and_robust():
    found = study_of(patched={study.FULL: [0.65, 0.9]})
    assert found.recovered(study.FULL) == pytest.approx(0.5)
    assert found.recovered(study.CLEAN) == 0.0
    assert found.recovered(study.ROBUST) == 1.0


@pytest.fixture(scope="module")
def outcome():
    section = dataclasses.replace(
        model_merging.SECTION,
        run=lambda progress: model_merging.run(progress, n_seeds=1),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "N_PASSES", 8)
        patch.setattr(study, "N_EPOCHS", 12)
        patch.setattr(study, "N_POINTS", 9)
        patch.setattr(study, "_WIDE", (64, 64))
        return run_section(section, SilentProgress())


def test_the_section_runs_from_data_to_drawings(outcome):
    assert outcome.error == ""
    assert outcome.caught == ()
    assert len(outcome.drawings) == len(outcome.result.figures) == 3
    merging, matching, patches, classes = outcome.result.tables
    assert [row[0] for row in merging.rows[2:-1]] == list(study.RULES)
    assert [row[0] for row in matching.rows] == [study.BEFORE, study.AFTER]
    assert patches.rows[0][0] == study.CLEAN
    assert [row[0] for row in classes.rows] == list(study.CLASSIFIERS)


def test_it_measures_what_small_networks_show_too(outcome):
    cells = {row[0]: row[1:] for table in outcome.result.tables for row in table.rows}

    def number(name, column=0):
        return float(cells[name][column].rstrip(" %"))

    assert number("R-TSVM") > number("TIES")
    assert number(study.AFTER) < 0.4 * number(study.BEFORE)
    assert number(study.CLEAN) + 20.0 < number(study.PATCHED) < number(study.ROBUST)
    assert number(study.UNALIGNED, -1) < number(study.ALIGNED, -1)


def test_the_middle_of_a_scale_is_that_of_the_rule_alone(outcome):
    rows = {row[0]: row for row in outcome.result.tables[0].rows}
    for name in study.RULES:
        at_one, best = (float(cell.rstrip(" %")) for cell in rows[name][1:3])
        assert best >= at_one
        if rows[name][3] == "1":
            assert_allclose(best, at_one)


def test_what_did_not_reproduce_is_told_beside_the_claims(outcome):
    assert outcome.result.supported is False
    assert "not: merging beats training on the mixture" in outcome.result.measured
    notes = " ".join(outcome.result.notes)
    for words in (
        "did not reproduce",
        "reconstruction",
        "plain difference",
        "one view",
    ):
        assert words in notes
