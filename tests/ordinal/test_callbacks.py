"""Progress and monitoring through the callbacks of scikit-learn."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.model_selection import GridSearchCV

from ordinal_oracle import random_problem
from statlearn.ordinal import PrestoClassifier, PrestoClassifierCV, presto_path

PROBLEM = random_problem(1, n=80, n_classes=3, alpha=0.01)
X, Y = PROBLEM.X, PROBLEM.y


class Recorder:
    """Remember each hook with the path of task names from the root."""

    def __init__(self):
        self.events = []
        self.tables = []
        self.fitted = []

    def _note(self, hook, context):
        names, at = [], context
        while at is not None:
            names.append(at.task_name)
            at = at.parent
        self.events.append((hook, "/".join(names[::-1]), context.task_id))

    def setup(self, estimator, context):
        self._note("setup", context)

    def teardown(self, estimator, context):
        self._note("teardown", context)

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None):
        self._note("begin", context)

    def on_fit_task_end(
        self, estimator, context, *, X=None, y=None, fitted_estimator=None
    ):
        self._note("end", context)
        if X is not None:
            self.tables.append((X, y))
        if fitted_estimator is not None:
            self.fitted.append(fitted_estimator)

    def counts(self):
        return Counter((hook, where) for hook, where, _ in self.events)


def fails(estimator, X, y):
    raise RuntimeError("no score today")


# ---------------------------------------------------------------------------- the tasks
def test_single_fit_is_one_task_with_a_fitted_model():
    recorder = Recorder()
    model = PrestoClassifier().set_callbacks(recorder).fit(X, Y)
    hooks = [hook for hook, _, _ in recorder.events]
    assert hooks == ["setup", "begin", "end", "teardown"]
    (fitted,) = recorder.fitted
    assert_allclose(fitted.predict_proba(X), model.predict_proba(X))
    assert recorder.tables[0][0] is X
    assert recorder.tables[0][1] is Y


def test_search_counts_folds_and_alphas():
    recorder = Recorder()
    PrestoClassifierCV(n_alphas=4, cv=3).set_callbacks(recorder).fit(X, Y)
    expected = {"fit": 1, "fit/folds": 1, "fit/folds/fold": 3}
    expected |= {"fit/folds/fold/alpha": 12, "fit/path": 1, "fit/path/alpha": 4}
    assert recorder.counts() == Counter(
        {("setup", "fit"): 1, ("teardown", "fit"): 1}
        | {("begin", where): n for where, n in expected.items()}
        | {("end", where): n for where, n in expected.items()}
    )
    numbers = {i for _, where, i in recorder.events if where == "fit/folds/fold"}
    assert numbers == {0, 1, 2}


def test_path_counts_alphas():
    recorder = Recorder()
    presto_path(X, Y, n_alphas=4, callbacks=[recorder])
    counts = recorder.counts()
    assert counts["begin", "fit/alpha"] == counts["end", "fit/alpha"] == 4
    assert counts["setup", "fit"] == counts["teardown", "fit"] == 1
    ended = [event for event in recorder.events if event[:2] == ("end", "fit/alpha")]
    assert [number for _, _, number in ended] == [0, 1, 2, 3]


def test_tasks_begin_before_they_end_and_inside_their_parent():
    recorder = Recorder()
    PrestoClassifierCV(n_alphas=2, cv=2).set_callbacks(recorder).fit(X, Y)
    open_tasks = []
    for hook, where, number in recorder.events[1:-1]:
        if hook == "begin":
            assert where.count("/") == len(open_tasks)
            open_tasks.append((where, number))
        else:
            assert open_tasks.pop() == (where, number)
    assert not open_tasks


def test_callbacks_do_not_change_the_result():
    plain = PrestoClassifierCV(n_alphas=3, cv=2).fit(X, Y)
    watched = PrestoClassifierCV(n_alphas=3, cv=2)
    watched.set_callbacks(Recorder(), Recorder()).fit(X, Y)
    assert_allclose(watched.scores_, plain.scores_, rtol=0)
    assert_allclose(watched.coef_, plain.coef_, rtol=0)


# ------------------------------------------------------------------------------ endings
@pytest.mark.parametrize(
    ("model", "table"),
    [
        (PrestoClassifierCV(n_alphas=2, cv=2, scoring=fails), X),
        (PrestoClassifier(penalty_factor=[1.0]), X),
        (PrestoClassifierCV(penalty_factor=[1.0]), X),
    ],
    ids=["score", "penalty", "penalty of the search"],
)
def test_callbacks_are_torn_down_after_an_error(model, table):
    recorder = Recorder()
    with pytest.raises((RuntimeError, ValueError)):
        model.set_callbacks(recorder).fit(table, Y)
    counts = recorder.counts()
    assert counts["setup", "fit"] == counts["teardown", "fit"]
    assert not hasattr(model, "coef_")


def test_path_tears_its_callbacks_down_after_an_error():
    recorder = Recorder()

    class Broken(Recorder):
        def on_fit_task_end(self, estimator, context):
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        presto_path(X, Y, n_alphas=2, callbacks=[recorder, Broken()])
    assert recorder.counts()["teardown", "fit"] == 1


def test_model_can_be_fitted_again_after_an_error():
    recorder = Recorder()
    model = PrestoClassifier().set_callbacks(recorder)
    with pytest.raises(ValueError, match="at least 2 classes"):
        model.fit(X, np.ones(len(Y)))
    model.fit(X, Y)
    counts = recorder.counts()
    assert counts["end", "fit"] == 1
    assert counts["setup", "fit"] == counts["teardown", "fit"]


def test_path_refuses_what_is_no_callback():
    with pytest.raises(TypeError, match="FitCallback"):
        presto_path(X, Y, callbacks=[print])


def test_model_with_a_finished_callback_can_be_pickled():
    model = PrestoClassifierCV(n_alphas=2, cv=2).set_callbacks(Recorder()).fit(X, Y)
    loaded = pickle.loads(pickle.dumps(model))
    assert_allclose(loaded.predict_proba(X), model.predict_proba(X))


# ------------------------------------------------------------ callbacks of scikit-learn
def bars(text):
    """Names of the finished bars of a printed progress display."""
    lines = [line for line in text.splitlines() if "100%" in line]
    return [line.split("━")[0].strip() for line in lines]


def test_progress_bar_shows_folds_and_path(capsys):
    model = PrestoClassifierCV(n_alphas=3, cv=2).set_callbacks(ProgressBar())
    model.fit(X, Y)
    shown = bars(capsys.readouterr().out)
    assert shown == [
        "PrestoClassifierCV - fit",
        "PrestoClassifierCV - folds #0",
        "PrestoClassifierCV - fold #0",
        "PrestoClassifierCV - fold #1",
        "PrestoClassifierCV - path #1",
    ]


@pytest.mark.parametrize(
    "fit",
    [
        lambda bar: presto_path(X, Y, n_alphas=3, callbacks=[bar]),
        lambda bar: PrestoClassifier().set_callbacks(bar).fit(X, Y),
    ],
    ids=["path", "fit"],
)
def test_progress_bar_of_a_path_and_of_a_fit_is_one_line(fit, capsys):
    fit(ProgressBar())
    assert bars(capsys.readouterr().out) == ["PrestoClassifier - fit"]


def test_progress_bar_of_a_grid_search_reaches_the_classifier(capsys):
    grid = GridSearchCV(PrestoClassifier(), {"alpha": [0.1, 0.01]}, cv=2)
    grid.set_callbacks(ProgressBar()).fit(X, Y)
    assert "PrestoClassifier - fit" in capsys.readouterr().out


def test_nothing_is_printed_without_callbacks(capsys):
    PrestoClassifierCV(n_alphas=2, cv=2).fit(X, Y)
    presto_path(X, Y, n_alphas=2)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_scoring_monitor_inside_a_grid_search_logs_every_fit():
    monitor = ScoringMonitor(scoring="accuracy")
    grid = GridSearchCV(
        PrestoClassifier().set_callbacks(monitor), {"alpha": [0.1, 0.01]}, cv=2
    ).fit(X, Y)
    scores = [row["accuracy"] for row in monitor.get_logs().data]
    assert len(scores) == 5  # two alphas on two folds, and the refit
    assert grid.score(X, Y) in scores


def test_scoring_monitor_scores_the_choice_of_a_search():
    monitor = ScoringMonitor(scoring="neg_log_loss")
    model = PrestoClassifierCV(n_alphas=2, cv=2).set_callbacks(monitor).fit(X, Y)
    (row,) = monitor.get_logs().data
    assert_allclose(row["neg_log_loss"], model.loglik_ / len(Y))
