from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from statlearn.datasets import make_rare_ordinal

#: Mean share of the rare class in the published simulations: design, probability of
#: a slope that is not zero, intercepts.
PUBLISHED_SHARES = {
    ("sparse", 1 / 3, (0, 3, 5)): 0.00996,
    ("sparse", 1 / 2, (0, 3, 5)): 0.01166,
    ("sparse", 1 / 2, (0, 4, 6)): 0.00435,
    ("dense", 1 / 2, (0, 2.5, 4.5)): 0.01598,
    ("dense", 1 / 2, (0, 3, 5)): 0.00994,
}


def test_shapes_and_labels_are_those_asked_for():
    X, y, proba, coef = make_rare_ordinal(
        300, 4, intercepts=(0.0, 2.0), return_proba=True, random_state=0
    )
    assert X.shape == (300, 4)
    assert proba.shape == (300, 3)
    assert coef.shape == (2, 4)
    assert np.unique(y).tolist() == [1, 2, 3]


def test_the_truth_is_left_out_unless_asked_for():
    X, y = make_rare_ordinal(random_state=3)
    X_more, y_more, *_ = make_rare_ordinal(return_proba=True, random_state=3)
    np.testing.assert_array_equal(X, X_more)
    np.testing.assert_array_equal(y, y_more)


@pytest.mark.parametrize("design", ["sparse", "dense"])
def test_probabilities_are_those_of_the_returned_slopes(design):
    X, _, proba, coef = make_rare_ordinal(
        design=design, return_proba=True, random_state=1
    )
    cumulative = expit(np.array([0.0, 3.0, 5.0]) + X @ coef.T)
    np.testing.assert_allclose(proba[:, :-1].cumsum(axis=1), cumulative, atol=1e-12)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, atol=1e-12)
    assert proba.min() >= 0.0


def test_features_are_uniform_on_the_unit_box():
    X, _ = make_rare_ordinal(20_000, 2, random_state=0)
    assert -1.0 <= X.min() < -0.999
    assert 0.999 < X.max() <= 1.0
    # Standard deviation of a uniform on (-1, 1), within four standard errors.
    np.testing.assert_allclose(X.std(axis=0), 3**-0.5, atol=4 * 0.0019)


def test_sparse_slopes_change_by_half_or_not_at_all():
    _, _, _, coef = make_rare_ordinal(return_proba=True, random_state=5)
    changes = np.diff(coef, axis=0, prepend=0.0)
    assert set(changes[0]) <= {0.0, 0.5}
    assert set(changes[1:].ravel()) == {-0.5, 0.0, 0.5}


def test_dense_slopes_change_everywhere_by_less_than_half():
    _, _, _, coef = make_rare_ordinal(design="dense", return_proba=True, random_state=5)
    changes = np.diff(coef, axis=0, prepend=0.0)
    assert np.abs(changes).max() < 0.5
    assert np.abs(changes).min() > 0.0


def test_no_sparsity_gives_full_and_zero_gives_empty_slopes():
    _, _, _, full = make_rare_ordinal(
        200, 3, sparsity=1.0, return_proba=True, random_state=0
    )
    _, _, _, empty = make_rare_ordinal(
        500, 3, sparsity=0.0, return_proba=True, random_state=0
    )
    assert np.all(np.diff(full, axis=0) != 0.0)
    assert not empty.any()


def test_classes_come_as_often_as_their_probabilities_say():
    _, y, proba, _ = make_rare_ordinal(40_000, return_proba=True, random_state=2)
    counts = np.bincount(y, minlength=5)[1:]
    expected = proba.sum(axis=0)
    # A sum of independent indicators has at most this variance.
    assert np.all(np.abs(counts - expected) < 4.0 * np.sqrt(expected))


@pytest.mark.parametrize(("setting", "share"), PUBLISHED_SHARES.items())
def test_rare_share_agrees_with_the_published_simulations(setting, share):
    design, sparsity, intercepts = setting
    means = [
        make_rare_ordinal(
            design=design,
            sparsity=sparsity,
            intercepts=intercepts,
            return_proba=True,
            random_state=seed,
        )[2][:, -1].mean()
        for seed in range(60)
    ]
    error = np.std(means, ddof=1) / np.sqrt(len(means))
    assert abs(np.mean(means) - share) < 4.0 * error


def test_the_same_seed_gives_the_same_data_and_another_one_does_not():
    first, again, other = (make_rare_ordinal(random_state=s)[0] for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_generator_moves_on_from_call_to_call():
    rng = np.random.default_rng(0)
    first, second = (make_rare_ordinal(random_state=rng)[0] for _ in range(2))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_samples": 0}, r"'n_samples'.*integer >= 1\. Got 0; pass"),
        ({"n_features": -1}, r"'n_features'.*integer >= 1\. Got -1; pass"),
        ({"design": "thin"}, r"'design'.*\['sparse', 'dense'\]\. Got 'thin'; pass"),
        ({"sparsity": 1.5}, r"'sparsity'.*\[0, 1\]\. Got 1\.5; pass"),
        ({"intercepts": (0.0, 3.0, 3.0)}, r"'intercepts'.*increasing.*Got \(0\.0"),
        ({"intercepts": ()}, r"'intercepts'.*increasing.*Got \(\); pass"),
        ({"intercepts": (0.0, np.inf)}, r"'intercepts'.*finite.*Got \(0\.0, inf\)"),
    ],
)
def test_wrong_argument_says_what_came_and_what_to_do(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_rare_ordinal(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [{"n_samples": 1e3}, {"n_features": True}, {"sparsity": "all"}, {"design": None}],
    ids=range(4),
)
def test_argument_of_another_kind_is_refused(arguments):
    (name,) = arguments
    with pytest.raises(TypeError, match=f"'{name}' of make_rare_ordinal must be"):
        make_rare_ordinal(**arguments)


def test_impossible_design_gives_up_with_advice():
    with pytest.raises(ValueError, match=r"'intercepts'.*Got \[0\.0, 30\.0\].*lower"):
        make_rare_ordinal(20, 2, intercepts=(0.0, 30.0), random_state=0)
