"""What must not change the fitted probabilities, and what must mirror them."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from ordinal_cases import repeated, table
from ordinal_oracle import FAMILIES, LINKS, random_problem
from statlearn.exceptions import LabelOrderWarning
from statlearn.ordinal import OrdinalRegression, PrestoClassifier, presto_path

TOL = 1e-11


def data(seed=0, **options):
    """Random ordered data, labels 0..K-1."""
    problem = random_problem(seed, alpha=0.01, **options)
    return problem.X, problem.y


def presto(alpha=0.01, **options):
    return PrestoClassifier(alpha, tol=TOL, **options)


ESTIMATORS = {
    "presto": presto(),
    "ridge": presto(l1_ratio=0.0),
    "reversed": presto(reverse=True),
    "sratio": presto(family="sratio"),
    "acat-probit": presto(family="acat", link="probit"),
    "proportional": OrdinalRegression(tol=TOL),
    "partial": OrdinalRegression(parallel=[0, 2], tol=TOL),
}
each_estimator = pytest.mark.parametrize("model", ESTIMATORS.values(), ids=ESTIMATORS)


def clone_fit(model, X, y, **more):
    from sklearn.base import clone

    return clone(model).fit(X, y, **more)


# ------------------------------------------------------------ columns and rows
@each_estimator
def test_shift_and_scale_of_columns_leave_probabilities(model):
    X, y = data()
    scale, shift = np.array([1e-3, 1.0, 1e3]), np.array([0.0, 1e4, -1e4])
    before = clone_fit(model, X, y)
    after = clone_fit(model, X * scale + shift, y)
    # the shift itself costs about 1e4 * eps in the centred columns
    assert_allclose(
        after.predict_proba(X * scale + shift), before.predict_proba(X), atol=2e-8
    )
    assert_allclose(after.coef_ * scale, before.coef_, atol=1e-6)
    assert_allclose(after.loglik_, before.loglik_, rtol=1e-9)


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_without_standardising_the_scale_matters(factor):
    X, y = data()
    plain = presto(standardize=False).fit(X, y)
    scaled = presto(standardize=False).fit(X * factor, y)
    assert np.abs(scaled.coef_ * factor - plain.coef_).max() > 1e-2


@each_estimator
def test_order_of_rows_does_not_matter(model):
    X, y = data()
    order = np.random.default_rng(3).permutation(len(y))
    before, after = clone_fit(model, X, y), clone_fit(model, X[order], y[order])
    assert_allclose(after.coef_, before.coef_, atol=1e-9)
    assert_allclose(after.intercept_, before.intercept_, atol=1e-9)


@each_estimator
def test_order_of_columns_only_permutes_slopes(model):
    X, y = data()
    order = [2, 1, 0]  # keeps columns 0 and 2 parallel in the partial model
    before, after = clone_fit(model, X, y), clone_fit(model, X[:, order], y)
    assert_allclose(after.coef_, before.coef_[:, order], atol=1e-8)


# ---------------------------------------------------------------------- weights
@each_estimator
def test_integer_weights_equal_repeated_rows(model):
    X, y = data()
    w = np.random.default_rng(1).integers(0, 4, len(y))
    weighted = clone_fit(model, X, y, sample_weight=w)
    long = clone_fit(model, *repeated(X, y, w))
    assert_allclose(weighted.coef_, long.coef_, atol=1e-7)
    assert_allclose(weighted.intercept_, long.intercept_, atol=1e-7)
    assert_allclose(weighted.predict_proba(X), long.predict_proba(X), atol=1e-7)
    assert_allclose(weighted.loglik_, long.loglik_, rtol=1e-9)
    assert_allclose(weighted.null_loglik_, long.null_loglik_, rtol=1e-12)


@each_estimator
def test_zero_weight_equals_removal(model):
    X, y = data()
    w = np.ones(len(y))
    w[5::7] = 0
    kept = w > 0
    wild = X.copy()
    wild[~kept] *= 1e6  # not even an outlier may leave a trace
    weighted = clone_fit(model, wild, y, sample_weight=w)
    removed = clone_fit(model, X[kept], y[kept])
    assert_allclose(weighted.coef_, removed.coef_, atol=1e-9)
    assert_allclose(weighted.intercept_, removed.intercept_, atol=1e-9)


@each_estimator
def test_common_factor_of_weights_leaves_the_fit(model):
    X, y = data()
    w = np.random.default_rng(2).uniform(0.5, 2.0, len(y))
    before = clone_fit(model, X, y, sample_weight=w)
    after = clone_fit(model, X, y, sample_weight=1e4 * w)
    assert_allclose(after.coef_, before.coef_, atol=1e-8)


def test_path_with_integer_weights_equals_repeated_rows():
    X, y = data()
    w = np.random.default_rng(1).integers(0, 4, len(y))
    weighted = presto_path(X, y, sample_weight=w, n_alphas=8, tol=TOL)
    long = presto_path(*repeated(X, y, w), n_alphas=8, tol=TOL)
    assert_allclose(weighted.alphas, long.alphas, rtol=1e-10)
    assert_allclose(weighted.coefs, long.coefs, atol=1e-7)
    assert_allclose(weighted.objectives, long.objectives, rtol=1e-10)


def test_class_weight_multiplies_sample_weight():
    X, y = data()
    w = np.random.default_rng(5).uniform(0.5, 2.0, len(y))
    by_class = {0: 1.0, 1: 0.5, 2: 2.0, 3: 3.0}
    factor = np.array([by_class[c] for c in y])
    a = presto(class_weight=by_class).fit(X, y, sample_weight=w)
    b = presto().fit(X, y, sample_weight=w * factor)
    assert_allclose(a.coef_, b.coef_, atol=1e-9)


def test_balanced_class_weight_gives_equal_class_totals():
    X, y = data()
    w = np.random.default_rng(5).uniform(0.5, 2.0, len(y))
    factor = (w.sum() / 4 / np.bincount(y, w))[y]
    a = presto(class_weight="balanced").fit(X, y, sample_weight=w)
    b = presto().fit(X, y, sample_weight=w * factor)
    assert_allclose(a.coef_, b.coef_, atol=1e-9)


# --------------------------------------------------------------------- reversal
@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("family", FAMILIES)
def test_reversed_labels_and_reverse_mirror_the_probabilities(family, link):
    X, y = data(4)
    # the default repair of crossing rows favours the last class, so is not symmetric
    options = {"family": family, "link": link, "monotone": "rearrange"}
    forward = presto(**options).fit(X, y)
    backward = presto(reverse=True, **options).fit(X, 3 - y)
    assert_allclose(
        backward.predict_proba(X)[:, ::-1], forward.predict_proba(X), atol=1e-8
    )
    assert_allclose(backward.coef_, -forward.coef_[::-1], atol=1e-7)
    assert_allclose(backward.objective_, forward.objective_, rtol=1e-10)


@pytest.mark.parametrize("link", ["logit", "probit", "cauchit"])
@pytest.mark.parametrize("parallel", [True, False])
def test_symmetric_links_make_reversal_of_the_cumulative_model_idle(link, parallel):
    _, X, y, _ = table("sim")
    options = {"link": link, "parallel": parallel, "tol": 1e-10}
    forward = OrdinalRegression(**options).fit(X, y)
    backward = OrdinalRegression(reverse=True, **options).fit(X, y)
    assert_allclose(backward.params_, forward.params_, atol=1e-6)
    assert_allclose(backward.bse_, forward.bse_, rtol=1e-5)


def test_complementary_links_swap_under_reversal():
    _, X, y, _ = table("sim")
    forward = OrdinalRegression(link="cloglog", tol=1e-10).fit(X, y)
    backward = OrdinalRegression(link="loglog", reverse=True, tol=1e-10).fit(X, y)
    # 1 - F(-t) of one link is F(t) of the other
    assert_allclose(backward.params_, forward.params_, atol=1e-6)


def test_continuation_and_stopping_ratio_agree_for_symmetric_links():
    X, y = data()
    stop = presto(family="sratio", link="probit").fit(X, y)
    go = presto(family="cratio", link="probit").fit(X, y)
    assert_allclose(go.coef_, -stop.coef_, atol=1e-8)
    assert_allclose(go.predict_proba(X), stop.predict_proba(X), atol=1e-9)


# --------------------------------------------------------------- containers of X
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_memory_layout_and_dtype_of_x_do_not_matter(order, dtype):
    X, y = data()
    rounded = np.round(X)  # exact in every dtype
    before = presto().fit(rounded, y)
    after = presto().fit(np.asarray(rounded, dtype=dtype, order=order), y)
    assert_allclose(after.coef_, before.coef_, atol=1e-9)
    assert after.coef_.dtype == np.float64


@each_estimator
@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_array])
def test_sparse_input_equals_dense_input(model, container):
    X, y = data()
    X = np.where(np.abs(X) < 0.8, 0.0, X)
    dense, thin = clone_fit(model, X, y), clone_fit(model, container(X), y)
    assert_allclose(thin.coef_, dense.coef_, atol=1e-7)
    assert_allclose(thin.intercept_, dense.intercept_, atol=1e-7)
    assert_allclose(thin.loglik_, dense.loglik_, rtol=1e-9)
    for method in ("predict_proba", "predict_tail_proba", "linear_predictor"):
        got = getattr(thin, method)(container(X))
        assert_allclose(got, getattr(dense, method)(X), atol=1e-7)


def test_sparse_matrix_class_of_scipy_is_accepted():
    X, y = data()
    dense = presto().fit(X, y)
    assert_allclose(presto().fit(sparse.csr_matrix(X), y).coef_, dense.coef_, atol=1e-7)


def test_sparse_path_equals_dense_path():
    X, y = data()
    X = np.where(np.abs(X) < 0.8, 0.0, X)
    dense = presto_path(X, y, n_alphas=6, tol=TOL)
    thin = presto_path(sparse.csr_array(X), y, n_alphas=6, tol=TOL)
    assert_allclose(thin.alphas, dense.alphas, rtol=1e-9)
    assert_allclose(thin.coefs, dense.coefs, atol=1e-7)
    assert_allclose(thin.intercepts, dense.intercepts, atol=1e-7)


def test_input_is_never_modified():
    X, y = data()
    w = np.linspace(0, 2, len(y))
    for container in (np.array, np.asfortranarray, sparse.csr_array, sparse.csc_array):
        given, kept = container(X), container(X.copy())
        presto().fit(given, y, sample_weight=w)
        OrdinalRegression().fit(given, y, sample_weight=w)
        difference = given - kept
        assert np.abs(difference).max() == 0
    assert_array_equal(w, np.linspace(0, 2, len(y)))


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_frames_give_their_column_names(frame):
    X, y = data()
    columns = {"age": X[:, 0], "income": X[:, 1], "score": X[:, 2]}
    model = presto().fit(frame(columns), y)
    assert list(model.feature_names_in_) == ["age", "income", "score"]
    assert_allclose(model.coef_, presto().fit(X, y).coef_, atol=1e-12)
    assert_allclose(
        model.predict_proba(frame(columns)), presto().fit(X, y).predict_proba(X)
    )


# ----------------------------------------------------------------------- labels
WORDS = np.array(["low", "mid", "high"])


def three_classes():
    return data(7, n_classes=3)


def test_ordered_pandas_categorical_keeps_its_order():
    X, y = three_classes()
    labels = pd.Series(pd.Categorical(WORDS[y], categories=WORDS, ordered=True))
    model = presto().fit(X, labels)
    assert model.classes_.tolist() == ["low", "mid", "high"]
    assert_allclose(model.coef_, presto().fit(X, y).coef_, atol=1e-12)
    assert set(model.predict(X)) <= set(WORDS)
    bare = presto().fit(X, pd.Categorical(WORDS[y], categories=WORDS, ordered=True))
    assert bare.classes_.tolist() == ["low", "mid", "high"]


def test_polars_enum_keeps_its_order():
    X, y = three_classes()
    labels = pl.Series(WORDS[y].tolist(), dtype=pl.Enum(WORDS.tolist()))
    model = presto().fit(X, labels)
    assert model.classes_.tolist() == ["low", "mid", "high"]
    assert_allclose(model.coef_, presto().fit(X, y).coef_, atol=1e-12)


@pytest.mark.parametrize(
    "container",
    [list, np.array, pd.Series, pl.Series, lambda v: np.array(v, dtype=object)],
    ids=["list", "array", "pandas", "polars", "object"],
)
def test_categories_fix_the_order_of_strings(container):
    X, y = three_classes()
    labels = container(WORDS[y].tolist())
    model = presto(categories=["low", "mid", "high"]).fit(X, labels)
    assert_array_equal(model.classes_, WORDS)
    assert_allclose(model.coef_, presto().fit(X, y).coef_, atol=1e-12)


@pytest.mark.parametrize(
    "container",
    [np.array, pd.Series, pl.Series, lambda v: pd.Series(pd.Categorical(v))],
    ids=["array", "pandas", "polars", "unordered categorical"],
)
def test_strings_without_order_warn_and_are_sorted(container):
    X, y = three_classes()
    labels = container(WORDS[y].tolist())
    with pytest.warns(LabelOrderWarning, match=r"high.*low.*mid"):
        model = presto().fit(X, labels)
    assert model.classes_.tolist() == ["high", "low", "mid"]


def test_ordered_labels_do_not_warn():
    X, y = three_classes()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        presto(categories=WORDS).fit(X, WORDS[y])
        presto().fit(X, y)
    assert not caught


@pytest.mark.parametrize(
    "values",
    [
        np.array([3, 7, 20]),
        np.array([0.0, 1.0, 2.0]),
        np.array([-1, 0, 1], dtype=np.int8),
        np.array(["2020-01-01", "2020-06-01", "2021-01-01"], dtype="datetime64[D]"),
    ],
    ids=["ints", "floats", "small ints", "dates"],
)
def test_labels_of_any_ordered_type_come_back(values):
    X, y = three_classes()
    model = presto().fit(X, values[y])
    assert_array_equal(model.classes_, values)
    assert_allclose(model.coef_, presto().fit(X, y).coef_, atol=1e-12)
    predicted = model.predict(X)
    assert predicted.dtype == values.dtype
    assert_array_equal(predicted, values[presto().fit(X, y).predict(X)])


def test_boolean_labels_are_two_classes():
    X, y = data(1, n_classes=2)
    model = presto().fit(X, y.astype(bool))
    assert model.classes_.tolist() == [False, True]
    assert model.predict(X).dtype == bool
    assert model.coef_.shape == (1, 3)


def test_declared_categories_may_be_numbers_in_any_order():
    X, y = three_classes()
    up = presto(monotone="clip").fit(X, y)
    down = presto(monotone="clip", categories=[2, 1, 0], reverse=True).fit(X, y)
    assert down.classes_.tolist() == [2, 1, 0]
    assert_allclose(down.predict_proba(X)[:, ::-1], up.predict_proba(X), atol=1e-8)


def test_permuted_column_names_are_refused():
    X, y = data()
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    model = presto().fit(frame, y)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[["c", "b", "a"]])
