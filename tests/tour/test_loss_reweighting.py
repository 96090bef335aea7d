from __future__ import annotations

import dataclasses
from itertools import islice

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier

from statlearn.tour import _reweighting_study as study
from statlearn.tour import loss_reweighting
from statlearn.tour._progress import SilentProgress
from statlearn.tour._run import run_section


def toy_of(curves):
    """A toy whose paths are given for redundant rows, and constant elsewhere."""
    paths = {
        study.REDUNDANT: {rule: np.array(values) for rule, values in curves.items()},
        study.NOISY: {study.UNIFORM: np.full((1, 300), 2.0)},
        study.DIRTY: {study.UNIFORM: np.full((1, 300), 4.0)},
    }
    for kind, loss in ((study.NOISY, 3.0), (study.DIRTY, 8.0)):
        paths[kind][study.LINUPPER] = np.full((1, 300), loss)
    rates = np.array([900.0, 200.0, 50.0, 40.0, np.inf, np.inf])
    return study.Toy(paths, dict.fromkeys(study.RULES, rates))


def test_first_step_below_a_loss_is_counted_from_one():
    paths = np.array([[0.5, 0.009, 0.2], [0.009, 0.5, 0.5], [0.5, 0.01, 0.01]])
    assert_allclose(study.first_below(paths, 0.01), [2.0, 1.0, np.inf])


def test_a_descent_that_overflows_never_arrives():
    assert_allclose(study.first_below(np.array([[1.0, np.nan]]), 0.01), [np.inf])


def test_steps_floors_and_best_rates_are_read_from_the_paths():
    toy = toy_of({rule: [[1.0, 0.001], [0.001, 0.001]] for rule in study.RULES})
    assert toy.n_seeds == 2
    assert toy.mean_steps()[study.LINUPPER] == 1.5
    assert toy.floor_ratio(study.NOISY, study.LINUPPER) == 1.5
    assert toy.floor_ratio(study.DIRTY, study.LINUPPER) == 2.0
    assert toy.best_rate(study.UNIFORM) == (40.0, 1.2)


def test_floors_look_at_the_end_only():
    toy = toy_of({rule: [[1.0]] for rule in study.RULES})
    toy.paths[study.NOISY][study.LINUPPER][:, :100] = 50.0
    assert toy.floor(study.NOISY, study.LINUPPER) == 3.0


@pytest.mark.parametrize("kind", [study.REDUNDANT, study.DIRTY])
def test_nine_of_ten_rows_are_redundant(kind):
    X, _, _ = study.make_table(kind, np.random.default_rng(0))
    spread = X[:, 3:].std(axis=1)
    assert (spread < 0.2).sum() == 1800
    assert_allclose(X[:, :3].std(axis=0), 1.0, atol=0.06)


def test_two_rows_of_a_hundred_are_outliers_and_the_others_exact():
    X, y, truth = study.make_table(study.DIRTY, np.random.default_rng(0))
    errors = y - X @ truth
    assert (errors != 0.0).sum() == 40
    assert_allclose(errors[errors != 0.0].std(), 5.0, rtol=0.25)


def test_noisy_rows_have_errors_of_one_half():
    X, y, truth = study.make_table(study.NOISY, np.random.default_rng(0))
    assert_allclose((y - X @ truth).std(), 0.5, rtol=0.05)
    assert_allclose(X.std(axis=0), 1.0, atol=0.06)


def test_uniform_weights_are_plain_minibatch_descent():
    X, y, truth = study.make_table(study.REDUNDANT, np.random.default_rng(1))
    found = list(
        islice(study.losses_on_the_way(X, y, truth, study.UNIFORM, 0.05, 7), 20)
    )
    coef, order, wanted = np.zeros(20), np.random.default_rng(7).permutation(2000), []
    for first in range(0, 20 * 64, 64):
        rows = order[first : first + 64]
        coef += 0.05 * X[rows].T @ (y[rows] - X[rows] @ coef) / 64
        wanted.append(0.5 * np.sum((coef - truth) ** 2))
    assert_allclose(found, wanted, rtol=1e-10)


def test_test_loss_is_that_of_fresh_rows():
    X, y, truth = study.make_table(study.REDUNDANT, np.random.default_rng(2))
    # The first step from zero, by hand.
    order = np.random.default_rng(3).permutation(2000)[:64]
    coef = 0.5 * X[order].T @ y[order] / 64
    fresh = np.random.default_rng(4).normal(size=(200_000, 20))
    wanted = 0.5 * np.mean((fresh @ (coef - truth)) ** 2)
    found = next(study.losses_on_the_way(X, y, truth, study.UNIFORM, 0.5, 3))
    assert_allclose(found, wanted, rtol=0.02)


def test_a_rate_that_is_too_large_is_not_reached():
    tables = [study.make_table(study.REDUNDANT, np.random.default_rng(0))]
    assert study._mean_steps(tables, study.LINUPPER, 3.0) == np.inf
    assert study._mean_steps(tables, study.LINUPPER, 0.8) < 60


def test_change_and_wins_compare_with_uniform_weights_split_by_split():
    losses = {
        study.UNIFORM: np.array([[1.0, 2.0], [1.0, 2.0]]),
        study.LINUPPER: np.array([[0.5, 2.5], [0.9, 1.9]]),
    }
    table = study.Diabetes(losses, np.array([1.0, 1.0]), 442)
    assert_allclose(table.change(study.LINUPPER), [-0.3, 0.1])
    assert table.wins(study.LINUPPER).tolist() == [2, 1]


def test_uniform_digits_are_left_to_the_descent_of_scikit_learn():
    X, digit = load_digits(return_X_y=True)
    X, y = X[:500] / 16.0, (digit[:500] == study.DIGIT).astype(int)
    found = study._classifier(study.UNIFORM, 0.1).fit(X, y)
    peer = SGDClassifier(
        loss="log_loss",
        learning_rate="constant",
        eta0=0.1,
        alpha=1e-5,
        random_state=0,
    )
    rng = np.random.default_rng(0)
    for _ in range(study.DIGIT_EPOCHS):
        for rows in np.array_split(rng.permutation(500), 4):
            peer.partial_fit(X[rows], y[rows], classes=[0, 1])
    assert_allclose(found.predict_proba(X), peer.predict_proba(X), rtol=1e-10)


@pytest.fixture(scope="module")
def outcome():
    def run(progress):
        return loss_reweighting.run(progress, n_seeds=2, n_splits=2, n_digit_splits=1)

    section = dataclasses.replace(loss_reweighting.SECTION, run=run)
    return run_section(section, SilentProgress())


@pytest.mark.slow
def test_the_section_runs_from_data_to_drawings(outcome):
    assert outcome.error == ""
    assert outcome.caught == ()
    assert len(outcome.drawings) == len(outcome.result.figures) == 3
    assert len(outcome.result.tables) == 4


@pytest.mark.slow
def test_the_claim_holds_on_the_toy_at_its_rate(outcome):
    assert outcome.result.supported
    steps = [row[1] for row in outcome.result.tables[0].rows]
    counts = [float(text.partition(" ")[0]) for text in steps]
    assert counts == sorted(counts)


@pytest.mark.slow
def test_what_speaks_against_the_claim_is_told_beside_it(outcome):
    for words in ("best rate", "noisy rows", "2 % outliers", "Diabetes", "Digits"):
        assert words in outcome.result.measured


def test_the_verdict_follows_the_numbers(monkeypatch):
    slow = [[1.0, 1.0, 0.001]]
    curves = {rule: [[1.0, 0.001, 0.001]] for rule in study.RULES}
    toy = toy_of(curves | {study.LINUPPER: slow})
    for kind in (study.NOISY, study.DIRTY):
        for rule in study.RULES:
            toy.paths[kind].setdefault(rule, np.ones((1, 300)))
    losses = {rule: np.ones((2, len(study.EPOCHS))) for rule in study.RULES}
    scores = {rule: np.ones((2, 2)) for rule in study.RULES}
    monkeypatch.setattr(study, "simulate", lambda progress, n: toy)
    monkeypatch.setattr(
        study,
        "fit_diabetes",
        lambda progress, n: study.Diabetes(losses, np.ones(2), 442),
    )
    monkeypatch.setattr(
        study, "fit_digits", lambda progress, n: study.Digits(scores, scores, 1797)
    )
    assert loss_reweighting.run(SilentProgress()).supported is False
