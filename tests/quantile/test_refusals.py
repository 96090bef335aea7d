"""What the room refuses before it works, and what it says then."""

import numpy as np
import pytest
import sklearn
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score

from statlearn.exceptions import SmallCalibrationWarning
from statlearn.quantile import (
    ConformalQuantileRegressor,
    LinearGate,
    LinearQuantileRegression,
    QuantileAggregator,
)

LEVELS = [0.1, 0.5, 0.9]


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    return X, X[:, 0] + rng.normal(size=60)


@pytest.fixture
def stack(rows):
    X, y = rows
    return np.sort(np.random.default_rng(1).normal(size=(60, 2, 3)), axis=2), y, X


class Counted(LinearQuantileRegression):
    """Counts how often it is fitted."""

    fits = 0

    def fit(self, X, y, sample_weight=None):
        type(self).fits += 1
        return super().fit(X, y, sample_weight)


class TestGate:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"Q": np.zeros((60, 3))}, r"'Q' of LinearGate .* Got shape \(60, 3\)"),
            ({"Q": np.full((60, 2, 3), np.nan)}, "'Q' of LinearGate .* Got NaN"),
            ({"levels": [0.9, 0.5, 0.1]}, "'levels' of LinearGate"),
            ({"levels": [0.1, 0.9]}, r"'Q' of LinearGate .*2 levels\)"),
            ({"y": np.zeros(59)}, "same number of rows. Got 60, 59 and 60"),
            ({"X": np.zeros((61, 2))}, "same number of rows. Got 60, 60 and 61"),
            ({"y": np.full(60, np.nan)}, "y contains NaN"),
            ({"sample_weight": -np.ones(60)}, "'sample_weight' .*LinearGate"),
        ],
        ids=[
            "two axes",
            "missing",
            "falling levels",
            "two levels",
            "short y",
            "long X",
            "missing y",
            "negative weights",
        ],
    )
    def test_data_that_do_not_fit(self, stack, change, message):
        Q, y, X = stack
        data = {"Q": Q, "y": y, "X": X, "levels": LEVELS} | change
        with pytest.raises(ValueError, match=message):
            LinearGate().fit(**data)

    @pytest.mark.parametrize("max_iter", [0, 1.5, "many"])
    def test_a_number_of_steps_that_is_none(self, stack, max_iter):
        Q, y, X = stack
        error = ValueError if max_iter == 0 else TypeError
        with pytest.raises(error, match="'max_iter' of LinearGate"):
            LinearGate(max_iter=max_iter).fit(Q, y, X, LEVELS)

    def test_weights_before_a_fit(self, stack):
        with pytest.raises(NotFittedError, match="LinearGate expected a fit"):
            LinearGate().weights(stack[2])

    def test_features_of_another_number(self, stack):
        Q, y, X = stack
        gate = LinearGate().fit(Q, y, X, LEVELS)
        with pytest.raises(ValueError, match=r"the 2 features of the fit\. Got 1"):
            gate.weights(X[:, :1])


class TestAggregator:
    def test_features_for_local_weights_are_read_before_any_fit(self, rows):
        y = rows[1]
        words = np.array(["red", "blue"] * 30, dtype=object)[:, None]
        model = QuantileAggregator(
            [("a", Counted(LEVELS))], levels=LEVELS, local="linear"
        )
        with pytest.raises(ValueError, match="'X' of QuantileAggregator"):
            model.fit(words, y)
        assert Counted.fits == 0

    def test_features_of_another_number_of_rows_than_forecasts(self, stack):
        P, y, X = stack
        model = QuantileAggregator(levels=LEVELS, local="linear")
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            model.fit_predictions(P, y, X=X[:-1])

    def test_forecasts_without_targets(self, stack):
        with pytest.raises(ValueError, match="QuantileAggregator requires y"):
            QuantileAggregator(levels=LEVELS).fit_predictions(stack[0], None)

    @pytest.mark.filterwarnings("ignore::statlearn.exceptions.SmallCalibrationWarning")
    def test_a_model_with_infinite_quantiles_is_named(self, rows):
        X, y = rows
        levels = [0.01, 0.5, 0.99]
        linear = LinearQuantileRegression(levels)
        wide = ConformalQuantileRegressor(linear, random_state=0)
        models = [("linear", linear), ("wide", wide)]
        with pytest.raises(ValueError, match="'wide' must predict finite quantiles"):
            QuantileAggregator(models, levels=levels, cv=2).fit(X, y)

    def test_folds_outside_of_which_nothing_has_weight(self, rows):
        X, y = rows
        model = QuantileAggregator(
            [("linear", LinearQuantileRegression(LEVELS))], levels=LEVELS
        )
        weight = np.repeat([1.0, 0.0], [5, 55])
        with pytest.raises(ValueError, match="rows with weight to fit 'linear'"):
            model.fit(X, y, sample_weight=weight)

    @pytest.mark.parametrize("name", ["groups", "sample_weight"])
    def test_what_only_calibration_would_use(self, stack, name):
        P, y, _ = stack
        model = QuantileAggregator(levels=LEVELS).fit_predictions(P, y)
        with pytest.raises(ValueError, match=f"'{name}' of QuantileAggregator"):
            model.predict_quantiles(P, **{name: np.ones(60)})


def test_models_without_names_are_routed_to(rows):
    X, y = rows
    with sklearn.config_context(enable_metadata_routing=True):
        models = [LinearQuantileRegression(LEVELS) for _ in range(2)]
        model = QuantileAggregator(models, levels=LEVELS, cv=2)
        model.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        for each in models:
            each.set_fit_request(sample_weight=True)
        scores = cross_val_score(
            model, X, y, cv=2, params={"sample_weight": np.ones(60)}
        )
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("method", ["split", "cv+", "jackknife-minmax"])
def test_too_few_rows_give_grids_that_every_method_can_read(rows, method):
    X, y = rows
    base = LinearQuantileRegression([0.01, 0.5, 0.99])
    with pytest.warns(SmallCalibrationWarning, match="at least 99 calibration rows"):
        model = ConformalQuantileRegressor(base, method=method, random_state=0).fit(
            X[:40], y[:40]
        )
    grid = model.predict_quantiles(X)
    assert (grid[:, 0] == -np.inf).all()
    assert (grid[:, 2] == np.inf).all()
    assert np.isfinite(model.predict(X)).all()
    np.testing.assert_array_equal(model.predict_cdf(X, [0.0, np.inf])[0], [0.5, 1.0])
    assert not np.isnan(model.sample(X, 5, random_state=0)).any()
    assert model.score(X, y) == -np.inf


@pytest.mark.parametrize("unit", [1e-12, 1e12])
@pytest.mark.parametrize("shrinkage", [0.0, "cv"])
def test_unit_of_the_target_does_not_matter_to_an_aggregate(rows, unit, shrinkage):
    X, y = rows
    models = [
        ("one", LinearQuantileRegression(LEVELS)),
        ("flat", LinearQuantileRegression(LEVELS, alpha=0.0, fit_intercept=False)),
    ]
    model = QuantileAggregator(models, levels=LEVELS, cv=2, shrinkage=shrinkage)
    once = model.fit(X, y).predict_quantiles(X)
    again = model.fit(X, unit * y).predict_quantiles(X)
    np.testing.assert_allclose(again, unit * once, rtol=1e-6, atol=1e-6 * unit)
