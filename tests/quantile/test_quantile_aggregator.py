"""QuantileAggregator: what it combines, what it predicts, and what it refuses."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_diabetes
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    TimeSeriesSplit,
    cross_val_score,
)
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from statlearn.exceptions import StatlearnWarning
from statlearn.metrics import interval_coverage, pinball_loss
from statlearn.quantile import (
    LinearGate,
    LinearQuantileRegression,
    LocationScaleQuantiles,
    QuantileAggregator,
    fit_quantile_weights,
)

LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)


def _models():
    return [
        ("linear", LinearQuantileRegression(LEVELS)),
        ("near", LocationScaleQuantiles(KNeighborsRegressor(15), levels=LEVELS)),
    ]


@pytest.fixture(scope="module")
def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return X[:300], y[:300], X[300:], y[300:]


@pytest.fixture(scope="module")
def forecasts():
    """Three forecasters of 400 rows, the last one without any skill."""
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(400, 2))
    y = signal.sum(axis=1) + rng.normal(size=400)
    means = [signal.sum(axis=1), 2.0 * signal[:, 0], np.zeros(400)]
    P = np.stack([np.add.outer(mean, 1.3 * norm.ppf(LEVELS)) for mean in means], axis=1)
    return P, y, signal


class TestGivenForecasts:
    @pytest.mark.parametrize("resolution", ["coarse", "medium", "fine", 2])
    def test_weights_without_shrinkage_are_those_of_the_program(
        self, forecasts, resolution
    ):
        P, y, _ = forecasts
        model = QuantileAggregator(
            levels=LEVELS, resolution=resolution, shrinkage=0.0, monotone=None
        ).fit_predictions(P, y)
        found = fit_quantile_weights(P, y, LEVELS, resolution=resolution)
        np.testing.assert_array_equal(model.weights_, found.weights)
        np.testing.assert_allclose(model.combine(P), found.predict(P), rtol=1e-12)
        assert model.objective_ == pytest.approx(
            pinball_loss(y, model.combine(P), LEVELS), rel=1e-9
        )

    def test_full_shrinkage_is_the_plain_average(self, forecasts):
        P, y, _ = forecasts
        model = QuantileAggregator(levels=LEVELS, shrinkage=1.0).fit_predictions(P, y)
        np.testing.assert_allclose(model.combine(P), P.mean(axis=1), atol=1e-12)
        np.testing.assert_allclose(model.weights_, 1 / 3)

    def test_fine_weights_shrink_to_the_average_of_each_level(self, forecasts):
        P, y, _ = forecasts
        model = QuantileAggregator(
            levels=LEVELS, resolution="fine", shrinkage=0.4, monotone=None
        ).fit_predictions(P, y)
        by_weights = np.einsum("njv,kjv->nk", P, model.weights_)
        np.testing.assert_allclose(model.combine(P), by_weights, atol=1e-10)

    def test_shrinkage_is_chosen_on_folds_left_out(self, forecasts):
        P, y, _ = forecasts
        model = QuantileAggregator(levels=LEVELS, cv=KFold(4)).fit_predictions(P, y)
        loss = {}
        for share in np.linspace(0.0, 1.0, 21):
            total = 0.0
            for train, test in KFold(4).split(P):
                found = fit_quantile_weights(P[train], y[train], LEVELS)
                average = P[test].mean(axis=1)
                grid = (1 - share) * found.predict(P[test]) + share * average
                total += len(test) * pinball_loss(
                    y[test], np.sort(grid, axis=1), LEVELS
                )
            loss[share] = total
        assert model.shrinkage_ == pytest.approx(min(loss, key=loss.get))

    def test_probabilities_are_averaged_by_one_weight_a_model(self, forecasts):
        P, y, _ = forecasts
        model = QuantileAggregator(
            levels=LEVELS, average="probabilities", shrinkage=0.0
        ).fit_predictions(P, y)
        assert model.weights_.shape == (3,)
        assert model.weights_[0] > 0.8
        wide = QuantileAggregator(
            levels=LEVELS, average="probabilities", shrinkage=1.0
        ).fit_predictions(P, y)
        narrow = QuantileAggregator(levels=LEVELS, shrinkage=1.0).fit_predictions(P, y)
        spread = [np.ptp(each.combine(P), axis=1).mean() for each in (wide, narrow)]
        assert spread[0] > spread[1]

    def test_predict_methods_take_forecasts_in_the_place_of_rows(self, forecasts):
        P, y, _ = forecasts
        model = QuantileAggregator(levels=LEVELS).fit_predictions(P, y)
        grid = model.combine(P)
        np.testing.assert_array_equal(model.predict_quantiles(P), grid)
        np.testing.assert_array_equal(model.predict(P), grid[:, 2])
        np.testing.assert_array_equal(model.predict_interval(P, 0.8), grid[:, [0, 4]])
        assert model.predict_cdf(P[:3], 0.0).shape == (3,)
        assert model.sample(P[:3], 5, random_state=0).shape == (3, 5)
        assert model.score(P, y) == pytest.approx(-pinball_loss(y, grid, LEVELS))

    def test_local_weights_follow_features(self, forecasts):
        P, y, _ = forecasts
        side = np.where(np.arange(400) % 2, 1.0, -1.0)[:, None]
        mixed = np.where(side[:, :, None] > 0, P[:, [0, 2, 1]], P[:, [2, 0, 1]])
        local = QuantileAggregator(levels=LEVELS, local="linear", shrinkage=0.0)
        local.fit_predictions(mixed, y, X=side)
        constant = QuantileAggregator(levels=LEVELS, shrinkage=0.0)
        constant.fit_predictions(mixed, y)
        assert local.weights_.shape == (5, 3)
        np.testing.assert_allclose(local.weights_.sum(axis=1), 1.0)
        better = pinball_loss(y, local.combine(mixed, side), LEVELS)
        assert better < 0.9 * pinball_loss(y, constant.combine(mixed), LEVELS)

    def test_any_object_that_gives_weights_can_be_local(self, forecasts):
        P, y, _ = forecasts

        class FirstOnly:
            def fit(self, Q, y, X, levels, sample_weight=None):
                self.shape_ = Q.shape
                return self

            def weights(self, X):
                return np.tile([1.0, 0.0, 0.0], (len(X), 1))

        gate = FirstOnly()
        model = QuantileAggregator(levels=LEVELS, local=gate, shrinkage=0.0)
        model.fit_predictions(P, y, X=np.zeros((400, 1)))
        np.testing.assert_array_equal(model.combine(P, np.zeros((400, 1))), P[:, 0])
        assert not hasattr(gate, "shape_")

    def test_crossing_stays_if_nothing_is_asked_for(self, forecasts):
        P, y, _ = forecasts
        crossed = P[:, :, ::-1]
        kept = QuantileAggregator(levels=LEVELS, monotone=None, shrinkage=1.0)
        grid = kept.fit_predictions(crossed, y).combine(crossed)
        assert (np.diff(grid, axis=1) < 0.0).all()
        for how in ("sort", "isotonic"):
            model = QuantileAggregator(levels=LEVELS, monotone=how, shrinkage=1.0)
            ordered = model.fit_predictions(crossed, y).combine(crossed)
            assert (np.diff(ordered, axis=1) >= 0.0).all()

    @pytest.mark.parametrize("method", ["cv+", "jackknife-minmax", "split"])
    def test_calibration_works_on_forecasts(self, forecasts, method):
        P, y, _ = forecasts
        narrow = P.mean(axis=2, keepdims=True) + 0.2 * (
            P - P.mean(axis=2, keepdims=True)
        )
        model = QuantileAggregator(
            levels=LEVELS, calibration=method, cv=5, random_state=0
        ).fit_predictions(narrow[:300], y[:300])
        raw = QuantileAggregator(levels=LEVELS).fit_predictions(narrow[:300], y[:300])
        interval = model.predict_interval(narrow[300:], 0.8)
        assert interval_coverage(y[300:], interval) > 0.7
        plain = raw.predict_interval(narrow[300:], 0.8)
        assert interval_coverage(y[300:], plain) < 0.5

    def test_weight_of_a_row_counts_it(self, forecasts):
        P, y, _ = forecasts
        counts = np.random.default_rng(1).integers(0, 3, size=400)
        rows = np.repeat(np.arange(400), counts)
        model = QuantileAggregator(levels=LEVELS, shrinkage=0.25)
        weighted = clone(model).fit_predictions(P, y, sample_weight=counts)
        repeated = clone(model).fit_predictions(P[rows], y[rows])
        assert weighted.objective_ == pytest.approx(repeated.objective_, rel=1e-7)

    def test_rows_without_weight_do_not_change_what_is_held_out(self, forecasts):
        P, y, _ = forecasts
        counted = np.arange(400) % 4 == 0
        model = QuantileAggregator(levels=LEVELS, calibration="split", random_state=0)
        weighted = clone(model).fit_predictions(P, y, sample_weight=1.0 * counted)
        cut = clone(model).fit_predictions(
            P[counted], y[counted], sample_weight=np.ones(100)
        )
        assert weighted.n_calibration_ == cut.n_calibration_ == 25
        np.testing.assert_array_equal(weighted.offsets_, cut.offsets_)
        np.testing.assert_array_equal(weighted.weights_, cut.weights_)

    def test_rows_without_weight_are_as_good_as_absent(self, forecasts):
        P, y, _ = forecasts
        fold = np.arange(400) // 50
        weight = (fold < 4).astype(float)
        y = np.where(weight > 0, y, 1e6)
        folds = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in (0, 2)]
        model = QuantileAggregator(levels=LEVELS, calibration="cv+")
        weighted = clone(model).set_params(cv=folds)
        weighted.fit_predictions(P, y, sample_weight=weight)
        cut = clone(model).set_params(
            cv=[(train[train < 200], test) for train, test in folds]
        )
        cut.fit_predictions(P[:200], y[:200], sample_weight=np.ones(200))
        np.testing.assert_array_equal(weighted.weights_, cut.weights_)
        assert weighted.shrinkage_ == cut.shrinkage_
        np.testing.assert_array_equal(weighted.offsets_, cut.offsets_)


class TestModels:
    def test_it_predicts_grids_intervals_distributions_and_draws(self, diabetes):
        X, y, X_new, _ = diabetes
        model = QuantileAggregator(_models(), levels=LEVELS).fit(X, y)
        grid = model.predict_quantiles(X_new)
        assert grid.shape == (142, 5)
        assert (np.diff(grid, axis=1) >= 0.0).all()
        np.testing.assert_array_equal(model.predict(X_new), grid[:, 2])
        assert model.predict_quantiles(X_new, [0.2, 0.6]).shape == (142, 2)
        assert model.predict_interval(X_new, 0.6).shape == (142, 2)
        assert model.weights_.shape == (5, 2)
        np.testing.assert_allclose(model.weights_.sum(axis=1), 1.0)
        assert model.oof_quantiles_.shape == (300, 2, 5)
        assert model.estimator_names_ == ["linear", "near"]
        assert model.n_features_in_ == 10

    def test_out_of_fold_predictions_come_from_models_without_the_fold(self, diabetes):
        X, y, *_ = diabetes
        model = QuantileAggregator(_models(), levels=LEVELS, cv=3).fit(X, y)
        for train, test in KFold(3).split(X):
            for number, (_, base) in enumerate(_models()):
                grid = clone(base).fit(X[train], y[train]).predict_quantiles(X[test])
                np.testing.assert_allclose(
                    model.oof_quantiles_[test, number], grid, rtol=1e-9
                )
        scores = [
            pinball_loss(y, model.oof_quantiles_[:, number], LEVELS)
            for number in range(2)
        ]
        np.testing.assert_allclose(model.base_scores_, scores, rtol=1e-12)

    def test_predictions_are_those_of_models_fitted_to_all_rows(self, diabetes):
        X, y, X_new, _ = diabetes
        model = QuantileAggregator(_models(), levels=LEVELS, shrinkage=0.0).fit(X, y)
        P = np.stack(
            [clone(base).fit(X, y).predict_quantiles(X_new) for _, base in _models()],
            axis=1,
        )
        expected = np.sort(np.einsum("nmk,km->nk", P, model.weights_), axis=1)
        np.testing.assert_allclose(model.predict_quantiles(X_new), expected, rtol=1e-9)
        np.testing.assert_allclose(model.combine(P), expected, rtol=1e-9)

    def test_without_refit_models_of_the_folds_are_averaged(self, diabetes):
        X, y, X_new, _ = diabetes
        model = QuantileAggregator(
            _models(), levels=LEVELS, refit=False, cv=3, shrinkage=0.0
        ).fit(X, y)
        assert not hasattr(model, "estimators_")
        P = np.mean(
            [
                np.stack([base.predict_quantiles(X_new) for base in models], axis=1)
                for models in model.fold_estimators_
            ],
            axis=0,
        )
        np.testing.assert_allclose(
            model.predict_quantiles(X_new), model.combine(P), rtol=1e-12
        )

    @pytest.mark.slow
    def test_jobs_do_not_change_the_result(self, diabetes):
        X, y, X_new, _ = diabetes
        one = QuantileAggregator(_models(), levels=LEVELS, cv=3).fit(X, y)
        two = QuantileAggregator(_models(), levels=LEVELS, cv=3, n_jobs=2).fit(X, y)
        np.testing.assert_array_equal(
            one.predict_quantiles(X_new), two.predict_quantiles(X_new)
        )

    def test_folds_that_do_not_cover_all_rows_leave_the_others_to_fitting(
        self, diabetes
    ):
        X, y, X_new, _ = diabetes
        model = QuantileAggregator(_models(), levels=LEVELS, cv=TimeSeriesSplit(3)).fit(
            X, y
        )
        never = np.isnan(model.oof_quantiles_).all(axis=(1, 2))
        assert never.sum() == 75
        assert np.isfinite(model.predict_quantiles(X_new)).all()

    def test_groups_are_not_parted(self, diabetes):
        X, y, *_ = diabetes
        groups = np.arange(300) // 10
        model = QuantileAggregator(
            _models(),
            levels=LEVELS,
            cv=GroupKFold(3),
            calibration="split",
            random_state=0,
        ).fit(X, y, groups=groups)
        held = np.isnan(model.oof_quantiles_).all(axis=(1, 2))
        assert 0 < held.sum() < 300
        assert all(len(set(held[groups == g])) == 1 for g in range(30))

    @pytest.mark.parametrize("method", ["split", "cv+", "jackknife-minmax"])
    def test_calibrated_intervals_cover(self, diabetes, method):
        X, y, X_new, y_new = diabetes
        model = QuantileAggregator(
            _models(), levels=LEVELS, calibration=method, cv=4, random_state=0
        ).fit(X, y)
        interval = model.predict_interval(X_new, 0.8)
        assert interval_coverage(y_new, interval) > 0.7
        grid = model.predict_quantiles(X_new)
        assert (np.diff(grid, axis=1) >= 0.0).all()
        assert model.n_calibration_ == (75 if method == "split" else 300)

    def test_weights_of_a_fold_have_not_seen_it(self):
        """A target that only its own row could reveal must not be fitted."""
        rng = np.random.default_rng(0)
        X, y = rng.normal(size=(90, 2)), rng.normal(size=90)
        model = QuantileAggregator(
            _models(), levels=LEVELS, calibration="cv+", cv=3, shrinkage=0.0
        ).fit(X, y)
        other = y.copy()
        other[:30] += 100.0  # the first fold
        moved = clone(model).fit(X, other)
        first = model._ensemble.fold_combiners[0].weights
        np.testing.assert_array_equal(moved._ensemble.fold_combiners[0].weights, first)
        assert not np.array_equal(moved.weights_, model.weights_)

    def test_own_rows_replace_what_fit_calibrated(self, diabetes):
        X, y, X_new, y_new = diabetes
        model = QuantileAggregator(_models(), levels=LEVELS).fit(X, y)
        before = model.predict_quantiles(X_new)
        model.calibrate(X_new, y_new)
        assert model.n_calibration_ == 142
        offsets = model.offsets_
        np.testing.assert_allclose(
            model.predict_quantiles(X_new), np.sort(before + offsets, axis=1)
        )
        side = np.where(X_new[:, 1] > 0, "b", "a")
        model.calibrate(X_new, y_new, groups=side)
        assert model.groups_ == ["a", "b"]
        assert model.predict_quantiles(X_new, groups=side).shape == (142, 5)
        with pytest.raises(ValueError, match="'groups'"):
            model.predict_quantiles(X_new)

    def test_models_may_be_pipelines_and_come_without_names(self, diabetes):
        X, y, *_ = diabetes
        models = [
            make_pipeline(StandardScaler(), LinearQuantileRegression(LEVELS)),
            LocationScaleQuantiles(Ridge(), levels=LEVELS),
            LocationScaleQuantiles(LinearRegression(), levels=LEVELS),
        ]
        model = QuantileAggregator(models, levels=LEVELS, cv=3).fit(X, y)
        assert model.estimator_names_ == [
            "pipeline",
            "locationscalequantiles-1",
            "locationscalequantiles-2",
        ]

    def test_parameters_of_models_can_be_searched(self, diabetes):
        X, y, *_ = diabetes
        model = QuantileAggregator(_models(), levels=LEVELS, cv=3)
        search = GridSearchCV(
            model,
            {"near__estimator__n_neighbors": [5, 40], "resolution": ["coarse"]},
            cv=2,
        ).fit(X, y)
        assert search.best_params_["near__estimator__n_neighbors"] in (5, 40)
        model.set_params(near=LocationScaleQuantiles(Ridge(), levels=LEVELS))
        assert isinstance(dict(model.estimators)["near"].estimator, Ridge)

    def test_it_survives_pickling_and_cross_validation(self, diabetes):
        X, y, X_new, _ = diabetes
        model = QuantileAggregator(_models(), levels=LEVELS, cv=3).fit(X, y)
        again = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(again.predict(X_new), model.predict(X_new))
        assert (cross_val_score(clone(model), X, y, cv=2) < 0.0).all()

    def test_local_weights_need_no_second_look_at_the_rows(self, diabetes):
        X, y, X_new, _ = diabetes
        model = QuantileAggregator(
            _models(), levels=LEVELS, local=LinearGate(alpha=1.0), cv=3
        ).fit(X, y)
        assert model.predict_quantiles(X_new).shape == (142, 5)


class _Odd(BaseEstimator):
    """A model that predicts NaN in some rows."""

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X, quantiles=(0.5,)):
        grid = np.zeros((len(X), len(quantiles)))
        grid[:2] = np.nan
        return grid


class TestRefusals:
    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"estimators": None}, "call fit_predictions"),
            ({"estimators": []}, "pass quantile models"),
            ({"levels": [0.9, 0.1]}, "pass sorted"),
            ({"levels": [0.5, 0.5]}, "Got 0.5 twice"),
            ({"levels": [0.0, 0.5]}, "in \\(0, 1\\)"),
            ({"constraint": "free", "local": "linear"}, "'simplex' without"),
            ({"intercept": True, "average": "probabilities"}, "'simplex' without"),
            ({"local": "linear", "average": "probabilities"}, "must be 'quantiles'"),
            ({"local": "linear", "resolution": "fine"}, "'coarse' or 'medium'"),
            ({"shrinkage": 1.5}, "'shrinkage'"),
            ({"resolution": 0}, "'resolution'"),
            ({"monotone": "minmax"}, "'monotone'"),
        ],
    )
    def test_parameters_that_make_no_sense(self, diabetes, parameters, message):
        X, y, *_ = diabetes
        model = QuantileAggregator(_models(), levels=LEVELS).set_params(**parameters)
        with pytest.raises(ValueError, match=message):
            model.fit(X, y)

    def test_a_model_without_quantiles(self, diabetes):
        X, y, *_ = diabetes
        models = [*_models(), ("ols", LinearRegression())]
        with pytest.raises(TypeError, match="The model 'ols' must give quantiles"):
            QuantileAggregator(models, levels=LEVELS).fit(X, y)

    def test_a_model_whose_levels_do_not_reach(self, diabetes):
        X, y, *_ = diabetes
        models = [*_models(), ("inner", LinearQuantileRegression([0.3, 0.7]))]
        with pytest.raises(ValueError, match="The model 'inner' must have levels as"):
            QuantileAggregator(models, levels=LEVELS).fit(X, y)

    def test_a_model_between_whose_levels_others_lie(self, diabetes):
        X, y, *_ = diabetes
        models = [*_models(), ("ends", LinearQuantileRegression([0.1, 0.9]))]
        model = QuantileAggregator(models, levels=LEVELS, cv=2)
        with pytest.warns(StatlearnWarning, match="Got 3 that it has not, such as 0.3"):
            model.fit(X, y)

    def test_features_that_are_no_numbers_for_local_weights(self, diabetes):
        _, y, *_ = diabetes
        words = np.full((300, 1), "hot air", dtype=object)
        model = QuantileAggregator(_models(), levels=LEVELS, local="linear")
        with pytest.raises(ValueError, match=r"linear in it\. Got values refused"):
            model.fit(words, y)

    def test_names_that_come_twice(self, diabetes):
        X, y, *_ = diabetes
        twice = [("a", LinearQuantileRegression(LEVELS))] * 2
        with pytest.raises(ValueError, match="different names"):
            QuantileAggregator(twice, levels=LEVELS).fit(X, y)

    def test_predictions_that_are_missing_name_the_model(self, diabetes):
        X, y, *_ = diabetes
        models = [*_models(), ("odd", _Odd())]
        with pytest.raises(ValueError, match="The model 'odd' must predict numbers"):
            QuantileAggregator(models, levels=LEVELS).fit(X, y)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda P: P[:, 0], r"shape \(n, m models, 5 levels\)"),
            (lambda P: P[:, :, :4], r"shape \(n, m models, 5 levels\)"),
            (
                lambda P: np.where(P[7, 1, 2] == P, np.nan, P),
                r"model 1 \(counted from 0\) in 1 of 400",
            ),
        ],
        ids=["two axes", "a level short", "missing"],
    )
    def test_forecasts_that_are_no_grids(self, forecasts, change, message):
        P, y, _ = forecasts
        with pytest.raises(ValueError, match=message):
            QuantileAggregator(levels=LEVELS).fit_predictions(change(P), y)

    def test_forecasts_of_other_models(self, forecasts):
        P, y, _ = forecasts
        model = QuantileAggregator(levels=LEVELS).fit_predictions(P, y)
        with pytest.raises(ValueError, match=r"shape \(n, 3 models, 5 levels\)"):
            model.combine(P[:, :2])

    def test_given_forecasts_beside_models(self, forecasts):
        P, y, _ = forecasts
        with pytest.raises(ValueError, match="must be None for given forecasts"):
            QuantileAggregator(_models(), levels=LEVELS).fit_predictions(P, y)

    def test_local_weights_without_features(self, forecasts):
        P, y, _ = forecasts
        model = QuantileAggregator(levels=LEVELS, local="linear")
        with pytest.raises(ValueError, match="'X' of QuantileAggregator"):
            model.fit_predictions(P, y)

    def test_a_gate_that_gives_no_weights(self, forecasts):
        P, y, signal = forecasts

        class Short:
            def fit(self, Q, y, X, levels, sample_weight=None):
                return self

            def weights(self, X):
                return np.ones((len(X), 2))

        model = QuantileAggregator(levels=LEVELS, local=Short())
        with pytest.raises(ValueError, match=r"shape \(400, 2\) from Short\.weights"):
            model.set_params(shrinkage=0.0).fit_predictions(P, y, X=signal)

    def test_targets_of_another_number_of_rows(self, forecasts):
        P, y, _ = forecasts
        with pytest.raises(ValueError, match=r"with n rows as y. Got shape \(400, 3"):
            QuantileAggregator(levels=LEVELS).fit_predictions(P, y[:-1])

    def test_nothing_is_predicted_before_fit(self, forecasts):
        with pytest.raises(NotFittedError):
            QuantileAggregator(levels=LEVELS).combine(forecasts[0])

    def test_too_few_rows_for_the_folds(self, diabetes):
        X, y, *_ = diabetes
        with pytest.raises(ValueError, match="5 folds for n_samples=3"):
            QuantileAggregator(_models(), levels=LEVELS).fit(X[:3], y[:3])

    def test_a_column_of_targets_is_read_as_one(self, forecasts):
        P, y, _ = forecasts
        model = QuantileAggregator(levels=LEVELS, shrinkage=0.5)
        with pytest.warns(match="column-vector y"):
            column = clone(model).fit_predictions(P, y[:, None])
        row = clone(model).fit_predictions(P, y)
        np.testing.assert_array_equal(column.weights_, row.weights_)
