"""Rows of new classes get the norms of old ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    Perceptron,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from aligning_cases import W, blobs
from statlearn.continual import IncrementalClassifier, align_classifier, align_weights
from stub_tensor import Tensor

X4, Y4 = blobs(80)


# ------------------------------------------------------------------------ known answers
def test_factor_and_rows_by_the_euclidean_norm():
    aligned, gamma = align_weights(W, 3)
    assert gamma == pytest.approx((13 / 3) / (17 / 2), rel=1e-15)
    assert gamma == pytest.approx(0.5098039216, abs=1e-10)
    expected = [
        [3.0588235294, 4.0784313725, 0.0],
        [1.0196078431, 1.5294117647, 3.0588235294],
    ]
    assert_allclose(aligned[3:], expected, atol=1e-10)
    assert_array_equal(aligned[:3], W[:3])


def test_factor_by_the_sum_of_absolute_values():
    assert align_weights(W, 3, p=1)[1] == pytest.approx(0.5066666667, abs=1e-10)


def test_factor_by_the_largest_absolute_value():
    # Old rows: 2, 4, 4; new rows: 8, 6.
    assert align_weights(W, 3, p=np.inf)[1] == pytest.approx((10 / 3) / 7)


def test_new_rows_that_are_shorter_stay_unless_no_limit_is_set():
    reversed_rows = W[::-1]
    aligned, gamma = align_weights(reversed_rows, 2)
    assert gamma == 1.0
    assert_array_equal(aligned, reversed_rows)
    assert align_weights(reversed_rows, 2, clip_max=None)[1] == pytest.approx(
        1.9615384615, abs=1e-10
    )
    assert align_weights(reversed_rows, 2, clip_max=1.5)[1] == 1.5


def test_old_rows_may_be_anywhere():
    order = np.array([3, 0, 4, 1, 2])
    old = order < 3
    aligned, gamma = align_weights(W[order], old)
    expected, expected_gamma = align_weights(W, 3)
    assert gamma == pytest.approx(expected_gamma, rel=1e-15)
    assert_allclose(aligned, expected[order], rtol=1e-15)
    assert align_weights(W[order], old.tolist())[1] == gamma


# --------------------------------------------------------------------------------- laws
rows = arrays(
    np.float64, (5, 3), elements=st.floats(-1e3, 1e3, allow_subnormal=False)
).filter(lambda w: np.abs(w[:3]).max() > 1e-3 and np.abs(w[3:]).max() > 1e-3)


@given(rows, st.sampled_from([1, 2, 3.5, np.inf]), st.sampled_from([None, 1.0]))
def test_aligning_twice_is_the_same_as_once(w, p, clip_max):
    once, _ = align_weights(w, 3, p=p, clip_max=clip_max)
    twice, gamma = align_weights(once, 3, p=p, clip_max=clip_max)
    assert gamma == pytest.approx(1.0, rel=1e-12)
    assert_allclose(twice, once, rtol=1e-12)


@pytest.mark.parametrize("p", [1, 2, 3, np.inf])
@pytest.mark.parametrize("size", [1e-200, 1e-290])
def test_rows_far_apart_in_size_have_a_ratio(p, size):
    near = [[3.0, 4.0], [0.0, 5.0], [6.0, 8.0]]
    gamma = align_weights(near, 2, p=p)[1]
    W = np.array(near) * [[size], [size], [1.0]]
    aligned, far = align_weights(W, 2, p=p)
    assert far == pytest.approx(size * gamma, rel=1e-12)
    assert_allclose(aligned[2], [6.0 * far, 8.0 * far], rtol=1e-15)
    grown = align_weights(W[::-1], 1, p=p, clip_max=None)[1]
    assert grown == pytest.approx(1.0 / far, rel=1e-12)


def test_a_row_of_zeros_among_tiny_ones_counts_as_zero():
    W = [[0.0, 0.0], [2e-200, 0.0], [1.0, 0.0]]
    assert align_weights(W, 2)[1] == pytest.approx(1e-200, rel=1e-12)


@pytest.mark.parametrize("sizes", [(1e300, 1e-300), (1e-300, 1e300)], ids=str)
def test_ratios_that_are_no_doubles_are_refused(sizes):
    W = np.array([[1.0, 0.0], [0.0, 1.0]]) * np.array(sizes)[:, None]
    message = r"ratio that is a double. Got (inf|0); train the classes"
    with pytest.raises(ValueError, match=message):
        align_weights(W, 1, clip_max=None)


@given(rows, st.sampled_from([1, 2]), st.floats(1e-150, 1e150))
def test_factor_does_not_depend_on_a_common_scale(w, p, scale):
    _, gamma = align_weights(w, 3, p=p, clip_max=None)
    assert align_weights(scale * w, 3, p=p, clip_max=None)[1] == pytest.approx(
        gamma, rel=1e-9
    )


@given(rows, arrays(np.float64, (20, 3), elements=st.floats(-10, 10)))
def test_order_within_old_and_within_new_classes_stays(w, x):
    aligned, gamma = align_weights(w, 3)
    before, after = x @ w.T, x @ aligned.T
    assert_array_equal(before[:, :3], after[:, :3])
    assert_allclose(after[:, 3:], gamma * before[:, 3:], rtol=1e-9, atol=1e-9)


def test_mean_norms_agree_afterwards():
    for p in (1, 2):
        aligned, _ = align_weights(W, 3, p=p)
        norms = np.linalg.norm(aligned, ord=p, axis=1)
        assert norms[:3].mean() == pytest.approx(norms[3:].mean())


@pytest.mark.parametrize("power", [-300, -170, 170, 300])
def test_tiny_and_huge_weights_are_aligned(power):
    aligned, gamma = align_weights(W * 10.0**power, 3)
    assert gamma == pytest.approx(0.5098039216, abs=1e-10)
    assert_allclose(aligned, align_weights(W, 3)[0] * 10.0**power, rtol=1e-12)


# ------------------------------------------------------------------------------- biases
@pytest.mark.parametrize(
    ("align_bias", "expected"),
    [
        ("keep", [1.0, 2.0, 3.0, 4.0, 5.0]),
        ("scale", [1.0, 2.0, 3.0, 4.0 * 26 / 51, 5.0 * 26 / 51]),
        ("zero", [0.0] * 5),
    ],
)
def test_biases_are_kept_scaled_or_dropped(align_bias, expected):
    bias = np.arange(1.0, 6.0)
    aligned, gamma, new = align_weights(W, 3, bias=bias, align_bias=align_bias)
    assert_allclose(new, expected)
    assert new is not bias
    assert_array_equal(aligned, align_weights(W, 3)[0])
    assert gamma == pytest.approx(26 / 51)


# ----------------------------------------------------------------------- kinds of input
def test_input_is_never_written():
    w, bias, old = W.copy(), np.ones(5), np.arange(5) < 3
    for array in (w, bias, old):
        array.flags.writeable = False
    aligned, _, _ = align_weights(w, old, bias=bias, align_bias="scale")
    assert not np.shares_memory(aligned, w)
    assert not np.shares_memory(align_weights(w[::-1], 2)[0], w)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_floating_type_is_kept(dtype):
    aligned, gamma = align_weights(W.astype(dtype), 3)
    assert aligned.dtype == dtype
    assert gamma == pytest.approx(26 / 51)


def test_lists_and_integers_give_float64():
    aligned, _ = align_weights(W.astype(int).tolist(), np.int64(3))
    assert_allclose(aligned, align_weights(W, 3)[0])
    assert aligned.dtype == np.float64


def test_a_tensor_gives_a_tensor_on_its_device_without_gradient():
    aligned, gamma, bias = align_weights(
        Tensor(W.astype(np.float32), device="cuda", requires_grad=True),
        Tensor(np.arange(5) < 3, device="cuda"),
        bias=Tensor(np.ones(5), device="cuda"),
    )
    assert isinstance(gamma, float)
    for tensor, dtype in ((aligned, np.float32), (bias, np.float64)):
        assert isinstance(tensor, Tensor)
        assert (tensor.device, tensor.dtype) == ("cuda", dtype)
        assert not tensor.requires_grad


@pytest.mark.parametrize("name", ["float64", "float32", "bfloat16"])
def test_torch_tensors_are_aligned(name, torch):
    kind = getattr(torch, name)
    w = torch.tensor(W, dtype=kind, requires_grad=True)
    aligned, gamma = align_weights(w, 3)
    assert aligned.dtype == kind
    assert not aligned.requires_grad
    assert gamma == pytest.approx(26 / 51)
    assert_allclose(aligned.double(), align_weights(W, 3)[0], rtol=1e-2)


# ---------------------------------------------------------------------------- bad input
@pytest.mark.parametrize(
    ("w", "error", "message"),
    [
        (
            W[0],
            ValueError,
            r"'W' .* shape \(n_classes, .* Got shape \(3,\)",
        ),
        (W[:1], ValueError, r"two classes or more. Got shape \(1, 3\); pass"),
        (W[:, :0], ValueError, r"Got shape \(5, 0\)"),
        (W[None], ValueError, r"Got shape \(1, 5, 3\)"),
        ([["a", "b"], ["c", "d"]], TypeError, r"must be real numbers. Got .*; convert"),
        (W * 1j, TypeError, r"must be real numbers"),
        (
            np.where(W == 8, np.nan, W),
            ValueError,
            r"finite. Got NaN .* in row 3;",
        ),
        (np.where(W == 6, np.inf, W), ValueError, r"2 places, first in row 3; align"),
        (W * (np.arange(5) < 3)[:, None], ValueError, r"zeros in all new rows; train"),
        (W * (np.arange(5) > 2)[:, None], ValueError, r"zeros in all old rows; train"),
        (W * 0, ValueError, r"zeros in all old rows"),
    ],
    ids=[
        "vector",
        "one row",
        "no columns",
        "three axes",
        "words",
        "complex",
        "NaN",
        "inf",
        "zero new",
        "zero old",
        "zero",
    ],
)
def test_weights_that_cannot_be_aligned_are_refused(w, error, message):
    with pytest.raises(error, match=message):
        align_weights(w, 3)


@pytest.mark.parametrize(
    ("n_old", "error", "message"),
    [
        (
            0,
            ValueError,
            r"'n_old' of align_weights must leave old .* Got 0 old",
        ),
        (5, ValueError, r"Got 5 old ones of 5; with one kind only there is nothing"),
        (6, ValueError, r"integer from 1 to 4, or 5 booleans. Got 6; pass how many"),
        (-1, ValueError, r"Got -1; pass"),
        (2.0, TypeError, r"Got 2.0; pass"),
        ("3", TypeError, r"Got '3'; pass"),
        (None, TypeError, r"Got None; pass"),
        (True, ValueError, r"Got True; pass"),
        ([True, False], ValueError, r"5 booleans. Got \[True, False\]; pass"),
        ([0, 1, 2], ValueError, r"5 booleans. Got \[0, 1, 2\]; pass"),
        ([True] * 5, ValueError, r"Got 5 old ones of 5"),
        ([False] * 5, ValueError, r"Got 0 old ones of 5"),
    ],
    ids=str,
)
def test_numbers_of_old_rows_that_leave_nothing_are_refused(n_old, error, message):
    with pytest.raises(error, match=message):
        align_weights(W, n_old)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"p": 0.5},
            ValueError,
            r"'p' of align_weights must be .* Got 0.5; pass 1",
        ),
        ({"p": np.nan}, ValueError, r"'p' .* Got nan; pass"),
        ({"p": "2"}, TypeError, r"'p' .* must be a real number. Got '2'"),
        ({"clip_max": 0}, ValueError, r"'clip_max' .* above zero. Got 0; pass 1.0"),
        ({"clip_max": np.inf}, ValueError, r"'clip_max' .* Got inf; .* None"),
        ({"clip_max": "1"}, TypeError, r"'clip_max' .* real number"),
        (
            {"bias": [1.0]},
            ValueError,
            r"'bias' .* shape \(5,\).* Got shape \(1,\);",
        ),
        ({"bias": [np.nan] * 5}, ValueError, r"'bias' .* finite. Got NaN"),
        ({"align_bias": "drop"}, ValueError, r"'align_bias' .* one of .* Got 'drop'"),
        ({"align_bias": None}, ValueError, r"'align_bias' .* Got None"),
        ({"align_bias": "zero"}, ValueError, r"'keep' without a bias.* Got 'zero' and"),
    ],
    ids=str,
)
def test_options_that_mean_nothing_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        align_weights(W, 3, **options)


# ------------------------------------------------------------------- fitted classifiers
CLASSIFIERS = {
    "logistic": LogisticRegression(),
    "without intercept": LogisticRegression(fit_intercept=False),
    "sgd": SGDClassifier(random_state=0),
    "averaged sgd": SGDClassifier(average=True, random_state=0),
    "svc": LinearSVC(random_state=0),
    "svc without intercept": LinearSVC(fit_intercept=False, random_state=0),
    "ridge": RidgeClassifier(),
    "ridge without intercept": RidgeClassifier(fit_intercept=False),
    "perceptron": Perceptron(random_state=0),
    "lda": LinearDiscriminantAnalysis(),
    "incremental": IncrementalClassifier(fit_intercept=True),
}


@pytest.mark.parametrize("name", list(CLASSIFIERS))
def test_any_linear_classifier_is_aligned_in_a_copy(name):
    model = CLASSIFIERS[name].fit(X4, Y4)
    coef, bias = model.coef_.copy(), np.copy(model.intercept_)
    old = np.isin(model.classes_, [1, 3])
    aligned = align_classifier(model, [3, 1], p=1, clip_max=None)
    expected, gamma = align_weights(coef, old, p=1, clip_max=None)
    assert type(aligned) is type(model)
    assert_allclose(aligned.coef_, expected)
    assert gamma != pytest.approx(1.0, abs=1e-4)
    assert_array_equal(model.coef_, coef)
    assert_array_equal(aligned.intercept_, bias)
    assert_allclose(aligned.decision_function(X4), X4 @ expected.T + bias)


def test_intercepts_follow_the_option():
    model = LogisticRegression().fit(X4, Y4)
    gamma = align_weights(model.coef_, 2, clip_max=None)[1]
    scaled = align_classifier(model, [0, 1], clip_max=None, align_bias="scale")
    assert_allclose(scaled.intercept_, model.intercept_ * [1, 1, gamma, gamma])
    zero = align_classifier(model, [0, 1], align_bias="zero")
    assert_array_equal(zero.intercept_, np.zeros(4))


def test_words_are_labels_too():
    names = np.array(["ant", "bee", "cat", "dog"])
    model = LogisticRegression().fit(X4, names[Y4])
    aligned = align_classifier(model, ["dog", "ant"])
    assert set(aligned.predict(X4)) <= set(names)


def test_float32_weights_stay_so():
    model = LogisticRegression().fit(X4.astype(np.float32), Y4)
    assert align_classifier(model, [0]).coef_.dtype == np.float32


@pytest.mark.parametrize(
    ("old", "message"),
    [
        ([], r"'old_classes' of align_classifier must be a list .* Got \[\]; put"),
        (2, r"'old_classes' .* must be a list of labels, one at least. Got 2; put"),
        (
            "a",
            r"'old_classes' .* must be a list of labels, one at least. Got 'a'; put",
        ),
        ([[0]], r"'old_classes' .* must be a list of labels, one at least. Got \[\["),
        ([0, 7], r"among the classes \[0, 1, 2, 3\]. Got also \[7\]; pass labels"),
        (["0"], r"Got also \['0'\]"),
        ([0, None], r"'old_classes' .* Got missing labels"),
        ([0, 1, 2, 3], r"must leave a new class. Got all 4 classes; leave out"),
    ],
    ids=["none", "number", "text", "table", "unknown", "word", "missing", "all"],
)
def test_old_classes_that_are_none_are_refused(old, message):
    with pytest.raises(ValueError, match=message):
        align_classifier(LogisticRegression().fit(X4, Y4), old)


def test_two_classes_in_one_row_are_refused():
    model = LogisticRegression().fit(X4, Y4 > 1)
    message = r"a row of coef_ for each class. Got LogisticRegression of two classes"
    with pytest.raises(ValueError, match=message):
        align_classifier(model, [False])


class Scores(BaseEstimator):
    """A classifier with other rows than classes."""

    def fit(self, X, y):
        self.classes_, self.coef_ = np.unique(y), np.ones((2, X.shape[1]))
        return self

    def predict(self, X):
        return np.repeat(self.classes_[:1], len(X))


def test_other_rows_than_classes_are_refused():
    with pytest.raises(ValueError, match=r"each of its 4 classes. Got coef_ of shape"):
        align_classifier(Scores().fit(X4, Y4), [0])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (SVC(kernel="linear").fit(X4, Y4 % 3), r"Got SVC, which does not; pass"),
        (SVC().fit(X4, Y4), r"Got SVC, which does not"),
        (FrozenEstimator(LogisticRegression().fit(X4, Y4)), r"Got FrozenEstimator"),
        (
            make_pipeline(StandardScaler(), Perceptron()).fit(X4, Y4),
            r"Got Pipeline, which does not; .* last step of a pipeline",
        ),
        (GaussianNB().fit(X4, Y4), r"Got GaussianNB"),
        (LinearRegression().fit(X4, Y4), r"Got LinearRegression"),
        (LogisticRegression().fit(X4, Y4).sparsify(), r"dense coef_.* densify"),
        (W, r"must be a fitted linear classifier. Got ndarray; pass a fitted"),
        (LogisticRegression, r"Got the class LogisticRegression itself; pass"),
    ],
    ids=[
        "pairs",
        "kernel",
        "frozen",
        "pipeline",
        "bayes",
        "regressor",
        "sparse",
        "array",
        "class",
    ],
)
def test_models_without_a_row_for_each_class_are_refused(model, message):
    with pytest.raises(TypeError, match=message):
        align_classifier(model, [0])


def test_a_classifier_that_is_not_fitted_is_refused():
    with pytest.raises(NotFittedError, match=r"fitted LogisticRegression. Got one"):
        align_classifier(LogisticRegression(), [0])


def test_scaling_biases_needs_some():
    model = LinearSVC(fit_intercept=False, random_state=0).fit(X4, Y4)
    assert align_classifier(model, [0], align_bias="zero").intercept_ == 0.0
