"""Progress, monitoring and early ends through the callbacks of scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier

import continual_cases as cases
from statlearn.continual import ContinualLearner, ForgettingDisplay

(X0, Y0), (X1, Y1) = cases.two_tasks()


class Recorder:
    """Remember each hook, and ask to stop after some of the blocks."""

    def __init__(self, stop_after=()):
        self.stop_after = stop_after
        self.events = []
        self.tables = []
        self.fitted = []

    def setup(self, estimator, context):
        self.events.append(("setup", context.task_name))

    def teardown(self, estimator, context):
        self.events.append(("teardown", context.task_name))

    def on_fit_task_begin(self, estimator, context):
        self.events.append(("begin", context.task_name))

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self.events.append(("end", context.task_name))
        self.tables.append((X, y))
        self.fitted.append(fitted_estimator)
        return self.blocks() in self.stop_after

    def blocks(self):
        return self.events.count(("end", "block"))


class Broken(Recorder):
    """Fail at the end of a block."""

    def on_fit_task_end(self, estimator, context):
        self.events.append(("end", context.task_name))
        if self.blocks() in self.stop_after:
            raise RuntimeError("broken")


def learner(**options):
    options = {"n_steps": 40, "batch_size": 10, "random_state": 0} | options
    inner = SGDClassifier("log_loss", random_state=0)
    return ContinualLearner(inner, **options)


def network(**options):
    inner = MLPClassifier((6,), learning_rate_init=0.05, random_state=0)
    return learner(**options).set_params(estimator=inner)


# ---------------------------------------------------------------------------- the tasks
def test_a_task_is_twenty_blocks():
    seen = Recorder()
    learner().set_callbacks(seen).fit(X0, Y0)
    block = [("begin", "block"), ("end", "block")]
    assert seen.events == [
        ("setup", "fit"),
        ("begin", "fit"),
        *block * 20,
        ("end", "fit"),
        ("teardown", "fit"),
    ]


def test_a_block_has_a_step_or_more():
    seen = Recorder()
    learner(n_steps=3).set_callbacks(seen).fit(X0, Y0)
    assert seen.blocks() == 3


def test_later_tasks_are_seen_too():
    seen = Recorder()
    model = learner().set_callbacks(seen).fit(X0, Y0)
    seen.events.clear()
    model.partial_fit(X1, Y1)
    assert seen.blocks() == 20
    assert seen.events[0] == ("setup", "fit")
    assert seen.events[-1] == ("teardown", "fit")
    assert seen.tables[-1][0] is X1
    assert seen.tables[-1][1] is Y1


@pytest.mark.parametrize("make", [learner, network], ids=["linear", "network"])
def test_callbacks_get_the_model_as_it_is_after_the_block(make):
    seen = Recorder()
    # At a constant rate the first steps are the same, however many follow.
    make(schedule="constant").set_callbacks(seen).fit(X0, Y0)
    for block, n_steps in ((0, 2), (4, 10), (20, 40)):
        wanted = make(schedule="constant", n_steps=n_steps).fit(X0, Y0)
        found = seen.fitted[block]
        assert_allclose(found.predict_proba(X0), wanted.predict_proba(X0))
        assert_array_equal(found.classes_, [0, 1])


def test_callbacks_get_the_losses_so_far():
    seen = Recorder()
    model = learner().set_callbacks(seen).fit(X0, Y0).partial_fit(X1, Y1)
    half = seen.fitted[21 + 9]  # a task has an end of its own after its blocks
    assert_array_equal(half.history_.point[-1], 60)
    assert_array_equal(
        half.history_.loss, model.history_.loss[: len(half.history_.loss)]
    )
    ForgettingDisplay.from_estimator(half)


def test_callbacks_do_not_change_the_result():
    plain = network().fit(X0, Y0).partial_fit(X1, Y1)
    watched = network().set_callbacks(Recorder(), Recorder())
    watched.fit(X0, Y0).partial_fit(X1, Y1)
    assert_array_equal(watched.predict_proba(X1), plain.predict_proba(X1))
    assert_array_equal(watched.history_.loss, plain.history_.loss)


# ------------------------------------------------------------------------------ endings
def test_a_callback_can_end_a_task():
    seen = Recorder(stop_after=[5])
    model = learner().set_callbacks(seen).fit(X0, Y0)
    assert seen.blocks() == 5
    assert seen.events[-2:] == [("end", "fit"), ("teardown", "fit")]
    history = model.history_
    assert_array_equal(history.point, np.arange(2, 11, 2))
    assert_array_equal(
        history.learning_rate, learner().fit(X0, Y0).history_.learning_rate[:10]
    )
    assert model.tasks_seen_ == 1


def test_a_task_that_was_ended_counts_as_one_for_those_after_it():
    model = learner(schedule=lambda step: 1.0 / (step + 10))
    model.set_callbacks(Recorder(stop_after=[5])).fit(X0, Y0)
    model.set_callbacks().partial_fit(X1, Y1)
    history = model.history_
    assert_array_equal(np.bincount(history.task), [10, 40])
    assert_allclose(history.learning_rate, 1.0 / np.arange(11, 61))
    assert_array_equal(np.bincount(model.buffer_task_), [200, 200])
    assert history.after_tasks().shape == (2, 2)


def test_all_callbacks_hear_of_a_block_that_one_of_them_ends():
    first, second = Recorder(stop_after=[2]), Recorder()
    learner().set_callbacks(first, second).fit(X0, Y0)
    assert first.events == second.events


def test_an_error_in_a_callback_leaves_the_learner_as_it_was():
    model = learner().fit(X0, Y0)
    before, history = model.predict_proba(X0), model.history_
    seen = Broken(stop_after=[3])
    with pytest.raises(RuntimeError, match="broken"):
        model.set_callbacks(seen).partial_fit(X1, Y1)
    assert seen.events[-1] == ("teardown", "fit")
    assert model.history_ is history
    assert model.tasks_seen_ == 1
    assert_array_equal(model.predict_proba(X0), before)


def test_callbacks_are_not_set_up_for_data_that_are_refused():
    seen = Recorder()
    with pytest.raises(ValueError, match="inconsistent numbers"):
        learner().set_callbacks(seen).fit(X0, Y0[:-1])
    assert seen.events == []


# -------------------------------------------------------------------------- checkpoints
def test_a_resumed_task_has_the_blocks_that_are_left(tmp_path):
    options = {"checkpoint": tmp_path, "checkpoint_every": 7}
    with pytest.raises(RuntimeError, match="broken"):
        learner(**options).set_callbacks(Broken(stop_after=[10])).fit(X0, Y0)
    seen = Recorder()
    model = learner(**options).set_callbacks(seen).fit(X0, Y0)
    # Of 40 steps 14 were written: seven blocks of two.
    assert seen.blocks() == 13
    assert_array_equal(model.predict_proba(X0), learner().fit(X0, Y0).predict_proba(X0))


def test_a_block_that_was_interrupted_is_finished(tmp_path):
    options = {"checkpoint": tmp_path, "checkpoint_every": 7, "n_steps": 100}
    with pytest.raises(RuntimeError, match="broken"):
        learner(**options).set_callbacks(Broken(stop_after=[2])).fit(X0, Y0)
    seen = Recorder()
    model = learner(**options).set_callbacks(seen).fit(X0, Y0)
    assert seen.blocks() == 19
    whole = learner(n_steps=100).fit(X0, Y0)
    assert_array_equal(model.history_.loss, whole.history_.loss)


def test_a_task_that_was_ended_stays_so_in_its_checkpoint(tmp_path):
    options = {"checkpoint": tmp_path, "checkpoint_every": 7}
    first = learner(**options).set_callbacks(Recorder(stop_after=[5])).fit(X0, Y0)
    first.set_callbacks().partial_fit(X1, Y1)
    seen = Recorder()
    again = learner(**options).set_callbacks(seen).fit(X0, Y0).partial_fit(X1, Y1)
    assert seen.blocks() == 0
    assert_array_equal(again.predict_proba(X1), first.predict_proba(X1))
    assert_array_equal(again.history_.learning_rate, first.history_.learning_rate)


def test_a_checkpoint_after_a_task_that_was_ended_is_not_for_one_that_was_not(tmp_path):
    options = {"checkpoint": tmp_path}
    first = learner(**options).set_callbacks(Recorder(stop_after=[5])).fit(X0, Y0)
    first.set_callbacks().partial_fit(X1, Y1)
    (tmp_path / "task-0000.npz").unlink()
    whole = learner(**options).fit(X0, Y0)
    with pytest.raises(ValueError, match="another tasks before; restore"):
        whole.partial_fit(X1, Y1)


# ------------------------------------------------------------ callbacks of scikit-learn
def test_progress_bar_is_one_line_that_comes_to_its_end(capsys):
    learner().set_callbacks(ProgressBar()).fit(X0, Y0)
    lines = [x for x in capsys.readouterr().out.splitlines() if "100%" in x]
    names = [line.split("━")[0].strip() for line in lines]
    assert names == ["ContinualLearner - fit"]


def test_progress_bar_of_a_grid_search_reaches_the_learner(capsys):
    grid = GridSearchCV(learner(), {"warmup": [1, 4]}, cv=2)
    grid.set_callbacks(ProgressBar()).fit(X0, Y0)
    assert "ContinualLearner - fit" in capsys.readouterr().out


@pytest.mark.parametrize("make", [learner, network], ids=["linear", "network"])
def test_scoring_monitor_logs_a_score_for_each_block(make):
    monitor = ScoringMonitor(scoring="neg_log_loss")
    model = make().set_callbacks(monitor).fit(X0, Y0)
    scores = [row["neg_log_loss"] for row in monitor.get_logs().data]
    # The whole task comes first, then its blocks; all rows are among those measured.
    assert_allclose(scores[1:], -model.history_.loss[:, 0])
    assert_allclose(scores[0], scores[-1])
    model.partial_fit(X1, Y1)
    assert len(monitor.get_logs().data) == 21


def test_scoring_monitor_takes_rows_with_names_as_they_were_given():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X0, columns=list("abcde"))
    monitor = ScoringMonitor(scoring="accuracy")
    model = learner().set_callbacks(monitor).fit(table, Y0)
    assert monitor.get_logs().data[0]["accuracy"] == model.score(table, Y0)
