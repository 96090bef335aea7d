"""A run that was interrupted comes to the result of one that was not."""

from __future__ import annotations

import json
import os
from functools import cache, partial

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor

from continual_cases import Recorder, two_tasks
from statlearn.continual import ContinualLearner
from statlearn.continual._checkpoint import plain_state, read, write

(X0, Y0), (X1, Y1) = two_tasks()


class Interrupted(Exception):
    pass


class Averaging(Recorder):
    """Have a state that all steps have shaped."""

    def partial_fit(self, X, y):
        self.level_ = 0.9 * getattr(self, "level_", 0.0) + 0.1 * self._rate * y.mean()
        return self

    def set_learning_rate(self, eta):
        self._rate = eta


INNER = {
    "sgd": SGDClassifier("log_loss", random_state=0),
    "averaged": SGDClassifier("log_loss", average=True, random_state=0),
    "line": SGDRegressor(random_state=0),
    "adam": MLPClassifier((6,), random_state=0),
    "momentum": MLPClassifier((6,), solver="sgd", random_state=0),
    "adam regressor": MLPRegressor(hidden_layer_sizes=(6,), random_state=0),
    "hook": Averaging(),
}


def learner(inner, checkpoint, **options):
    options = {"n_steps": 40, "random_state": 0, "checkpoint_every": 7} | options
    options |= {"batch_size": 10, "eta_max": 0.05}
    return ContinualLearner(inner, checkpoint=checkpoint, **options)


def run(model):
    return model.fit(X0, Y0).partial_fit(X1, Y1).partial_fit(X0 - 1.0, Y0)


def result(model):
    """All that later steps could depend on."""
    state = plain_state(model.estimator_)
    optimizer = getattr(model.estimator_, "_optimizer", None)
    state |= {} if optimizer is None else plain_state(optimizer)
    history = model.history_
    state |= {"rates": history.learning_rate, "loss": history.loss}
    state |= {"buffer": model.buffer_X_, "tasks": model.buffer_task_}
    return {**state, "seen": [model.tasks_seen_, model.rows_seen_]}


def assert_same_result(first, second):
    first, second = result(first), result(second)
    assert set(first) == set(second)
    for name, value in first.items():
        values = value if isinstance(value, list) else [value]
        others = second[name] if isinstance(value, list) else [second[name]]
        for one, other in zip(values, others, strict=True):
            assert_array_equal(one, other, err_msg=name)


def interrupted(monkeypatch, inner, n_calls):
    """Let an estimator fail after a number of steps."""
    cls, count = type(inner), iter(range(10**9))
    original = cls.partial_fit

    def partial_fit(self, *args, **options):
        if next(count) >= n_calls:
            raise Interrupted
        return original(self, *args, **options)

    return monkeypatch.setattr(cls, "partial_fit", partial_fit)


# ------------------------------------------------------------------------------ resume
def short(buffer_size):
    """Options of a short run with a buffer of all rows or of some."""
    options = {"n_steps": 16, "checkpoint_every": 3, "buffer_size": buffer_size}
    return options | {"buffer": "reservoir" if buffer_size else "all"}


@cache
def uninterrupted(name, buffer_size):
    return run(learner(INNER[name], None, **short(buffer_size)))


# Before the first checkpoint, and in the first, second and third task after one.
@pytest.mark.parametrize(
    ("n_calls", "buffer_size"), [(2, None), (11, None), (23, None), (41, 60)]
)
@pytest.mark.parametrize("name", INNER)
def test_resumed_run_is_the_uninterrupted_one(
    tmp_path, monkeypatch, name, n_calls, buffer_size
):
    inner, options = INNER[name], short(buffer_size)
    with monkeypatch.context() as patch:
        interrupted(patch, inner, n_calls)
        with pytest.raises(Interrupted):
            run(learner(inner, tmp_path, **options))
    resumed = run(learner(inner, tmp_path, **options))
    assert_same_result(resumed, uninterrupted(name, buffer_size))


def test_the_same_learner_goes_on_where_its_task_stopped(tmp_path, monkeypatch):
    inner = INNER["adam"]
    model = learner(inner, tmp_path).fit(X0, Y0)
    with monkeypatch.context() as patch:
        interrupted(patch, inner, 30)
        with pytest.raises(Interrupted):
            model.partial_fit(X1, Y1)
    steps = read(tmp_path / "task-0001.npz")["step"]
    assert steps == 28
    model.partial_fit(X1, Y1).partial_fit(X0 - 1.0, Y0)
    assert_same_result(model, run(learner(inner, None)))


def test_resuming_makes_only_the_steps_that_are_missing(tmp_path, monkeypatch):
    inner = INNER["hook"]
    with monkeypatch.context() as patch:
        interrupted(patch, inner, 24)
        with pytest.raises(Interrupted):
            learner(inner, tmp_path).fit(X0, Y0)
    with monkeypatch.context() as patch:
        # One step to make the model, and those after the 21st.
        interrupted(patch, inner, 1 + 40 - 21)
        learner(inner, tmp_path).fit(X0, Y0)


def test_complete_tasks_are_read_back_at_once(tmp_path, monkeypatch):
    expected = run(learner(INNER["adam"], tmp_path))
    interrupted(monkeypatch, INNER["adam"], 3)
    assert_same_result(run(learner(INNER["adam"], tmp_path)), expected)


def test_run_without_a_seed_goes_on_with_the_seed_it_had(tmp_path, monkeypatch):
    inner = INNER["sgd"]
    with monkeypatch.context() as patch:
        interrupted(patch, inner, 24)
        with pytest.raises(Interrupted):
            learner(inner, tmp_path, random_state=None).fit(X0, Y0)
    seed = read(tmp_path / "task-0000.npz")["seed"]
    model = learner(inner, tmp_path, random_state=None).fit(X0, Y0)
    assert model._seed == seed
    again = learner(inner, tmp_path, random_state=None).fit(X0, Y0)
    assert_same_result(model, again)


def test_sparse_rows_and_text_labels_are_known_again(tmp_path):
    table, names = sparse.csr_array(X0), np.where(Y0, "yes", "no").astype(object)
    model = learner(INNER["sgd"], tmp_path).fit(table, names)
    again = learner(INNER["sgd"], tmp_path).fit(table.copy(), names.copy())
    assert_array_equal(again.predict(table), model.predict(table))


# ------------------------------------------------------------------ files of other runs
@pytest.mark.parametrize(
    ("options", "data", "different"),
    [
        ({"replay_fraction": 0.3}, (X0, Y0), "replay_fraction"),
        ({"n_steps": 41}, (X0, Y0), "n_steps"),
        ({"schedule": "linear"}, (X0, Y0), "schedule"),
        ({}, (X0 + 1e-12, Y0), "data"),
        ({}, (X0, 1 - Y0), "data"),
        ({}, (X0, Y0, np.full(200, 2.0)), "data"),
    ],
)
def test_other_data_and_parameters_are_refused(tmp_path, options, data, different):
    learner(INNER["sgd"], tmp_path).fit(X0, Y0)
    message = f"must belong to this run. Got .* another {different}; restore"
    with pytest.raises(ValueError, match=message):
        learner(INNER["sgd"], tmp_path, **options).fit(*data)


def test_another_estimator_or_one_with_other_parameters_is_refused(tmp_path):
    learner(INNER["sgd"], tmp_path).fit(X0, Y0)
    with pytest.raises(ValueError, match="another estimator__average; restore"):
        learner(INNER["averaged"], tmp_path).fit(X0, Y0)
    with pytest.raises(ValueError, match=r"another .*estimator, .*; restore"):
        learner(INNER["line"], tmp_path).fit(X0, Y0)


def test_a_task_after_other_ones_is_refused(tmp_path):
    run(learner(INNER["sgd"], tmp_path))
    (tmp_path / "task-0000.npz").unlink()
    model = learner(INNER["sgd"], tmp_path).fit(X1, Y1)
    with pytest.raises(ValueError, match="another tasks before; restore"):
        model.partial_fit(X1, Y1)


def test_how_often_is_written_may_change(tmp_path):
    model = learner(INNER["sgd"], tmp_path).fit(X0, Y0)
    again = learner(INNER["sgd"], tmp_path, checkpoint_every=3).fit(X0, Y0)
    assert_same_result(model, again)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 broken"])
def test_files_of_something_else_are_refused(tmp_path, content):
    (tmp_path / "task-0000.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"which cannot be read: .*; remove"):
        learner(INNER["sgd"], tmp_path).fit(X0, Y0)


class Trap:
    def __reduce__(self):
        return os.mkdir, ("sprung",)


def test_pickles_in_a_file_are_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "task-0000.npz", tree=np.array([Trap()], dtype=object))
    with pytest.raises(ValueError, match="cannot be read"):
        learner(INNER["sgd"], tmp_path).fit(X0, Y0)
    assert not (tmp_path / "sprung").exists()


def test_estimator_with_a_hook_must_give_its_state(tmp_path):
    class Stateless(Averaging):
        state_dict = None

    model = learner(Stateless(), tmp_path)
    with pytest.raises(TypeError, match=r"state_dict.* Got Stateless.*; add both"):
        model.fit(X0, Y0)
    learner(Stateless(), None).fit(X0, Y0)


# ------------------------------------------------------------------------------- files
def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "task.npz"
    write(path, {"step": 1})
    for name in ("fsync", "replace"):

        def fail(*args):
            raise OSError("disk full")

        with monkeypatch.context() as patch:
            patch.setattr(os, name, fail)
            with pytest.raises(OSError, match="disk full"):
                write(path, {"step": 2})
        assert read(path) == {"step": 1}
        assert [p.name for p in tmp_path.iterdir()] == ["task.npz"]


def test_trees_come_back_as_they_were(tmp_path):
    tree = {
        "array": np.arange(6, dtype=np.float32).reshape(2, 3),
        "scalar": np.float32(0.1),
        "numbers": [1, 2.5, float("inf"), True, None, "text", np.int8(3)],
        "tuple": (1, [np.array(["a", "b"])], {}),
        3: {"nested": np.array(2.0)},
    }
    write(tmp_path / "deep" / "tree.npz", tree)
    back = read(tmp_path / "deep" / "tree.npz")
    assert list(back) == list(tree)
    assert_array_equal(back["array"], tree["array"])
    assert back["array"].dtype == np.float32
    assert (back["scalar"], type(back["scalar"])) == (np.float32(0.1), np.float32)
    assert back["numbers"] == tree["numbers"]
    assert type(back["numbers"][-1]) is np.int8
    assert back["tuple"][0] == 1
    assert_array_equal(back["tuple"][1][0], ["a", "b"])
    assert back["tuple"][2] == {}
    assert_array_equal(back[3]["nested"], 2.0)


@pytest.mark.parametrize("value", [object(), {1, 2}, np.array([None])])
def test_values_that_are_no_plain_data_cannot_be_written(tmp_path, value):
    with pytest.raises((TypeError, ValueError)):
        write(tmp_path / "tree.npz", {"value": value})
    assert list(tmp_path.iterdir()) == []


def test_a_file_holds_no_rows_and_can_be_read_by_numpy(tmp_path):
    model = learner(INNER["adam"], tmp_path).fit(X0, Y0)
    with np.load(tmp_path / "task-0000.npz", allow_pickle=False) as archive:
        tree = json.loads(str(archive["tree"]))
        shapes = {archive[name].shape for name in archive.files if name != "tree"}
    assert {key for key, _ in tree["dict"]} >= {"identity", "seed", "step", "losses"}
    assert X0.shape not in shapes
    assert model.estimator_.coefs_[0].shape in shapes


def slow_law(share):
    """Return a schedule as a new process has it: at another address."""

    def law(step, share):
        return share

    return partial(law, share=share)


def test_schedule_at_another_address_is_the_same_schedule(tmp_path):
    laws = [slow_law(0.02), slow_law(0.02), slow_law(0.03)]
    learner(INNER["sgd"], tmp_path, schedule=laws[0]).fit(X0, Y0)
    learner(INNER["sgd"], tmp_path, schedule=laws[1]).fit(X0, Y0)
    with pytest.raises(ValueError, match="written with another schedule;"):
        learner(INNER["sgd"], tmp_path, schedule=laws[2]).fit(X0, Y0)
