"""A memory keeps to its budget, and shortens lists from their ends."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy import sparse, stats

from aligning_cases import blobs
from statlearn.continual import ExemplarMemory, herding
from stub_tensor import Tensor

X, Y = blobs(90, n_classes=6, n_features=6)


def rows_of(memory, label):
    X_kept, y_kept = memory.get()
    return X_kept[y_kept == label]


def test_each_class_keeps_its_share_of_the_budget():
    memory = ExemplarMemory(20)
    first, then = Y < 2, Y >= 2
    assert memory.add(X[first], Y[first]).per_class_ == {0: 10, 1: 10}
    assert memory.add(X[then], Y[then]).per_class_ == dict.fromkeys(range(6), 3)
    assert len(memory) == 18
    assert memory.n_adds_ == 2


def test_rows_are_those_of_herding_class_by_class():
    memory = ExemplarMemory(12).add(X, Y)
    for label in range(6):
        rows = X[label == Y]
        assert_array_equal(rows_of(memory, label), rows[herding(rows, 2)])


def test_features_decide_where_there_are_any():
    phi = np.tanh(X) ** 2
    memory = ExemplarMemory(30).add(X, Y, phi)
    for label in range(6):
        rows, mapped = X[label == Y], phi[label == Y]
        assert_array_equal(rows_of(memory, label), rows[herding(mapped, 5)])


@pytest.mark.parametrize("selection", ["herding", "random"])
def test_old_classes_keep_their_first_rows(selection):
    memory = ExemplarMemory(24, selection=selection, random_state=0)
    memory.add(X[Y < 2], Y[Y < 2])
    before = {label: rows_of(memory, label) for label in (0, 1)}
    memory.add(X[Y >= 2], Y[Y >= 2])
    for label in (0, 1):
        assert_array_equal(rows_of(memory, label), before[label][:4])


@given(
    st.integers(6, 60),
    st.lists(st.integers(0, 5), min_size=1, max_size=8),
    st.sampled_from(["herding", "random"]),
)
def test_a_memory_is_never_larger_than_its_budget(size, labels, selection):
    memory = ExemplarMemory(size, selection=selection, random_state=0)
    seen = set()
    for label in labels:
        memory.add(X[label == Y], Y[label == Y])
        seen.add(label)
        assert len(memory) <= size
        assert list(memory.per_class_) == list(dict.fromkeys(labels))[: len(seen)]
        room = size // len(seen)
        assert all(n <= room for n in memory.per_class_.values())
        assert memory.per_class_[label] >= min(room, 15)


def test_a_class_that_comes_again_chooses_among_old_and_new_rows():
    half = np.arange(len(Y)) < 45
    memory = ExemplarMemory(12).add(X[half], Y[half])
    kept = rows_of(memory, 3)
    memory.add(X[~half & (Y == 3)], Y[~half & (Y == 3)])
    candidates = np.vstack([kept, X[~half & (Y == 3)]])
    assert_array_equal(rows_of(memory, 3), candidates[herding(candidates, 2)])


def test_a_smaller_budget_keeps_the_first_rows_and_a_larger_one_finds_no_more():
    memory = ExemplarMemory(30).add(X, Y)
    before = {label: rows_of(memory, label) for label in range(6)}
    memory.resize(13)
    assert (memory.size, len(memory)) == (13, 12)
    for label in range(6):
        assert_array_equal(rows_of(memory, label), before[label][:2])
    assert len(memory.resize(60)) == 12


def test_no_budget_keeps_nothing():
    memory = ExemplarMemory(0).add(X, Y)
    assert len(memory) == 0
    assert memory.get()[0].shape == (0, 6)
    assert memory.per_class_ == {}
    assert memory.add(X, Y).n_adds_ == 2


def test_random_rows_are_kept_equally_often():
    generator = np.random.default_rng(0)
    counts = np.zeros(15)
    number = np.arange(15.0)[:, None]
    for _ in range(2000):
        memory = ExemplarMemory(4, selection="random", random_state=generator)
        counts[memory.add(number, np.zeros(15)).get()[0][:, 0].astype(int)] += 1
    # Variance of draws without replacement.
    statistic = np.sum((counts - counts.mean()) ** 2) / counts.mean() / (1 - 4 / 15)
    assert 1e-3 < stats.chi2.sf(statistic * 14 / 15, 14) < 1 - 1e-3


def test_equal_seeds_keep_equal_rows():
    def kept(seed):
        memory = ExemplarMemory(12, selection="random", random_state=seed)
        return memory.add(X, Y).get()[0]

    assert_array_equal(kept(3), kept(3))
    assert not np.array_equal(kept(3), kept(4))


def test_a_pickled_memory_goes_on_in_the_same_way():
    memory = ExemplarMemory(12, selection="random", random_state=0)
    memory.add(X[Y < 3], Y[Y < 3])
    copy = pickle.loads(pickle.dumps(memory))
    for each in (memory, copy):
        each.add(X[Y >= 3], Y[Y >= 3])
    assert_array_equal(memory.get()[0], copy.get()[0])


def test_weights_stay_with_their_rows_and_rows_without_are_left_out():
    weight = np.arange(90.0)
    memory = ExemplarMemory(90).add(X, Y, sample_weight=weight)
    kept = memory.get()[0]
    assert len(memory) == 89
    where = [int(np.flatnonzero((row == X).all(axis=1))[0]) for row in kept]
    assert_array_equal(memory.sample_weight_, weight[where])
    memory.add(X[:6] + 1.0, Y[:6])
    assert 1.0 in memory.sample_weight_


def test_weights_count_in_the_mean():
    weight = np.where(np.arange(90) < 40, 5.0, 1.0)
    memory = ExemplarMemory(12).add(X, Y, sample_weight=weight)
    rows, own = X[Y == 2], weight[Y == 2]
    expected = rows[herding(rows, 2, sample_weight=own)]
    assert_array_equal(rows_of(memory, 2), expected)


def test_words_images_sparse_rows_and_tensors_are_kept():
    names = np.array(["a", "b", "c", "d", "e", "f"])[Y]
    images = X.reshape(90, 2, 3)
    plain = ExemplarMemory(12).add(X, names)
    assert plain.per_class_ == dict.fromkeys("abcdef", 2)
    of_images = ExemplarMemory(12).add(images, names, X).get()[0]
    assert_array_equal(of_images.reshape(12, 6), plain.get()[0])
    of_sparse = ExemplarMemory(12).add(sparse.coo_array(X), names).get()[0]
    assert_array_equal(of_sparse.toarray(), plain.get()[0])
    of_tensors, y = ExemplarMemory(12).add(Tensor(X), Tensor(Y)).get()
    assert_array_equal(of_tensors, plain.get()[0])
    assert_array_equal(y, np.repeat(np.arange(6), 2))


def test_types_of_rows_are_kept():
    memory = ExemplarMemory(12).add(X.astype(np.float32), Y.astype(np.int8))
    assert memory.get()[0].dtype == np.float32
    assert memory.get()[1].dtype == np.int8


def test_representation_says_what_is_kept():
    memory = ExemplarMemory(13).add(X, Y)
    assert repr(memory) == (
        "ExemplarMemory(13, selection='herding'): 12 rows of 6 classes"
    )


# ---------------------------------------------------------------------------- bad input
@pytest.mark.parametrize(
    ("size", "error"),
    [(-1, ValueError), (2.5, TypeError), ("9", TypeError), (None, TypeError)],
    ids=str,
)
def test_sizes_that_are_none_are_refused(size, error):
    message = r"'size' of ExemplarMemory must be an integer >= 0. Got .*; pass how many"
    with pytest.raises(error, match=message):
        ExemplarMemory(size)
    with pytest.raises(error, match=message):
        ExemplarMemory(9).resize(size)


@pytest.mark.parametrize("selection", ["all", None, ["herding"]], ids=str)
def test_unknown_selections_are_refused(selection):
    with pytest.raises(ValueError, match=r"'selection' .* one of .* Got .*; pass"):
        ExemplarMemory(9, selection=selection)


def test_more_classes_than_rows_are_refused_and_leave_the_memory_as_it_was():
    memory = ExemplarMemory(3).add(X[Y < 2], Y[Y < 2])
    message = r"'size' of ExemplarMemory must be at least .* 6, or 0. Got 3; allow"
    with pytest.raises(ValueError, match=message):
        memory.add(X, Y)
    assert memory.per_class_ == {0: 1, 1: 1}
    with pytest.raises(ValueError, match=r"at least the number of classes, 2"):
        memory.resize(1)


def test_an_empty_memory_has_nothing_to_get():
    with pytest.raises(ValueError, match=r"expected a memory with rows.*; call add"):
        ExemplarMemory(5).get()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X, Y[:5]), r"'X' .* a row for each of 5 labels. Got shape \(90, 6\); pass"),
        ((X[:, 0], Y), r"'X' .* Got shape \(90,\)"),
        ((X, np.full(90, np.nan)), r"'y' of ExemplarMemory.add .* missing labels"),
        ((X, Y[:, None]), r"'y' of ExemplarMemory.add must have shape"),
        ((X * np.nan, Y), r"'X' of ExemplarMemory.add must be finite"),
        ((X, Y, X[:5]), r"'features' .* a row for each of 90 rows. Got shape \(5, 6\)"),
        ((X, Y, X * np.inf), r"'features' .* finite numbers"),
        ((X.reshape(90, 2, 3), Y), r"'X' .* shape \(n, n_features\). Got shape"),
    ],
    ids=["y", "one axis", "NaN y", "table y", "NaN", "few", "inf", "images"],
)
def test_rows_that_do_not_belong_together_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ExemplarMemory(12).add(*arguments)


def test_rows_that_do_not_fit_those_before_are_refused():
    memory = ExemplarMemory(12).add(X, Y)
    with pytest.raises(ValueError, match=r"'X' .* shape \(6,\), as before. Got \(5,\)"):
        memory.add(X[:, :5], Y)
    with pytest.raises(ValueError, match=r"'features' .* Got 6, after none; pass"):
        memory.add(X, Y, X)
    with pytest.raises(ValueError, match=r"'y' .* like those before.*; use words"):
        memory.add(X, Y.astype(str))
    with_phi = ExemplarMemory(12).add(X, Y, X[:, :3])
    with pytest.raises(ValueError, match=r"'features' .* Got none, after 3; pass"):
        with_phi.add(X, Y)
    with pytest.raises(ValueError, match=r"'features' .* Got 4, after 3; pass"):
        with_phi.add(X, Y, X[:, :4])


def test_weights_that_are_none_are_refused():
    with pytest.raises(ValueError, match=r"'sample_weight' .* ExemplarMemory.add"):
        ExemplarMemory(12).add(X, Y, sample_weight=-np.ones(90))
