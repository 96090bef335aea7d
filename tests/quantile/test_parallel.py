"""Models are cross-fitted in any joblib backend, with the same result."""

from __future__ import annotations

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.tree import ExtraTreeRegressor

from statlearn.quantile import (
    LinearQuantileRegression,
    LocationScaleQuantiles,
    QuantileAggregator,
)

LEVELS = (0.25, 0.5, 0.75)
RNG = np.random.default_rng(8)
X = RNG.normal(size=(90, 3))
Y = X[:, 0] + RNG.normal(size=90)


class OnWorker(LinearQuantileRegression):
    """Linear quantiles; outside a worker of the cluster `get_worker` raises."""

    def fit(self, X, y, sample_weight=None):
        from dask.distributed import get_worker

        assert get_worker().address
        return super().fit(X, y, sample_weight)


def fit(linear=LinearQuantileRegression, **options):
    # It has no seed of its own: it gets one from the aggregator. A forest would not
    # do: scikit-learn adds up its trees in the order in which threads end.
    tree = ExtraTreeRegressor(min_samples_leaf=5)
    models = [
        ("linear", linear(LEVELS)),
        ("tree", LocationScaleQuantiles(tree, levels=LEVELS, cv=3)),
    ]
    model = QuantileAggregator(
        models, levels=LEVELS, cv=3, calibration="cv+", random_state=0, **options
    )
    return model.fit(X, Y)


@pytest.fixture(scope="module")
def alone():
    return fit()


def agree(model, alone):
    assert_array_equal(model.oof_quantiles_, alone.oof_quantiles_)
    assert_array_equal(model.weights_, alone.weights_)
    assert_array_equal(model.offsets_, alone.offsets_)
    assert_array_equal(model.predict_quantiles(X), alone.predict_quantiles(X))


def test_two_processes_give_the_result_of_one(alone):
    agree(fit(n_jobs=2), alone)


def test_threads_give_the_result_of_one(alone):
    with joblib.parallel_config(backend="threading", n_jobs=2):
        agree(fit(), alone)


def test_local_dask_cluster_gives_the_result_of_one(alone):
    distributed = pytest.importorskip("dask.distributed")
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0"
    )
    with (
        cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        agree(fit(OnWorker), alone)
