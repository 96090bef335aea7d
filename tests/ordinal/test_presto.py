"""The classifier as an object: weights of classes, warm starts, copies, displays."""

from __future__ import annotations

import copy
import io
import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ordinal_oracle import random_problem
from statlearn.exceptions import EmptyClassWarning
from statlearn.ordinal import PrestoClassifier, PrestoClassifierCV

TOL = 1e-10
PROBLEM = random_problem(8, n=150, alpha=0.01)
X, Y = PROBLEM.X, PROBLEM.y
WEIGHT = np.random.default_rng(0).uniform(0.2, 3.0, len(Y))
NAMES = ["age", "dose", "sex"]
FRAME = pd.DataFrame(X, columns=NAMES)


def presto(alpha=0.01, **options):
    return PrestoClassifier(alpha, tol=TOL, **options)


def search(**options):
    return PrestoClassifierCV(n_alphas=3, cv=2, tol=TOL, **options)


every_way = pytest.mark.parametrize("way", [presto, search])


# ------------------------------------------------------------------------ class weights
@every_way
def test_dict_of_class_weights_equals_sample_weights(way):
    factor = np.array([1.0, 0.25, 2.0, 4.0])
    by_class = way(class_weight={1: 0.25, 2: 2, 3: 4.0}).fit(X, Y, WEIGHT)
    by_row = way().fit(X, Y, WEIGHT * factor[Y])
    assert_allclose(by_class.coef_, by_row.coef_, atol=1e-8)
    assert_allclose(by_class.loglik_, by_row.loglik_)
    if way is search:
        assert_allclose(by_class.scores_, by_row.scores_)


@every_way
def test_balanced_class_weights_equalise_the_weighted_totals(way):
    totals = np.bincount(Y, WEIGHT)
    by_class = way(class_weight="balanced").fit(X, Y, WEIGHT)
    by_row = way().fit(X, Y, WEIGHT * (WEIGHT.sum() / (4 * totals))[Y])
    assert_allclose(by_class.coef_, by_row.coef_, atol=1e-8)
    assert_allclose(by_class.loglik_, by_row.loglik_)


def test_balanced_class_weights_make_classes_equally_likely_without_features():
    model = presto(100.0, class_weight="balanced").fit(X, Y, WEIGHT)
    assert_allclose(model.predict_proba(X[:1]), [[0.25] * 4], rtol=1e-7)


def test_balanced_class_weights_leave_out_a_class_without_weight():
    w = np.where(Y == 1, 0.0, WEIGHT)
    with pytest.warns(EmptyClassWarning, match=r"\[1\]"):
        model = presto(100.0, class_weight="balanced").fit(X, Y, w)
    assert_allclose(model.predict_proba(X[:1]), [[1 / 3, 0, 1 / 3, 1 / 3]], rtol=1e-7)


def test_class_weights_of_words_are_found_by_name():
    words = np.array(["a bit", "half", "most", "all"])
    model = presto(categories=words, class_weight={"all": 3.0, "half": 0.5})
    by_name = model.fit(X, words[Y])
    by_row = presto().fit(X, Y, np.array([1.0, 0.5, 1.0, 3.0])[Y])
    assert_allclose(by_name.coef_, by_row.coef_, atol=1e-8)


def test_class_weight_may_name_a_declared_class_without_rows():
    options = {"categories": [0, 1, 2, 3, 4], "class_weight": {4: 9.0, 0: 2.0}}
    with pytest.warns(EmptyClassWarning, match=r"\[4\]"):
        model = presto(**options).fit(X, Y)
    by_row = presto().fit(X, Y, np.array([2.0, 1.0, 1.0, 1.0])[Y])
    assert_allclose(model.coef_[:3], by_row.coef_, atol=1e-8)


def test_class_weight_zero_takes_the_class_out():
    with pytest.warns(EmptyClassWarning, match=r"\[2\]"):
        model = presto(class_weight={2: 0.0}).fit(X, Y)
    rest = presto().fit(X[Y != 2], Y[Y != 2])
    found = model.predict_proba(X)
    assert (found[:, 2] == 0).all()
    assert_allclose(found[:, [0, 1, 3]], rest.predict_proba(X), atol=1e-8)


@pytest.mark.parametrize("family", ["cumulative", "sratio", "cratio", "acat"])
@pytest.mark.parametrize("rare", [0, 1, 3])
def test_class_whose_share_is_rounding_counts_as_empty(family, rare):
    weight = np.where(rare == Y, 1e-20, 1.0)
    match = rf"at most [0-9.e-]+ of the weight in each of \[{rare}\]"
    with pytest.warns(EmptyClassWarning, match=match):
        model = presto(family=family).fit(X, Y, weight)
    with pytest.warns(EmptyClassWarning, match="Got none with positive weight"):
        empty = presto(family=family).fit(X, Y, np.where(rare == Y, 0.0, 1.0))
    assert_allclose(model.coef_, empty.coef_, rtol=1e-12)
    assert (model.predict_proba(X)[:, rare] == 0.0).all()


@pytest.mark.parametrize("family", ["sratio", "cratio", "acat"])
@pytest.mark.parametrize("rare", [0, 1, 2, 3])
def test_class_of_a_tiny_share_keeps_its_share(family, rare):
    weight = np.where(rare == Y, 1e-11, 1.0)
    model = presto(100.0, family=family).fit(X, Y, weight)
    share = np.bincount(Y, weight) / weight.sum()
    assert_allclose(model.predict_proba(X[:1])[0], share, rtol=1e-4)


# -------------------------------------------------------------------------- warm starts
def test_warm_start_at_the_solution_takes_no_more_steps():
    model = presto(warm_start=True).fit(X, Y)
    cold, coef = model.n_iter_, model.coef_
    model.fit(X, Y)
    assert cold > 1
    assert model.n_iter_ <= 1
    assert_allclose(model.coef_, coef, atol=1e-9)


@pytest.mark.parametrize("options", [{}, {"reverse": True}, {"family": "acat"}])
@pytest.mark.parametrize("alpha", [0.009, 0.007])
def test_warm_start_nearby_is_quicker_and_finds_the_same_optimum(alpha, options):
    warm = presto(warm_start=True, **options).fit(X, Y).set_params(alpha=alpha)
    warm.fit(X, Y)
    cold = presto(alpha, **options).fit(X, Y)
    assert warm.n_iter_ <= cold.n_iter_
    assert_allclose(warm.coef_, cold.coef_, atol=1e-7)
    assert_allclose(warm.objective_, cold.objective_, rtol=1e-10)


def test_cold_start_forgets_the_last_fit():
    model = presto().fit(X, Y)
    steps = model.n_iter_
    assert model.fit(X, Y).n_iter_ == steps


@pytest.mark.parametrize(
    ("features", "labels", "options"),
    [
        (X[:, :2], Y, {}),
        (np.column_stack([X, X[:, 0] ** 2]), Y, {}),
        (X, np.minimum(Y, 2), {}),
        (X, Y > 1, {}),
        (X, Y + 10, {}),
        (X[:40], Y[:40], {}),
        (sparse.csr_array(X), Y, {}),
        (-X, Y, {}),
        (X, 3 - Y, {}),
        (X, Y, {"family": "sratio"}),
        (X, Y, {"reverse": True}),
        (X, Y, {"link": "cloglog"}),
        (X, Y, {"penalty_factor": [0.0, 1.0, 5.0]}),
    ],
)
def test_warm_start_on_other_data_or_model_finds_its_optimum(features, labels, options):
    warm = presto(warm_start=True).fit(X, Y).set_params(**options)
    warm.fit(features, labels)
    cold = presto(**options).fit(features, labels)
    assert_array_equal(warm.classes_, cold.classes_)
    assert_allclose(warm.objective_, cold.objective_, rtol=1e-9)
    assert_allclose(warm.coef_, cold.coef_, atol=1e-6)


@pytest.mark.parametrize("scale", [1e6, 1e-6])
@pytest.mark.parametrize(
    "options", [{}, {"family": "sratio", "link": "cloglog"}, {"link": "loglog"}]
)
def test_warm_start_in_other_units_finds_the_optimum(options, scale):
    # the old slopes are impossible on the new scale: no probability is left
    warm = presto(warm_start=True, **options).fit(X, Y).fit(X * scale, Y)
    cold = presto(**options).fit(X, Y)
    assert_allclose(warm.coef_ * scale, cold.coef_, atol=1e-7)


def test_warm_start_after_an_absent_class_and_back():
    warm = presto(warm_start=True)
    with pytest.warns(EmptyClassWarning):
        warm.fit(X, Y, (Y != 1).astype(float))
    with pytest.warns(EmptyClassWarning):
        again = clone(warm).fit(X, Y, (Y != 1).astype(float))
    warm.fit(X, Y)
    assert_allclose(warm.coef_, presto().fit(X, Y).coef_, atol=1e-7)
    assert (warm.predict_proba(X)[:, 1] > 0).all()
    assert (again.predict_proba(X)[:, 1] == 0).all()


def test_warm_start_continues_after_too_few_steps():
    model = presto(1e-3, warm_start=True, max_iter=2)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, Y)
    model.set_params(max_iter=200).fit(X, Y)
    assert_allclose(model.coef_, presto(1e-3).fit(X, Y).coef_, atol=1e-7)


# ------------------------------------------------------------------- what is left alone
@every_way
@pytest.mark.parametrize(
    "container", [np.array, np.asfortranarray, sparse.csr_array, sparse.csc_array]
)
def test_read_only_input_is_accepted_and_not_changed(way, container):
    given = container(X)
    parts = [given.data] if sparse.issparse(given) else [given]
    y, weight = Y.copy(), WEIGHT.copy()
    weight[:5] = 0.0
    for array in (*parts, y, weight):
        if isinstance(array, np.ndarray):
            array.setflags(write=False)
    before = [np.array(array) for array in (*parts, y, weight)]
    model = way().fit(given, y, weight)
    model.predict_proba(given)
    model.predict_tail_proba(given)
    model.refit()
    for array, kept in zip((*parts, y, weight), before, strict=True):
        assert_array_equal(np.asarray(array), kept)


@every_way
def test_frames_and_parameters_are_not_changed(way):
    frame, labels, series = FRAME.copy(), pd.Series(Y), pd.Series(WEIGHT)
    factor, weights = [1.0, 0.5, 2.0], {0: 2.0}
    model = way(penalty_factor=factor, class_weight=weights)
    model.fit(frame, labels, series)
    pd.testing.assert_frame_equal(frame, FRAME)
    pd.testing.assert_series_equal(labels, pd.Series(Y))
    pd.testing.assert_series_equal(series, pd.Series(WEIGHT))
    assert model.penalty_factor is factor
    assert factor == [1.0, 0.5, 2.0]
    assert model.class_weight is weights
    assert weights == {0: 2.0}


def test_weights_are_taken_by_position():
    shuffled = pd.Series(WEIGHT, index=np.arange(len(Y))[::-1])
    by_position = presto().fit(FRAME, Y, shuffled)
    assert_allclose(by_position.coef_, presto().fit(X, Y, WEIGHT).coef_, atol=1e-12)


# -------------------------------------------------------------------------- persistence
def through_joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


def through_pickle(model):
    return pickle.loads(pickle.dumps(model))


@every_way
@pytest.mark.parametrize("through", [through_pickle, through_joblib, copy.deepcopy])
def test_loaded_model_predicts_the_same(way, through):
    words = np.array(["a", "b", "c", "d"])
    model = way(categories=words).fit(FRAME, words[Y])
    loaded = through(model)
    for method in ("predict", "predict_proba", "predict_tail_proba"):
        found, expected = getattr(loaded, method)(FRAME), getattr(model, method)(FRAME)
        assert_array_equal(found, expected)
    assert list(loaded.feature_names_in_) == NAMES
    assert loaded.fusion_table().summary() == model.fusion_table().summary()
    assert_allclose(loaded.refit(FRAME, words[Y]).coef_, model.refit().coef_, atol=1e-9)


@every_way
def test_pickle_of_an_absent_class_predicts_the_same(way):
    with pytest.warns(EmptyClassWarning):
        model = way().fit(X, Y, (Y != 0).astype(float))
    expected = model.predict_proba(X)
    assert (expected[:, 0] == 0).all()
    assert_array_equal(through_pickle(model).predict_proba(X), expected)


@every_way
def test_pickle_does_not_carry_the_training_data(way):
    few = len(pickle.dumps(way().fit(X, Y)))
    many = len(pickle.dumps(way().fit(np.tile(X, (40, 1)), np.tile(Y, 40))))
    assert many < few + 100
    assert many < X.nbytes


# ----------------------------------------------------------------- scikit-learn's house
@every_way
def test_column_names_are_kept_and_checked(way):
    model = way().fit(FRAME, Y)
    assert list(model.feature_names_in_) == NAMES
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)
    with pytest.raises(ValueError, match="same order"):
        model.predict(FRAME[NAMES[::-1]])


def test_names_are_forgotten_with_the_next_fit():
    model = presto().fit(FRAME, Y).fit(X, Y)
    assert not hasattr(model, "feature_names_in_")
    assert list(model.fusion_table().feature_names) == ["x0", "x1", "x2"]


@every_way
def test_notebook_display_works_before_and_after_the_fit(way):
    model = way()
    assert type(model).__name__ in model._repr_html_()
    model.fit(FRAME, Y)
    page = model._repr_html_()
    assert "coef_" in page
    assert "statlearn" not in repr(model)


def test_output_settings_do_not_touch_predictions():
    with config_context(transform_output="pandas"):
        model = make_pipeline(StandardScaler(), presto()).fit(FRAME, Y)
        found = model.predict_proba(FRAME)
    assert isinstance(found, np.ndarray)
    assert list(model[-1].feature_names_in_) == NAMES
    assert_allclose(found, presto().fit(X, Y).predict_proba(X), atol=1e-8)


@every_way
def test_clone_has_the_parameters_and_nothing_fitted(way):
    model = way(link="probit", penalty_factor=[1.0, 2.0, 3.0]).fit(X, Y)
    fresh = clone(model)
    assert fresh.get_params() == model.get_params()
    assert not hasattr(fresh, "coef_")
    assert_allclose(fresh.fit(X, Y).coef_, model.coef_)


@every_way
def test_model_is_a_classifier_without_decision_function(way):
    model = way().fit(X, Y)
    assert is_classifier(model)
    assert not hasattr(model, "decision_function")
    assert model.__sklearn_tags__().input_tags.sparse
    assert model.score(X, Y) == np.mean(model.predict(X) == Y)


def test_calibrator_of_scikit_learn_takes_the_model():
    model = CalibratedClassifierCV(presto(), cv=2, ensemble=False).fit(X, Y)
    assert_allclose(model.predict_proba(X).sum(axis=1), 1.0)


def test_cross_validation_hands_weights_to_fit():
    with config_context(enable_metadata_routing=True):
        model = presto().set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=True)
        found = cross_validate(
            model,
            X,
            Y,
            params={"sample_weight": WEIGHT},
            cv=[(np.arange(50, 150), np.arange(50))],
            return_estimator=True,
        )
    by_hand = presto().fit(X[50:], Y[50:], WEIGHT[50:])
    assert_array_equal(found["estimator"][0].coef_, by_hand.coef_)
    right = by_hand.predict(X[:50]) == Y[:50]
    assert_allclose(found["test_score"], [np.average(right, weights=WEIGHT[:50])])


# ----------------------------------------------------------------------- fitted numbers
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"family": "sratio", "link": "cloglog", "reverse": True, "l1_ratio": 0.3},
        {"penalize_first": 0.0, "penalty_factor": np.array([0.0, 1.0, 2.0])},
        {"standardize": False},
    ],
)
def test_fitted_numbers_agree_with_an_independent_computation(options):
    problem = random_problem(8, n=150, alpha=0.01, **options)
    model = presto(**options).fit(X, Y)
    at = (model.intercept_, model.coef_)
    assert_allclose(model.objective_, problem.objective(*at), rtol=1e-12)
    assert_allclose(model.loglik_, -len(Y) * problem.loss(*at), rtol=1e-12)
    share = np.bincount(Y) / len(Y)
    assert_allclose(model.null_loglik_, np.bincount(Y) @ np.log(share), rtol=1e-12)
    assert problem.kkt_violation(*at) < 1e-8
    assert model.kkt_ < 1e-8
    assert_allclose(model.linear_predictor(X), at[0] + X @ at[1].T, rtol=1e-12)
    expected = problem.psi(model.coef_) / problem.scale
    found = -model.diff_coef_[::-1] if problem.reverse else model.diff_coef_
    assert_allclose(found, expected, atol=1e-12)


def test_log_probabilities_are_logarithms_and_predictions_their_largest():
    model = presto().fit(X, Y)
    proba = model.predict_proba(X)
    assert_allclose(np.exp(model.predict_log_proba(X)), proba, rtol=1e-12)
    assert_array_equal(model.predict(X), model.classes_[proba.argmax(axis=1)])


def test_constrained_fit_does_not_cross_at_its_rows():
    crossing = random_problem(2, n=60, n_classes=4, spread=3.0, alpha=1e-3)
    rows, labels = crossing.X, crossing.y
    free = PrestoClassifier(1e-3).fit(rows, labels)
    held = PrestoClassifier(1e-3, constrain_train=True, monotone="raise")
    held.fit(rows, labels)
    assert (np.diff(free.linear_predictor(rows), axis=1) < -1e-6).any()
    held.predict_proba(rows)
    assert (np.diff(held.linear_predictor(rows), axis=1) >= 0).all()
    assert held.objective_ > free.objective_


def test_clean_fit_does_not_warn():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = presto().fit(FRAME, Y, WEIGHT)
        model.predict_proba(FRAME)
        model.refit().fusion_table().summary()
    assert not caught
