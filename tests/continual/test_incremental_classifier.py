"""A classifier of classes that nobody announced, as the outside sees it."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.callback import ScoringMonitor
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.preprocessing import FunctionTransformer

from aligning_cases import digits_in_steps
from class_steps import STEPS, X, Y, assert_same, learnt, state_of
from statlearn.continual import IncrementalClassifier, align_weights, herding

NAMES = np.array(["fox", "ant", "emu", "bee", "cat", "dog"])


# ---------------------------------------------------------------------------- the steps
def test_classes_that_nobody_announced_are_learnt():
    model = learnt()
    assert_array_equal(model.classes_, np.arange(6))
    for found, expected in zip(model.step_classes_, STEPS, strict=True):
        assert_array_equal(found, np.sort(expected))
    assert (model.n_steps_, model.coef_.shape) == (3, (6, 6))
    assert model.score(X, Y) > 0.9


def test_words_are_labels_and_their_probabilities_are_sorted_as_scorers_expect():
    model = learnt(labels=NAMES[Y])
    assert_array_equal(model.classes_, np.sort(NAMES))
    proba = model.predict_proba(X)
    assert_allclose(proba.sum(axis=1), 1.0)
    assert log_loss(NAMES[Y], proba) < 0.5
    assert_array_equal(model.predict(X), NAMES[learnt().predict(X)])


def test_a_step_is_the_fit_to_new_rows_and_memory_with_new_weights_aligned():
    before = learnt(STEPS[:2])
    where = np.isin(Y, STEPS[2])
    rows = np.vstack([before.memory_X_, X[where]])
    labels = np.r_[before.memory_y_, Y[where]]
    peer = LogisticRegression(
        C=1.0 / (1e-2 * len(labels)), fit_intercept=False, tol=1e-9, max_iter=1000
    ).fit(rows, labels)
    expected, gamma = align_weights(peer.coef_, np.isin(peer.classes_, [4, 1, 0, 5]))
    after = learnt(STEPS[:2]).set_params(alpha=1e-2, tol=1e-8)
    after.partial_fit(X[where], Y[where])
    assert gamma < 0.9
    assert after.gamma_[-1] == pytest.approx(gamma, rel=1e-5)
    assert_allclose(after.coef_, expected, atol=1e-5)


def test_without_aligning_the_factor_is_one():
    model = learnt(align=False)
    assert model.gamma_ == [1.0, 1.0, 1.0]
    aligned = learnt()
    assert aligned.gamma_[0] == 1.0
    assert max(aligned.gamma_[1:]) < 1.0


def test_norm_of_aligning_is_an_option():
    assert learnt(p=1).gamma_[1] != learnt(p=2).gamma_[1]
    assert learnt(p=np.inf).gamma_[1] < 1.0


def test_fit_begins_anew_and_is_the_first_step():
    where = np.isin(Y, STEPS[0])
    again = learnt(random_state=0).fit(X[where], Y[where])
    assert_same(again, learnt(STEPS[:1]))
    assert (again.n_steps_, len(again.step_classes_)) == (1, 1)


def test_a_step_without_new_classes_aligns_nothing():
    model = learnt()
    where = np.isin(Y, [1, 2])
    model.partial_fit(X[where], Y[where])
    assert model.gamma_[-1] == 1.0
    assert len(model.step_classes_[-1]) == 0
    assert model.n_steps_ == 4
    assert_array_equal(model.classes_, np.arange(6))


def test_old_and_new_classes_may_come_together():
    model = learnt(STEPS[:1])
    where = np.isin(Y, [1, 2])
    model.partial_fit(X[where], Y[where])
    assert_array_equal(model.classes_, [1, 2, 4])
    assert_array_equal(model.step_classes_[1], [2])


def test_one_class_is_learnt_and_others_after_it():
    model = learnt([[3]])
    assert_array_equal(model.predict(X), np.full(len(X), 3))
    assert model.decision_function(X).shape == (240, 1)
    assert_array_equal(model.predict_proba(X), np.ones((240, 1)))
    model = learnt([[3], [1], [0, 2]])
    assert model.gamma_[1] == pytest.approx(1.0)  # two opposite rows
    where = Y < 4
    assert model.score(X[where], Y[where]) > 0.9


def test_two_classes_have_one_score_whose_sign_decides():
    model = learnt(STEPS[:1], labels=NAMES[Y])
    score = model.decision_function(X)
    assert score.shape == (240,)
    assert_array_equal(model.predict(X), model.classes_[(score > 0).astype(int)])


def test_announced_classes_are_a_check_and_nothing_else():
    where = np.isin(Y, STEPS[0])
    model = IncrementalClassifier(memory_size=30, random_state=0)
    model.partial_fit(X[where], Y[where], classes=range(6))
    assert_same(model, learnt(STEPS[:1]))
    with pytest.raises(
        ValueError, match=r"among classes, \[1\]. Got also \[4\]; leave"
    ):
        model.partial_fit(X[where], Y[where], classes=[1])


# --------------------------------------------------------------------------- the memory
def test_exemplars_are_those_of_herding_and_shrink_from_the_end():
    model = learnt(STEPS[:1])
    for label in STEPS[0]:
        rows = X[label == Y]
        kept = model.memory_X_[model.memory_y_ == label]
        assert_array_equal(kept, rows[herding(rows, 15)])
    later = learnt()
    for label in STEPS[0]:
        kept = model.memory_X_[model.memory_y_ == label]
        assert_array_equal(later.memory_X_[later.memory_y_ == label], kept[:5])


def test_exemplars_are_chosen_by_their_features():
    model = learnt(STEPS[:1], backbone="random", n_components=20)
    rows = X[Y == 4]
    phi = model.backbone_.transform(rows)
    kept = model.memory_X_[model.memory_y_ == 4]
    assert_array_equal(kept, rows[herding(phi, 15)])


def test_random_exemplars_follow_the_seed():
    first, second = (learnt(selection="random", random_state=s) for s in (0, 0))
    assert_same(first, second)
    other = learnt(selection="random", random_state=1)
    assert not np.array_equal(first.memory_X_, other.memory_X_)


def test_a_smaller_memory_holds_from_the_next_step():
    model = learnt().set_params(memory_size=12)
    where = np.isin(Y, [0])
    model.partial_fit(X[where], Y[where])
    assert len(model.memory_y_) == 12


@pytest.mark.parametrize("head_init", ["reset", "copy"])
def test_without_a_memory_old_classes_are_lost_unless_weights_are_held(head_init):
    model = learnt(memory_size=0, head_init=head_init, alpha=1e-3)
    assert model.memory_X_.shape == (0, 6)
    old = np.isin(Y, STEPS[0])
    assert (model.score(X[old], Y[old]) < 0.5) == (head_init == "reset")


def test_aligning_keeps_more_of_old_classes():
    (rows, labels), (tests, truth), steps = digits_in_steps(0)
    scores = {}
    for align in (True, False):
        model = IncrementalClassifier(memory_size=50, align=align)
        for classes in steps:
            where = np.isin(labels, classes)
            model.partial_fit(rows[where], labels[where])
        scores[align] = model.score_steps(tests, truth)
    assert scores[True].old > scores[False].old + 0.03
    assert scores[True].new > scores[False].new - 0.02


# -------------------------------------------------------------------------- the options
def test_clipped_weights_are_not_negative():
    assert learnt(clip_weights=True).coef_.min() >= 0.0
    assert learnt().coef_.min() < 0.0


def test_clipped_weights_without_a_memory_have_nothing_to_align_to():
    model = learnt(rows=np.abs(X), clip_weights=True, memory_size=0)
    assert model.gamma_ == [1.0] * 3


def test_copied_weights_stay_nearer_to_those_before():
    before, where = learnt(STEPS[:2], align=False), np.isin(Y, STEPS[2])
    old = np.isin(np.arange(6), before.classes_)
    away = {}
    for head_init in ("reset", "copy"):
        model = learnt(STEPS[:2], align=False, alpha=1e-2)
        model.set_params(head_init=head_init)
        start = model.coef_
        model.partial_fit(X[where], Y[where])
        away[head_init] = np.linalg.norm(model.coef_[old] - start)
    assert away["copy"] < 0.9 * away["reset"]


def test_distillation_holds_probabilities_of_old_classes():
    def moved(**options):
        before, after = (learnt(s, align=False, **options) for s in (STEPS[:2], STEPS))
        rows = X[np.isin(Y, STEPS[2])]
        old = np.isin(after.classes_, before.classes_)
        logits = after.decision_function(rows)[:, old]
        kept = np.exp(logits / 2) / np.exp(logits / 2).sum(axis=1, keepdims=True)
        first = before.decision_function(rows)
        first = np.exp(first / 2) / np.exp(first / 2).sum(axis=1, keepdims=True)
        return np.abs(kept - first).mean()

    assert moved(distillation=True) < 0.3 * moved()


def test_balanced_classes_are_weights_of_the_fit():
    before, where = learnt(STEPS[:2]), np.isin(Y, STEPS[2])
    rows = np.vstack([before.memory_X_, X[where]])
    labels = np.r_[before.memory_y_, Y[where]]
    peer = LogisticRegression(
        C=1.0 / (1e-2 * len(labels)),
        fit_intercept=False,
        class_weight="balanced",
        tol=1e-9,
        max_iter=1000,
    ).fit(rows, labels)
    before.set_params(balance_classes=True, align=False, alpha=1e-2, tol=1e-8)
    before.partial_fit(X[where], Y[where])
    assert_allclose(before.coef_, peer.coef_, atol=1e-5)


@pytest.mark.parametrize("align_bias", ["keep", "scale", "zero"])
def test_intercepts_are_aligned_as_asked(align_bias):
    model = learnt(fit_intercept=True, align_bias=align_bias)
    plain = learnt(STEPS[:2], fit_intercept=True, align_bias=align_bias)
    plain.set_params(align=False)
    where = np.isin(Y, STEPS[2])
    plain.partial_fit(X[where], Y[where])
    new = np.isin(np.arange(6), STEPS[2])
    factor = {"keep": 1.0, "scale": np.where(new, model.gamma_[-1], 1.0), "zero": 0.0}
    assert_allclose(model.intercept_, plain.intercept_ * factor[align_bias], rtol=1e-10)
    assert np.abs(plain.intercept_).max() > 0.0


def test_a_penalty_holds_intercepts_too():
    weak, strong = (learnt(fit_intercept=True, alpha=a) for a in (1e-4, 10.0))
    assert np.abs(strong.intercept_).max() < 0.1 * np.abs(weak.intercept_).max()


def test_too_few_iterations_warn():
    message = r"expected to converge to tol=1e-05. Got no further in 2 of max_iter=2"
    with pytest.warns(ConvergenceWarning, match=message):
        IncrementalClassifier(max_iter=2).fit(X, Y)


# ------------------------------------------------------------------------ kinds of rows
@pytest.mark.parametrize("backbone", [None, "random"])
@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.coo_matrix])
def test_sparse_rows_give_the_same_model(backbone, kind):
    dense = learnt(backbone=backbone, alpha=0.01, tol=1e-8)
    model = IncrementalClassifier(backbone, memory_size=30, random_state=0)
    model.set_params(alpha=0.01, tol=1e-8)
    for classes in STEPS:
        where = np.isin(Y, classes)
        model.partial_fit(kind(X[where]), Y[where])
    assert sparse.issparse(model.memory_X_)
    assert_allclose(model.memory_X_.toarray(), dense.memory_X_)
    assert_allclose(model.coef_, dense.coef_, atol=1e-5)
    assert_allclose(model.predict_proba(kind(X)), dense.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("backbone", [None, "random"])
def test_float32_rows_give_float32_results(backbone):
    model = learnt(rows=X.astype(np.float32), backbone=backbone)
    for array in (*state_of(model)[:3], model.predict_proba(X.astype(np.float32))):
        assert array.dtype == np.float32
    other = learnt(backbone=backbone)
    assert_allclose(model.coef_, other.coef_, rtol=0.05, atol=0.05)


@pytest.mark.parametrize(
    "frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"]
)
def test_frames_are_read_and_their_names_kept(frame):
    table = frame(dict(zip("abcdef", X.T, strict=True)))
    model = IncrementalClassifier(memory_size=30).fit(table, Y)
    assert_array_equal(model.feature_names_in_, list("abcdef"))
    assert_array_equal(
        model.predict(table), IncrementalClassifier().fit(X, Y).predict(X)
    )


# ------------------------------------------------------------------------------ weights
def test_integer_weights_are_repeated_rows_in_a_first_step():
    weight = np.random.default_rng(0).integers(0, 4, len(Y))
    repeated = np.repeat(np.arange(len(Y)), weight)
    for backbone in (None, "random"):
        options = {"backbone": backbone, "random_state": 0, "alpha": 0.01, "tol": 1e-9}
        first = IncrementalClassifier(**options).fit(X, Y, weight)
        second = IncrementalClassifier(**options).fit(X[repeated], Y[repeated])
        assert_allclose(first.coef_, second.coef_, atol=1e-6)


def test_weights_stay_with_exemplars():
    weight = np.where(Y == 4, 10.0, 1.0)
    model = IncrementalClassifier(memory_size=30)
    for classes in STEPS[:2]:
        where = np.isin(Y, classes)
        model.partial_fit(X[where], Y[where], sample_weight=weight[where])
    plain = learnt(STEPS[:2])
    assert not np.allclose(model.coef_, plain.coef_, rtol=0.01)


def test_a_class_without_weight_is_not_learnt():
    weight = (Y < 5).astype(float)
    model = IncrementalClassifier().fit(X, Y, weight)
    assert_array_equal(model.classes_, np.arange(5))


# -------------------------------------------------------------------------- persistence
@pytest.mark.parametrize("selection", ["herding", "random"])
@pytest.mark.parametrize("backbone", [None, "random"])
def test_a_pickled_model_goes_on_in_the_same_way(selection, backbone):
    model = learnt(STEPS[:2], selection=selection, backbone=backbone)
    copy = pickle.loads(pickle.dumps(model))
    where = np.isin(Y, STEPS[2])
    for each in (model, copy):
        each.partial_fit(X[where], Y[where])
    assert_same(model, copy)
    assert_same(model, learnt(selection=selection, backbone=backbone))


def test_a_step_that_fails_leaves_the_model_as_it_was():
    model = learnt(STEPS[:2], memory_size=5)
    before = pickle.dumps(state_of(model))
    where = np.isin(Y, STEPS[2])
    with pytest.raises(
        ValueError, match=r"'memory_size' .* at least .* 6, or 0. Got 5"
    ):
        model.partial_fit(X[where], Y[where])
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(X[where] * np.nan, Y[where])
    assert pickle.dumps(state_of(model)) == before
    assert model.n_steps_ == 2


def test_rows_and_labels_are_never_written():
    rows, labels = X.copy(), Y.copy()
    rows.flags.writeable = labels.flags.writeable = False
    model = learnt(rows=rows, labels=labels, backbone="random")
    held = model.memory_X_.copy()
    model.partial_fit(rows, labels)
    assert len(held) == len(model.memory_X_)


def test_a_clone_knows_nothing():
    assert not hasattr(clone(learnt()), "coef_")


# ---------------------------------------------------------------------- in scikit-learn
def test_searches_and_cross_validation_find_the_parameters():
    model = IncrementalClassifier("random", random_state=0)
    search = GridSearchCV(model, {"n_components": [1, 50]}, cv=3)
    assert search.fit(X, Y).best_params_ == {"n_components": 50}
    assert cross_val_score(IncrementalClassifier("random"), X, Y, cv=3).mean() > 0.85


def test_callbacks_hear_of_each_iteration_and_score_it():
    monitor = ScoringMonitor(scoring="neg_log_loss")
    model = IncrementalClassifier(memory_size=30).set_callbacks(monitor).fit(X, Y)
    scores = [row["neg_log_loss"] for row in monitor.get_logs().data]
    # The whole step comes first, then its iterations.
    assert len(scores) == 1 + model.n_iter_
    assert scores[1] < scores[-1]
    assert scores[-1] == pytest.approx(-log_loss(Y, model.predict_proba(X)))


class StopAfter:
    """Ask to stop after a number of iterations."""

    def __init__(self, n):
        self.n, self.seen = n, 0

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        self.seen += context.task_name == "block"
        return self.seen == self.n


def test_a_callback_may_end_a_step_early():
    model = IncrementalClassifier().set_callbacks(StopAfter(3)).fit(X, Y)
    assert model.n_iter_ == 3
    with pytest.warns(ConvergenceWarning):
        same = IncrementalClassifier(max_iter=3).fit(X, Y)
    assert_allclose(model.coef_, same.coef_)


# ------------------------------------------------------------------------------- scores
def test_scores_of_steps_are_those_of_their_rows():
    model = learnt(labels=NAMES[Y])
    scores = model.score_steps(X, NAMES[Y])
    own = model.predict(X)
    for step, classes in enumerate(STEPS):
        where = np.isin(Y, classes)
        assert scores.accuracy[step] == np.mean(own[where] == NAMES[Y[where]])
        assert scores.n_rows[step] == where.sum()
    assert scores.overall == model.score(X, NAMES[Y])
    assert_allclose(scores.confusion.sum(axis=1), 1.0)
    assert "emu" in scores.summary()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            [1, 9],
            r"'y' .*score_steps must hold labels among classes_, .* Got also \[9\]",
        ),
        ([1, 2, 3], r"'y' .*score_steps must have a label for each of 2 rows.* Got 3"),
        ([1, np.nan], r"'y' .*score_steps must hold a label in every row"),
    ],
    ids=["unknown", "more", "missing"],
)
def test_labels_that_cannot_be_scored_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        learnt().score_steps(X[:2], labels)


def test_scores_need_a_model():
    with pytest.raises(NotFittedError):
        IncrementalClassifier().score_steps(X, Y)


# ---------------------------------------------------------------------------- bad input
def test_words_after_numbers_are_refused():
    with pytest.raises(
        ValueError, match=r"'y' of IncrementalClassifier .*; use words or"
    ):
        learnt().partial_fit(X, NAMES[Y])
    with pytest.raises(
        ValueError, match=r"labels like those before, such as \['ant'\]"
    ):
        learnt(labels=NAMES[Y]).partial_fit(X, Y)


def test_more_classes_than_exemplars_are_refused():
    with pytest.raises(
        ValueError, match=r"'memory_size' of IncrementalClassifier .*; al"
    ):
        IncrementalClassifier(memory_size=5).fit(X, Y)


@pytest.mark.parametrize("classes", [[], 3, "a", [[0, 1]]], ids=str)
def test_announced_classes_must_be_a_list(classes):
    message = r"'classes' of IncrementalClassifier.partial_fit must be a list of labels"
    with pytest.raises(ValueError, match=message):
        IncrementalClassifier().partial_fit(X, Y, classes=classes)


@pytest.mark.parametrize(
    "classes", [[], [0, None], 3], ids=["none", "missing", "number"]
)
def test_announced_classes_that_are_no_list_are_refused(classes):
    with pytest.raises(ValueError, match=r"'classes' of IncrementalClassifier.partial"):
        IncrementalClassifier().partial_fit(X, Y, classes=classes)


@pytest.mark.parametrize(
    "options",
    [
        {"backbone": "relu"},
        {"backbone": LogisticRegression()},
        {"n_components": 0},
        {"memory_size": -1},
        {"selection": "all"},
        {"align": 2},
        {"p": 0.5},
        {"align_bias": None},
        {"head_init": "old"},
        {"temperature": 0.0},
        {"alpha": 0.0},
        {"tol": 0.0},
        {"max_iter": 0},
    ],
    ids=str,
)
def test_parameters_that_mean_nothing_are_refused(options):
    (name,) = options
    with pytest.raises(
        ValueError, match=rf"The '{name}' parameter of Incremental.* Got"
    ):
        IncrementalClassifier(**options).fit(X, Y)


# ------------------------------------------------------------------------ large numbers
HUGE = r"must be at most .* in size.* Got .*; divide the columns by their largest"


@pytest.mark.parametrize("backbone", ["random", None], ids=str)
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array], ids=["rows", "sparse"])
@pytest.mark.parametrize("size", [1e160, -1e300], ids=str)
def test_rows_whose_squares_overflow_are_refused(backbone, kind, size):
    model = IncrementalClassifier(backbone=backbone, random_state=0)
    with pytest.raises(ValueError, match=f"The numbers of the 'X' .* {HUGE}"):
        model.fit(kind(X * size), Y)
    model.fit(kind(X), Y)
    for act in (model.predict, lambda rows: model.partial_fit(rows, Y)):
        with pytest.raises(ValueError, match=f"The numbers of the 'X' .* {HUGE}"):
            act(kind(X * size))


def test_rows_whose_squares_overflow_in_their_type_are_refused():
    with pytest.raises(ValueError, match=HUGE):
        IncrementalClassifier().fit(X.astype(np.float32) * np.float32(1e30), Y)


def test_features_whose_squares_overflow_are_refused():
    model = IncrementalClassifier(backbone=FunctionTransformer(lambda X: 1e200 * X))
    with pytest.raises(ValueError, match=f"The numbers of the 'backbone' .* {HUGE}"):
        model.fit(X, Y)


@pytest.mark.parametrize("size", [1e100, 1e-100], ids=str)
def test_rows_of_other_sizes_give_the_same_labels(size):
    options = {"backbone": None, "alpha": 1e-300, "max_iter": 5, "tol": 1e300}
    model = IncrementalClassifier(**options).fit(X * size, Y)
    same = IncrementalClassifier(**options).fit(X, Y)
    assert_array_equal(model.predict(X * size), same.predict(X))


def test_half_precision_features_are_features():
    half = FunctionTransformer(lambda X: X.astype(np.float16))
    assert IncrementalClassifier(backbone=half).fit(X, Y).coef_.dtype == np.float16


def test_missing_numbers_are_left_to_the_backbone():
    rows = np.full_like(X, np.nan)
    fill = SimpleImputer(strategy="constant", fill_value=1.0, keep_empty_features=True)
    model = IncrementalClassifier(backbone=fill).fit(rows, Y)
    assert_allclose(model.predict_proba(rows[:1]).sum(), 1.0)
