"""Folds run in any joblib backend, with the same result."""

from __future__ import annotations

import joblib
import pytest
from numpy.testing import assert_array_equal

from ordinal_oracle import random_problem
from statlearn.ordinal import PrestoClassifierCV

PROBLEM = random_problem(6, n=120, alpha=0.01)
X, Y = PROBLEM.X, PROBLEM.y


def fit(**options):
    return PrestoClassifierCV(n_alphas=4, cv=3, **options).fit(X, Y)


@pytest.fixture(scope="module")
def alone():
    return fit()


def agree(model, alone):
    assert_array_equal(model.scores_, alone.scores_)
    assert model.alpha_ == alone.alpha_
    assert_array_equal(model.coef_, alone.coef_)
    assert_array_equal(model.intercept_, alone.intercept_)


def test_two_processes_give_the_result_of_one(alone):
    agree(fit(n_jobs=2), alone)


def test_threads_give_the_result_of_one(alone):
    with joblib.parallel_config(backend="threading", n_jobs=2):
        agree(fit(), alone)


def score_on_a_worker(estimator, X, y):
    """Accuracy; outside a worker of the cluster `get_worker` raises."""
    from dask.distributed import get_worker

    assert get_worker().address
    return estimator.score(X, y)


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
        agree(fit(), alone)
        on_workers = fit(scoring=score_on_a_worker)
    assert_array_equal(on_workers.scores_, fit(scoring="accuracy").scores_)
