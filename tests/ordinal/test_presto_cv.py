"""The search: folds, scores, choice, and what scikit-learn builds around it."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.metrics import accuracy_score, get_scorer, log_loss
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    ShuffleSplit,
    StratifiedKFold,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ordinal_oracle import random_problem
from statlearn.exceptions import EmptyClassWarning, RareClassWarning
from statlearn.ordinal import PrestoClassifier, PrestoClassifierCV, presto_path

TOL = 1e-10
PROBLEM = random_problem(6, n=120, alpha=0.01)
X, Y = PROBLEM.X, PROBLEM.y
N = len(Y)
WEIGHT = np.random.default_rng(0).uniform(0.2, 3.0, N)
FOLDS = StratifiedKFold(3)
WORDS = np.array(["poor", "fair", "good", "best"])  # not in alphabetical order


def search(**options):
    return PrestoClassifierCV(**({"n_alphas": 4, "cv": FOLDS, "tol": TOL} | options))


def log_loss_of(proba, y, weight):
    # a class whose boundaries cross scores as the smallest probability does
    own = np.maximum(proba[np.arange(len(y)), y], np.finfo(float).eps)
    return np.average(np.log(own), weights=weight)


def brier_of(proba, y, weight):
    return -np.average(((proba - np.eye(4)[y]) ** 2).sum(axis=1), weights=weight)


class Scripted:
    """A scorer that gives prepared numbers: fold by fold, strongest penalty first."""

    def __init__(self, table):
        self.numbers = iter(np.asarray(table).T.ravel())

    def __call__(self, estimator, X, y):
        return next(self.numbers)


def by_script(table, **options):
    table = np.asarray(table, dtype=float)
    n_alphas, n_folds = table.shape
    model = search(scoring=Scripted(table), n_alphas=n_alphas, cv=n_folds, **options)
    return model.fit(X, Y)


# ------------------------------------------------------------------------------- scores
@pytest.mark.parametrize(
    ("scoring", "score"), [("neg_log_loss", log_loss_of), ("neg_brier", brier_of)]
)
@pytest.mark.parametrize(
    "options", [{}, {"family": "sratio", "l1_ratio": 0.5}, {"reverse": True}]
)
@pytest.mark.slow
def test_scores_are_those_of_single_fits_on_the_folds(scoring, score, options):
    # columns of very different spread in the folds: standardising is redone in each
    table = X * np.where(np.arange(N) % 3 == 0, 10.0, 1.0)[:, None]
    model = search(scoring=scoring, **options).fit(table, Y, WEIGHT)
    assert model.scores_.shape == (4, 3)
    for f, (train, test) in enumerate(FOLDS.split(table, Y)):
        for a, alpha in enumerate(model.alphas_):
            fold = PrestoClassifier(alpha, tol=TOL, **options)
            fold.fit(table[train], Y[train], WEIGHT[train])
            expected = score(fold.predict_proba(table[test]), Y[test], WEIGHT[test])
            assert_allclose(model.scores_[a, f], expected, atol=1e-6)


@pytest.mark.parametrize("name", ["neg_log_loss", "accuracy", "roc_auc_ovr"])
@pytest.mark.slow
def test_scorers_of_scikit_learn_score_the_held_out_rows(name):
    model = search(scoring=get_scorer(name)).fit(X, Y)
    for f, (train, test) in enumerate(FOLDS.split(X, Y)):
        fold = PrestoClassifier(model.alphas_[2], tol=TOL).fit(X[train], Y[train])
        expected = get_scorer(name)(fold, X[test], Y[test])
        assert_allclose(model.scores_[2, f], expected, atol=1e-6)
    by_name = search(scoring=name).fit(X, Y)
    assert_allclose(by_name.scores_, model.scores_, rtol=1e-10)


def test_own_log_loss_is_that_of_scikit_learn():
    own = search().fit(X, Y, WEIGHT)
    theirs = search(scoring=get_scorer("neg_log_loss")).fit(X, Y, WEIGHT)
    assert_allclose(own.scores_, theirs.scores_, rtol=1e-10)


@pytest.mark.parametrize("name", ["neg_log_loss", "neg_brier_score", "roc_auc_ovr"])
@pytest.mark.slow
def test_scorers_see_classes_that_are_not_in_alphabetical_order(name):
    # metrics of scikit-learn take columns to be sorted by label
    by_number = search(scoring=get_scorer(name)).fit(X, Y)
    by_word = search(scoring=get_scorer(name), categories=WORDS).fit(X, WORDS[Y])
    assert_allclose(by_word.scores_, by_number.scores_, rtol=1e-10)


def test_callable_gets_a_fitted_classifier_held_out_rows_and_labels():
    seen = []

    def score(estimator, X, y):
        seen.append((estimator.coef_.copy(), X, y))
        return accuracy_score(y, estimator.predict(X))

    model = search(scoring=score, n_alphas=2, categories=WORDS).fit(X, WORDS[Y])
    assert len(seen) == 6
    train, test = next(iter(FOLDS.split(X, Y)))
    coef, rows, labels = seen[1]
    assert_array_equal(rows, X[test])
    assert_array_equal(labels, WORDS[Y][test])
    fold = PrestoClassifier(model.alphas_[1], tol=TOL).fit(X[train], Y[train])
    assert_allclose(coef, fold.coef_, atol=1e-7)
    assert_allclose(model.scores_[1, 0], fold.score(X[test], Y[test]))


@pytest.mark.parametrize("scoring", ["accuracy", lambda e, X, y: e.score(X, y)])
def test_scoring_a_frame_does_not_warn_about_names(scoring):
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    model = search(scoring=scoring).fit(frame, Y)
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    assert_allclose(model.scores_, search(scoring=scoring).fit(X, Y).scores_)


# ------------------------------------------------------------------------------ weights
def test_weights_reach_scorers_that_take_them():
    got = []

    def weighted(estimator, X, y, sample_weight=None):
        got.append(sample_weight)
        return 0.0

    search(scoring=weighted, n_alphas=1).fit(X, Y, WEIGHT)
    expected = [WEIGHT[test] for _, test in FOLDS.split(X, Y)]
    for found, given in zip(got, expected, strict=True):
        assert_array_equal(found, given)


def test_named_scorer_is_weighted():
    model = search(scoring="accuracy").fit(X, Y, WEIGHT)
    train, test = next(iter(FOLDS.split(X, Y)))
    fold = PrestoClassifier(model.alphas_[3], tol=TOL)
    right = fold.fit(X[train], Y[train], WEIGHT[train]).predict(X[test]) == Y[test]
    assert_allclose(model.scores_[3, 0], np.average(right, weights=WEIGHT[test]))


def test_scorer_without_weights_is_called_without():
    model = search(scoring=lambda e, X, y: e.score(X, y)).fit(X, Y, WEIGHT)
    assert model.scores_.shape == (4, 3)


@pytest.mark.parametrize("scoring", ["neg_log_loss", "accuracy"])
def test_unit_weights_change_no_score(scoring):
    options = {"scoring": scoring, "class_weight": "balanced"}
    without = search(**options).fit(X, Y)
    with_ones = search(**options).fit(X, Y, np.ones(N))
    assert_allclose(without.scores_, with_ones.scores_, rtol=1e-12)


def test_common_factor_of_weights_changes_nothing():
    one, many = search().fit(X, Y, WEIGHT), search().fit(X, Y, 50 * WEIGHT)
    assert_allclose(one.scores_, many.scores_, rtol=1e-9)
    assert_allclose(one.coef_, many.coef_, atol=1e-8)


# ----------------------------------------------------------------------------- the grid
def test_grid_comes_from_all_rows():
    model = search(eps=0.05).fit(X, Y, WEIGHT)
    path = presto_path(X, Y, n_alphas=4, eps=0.05, sample_weight=WEIGHT, tol=TOL)
    assert_allclose(model.alphas_, path.alphas, rtol=1e-12)
    assert_allclose(model.coefs_path_, path.coefs, atol=1e-12)
    assert_allclose(model.intercepts_path_, path.intercepts, atol=1e-12)


def test_given_grid_is_used_from_strong_to_weak():
    model = search(alphas=[0.003, 0.1, 0.02]).fit(X, Y)
    assert_array_equal(model.alphas_, [0.1, 0.02, 0.003])
    assert model.scores_.shape == (3, 3)


# --------------------------------------------------------------------------- the choice
def test_min_takes_the_best_mean():
    model = by_script([[-4, -2], [-1, -2], [-3, -1], [-2, -2]])
    assert_allclose(model.scores_, [[-4, -2], [-1, -2], [-3, -1], [-2, -2]])
    assert_allclose(model.scores_mean_, [-3, -1.5, -2, -2])
    assert model.alpha_ == model.alphas_[1]


def test_ties_go_to_the_largest_alpha():
    model = by_script([[-3, -3], [-1, -2], [-2, -1], [-1, -2]])
    assert model.alpha_ == model.alphas_[1]
    assert by_script(np.zeros((4, 2))).alpha_ == model.alphas_[0]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        # best mean -1 at the third; standard error 0.5: the floor is -1.5
        ([[-2.0, -2.0], [-1.5, -1.5], [-1.5, -0.5], [-3.0, -3.0]], 1),
        ([[-1.4, -1.4], [-1.5, -1.5], [-1.5, -0.5], [-3.0, -3.0]], 0),
        ([[-2.0, -2.0], [-1.6, -1.6], [-1.5, -0.5], [-1.2, -1.2]], 2),
        # no spread at the best: only ties are within
        ([[-2.0, -2.0], [-1.0, -1.0], [-1.0, -1.0], [-3.0, 0.0]], 1),
    ],
)
def test_one_standard_error_takes_the_largest_alpha_above_the_floor(table, expected):
    model = by_script(table, selection="1se")
    assert model.alpha_ == model.alphas_[expected]


def test_standard_errors_are_of_the_mean_over_folds():
    model = by_script([[1, 2, 6], [0, 0, 0]])
    # squared deviations from 3: 4 + 1 + 9, over 2, over 3
    assert_allclose(model.scores_se_, [np.sqrt(14 / 2 / 3), 0.0])


def test_single_split_has_no_standard_error():
    model = search(cv=[(np.arange(40, N), np.arange(40))], selection="1se").fit(X, Y)
    assert model.scores_.shape == (4, 1)
    assert (model.scores_se_ == 0).all()
    assert model.alpha_ == model.alphas_[model.scores_[:, 0].argmax()]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"selection": "1se"},
        {"alphas": [0.05, 0.0]},
        {"family": "acat", "reverse": True, "l1_ratio": 0.7},
        {"constrain_train": True, "alphas": [0.004]},
    ],
)
def test_search_is_the_classifier_at_its_choice(options):
    model = search(**options).fit(X, Y, WEIGHT)
    shared = {k: options[k] for k in options if k not in ("selection", "alphas")}
    single = PrestoClassifier(model.alpha_, tol=TOL, **shared).fit(X, Y, WEIGHT)
    for name in ("coef_", "intercept_", "diff_coef_"):
        assert_allclose(getattr(model, name), getattr(single, name), atol=1e-6)
    for name in ("objective_", "loglik_", "null_loglik_"):
        assert_allclose(getattr(model, name), getattr(single, name), rtol=1e-8)
    assert model.kkt_ < 1e-8
    assert_allclose(model.predict_proba(X), single.predict_proba(X), atol=1e-6)
    chosen = np.flatnonzero(model.alphas_ == model.alpha_)[0]
    if "constrain_train" not in options:
        assert_allclose(model.coefs_path_[chosen], model.coef_, atol=1e-6)


# ---------------------------------------------------------------------- rare and absent
def with_rare_class(rows):
    y = np.minimum(Y, 2)
    y[list(rows)] = 3
    return y


def fold_that_holds_out(row, y):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")
        pairs = list(FOLDS.split(X, y))
    return next((f, *pair) for f, pair in enumerate(pairs) if row in pair[1])


@pytest.mark.parametrize("scoring", ["neg_log_loss", "neg_brier"])
def test_class_absent_from_a_fold_is_named_and_scored_finitely(scoring):
    y = with_rare_class([5])
    with pytest.warns(RareClassWarning, match=r"without class 3 \(in 1 of 3\)"):
        model = search(scoring=scoring).fit(X, y)
    assert np.isfinite(model.scores_).all()
    assert model.coef_.shape == (3, 3)
    assert (model.predict_proba(X)[:, 3] > 0).all()
    # the fold without the class gives it the smallest probability that is scored
    fold, train, test = fold_that_holds_out(5, y)
    rest = PrestoClassifier(model.alphas_[1], tol=TOL).fit(X[train], y[train])
    proba = np.column_stack([rest.predict_proba(X[test]), np.zeros(len(test))])
    if scoring == "neg_brier":
        expected = brier_of(proba, y[test], np.ones(len(test)))
    else:
        expected = -log_loss(y[test], proba, labels=[0, 1, 2, 3])
    assert_allclose(model.scores_[1, fold], expected, atol=1e-6)


def test_rare_class_is_named_as_the_user_wrote_it():
    with pytest.warns(RareClassWarning, match=r"without class 'best' \(in 1 of 3\)"):
        search(categories=WORDS).fit(X, WORDS[with_rare_class([5])])


def test_two_rare_rows_in_different_folds_are_in_every_training_part():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search().fit(X, with_rare_class([5, 60]))
    assert not caught


def test_declared_class_without_rows_is_said_once_for_all_folds():
    with pytest.warns(EmptyClassWarning, match=r"\[4\]") as caught:
        model = search(categories=[0, 1, 2, 3, 4]).fit(X, Y)
    assert len(caught) == 1
    assert_allclose(model.scores_, search().fit(X, Y).scores_, atol=1e-9)


# -------------------------------------------------------------------------------- folds
@pytest.mark.parametrize(
    "cv",
    [
        KFold(3, shuffle=True, random_state=0),
        ShuffleSplit(2, test_size=0.3, random_state=0),
        StratifiedKFold(2, shuffle=True, random_state=1),
    ],
)
def test_any_splitter_gives_the_folds(cv):
    model = search(cv=cv).fit(X, Y)
    pairs = search(cv=list(cv.split(X, Y))).fit(X, Y)
    assert_array_equal(model.scores_, pairs.scores_)
    assert model.scores_.shape[1] == cv.get_n_splits()


def test_integer_means_stratified_folds_in_order():
    by_number = search(cv=3).fit(X, Y)
    stratified = search(cv=StratifiedKFold(3)).fit(X, Y)
    assert_array_equal(by_number.scores_, stratified.scores_)


def test_pairs_may_be_generated_lists_or_masks():
    pairs = list(FOLDS.split(X, Y))
    expected = search(cv=pairs).fit(X, Y).scores_
    as_lists = [(train.tolist(), test.tolist()) for train, test in pairs]
    as_masks = [
        (np.isin(np.arange(N), train), np.isin(np.arange(N), test))
        for train, test in pairs
    ]
    for cv in (as_lists, as_masks, (pair for pair in pairs)):
        assert_array_equal(search(cv=cv).fit(X, Y).scores_, expected)


def test_pairs_count_the_rows_that_were_given():
    # rows of zero weight are left out, and must not shift the numbers of the others
    weight = WEIGHT.copy()
    weight[::4] = 0.0
    kept = np.flatnonzero(weight)
    pairs = list(KFold(3).split(X))
    wild = X.copy()
    wild[::4] = 1e6
    model = search(cv=pairs).fit(wild, Y, weight)
    position = {row: i for i, row in enumerate(kept)}
    without = [
        tuple([position[row] for row in part if row in position] for part in pair)
        for pair in pairs
    ]
    removed = search(cv=without).fit(X[kept], Y[kept], weight[kept])
    assert_allclose(model.scores_, removed.scores_, atol=1e-9)
    assert_allclose(model.coef_, removed.coef_, atol=1e-9)


def test_splitter_sees_the_rows_of_positive_weight_only():
    weight = np.ones(N)
    weight[:30] = 0.0
    model = search(cv=KFold(3)).fit(X, Y, weight)
    removed = search(cv=KFold(3)).fit(X[30:], Y[30:])
    assert_allclose(model.scores_, removed.scores_, atol=1e-9)


def test_copies_kept_together_equal_weights():
    weight = np.random.default_rng(3).integers(1, 4, N)
    rows = np.repeat(np.arange(N), weight)
    pairs = list(FOLDS.split(X, Y))
    copied = [tuple(np.flatnonzero(np.isin(rows, part)) for part in p) for p in pairs]
    weighted = search(cv=pairs).fit(X, Y, weight)
    repeated = search(cv=copied).fit(X[rows], Y[rows])
    assert_allclose(weighted.scores_, repeated.scores_, atol=1e-8)
    assert_allclose(weighted.coef_, repeated.coef_, atol=1e-7)


def test_sparse_rows_give_the_same_search():
    dense, thin = search().fit(X, Y), search().fit(sparse.csr_array(X), Y)
    assert_allclose(thin.scores_, dense.scores_, atol=1e-8)
    assert_allclose(thin.coef_, dense.coef_, atol=1e-6)


def test_ordered_categorical_keeps_its_order():
    labels = pd.Series(pd.Categorical(WORDS[Y], categories=WORDS, ordered=True))
    model = search().fit(X, labels)
    assert model.classes_.tolist() == WORDS.tolist()
    assert_allclose(model.scores_, search().fit(X, Y).scores_, rtol=1e-12)


# --------------------------------------------------------------- scikit-learn around it
def test_grid_search_over_the_classifier_finds_the_same_scores():
    alphas = [0.1, 0.02, 0.004]
    grid = GridSearchCV(
        PrestoClassifier(tol=TOL), {"alpha": alphas}, scoring="neg_log_loss", cv=FOLDS
    ).fit(X, Y)
    model = search(alphas=alphas).fit(X, Y)
    assert_allclose(grid.cv_results_["mean_test_score"], model.scores_mean_, atol=1e-6)
    assert grid.best_params_["alpha"] == model.alpha_
    assert_allclose(grid.best_estimator_.coef_, model.coef_, atol=1e-6)


def test_pipeline_hands_weights_to_its_last_step():
    pipe = make_pipeline(StandardScaler(), search())
    pipe.fit(X, Y, prestoclassifiercv__sample_weight=WEIGHT)
    alone = search().fit(StandardScaler().fit_transform(X), Y, WEIGHT)
    assert pipe[-1].alpha_ == alone.alpha_
    assert_allclose(pipe[-1].coef_, alone.coef_, atol=1e-10)


def test_pipeline_routes_weights_that_were_asked_for():
    with config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        model = search(scoring="accuracy").set_fit_request(sample_weight=True)
        pipe = make_pipeline(scaler, model).fit(X, Y, sample_weight=WEIGHT)
    alone = search(scoring="accuracy").fit(scaler.fit_transform(X), Y, WEIGHT)
    assert_array_equal(pipe[-1].scores_, alone.scores_)


def test_routing_refuses_weights_that_were_not_asked_for():
    with config_context(enable_metadata_routing=True):
        pipe = make_pipeline(search())
        with pytest.raises(Exception, match="sample_weight"):
            pipe.fit(X, Y, sample_weight=WEIGHT)


def test_nested_search_routes_weights_to_fit_and_score():
    model = search(n_alphas=2, cv=2)
    with config_context(enable_metadata_routing=True):
        model.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        grid = GridSearchCV(model, {"l1_ratio": [1.0, 0.5]}, cv=2)
        grid.fit(X, Y, sample_weight=WEIGHT)
        found = cross_validate(grid, X, Y, params={"sample_weight": WEIGHT}, cv=2)
    by_hand = clone(model).set_params(**grid.best_params_).fit(X, Y, WEIGHT)
    assert_array_equal(grid.best_estimator_.coef_, by_hand.coef_)
    assert np.isfinite(found["test_score"]).all()


def test_parameters_can_be_set_and_cloned():
    model = search(selection="1se").set_params(l1_ratio=0.5, alphas=[0.02])
    fresh = clone(model.fit(X, Y))
    assert fresh.get_params()["selection"] == "1se"
    assert fresh.get_params()["alphas"] == [0.02]
    assert not hasattr(fresh, "alpha_")
    assert_array_equal(fresh.fit(X, Y).coef_, model.coef_)


def test_search_fitted_twice_gives_the_same():
    model = search().fit(X, Y)
    scores = model.scores_
    assert_array_equal(model.fit(X, Y).scores_, scores)
    assert model.fit(X[:, :2], Y).coef_.shape == (3, 2)
