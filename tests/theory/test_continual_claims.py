"""What is claimed of re-warming, re-decaying and replay, on images of digits.

The demonstration follows Ibrahim and others, "Simple and Scalable Strategies to
Continually Pre-train Large Language Models", TMLR 2024, with a small network in place
of a language model: a task of digits, then the same digits moved by a pixel (a weak
shift) or with pixels permuted (a strong one). Losses are log losses of rows held out.
Seeds are fixed and not searched for; run with ``-s`` to see the figures.
"""

from __future__ import annotations

import pickle
from functools import cache

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier

from statlearn.continual import ContinualLearner
from statlearn.schedules import InfiniteCosine

pytestmark = pytest.mark.slow

N_SEEDS = 3
N_STEPS = 1200
SHIFTS = ("weak", "strong")
MODELS = {
    "network": lambda seed: MLPClassifier(
        (64,), learning_rate_init=3e-3, random_state=seed
    ),
    "linear": lambda seed: SGDClassifier("log_loss", eta0=3e-3, random_state=seed),
}


def report(text):
    """Show a figure of a test that passes too, under ``pytest -s``."""
    print(text)  # noqa: T201


def shifted(X, kind):
    if kind == "none":
        return X
    if kind == "weak":
        return np.roll(X.reshape(-1, 8, 8), 1, axis=2).reshape(-1, 64)
    return X[:, np.random.default_rng(7).permutation(64)]


@cache
def split(seed):
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))
    train, test = order[:1300], order[1300:]
    return X[train] / 16.0, y[train], X[test] / 16.0, y[test]


@cache
def after_first_task(model, seed):
    X, y, _, _ = split(seed)
    learner = ContinualLearner(MODELS[model](seed), n_steps=N_STEPS, random_state=seed)
    return pickle.dumps(learner.fit(X, y))


RUNS = {
    "constant eta_min": {"schedule": lambda step: 3e-4},
    "no re-decay": {"schedule": "constant"},
    "re-decay": {"schedule": "cosine"},
}


@cache
def losses(run, fraction, shift, model="network"):
    """Mean losses of old and new task after the second one."""
    found = []
    for seed in range(N_SEEDS):
        X, y, X_test, y_test = split(seed)
        learner = pickle.loads(after_first_task(model, seed))
        learner.set_params(replay_fraction=fraction, **RUNS[run])
        learner.partial_fit(shifted(X, shift), y)
        both = (X_test, shifted(X_test, shift))
        found.append([log_loss(y_test, learner.predict_proba(rows)) for rows in both])
    old, new = np.mean(found, axis=0)
    report(
        f"{model}, {shift} shift, {run}, replay {fraction:.0%}: old {old:.3f}, new "
        f"{new:.3f}, mean {(old + new) / 2:.3f}"
    )
    return old, new


@pytest.mark.parametrize("shift", SHIFTS)
def test_five_percent_of_replay_keep_most_of_what_was_learnt(shift):
    old, new = losses("re-decay", 0.05, shift)
    old_without, new_without = losses("re-decay", 0.0, shift)
    assert old <= 0.3 * old_without
    assert new <= 1.1 * new_without


@pytest.mark.parametrize("shift", SHIFTS)
def test_more_replay_keeps_more_and_costs_some_of_the_new_task(shift):
    table = [losses("re-decay", x, shift) for x in (0.0, 0.01, 0.05, 0.25, 0.5)]
    old, new = np.transpose(table)
    assert (np.diff(old) < 0).all()
    assert new[-1] > 1.1 * new[0]
    # Even one old row in a hundred helps a lot.
    assert old[1] < 0.5 * old[0]


@pytest.mark.parametrize("shift", SHIFTS)
def test_re_warming_without_re_decaying_is_worse(shift):
    without, _ = losses("no re-decay", 0.0, shift)
    redecayed, _ = losses("re-decay", 0.0, shift)
    assert without > redecayed
    assert np.mean(losses("no re-decay", 0.0, shift)) > np.mean(
        losses("re-decay", 0.0, shift)
    )


@pytest.mark.parametrize("shift", SHIFTS)
def test_staying_at_the_lowest_rate_forgets_least_and_adapts_worst(shift):
    old, new = losses("constant eta_min", 0.0, shift)
    for run in ("no re-decay", "re-decay"):
        other_old, other_new = losses(run, 0.0, shift)
        assert old < other_old
        assert new > 1.5 * other_new


def test_learning_the_same_data_again_loses_nothing():
    first = []
    for seed in range(N_SEEDS):
        _, _, X_test, y_test = split(seed)
        learner = pickle.loads(after_first_task("network", seed))
        first.append(log_loss(y_test, learner.predict_proba(X_test)))
    report(f"network, after the first task: {np.mean(first):.3f}")
    _, again = losses("re-decay", 0.05, "none")
    assert again < 1.1 * np.mean(first)


# ------------------------------------------------------------------ infinite schedules
@cache
def sequence(schedule, shift, fraction):
    """Mean over tasks of the losses after three tasks."""
    found = []
    for seed in range(2):
        X, y, X_test, y_test = split(seed)
        parts = np.array_split(np.arange(len(y)), 3)
        learner = ContinualLearner(
            MODELS["network"](seed),
            schedule,
            n_steps=500,
            replay_fraction=fraction,
            random_state=seed,
        )
        tests = []
        for task, rows in enumerate(parts):
            kind = ("none", *SHIFTS)[task] if shift else "none"
            learner.partial_fit(shifted(X[rows], kind), y[rows], classes=range(10))
            tests.append(shifted(X_test, kind))
        found += [log_loss(y_test, learner.predict_proba(rows)) for rows in tests]
    report(f"{schedule}, shift {shift}, replay {fraction:.0%}: {np.mean(found):.3f}")
    return np.mean(found)


INFINITE = InfiniteCosine(3e-3, n_steps=1500)


def test_infinite_schedules_end_where_repeated_ones_do_without_shift():
    # No more than this is claimed: with shifts and replay they are not better.
    infinite, repeated = (
        sequence(schedule, False, 0.05) for schedule in (INFINITE, "cosine")
    )
    assert 0.8 < infinite / repeated < 1.25


def test_infinite_schedules_have_no_clear_advantage_with_shift_and_replay():
    infinite, repeated = (
        sequence(schedule, True, 0.05) for schedule in (INFINITE, "cosine")
    )
    assert infinite > 0.75 * repeated


# ------------------------------------------------------------------------ convex models
@pytest.mark.parametrize("shift", SHIFTS)
def test_replay_does_much_less_for_a_linear_model(shift):
    """The claim of 70 percent does not hold for a convex loss."""
    # Both tasks share the few weights, so that keeping one costs the other.
    old, new = losses("re-decay", 0.05, shift, "linear")
    old_without, new_without = losses("re-decay", 0.0, shift, "linear")
    assert 0.6 * old_without < old < old_without
    assert new > new_without


@pytest.mark.parametrize("shift", SHIFTS)
def test_re_warming_without_re_decaying_is_worse_for_a_linear_model_too(shift):
    without = losses("no re-decay", 0.0, shift, "linear")
    redecayed = losses("re-decay", 0.0, shift, "linear")
    assert without[0] > redecayed[0]
    assert np.mean(without) > np.mean(redecayed)
