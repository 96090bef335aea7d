"""Fits whose weights follow their losses."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import AdaBoostClassifier, AdaBoostRegressor, BaggingRegressor
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    Ridge,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeRegressor

from statlearn.compose import LossReweighted
from statlearn.exceptions import DegenerateWeightsWarning, ExactFitWarning
from statlearn.ordinal import PrestoClassifier
from statlearn.schedules import StepCooldown
from statlearn.weights import (
    Chain,
    ClipRatio,
    Huber,
    InverseFrequency,
    KLTilt,
    LinUpper,
    SelfPaced,
    Temperature,
    Uniform,
)

# Ten points near a line, the last one far off.
LINE_X = np.arange(10.0)[:, None]
NOISE = [0.1, -0.2, 0.3, 0.0, -0.1, 0.2, -0.3, 0.1, 0.05, 15.0]
LINE_Y = 2.0 * LINE_X[:, 0] + 1.0 + NOISE

X, Y = make_regression(80, 3, noise=5.0, random_state=0)
CX, CY = make_classification(90, 4, flip_y=0.2, random_state=0)


class Recorder(LinearRegression):
    """Count fits and keep their weights."""

    log: list = []

    def fit(self, X, y, sample_weight=None):
        self.log.append(None if sample_weight is None else sample_weight.copy())
        return super().fit(X, y, sample_weight)


@pytest.fixture
def recorder(monkeypatch):
    monkeypatch.setattr(Recorder, "log", [])
    return Recorder()


# ------------------------------------------------------------------------ known answers
@pytest.mark.parametrize(
    ("weighting", "expected"),
    [
        ("huber", (0.9691889537, 2.0232162790)),
        ("bisquare", (1.0332343847, 1.9966588068)),
        (LinUpper(temperature=1.0), (-2.0671251780, 3.0782549125)),
    ],
    ids=["huber", "bisquare", "linupper"],
)
def test_ten_points_have_the_known_fit(weighting, expected):
    model = LossReweighted(LinearRegression(), weighting, max_iter=500)
    line = model.fit(LINE_X, LINE_Y).estimator_
    assert model.converged_
    assert_allclose([line.intercept_, line.coef_[0]], expected, rtol=2e-8)


def test_huber_agrees_with_statsmodels_on_stackloss():
    data = sm.datasets.stackloss.load_pandas()
    reference = sm.RLM(data.endog, sm.add_constant(data.exog)).fit(tol=1e-12)
    model = LossReweighted(LinearRegression(), Huber(c=1.345), max_iter=500)
    fitted = model.fit(data.exog, data.endog).estimator_
    found = [fitted.intercept_, *fitted.coef_]
    assert_allclose(found, reference.params, rtol=1e-6)
    ratio = model.weights_ / reference.weights
    assert_allclose(ratio, ratio.iloc[0], rtol=1e-6)


def test_rule_on_labels_is_balanced_class_weights():
    model = LossReweighted(LogisticRegression(tol=1e-10), "inversefrequency")
    skewed = slice(0, 70)
    balanced = LogisticRegression(class_weight="balanced", tol=1e-10)
    balanced.fit(CX[skewed], CY[skewed])
    model.fit(CX[skewed], CY[skewed])
    assert_allclose(model.estimator_.coef_, balanced.coef_, rtol=1e-6)
    assert model.converged_


def test_rule_on_groups_weighs_by_the_groups_given():
    groups = np.repeat(["a", "b"], [60, 20])
    model = LossReweighted(LinearRegression(), InverseFrequency())
    model.fit(X, Y, groups=groups)
    weight = InverseFrequency()(groups)
    assert_allclose(model.weights_, weight)
    plain = LinearRegression().fit(X, Y, sample_weight=weight)
    assert_allclose(model.estimator_.coef_, plain.coef_)


def test_chain_of_groups_and_losses_uses_both():
    groups = np.repeat(["a", "b"], [60, 20])
    rule = Chain(InverseFrequency(), KLTilt(temperature=500.0), ClipRatio(3.0))
    model = LossReweighted(LinearRegression(), rule, max_iter=300)
    model.fit(X, Y, groups=groups)
    losses = (model.predict(X) - Y) ** 2 / 2
    assert model.converged_
    assert_allclose(model.weights_, rule(losses, groups=groups), rtol=1e-6)


def test_link_alone_bounds_the_base_weights():
    base = np.where(np.arange(80) < 5, 100.0, 1.0)
    model = LossReweighted(LinearRegression(), ClipRatio(2.0)).fit(X, Y, base)
    assert_allclose(model.weights_, ClipRatio(2.0)(base, base_weight=base))


# --------------------------------------------------------------------- rounds and stops
def test_fixed_point_has_the_weights_of_its_losses():
    model = LossReweighted(LinearRegression(), max_iter=500).fit(X, Y)
    losses = (model.predict(X) - Y) ** 2 / 2
    assert model.converged_
    assert_allclose(model.weights_, LinUpper()(losses), rtol=1e-6)
    assert model.loss_path_.shape == (model.n_iter_,)
    assert model.loss_path_[-1] == pytest.approx(losses.mean())


def test_rounds_are_a_budget(recorder):
    model = LossReweighted(recorder, max_iter=4).fit(X, Y)
    assert (model.n_iter_, model.converged_) == (4, False)
    assert len(Recorder.log) == 4
    assert_allclose(model.weights_, Recorder.log[-1])


def test_warm_up_rounds_are_one_fit(recorder):
    model = LossReweighted(recorder, max_iter=6, warmup_iter=4).fit(X, Y)
    assert len(Recorder.log) == 3
    assert Recorder.log[0] is None
    assert model.n_iter_ == 6
    assert_allclose(model.loss_path_[:4], model.loss_path_[0])
    first = 0.5 + 0.5 * LinUpper()(
        (LinearRegression().fit(X, Y).predict(X) - Y) ** 2 / 2
    )
    assert_allclose(Recorder.log[1], first)


def test_warm_up_of_the_rule_is_waited_for(recorder):
    rule = LinUpper(warmup=3)
    model = LossReweighted(recorder, rule, max_iter=6).fit(X, Y)
    assert len(Recorder.log) == 3
    assert model.n_iter_ == 6
    assert not model.converged_


def test_rule_sees_rounds_since_the_warm_up():
    seen = []

    def rule(losses, *, groups=None, base_weight=None, step=None):
        seen.append(step)
        return LinUpper()(losses)

    LossReweighted(LinearRegression(), rule, max_iter=5, warmup_iter=2).fit(X, Y)
    assert seen == [0, 1, 2, 3]


def test_uniform_rule_stops_after_the_first_fit(recorder):
    model = LossReweighted(recorder, Uniform()).fit(X, Y)
    assert (len(Recorder.log), model.n_iter_, model.converged_) == (1, 1, True)


def test_perfect_fit_of_most_rows_keeps_these_rows():
    y = 3.0 * X[:, 0] - 1.0
    y[:10] += 50.0
    model = LossReweighted(LinearRegression(), "bisquare", max_iter=200)
    with pytest.warns(ExactFitWarning, match="fitted exactly"):
        model.fit(X, y)
    assert model.converged_
    assert_allclose(model.estimator_.coef_, [3.0, 0.0, 0.0], atol=1e-10)
    assert_allclose(model.weights_, np.repeat([0.0, 80 / 70], [10, 70]), atol=1e-12)


def test_estimator_that_fits_every_row_is_announced():
    tree = DecisionTreeRegressor(random_state=0)
    model = LossReweighted(tree, "huber")
    with pytest.warns(ExactFitWarning, match="100% of the weight"):
        model.fit(X, Y)
    assert_allclose(model.weights_, 1.0)


# ------------------------------------------------------------------------- base weights
@settings(max_examples=25)
@given(
    st.lists(st.integers(0, 3), min_size=20, max_size=20).filter(
        lambda c: sum(map(bool, c)) > 6
    ),
    st.sampled_from(["linupper", "huber", "kltilt", "cvar"]),
)
def test_integer_weight_is_repetition(counts, weighting):
    counts = np.array(counts)
    some_X, some_y = X[:20], Y[:20] / 10.0
    model = LossReweighted(Ridge(0.1), weighting, max_iter=8)
    weighted = clone(model).fit(some_X, some_y, sample_weight=counts)
    repeated = clone(model).fit(np.repeat(some_X, counts, 0), np.repeat(some_y, counts))
    assert_allclose(weighted.estimator_.coef_, repeated.estimator_.coef_, rtol=1e-7)
    kept = counts > 0
    assert_allclose(
        np.repeat(weighted.weights_[kept] / counts[kept], counts[kept]),
        repeated.weights_,
        rtol=1e-6,
        atol=1e-9,
    )


def test_rule_is_multiplied_onto_base_weights():
    base = np.linspace(0.5, 2.0, 80)
    model = LossReweighted(LinearRegression(), max_iter=500).fit(X, Y, base)
    losses = (model.predict(X) - Y) ** 2 / 2
    assert_allclose(model.weights_, LinUpper()(losses, base_weight=base), rtol=1e-6)
    assert model.weights_.sum() == pytest.approx(base.sum())


def test_inputs_stay_as_they_are():
    base, before = np.ones(80), (X.copy(), Y.copy())
    LossReweighted(Ridge(), "huber").fit(X, Y, base)
    assert_allclose(base, 1.0, rtol=0)
    assert_allclose(X, before[0], rtol=0)
    assert_allclose(Y, before[1], rtol=0)


@pytest.mark.parametrize(
    "ensemble",
    [
        AdaBoostRegressor(LossReweighted(LinearRegression()), n_estimators=3),
        BaggingRegressor(LossReweighted(LinearRegression()), n_estimators=3),
    ],
    ids=["boosting", "bagging"],
)
def test_ensembles_of_reweighted_regressors_fit(ensemble):
    ensemble.set_params(random_state=0).fit(X, Y)
    assert ensemble.score(X, Y) > 0.9


def test_weights_of_boosting_reach_the_reweighted_classifier():
    member = LossReweighted(LogisticRegression(), Uniform())
    ours = AdaBoostClassifier(member, n_estimators=4, random_state=0).fit(CX, CY)
    plain = AdaBoostClassifier(LogisticRegression(), n_estimators=4, random_state=0)
    plain.fit(CX, CY)
    assert_allclose(ours.estimator_weights_, plain.estimator_weights_, rtol=1e-6)


# -------------------------------------------------------------- estimators of all kinds
def test_classifier_delegates_what_it_has():
    model = LossReweighted(LogisticRegression()).fit(CX, CY)
    inner = model.estimator_
    assert is_classifier(model)
    assert_allclose(model.classes_, [0, 1])
    for method in ("predict_proba", "predict_log_proba", "decision_function"):
        assert_allclose(getattr(model, method)(CX), getattr(inner, method)(CX))
    assert model.score(CX, CY) == inner.score(CX, CY)
    weight = np.arange(90.0)
    assert model.score(CX, CY, weight) == inner.score(CX, CY, weight)


def test_regressor_has_no_probabilities():
    model = LossReweighted(LinearRegression())
    assert is_regressor(model)
    assert not hasattr(model, "predict_proba")
    assert not hasattr(model, "partial_fit")


def test_margin_classifier_is_weighted_by_its_hinge_loss():
    model = LossReweighted(LinearSVC(random_state=0), max_iter=5).fit(CX, CY)
    score = model.decision_function(CX)
    hinge = np.maximum(0.0, 1.0 - np.where(CY == 1, score, -score))
    assert model.loss_path_[-1] == pytest.approx(hinge.mean())


def test_frames_with_strings_reach_a_pipeline_untouched():
    table = pd.DataFrame({"x": X[:, 0], "kind": np.where(Y > 0, "up", "down")})
    encode = make_column_transformer(
        (OneHotEncoder(), ["kind"]), remainder="passthrough"
    )
    model = LossReweighted(make_pipeline(encode, Ridge()), "huber").fit(table, Y)
    assert list(model.feature_names_in_) == ["x", "kind"]
    assert model.score(table, Y) > 0.5


def test_pipeline_takes_weights_at_its_last_step():
    steps = make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), Ridge(0.0)))
    inside = LossReweighted(steps, "huber", max_iter=100).fit(X, Y)
    bare = LossReweighted(LinearRegression(), "huber", max_iter=100).fit(X, Y)
    assert_allclose(inside.predict(X), bare.predict(X), rtol=1e-6)


def test_ordered_labels_reach_an_ordinal_classifier():
    order = ["low", "mid", "high"]
    bins = np.digitize(
        X[:, 0] + 0.5 * np.random.default_rng(0).normal(size=80), [-1, 1]
    )
    y = pd.Series(pd.Categorical(np.array(order)[bins], order, ordered=True))
    model = LossReweighted(PrestoClassifier(), max_iter=3).fit(X, y)
    assert list(model.classes_) == order
    own = model.predict_proba(X)[np.arange(80), bins]
    assert model.loss_path_[-1] == pytest.approx(-np.log(own).mean())


def test_grid_search_reaches_rule_and_estimator():
    grid = {"weighting__temperature": [0.4, 10.0], "estimator__alpha": [0.1, 1.0]}
    search = GridSearchCV(LossReweighted(Ridge(), LinUpper()), grid, cv=2).fit(X, Y)
    assert set(search.best_params_) == set(grid)


def test_fitted_model_survives_pickling():
    model = LossReweighted(Ridge(), Huber()).fit(X, Y)
    loaded = pickle.loads(pickle.dumps(model))
    assert_allclose(loaded.predict(X), model.predict(X), rtol=0)


def test_second_fit_forgets_the_names_of_the_first():
    model = LossReweighted(Ridge()).fit(pd.DataFrame(X, columns=list("abc")), Y)
    assert not hasattr(model.fit(X, Y), "feature_names_in_")


def test_outlier_in_a_wide_table_is_found():
    dirty = Y.copy()
    dirty[:8] += 500.0
    model = LossReweighted(LinearRegression(), "bisquare", max_iter=100).fit(X, dirty)
    clean = LinearRegression().fit(X[8:], Y[8:])
    assert_allclose(model.estimator_.coef_, clean.coef_, rtol=0.02, atol=1.0)
    assert model.weights_[:8].max() == 0.0


# -------------------------------------------------------------------------- minibatches
def stochastic(**options):
    options = {"batch_size": 16, "random_state": 0, "max_iter": 30} | options
    inner = SGDClassifier(loss="log_loss", random_state=0)
    return LossReweighted(inner, mode="minibatch", **options)


def test_minibatches_train_a_classifier():
    clean = LogisticRegression().fit(CX, CY).predict(CX)
    model = stochastic().fit(CX, clean)
    assert model.score(CX, clean) > 0.95
    assert (model.n_iter_, model.converged_) == (30, False)
    assert model.loss_path_.shape == (30,)


def test_warm_up_epochs_are_plain_training():
    model = stochastic(max_iter=3, warmup_iter=3).fit(CX, CY)
    order = np.random.default_rng(0)
    plain = SGDClassifier(loss="log_loss", random_state=0)
    for _ in range(3):
        for rows in np.array_split(order.permutation(90), 6):
            plain.partial_fit(CX[rows], CY[rows], classes=[0, 1])
    assert_allclose(model.estimator_.coef_, plain.coef_)
    assert_allclose(model.weights_, 1.0)


def test_batches_are_weighted_by_their_losses_before_the_step():
    model = stochastic(max_iter=1, warmup_iter=0, batch_size=45).fit(CX, CY)
    first, second = np.array_split(np.random.default_rng(0).permutation(90), 2)
    plain = SGDClassifier(loss="log_loss", random_state=0)
    plain.partial_fit(CX[first], CY[first], classes=[0, 1])
    proba = plain.predict_proba(CX[second])[np.arange(45), CY[second]]
    losses = -np.log(np.maximum(proba, np.finfo(float).eps))
    assert_allclose(model.weights_[first], 1.0)
    assert_allclose(model.weights_[second], LinUpper()(losses))
    plain.partial_fit(CX[second], CY[second], sample_weight=LinUpper()(losses))
    assert_allclose(model.estimator_.coef_, plain.coef_)
    assert model.loss_path_[0] == pytest.approx(losses.mean())


def test_rows_without_base_weight_enter_no_batch():
    base = np.where(np.arange(90) < 60, 2.0, 0.0)
    model = stochastic().fit(CX, CY, base)
    without = stochastic().fit(CX[:60], CY[:60])
    assert_allclose(model.estimator_.coef_, without.estimator_.coef_)
    assert_allclose(model.weights_[60:], 0.0)


def test_minibatches_of_frames_and_lists_are_those_of_arrays():
    frame = pd.DataFrame(CX, columns=list("abcd"))
    # Few epochs: later ones blow up differences of rounding between layouts.
    expected = stochastic(max_iter=2).fit(CX, CY).estimator_.coef_
    fitted = stochastic(max_iter=2).fit(frame, CY)
    assert_allclose(fitted.estimator_.coef_, expected)
    assert list(fitted.feature_names_in_) == list("abcd")
    listed = stochastic(max_iter=2).fit(CX.tolist(), CY)
    assert_allclose(listed.estimator_.coef_, expected)


def test_groups_are_cut_into_batches():
    groups = np.where(np.arange(90) % 3, "a", "b")
    model = stochastic(weighting="inversefrequency").fit(CX, CY, groups=groups)
    assert model.weights_[groups == "b"].mean() > model.weights_[groups == "a"].mean()


def test_residuals_of_a_batch_are_on_its_own_scale():
    y = X[:, 0].copy()
    y[:8] += 100.0
    model = LossReweighted(
        SGDRegressor(random_state=0),
        "bisquare",
        mode="minibatch",
        batch_size=40,
        max_iter=200,
        random_state=0,
    ).fit(X, y)
    assert_allclose(model.estimator_.coef_, [1.0, 0.0, 0.0], atol=0.05)
    assert model.weights_[:8].max() == 0.0


def test_partial_fit_weighs_each_batch_by_its_losses():
    model = stochastic()
    model.partial_fit(CX[:45], CY[:45], classes=[0, 1])
    assert_allclose(model.weights_, 1.0)
    own = model.predict_proba(CX[45:])[np.arange(45), CY[45:]]
    losses = -np.log(np.maximum(own, np.finfo(float).eps))
    model.partial_fit(CX[45:], CY[45:])
    assert_allclose(model.weights_, LinUpper()(losses))
    assert model.n_iter_ == 2


def test_partial_fit_needs_an_estimator_that_has_it():
    assert hasattr(stochastic(), "partial_fit")
    model = LossReweighted(Ridge(), mode="minibatch")
    assert not hasattr(model, "partial_fit")


# ---------------------------------------------------------------------------- bad input
@pytest.mark.parametrize(
    ("model", "options", "error", "message"),
    [
        (LossReweighted(KNeighborsRegressor()), {}, TypeError, "KNeighborsRegressor"),
        (
            LossReweighted(make_pipeline(StandardScaler(), KNeighborsRegressor())),
            {},
            TypeError,
            "accept sample_weight in fit. Got Pipeline",
        ),
        (
            LossReweighted(Ridge(), mode="minibatch"),
            {},
            TypeError,
            "sample_weight in partial_fit .* Got Ridge",
        ),
        (
            LossReweighted(SGDRegressor(), mode="minibatch"),
            {"coef_init": [1.0]},
            TypeError,
            r"no metadata but .* Got \['coef_init'\]",
        ),
        (LossReweighted(Ridge(), "no such"), {}, ValueError, "name of a rule"),
        (LossReweighted(Ridge(), "temperature"), {}, ValueError, "The 'groups'"),
        (
            LossReweighted(Ridge(), "temperature"),
            {"groups": ["a"]},
            ValueError,
            "inconsistent numbers of samples",
        ),
        (
            LossReweighted(Ridge()),
            {"sample_weight": -np.ones(80)},
            ValueError,
            "'sample_weight' parameter of LossReweighted",
        ),
        (
            LossReweighted(Ridge(), loss=lambda y, p: np.full(len(y), np.nan)),
            {},
            ValueError,
            "losses.* must be finite",
        ),
        (LossReweighted(Ridge(), LinUpper(0.0)), {}, ValueError, "'temperature'"),
    ],
)
def test_bad_use_says_what_to_do(model, options, error, message):
    with pytest.raises(error, match=message):
        model.fit(X, Y, **options)


def test_residual_rule_for_a_classifier_is_refused():
    with pytest.raises(ValueError, match="a rule on residuals"):
        LossReweighted(LogisticRegression(), "huber").fit(CX, CY)


def test_target_is_required():
    with pytest.raises(ValueError, match="requires y to be passed"):
        LossReweighted(Ridge()).fit(X, None)


def test_one_absurd_response_does_not_make_all_others_exact():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    y = X @ [1.0, 2.0] + rng.normal(size=60)
    y[7] = 1e20
    tree = DecisionTreeRegressor(criterion="absolute_error", min_samples_leaf=10)
    weights = LossReweighted(tree, "bisquare", max_iter=2).fit(X, y).weights_
    assert weights[7] == 0.0
    assert len(np.unique(weights[weights > 0.0])) > 20


# ---------------------------------------------------------- rules that look at steps
SMALL_Y = Y / 20.0
TWO_GROUPS = np.repeat(["a", "b"], [70, 10])


def late_fit(rule, max_iter=200, **params):
    model = LossReweighted(LinearRegression(), rule, max_iter=max_iter)
    return model.fit(X, SMALL_Y, **params)


@pytest.mark.parametrize(
    ("late", "now"),
    [
        (KLTilt(StepCooldown(np.inf, 1.0, switch=10)), KLTilt(1.0)),
        (Temperature(StepCooldown(1.0, 5.0, switch=10)), Temperature(5.0)),
        (Temperature(StepCooldown(5.0, 1.0, switch=10)), Temperature(1.0)),
        (Chain("uniform", KLTilt(StepCooldown(np.inf, 1.0, switch=10))), KLTilt(1.0)),
        (LinUpper(warmup=5), LinUpper()),
        (SelfPaced(0.001, growth=1.5), Uniform()),
        (SelfPaced(1e5, growth=0.5, warmup=3), None),
    ],
    ids=["tilt", "hotter", "colder", "chain", "warmup", "growing", "falling"],
)
def test_first_phase_of_a_rule_is_not_taken_for_convergence(late, now):
    if now is None:
        # The threshold falls below all losses: the rows of smallest loss are left.
        with pytest.warns(DegenerateWeightsWarning):
            model = late_fit(late)
        assert np.count_nonzero(model.weights_ > 1e-6) < 10
        return
    model = late_fit(late, groups=TWO_GROUPS)
    assert model.converged_
    assert model.n_iter_ > 5
    reference = late_fit(now, groups=TWO_GROUPS)
    assert_allclose(model.estimator_.coef_, reference.estimator_.coef_, rtol=1e-7)


def test_slowly_growing_threshold_has_not_converged_at_the_end_of_the_budget():
    model = late_fit(SelfPaced(0.01, growth=1.01), max_iter=20)
    assert (model.n_iter_, model.converged_) == (20, False)


def test_function_with_a_schedule_of_its_own_is_waited_for():
    def late(losses, *, groups=None, base_weight=None, step=None):
        return KLTilt(np.inf if step < 10 else 1.0)(losses)

    def flat(losses, *, groups=None, base_weight=None, step=None):
        return np.ones(len(losses))

    model = late_fit(late)
    assert model.converged_
    assert_allclose(
        model.estimator_.coef_, late_fit(KLTilt()).estimator_.coef_, rtol=1e-7
    )
    assert late_fit(flat).n_iter_ == 1


def test_function_may_say_that_it_is_settled():
    def late(losses, *, groups=None, base_weight=None, step=None):
        return KLTilt(np.inf if step < 3 else 1.0)(losses)

    late.settled = lambda step, evidence: True
    assert late_fit(late).n_iter_ == 1


# ------------------------------------------------------------- rows without weight
def test_row_without_weight_moves_no_size_of_the_targets():
    # Most targets are zero, so their size is that of the largest: one that counts.
    y = np.zeros(80)
    y[:35] = 5.0 + X[:35, 0]
    outside_x, outside_y = np.vstack([X, X[:1]]), np.append(y, 1e20)
    weight = np.append(np.ones(80), 0.0)
    model = LossReweighted(LinearRegression(), "huber", max_iter=30)
    plain = clone(model).fit(X, y).estimator_.coef_
    weightless = model.fit(outside_x, outside_y, sample_weight=weight)
    assert_allclose(weightless.estimator_.coef_, plain, rtol=1e-9)


def test_infinite_loss_of_a_row_without_weight_leaves_the_path_finite():
    y = np.append(1e200, Y[1:])
    weight = np.append(0.0, np.ones(79))
    with np.errstate(over="ignore"):
        model = LossReweighted(LinearRegression(), "linupper", max_iter=5)
        model.fit(X, y, sample_weight=weight)
    assert np.isfinite(model.loss_path_).all()


# -------------------------------------------------------------------- labels of groups
@pytest.mark.parametrize("missing", [None, np.nan], ids=["none", "nan"])
@pytest.mark.parametrize("mode", ["refit", "minibatch"])
def test_missing_group_in_a_list_is_no_group(missing, mode):
    groups = [missing, *np.repeat(["a", "b"], [59, 20]).tolist()]
    model = LossReweighted(SGDRegressor(), "inversefrequency", mode=mode)
    with pytest.raises(ValueError, match=r"missing labels .* the first at row 0"):
        model.fit(X, Y, groups=groups)
    weight = np.append(0.0, np.ones(79))
    model.fit(X, Y, sample_weight=weight, groups=groups)
    assert model.weights_[0] == 0.0


def test_labels_of_different_types_stay_different_groups():
    groups = [1, "1"] + [1] * 58 + ["1"] * 20
    model = LossReweighted(Ridge(), "inversefrequency", max_iter=60)
    weights = model.fit(X, Y, groups=groups).weights_
    assert_allclose(weights, InverseFrequency()(groups), rtol=1e-6)
    pairs = [("a", number % 2) for number in range(80)]
    model.fit(X, Y, groups=pairs)
    assert_allclose(model.weights_, 1.0, rtol=1e-6)


def test_grid_search_over_the_rules_of_a_chain():
    model = LossReweighted(Ridge(), Chain("linupper", ClipRatio(3.0)), max_iter=3)
    rules = {"weighting__linupper": ["kltilt", "linupper"]}
    search = GridSearchCV(model, rules, cv=3, error_score="raise")
    assert search.fit(X, SMALL_Y).best_params_["weighting__linupper"] in (
        "kltilt",
        "linupper",
    )


def test_batches_may_follow_a_fit_by_rounds():
    model = LossReweighted(SGDRegressor(random_state=0), "linupper", max_iter=3)
    model.fit(X, SMALL_Y).set_params(mode="minibatch")
    assert model.partial_fit(X, SMALL_Y).partial_fit(X, SMALL_Y).weights_.shape == (80,)
