"""Ordered labels, class weights and empty classes, function by function."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import DataConversionWarning

from statlearn.exceptions import EmptyClassWarning, LabelOrderWarning
from statlearn.utils._validation import (
    as_numbers,
    encode_ordered_labels,
    ordered_categories,
    require_target,
    require_two_classes,
    weight_problem,
)
from stub_tensor import Tensor

WORDS = ["low", "mid", "high"]
CODES = [2, 0, 1, 1, 0, 2]
LABELS = [WORDS[code] for code in CODES]
DAYS = np.array(["2024-03-01", "2024-05-01", "2025-01-01"], dtype="datetime64[D]")


def categorical(values, categories=WORDS, ordered=True):
    return pd.Categorical(values, categories=categories, ordered=ordered)


def encode(y, categories="auto"):
    return encode_ordered_labels(y, categories, "Model")


# ----------------------------------------------------------------------- declared order
@pytest.mark.parametrize(
    "y",
    [
        categorical(LABELS),
        pd.Series(categorical(LABELS)),
        pd.Series(categorical(LABELS), index=[9, 8, 7, 6, 5, 4]),
        pd.DataFrame({"rating": categorical(LABELS)}),
        pl.Series(LABELS, dtype=pl.Enum(WORDS)),
    ],
    ids=["categorical", "series", "shuffled index", "one column", "polars Enum"],
)
def test_declared_order_is_found(y):
    assert list(ordered_categories(y)) == WORDS


@pytest.mark.parametrize(
    "y",
    [
        LABELS,
        np.array(LABELS),
        pd.Series(LABELS),
        categorical(LABELS, ordered=False),
        pl.Series(LABELS),
        pl.Series(LABELS, dtype=pl.Categorical),
        [3, 1, 2],
        None,
    ],
    ids=["list", "array", "strings", "unordered", "polars", "Categorical", "int", "-"],
)
def test_labels_without_declared_order_have_no_categories(y):
    assert ordered_categories(y) is None


@pytest.mark.parametrize(
    "y", [categorical(LABELS), pl.Series(LABELS, dtype=pl.Enum(WORDS))]
)
def test_declared_order_beats_the_alphabet(y):
    classes, codes = encode(y)
    assert classes.tolist() == WORDS
    assert_array_equal(codes, CODES)


def test_unused_category_keeps_its_place():
    classes, codes = encode(categorical(["low", "high", "low"]))
    assert classes.tolist() == WORDS
    assert_array_equal(codes, [0, 2, 0])


def test_categories_given_beat_those_of_the_categorical():
    classes, codes = encode(categorical(LABELS), WORDS[::-1])
    assert classes.tolist() == WORDS[::-1]
    assert_array_equal(codes, 2 - np.array(CODES))


# ---------------------------------------------------------------------- types of labels
@pytest.mark.parametrize(
    "values",
    [
        np.array([1, 5, 20]),
        np.array([-1.0, 0.0, 4.0]),
        np.array([1, 2, 3], dtype=np.uint8),
        np.array([1, 5, 20], dtype=object),
        DAYS,
        np.array([1, 2, 9], dtype="timedelta64[D]"),
    ],
    ids=["int", "float", "uint8", "object", "dates", "durations"],
)
def test_numbers_and_dates_are_sorted_by_value(values):
    classes, codes = encode(values[CODES])
    assert_array_equal(classes, values)
    assert_array_equal(codes, CODES)


def test_booleans_are_ordered_false_then_true():
    classes, codes = encode(np.array([True, False, True]))
    assert classes.tolist() == [False, True]
    assert_array_equal(codes, [1, 0, 1])


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "int8"])
def test_nullable_pandas_numbers_are_read(dtype):
    classes, codes = encode(pd.Series([3, 1, 2, 1], dtype=dtype))
    assert classes.tolist() == [1, 2, 3]
    assert_array_equal(codes, [2, 0, 1, 0])


def test_whole_floats_match_integer_categories():
    _, codes = encode(np.array([2.0, 1.0, 3.0]), [3, 2, 1])
    assert_array_equal(codes, [1, 2, 0])


def test_three_strings_warn_with_the_order_and_the_remedy():
    pattern = r"labels with an order.*Got strings.*'high', 'low', 'mid'.*categories="
    with pytest.warns(LabelOrderWarning, match=pattern):
        classes, _ = encode(LABELS)
    assert classes.tolist() == ["high", "low", "mid"]


def test_two_strings_do_not_warn():
    # either order fits the same model, only the sign of the slopes differs
    classes, codes = encode(["no", "yes", "no"])
    assert classes.tolist() == ["no", "yes"]
    assert_array_equal(codes, [0, 1, 0])


def test_long_class_lists_are_cut_in_messages():
    y = [f"c{i:02d}" for i in range(30)] * 3
    with pytest.warns(LabelOrderWarning, match=r"'c08', \.\.\. \(30 in all\)\]"):
        encode(y)


def test_column_vector_is_flattened_with_a_warning():
    with pytest.warns(DataConversionWarning, match="column-vector"):
        _, codes = encode(np.array([[3], [1], [2]]))
    assert_array_equal(codes, [2, 0, 1])


# ----------------------------------------------------------------------------- refusals
@pytest.mark.parametrize(
    ("y", "row"),
    [
        ([1.0, np.nan, 2.0], 1),
        ([1.0, 2.0, np.inf], 2),
        (np.array(["a", None, "b"], dtype=object), 1),
        (np.array(["a", np.nan, "b"], dtype=object), 1),
        (pd.Series([1, 2, None], dtype="Int64"), 2),
        (categorical([None, "low", "mid"]), 0),
        (pl.Series([None, "low", "mid"], dtype=pl.Enum(WORDS)), 0),
        (np.array(["2024-03-01", "NaT"], dtype="datetime64[D]"), 1),
        (np.array([1, "NaT"], dtype="timedelta64[D]"), 1),
    ],
    ids=["NaN", "inf", "None", "object NaN", "NA", "category", "Enum", "NaT", "NaT d"],
)
def test_missing_label_is_refused_with_its_row(y, row):
    pattern = rf"label in every row of y.*missing.* first at row {row}; drop or fill"
    with pytest.raises(ValueError, match=pattern):
        encode(y)


def test_unknown_label_is_named_with_the_number_of_rows():
    pattern = r"among categories=\['low', 'mid'\].*Got also \['high'\] in 2 rows; add"
    with pytest.raises(ValueError, match=pattern):
        encode(LABELS, ["low", "mid"])


@pytest.mark.parametrize("categories", [["low", "mid", "low"], [[1, 2], [3, 4]]])
def test_repeated_or_nested_categories_are_refused(categories):
    with pytest.raises(ValueError, match=r"'categories' .* once.* Got .*; remove"):
        encode(LABELS, categories)


def test_a_word_is_no_list_of_categories():
    with pytest.raises(ValueError, match=r"'categories' .*'auto' .* Got 'low'; pass a"):
        encode(LABELS, "low")


@pytest.mark.parametrize("y", [[0.5, 1.25, 3.1], np.linspace(0, 1, 20)])
def test_continuous_target_is_refused(y):
    with pytest.raises(ValueError, match=r"continuous.*regression target"):
        encode(y)


def test_matrix_of_labels_is_refused():
    with pytest.raises(ValueError, match="1d array"):
        encode(np.ones((4, 2)))


# ------------------------------------------------------------------------ empty classes
CLASSES = np.array(WORDS)


def test_weight_of_every_class_passes_in_silence():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        require_two_classes(CLASSES, np.array([0, 1, 2]), np.ones(3), "M")
    assert not caught


@pytest.mark.parametrize(
    ("codes", "weight", "named"),
    [
        ([0, 2], [1.0, 1.0], r"\['mid'\]"),
        ([0, 1, 2], [1.0, 0.5, 0.0], r"\['high'\]"),
    ],
)
def test_class_without_weight_is_named(codes, weight, named):
    pattern = rf"rows of every class.*Got none .* of {named}.*pool"
    with pytest.warns(EmptyClassWarning, match=pattern):
        require_two_classes(CLASSES, np.array(codes), np.array(weight), "M")


def test_class_below_the_least_share_is_named_with_its_share():
    codes, weight = np.array([0, 1, 2]), np.array([1.0, 1e-20, 1.0])
    assert require_two_classes(CLASSES, codes, weight, "M").all()
    pattern = r"Got at most 5e-21 of the weight in each of \['mid'\], which"
    with pytest.warns(EmptyClassWarning, match=pattern):
        present = require_two_classes(CLASSES, codes, weight, "M", 1e-16)
    assert present.tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("codes", "weight", "found"),
    [
        ([1, 1], [1.0, 1.0], r"1 class, \['mid'\]"),
        ([0, 1], [0.0, 1.0], r"1 class, \['mid'\]"),
        ([0, 1], [0.0, 0.0], "no class"),
    ],
)
def test_fewer_than_two_classes_are_refused(codes, weight, found):
    pattern = rf"M expected .*at least 2 classes.*Got {found}; provide"
    with pytest.raises(ValueError, match=pattern):
        require_two_classes(CLASSES, np.array(codes), np.array(weight), "M")


# ------------------------------------------------------------------------ class weights
def test_numbers_written_as_strings_are_matched_by_name():
    # the fit sees the weights only through the class shares of its null model
    from statlearn.ordinal import PrestoClassifier

    y = np.array(["1", "2", "3"])[[0, 0, 1, 1, 2, 2]]
    model = PrestoClassifier(
        10.0, categories=["1", "2", "3"], class_weight={"1": 1, "2": 2, "3": 5}
    ).fit(np.arange(6.0)[:, None], y)
    assert_allclose(model.predict_proba([[0.0]]), [[1 / 8, 2 / 8, 5 / 8]], rtol=1e-6)


# ------------------------------------------------------------------------------ numbers
@pytest.mark.parametrize(
    "values",
    [
        [3, 2],
        (3.0, 2),
        np.array([3, 2], np.uint8),
        np.array([3, 2], object),
        pd.Series([3, 2], dtype="Int64"),
        pl.Series([3, 2]),
        Tensor(np.array([3, 2], np.float32), device="cuda", requires_grad=True),
    ],
    ids=["list", "tuple", "small", "objects", "pandas", "polars", "tensor"],
)
def test_numbers_of_any_kind_are_read(values):
    found = as_numbers(values)
    assert found.dtype == np.float64
    assert_array_equal(found, [3.0, 2.0])


def test_numbers_keep_their_shape():
    assert as_numbers(2).shape == ()
    assert as_numbers([[1, 2]]).shape == (1, 2)
    assert as_numbers([]).shape == (0,)


@pytest.mark.parametrize(
    "values",
    [
        "3",
        ["3", "2"],
        [3.0, "2"],
        [b"3", b"2"],
        np.array(["3", 2], object),
        pd.Series(["3", "2"]),
        DAYS,
        DAYS - DAYS[0],
        [1 + 2j, 3],
        [[1], [2, 3]],
        [{}, []],
    ],
    ids=[
        "word",
        "words",
        "a word",
        "bytes",
        "objects",
        "pandas",
        "dates",
        "times",
        "complex",
        "ragged",
        "others",
    ],
)
def test_words_and_other_values_are_no_numbers(values):
    assert_array_equal(as_numbers(values), [np.nan])


def test_numbers_are_not_copied_or_changed():
    values = np.array([1.0, 2.0])
    assert as_numbers(values) is values


def test_tensors_in_a_list_that_need_gradients_are_no_numbers():
    class Needy:
        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("can't call numpy() on a tensor that requires grad")

    assert_array_equal(as_numbers([Needy(), Needy()]), [np.nan])


# ------------------------------------------------------------------ counts and shares
@pytest.mark.parametrize(
    ("values", "shapes", "problem"),
    [
        ([1.0, 0.0], (), None),
        ([1.0, 0.0], ((3,), (2,)), None),
        ([1.0, 0.0], ((3,), (4,)), "shape (2,)"),
        ([[1.0]], (), "shape (1, 1)"),
        ([], (), "shape (0,)"),
        ([1.0, np.nan, -1.0], (), "NaN or infinity, first at 1"),
        ([np.inf, 1.0], (), "NaN or infinity, first at 0"),
        ([1.0, -0.5], (), "-0.5 at 1"),
        ([0.0, 0.0], (), "zeros only"),
    ],
    ids=range(9),
)
def test_what_keeps_numbers_from_being_weights(values, shapes, problem):
    assert weight_problem(np.asarray(values), *shapes) == problem


def test_target_is_required_in_the_words_of_scikit_learn():
    require_target([], "it")
    message = "^it requires y to be passed, but the target y is None; pass one"
    with pytest.raises(ValueError, match=message):
        require_target(None, "it")
