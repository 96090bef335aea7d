"""Bad input is refused in three parts: what was expected, what came, what to do."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import KFold

from ordinal_oracle import random_problem
from statlearn.exceptions import CrossingError, LabelOrderWarning
from statlearn.ordinal import PrestoClassifier, PrestoClassifierCV, presto_path

PROBLEM = random_problem(3, n=60, n_classes=3, alpha=0.01)
X, Y = PROBLEM.X, PROBLEM.y
WORDS = np.array(["low", "mid", "high"])
ONES = np.ones(len(Y))


def single(**options):
    return PrestoClassifier(**options).fit


def chosen(**options):
    return PrestoClassifierCV(n_alphas=2, cv=2, **options).fit


def path(**options):
    def fit(X, y, sample_weight=None):
        return presto_path(X, y, n_alphas=2, sample_weight=sample_weight, **options)

    return fit


every_way = pytest.mark.parametrize("way", [single, chosen, path])


def changed(values, at, value):
    out = np.array(values, dtype=float)
    out[at] = value
    return out


# --------------------------------------------------------------------------- parameters
@pytest.mark.parametrize(
    ("options", "expected", "came"),
    [
        ({"l1_ratio": -0.1}, r"'l1_ratio' .* in the range \[0.0, 1.0\]", "-0.1"),
        ({"l1_ratio": 1.5}, r"'l1_ratio' .* in the range \[0.0, 1.0\]", "1.5"),
        ({"l1_ratio": np.nan}, r"'l1_ratio' .* in the range \[0.0, 1.0\]", "nan"),
        ({"family": "probit"}, r"'family' .* among .*'cratio'", "'probit'"),
        ({"link": "log"}, r"'link' .* among .*'cloglog'", "'log'"),
        ({"monotone": "sort"}, r"'monotone' .* among .*'rearrange'", "'sort'"),
        ({"penalize_first": -1.0}, r"'penalize_first' .* range \[0.0, inf\)", "-1.0"),
        ({"categories": "low"}, r"'categories' .* array-like .*'auto'", "'low'"),
        ({"class_weight": "even"}, r"'class_weight' .* 'dict'.*'balanced'", "'even'"),
        ({"standardize": "yes"}, r"'standardize' .* 'bool'", "'yes'"),
        ({"reverse": "yes"}, r"'reverse' .* 'bool'", "'yes'"),
        ({"tol": -1.0}, r"'tol' .* range \[0.0, inf\)", "-1.0"),
        ({"max_iter": 0}, r"'max_iter' .* range \[1, inf\)", "0"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
@every_way
def test_parameter_outside_its_range_is_refused(way, options, expected, came):
    with pytest.raises(ValueError, match=rf"(?s){expected}.* Got {came} instead"):
        way(**options)(X, Y)


@pytest.mark.parametrize("alpha", [-1.0, -1e-12, np.inf, np.nan])
def test_alpha_outside_its_range_is_refused(alpha):
    pattern = rf"'alpha' .* range \[0.0, inf\). Got {alpha} instead"
    with pytest.raises(ValueError, match=pattern):
        PrestoClassifier(alpha).fit(X, Y)


@pytest.mark.parametrize(
    "factor",
    [
        [1.0, 1.0],
        [[1.0, 1.0, 1.0]],
        [1.0, -1.0, 1.0],
        [1.0, np.nan, 1.0],
        [np.inf, 1.0, 1.0],
        ["a", "b", "c"],
    ],
    ids=["short", "matrix", "negative", "NaN", "infinite", "words"],
)
@every_way
def test_wrong_penalty_factor_is_refused(way, factor):
    pattern = r"'penalty_factor' .* 3 finite numbers >= 0.* Got \[.*; use 1 for"
    with pytest.raises(ValueError, match=pattern):
        way(penalty_factor=factor)(X, Y)


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf, "a"])
@every_way
def test_wrong_class_weight_is_refused(way, value):
    with pytest.raises(ValueError, match=r"'class_weight' .* >= 0.* Got \{1: .*; use"):
        way(class_weight={1: value})(X, Y)


@every_way
def test_class_weight_of_an_unknown_class_is_refused(way):
    pattern = r"'class_weight' .* among \[0, 1, 2\]. Got also \[7\]; correct"
    with pytest.raises(ValueError, match=pattern):
        way(class_weight={0: 1.0, 7: 2.0})(X, Y)


# ------------------------------------------------------------------- alphas of the path
def path_over(alphas):
    return presto_path(X, Y, alphas=alphas)


def chosen_among(alphas):
    return PrestoClassifierCV(alphas=alphas, cv=2).fit(X, Y)


@pytest.mark.parametrize("search", [path_over, chosen_among])
@pytest.mark.parametrize(
    "alphas", [[], [0.1, -0.1], [np.nan], [0.1, np.inf], ["strong"]]
)
def test_wrong_alphas_are_refused(search, alphas):
    pattern = r"'alphas' .* non-empty list .* >= 0. Got \[.*\]; pass alphas=None"
    with pytest.raises(ValueError, match=pattern):
        search(alphas)


@pytest.mark.parametrize("n_alphas", [0, -1, 2.5, "many", None])
def test_wrong_number_of_alphas_is_refused(n_alphas):
    error = ValueError if isinstance(n_alphas, int) else TypeError
    pattern = r"'n_alphas' of presto_path .* integer >= 1. Got .*; 20 is"
    with pytest.raises(error, match=pattern):
        presto_path(X, Y, n_alphas=n_alphas)
    with pytest.raises(ValueError, match=r"'n_alphas' .* an int in .* Got .* instead"):
        PrestoClassifierCV(n_alphas=n_alphas).fit(X, Y)


def test_true_is_no_number_of_a_grid():
    for name in ("n_alphas", "eps"):
        with pytest.raises(TypeError, match=f"'{name}' of presto_path must be"):
            presto_path(X, Y, **{name: True})


@pytest.mark.parametrize("eps", [0, 1, -0.1, 2.0, np.nan, "small"])
def test_wrong_ratio_of_the_grid_is_refused(eps):
    error, what = ValueError, r"lie in \(0, 1\)"
    if isinstance(eps, str):
        error, what = TypeError, "be a real number"
    with pytest.raises(
        error, match=f"'eps' of presto_path must {what}. Got .*; 0.01 is"
    ):
        presto_path(X, Y, eps=eps)
    with pytest.raises(ValueError, match=r"'eps' .* range \(0.0, 1.0\). Got"):
        PrestoClassifierCV(eps=eps).fit(X, Y)


@pytest.mark.parametrize(
    "options", [{"alpha": 0.1}, {"warm_start": True}, {"strength": 1}]
)
def test_path_refuses_options_that_it_does_not_have(options):
    with pytest.raises(TypeError, match=next(iter(options))):
        presto_path(X, Y, n_alphas=2, **options)


# ---------------------------------------------------------------------- rows and labels
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "Input X contains NaN.*PrestoClass.*drop samples"),
        (np.inf, "Input X contains infinity"),
    ],
)
@pytest.mark.parametrize("container", [np.array, pd.DataFrame, sparse.csr_array])
@every_way
def test_missing_or_infinite_value_is_refused(way, container, value, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        way()(container(changed(X, (3, 1), value)), Y)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@every_way
def test_missing_or_infinite_label_is_refused(way, value):
    pattern = r"label in every row of y. Got missing .* 1 of 60 .* row 4; drop or fill"
    with pytest.raises(ValueError, match=pattern):
        way()(X, changed(Y, 4, value))


@every_way
def test_unknown_category_is_refused(way):
    rows = int((Y == 2).sum())
    pattern = rf"among categories=\['low', 'mid'\]. Got also \['high'\] in {rows} rows;"
    with pytest.raises(ValueError, match=pattern + " add them"):
        way(categories=["low", "mid"])(X, WORDS[Y])


@every_way
def test_repeated_category_is_refused(way):
    pattern = r"'categories' .* each class once.* Got \[0, 1, 1, 2\]; remove"
    with pytest.raises(ValueError, match=pattern):
        way(categories=[0, 1, 1, 2])(X, Y)


@every_way
def test_single_class_is_refused(way):
    pattern = r"at least 2 classes with positive weight. Got 1 class, \[1\]; provide"
    with pytest.raises(ValueError, match=pattern):
        way()(X, np.ones(len(Y), dtype=int))
    with pytest.raises(ValueError, match=pattern):
        way()(X, Y, sample_weight=(Y == 1).astype(float))


@every_way
def test_missing_target_is_refused(way):
    with pytest.raises(ValueError, match=r"requires y.* is None; pass one"):
        way()(X, None)


@every_way
def test_lengths_that_differ_are_refused(way):
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples.*60, 50"):
        way()(X, Y[:50])


@every_way
def test_strings_without_order_warn_with_the_remedy(way):
    pattern = r"labels with an order.*'high', 'low', 'mid'.*pass categories="
    with pytest.warns(LabelOrderWarning, match=pattern):
        way()(X, WORDS[Y])


@every_way
def test_two_strings_do_not_warn(way):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        way()(X, np.where(Y > 0, "yes", "no"))
    assert not caught


# ------------------------------------------------------------------------------ weights
@pytest.mark.parametrize(
    ("weight", "came"),
    [
        (changed(ONES, 1, -1.0), "[Nn]egative"),
        (0.0 * ONES, "non-zero"),
        (changed(ONES, 1, np.nan), "NaN"),
        (changed(ONES, 1, np.inf), "inf"),
        (ONES[:5], "shape"),
        (np.ones((len(Y), 2)), "1D"),
    ],
    ids=["negative", "all zero", "NaN", "infinite", "short", "matrix"],
)
@every_way
def test_wrong_weights_are_refused(way, weight, came):
    pattern = rf"(?s)'sample_weight' .*>= 0 for each row.*Got .*{came}.*; .*pass None"
    with pytest.raises(ValueError, match=pattern):
        way()(X, Y, sample_weight=weight)


# ----------------------------------------------------------------------------- unfitted
@pytest.mark.parametrize("model", [PrestoClassifier(), PrestoClassifierCV()])
@pytest.mark.parametrize(
    "method",
    [
        "predict",
        "predict_proba",
        "predict_log_proba",
        "predict_tail_proba",
        "linear_predictor",
        "refit",
        "fusion_table",
    ],
)
def test_unfitted_model_says_to_call_fit(model, method):
    arguments = () if method == "fusion_table" else (X,)
    with pytest.raises(NotFittedError, match=r"not fitted yet. Call 'fit'"):
        getattr(model, method)(*arguments)


FITTED = PrestoClassifier().fit(X, Y)


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "predict_tail_proba", "linear_predictor"]
)
def test_wrong_feature_count_is_refused(method):
    with pytest.raises(ValueError, match=r"has 2 features.* expecting 3 features"):
        getattr(FITTED, method)(X[:, :2])


@pytest.mark.parametrize(
    "copied",
    [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy],
    ids=["pickle", "copy"],
)
def test_loaded_model_asks_for_the_data_of_a_refit(copied):
    model = copied(FITTED)
    pattern = r"training data.* Got none, .* loaded or copied .*; pass X, y"
    with pytest.raises(ValueError, match=pattern):
        model.refit()
    assert model.refit(X, Y).coef_.shape == (2, 3)


@pytest.mark.parametrize("given", [{"sample_weight": ONES}, {"y": Y}])
def test_refit_with_half_of_the_data_is_refused(given):
    with pytest.raises(ValueError, match=r"expected X with y.* Got no X; pass"):
        FITTED.refit(**given)


def test_refit_with_unknown_label_or_feature_count_is_refused():
    with pytest.raises(ValueError, match=r"among categories=.*Got also \['3'\]"):
        FITTED.refit(X, Y + 1)
    with pytest.raises(ValueError, match="expecting 3 features"):
        FITTED.refit(X[:, :2], Y)
    with pytest.raises(ValueError, match="requires y"):
        FITTED.refit(X)


# -------------------------------------------------------------- degraded fits and folds
@pytest.mark.parametrize("way", [single, path])
def test_too_few_iterations_warn_with_the_violation_and_the_remedy(way):
    pattern = r"tol=1e-07 within max_iter=1 .* violation of 0\.0\d* .*; increase max_"
    options = {"alpha": 1e-3} if way is single else {}
    with pytest.warns(ConvergenceWarning, match=pattern):
        way(max_iter=1, **options)(X, Y)


def test_violation_in_the_warning_is_the_attribute():
    with pytest.warns(ConvergenceWarning) as caught:
        model = PrestoClassifier(1e-3, max_iter=1).fit(X, Y)
    assert f"violation of {model.kkt_:.3g} at alpha=0.001" in str(caught[0].message)
    assert model.kkt_ > 1e-7


def test_crossing_is_refused_with_count_and_remedies():
    model = PrestoClassifier(1e-3, monotone="raise").fit(X, Y)
    far = np.vstack([X[:1], X[1:3] * 1e3, -X[1:3] * 1e3])
    crossing = np.flatnonzero(np.diff(model.linear_predictor(far))[:, 0] < 0)
    assert 0 < len(crossing) < 5
    pattern = (
        rf"'raise' expected .* increasing order.* Got .* {len(crossing)} of 5 rows, "
        rf"the first at row {crossing[0]}; use monotone='tail'"
    )
    for predict in (model.predict, model.predict_proba, model.predict_log_proba):
        with pytest.raises(CrossingError, match=pattern):
            predict(far)
    assert np.isfinite(model.predict_tail_proba(far)).all()


def test_fold_without_two_classes_is_refused():
    order = np.argsort(Y > 0, kind="stable")
    y = np.repeat([0, 1], 30)
    pattern = r"at least 2 classes in the training part.* Got 1; use fewer folds"
    with pytest.raises(ValueError, match=pattern):
        PrestoClassifierCV(cv=KFold(2), n_alphas=2).fit(X[order], y)


def test_more_folds_than_rows_are_refused():
    with pytest.raises(ValueError, match=r"n_splits=61.*n_samples=60"):
        PrestoClassifierCV(cv=61).fit(X, Y)


@pytest.mark.parametrize("folds", [[], [(np.arange(20, 60), np.arange(20))]])
def test_folds_without_test_rows_of_positive_weight_are_refused(folds):
    weight = (np.arange(60) >= 20).astype(float)
    pattern = r"'cv' .* test rows of positive weight. Got .*; pass other"
    with pytest.raises(ValueError, match=pattern):
        PrestoClassifierCV(cv=folds, n_alphas=2).fit(X, Y, sample_weight=weight)


def test_score_that_is_not_a_number_is_refused():
    results = iter([-1.0, np.nan, -2.0, -3.0])

    def score(estimator, X, y):
        return next(results)

    with pytest.raises(ValueError, match=r"'scoring' .* Got NaN in 1 of 4 .*; use"):
        PrestoClassifierCV(scoring=score, n_alphas=2, cv=2).fit(X, Y)


@pytest.mark.parametrize(
    ("options", "pattern"),
    [
        ({"scoring": "log"}, r"'log' is not a valid scoring value. Use"),
        ({"scoring": None}, r"'scoring' .* 'str' or a callable. Got None"),
        ({"selection": "max"}, r"'selection' .*'1se'.* Got 'max'"),
        ({"cv": 1}, r"'cv' .*\[2, inf\).* Got 1"),
        ({"n_jobs": "all"}, r"'n_jobs' .* Got 'all'"),
    ],
    ids=["name", "no score", "selection", "cv", "n_jobs"],
)
def test_wrong_option_of_the_search_is_refused(options, pattern):
    with pytest.raises(ValueError, match=pattern):
        PrestoClassifierCV(**options).fit(X, Y)
