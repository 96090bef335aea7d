from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from statlearn.tour import _adamp_study as study
from statlearn.tour import scale_invariant_weights
from statlearn.tour._overview import verdict
from statlearn.tour._page import render_page
from statlearn.tour._progress import SilentProgress
from statlearn.tour._run import run_section


def descent(error=0.0):
    return study.Descent(np.array([1.0, 2.0]), error, 1.0)


def training(growth, accuracy=0.98):
    return study.Training(np.array([1.0, 1.0, 1.0 + growth]), accuracy, {})


def study_of(errors=(0.0,), trainings=None):
    """A study of three seeds in which all claims hold, but for what is changed."""
    spread = (0.0, 0.001, 0.002)
    values = {
        name: tuple(training(growth, accuracy + more) for more in spread)
        for name, growth, accuracy in (
            ("SGD", 0.5, 0.97),
            ("SGDP", 0.1, 0.98),
            ("AdamW", 0.8, 0.97),
            ("AdamP", 0.1, 0.98),
        )
    }
    return study.Study(
        dict(enumerate(map(descent, errors))), values | (trainings or {}), {}
    )


@pytest.mark.parametrize(
    ("changed", "failing"),
    [
        ({}, []),
        ({"errors": (0.0, 1e-6)}, [0]),
        ({"trainings": {"AdamP": (training(0.3),) * 3}}, [1]),
        ({"trainings": {"SGDP": (training(0.1, 0.97),) * 3}}, [2]),
        (
            {
                "trainings": {
                    "AdamP": tuple(training(0.1, a) for a in (0.96, 0.98, 1.0))
                }
            },
            [2],
        ),
    ],
    ids=[
        "all hold",
        "one length is off the identity",
        "a weight grows by more than a third",
        "one optimizer loses",
        "gains are within their spread",
    ],
)
def test_each_claim_follows_its_numbers(changed, failing):
    claims = list(study_of(**changed).claims().values())
    assert [place for place, holds in enumerate(claims) if not holds] == failing


def test_one_seed_is_never_enough_for_a_gain():
    one = {name: (training(0.1, 0.9),) for name in ("SGD", "AdamW")}
    one |= {name: (training(0.01, 1.0),) for name in ("SGDP", "AdamP")}
    found = study_of(trainings=one)
    assert found.gain("SGD") == (pytest.approx(0.1), np.inf)
    assert list(found.claims().values()) == [True, True, False]


def test_gains_are_taken_split_by_split():
    found = study_of()
    assert found.gain("AdamW") == (pytest.approx(0.01), pytest.approx(0.0, abs=1e-12))
    assert found.factor("AdamW") == pytest.approx(8.0)


def test_the_interval_of_a_gain_is_that_of_a_t_test():
    better = (0.975, 0.98, 0.99)
    found = study_of(trainings={"SGDP": tuple(training(0.1, a) for a in better)})
    gains = np.array(better) - found.accuracies("SGD")
    low, high = stats.ttest_1samp(gains, 0.0).confidence_interval(0.95)
    mean, width = found.gain("SGD")
    assert_allclose([mean - width, mean + width], [low, high])


def test_a_step_is_divided_by_the_length_or_by_its_square():
    doubled = (training(1.0),)
    changed = {"SGD": doubled, "AdamW": doubled}
    for each in changed.values():
        each[0].norms[1] = 2.0
    found = study_of(trainings=changed)
    assert_allclose(found.left_over("SGD"), [1.0, 0.25])
    assert_allclose(found.left_over("AdamW"), [1.0, 0.5])


def test_growth_is_that_of_steps_written_out_one_by_one():
    # w grows along the sum of remembered steps; here by the sums of the corollary.
    steps, memory = np.array([1.0, 4.0, 9.0, 16.0]), 0.5
    expected = [
        s + 2.0 * sum(memory ** (t - k) * steps[k] for k in range(t))
        for t, s in enumerate(steps)
    ]
    assert_allclose(study.grown(steps, memory), expected)
    assert_allclose(study.grown(np.ones(200), 0.9)[-1], 19.0)
    assert_allclose(study.grown(steps, 0.0), steps)


def test_without_torch_the_section_says_so_and_does_not_fail(monkeypatch):
    monkeypatch.setattr(scale_invariant_weights, "installed", lambda name: False)
    outcome = run_section(scale_invariant_weights.SECTION, SilentProgress())
    assert not outcome.failed
    assert verdict(outcome) == ""
    assert 'pip install "statlearn[neural]"' in outcome.result.measured
    assert "PyTorch is not installed" in render_page([outcome], 1.0)


@pytest.fixture(scope="module")
def outcome():
    pytest.importorskip("torch")
    section = dataclasses.replace(
        scale_invariant_weights.SECTION,
        run=lambda progress: scale_invariant_weights.run(progress, n_seeds=1),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "N_EPOCHS", 2)
        patch.setattr(study, "N_STEPS", 60)
        patch.setattr(study, "_WIDTHS", (32, 32))
        return run_section(section, SilentProgress())


def test_the_section_runs_from_data_to_drawings(outcome):
    assert outcome.error == ""
    assert outcome.caught == ()
    assert len(outcome.drawings) == len(outcome.result.figures) == 2
    digits, quotient, _ = outcome.result.tables
    assert [row[0] for row in digits.rows] == list(study.RATES)
    assert [row[0] for row in quotient.rows] == [
        study.DESCENT,
        study.HEAVY,
        study.PROJECTED,
    ]


def test_projected_weights_grow_less_and_the_identity_holds(outcome):
    digits, quotient, _ = outcome.result.tables
    growth = {row[0]: float(row[2].rstrip(" %")) for row in digits.rows}
    for plain, projected in study.PAIRS.items():
        assert 0.0 < 3.0 * growth[projected] < growth[plain]
    assert all(float(row[2]) < 1e-12 for row in quotient.rows)
    lengths = [float(row[1]) for row in quotient.rows]
    assert lengths[0] < lengths[2] < 1.2 < 1.8 < lengths[1]


def test_weights_before_a_normalisation_pass_and_others_hardly_do(outcome):
    rows = {row[0]: row[1:] for row in outcome.result.tables[2].rows}
    for layer in (0, 1):
        name = f"layers.{layer}.weight"
        assert rows[f"{name}, {study.NORMALISED}"] == ("100.0 %", "0.0 %", "0.0 %")
        assert float(rows[f"{name}, {study.BARE}"][2].rstrip(" %")) >= 75.0
        norm = rows[f"norms.{layer}.weight, {study.NORMALISED}"]
        assert norm == ("0.0 %", "0.0 %", "100.0 %")


def test_what_did_not_reproduce_is_told_beside_the_claims(outcome):
    assert outcome.result.supported is False
    assert "not: accuracy rises" in outcome.result.measured
    notes = " ".join(outcome.result.notes)
    for words in ("did not reproduce", "schedule", "by chance", "weight decay"):
        assert words in notes
