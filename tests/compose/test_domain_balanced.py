"""Fits to domains of very different size."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator, RegressorMixin, clone, is_classifier
from sklearn.datasets import make_classification
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from statlearn.compose import DomainBalanced
from statlearn.exceptions import StatlearnWarning

SIZES = (1000, 100, 10)
# Of these sizes, as published with 10 digits.
WEIGHTS = {
    2.0: (0.7837722340, 2.4785054262, 7.8377223398),
    5.0: (0.5470501267, 3.4516529523, 21.7784578085),
}
SHARES_AT_5 = np.array([0.4928379520, 0.3109597254, 0.1962023226])
SHARES_AT_1 = np.array([1000, 100, 10]) / 1110


def table(sizes=SIZES, seed=0):
    """Rows of domains whose lines differ, in random order."""
    rng = np.random.default_rng(seed)
    names = rng.permutation(np.repeat(["a", "b", "c"], sizes))
    place = np.unique(names, return_inverse=True)[1]
    X = rng.normal(size=(len(names), 2))
    X[:, 1] = place
    y = X[:, 0] * np.array([1.0, 0.0, -2.0])[place] + 0.1 * rng.normal(size=len(names))
    return X, y, names


X, Y, NAMES = table()
WEIGHT = np.random.default_rng(1).integers(0, 4, len(Y)).astype(float)
CX, CY = make_classification(300, 4, flip_y=0.1, random_state=0)
CNAMES = np.repeat([0, 1], [280, 20])


class Counter(RegressorMixin, BaseEstimator):
    """Remember the batches of a run."""

    def partial_fit(self, X, y, sample_weight=None):
        if not hasattr(self, "log_"):
            self.log_ = []
        self.log_.append((X, y, sample_weight))
        return self

    def fit(self, X, y, sample_weight=None):
        self.log_ = []
        return self.partial_fit(X, y, sample_weight)

    def predict(self, X):
        return np.zeros(len(X))


def counts(batch):
    """Rows of each domain in a batch; the second column is its number."""
    return np.bincount(batch[0][:, 1].astype(int), minlength=3)


def sampled(estimator=None, **settings):
    settings = {"random_state": 0} | settings
    return DomainBalanced(Counter() if estimator is None else estimator, **settings)


def weighted(estimator=None, **settings):
    inner = LinearRegression() if estimator is None else estimator
    return DomainBalanced(inner, strategy="scalarization", **settings)


# ------------------------------------------------------------------------------ weights
@pytest.mark.parametrize("tau", [2.0, 5.0])
def test_weights_are_the_published_ones(tau):
    model = weighted(tau=tau).fit(X, Y, domains=NAMES)
    for name, expected in zip("abc", WEIGHTS[tau], strict=True):
        assert_allclose(model.weights_[name == NAMES], expected, atol=1e-10)


def test_fit_with_weights_is_that_of_the_estimator_alone():
    model = weighted().fit(X, Y, domains=NAMES)
    by_hand = np.choose(np.searchsorted(["a", "b", "c"], NAMES), WEIGHTS[5.0])
    expected = LinearRegression().fit(X, Y, by_hand)
    assert_allclose(model.predict(X), expected.predict(X), atol=1e-8)


def test_infinite_temperature_gives_all_domains_the_same_weight():
    model = weighted(tau=np.inf).fit(X, Y, domains=NAMES)
    totals = [model.weights_[name == NAMES].sum() for name in "abc"]
    assert_allclose(totals, 1110 / 3)


def test_weighting_with_counts_is_weighting_repeated_rows():
    again = np.repeat(np.arange(len(Y)), WEIGHT.astype(int))
    one = weighted().fit(X, Y, WEIGHT, NAMES)
    other = weighted().fit(X[again], Y[again], domains=NAMES[again])
    assert_allclose(one.weights_[again] / WEIGHT[again], other.weights_)
    assert_allclose(one.predict(X), other.predict(X))


def test_estimator_without_batches_is_weighted_at_the_last_temperature():
    model = sampled(LinearRegression(), tau=9.0, tau_end=2.0).fit(X, Y, domains=NAMES)
    assert_allclose(model.weights_[NAMES == "c"], WEIGHTS[2.0][2], atol=1e-10)
    assert not hasattr(model, "counts_")


def test_warning_says_that_equal_weights_change_nothing():
    model = sampled(LinearRegression())
    with pytest.warns(StatlearnWarning, match=r"Got LinearRegression.*'scalarization'"):
        model.fit(X, Y, domains=NAMES)
    assert_allclose(model.predict(X), LinearRegression().fit(X, Y).predict(X))


# ------------------------------------------------------------------------------ batches
def test_domains_are_drawn_hot_first_and_by_size_later():
    model = sampled(n_steps=400, batch_size=50).fit(X, Y, domains=NAMES)
    log = model.estimator_.log_
    assert [len(y) for _, y, _ in log] == [50] * 400
    hot = sum(counts(batch) for batch in log[:200])
    cold = sum(counts(batch) for batch in log[200:])
    # Less than one row of noise a step by multinomial draws, and here far less.
    assert_allclose(hot, 10_000 * SHARES_AT_5, atol=20)
    assert_allclose(cold, 10_000 * SHARES_AT_1, atol=20)
    assert_array_equal(model.counts_, hot + cold)


def test_switch_can_be_a_step():
    model = sampled(n_steps=40, batch_size=1000, switch=10, tau=np.inf)
    log = model.fit(X, Y, domains=NAMES).estimator_.log_
    third = [abs(counts(batch)[2] - 1000 / 3) < 2 for batch in log]
    assert third == [True] * 10 + [False] * 30


def test_default_is_five_passes_over_the_rows():
    model = sampled(batch_size=100).fit(X, Y, domains=NAMES)
    assert model.n_steps_ == 56
    assert model.counts_.sum() == 5600


def test_few_rows_are_one_batch():
    few = np.flatnonzero(NAMES != "a")
    model = sampled().fit(X[few], Y[few], domains=NAMES[few])
    assert [len(y) for _, y, _ in model.estimator_.log_] == [110] * 5


def test_rows_of_a_domain_come_equally_often():
    model = sampled(n_steps=100, batch_size=111).fit(X, Y, domains=NAMES)
    drawn = np.concatenate([y for _, y, _ in model.estimator_.log_])
    for name in "abc":
        times = [np.sum(drawn == value) for value in Y[name == NAMES]]
        assert max(times) - min(times) <= 1


def test_targets_and_rows_stay_together():
    model = sampled().fit(X, Y, domains=NAMES)
    target = dict(zip(X[:, 0], Y, strict=True))
    for rows, y, weight in model.estimator_.log_:
        assert weight is None
        assert_array_equal(y, [target[value] for value in rows[:, 0]])


def test_base_weights_make_domains_larger():
    base = np.where(NAMES == "c", 100.0, 1.0)
    model = sampled(tau=1.0, n_steps=100, batch_size=210)
    model.fit(X, Y, base, NAMES)
    assert_allclose(
        model.counts_ / 21_000, np.array([1000, 100, 1000]) / 2100, atol=2e-3
    )
    assert_allclose(np.concatenate([w for *_, w in model.estimator_.log_]), 1.0)


def test_base_weights_act_within_their_domain():
    model = sampled(n_steps=500, batch_size=100).fit(X, Y, WEIGHT, NAMES)
    columns = zip(*model.estimator_.log_, strict=True)
    rows, y, weight = (np.concatenate(column) for column in columns)
    for number, name in enumerate("abc"):
        own = name == NAMES
        seen = rows[:, 1] == number
        assert weight[seen].mean() == pytest.approx(1.0, rel=0.02)
        expected = np.average(Y[own], weights=WEIGHT[own])
        assert np.average(y[seen], weights=weight[seen]) == pytest.approx(
            expected, abs=0.02
        )


def test_rows_and_domains_without_weight_are_left_out():
    base = np.where(NAMES == "b", 0.0, 1.0)
    labels = np.where(NAMES == "b", None, NAMES)  # may be missing there
    model = sampled().fit(X, Y, base, labels)
    assert model.domains_ == ["a", "c"]
    assert not any(counts(batch)[1] for batch in model.estimator_.log_)


def test_same_seed_draws_the_same_batches():
    one, other = (
        sampled(SGDRegressor(random_state=0), random_state=seed).fit(
            X, Y, domains=NAMES
        )
        for seed in (7, np.random.default_rng(7))
    )
    assert_array_equal(one.estimator_.coef_, other.estimator_.coef_)
    another = sampled(SGDRegressor(random_state=0), random_state=8)
    another.fit(X, Y, domains=NAMES)
    assert (one.estimator_.coef_ != another.estimator_.coef_).any()


@pytest.mark.parametrize("kind", ["array", "list", "frame", "sparse"])
def test_tables_of_any_kind_are_cut_into_batches(kind):
    forms = {
        "array": X,
        "list": X.tolist(),
        "frame": pd.DataFrame(X, columns=["u", "v"]),
        "sparse": sparse.csr_array(X),
    }
    # Of sparse rows SGD learns the intercept more slowly.
    model = sampled(SGDRegressor(fit_intercept=False, random_state=0))
    expected = clone(model).fit(X, Y, domains=NAMES)
    model.fit(forms[kind], Y, domains=NAMES)
    assert_allclose(model.estimator_.coef_, expected.estimator_.coef_)
    assert hasattr(model, "feature_names_in_") == (kind == "frame")


@pytest.mark.parametrize(
    "labels",
    [NAMES.tolist(), pd.Series(NAMES), pd.Categorical(NAMES), NAMES.astype(object)],
    ids=["list", "series", "categorical", "objects"],
)
def test_labels_of_any_kind_name_domains(labels):
    model = sampled().fit(X, Y, domains=labels)
    expected = sampled().fit(X, Y, domains=NAMES)
    assert model.domains_ == ["a", "b", "c"]
    assert_array_equal(model.counts_, expected.counts_)


def test_every_row_can_be_a_domain_of_its_own():
    model = sampled(n_steps=3).fit(X[:20], Y[:20], domains=np.arange(20))
    assert_array_equal(model.counts_, np.full(20, 3))


# ------------------------------------------------------------------------- what it does
def losses(model, X, y, names):
    error = (model.predict(X) - y) ** 2
    return np.array([error[names == name].mean() for name in "abc"])


@pytest.mark.parametrize(
    "model",
    [
        weighted(),
        sampled(SGDRegressor(random_state=0), tau_end=5.0, n_steps=200),
        sampled(
            MLPRegressor(
                hidden_layer_sizes=(32,), learning_rate_init=0.01, random_state=0
            ),
            n_steps=400,
            batch_size=32,
        ),
    ],
    ids=["scalarization", "sampling, always hot", "network, cooled"],
)
def test_small_domain_is_fitted_better_than_in_proportion(model):
    fresh = table((500, 500, 500), seed=1)
    balanced = losses(model.fit(X, Y, domains=NAMES), *fresh)
    plain = clone(model).set_params(tau=1.0, tau_end=1.0).fit(X, Y, domains=NAMES)
    assert balanced[2] < 0.9 * losses(plain, *fresh)[2]


def test_cooling_takes_a_linear_model_back_to_the_fit_by_size():
    fresh = table((500, 500, 500), seed=1)
    settings = {"n_steps": 400, "batch_size": 32}
    cooled, by_size = (
        losses(
            sampled(SGDRegressor(random_state=0), tau=tau, **settings).fit(
                X, Y, domains=NAMES
            ),
            *fresh,
        )
        for tau in (5.0, 1.0)
    )
    assert_allclose(cooled[1:], by_size[1:], rtol=0.1)


def test_classes_of_a_small_domain_are_known_from_the_start():
    y = np.where(np.arange(300) == 299, 2, CY)
    model = sampled(SGDClassifier(random_state=0), n_steps=2, batch_size=8)
    model.fit(CX, y, domains=CNAMES)
    assert model.classes_.tolist() == [0, 1, 2]
    assert is_classifier(model)
    assert model.score(CX, y) > 0.5
    assert not hasattr(model, "predict_proba")  # of a hinge loss


def test_refit_forgets_the_other_strategy():
    model = sampled(SGDRegressor(random_state=0)).fit(X, Y, domains=NAMES)
    assert model.counts_.shape == (3,)
    model.set_params(strategy="scalarization").fit(X, Y, domains=NAMES)
    assert not hasattr(model, "counts_")
    assert not hasattr(model, "n_steps_")
    model.set_params(strategy="sampling").fit(X, Y, domains=NAMES)
    assert not hasattr(model, "weights_")


# ------------------------------------------------------------------------- no domains
def test_without_domains_weighting_is_a_plain_fit():
    with pytest.warns(StatlearnWarning, match=r"Got none, so all rows are one domain"):
        model = weighted().fit(X, Y, WEIGHT)
    assert_array_equal(model.weights_, WEIGHT)
    expected = LinearRegression().fit(X, Y, WEIGHT)
    assert_array_equal(model.predict(X), expected.predict(X))


def test_without_domains_each_pass_takes_every_row_once():
    with pytest.warns(StatlearnWarning, match="one domain"):
        model = sampled(batch_size=111).fit(X, Y)
    log = model.estimator_.log_
    for start in range(0, 50, 10):
        seen = np.concatenate([y for _, y, _ in log[start : start + 10]])
        assert_array_equal(np.sort(seen), np.sort(Y))


# -------------------------------------------------------------------- inside other ones
@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("model", [weighted(), sampled()], ids=["weights", "batches"])
def test_cross_validation_cuts_domains_along_with_rows(model):
    model = clone(model).set_fit_request(domains=True, sample_weight=True)
    model.set_score_request(sample_weight=False)
    result = cross_validate(
        model,
        X,
        Y,
        cv=KFold(3),
        params={"domains": NAMES, "sample_weight": WEIGHT},
        return_estimator=True,
    )
    for fitted, (train, _) in zip(result["estimator"], KFold(3).split(X), strict=True):
        direct = clone(model).fit(X[train], Y[train], WEIGHT[train], NAMES[train])
        name = "counts_" if hasattr(direct, "counts_") else "weights_"
        assert_array_equal(getattr(fitted, name), getattr(direct, name))


@pytest.mark.usefixtures("routing")
def test_pipeline_around_routes_domains_to_its_last_step():
    model = sampled(SGDRegressor(random_state=0)).set_fit_request(domains=True)
    steps = make_pipeline(StandardScaler(), model).fit(X, Y, domains=NAMES)
    assert steps[-1].domains_ == ["a", "b", "c"]


def test_pipeline_around_takes_domains_for_its_step_without_routing():
    steps = make_pipeline(StandardScaler(), sampled(SGDRegressor(random_state=0)))
    steps.fit(X, Y, domainbalanced__domains=NAMES)
    assert steps[-1].domains_ == ["a", "b", "c"]


def test_pipeline_inside_takes_weights_at_its_last_step():
    inner = make_pipeline(StandardScaler(), LogisticRegression())
    model = weighted(inner).fit(CX, CY, domains=CNAMES)
    table = StandardScaler().fit_transform(CX)
    expected = LogisticRegression().fit(table, CY, model.weights_)
    assert_allclose(model.predict_proba(CX), expected.predict_proba(table))


def test_search_over_temperatures_works():
    grid = {"tau": [1.0, 5.0], "estimator__alpha": [1e-4, 1e-2]}
    search = GridSearchCV(sampled(SGDRegressor(random_state=0)), grid, cv=2)
    search.fit(X, Y, domains=NAMES)
    assert search.best_estimator_.domains_ == ["a", "b", "c"]


@pytest.mark.parametrize("model", [weighted(), sampled()], ids=["weights", "batches"])
def test_pickle_and_clone_keep_what_they_should(model):
    fitted = clone(model).fit(X, Y, domains=NAMES)
    again = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(again.predict(X), fitted.predict(X))
    assert again.domains_ == fitted.domains_
    copy = clone(fitted)
    assert not hasattr(copy, "estimator_")
    assert copy.get_params(deep=False).keys() == fitted.get_params(deep=False).keys()


class Stop:
    """End the training after two passes."""

    names: tuple = ()

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.names += (context.task_name,)
        return len(self.names) == 2


def test_callback_sees_passes_and_can_stop_them():
    stop = Stop()
    model = sampled(batch_size=111).set_callbacks(stop).fit(X, Y, domains=NAMES)
    assert stop.names == ("pass", "pass", "fit")
    assert model.n_steps_ == len(model.estimator_.log_) == 20
    assert model.counts_.sum() == 2220


class Keep(Stop):
    """Keep what the training has learnt after each pass."""

    kept: tuple = ()

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        self.kept += (fitted_estimator,)


def test_callback_gets_the_model_as_it_is_after_a_pass():
    keep = Keep()
    model = sampled(batch_size=111).set_callbacks(keep).fit(X, Y, domains=NAMES)
    *passes, last = keep.kept
    assert [each.n_steps_ for each in passes] == [10, 20, 30, 40, 50]
    assert [len(each.estimator_.log_) for each in passes] == [10, 20, 30, 40, 50]
    assert [each.counts_.sum() for each in passes] == [1110 * k for k in range(1, 6)]
    assert last.n_steps_ == model.n_steps_ == 50
    assert last.domains_ == passes[0].domains_ == ["a", "b", "c"]


def test_callback_gets_the_weights_of_a_weighted_fit():
    keep = Keep()
    model = weighted().set_callbacks(keep).fit(X, Y, domains=NAMES)
    for each in keep.kept:
        assert_array_equal(each.weights_, model.weights_)
        assert each.domains_ == model.domains_


def test_inputs_are_left_as_they_are():
    before = X.copy(), Y.copy(), WEIGHT.copy(), NAMES.copy()
    for model in (weighted(), sampled(SGDRegressor(random_state=0))):
        model.fit(X, Y, WEIGHT, NAMES)
    for now, then in zip((X, Y, WEIGHT, NAMES), before, strict=True):
        assert_array_equal(now, then)


# ---------------------------------------------------------------------------- bad input
MISSING = [None, *NAMES[1:]]


@pytest.mark.parametrize(
    ("model", "metadata", "error", "message"),
    [
        (sampled(), {"domains": NAMES[:-1]}, ValueError, r"Got 1109 labels for 1110"),
        (weighted(), {"domains": NAMES[:-1]}, ValueError, r"Got 1109 labels for 1110"),
        (sampled(), {"domains": MISSING}, ValueError, r"The 'domains' .*Got missing"),
        (sampled(), {"domains": X}, ValueError, r"The 'domains' .* Got shape"),
        (sampled(tau=0.0), {"domains": NAMES}, ValueError, r"'tau' parameter"),
        (sampled(tau_end=-1), {"domains": NAMES}, ValueError, r"'tau_end' parameter"),
        (sampled(switch=1.5), {"domains": NAMES}, ValueError, r"'switch' parameter"),
        (sampled(switch=9, n_steps=8), {"domains": NAMES}, ValueError, r"switch"),
        (sampled(batch_size=0), {"domains": NAMES}, ValueError, r"'batch_size' param"),
        (sampled(n_steps=0), {"domains": NAMES}, ValueError, r"'n_steps' parameter"),
        (sampled(strategy="both"), {"domains": NAMES}, ValueError, r"'strategy' param"),
        (
            sampled(),
            {"domains": NAMES, "sample_weight": -WEIGHT},
            ValueError,
            r"The 'sample_weight' parameter of DomainBalanced",
        ),
        (
            sampled(),
            {"domains": NAMES, "coef_init": [0.0, 0.0]},
            TypeError,
            r"Got \['coef_init'\]",
        ),
        (
            weighted(KNeighborsRegressor()),
            {"domains": NAMES},
            TypeError,
            r"must accept sample_weight in fit\. Got KNeighborsRegressor",
        ),
    ],
)
def test_bad_input_is_refused(model, metadata, error, message):
    with pytest.raises(error, match=message):
        model.fit(X, Y, **metadata)


class Unweighted(Counter):
    def partial_fit(self, X, y):
        return super().partial_fit(X, y)


def test_weights_for_batches_that_take_none_are_refused():
    sampled(Unweighted()).fit(X, Y, domains=NAMES)
    with pytest.raises(TypeError, match=r"Got weights for Unweighted"):
        sampled(Unweighted()).fit(X, Y, WEIGHT, NAMES)


def test_no_rows_are_refused():
    with (
        pytest.warns(StatlearnWarning, match="one domain"),
        pytest.raises(ValueError, match=r"must hold one row or more"),
    ):
        sampled().fit(np.empty((0, 2)), np.empty(0))
