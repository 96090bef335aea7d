"""Hessians of the likelihood, explicit and implicit, against differences."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from statlearn.ordinal import _curvature
from statlearn.ordinal._curvature import implicit_hessian
from statlearn.ordinal._design import build_design
from statlearn.ordinal._families import FAMILY_NAMES, OrdinalModel
from statlearn.ordinal._likelihood import (
    Likelihood,
    boundary_slopes,
    class_pieces,
    differences,
)

LINKS = ["logit", "probit", "cloglog", "loglog", "cauchit"]


def posed(family, link, form=np.asarray, n=150, p=3, m=3):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, p))
    X[np.abs(X) < 0.5] = 0.0
    codes = np.concatenate((np.arange(m + 1), rng.integers(0, m + 1, n - m - 1)))
    weight = rng.uniform(0.5, 2.0, n)
    design = build_design(form(X), codes, weight, m + 1, scale=False)
    model = OrdinalModel.create(family, link)
    likelihood = Likelihood(class_pieces(design, model.family), m)
    theta = 0.1 * rng.normal(size=(m, 1 + p))
    theta[:, 0] = [-1.0, 1.2, 1.1]
    return design, likelihood, theta


def gradient_at(design, likelihood, theta):
    etas = likelihood.predictors(theta, design.block)
    loss, rows = likelihood.value(etas)
    return loss, likelihood.gradient(rows, design.block), etas


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize("link", LINKS)
def test_gradient_and_hessian_match_differences(family, link):
    design, likelihood, theta = posed(family, link)
    _, gradient, etas = gradient_at(design, likelihood, theta)
    mask = np.ones(theta.shape, dtype=bool)
    hessian = likelihood.hessian(etas, design.block, mask)
    h = 1e-5
    for position, entry in enumerate(np.ndindex(theta.shape)):
        step = np.zeros_like(theta)
        step[entry] = h
        up, g_up, _ = gradient_at(design, likelihood, theta + step)
        down, g_down, _ = gradient_at(design, likelihood, theta - step)
        assert_allclose(gradient[entry], (up - down) / (2 * h), rtol=1e-6, atol=1e-9)
        column = ((g_up - g_down) / (2 * h)).ravel()
        assert_allclose(hessian[:, position], column, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_masked_hessian_is_a_part_of_the_full_one(family, form):
    design, likelihood, theta = posed(family, "logit", form)
    _, _, etas = gradient_at(design, likelihood, theta)
    everything = np.ones(theta.shape, dtype=bool)
    full = likelihood.hessian(etas, design.block, everything)
    rng = np.random.default_rng(1)
    # One column proportional, one left out, others at random.
    mask = rng.uniform(size=theta.shape) < 0.6
    mask[:, 0], mask[:, 1], mask[:, 2] = True, [True, False, False], False
    index = np.flatnonzero(mask)
    part = likelihood.hessian(etas, design.block, mask)
    assert_allclose(part, full[np.ix_(index, index)], atol=1e-13)


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_operator_equals_the_matrix(family, form):
    design, likelihood, theta = posed(family, "probit", form)
    _, _, etas = gradient_at(design, likelihood, theta)
    mask = np.random.default_rng(2).uniform(size=theta.shape) < 0.7
    matrix = likelihood.hessian(etas, design.block, mask)
    operator = implicit_hessian(likelihood, etas, design.block, mask, surrogate=False)
    product = np.column_stack([operator.product(e) for e in np.eye(mask.sum())])
    assert_allclose(product, matrix, atol=1e-13)
    assert_allclose(operator.diagonal, np.diag(matrix), atol=1e-13)


def test_rows_are_chunked_without_changing_the_sum(monkeypatch):
    design, likelihood, theta = posed("cumulative", "logit")
    _, _, etas = gradient_at(design, likelihood, theta)
    mask = np.ones(theta.shape, dtype=bool)
    whole = likelihood.hessian(etas, design.block, mask)

    def small_chunks(matrix):
        return [slice(s, s + 7) for s in range(0, matrix.shape[0], 7)]

    monkeypatch.setattr(_curvature, "row_chunks", small_chunks)
    assert_allclose(likelihood.hessian(etas, design.block, mask), whole, atol=1e-14)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_losses_are_chunked_without_changing_the_sum(family, monkeypatch):
    design, likelihood, theta = posed(family, "logit")
    loss, gradient, etas = gradient_at(design, likelihood, theta)
    mask = np.ones(theta.shape, dtype=bool)
    hessian = likelihood.hessian(etas, design.block, mask)
    monkeypatch.setattr(_curvature, "_CHUNK", 7)
    again, gradient_again, _ = gradient_at(design, likelihood, theta)
    assert_allclose(again, loss, rtol=1e-13)
    assert_allclose(gradient_again, gradient, atol=1e-14)
    chunked = likelihood.hessian(etas, design.block, mask)
    assert_allclose(chunked, hessian, atol=1e-14)


def test_differences_and_boundaries_are_inverse():
    beta = np.random.default_rng(0).normal(size=(4, 3))
    assert_allclose(boundary_slopes(differences(beta)), beta)


def test_value_is_infinite_outside_the_domain():
    design, likelihood, theta = posed("cumulative", "logit")
    theta[1, 0] = -5.0
    loss, _ = likelihood.value(likelihood.predictors(theta, design.block))
    assert loss == np.inf
