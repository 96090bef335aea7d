"""Families: probabilities from their definitions, derivatives from differences."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from statlearn.ordinal._families import FAMILY_NAMES, OrdinalModel
from statlearn.ordinal._links import LINKS

CASES = [(f, link) for f in FAMILY_NAMES for link in sorted(LINKS)]


def ordered_predictors(n_rows, m, seed=0):
    rng = np.random.default_rng(seed)
    return np.sort(rng.normal(scale=1.2, size=(n_rows, m)), axis=1)


@pytest.mark.parametrize(("family", "link"), CASES)
@pytest.mark.parametrize("reverse", [False, True])
def test_probabilities_satisfy_the_definition_of_the_family(family, link, reverse):
    model = OrdinalModel.create(family, link, reverse)
    eta = ordered_predictors(50, 3)
    proba = np.exp(model.log_proba(eta))
    assert_allclose(proba.sum(axis=1), 1.0)
    F = LINKS[link].cdf
    for k in range(3):
        low, high = proba[:, : k + 1].sum(axis=1), proba[:, k + 1 :].sum(axis=1)
        at, above = proba[:, k], proba[:, k + 1]
        ratio = {
            ("cumulative", False): low,
            ("cumulative", True): high,
            ("sratio", False): at / (at + high),
            ("sratio", True): above / (above + low),
            ("cratio", False): high / (at + high),
            ("cratio", True): low / (above + low),
            ("acat", False): above / (at + above),
            ("acat", True): at / (at + above),
        }[family, reverse]
        sign = -1.0 if reverse else 1.0
        assert_allclose(ratio, F(sign * eta[:, k]), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("family", "link"), CASES)
def test_row_terms_match_log_probabilities_and_differences(family, link):
    model = OrdinalModel.create(family, link)
    m, h = 3, 1e-5
    eta = ordered_predictors(40, m, seed=1)
    log_proba = model.log_proba(eta)
    for c in range(m + 1):
        touched = model.family.touched(c, m)
        own = np.ascontiguousarray(eta.T[touched.start : touched.stop])
        terms = model.family.terms(c, m, own)
        assert_allclose(terms.loss, -log_proba[:, c], rtol=1e-9, atol=1e-13)
        dense = np.zeros((len(own), *own.shape))
        for (k, j), bend in zip(terms.pairs, terms.curvature, strict=True):
            dense[k, j] = dense[j, k] = bend
        for k in range(len(own)):
            shift = np.zeros_like(own)
            shift[k] = h
            up = model.family.terms(c, m, own + shift)
            down = model.family.terms(c, m, own - shift)
            slope = (up.loss - down.loss) / (2 * h)
            bend = (up.gradient - down.gradient) / (2 * h)
            scale = 1.0 + np.abs(dense[k])
            assert_allclose(terms.gradient[k], slope, rtol=1e-4, atol=1e-6)
            assert_allclose(dense[k] / scale, bend / scale, atol=1e-4)


@pytest.mark.parametrize(("family", "link"), CASES)
def test_null_intercepts_reproduce_the_class_frequencies(family, link):
    model = OrdinalModel.create(family, link)
    mass = np.array([50.0, 20.0, 1e-4, 7.0])
    eta = model.family.null_intercepts(mass)[None]
    assert_allclose(np.exp(model.log_proba(eta))[0], mass / mass.sum(), rtol=1e-9)


@pytest.mark.parametrize("rare", [0, 1, 2, 3])
@pytest.mark.parametrize(("family", "link"), CASES)
def test_null_intercepts_reproduce_a_class_next_to_nothing(family, link, rare):
    if family == "cumulative" and rare in (1, 2):
        pytest.skip("two boundaries differ by less than rounding")
    mass = np.array([0.2, 0.3, 0.4, 0.1])
    mass[rare] = 1e-18
    model = OrdinalModel.create(family, link)
    intercepts = model.family.null_intercepts(mass)
    found = np.exp(model.log_proba(intercepts[None]))[0]
    assert_allclose(found, mass / mass.sum(), rtol=1e-6)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_surrogate_curvature_is_positive_semidefinite(family):
    model = OrdinalModel.create(family, "cauchit")
    eta = ordered_predictors(200, 3, seed=2) * 3.0
    for c in range(4):
        touched = model.family.touched(c, 3)
        own = np.ascontiguousarray(eta.T[touched.start : touched.stop])
        terms = model.family.terms(c, 3, own, surrogate=True)
        dense = np.zeros((own.shape[1], len(own), len(own)))
        for (k, j), bend in zip(terms.pairs, terms.curvature, strict=True):
            dense[:, k, j] = dense[:, j, k] = bend
        values = np.linalg.eigvalsh(dense)
        assert (values >= -1e-10 * np.abs(values).max(axis=1, keepdims=True)).all()


def test_closed_cell_has_infinite_loss_in_the_cumulative_family():
    family = OrdinalModel.create("cumulative", "logit").family
    with np.errstate(all="ignore"):
        terms = family.terms(1, 2, np.array([[0.5, 0.0], [0.5, 1.0]]))
    assert np.isinf(terms.loss[0])
    assert np.isfinite(terms.loss[1])


def test_cratio_is_sratio_with_the_reflected_link():
    eta = ordered_predictors(30, 3, seed=3)
    one = OrdinalModel.create("sratio", "cloglog").log_proba(eta)
    other = OrdinalModel.create("cratio", "loglog").log_proba(-eta)
    assert_allclose(one, other)


def test_rare_class_keeps_its_digits():
    model = OrdinalModel.create("cumulative", "logit")
    eta = np.array([[0.0, 90.0]])
    assert_allclose(model.log_proba(eta)[0, 2], -90.0)
    assert_allclose(model.tail_proba(eta)[0, 1], np.exp(-90.0), rtol=1e-12)
