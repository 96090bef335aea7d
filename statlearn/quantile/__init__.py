"""Many quantiles at once: models, their aggregation, and honest intervals.

Any quantile models in, one grid of quantiles out that does not cross and is calibrated.
"""

from __future__ import annotations

from statlearn.quantile._averaging import linear_pool, vincentize
from statlearn.quantile._calibration_plot import QuantileCalibrationDisplay
from statlearn.quantile._calibrations import GridCalibration, IntervalCalibration
from statlearn.quantile._conformal import calibrate_grid, calibrate_interval
from statlearn.quantile._gate import LinearGate
from statlearn.quantile._grid import interpolate_quantiles
from statlearn.quantile._interval_plot import IntervalDisplay
from statlearn.quantile._monotone import (
    isotonic_quantiles,
    minmax_quantiles,
    sort_quantiles,
)
from statlearn.quantile._quantile_weights import (
    QuantileWeights,
    fit_quantile_weights,
)
from statlearn.quantile._weights_plot import AggregationWeightsDisplay
from statlearn.quantile.conformal_quantile_regressor import (
    ConformalQuantileRegressor,
)
from statlearn.quantile.linear_quantile_regression import LinearQuantileRegression
from statlearn.quantile.location_scale_quantiles import LocationScaleQuantiles
from statlearn.quantile.multi_quantile_regressor import MultiQuantileRegressor
from statlearn.quantile.quantile_aggregator import QuantileAggregator
from statlearn.utils._wald import WaldTable

__all__ = [
    "AggregationWeightsDisplay",
    "ConformalQuantileRegressor",
    "GridCalibration",
    "IntervalCalibration",
    "IntervalDisplay",
    "LinearGate",
    "LinearQuantileRegression",
    "LocationScaleQuantiles",
    "MultiQuantileRegressor",
    "QuantileAggregator",
    "QuantileCalibrationDisplay",
    "QuantileWeights",
    "WaldTable",
    "calibrate_grid",
    "calibrate_interval",
    "fit_quantile_weights",
    "interpolate_quantiles",
    "isotonic_quantiles",
    "linear_pool",
    "minmax_quantiles",
    "sort_quantiles",
    "vincentize",
]
