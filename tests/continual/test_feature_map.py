"""What an incremental classifier makes features with, as the outside sees it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.kernel_approximation import RBFSampler
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import get_tags

from class_steps import STEPS, X, Y, assert_same, learnt
from statlearn.continual import IncrementalClassifier


class Recorder(TransformerMixin, BaseEstimator):
    """Centre rows, and count fits."""

    fits = 0

    def fit(self, X, y=None):
        type(self).fits += 1
        self.mean_ = np.mean(X, axis=0)
        return self

    def transform(self, X):
        return X - self.mean_


def test_a_backbone_is_fitted_to_the_first_step_alone():
    Recorder.fits = 0
    model = learnt(backbone=Recorder())
    assert Recorder.fits == 1
    assert_allclose(model.backbone_.mean_, X[np.isin(Y, STEPS[0])].mean(axis=0))


@pytest.mark.parametrize(
    "backbone",
    [
        make_pipeline(StandardScaler(), RBFSampler(n_components=200, random_state=0)),
        FrozenEstimator(PCA(5, random_state=0).fit(X)),
        "random",
    ],
    ids=["pipeline", "frozen", "random"],
)
def test_features_of_any_kind_serve(backbone):
    model = learnt(backbone=backbone, memory_size=60)
    assert model.score(X, Y) > 0.75
    assert model.coef_.shape[1] in (200, 5, 300)
    assert model.memory_X_.shape[1] == 6


def test_a_backbone_that_bears_missing_values_passes_that_on():
    model = IncrementalClassifier(SimpleImputer(), memory_size=30)
    holes = np.where(np.random.default_rng(0).random(X.shape) < 0.05, np.nan, X)
    assert get_tags(model).input_tags.allow_nan
    assert not get_tags(IncrementalClassifier(Recorder())).input_tags.sparse
    assert model.fit(holes, Y).score(holes, Y) > 0.8
    with pytest.raises(ValueError, match="contains NaN"):
        IncrementalClassifier().fit(holes, Y)


class Wrong(TransformerMixin, BaseEstimator):
    def __init__(self, kind="rows"):
        self.kind = kind

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        if self.kind == "rows":
            return X[:-1]
        return X * np.nan if self.kind == "nan" else X[:, 0]


@pytest.mark.parametrize("kind", ["rows", "nan", "vector"])
def test_features_that_are_none_are_refused(kind):
    message = r"'backbone' of IncrementalClassifier must give finite numbers .* Got an"
    with pytest.raises(ValueError, match=message):
        learnt(backbone=Wrong(kind))


def test_features_may_be_integers():
    rounded = FunctionTransformer(lambda rows: np.round(10 * rows).astype(int))
    model = IncrementalClassifier(rounded, memory_size=30).fit(X, Y)
    assert model.coef_.dtype == np.float64
    assert model.score(X, Y) > 0.9


def test_random_features_have_one_length_and_follow_the_seed():
    model = learnt(backbone="random", n_components=40, random_state=3)
    phi = model.backbone_.transform(X)
    assert phi.shape == (240, 40)
    assert phi.min() >= 0.0
    assert_allclose((phi**2).sum(axis=1), 10.0)
    assert_same(model, learnt(backbone="random", n_components=40, random_state=3))
    scaled = learnt(backbone="random", n_components=40, rows=100.0 * X, random_state=3)
    assert_allclose(scaled.backbone_.transform(100.0 * X), phi)
    assert_allclose(model.backbone_.transform(sparse.csr_array(X)), phi)


def test_rows_that_are_all_alike_have_random_features():
    same = np.ones((5, 3))
    model = IncrementalClassifier("random", random_state=0).fit(same, np.zeros(5))
    assert np.isfinite(model.decision_function(same)).all()
