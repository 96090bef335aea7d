"""Brant's test of equal slopes, from separate binary fits of all boundaries.

Each boundary of a cumulative model is a binary regression of its own. Their estimates
are correlated, because they come from the same rows; the covariance follows from the
estimating equations for any link, and for the logit link it is Brant's (1990).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from statlearn.ordinal._curvature import Piece
from statlearn.ordinal._design import row_chunks, weighted_gram
from statlearn.ordinal._fusion import boundary_names
from statlearn.ordinal._inference import Covariance, clear_covariance, split_covariance
from statlearn.ordinal._likelihood import Likelihood, boundary_slopes
from statlearn.ordinal._links import Link
from statlearn.ordinal._problem import Problem
from statlearn.ordinal._proportionality import (
    NO_DEGREES,
    ProportionalityTest,
    Row,
    Study,
    collect,
    design_gram,
    not_computed,
    unpenalised_solver,
)

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BrantTest(ProportionalityTest):
    """Brant's test, with the binary fits that it compares.

    Attributes
    ----------
    method : str
        Which test.
    features : ndarray of shape (n_tested,)
        Columns with one slope in the fitted model, which are those tested.
    statistic : ndarray of shape (n_tested,)
        Asymptotically chi-squared; NaN where `notes` says why there is none.
    df : ndarray of shape (n_tested,)
        Degrees of freedom.
    pvalue : ndarray of shape (n_tested,)
        Upper tail probability of the statistic.
    joint_statistic : float
        Statistic for all tested columns together.
    joint_df : int
        Its degrees of freedom.
    joint_pvalue : float
        Its upper tail probability.
    notes : tuple of str, length n_tested + 1
        For each column, then for the joint test, why it could not be computed or what
        to beware of; empty where all is well.
    boundary_coef : ndarray of shape (n_classes - 1, n_features)
        Slopes of the binary fits of ``P(Y <= k)``, one fit a boundary.
    boundary_bse : ndarray of shape (n_classes - 1, n_features)
        Their standard errors; ``inf`` where a binary fit does not determine a slope.
    boundaries : tuple of str
        Names of the boundaries.

    Examples
    --------
    >>> from statlearn.datasets import load_wine_bitterness
    >>> from statlearn.ordinal import OrdinalRegression
    >>> X, y = load_wine_bitterness(return_X_y=True)
    >>> test = OrdinalRegression().fit(X, y).brant_test()
    >>> test.statistic.round(3)
    array([  nan, 0.857])
    >>> test.notes[0]
    'not computed: binary fit separated at 1 | 2, 4 | 5'
    """

    boundary_coef: Array
    boundary_bse: Array
    boundaries: tuple[str, ...]


@dataclass(frozen=True)
class BinaryFit:
    """A fit of one boundary on its own, on the scaled design.

    Attributes
    ----------
    beta : (1 + p,)
    etas : list of (n_c,) arrays, one for each class
    covariance : Covariance
        Inverse of the mean information, not yet divided by the total weight.
    converged : bool
    """

    beta: Array
    etas: list[Array]
    covariance: Covariance
    converged: bool


def brant_test(study: Study) -> BrantTest:
    """Compare separate binary fits of all boundaries."""
    problem = study.problem
    link = problem.model.family.link
    method = f"Brant test ({link.name} link)"
    fits = [_binary_fit(study, k, link) for k in range(problem.likelihood.m)]
    evidence: dict[str, Any] = {
        "boundary_coef": _raw_slopes(problem, np.array([fit.beta for fit in fits])),
        "boundary_bse": np.abs(_raw_slopes(problem, _slope_errors(problem, fits))),
        "boundaries": boundary_names(study.classes),
    }
    if study.obstacle:
        return BrantTest(**not_computed(method, study), **evidence)
    covariance = _joint_covariance(problem, fits, link)
    notes = _undetermined(study, fits)
    slopes = np.array([fit.beta for fit in fits])
    rows = [
        Row(np.nan, 0, note) if note else _wald(slopes, covariance, np.array([1 + j]))
        for j, note in zip(study.tested, notes, strict=True)
    ]
    joint = rows[0]
    if len(rows) > 1:
        open_ = study.feature_names[study.tested[[bool(note) for note in notes]]]
        joint = _wald(slopes, covariance, 1 + study.tested)
        if len(open_):
            joint = Row(np.nan, 0, f"not computed: see {', '.join(open_)}")
    return BrantTest(**collect(method, study, rows, joint), **evidence)


def _binary_fit(study: Study, k: int, link: Link) -> BinaryFit:
    """Fit the boundary k, in the order of the fit, as a binary regression."""
    problem = study.problem
    family = problem.model.family
    pieces = [
        Piece(weight, range(1), partial(family.terms, int(c > k), 1))
        for c, weight in enumerate(problem.design.weight)
    ]
    likelihood = Likelihood(pieces, 1, convex=family.convex)
    free = np.concatenate(([True], ~problem.design.constant))[None]
    start = boundary_slopes(study.solution.theta)[[k]]
    solver = unpenalised_solver(problem, likelihood, free, np.where(free, start, 0.0))
    solution = solver.solve(0.0, np.inf)
    etas = [eta[0] for eta in solver.etas]
    information = _cross_information(problem, etas, etas, link)
    return BinaryFit(
        solution.theta[0],
        etas,
        _binary_covariance(problem, information, k),
        solution.converged,
    )


def _binary_covariance(problem: Problem, information: Array, k: int) -> Covariance:
    share = sum(float(weight.sum()) for weight in problem.design.weight[: k + 1])
    link = problem.model.family.link
    null = link.quantile(np.array([share]))
    curvature = float(_binary_curvature(null, null, link)[0])
    reference = np.full(len(information), curvature)
    found = clear_covariance(information, reference)
    if found is None:
        at_null = curvature * design_gram(problem)
        found, _ = split_covariance(information, at_null, problem.tol)
    return found


def _binary_curvature(low: Array, high: Array, link: Link) -> Array:
    """Return the covariance of the scores of two boundaries ``low <= high``.

    With ``g = F(eta)`` the score of a boundary is ``(z - g) f / (g (1 - g))`` for the
    indicator ``z`` of lying below it, and ``cov(z_low, z_high) = g_low (1 - g_high)``.
    """
    above_low = link.reflected.log_cdf(-low)
    below_high = link.log_cdf(high)
    return np.exp(link.log_pdf(low) + link.log_pdf(high) - above_low - below_high)


def _cross_information(
    problem: Problem, low: list[Array], high: list[Array], link: Link
) -> Array:
    """Return the weighted Gram matrix (1 + p, 1 + p) of score covariances."""
    design = problem.design
    total = np.zeros((design.n_columns, design.n_columns))
    blocks = zip(design.block, design.weight, low, high, strict=True)
    for block, weight, lower, upper in blocks:
        for rows in row_chunks(block):
            bend = weight[rows] * _binary_curvature(lower[rows], upper[rows], link)
            total += weighted_gram(block[rows], bend)
    return total


def _joint_covariance(problem: Problem, fits: list[BinaryFit], link: Link) -> Array:
    """Return the covariance (m, m, 1 + p, 1 + p) of all binary coefficients."""
    m, q = len(fits), len(fits[0].beta)
    out = np.empty((m, m, q, q))
    for k, low in enumerate(fits):
        left = low.covariance.root @ low.covariance.root.T
        out[k, k] = left
        for j in range(k + 1, m):
            root = fits[j].covariance.root
            middle = _cross_information(problem, low.etas, fits[j].etas, link)
            out[k, j] = left @ middle @ (root @ root.T)
            out[j, k] = out[k, j].T
    return out / problem.design.total_weight


def _undetermined(study: Study, fits: list[BinaryFit]) -> list[str]:
    """Say for each tested column why some binary fit does not determine its slope."""
    problem = study.problem
    open_ = np.array([fit.covariance.moved()[1:] for fit in fits])
    if not open_.any():
        return [""] * len(study.tested)
    gram = design_gram(problem)
    dependent = split_covariance(gram, gram, 0.0, separable=False)[0].moved()[1:]
    places = boundary_names(study.classes)
    open_ = open_[::-1] if problem.model.reverse else open_
    notes = []
    for j in study.tested:
        where = ", ".join(places[k] for k in np.flatnonzero(open_[:, j]))
        if dependent[j]:
            notes.append(NO_DEGREES.note)
        elif where:
            notes.append(f"not computed: binary fit separated at {where}")
        else:
            notes.append("")
    return notes


def _wald(slopes: Array, covariance: Array, columns: NDArray[np.intp]) -> Row:
    """Test that the slopes (m, 1 + p) of some columns are those of boundary 0."""
    m = len(slopes)
    df = (m - 1) * len(columns)
    apart = (slopes[1:, columns] - slopes[0, columns]).ravel()
    part = covariance[:, :, columns][:, :, :, columns]
    part = part[1:, 1:] - part[[0], 1:] - part[1:, [0]] + part[0, 0]
    part = part.transpose(0, 2, 1, 3).reshape(df, df)
    try:
        statistic = float(apart @ linalg.cho_solve(linalg.cho_factor(part), apart))
    except linalg.LinAlgError:
        return Row(np.nan, df, "not computed: the covariance is not positive definite")
    return Row(statistic, df)


def _slope_errors(problem: Problem, fits: list[BinaryFit]) -> Array:
    """Return standard errors (m, 1 + p) on the scaled design."""
    errors = []
    for fit in fits:
        found = np.sqrt((fit.covariance.root**2).sum(axis=1))
        found /= np.sqrt(problem.design.total_weight)
        errors.append(np.where(fit.covariance.moved(), np.inf, found))
    return np.array(errors)


def _raw_slopes(problem: Problem, scaled: Array) -> Array:
    """Return slopes (m, p) of raw columns in the user's boundary order."""
    return problem.orient(scaled[:, 1:] / problem.design.scale)
