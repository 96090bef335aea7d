"""Tests of parallel lines: likelihood ratio, score and Brant."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse, stats

from ordinal_cases import each_direction, golden, repeated, table, wine
from ordinal_numeric import flat_model
from ordinal_oracle import DISTRIBUTIONS, FAMILIES, random_problem
from statlearn.ordinal import OrdinalRegression

TESTS = golden("ordinal_tests")
BRANT = golden("ordinal_brant")
METHODS = ("nominal_test", "score_test", "brant_test")
TIGHT = 1e-11


def data(seed=0, n=300, **options):
    problem = random_problem(seed, n=n, alpha=0.0, **options)
    return problem.X, problem.y


def reference_table(name):
    """Names, X, y from 1, and weights of a table of the reference files."""
    if name == "survey":
        raw = BRANT["survey"]
        return raw["features"], np.array(raw["X"]), np.array(raw["y"]), None
    if name == "cheese":
        raw = TESTS["cheese"]
        parts = (raw["X"], raw["y"], raw["sample_weight"])
        return raw["features"], *(np.array(part, dtype=float) for part in parts)
    return table(name)


def fitted(name, **options):
    _, X, y, w = reference_table(name)
    return OrdinalRegression(tol=TIGHT, **options).fit(X, y, sample_weight=w)


def row_of(test, j):
    return test.statistic[j], test.df[j], test.pvalue[j]


def joint_of(test):
    return test.joint_statistic, test.joint_df, test.joint_pvalue


# ------------------------------------------------------------------- known answers
@pytest.mark.parametrize(
    ("name", "link"),
    sorted({(r["dataset"], r["link"]) for r in TESTS["likelihood_ratio"]}),
)
def test_likelihood_ratios_equal_those_of_clm(name, link):
    test = fitted(name, link=link).nominal_test()
    names = list(reference_table(name)[0])
    for record in TESTS["likelihood_ratio"]:
        if (record["dataset"], record["link"]) == (name, link):
            expected = [record["statistic"], record["df"], record["p_value"]]
            found = row_of(test, names.index(record["column"]))
            assert_allclose(found, expected, rtol=2e-6)


def test_wine_likelihood_ratios_are_the_published_ones():
    X, y, w = wine()
    test = OrdinalRegression().fit(X, y, sample_weight=w).nominal_test()
    assert_allclose(test.statistic, [3.174977, 0.566740], atol=1e-6)
    assert_array_equal(test.df, [3, 3])
    assert_allclose(test.pvalue, [0.36543, 0.90400], atol=5e-6)


@pytest.mark.parametrize(
    "record",
    TESTS["score"],
    ids=lambda r: f"{r['dataset']}-{r['link']}-{'+'.join(r['columns'])}",
)
def test_score_statistics_equal_those_of_numerical_derivatives(record):
    test = fitted(record["dataset"], link=record["link"]).score_test()
    names = list(reference_table(record["dataset"])[0])
    expected = [record["statistic_observed"], record["df"], record["p_value_observed"]]
    if len(record["columns"]) == len(names):
        found = joint_of(test)
    else:
        found = row_of(test, names.index(record["columns"][0]))
    assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("record", BRANT["tests"], ids=lambda r: r["dataset"])
def test_brant_statistics_equal_those_of_separate_logits(record):
    test = fitted(record["dataset"]).brant_test()
    names = list(reference_table(record["dataset"])[0])
    for name, expected in record["columns"].items():
        found = row_of(test, names.index(name))
        assert_allclose(found, list(expected.values()), rtol=1e-6)
    assert_allclose(joint_of(test), list(record["omnibus"].values()), rtol=1e-6)
    assert_allclose(test.boundary_coef, record["binary_slopes"], rtol=1e-6)
    assert_allclose(test.boundary_bse, record["binary_se"], rtol=1e-6)


# ---------------------------------------------------------------- independent routes
@each_direction
@pytest.mark.parametrize("family", FAMILIES)
def test_likelihood_ratio_is_twice_the_difference_of_two_fits(family, reverse):
    X, y = data(1)
    options = {"family": family, "reverse": reverse, "tol": TIGHT}
    base = OrdinalRegression(**options).fit(X, y)
    test = base.nominal_test()
    for j in range(3):
        others = [i for i in range(3) if i != j]
        wider = OrdinalRegression(parallel=others, **options).fit(X, y)
        assert_allclose(test.statistic[j], 2 * (wider.loglik_ - base.loglik_))
    free = OrdinalRegression(parallel=False, **options).fit(X, y)
    assert_allclose(test.joint_statistic, 2 * (free.loglik_ - base.loglik_))
    assert_allclose(test.pvalue, stats.chi2.sf(test.statistic, 2))
    assert_allclose(test.joint_pvalue, stats.chi2.sf(test.joint_statistic, 6))


@each_direction
@pytest.mark.parametrize(
    ("family", "link"),
    [
        ("cumulative", "cloglog"),
        ("sratio", "logit"),
        ("cratio", "probit"),
        ("acat", "logit"),
        ("acat", "probit"),
    ],
)
def test_score_statistic_follows_from_the_likelihood_of_each_family(
    family, link, reverse
):
    X, y = data(2)
    kind = {"family": family, "link": link, "reverse": reverse}
    model = OrdinalRegression(tol=TIGHT, parallel=[0, 1], **kind).fit(X, y)
    test = model.score_test()

    def rao(parallel):
        numeric = flat_model(X, y, np.array(parallel), **kind)
        at = numeric.pack(np.column_stack([model.intercept_, model.coef_]))
        m = len(model.intercept_)
        at[m:] = np.concatenate(
            [model.coef_[:1, j] if parallel[j] else model.coef_[:, j] for j in range(3)]
        )
        at[:m] = model.intercept_
        score = numeric.score(at)
        return score @ np.linalg.solve(numeric.information(at), score)

    assert test.features.tolist() == ["x0", "x1"]
    assert_allclose(test.statistic[0], rao([False, True, False]), rtol=1e-5)
    assert_allclose(test.statistic[1], rao([True, False, False]), rtol=1e-5)
    assert_allclose(test.joint_statistic, rao([False, False, False]), rtol=1e-5)


def brant_by_hand(X, y, link, columns):
    """Wald statistic of separate binary fits by statsmodels, any link."""
    import statsmodels.api as sm

    links = {"probit": sm.families.links.Probit, "cloglog": sm.families.links.CLogLog}
    law = DISTRIBUTIONS[link]
    Z, m = sm.add_constant(X), int(y.max())
    fits = [
        sm.GLM((y <= k) * 1.0, Z, sm.families.Binomial(links[link]())).fit(tol=1e-13)
        for k in range(m)
    ]
    eta = np.array([fit.params @ Z.T for fit in fits])
    F, f = law.cdf(eta), law.pdf(eta)
    bread = [
        np.linalg.inv((Z.T * (f[k] ** 2 / (F[k] * (1 - F[k])))) @ Z) for k in range(m)
    ]
    # a row pulls by (z - F) f / (F (1 - F)), and cov(z_k, z_l) = F_k (1 - F_l)
    pull = f / (F * (1 - F))
    rows = []
    for k in range(m):
        blocks = []
        for j in range(m):
            low, high = min(k, j), max(k, j)
            shared = pull[k] * pull[j] * F[low] * (1 - F[high])
            blocks.append(bread[k] @ ((Z.T * shared) @ Z) @ bread[j])
        rows.append(blocks)
    V = np.block(rows)
    q = Z.shape[1]
    D = []
    for j in columns:
        for k in range(1, m):
            contrast = np.zeros(m * q)
            contrast[1 + j], contrast[k * q + 1 + j] = -1.0, 1.0
            D.append(contrast)
    D = np.array(D)
    apart = D @ np.concatenate([fit.params for fit in fits])
    return apart @ np.linalg.solve(D @ V @ D.T, apart)


@pytest.mark.parametrize("link", ["probit", "cloglog"])
def test_brant_statistic_of_other_links_follows_from_estimating_equations(link):
    X, y = data(4)
    test = OrdinalRegression(link=link, tol=TIGHT).fit(X, y).brant_test()
    for j in range(3):
        assert_allclose(test.statistic[j], brant_by_hand(X, y, link, [j]), rtol=1e-5)
    expected = brant_by_hand(X, y, link, [0, 1, 2])
    assert_allclose(test.joint_statistic, expected, rtol=1e-5)


# -------------------------------------------------------------------------- invariance
@pytest.mark.parametrize("method", METHODS)
def test_weights_count_rows_in_the_tests(method):
    X, y = data(5)
    w = np.random.default_rng(1).integers(0, 4, len(y))
    weighted = OrdinalRegression(tol=TIGHT).fit(X, y, sample_weight=w)
    long = OrdinalRegression(tol=TIGHT).fit(*repeated(X, y, w))
    got, expected = getattr(weighted, method)(), getattr(long, method)()
    assert_allclose(got.statistic, expected.statistic, rtol=1e-6)
    assert_allclose(joint_of(got), joint_of(expected), rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_shift_and_scale_of_columns_leave_the_tests(method):
    X, y = data(6)
    other = X * np.array([1e-3, -2.0, 50.0]) + np.array([5.0, 0.0, -300.0])
    before = getattr(OrdinalRegression(tol=TIGHT).fit(X, y), method)()
    after = getattr(OrdinalRegression(tol=TIGHT).fit(other, y), method)()
    assert_allclose(after.statistic, before.statistic, rtol=1e-6)
    assert_allclose(joint_of(after), joint_of(before), rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_opposite_order_of_classes_leaves_the_tests(method):
    X, y = data(6)
    up = getattr(OrdinalRegression(link="cloglog", tol=TIGHT).fit(X, y), method)()
    model = OrdinalRegression(link="loglog", reverse=True, tol=TIGHT).fit(X, y)
    down = getattr(model, method)()
    assert_allclose(down.statistic, up.statistic, rtol=1e-5)
    assert_allclose(joint_of(down), joint_of(up), rtol=1e-5)
    if method == "brant_test":
        assert_allclose(down.boundary_coef, up.boundary_coef, rtol=1e-6)
        assert_allclose(down.boundary_bse, up.boundary_bse, rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_sparse_columns_give_the_same_tests(method):
    X, y = data(7)
    X = np.where(np.abs(X) < 0.5, 0.0, X)
    dense = getattr(OrdinalRegression(tol=TIGHT).fit(X, y), method)()
    model = OrdinalRegression(tol=TIGHT).fit(sparse.csr_array(X), y)
    thin = getattr(model, method)()
    assert_allclose(thin.statistic, dense.statistic, rtol=1e-6)
    assert_allclose(joint_of(thin), joint_of(dense), rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_ridge_does_not_change_what_is_tested(method):
    X, y = data(7)
    plain = getattr(OrdinalRegression(tol=TIGHT).fit(X, y), method)()
    model = OrdinalRegression(penalty="l2", alpha=0.3, tol=TIGHT).fit(X, y)
    assert_allclose(getattr(model, method)().statistic, plain.statistic, rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_other_data_may_be_given(method):
    X, y = data(8)
    more, labels = data(9, n=250)
    model = OrdinalRegression(tol=TIGHT).fit(X, y)
    there = getattr(OrdinalRegression(tol=TIGHT).fit(more, labels), method)()
    assert_allclose(
        getattr(model, method)(more, labels).statistic, there.statistic, rtol=1e-6
    )


@pytest.mark.parametrize("method", METHODS)
def test_class_without_weight_drops_a_boundary(method):
    X, y = data(8)
    w = (y != 1).astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = OrdinalRegression(tol=TIGHT).fit(X, y, sample_weight=w)
    rest = OrdinalRegression(tol=TIGHT).fit(X[y != 1], y[y != 1])
    got, expected = getattr(model, method)(), getattr(rest, method)()
    assert_array_equal(got.df, [1, 1, 1])
    assert_allclose(got.statistic, expected.statistic, rtol=1e-6)


# --------------------------------------------------------- results that say why not
@pytest.mark.parametrize("method", METHODS)
def test_two_classes_have_nothing_to_compare(method):
    X, y = data(1, n_classes=2)
    test = getattr(OrdinalRegression().fit(X, y), method)()
    assert np.isnan([*test.statistic, test.joint_statistic]).all()
    assert all("one boundary" in note for note in test.notes)
    assert "one boundary" in test.summary()
    if method == "brant_test":
        assert test.boundary_coef.shape == (1, 3)


@pytest.mark.parametrize("method", METHODS)
def test_model_without_parallel_columns_has_nothing_to_test(method):
    X, y = data()
    test = getattr(OrdinalRegression(parallel=False).fit(X, y), method)()
    assert len(test.statistic) == 0
    assert "no column" in test.notes[-1]
    assert "no column" in test.summary()
    assert test.to_frame().index.tolist() == ["all"]


def test_separated_binary_fit_is_named_with_its_boundary():
    X, y, w = wine()
    test = OrdinalRegression().fit(X, y, sample_weight=w).brant_test()
    assert "separated at 1 | 2, 4 | 5" in test.notes[0]
    assert "x0" in test.notes[-1]
    assert np.isnan(test.statistic[0])
    assert np.isfinite(test.statistic[1])
    assert test.notes[1] == ""
    assert_array_equal(np.isinf(test.boundary_bse[:, 0]), [True, False, False, True])
    assert "separated at 1 | 2" in test.summary()
    assert test.to_frame().loc["x0", "note"] == test.notes[0]


def test_separated_boundary_is_named_in_the_order_of_the_user():
    # the first and the third of three boundaries would be the same in either order
    X, y, w = wine()
    keep = y < 5
    model = OrdinalRegression(reverse=True)
    test = model.fit(X[keep], y[keep], sample_weight=w[keep]).brant_test()
    assert "separated at 1 | 2" in test.notes[0]
    assert np.isinf(test.boundary_bse[0, 0])


@pytest.mark.parametrize("method", METHODS)
def test_dependent_columns_are_not_counted_twice(method):
    X, y = data(2)
    wide = np.column_stack([X, X[:, 0], np.ones(len(y))])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = OrdinalRegression(tol=TIGHT).fit(wide, y)
    test = getattr(model, method)()
    plain = getattr(OrdinalRegression(tol=TIGHT).fit(X, y), method)()
    assert "does not vary" in test.notes[4]
    assert np.isnan(test.statistic[4])
    assert_allclose(test.statistic[[1, 2]], plain.statistic[[1, 2]], rtol=1e-5)
    if method == "brant_test":
        assert "depends on others" in test.notes[0]
        assert "x0, x3, x4" in test.notes[-1]
    else:
        assert_allclose(test.statistic[[0, 3]], plain.statistic[0], rtol=1e-5)
        assert_allclose(joint_of(test), joint_of(plain), rtol=1e-5)


def test_binary_fits_need_the_cumulative_family():
    X, y = data()
    model = OrdinalRegression(family="sratio").fit(X, y)
    with pytest.raises(ValueError, match=r"family='cumulative'.*'sratio'.*nominal"):
        model.brant_test()


def test_score_without_a_definite_information_says_so():
    # the Cauchy likelihood is not concave
    rng = np.random.default_rng(1)
    X = rng.standard_cauchy(size=(40, 2))
    y = rng.integers(0, 3, 40)
    y[:3] = [0, 1, 2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        test = OrdinalRegression(link="cauchit").fit(X, y).score_test()
    assert "not positive definite" in test.notes[0]
    assert np.isnan([test.statistic[0], test.joint_statistic]).all()
    assert np.isfinite(test.statistic[1])
    assert "-" in test.summary().splitlines()[3]


def test_wider_fit_that_did_not_converge_is_marked():
    X, y = data()
    model = OrdinalRegression().fit(X, y)
    test = model.set_params(max_iter=1).nominal_test()
    assert all("optimality violation" in note for note in test.notes)
    assert np.isfinite(test.statistic).all()
    assert "x0: the wider fit stopped" in test.summary()


def test_crossing_binary_fits_without_a_definite_covariance_say_so():
    # few rows, and slopes so different that the binary fits contradict each other
    X, y = data(2, n=25, p=2, spread=6.0)
    test = OrdinalRegression().fit(X, y).brant_test()
    computed = np.isfinite([*test.statistic, test.joint_statistic])
    assert not computed.all()
    for finite, note in zip(computed, test.notes, strict=True):
        assert finite or "not positive definite" in note


# --------------------------------------------------------------------------- reports
def test_report_has_a_row_for_each_column_and_one_for_all():
    X, y = data()
    columns = ["age", "income", "score"]
    model = OrdinalRegression(parallel=["age", "score"])
    model.fit(pd.DataFrame(X, columns=columns), y)
    test = model.nominal_test()
    shown = test.to_frame()
    assert shown.index.tolist() == ["age", "score", "all"]
    assert_allclose(shown["statistic"], [*test.statistic, test.joint_statistic])
    assert_array_equal(shown["df"], [2, 2, 4])
    text = test.summary()
    assert text.startswith("Likelihood-ratio test")
    for name in ("age", "score", "all"):
        assert f"\n{name} " in text


def test_single_tested_column_has_no_second_row():
    X, y = data()
    test = OrdinalRegression(parallel=[1]).fit(X, y).nominal_test()
    assert test.to_frame().index.tolist() == ["x1"]
    assert test.joint_statistic == test.statistic[0]


# ------------------------------------------------------------------------------ size
@pytest.mark.slow
@pytest.mark.parametrize("link", ["logit", "probit"])
def test_p_values_are_uniform_where_lines_are_parallel(link):
    # 18 comparisons: a false alarm has a probability of 2 %, and a statistic that is
    # wrong by half is found
    rng = np.random.default_rng(20240229)
    law = DISTRIBUTIONS[link]
    pvalues = {method: [] for method in METHODS}
    for _ in range(200):
        X = rng.normal(size=(800, 2))
        latent = X @ [0.8, -0.5] + law.rvs(size=800, random_state=rng)
        y = np.digitize(latent, law.ppf([0.25, 0.5, 0.75]))
        model = OrdinalRegression(link=link).fit(X, y)
        for method in METHODS:
            test = getattr(model, method)()
            pvalues[method].append([*test.pvalue, test.joint_pvalue])
    for method in METHODS:
        for column in np.array(pvalues[method]).T:
            assert stats.kstest(column, "uniform").pvalue > 1e-3, method


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_slopes_that_differ_are_found(method):
    rng = np.random.default_rng(3)
    found = 0
    for _ in range(50):
        X = rng.uniform(-1, 1, size=(800, 2))
        eta = X @ np.array([[1.0, -0.5], [0.0, -0.5]]).T + np.array([-1.0, 1.0])
        y = (rng.uniform(size=(800, 1)) > 1 / (1 + np.exp(-eta))).sum(axis=1)
        test = getattr(OrdinalRegression().fit(X, y), method)()
        found += (test.pvalue[0] < 0.05) and (test.pvalue[1] > 0.01)
    assert found > 40
