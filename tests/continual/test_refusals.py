"""What a learner of tasks refuses before it learns, and what it says then."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.neural_network import MLPClassifier

from continual_cases import Recorder, numbered, two_tasks
from statlearn.continual import ContinualLearner
from stub_tensor import Tensor

(X0, Y0), (X1, Y1) = two_tasks()


def logistic(inner=None, **options):
    inner = SGDClassifier("log_loss", random_state=0) if inner is None else inner
    return ContinualLearner(inner, **{"random_state": 0, "n_steps": 10} | options)


@pytest.fixture(autouse=True)
def learn_nothing(request, monkeypatch):
    """Fail where a step is made on input that is bad."""
    if "refused" in request.function.__name__:
        for cls in (SGDClassifier, SGDRegressor, MLPClassifier):
            monkeypatch.setattr(
                cls, "partial_fit", lambda *_, **__: pytest.fail("learns")
            )


# ---------------------------------------------------------------------- learning rates
@pytest.mark.parametrize(
    "rate",
    ["a", "0.1", None, [0.1], [0.1, 0.2], {}, 1j, -1, np.nan, np.inf, b"1"],
    ids=repr,
)
def test_rates_of_a_schedule_that_are_none_are_refused(rate):
    message = r"'schedule' of ContinualLearner must give a finite number >= 0"
    with pytest.raises(ValueError, match=f"{message} .* Got .*; correct the function"):
        logistic(schedule=lambda step: rate).fit(X0, Y0)


def test_the_rate_that_is_wrong_is_named():
    with pytest.raises(ValueError, match=r"Got 'late'; correct"):
        logistic(schedule=lambda step: 0.1 if step < 9 else "late").fit(X0, Y0)


@pytest.mark.parametrize(
    "rate",
    [np.float32(0.25), np.array(0.25), Tensor(np.array(0.25), requires_grad=True)],
    ids=["float32", "array", "tensor"],
)
def test_numbers_of_any_kind_are_rates(rate):
    model = logistic(schedule=lambda step: rate).fit(X0, Y0)
    assert_allclose(model.history_.learning_rate, 0.25)


@pytest.mark.parametrize("rate", [0, 0.0, -1, np.nan, np.inf, "fast", [0.1]], ids=str)
@pytest.mark.parametrize(
    ("inner", "name"),
    [
        (SGDClassifier("log_loss"), "eta0"),
        (SGDRegressor(), "eta0"),
        (MLPClassifier((2,)), "learning_rate_init"),
    ],
    ids=["classifier", "regressor", "network"],
)
def test_rates_of_an_estimator_that_are_not_above_zero_are_refused(inner, name, rate):
    inner = inner.set_params(**{name: rate})
    message = f"'{name}' of {type(inner).__name__} must be a finite number > 0.* Got .*"
    with pytest.raises(ValueError, match=message + "; correct it, or pass eta_max"):
        logistic(inner).fit(X0, Y0)


@pytest.mark.parametrize(
    "options", [{"eta_max": 0.1}, {"schedule": lambda step: 0.1}], ids=["max", "rates"]
)
def test_the_rate_of_an_estimator_is_of_no_account_where_another_is_given(options):
    model = logistic(SGDClassifier("log_loss", eta0=0.0), **options).fit(X0, Y0)
    assert model.history_.learning_rate.max() == pytest.approx(0.1, rel=0.03)


# ----------------------------------------------------------------------------- batches
@pytest.mark.parametrize("size", [31, 10**9, 10**30])
def test_a_batch_larger_than_the_task_is_the_task(size):
    model = ContinualLearner(
        Recorder(), eta_max=0.1, batch_size=size, replay_fraction=0.25, random_state=0
    )
    model.fit(*numbered(30, 0))
    rows = [np.sort(batch[0][:, 0]) for batch in model.estimator_.batches_]
    assert_array_equal(rows, np.tile(np.arange(30.0), (20, 1)))
    model.partial_fit(*numbered(8, 1))
    later = model.estimator_.batches_[20:]
    assert [len(batch[0]) for batch in later] == [8] * 20
    assert [(batch[0][:, 1] == 0).sum() for batch in later] == [2] * 20


def test_rows_of_weight_zero_do_not_make_a_batch_larger():
    weight = np.r_[np.ones(12), np.zeros(18)]
    model = ContinualLearner(Recorder(), eta_max=0.1, batch_size=100, n_steps=3)
    model.fit(*numbered(30, 0), weight)
    assert [len(batch[0]) for batch in model.estimator_.batches_] == [12] * 3


# ----------------------------------------------------------------------------- classes
WRONG_CLASSES = pytest.mark.parametrize(
    "classes",
    [[0, 1, None], [0, 1, np.nan], [[0, 1]], np.array([[0, 1]]), [[0], [1, 2]], [], 2],
    ids=["None", "NaN", "nested", "table", "ragged", "empty", "number"],
)


@WRONG_CLASSES
def test_classes_that_are_no_list_of_labels_are_refused(classes):
    message = r"'classes' of ContinualLearner.partial_fit must list .* Got .*; pass"
    with pytest.raises(ValueError, match=message):
        logistic().partial_fit(X0, Y0, classes=classes)


@WRONG_CLASSES
def test_a_learner_stays_as_it_is_after_wrong_classes(classes):
    model = logistic().fit(X0, Y0)
    before = model.predict_proba(X0)
    with pytest.raises(ValueError, match=r"'classes' of .* must list .* Got .*; pass"):
        model.partial_fit(X1, Y1, classes=classes)
    assert_array_equal(model.predict_proba(X0), before)
    assert model.tasks_seen_ == 1


def test_labels_of_another_kind_than_the_classes_are_refused():
    with pytest.raises(ValueError, match=r"among the classes \['a', 'b'\]. Got also"):
        logistic().partial_fit(X0, Y0, classes=["a", "b"])


@pytest.mark.parametrize("classes", [(1, 0), np.array([0, 1, 1]), {0: "a", 1: "b"}])
def test_classes_in_any_order_are_sorted(classes):
    model = logistic().partial_fit(X0, Y0, classes=list(classes))
    assert_array_equal(model.classes_, [0, 1])


# ------------------------------------------------------------------------- checkpoints
@pytest.mark.parametrize("below", ["", "run", "run/one"])
def test_a_file_in_the_place_of_a_directory_is_refused(tmp_path, below):
    (tmp_path / "file").write_text("mine")
    place = tmp_path / "file" / below if below else tmp_path / "file"
    with pytest.raises(
        ValueError, match=r"'checkpoint' of .* must be a directory.* Got .*file.*; pass"
    ):
        logistic(checkpoint=place).fit(X0, Y0)
    assert (tmp_path / "file").read_text() == "mine"


def test_directories_that_are_not_there_are_made(tmp_path):
    logistic(checkpoint=tmp_path / "a" / "b").fit(X0, Y0)
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["task-0000.npz"]
