from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier

from statlearn.tour import _digits_study as study
from statlearn.tour import continual_learning
from statlearn.tour._progress import SilentProgress
from statlearn.tour._run import run_section

NONE, FIVE, MORE = study.SHARES


def digits_of(five, none=(1.0, 0.2), before=(0.2, 2.0)):
    """Two splits with the same losses of old and new task, for both shifts."""
    runs = {NONE: none, FIVE: five, MORE: five, study.ALONE: none, study.TOGETHER: five}
    losses = {run: np.array([values, values]) for run, values in runs.items()}
    start = np.array([before, before])
    return study.Digits(
        dict.fromkeys(study.SHIFTS, start), dict.fromkeys(study.SHIFTS, losses), {}, 9
    )


def test_what_is_kept_is_a_share_of_the_rise():
    digits = digits_of((0.4, 0.21))
    assert digits.kept(study.WEAK, FIVE) == pytest.approx(0.75)
    assert digits.kept(study.WEAK, NONE) == 0.0
    assert digits.cost(study.WEAK, FIVE) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("five", "holds"),
    [
        ((0.4, 0.21), True),
        ((0.59, 0.21), True),
        ((0.61, 0.21), False),
        ((0.4, 0.219), True),
        ((0.4, 0.221), False),
    ],
)
def test_the_verdict_needs_most_of_the_old_task_at_little_cost(five, holds):
    assert digits_of(five).holds() is holds


@pytest.mark.parametrize("shift", study.SHIFTS)
def test_the_verdict_needs_both_shifts(shift):
    good, bad = digits_of((0.4, 0.2)), digits_of((0.9, 0.2))
    losses = {**good.losses, shift: bad.losses[shift]}
    assert good.holds()
    assert not dataclasses.replace(good, losses=losses).holds()


def test_images_are_moved_to_the_right_and_wrap_around():
    X = load_digits().data[:5]
    images = study.changed(X, study.WEAK).reshape(-1, 8, 8)
    assert_array_equal(images[:, :, 1:], X.reshape(-1, 8, 8)[:, :, :-1])
    assert_array_equal(images[:, :, 0], X.reshape(-1, 8, 8)[:, :, -1])


def test_pixels_are_permuted_alike_in_all_images():
    X = load_digits().data[:200]
    images = study.changed(X, study.STRONG)
    assert_array_equal(np.sort(images, axis=1), np.sort(X, axis=1))
    assert_array_equal(np.sort(images.sum(axis=0)), np.sort(X.sum(axis=0)))
    assert (images != X).any(axis=1).all()


def test_no_image_is_both_learnt_and_left_out():
    X, y, X_test, y_test = study.make_split(0)
    assert len(y) + len(y_test) == 1797
    known = {row.tobytes() for row in X}
    assert not known & {row.tobytes() for row in X_test}
    assert X.max() == 1.0


def test_losses_left_out_are_those_of_the_two_tasks():
    X, y, X_test, y_test = study.make_split(0)
    model = MLPClassifier((4,), random_state=0).partial_fit(X, y, classes=range(10))
    old, new = study.held_out(model, (X, y, X_test, y_test), study.WEAK)
    assert_allclose(old, log_loss(y_test, model.predict_proba(X_test)))
    moved = np.roll(X_test.reshape(-1, 8, 8), 1, axis=2).reshape(-1, 64)
    assert_allclose(new, log_loss(y_test, model.predict_proba(moved)))


def test_peer_takes_as_many_steps_at_a_constant_rate(monkeypatch):
    monkeypatch.setattr(study, "N_STEPS", 3)
    X, y, *_ = study.make_split(0)
    model = study.by_hand(study.network(0), X, y, 0)
    assert model._optimizer.t == 3
    assert model._optimizer.learning_rate_init == model.learning_rate_init


def test_fit_to_both_takes_about_as_many_steps():
    X, y, *_ = study.make_split(0)
    model = study.together(X, study.changed(X, study.WEAK), y, 0)
    assert model._optimizer.t == pytest.approx(2 * study.N_STEPS, rel=0.1)


@pytest.fixture(scope="module")
def outcome():
    def run(progress):
        return continual_learning.run(progress, n_seeds=1)

    section = dataclasses.replace(continual_learning.SECTION, run=run)
    return run_section(section, SilentProgress())


@pytest.mark.slow
def test_the_section_runs_from_data_to_drawings(outcome):
    assert outcome.error == ""
    assert outcome.caught == ()
    assert len(outcome.drawings) == len(outcome.result.figures) == 2
    assert [len(table.rows) for table in outcome.result.tables] == [6, 2]


@pytest.mark.slow
def test_a_little_replay_keeps_most_of_the_digits(outcome):
    assert outcome.result.supported
    for row in outcome.result.tables[1].rows:
        kept = [float(cell.removesuffix(" %")) for cell in row[1::2]]
        assert min(kept) > 50.0


@pytest.mark.slow
def test_what_replay_costs_is_told(outcome):
    assert "loss of the new task" in outcome.result.measured
    assert any("replay costs no steps" in note for note in outcome.result.notes)
