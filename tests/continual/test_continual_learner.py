"""A learner of tasks: batches, rates, replay, and what the outside sees."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.linear_model import (
    LogisticRegression,
    Perceptron,
    Ridge,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from continual_cases import Recorder, numbered, two_tasks
from statlearn.continual import ContinualLearner
from statlearn.exceptions import RepetitionWarning
from statlearn.schedules import (
    Concatenate,
    Constant,
    Cosine,
    InfiniteCosine,
    WarmupStableDecay,
)

(X0, Y0), (X1, Y1) = two_tasks()


def recorded(**options):
    options = {"eta_max": 3e-4, "random_state": 0} | options
    return ContinualLearner(Recorder(), **options)


def logistic(**options):
    inner = SGDClassifier("log_loss", random_state=0)
    return ContinualLearner(inner, **{"random_state": 0, "n_steps": 60} | options)


def network(**options):
    inner = MLPClassifier((8,), learning_rate_init=0.01, random_state=0)
    return ContinualLearner(inner, **{"random_state": 0, "n_steps": 60} | options)


# ------------------------------------------------------------------------- schedules
@pytest.mark.parametrize(
    ("schedule", "known"),
    [
        ("cosine", {11: 2.999993203e-4, 50: 2.989138997e-4, 500: 1.671419051e-4}),
        ("linear", {11: 2.996969697e-4, 50: 2.878787879e-4, 500: 1.515151515e-4}),
        ("constant", {11: 3e-4, 500: 3e-4}),
    ],
)
def test_named_schedules_have_the_published_rates(schedule, known):
    X, y = numbered(64, 0)
    model = recorded(schedule=schedule, n_steps=1000, batch_size=2)
    rates = np.array(model.fit(X, y).estimator_.rates_)
    assert_allclose(rates[[0, 4, 9]], [3e-5, 1.5e-4, 3e-4])
    for step, rate in known.items():
        assert rates[step - 1] == pytest.approx(rate, rel=1e-9)
    assert rates[-1] == pytest.approx(3e-4 if schedule == "constant" else 3e-5)
    assert_array_equal(model.history_.learning_rate, rates)


@pytest.mark.parametrize(
    "schedule", ["cosine", "linear", "constant", Cosine(3e-4), WarmupStableDecay(3e-4)]
)
def test_named_schedules_and_templates_begin_anew_with_each_task(schedule):
    X, y = numbered(64, 0)
    model = recorded(schedule=schedule, n_steps=200).fit(X, y).partial_fit(X, y)
    rates = np.array(model.estimator_.rates_)
    assert_array_equal(rates[:200], rates[200:])
    assert rates[200] < 0.6 * rates.max()


@pytest.mark.parametrize(
    "schedule",
    [
        lambda step: 1.0 / step,
        InfiniteCosine(0.1, warmup=4, cooldown=20, constant=np.inf),
        Concatenate([Cosine(0.1, n_steps=30), Constant(0.2)]),
    ],
    ids=["function", "infinite", "concatenated"],
)
def test_other_schedules_count_the_steps_of_all_tasks(schedule):
    X, y = numbered(64, 0)
    model = recorded(schedule=schedule, eta_max=None, n_steps=30)
    model.fit(X, y).partial_fit(X, y)
    expected = [schedule(step) for step in range(1, 61)]
    assert_allclose(model.estimator_.rates_, expected)


def test_highest_rate_is_that_of_the_estimator_unless_given():
    for inner in (SGDRegressor(eta0=0.02), MLPRegressor(learning_rate_init=0.02)):
        model = ContinualLearner(inner, n_steps=100).fit(X0, X0[:, 0])
        assert model.history_.learning_rate.max() == pytest.approx(0.02)
        model.set_params(eta_max=0.005).fit(X0, X0[:, 0])
        assert model.history_.learning_rate.max() == pytest.approx(0.005)


def test_steps_not_given_are_twenty_passes():
    X, y = numbered(65, 0)
    assert len(recorded().fit(X, y).history_.learning_rate) == 60


# ---------------------------------------------------------------------------- batches
def test_first_task_goes_through_its_rows_pass_by_pass():
    X, y = numbered(40, 0)
    model = recorded(batch_size=8, n_steps=10).fit(X, y)
    rows = np.concatenate([batch[0][:, 0] for batch in model.estimator_.batches_])
    for one_pass in rows.reshape(2, 40):
        assert_array_equal(np.sort(one_pass), np.arange(40))
    assert (rows[:40] != rows[40:]).any()
    for batch, target, weight in model.estimator_.batches_:
        assert_array_equal(batch[:, 0], target)
        assert weight is None


@pytest.mark.parametrize("fraction", [0.05, 0.25, 0.3])
def test_batches_have_the_exact_share_of_old_rows(fraction):
    model = recorded(batch_size=10, n_steps=40, replay_fraction=fraction)
    model.fit(*numbered(30, 0)).partial_fit(*numbered(50, 1))
    batches = [batch[0] for batch in model.estimator_.batches_[40:]]
    assert {len(batch) for batch in batches} == {10}
    n_old = np.cumsum([np.sum(batch[:, 1] == 0) for batch in batches])
    steps = np.arange(1, 41)
    assert_array_equal(n_old, np.floor(10 * fraction * steps + 0.5 + 1e-9))


def test_old_rows_are_replayed_equally_often():
    model = recorded(batch_size=10, n_steps=30, replay_fraction=0.2)
    model.fit(*numbered(20, 0)).partial_fit(*numbered(50, 1))
    rows = np.concatenate([batch[0] for batch in model.estimator_.batches_[30:]])
    counts = np.bincount(rows[rows[:, 1] == 0, 0].astype(int), minlength=20)
    assert_array_equal(counts, 3)


def test_all_earlier_tasks_are_replayed_by_their_sizes():
    model = recorded(batch_size=10, n_steps=40, replay_fraction=0.4)
    model.fit(*numbered(30, 0)).partial_fit(*numbered(90, 1))
    model.partial_fit(*numbered(50, 2))
    rows = np.concatenate([batch[0] for batch in model.estimator_.batches_[80:]])
    counts = np.bincount(rows[:, 1].astype(int))
    assert_allclose(counts, [40, 120, 240], atol=2)


def test_no_replay_leaves_old_rows_out():
    model = recorded(replay_fraction=0.0, n_steps=5)
    model.fit(*numbered(30, 0)).partial_fit(*numbered(30, 1))
    assert all((batch[0][:, 1] == 1).all() for batch in model.estimator_.batches_[5:])


def test_too_few_steps_for_any_old_row_are_announced():
    model = recorded(n_steps=2, batch_size=4).fit(*numbered(30, 0))
    with pytest.warns(RepetitionWarning, match="at least one row"):
        model.partial_fit(*numbered(30, 1))


def test_optimizer_is_reset_at_later_tasks_only():
    model = recorded(n_steps=3).fit(*numbered(30, 0))
    assert not hasattr(model.estimator_, "resets_")
    assert model.partial_fit(*numbered(30, 0)).estimator_.resets_ == 1
    model.set_params(reset_optimizer=False).partial_fit(*numbered(30, 0))
    assert model.estimator_.resets_ == 1


# ----------------------------------------------------------------------------- weights
def test_weights_reach_the_estimator_with_their_rows():
    X, y = numbered(30, 0)
    model = recorded(n_steps=6, batch_size=10).fit(X, y, sample_weight=y + 0.5)
    for batch, _, weight in model.estimator_.batches_:
        assert_array_equal(weight, batch[:, 0] + 0.5)


def test_weights_are_kept_for_replay():
    X, y = numbered(30, 0)
    model = recorded(n_steps=20, batch_size=10, replay_fraction=0.5)
    model.fit(X, y, sample_weight=y + 0.5).partial_fit(*numbered(30, 1))
    for batch, _, weight in model.estimator_.batches_[20:]:
        assert_array_equal(weight, np.where(batch[:, 1] == 0, batch[:, 0] + 0.5, 1.0))
    assert_array_equal(model.buffer_weight_, np.r_[y + 0.5, np.ones(30)])


def test_rows_of_weight_zero_enter_neither_batches_nor_buffer():
    weight = np.where(np.arange(200) < 120, 1.0, 0.0)
    weighted = logistic().fit(X0, Y0, sample_weight=weight)
    without = logistic().fit(X0[:120], Y0[:120])
    assert_allclose(weighted.estimator_.coef_, without.estimator_.coef_)
    assert (weighted.rows_seen_, len(weighted.buffer_y_)) == (120, 120)


def test_integer_weights_are_repetition_in_expectation():
    generator = np.random.default_rng(0)
    counts = generator.integers(0, 4, 200)
    weighted, repeated = [], []
    for seed in range(5):
        model = logistic(eta_max=0.01, n_steps=200, random_state=seed)
        weighted.append(model.fit(X0, Y0, sample_weight=counts).estimator_.coef_)
        model.fit(np.repeat(X0, counts, axis=0), np.repeat(Y0, counts))
        repeated.append(model.estimator_.coef_)
    mean, other = np.mean(weighted, axis=0), np.mean(repeated, axis=0)
    # Half as many rows are half as many steps of a weight twice as large.
    cosine = np.sum(mean * other) / (np.linalg.norm(mean) * np.linalg.norm(other))
    assert cosine > 0.99


# ------------------------------------------------------------- learning and forgetting
@pytest.mark.parametrize("make", [logistic, network])
def test_identical_tasks_are_not_forgotten(make):
    model = make(n_steps=200).fit(X0, Y0)
    before = log_loss(Y0, model.predict_proba(X0))
    model.partial_fit(X0, Y0)
    assert log_loss(Y0, model.predict_proba(X0)) <= before
    losses = model.history_.after_tasks()
    assert losses[1, 0] <= losses[0, 0]
    assert losses[1, 0] == pytest.approx(losses[1, 1])


@pytest.mark.parametrize("make", [logistic, network])
def test_replay_keeps_an_opposite_task_better_than_none(make):
    def old_loss(fraction):
        model = make(n_steps=120, replay_fraction=fraction)
        model.fit(X0, Y0).partial_fit(X1 + 3.0, Y1)
        return log_loss(Y0, model.predict_proba(X0))

    assert old_loss(0.25) < 0.7 * old_loss(0.0)


@pytest.mark.parametrize("make", [logistic, network])
def test_equal_seeds_give_equal_models(make):
    first, second, other = (
        make(random_state=seed).fit(X0, Y0).partial_fit(X1, Y1) for seed in (0, 0, 1)
    )
    assert_array_equal(first.predict_proba(X0), second.predict_proba(X0))
    assert_array_equal(first.history_.loss, second.history_.loss)
    assert not np.array_equal(first.history_.loss, other.history_.loss)


def test_generators_are_accepted_as_seeds():
    first, second = (
        logistic(random_state=np.random.default_rng(3)).fit(X0, Y0) for _ in range(2)
    )
    assert_array_equal(first.estimator_.coef_, second.estimator_.coef_)


def test_fit_forgets_all_tasks_before():
    once = logistic().fit(X0, Y0)
    again = logistic().fit(X1, Y1).partial_fit(X1, Y1).fit(X0, Y0)
    assert_array_equal(once.estimator_.coef_, again.estimator_.coef_)
    assert (again.tasks_seen_, again.rows_seen_) == (1, 200)
    assert_array_equal(again.history_.loss, once.history_.loss)


def test_partial_fit_is_also_the_first_task():
    fitted = logistic().fit(X0, Y0)
    begun = logistic().partial_fit(X0, Y0, classes=[1, 0])
    assert_array_equal(fitted.estimator_.coef_, begun.estimator_.coef_)


def test_labels_may_come_with_a_later_task():
    model = logistic(n_steps=300).partial_fit(X0, Y0, classes=[0, 1, 2])
    model.partial_fit(X0 + 20.0, np.full(200, 2))
    assert_array_equal(model.classes_, [0, 1, 2])
    assert_array_equal(model.predict(X0 + 20.0), 2)


def test_a_failing_task_leaves_the_learner_as_it_was(monkeypatch):
    model = network().fit(X0, Y0)
    before = pickle.dumps(vars(model))
    failing_after(monkeypatch, MLPClassifier, 7)
    with pytest.raises(Interrupted):
        model.partial_fit(X1, Y1)
    assert pickle.dumps(vars(model)) == before


class Interrupted(Exception):
    pass


def failing_after(monkeypatch, cls, n_calls):
    original, count = cls.partial_fit, iter(range(10**9))

    def partial_fit(self, *args, **options):
        if next(count) >= n_calls:
            raise Interrupted
        return original(self, *args, **options)

    monkeypatch.setattr(cls, "partial_fit", partial_fit)


# ------------------------------------------------------------------------------ buffer
def test_buffer_keeps_all_rows_in_their_order():
    model = recorded(n_steps=40).fit(*numbered(30, 0)).partial_fit(*numbered(50, 1))
    assert_array_equal(model.buffer_task_, np.repeat([0, 1], [30, 50]))
    assert_array_equal(model.buffer_X_[:, 0], np.r_[np.arange(30), np.arange(50)])
    assert_array_equal(
        model.buffer_X_[:, 0] + 1000 * model.buffer_task_, model.buffer_y_
    )
    assert model.buffer_weight_ is None


def test_buffer_does_not_share_memory_with_the_data():
    X, y = numbered(30, 0)
    model = recorded(n_steps=4).fit(X, y)
    X[:] = -1.0
    assert (model.buffer_X_ >= 0.0).all()


def test_reservoir_keeps_its_size_and_the_shares_of_tasks():
    model = recorded(buffer="reservoir", buffer_size=400, n_steps=40)
    model.fit(*numbered(1000, 0)).partial_fit(*numbered(3000, 1))
    assert model.buffer_X_.shape == (400, 2)
    assert model.rows_seen_ == 4000
    # 100 expected, standard deviation 8
    assert 70 <= np.sum(model.buffer_task_ == 0) <= 130
    assert_array_equal(model.buffer_X_[:, 1], model.buffer_task_)


@pytest.mark.parametrize("before", [None, 40, 10], ids=["all", "larger", "smaller"])
def test_buffer_may_change_between_tasks(before):
    kind = "all" if before is None else "reservoir"
    model = recorded(buffer=kind, buffer_size=before, n_steps=10)
    model.fit(*numbered(200, 0))
    model.set_params(buffer="reservoir", buffer_size=20).partial_fit(*numbered(50, 1))
    rows = np.unique(model.buffer_X_, axis=0)
    assert len(rows) == len(model.buffer_y_) <= 20
    assert (model.rows_seen_, model.tasks_seen_) == (250, 2)
    model.set_params(buffer="all", buffer_size=None).partial_fit(*numbered(30, 2))
    assert len(model.buffer_y_) == len(rows) + 30


def test_buffer_that_cannot_be_kept_leaves_the_learner_as_it_was(monkeypatch):
    model = recorded(n_steps=10).fit(*numbered(30, 0))
    before = pickle.dumps(vars(model))

    def fail(*arguments):
        raise MemoryError

    monkeypatch.setattr("statlearn.continual.continual_learner.joined", fail)
    with pytest.raises(MemoryError):
        model.partial_fit(*numbered(30, 1))
    assert pickle.dumps(vars(model)) == before


def test_tasks_that_left_the_reservoir_have_no_loss():
    model = recorded(buffer="reservoir", buffer_size=1, n_steps=60)
    for task in range(4):
        model.partial_fit(*numbered(50, task))
    last = model.history_.after_tasks()[3]
    assert np.isnan(last[:3]).sum() >= 2
    assert np.isfinite(last[3])


# ------------------------------------------------------------------ the outside of it
def test_classifier_delegates_what_it_has():
    model = logistic().fit(X0, Y0)
    assert is_classifier(model)
    assert not is_regressor(model)
    for method in ("predict", "predict_proba", "predict_log_proba"):
        expected = getattr(model.estimator_, method)(X0)
        assert_array_equal(getattr(model, method)(X0), expected)
    assert model.score(X0, Y0) == model.estimator_.score(X0, Y0)
    weight = np.arange(200.0)
    assert model.score(X0, Y0, weight) == model.estimator_.score(X0, Y0, weight)
    assert_array_equal(model.classes_, [0, 1])


def test_methods_that_the_estimator_lacks_are_not_there():
    model = ContinualLearner(SGDRegressor())
    assert is_regressor(model)
    for method in ("predict_proba", "predict_log_proba", "decision_function"):
        assert not hasattr(model, method)
    assert not hasattr(ContinualLearner(SGDClassifier()), "predict_proba")


def test_perceptron_is_driven_too():
    model = ContinualLearner(Perceptron(random_state=0), n_steps=60, random_state=0)
    model.fit(X0, Y0)
    assert model.score(X0, Y0) > 0.9
    assert model.estimator_.eta0 == pytest.approx(0.1)


def test_regressors_learn_a_line():
    X = np.random.default_rng(0).normal(size=(200, 5))
    y = X @ [1.0, -2.0, 0.0, 3.0, 0.5] + 1.0
    model = ContinualLearner(SGDRegressor(random_state=0), random_state=0).fit(X, y)
    assert_allclose(model.estimator_.coef_, [1.0, -2.0, 0.0, 3.0, 0.5], atol=0.05)


def test_strings_and_frames_are_data_too():
    frame = pd.DataFrame(X0, columns=list("abcde"))
    names = pd.Series(np.where(Y0, "yes", "no"))
    model = logistic().fit(frame, names).partial_fit(frame, names)
    assert list(model.feature_names_in_) == list("abcde")
    assert set(model.predict(frame)) == {"yes", "no"}
    plain = logistic().fit(X0, Y0).partial_fit(X0, Y0)
    assert_array_equal(model.estimator_.coef_, plain.estimator_.coef_)
    with pytest.raises(ValueError, match="feature names"):
        model.partial_fit(frame[list("edcba")], names)


def test_sparse_rows_are_those_of_dense_ones():
    dense = network().fit(X0, Y0).partial_fit(X1, Y1)
    table = network().fit(sparse.csr_array(X0), Y0)
    table.partial_fit(sparse.coo_array(X1), Y1)
    assert_allclose(table.predict_proba(X0), dense.predict_proba(X0), rtol=1e-6)
    assert table.buffer_X_.format == "csr"


def test_float32_stays_float32():
    model = network().fit(X0.astype(np.float32), Y0)
    assert model.estimator_.coefs_[0].dtype == np.float32
    assert model.buffer_X_.dtype == np.float32


@pytest.mark.parametrize("make", [network, logistic], ids=["network", "sgd"])
def test_later_tasks_have_the_float_type_of_the_first(make):
    X0_32, X1_32 = X0.astype(np.float32), X1.astype(np.float32)
    mixed = make().fit(X0_32, Y0).partial_fit(X1_32.astype(np.float64), Y1)
    alike = make().fit(X0_32, Y0).partial_fit(X1_32, Y1)
    assert mixed.buffer_X_.dtype == np.float32
    assert_array_equal(mixed.predict_proba(X0_32), alike.predict_proba(X0_32))
    double = make().fit(X0, Y0).partial_fit(X1_32, Y1)
    assert double.buffer_X_.dtype == np.float64


def test_grid_search_and_pipelines_take_it():
    pipe = make_pipeline(StandardScaler(), logistic())
    grid = {
        "continuallearner__estimator__alpha": [1e-4, 1e-2],
        "continuallearner__eta_max": [0.01, 0.1],
    }
    search = GridSearchCV(pipe, grid, cv=2).fit(X0, Y0)
    assert search.best_score_ > 0.9


def test_metadata_routing_takes_the_weights_here():
    weight = np.where(np.arange(200) < 120, 1.0, 0.0)
    with config_context(enable_metadata_routing=True):
        model = logistic().set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=True)
        found = cross_validate(
            model,
            X0,
            Y0,
            params={"sample_weight": weight},
            cv=2,
            return_estimator=True,
        )
    seen = [fitted.rows_seen_ for fitted in found["estimator"]]
    assert sum(seen) == 120


def test_clone_and_pickle_keep_what_they_should():
    model = network(schedule=Cosine(0.01)).fit(X0, Y0)
    assert not hasattr(clone(model), "estimator_")
    loaded = pickle.loads(pickle.dumps(model))
    assert_array_equal(loaded.predict_proba(X0), model.predict_proba(X0))
    loaded.partial_fit(X1, Y1)
    model.partial_fit(X1, Y1)
    assert_array_equal(loaded.predict_proba(X0), model.predict_proba(X0))


def test_inputs_stay_as_they_are():
    inner = SGDClassifier(random_state=0)
    weight = np.ones(200)
    before = X0.copy(), Y0.copy()
    ContinualLearner(inner, n_steps=10).fit(X0, Y0, weight).partial_fit(X0, Y0)
    assert_array_equal(X0, before[0])
    assert_array_equal(Y0, before[1])
    assert_array_equal(weight, 1.0)
    assert inner.get_params() == SGDClassifier(random_state=0).get_params()


# --------------------------------------------------------------------------- bad input
@pytest.mark.parametrize(
    ("model", "options", "error", "message"),
    [
        (ContinualLearner(Ridge()), {}, TypeError, "must have partial_fit. Got Ridge"),
        (
            ContinualLearner(LogisticRegression()),
            {},
            TypeError,
            "must have partial_fit. Got LogisticRegression.*; pass for example",
        ),
        (
            ContinualLearner(MLPClassifier(solver="lbfgs")),
            {},
            TypeError,
            "must have partial_fit",
        ),
        (
            ContinualLearner(GaussianNB()),
            {},
            TypeError,
            r"set_learning_rate\(eta\).* Got GaussianNB.*; add the method",
        ),
        (
            ContinualLearner(Recorder()),
            {},
            ValueError,
            "'eta_max' of .* must be given .* Got None for Recorder; pass",
        ),
        (logistic(buffer="reservoir"), {}, ValueError, "'buffer_size' .* Got None; p"),
        (
            logistic(buffer_size=9),
            {},
            ValueError,
            "'buffer_size' .* Got 9; pass",
        ),
        (logistic(replay_fraction=1.0), {}, ValueError, "'replay_fraction' parameter"),
        (logistic(schedule="cosin"), {}, ValueError, "'schedule' parameter"),
        (logistic(batch_size=0), {}, ValueError, "'batch_size' parameter"),
        (logistic(eta_min_ratio=1.5), {}, ValueError, "'eta_min_ratio' parameter"),
        (logistic(warmup=60), {}, ValueError, "expected warmup < n_steps.* Got 60"),
        (logistic(warmup=1.5), {}, ValueError, "'warmup' .* Got 1.5; write steps"),
        (
            logistic(schedule=lambda step: -0.1),
            {},
            ValueError,
            "'schedule' .* finite number >= 0 .* Got -0.1; correct",
        ),
        (logistic(schedule=lambda step: np.nan), {}, ValueError, "Got nan; correct"),
        (
            logistic(),
            {"sample_weight": -np.ones(200)},
            ValueError,
            "'sample_weight' parameter of ContinualLearner",
        ),
        (logistic(), {"sample_weight": np.zeros(200)}, ValueError, "not all of them"),
    ],
)
def test_bad_use_says_what_to_do(model, options, error, message):
    with pytest.raises(error, match=message):
        model.fit(X0, Y0, **options)


def test_first_call_of_partial_fit_needs_the_classes():
    with pytest.raises(ValueError, match=r"'classes' of .* Got None; list all"):
        logistic().partial_fit(X0, Y0)
    ContinualLearner(SGDRegressor(), n_steps=5).partial_fit(X0, X0[:, 0])


def test_other_classes_later_are_refused():
    model = logistic().fit(X0, Y0)
    with pytest.raises(ValueError, match=r"those of the first task.*; pass None"):
        model.partial_fit(X1, Y1, classes=[0, 1, 2])
    model.partial_fit(X1, Y1, classes=[1, 0])


@pytest.mark.parametrize("make", [logistic, network])
def test_labels_that_are_no_class_are_refused(make):
    model = make().fit(X0, Y0)
    with pytest.raises(ValueError, match=r"among the classes \[0, 1\]. Got also \[2\]"):
        model.partial_fit(X1, Y1 + 1)


def test_weights_for_an_estimator_that_takes_none_are_refused():
    class Plain(Recorder):
        def partial_fit(self, X, y):
            return super().partial_fit(X, y)

    model = ContinualLearner(Plain(), eta_max=0.1, n_steps=4)
    X, y = numbered(30, 0)
    model.fit(X, y)
    with pytest.raises(TypeError, match=r"'sample_weight' .* for Plain; drop"):
        model.fit(X, y, sample_weight=np.ones(30))


def test_another_number_of_features_is_refused():
    model = logistic().fit(X0, Y0)
    with pytest.raises(ValueError, match="X has 4 features"):
        model.partial_fit(X0[:, :4], Y0)
