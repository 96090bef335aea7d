"""Marginal effects: goldens, finite differences, and the delta method."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse, stats

from ordinal_cases import golden, repeated, table, wine
from ordinal_numeric import flat_model, jacobian
from ordinal_oracle import FAMILIES, LINKS, random_problem
from statlearn.ordinal import OrdinalRegression

MARGINS = golden("ordinal_margins")["fits"]
TIGHT = 1e-11


def data(seed=0, n=200, **options):
    """Three columns, the last one of zeros and ones."""
    problem = random_problem(seed, n=n, alpha=0.0, spread=0.3, **options)
    X = problem.X.copy()
    X[:, 2] = X[:, 2] > X[:, 2].mean()
    return X, problem.y


def effects_of(numeric, params, *, discrete=(), weight=None, at="overall"):
    """Effects (p, K) from the definition, by differences of probabilities."""
    X = numeric.X
    w = np.ones(len(X)) if weight is None else np.asarray(weight, float)
    if at == "mean":
        X, w = (w @ X / w.sum())[None], np.ones(1)
    out = []
    for j in range(X.shape[1]):

        def moved(by, j=j):
            Z = X.copy()
            Z[:, j] = by if j in discrete else Z[:, j] + by
            return w @ numeric.probabilities(params, Z) / w.sum()

        if j in discrete:
            out.append(moved(1.0) - moved(0.0))
        else:
            h = 2e-3
            near, middle, far = (moved(s * h) - moved(-s * h) for s in (1, 2, 3))
            out.append((45 * near - 9 * middle + far) / (60 * h))
    return np.array(out)


def delta_errors(numeric, model, **options):
    """Standard errors (p, K) by a numerical Jacobian and the covariance."""
    J = jacobian(
        lambda t: effects_of(numeric, t, **options).ravel(), model.params_, step=1e-3
    )
    variance = np.einsum("ij,jk,ik->i", J, model.cov_, J)
    return np.sqrt(variance).reshape(model.n_features_in_, -1)


# ------------------------------------------------------------------------- witnesses
def label(record):
    kind = "change" if record["discrete"] else "slope"
    return "-".join([record["dataset"], record["link"], kind, *record["nominal"]])


@pytest.mark.parametrize("record", MARGINS, ids=label)
def test_effects_equal_those_of_clm(record):
    names, X, y, w = table(record["dataset"])
    parallel = [j for j, name in enumerate(names) if name not in record["nominal"]]
    model = OrdinalRegression(link=record["link"], parallel=parallel, tol=TIGHT)
    model.fit(X, y, sample_weight=w)
    effects = model.marginal_effects(discrete="auto" if record["discrete"] else [])
    assert_allclose(effects.effect, record["effect"], atol=1e-8)
    assert_allclose(effects.bse, record["se"], rtol=1e-5)


@pytest.mark.parametrize(
    ("parallel", "reverse"), [(True, False), ([0, 2], True), (False, False)]
)
@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("family", FAMILIES)
def test_effects_and_errors_equal_numerical_ones(family, link, parallel, reverse):
    X, y = data(1)
    kind = {"family": family, "link": link, "reverse": reverse}
    model = OrdinalRegression(parallel=parallel, tol=TIGHT, **kind).fit(X, y)
    mask = np.isin(np.arange(3), np.arange(3) if parallel is True else parallel or [])
    numeric = flat_model(X, y, mask, **kind)
    effects = model.marginal_effects()
    assert_array_equal(effects.discrete, [False, False, True])
    expected = effects_of(numeric, model.params_, discrete=(2,))
    assert_allclose(effects.effect, expected, atol=1e-8)
    assert_allclose(effects.effect.sum(axis=1), 0.0, atol=1e-12)
    errors = delta_errors(numeric, model, discrete=(2,))
    assert_allclose(effects.bse, errors, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("family", FAMILIES)
def test_effects_at_the_mean_are_those_of_one_row(family):
    X, y = data(2)
    w = np.random.default_rng(0).integers(0, 3, len(y))
    model = OrdinalRegression(family=family, tol=TIGHT).fit(X, y, sample_weight=w)
    numeric = flat_model(X, y, True, family=family)
    effects = model.marginal_effects(at="mean")
    options = {"discrete": (2,), "weight": w, "at": "mean"}
    expected = effects_of(numeric, model.params_, **options)
    assert_allclose(effects.effect, expected, atol=1e-8)
    assert_allclose(effects.bse, delta_errors(numeric, model, **options), rtol=1e-5)


def test_effect_of_a_binary_column_is_the_mean_change_of_predictions():
    X, y, w = wine()
    model = OrdinalRegression().fit(X, y, sample_weight=w)
    effects = model.marginal_effects()
    for j in range(2):
        one, zero = X.copy(), X.copy()
        one[:, j], zero[:, j] = 1.0, 0.0
        change = model.predict_proba(one) - model.predict_proba(zero)
        assert_allclose(effects.effect[j], w @ change / w.sum(), atol=1e-12)


def test_margins_of_statsmodels_agree_for_two_classes():
    import statsmodels.api as sm

    X, y = data(3, n_classes=2)
    model = OrdinalRegression(tol=TIGHT).fit(X, y)
    fit = sm.Logit(y, sm.add_constant(X)).fit(disp=False, tol=1e-13)
    peer = fit.get_margeff(at="overall")
    effects = model.marginal_effects(discrete=[])
    assert_allclose(effects.effect[:, 1], peer.margeff, rtol=1e-6)
    assert_allclose(effects.bse[:, 1], peer.margeff_se, rtol=1e-6)
    assert_allclose(effects.pvalue[:, 1], peer.pvalues, rtol=1e-5)


# -------------------------------------------------------------------------- invariance
def test_weights_count_rows_in_effects():
    X, y = data(4)
    w = np.random.default_rng(1).integers(0, 4, len(y))
    weighted = OrdinalRegression(tol=TIGHT).fit(X, y, sample_weight=w)
    long = OrdinalRegression(tol=TIGHT).fit(*repeated(X, y, w))
    for at in ("overall", "mean"):
        got, expected = weighted.marginal_effects(at=at), long.marginal_effects(at=at)
        assert_allclose(got.effect, expected.effect, atol=1e-9)
        assert_allclose(got.bse, expected.bse, rtol=1e-7)


@pytest.mark.parametrize("at", ["overall", "mean"])
@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_array])
@pytest.mark.parametrize("family", FAMILIES)
def test_sparse_rows_have_the_same_effects(family, container, at):
    X, y = data(5)
    X = np.where(np.abs(X) < 0.5, 0.0, X)
    options = {"family": family, "parallel": [1], "tol": TIGHT}
    dense = OrdinalRegression(**options).fit(X, y).marginal_effects(at=at)
    model = OrdinalRegression(**options).fit(container(X), y)
    thin = model.marginal_effects(at=at)
    assert_array_equal(thin.discrete, dense.discrete)
    assert_allclose(thin.effect, dense.effect, atol=1e-9)
    assert_allclose(thin.bse, dense.bse, rtol=1e-6)


def test_many_rows_are_averaged_in_parts_without_a_seam():
    X, y = data(6, n=5000)
    model = OrdinalRegression(parallel=[0]).fit(X, y)
    whole = model.marginal_effects()
    parts = [model.marginal_effects(X[i::2], y[i::2]).effect for i in (0, 1)]
    assert_allclose(whole.effect, np.mean(parts, axis=0), atol=1e-12)


def test_scale_of_a_column_divides_its_effect():
    X, y = data(6)
    scale = np.array([1e3, 1.0, 1.0])
    before = OrdinalRegression(tol=TIGHT).fit(X, y).marginal_effects()
    after = OrdinalRegression(tol=TIGHT).fit(X * scale, y).marginal_effects()
    assert_allclose(after.effect * scale[:, None], before.effect, atol=1e-9)
    assert_allclose(after.bse * scale[:, None], before.bse, rtol=1e-6)


# ------------------------------------------------------------------------ other rows
def test_rows_may_be_given_without_labels():
    X, y = data(7)
    model = OrdinalRegression().fit(X, y)
    some = model.marginal_effects(X[:50])
    assert_allclose(some.effect, model.marginal_effects(X[:50], y[:50]).effect)
    w = (np.arange(len(y)) < 50) * 2.0
    weighted = model.marginal_effects(X, sample_weight=w)
    assert_allclose(weighted.effect, some.effect, atol=1e-12)
    assert_allclose(weighted.bse, some.bse, rtol=1e-9)


def test_far_rows_have_effects_without_nan():
    X, y = data(7)
    for family in FAMILIES:
        for link in LINKS:
            model = OrdinalRegression(family=family, link=link, parallel=False)
            effects = model.fit(X, y).marginal_effects(X * 30, discrete=[])
            assert np.isfinite(effects.effect).all(), (family, link)
            assert np.isfinite(effects.bse).all(), (family, link)
            assert_allclose(effects.effect.sum(axis=1), 0.0, atol=1e-9)


# -------------------------------------------------------------- what data leave open
def test_undetermined_slopes_have_effects_with_infinite_errors():
    X, y = data(8)
    twice = np.column_stack([X, X[:, 0]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = OrdinalRegression().fit(twice, y)
    effects = model.marginal_effects()
    plain = OrdinalRegression().fit(X, y).marginal_effects()
    assert_array_equal(
        np.isinf(effects.bse), np.repeat([[True], [False], [False], [True]], 4, axis=1)
    )
    assert_allclose(effects.effect[1:3], plain.effect[1:3], rtol=1e-5)
    assert_allclose(effects.bse[1:3], plain.bse[1:3], rtol=1e-5)
    assert "not determined" in effects.summary()
    assert (effects.pvalue[[0, 3]] == 1).all()


def test_class_without_weight_is_not_moved():
    X, y = data(8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = OrdinalRegression().fit(X, y, sample_weight=(y != 1) * 1.0)
    effects = model.marginal_effects()
    rest = OrdinalRegression().fit(X[y != 1], y[y != 1]).marginal_effects()
    assert effects.effect.shape == (3, 4)
    assert (effects.effect[:, 1] == 0).all()
    assert (effects.bse[:, 1] == 0).all()
    assert (effects.pvalue[:, 1] == 1).all()
    assert_allclose(effects.effect[:, [0, 2, 3]], rest.effect, atol=1e-9)
    assert_allclose(effects.bse[:, [0, 2, 3]], rest.bse, rtol=1e-6)


# --------------------------------------------------------------------------- options
def test_columns_of_zeros_and_ones_are_found():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    flag = rng.integers(0, 2, 60)
    X = np.column_stack([flag, 2 * flag, flag - 1, rng.normal(size=60)])
    for given in (X, sparse.csr_array(X)):
        effects = OrdinalRegression(penalty="l2").fit(given, y).marginal_effects()
        assert_array_equal(effects.discrete, [True, False, False, False])


def test_discrete_columns_may_be_named():
    X, y = data(9)
    frame = pd.DataFrame(X, columns=["age", "income", "female"])
    model = OrdinalRegression().fit(frame, y)
    assert_array_equal(model.marginal_effects().discrete, [False, False, True])
    named = model.marginal_effects(discrete=["income"])
    assert_array_equal(named.discrete, [False, True, False])
    change = [
        model.predict_proba(frame.assign(income=value)).mean(axis=0) for value in (0, 1)
    ]
    assert_allclose(named.effect[1], change[1] - change[0], atol=1e-12)


@pytest.mark.parametrize("discrete", [["height"], [7], "all"])
def test_unknown_discrete_column_is_refused(discrete):
    X, y = data()
    model = OrdinalRegression().fit(X, y)
    with pytest.raises(ValueError, match=r"'discrete'.*0 to 2.*Got"):
        model.marginal_effects(discrete=discrete)


def test_unknown_place_is_refused():
    X, y = data()
    model = OrdinalRegression().fit(X, y)
    with pytest.raises(ValueError, match=r"'at'.*'overall', 'mean'.*Got 'median'"):
        model.marginal_effects(at="median")
    with pytest.raises(TypeError, match=r"'at'.*Got array.*'overall' is the default"):
        model.marginal_effects(at=X[0])


# --------------------------------------------------------------------------- reports
def test_report_has_a_row_for_each_feature_and_class():
    X, y = data(9)
    frame = pd.DataFrame(X, columns=["age", "income", "female"])
    model = OrdinalRegression().fit(frame, y)
    effects = model.marginal_effects()
    shown = effects.to_frame()
    assert shown.index.names == ["feature", "class"]
    assert shown.shape == (12, 3)
    assert shown.loc[("income", 2), "effect"] == effects.effect[1, 2]
    z = np.abs(effects.effect / effects.bse)
    assert_allclose(effects.pvalue, 2 * stats.norm.sf(z))
    text = effects.summary()
    assert "Difference between 1 and 0, not a derivative: female" in text
    assert "at the mean row" in model.marginal_effects(at="mean").summary()
    assert len(text.splitlines()) == 1 + 2 + 12 + 1
