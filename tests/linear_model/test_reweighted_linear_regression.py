"""What the estimator does with every weighting, and how it fits into scikit-learn."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from reweighted_oracle import (
    LOSS_RULES,
    MAY_CYCLE,
    PRESETS,
    RESIDUAL_RULES,
    RULES,
    WEIGHTINGS,
    dirty,
    full_coef,
)
from statlearn.linear_model import ReweightedLinearRegression
from statlearn.schedules import StepCooldown
from statlearn.weights import (
    Bisquare,
    Chain,
    ClipRatio,
    Huber,
    KLTilt,
    LinUpper,
    SelfPaced,
    list_rules,
)

X, Y = dirty()
N, P = X.shape[0], X.shape[1] + 1
may_cycle = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def make(weighting="huber", **options):
    return ReweightedLinearRegression(weighting, **({"random_state": 0} | options))


def test_tests_know_every_rule():
    assert list_rules()["loss"] == LOSS_RULES
    assert list_rules()["residual"] == RESIDUAL_RULES


# ----------------------------------------------------------------------- each weighting
@may_cycle
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_every_weighting_gives_a_whole_fit(weighting):
    model = make(weighting).fit(X, Y)
    assert model.coef_.shape == (P - 1,)
    assert isinstance(model.intercept_, float)
    assert model.init_coef_.shape == model.bse_.shape == (P,)
    assert model.cov_.shape == (P, P)
    assert model.weights_.shape == model.residuals_.shape == (N,)
    assert np.isfinite(full_coef(model)).all()
    assert np.isfinite(model.cov_).all()
    assert_allclose(model.bse_**2, np.diagonal(model.cov_))
    assert np.linalg.eigvalsh(model.cov_)[0] > 0.0
    assert model.scale_ > 0.0
    assert isinstance(model.n_iter_, int)
    assert_allclose(model.residuals_, Y - model.predict(X), atol=1e-12)
    assert_allclose(model.predict(X), X @ model.coef_ + model.intercept_)
    assert model.converged_ or weighting in MAY_CYCLE


@may_cycle
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_weights_have_the_scale_of_their_kind(weighting):
    weights = make(weighting).fit(X, Y).weights_
    assert weights.min() >= 0.0
    if weighting in LOSS_RULES:
        assert_allclose(weights.mean(), 1.0)
    else:
        assert weights.max() <= 1.0


@pytest.mark.parametrize("weighting", [*RESIDUAL_RULES, *PRESETS])
def test_robust_weightings_give_outliers_less_weight_and_name_them(weighting):
    model = make(weighting).fit(X, Y)
    assert model.weights_[:5].max() < 0.35
    assert model.weights_[5:].mean() > 0.5
    assert model.outliers()[:5].all()
    assert model.outliers()[5:].mean() < 0.1


@may_cycle
@pytest.mark.parametrize(
    "weighting", ["cvar", "chi2ball", "klball", "linupper", "upper"]
)
def test_worst_case_weightings_give_outliers_more_weight(weighting):
    model = make(weighting).fit(X, Y)
    assert model.weights_[:5].mean() > model.weights_[5:].mean()


@may_cycle
@pytest.mark.parametrize("weighting", RULES)
@pytest.mark.parametrize("scale", ["mad", "proposal2", "mscale", 1.3])
def test_every_scale_goes_with_every_rule(weighting, scale):
    model = make(weighting, scale=scale).fit(X, Y)
    assert np.isfinite(model.bse_).all()
    assert 0.8 < model.scale_ < 6.0
    if scale == 1.3:
        assert model.scale_ == 1.3


@pytest.mark.parametrize("weighting", ["huber", "linupper", "bisquare"])
@pytest.mark.parametrize("init", ["ols", "s", "lts", "lad", [1.0, 1.0, -0.5, -2.0]])
def test_starts_lead_to_the_same_fit_where_there_is_one(weighting, init):
    model = make(weighting, init=init).fit(X, Y)
    assert_allclose(full_coef(model), full_coef(make(weighting).fit(X, Y)), rtol=1e-5)


def test_start_is_reported_with_the_intercept_first():
    start = np.array([1.0, 2.0, 3.0, 4.0])
    assert_allclose(make(init=start).fit(X, Y).init_coef_, start, rtol=1e-12)
    ols = np.linalg.lstsq(np.column_stack((np.ones(N), X)), Y)[0]
    assert_allclose(make().fit(X, Y).init_coef_, ols)


@pytest.mark.parametrize("weighting", ["huber", "mm", "linupper"])
def test_without_intercept_the_plane_goes_through_the_origin(weighting):
    model = make(weighting, fit_intercept=False).fit(X, Y)
    assert model.intercept_ == 0.0
    assert model.cov_.shape == (P - 1, P - 1)
    assert_allclose(model.predict(np.zeros((1, P - 1))), 0.0)


def test_names_classes_and_objects_of_a_rule_are_the_same():
    fits = [
        make(rule).fit(X, Y).coef_
        for rule in ("bisquare", "Bi_Square", Bisquare, Bisquare())
    ]
    for fit in fits[1:]:
        assert_array_equal(fit, fits[0])
    assert_array_equal(make("MM").fit(X, Y).coef_, make("mm").fit(X, Y).coef_)


def test_function_and_chain_are_rules_on_losses():
    def flat(losses, *, groups=None, base_weight=None, step=None):
        return np.ones(len(losses))

    assert_allclose(make(flat).fit(X, Y).coef_, make("uniform").fit(X, Y).coef_)
    clipped = make(Chain(LinUpper(0.1), ClipRatio(2.0))).fit(X, Y)
    assert clipped.weights_.max() <= 2.0 * clipped.weights_.min() * (1.0 + 1e-12)


def test_same_random_state_gives_the_same_fit():
    for weighting in PRESETS:
        first, second = (make(weighting, n_starts=20).fit(X, Y) for _ in range(2))
        assert_array_equal(first.coef_, second.coef_)
        seeded = make(weighting, n_starts=20, random_state=np.random.default_rng(0))
        assert_array_equal(seeded.fit(X, Y).coef_, first.coef_)


def test_fit_leaves_the_global_random_state_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    make("mm", random_state=None).fit(X, Y)
    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_too_few_steps_warn_and_keep_what_was_found():
    with pytest.warns(ConvergenceWarning, match="max_iter=2.* increase max_iter"):
        model = make(max_iter=2).fit(X, Y)
    assert not model.converged_
    assert model.n_iter_ == 2
    assert model.objective_path_.shape == (3,)
    assert np.isfinite(model.bse_).all()


# ------------------------------------------------------------------------------ reading
def test_outliers_are_rows_beyond_the_threshold():
    model = make("mm").fit(X, Y)
    for threshold in (1.0, 2.5, 4):
        far = np.abs(Y - model.predict(X)) > threshold * model.scale_
        assert_array_equal(model.outliers(threshold), far)


def test_wald_table_is_normal_theory():
    model = make("mm").fit(X, Y)
    table = model.wald_table(0.9)
    estimate = full_coef(model)
    z = estimate / model.bse_
    assert_array_equal(table.names, ["intercept", "x0", "x1", "x2"])
    assert_allclose(table.statistic, z)
    assert_allclose(table.pvalue, 2.0 * stats.norm.sf(np.abs(z)), rtol=1e-9)
    half = stats.norm.ppf(0.95) * model.bse_
    assert_allclose(table.interval, np.column_stack((estimate - half, estimate + half)))
    assert_array_equal(model.conf_int(0.9), table.interval)
    assert_allclose(model.conf_int()[:, 1] - estimate, 1.959963984540054 * model.bse_)


def test_table_becomes_a_frame_with_the_names_of_the_columns():
    frame = pd.DataFrame(X, columns=["dose", "age", "time"])
    table = make().fit(frame, Y).wald_table().to_frame()
    assert table.index.tolist() == ["intercept", "dose", "age", "time"]
    expected = ["estimate", "bse", "statistic", "pvalue", "2.5 %", "97.5 %"]
    assert table.columns.tolist() == expected
    bare = make(fit_intercept=False).fit(frame, Y).wald_table().to_frame()
    assert bare.index.tolist() == ["dose", "age", "time"]


def test_summary_tells_how_it_was_fitted():
    model = make("mm").fit(pd.DataFrame(X, columns=["dose", "age", "time"]), Y)
    text = model.summary()
    head, table = text.split("\n\n")
    assert "weighting" in head
    assert "mm" in head.split()
    assert f"{model.scale_:.4f}" in head
    assert str(N) in head.split()
    lines = table.splitlines()
    assert [line.split()[0] for line in lines[2:]] == [
        "intercept",
        "dose",
        "age",
        "time",
    ]
    assert lines[3].split()[1:3] == [f"{model.coef_[0]:.4f}", f"{model.bse_[1]:.4f}"]
    assert "5 %" in model.summary(0.9)
    assert "LinUpper" in make(LinUpper()).fit(X, Y).summary()


# ------------------------------------------------------------------------- scikit-learn
@pytest.mark.parametrize("weighting", ["huber", "mm", LinUpper(0.7)])
def test_clone_and_pickle_keep_parameters_and_fit(weighting):
    model = make(weighting, scale=1.5, cov_type="sandwich").fit(X, Y)
    copy = clone(model)
    assert str(copy.get_params()) == str(model.get_params())
    assert not hasattr(copy, "coef_")
    loaded = pickle.loads(pickle.dumps(model))
    assert_array_equal(loaded.predict(X), model.predict(X))
    assert loaded.summary() == model.summary()


@pytest.mark.parametrize(
    ("rule", "grid"),
    [
        (Huber(), {"weighting__c": [0.5, 1.345, 5.0]}),
        (LinUpper(), {"weighting__temperature": [0.4, 1.0]}),
        (Huber(), {"weighting": ["mm", "huber", LinUpper()]}),
    ],
)
def test_grid_search_reaches_the_rule(rule, grid):
    search = GridSearchCV(make(rule), grid, cv=3, error_score="raise").fit(X, Y)
    assert len(np.unique(search.cv_results_["mean_test_score"])) == len(
        next(iter(grid.values()))
    )


def test_pipeline_scales_and_fits():
    pipe = make_pipeline(StandardScaler(), make("mm")).fit(1e3 * X + 5.0, Y)
    assert_allclose(pipe.predict(1e3 * X + 5.0), make("mm").fit(X, Y).predict(X))


def test_cross_validation_passes_sample_weight_when_it_is_requested():
    weight = np.r_[np.zeros(5), np.ones(N - 5)]
    with sklearn.config_context(enable_metadata_routing=True):
        model = make("uniform").set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=True)
        scores = cross_val_score(model, X, Y, cv=5, params={"sample_weight": weight})
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipe = make_pipeline(scaler, model).fit(X, Y, sample_weight=weight)
    plain = cross_val_score(make("uniform"), X, Y, cv=5)
    assert scores.mean() > plain.mean()
    direct = make("uniform").fit(X[5:], Y[5:])
    assert_allclose(pipe.predict(X), direct.predict(X))


def test_parameters_are_stored_as_they_are():
    rule, init = Huber(), [0.0, 1.0, 2.0, 3.0]
    model = ReweightedLinearRegression(rule, init=init)
    model.fit(X, Y)
    assert model.weighting is rule
    assert model.init is init


def test_refit_forgets_the_fit_before():
    model = make("mm").fit(X, Y)
    model.fit(X[:, :2], Y)
    assert_array_equal(model.coef_, make("mm").fit(X[:, :2], Y).coef_)
    assert model.n_features_in_ == 2


# ---------------------------------------------------------------------------- callbacks
class Recorder:
    """Remember the names of the hooks, the data and the fitted models."""

    def __init__(self):
        self.events, self.tables, self.fitted = [], [], []

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None):
        self.events.append("begin")

    def on_fit_task_end(
        self, estimator, context, *, X=None, y=None, fitted_estimator=None
    ):
        self.events.append("end")
        self.tables.append((X, y))
        self.fitted.append(fitted_estimator)


@pytest.mark.parametrize("options", [{}, {"weighting": "mm"}, {"solver": "sgd"}])
def test_fit_is_one_task_with_a_fitted_model(options):
    recorder = Recorder()
    options = {"max_iter": 500, "tol": 1e-3} | options
    model = make(**options).set_callbacks(recorder).fit(X, Y)
    assert recorder.events == ["setup", "begin", "end", "teardown"]
    (fitted,) = recorder.fitted
    assert_array_equal(fitted.predict(X), model.predict(X))
    assert fitted.summary() == model.summary()
    assert recorder.tables[0][0].shape == X.shape


def test_callbacks_are_torn_down_after_an_error():
    recorder = Recorder()
    model = make().set_callbacks(recorder)
    with pytest.raises(ValueError, match="linearly independent"):
        model.fit(np.column_stack((X, X[:, 0])), Y)
    assert Counter(recorder.events)["setup"] == Counter(recorder.events)["teardown"]
    assert not hasattr(model, "coef_")
    model.fit(X, Y)
    assert recorder.events[-1] == "teardown"


def test_callbacks_of_scikit_learn_see_the_fit(capsys):
    monitor = ScoringMonitor(scoring="r2")
    model = make().set_callbacks(monitor, ProgressBar()).fit(X, Y)
    (row,) = monitor.get_logs().data
    assert_allclose(row["r2"], model.score(X, Y))
    assert "ReweightedLinearRegression - fit" in capsys.readouterr().out


def test_nothing_is_printed_without_callbacks(capsys):
    make("mm").fit(X, Y)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


# ------------------------------------------------------------------- rules with phases
def _heavy_tailed():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 2))
    return X, X @ [1.0, 2.0] + rng.standard_t(2, size=100)


def test_warm_up_of_a_rule_is_that_of_the_estimator():
    X, y = _heavy_tailed()
    own = ReweightedLinearRegression(LinUpper(warmup=5)).fit(X, y)
    outer = ReweightedLinearRegression(LinUpper(), warmup_iter=5).fit(X, y)
    assert own.n_iter_ > 5
    assert_allclose(own.coef_, outer.coef_, rtol=1e-6)


def test_fit_waits_for_a_temperature_that_falls_later():
    X, y = _heavy_tailed()
    cooled = ReweightedLinearRegression(KLTilt(StepCooldown(np.inf, 1.0, switch=10)))
    cool = ReweightedLinearRegression(KLTilt(1.0)).fit(X, y)
    assert_allclose(cooled.fit(X, y).coef_, cool.coef_, rtol=1e-6)


def test_self_paced_rule_comes_to_admit_all_rows():
    X, y = _heavy_tailed()
    paced = ReweightedLinearRegression(SelfPaced(lam=0.5, growth=1.05), max_iter=2000)
    plain = ReweightedLinearRegression("uniform").fit(X, y)
    assert_allclose(paced.fit(X, y).coef_, plain.coef_, rtol=1e-6)
    assert paced.converged_


def test_fit_waits_for_a_function_of_the_step():
    X, y = _heavy_tailed()

    def later(losses, *, groups=None, base_weight=None, step=None):
        return np.ones_like(losses) if step < 10 else 1.0 / (1.0 + losses)

    def at_once(losses, *, groups=None, base_weight=None, step=None):
        return 1.0 / (1.0 + losses)

    models = [ReweightedLinearRegression(rule).fit(X, y) for rule in (later, at_once)]
    assert models[0].n_iter_ > 10
    assert_allclose(models[0].coef_, models[1].coef_, rtol=1e-6)
