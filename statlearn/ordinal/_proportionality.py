"""Do all boundaries share the slope of a column? Tests of parallel lines.

They compare a fit in which a column has one slope with the model in which it has one
for each boundary: by the likelihoods of both (`likelihood_ratio_test`), by the slope of
the likelihood at the narrower fit (`score_test`), or by how far separate binary fits
lie apart (`_brant`). All work on the posed problem of the narrower fit and share its
design: nothing is copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, stats

from statlearn.ordinal._design import row_chunks, weighted_gram
from statlearn.ordinal._likelihood import Likelihood
from statlearn.ordinal._problem import Problem
from statlearn.ordinal._solver import Penalty, ProximalNewton, Solution
from statlearn.utils._tables import number, probability, text_table

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Eigenvalues of a correlation matrix below this are zero.
_RANK = 1e-9
_ALL = "all"


@dataclass(frozen=True, slots=True)
class ProportionalityTest:
    """Test of equal slopes at all boundaries, for each column and for all at once.

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

    Examples
    --------
    >>> from statlearn.datasets import load_wine_bitterness
    >>> from statlearn.ordinal import OrdinalRegression
    >>> X, y = load_wine_bitterness(return_X_y=True)
    >>> print(OrdinalRegression().fit(X, y).nominal_test().summary())
    Likelihood-ratio test: equal slopes at all boundaries
    feature    chi2  df  p-value
    ----------------------------
    x0       3.1750   3   0.3654
    x1       0.5667   3   0.9040
    all      3.7620   6   0.7088
    """

    method: str
    features: NDArray[np.str_]
    statistic: Array
    df: NDArray[np.intp]
    pvalue: Array
    joint_statistic: float
    joint_df: int
    joint_pvalue: float
    notes: tuple[str, ...]

    def _rows(self) -> Iterator[tuple[str, float, int, float, str]]:
        columns = (self.features, self.statistic, self.df, self.pvalue, self.notes)
        for name, statistic, df, pvalue, note in zip(*columns, strict=False):
            yield str(name), float(statistic), int(df), float(pvalue), note
        if len(self.features) != 1:
            joint = (self.joint_statistic, self.joint_df, self.joint_pvalue)
            yield _ALL, *joint, self.notes[-1]

    def to_frame(self) -> Any:
        """Return a pandas data frame with a row for each column and one for all.

        Returns
        -------
        frame : pandas.DataFrame
            Indexed by column, the joint test under ``"all"``; columns ``statistic``,
            ``df``, ``pvalue`` and ``note``.
        """
        from statlearn.utils._optional import require

        pandas = require("pandas", None, "ProportionalityTest.to_frame")
        names = ["feature", "statistic", "df", "pvalue", "note"]
        return pandas.DataFrame(list(self._rows()), columns=names).set_index("feature")

    def summary(self) -> str:
        """Return the test as text.

        Returns
        -------
        text : str
            One line for each column, one for all, and the notes.
        """
        rows = list(self._rows())
        table = text_table(
            ("feature", "chi2", "df", "p-value"),
            [(name, number(s), str(df), probability(p)) for name, s, df, p, _ in rows],
        )
        lines = [f"{self.method}: equal slopes at all boundaries", table]
        lines += [f"{name}: {note}" for name, *_, note in rows if note]
        return "\n".join(lines)


class Row(NamedTuple):
    """One hypothesis: statistic, degrees of freedom, and a remark."""

    statistic: float
    df: int
    note: str = ""


@dataclass(frozen=True)
class Study:
    """A proportional fit that the tests start from.

    Attributes
    ----------
    problem : Problem
        Solved by maximum likelihood.
    solution : Solution
    tested : (t,) int array
        Columns with equal slopes.
    feature_names : (p,) array
    classes : (K',) array
        Classes with weight.
    """

    problem: Problem
    solution: Solution
    tested: NDArray[np.intp]
    feature_names: NDArray[np.str_]
    classes: NDArray[Any]

    @property
    def obstacle(self) -> str:
        """Why there is nothing to test, or an empty string."""
        if len(self.classes) < 3:
            return "not computed: two classes have one boundary, nothing to compare"
        if not len(self.tested):
            return "not computed: no column has one slope for all boundaries"
        return ""


def collect(method: str, study: Study, rows: list[Row], joint: Row) -> dict[str, Any]:
    """Return the fields of a test."""
    statistic = np.array([row.statistic for row in rows], dtype=np.float64)
    df = np.array([row.df for row in rows], dtype=np.intp)
    return {
        "method": method,
        "features": study.feature_names[study.tested],
        "statistic": statistic,
        "df": df,
        "pvalue": _tail(statistic, df),
        "joint_statistic": float(joint.statistic),
        "joint_df": int(joint.df),
        "joint_pvalue": float(_tail(joint.statistic, joint.df)),
        "notes": (*(row.note for row in rows), joint.note),
    }


def _tail(statistic: Any, df: Any) -> Any:
    return stats.chi2.sf(statistic, np.where(np.asarray(df) > 0, df, np.nan))


def not_computed(method: str, study: Study) -> dict[str, Any]:
    row = Row(np.nan, 0, study.obstacle)
    return collect(method, study, [row] * len(study.tested), row)


# -- degrees of freedom ---------------------------------------------------------------


class Columns:
    """Which columns of a design add something to others.

    Parameters
    ----------
    problem : Problem
    tested : (t,) int array
        Columns with equal slopes; all others have their own at each boundary already.
    """

    def __init__(self, problem: Problem, tested: NDArray[np.intp]) -> None:
        self.n_boundaries = problem.likelihood.m
        self.gram = design_gram(problem)
        kept = np.ones(len(self.gram), dtype=bool)
        kept[1 + tested] = False
        self._kept = np.flatnonzero(kept)
        try:
            linalg.cholesky(self.gram - _RANK * np.eye(len(self.gram)))
            self._independent = True
        except linalg.LinAlgError:
            self._independent = False
        self._rank = self._rank_of(self._kept)

    def _rank_of(self, index: NDArray[np.intp]) -> int:
        if self._independent:
            return len(index)
        values = linalg.eigvalsh(self.gram[np.ix_(index, index)])
        return int((values > _RANK * max(values.max(initial=0.0), 1.0)).sum())

    def degrees(self, columns: NDArray[np.intp]) -> int:
        """Return the slopes that separate boundaries add for some columns."""
        wide = np.concatenate((self._kept, 1 + columns))
        return (self.n_boundaries - 1) * (self._rank_of(wide) - self._rank)


def design_gram(problem: Problem) -> Array:
    """Return the weighted Gram matrix (1 + p, 1 + p) of the scaled design."""
    design = problem.design
    total = np.zeros((design.n_columns, design.n_columns))
    for block, weight in zip(design.block, design.weight, strict=True):
        for rows in row_chunks(block):
            total += weighted_gram(block[rows], weight[rows])
    return total


NO_DEGREES = Row(
    np.nan, 0, "not computed: the column does not vary or depends on others"
)


# -- likelihood ratio -----------------------------------------------------------------


def likelihood_ratio_test(study: Study) -> ProportionalityTest:
    """Compare the maximum with those of models with more slopes."""
    method = "Likelihood-ratio test"
    if study.obstacle:
        return ProportionalityTest(**not_computed(method, study))
    columns = Columns(study.problem, study.tested)
    rows = [
        _likelihood_ratio(study, columns, study.tested[[i]])
        for i in range(len(study.tested))
    ]
    joint = rows[0]
    if len(rows) > 1:
        joint = _likelihood_ratio(study, columns, study.tested)
    return ProportionalityTest(**collect(method, study, rows, joint))


def _likelihood_ratio(study: Study, columns: Columns, opened: NDArray[np.intp]) -> Row:
    df = columns.degrees(opened)
    if not df:
        return NO_DEGREES
    problem = study.problem
    free = problem.penalty.free.copy()
    free[:, 1 + opened] = ~problem.design.constant[opened]
    solver = unpenalised_solver(problem, problem.likelihood, free, study.solution.theta)
    wider = solver.solve(0.0, np.inf)
    gain = study.solution.loss - wider.loss
    note = ""
    if not wider.converged:
        note = f"the wider fit stopped at an optimality violation of {wider.kkt:.2g}"
    return Row(max(2.0 * problem.design.total_weight * gain, 0.0), df, note)


def unpenalised_solver(
    problem: Problem, likelihood: Likelihood, free: Mask, start: Array
) -> ProximalNewton:
    """Return an unpenalised solver on the design of a problem."""
    solver = problem.solver
    return ProximalNewton(
        likelihood,
        problem.design.block,
        Penalty(np.zeros(free.shape), 0.0, free),
        start,
        tol=solver.tol,
        max_iter=solver.max_iter,
    )


# -- score ----------------------------------------------------------------------------


def score_test(study: Study) -> ProportionalityTest:
    """Measure the slope of the wider likelihood in units of its curvature."""
    method = "Score test"
    if study.obstacle:
        return ProportionalityTest(**not_computed(method, study))
    columns = Columns(study.problem, study.tested)
    score, information, owner = _adjusted_score(study)
    total = study.problem.design.total_weight

    def row(opened: NDArray[np.intp]) -> Row:
        df = columns.degrees(opened)
        if not df:
            return NO_DEGREES
        own = np.isin(owner, opened)
        found = _quadratic_form(score[own], information[np.ix_(own, own)])
        if found is None:
            return Row(
                np.nan, df, "not computed: the information is not positive definite"
            )
        return Row(total * found, df)

    rows = [row(study.tested[[i]]) for i in range(len(study.tested))]
    joint = rows[0] if len(rows) == 1 else row(study.tested)
    return ProportionalityTest(**collect(method, study, rows, joint))


def _adjusted_score(study: Study) -> tuple[Array, Array, NDArray[np.intp]]:
    """Return score, information and column of each slope that the wider model adds.

    Both are adjusted for the coefficients that are free already.
    """
    problem = study.problem
    narrow = problem.penalty.free
    wide = narrow.copy()
    wide[:, 1 + study.tested] = ~problem.design.constant[study.tested]
    view, solver = problem.design.block, problem.solver
    _, rows = problem.likelihood.value(solver.etas)
    score = -problem.likelihood.gradient(rows, view)[wide]
    information = problem.likelihood.hessian(solver.etas, view, wide)
    old = narrow[wide]
    inner = information[np.ix_(old, old)]
    across = information[np.ix_(old, ~old)]
    lift = _generalised_inverse(inner) @ across
    adjusted = information[np.ix_(~old, ~old)] - across.T @ lift
    # Where the data tell nothing about a slope, the difference is rounding.
    unseen = np.abs(np.diag(adjusted)) <= _RANK * np.diag(information)[~old]
    adjusted[unseen], adjusted[:, unseen] = 0.0, 0.0
    _, column = np.nonzero(wide)
    return score[~old] - lift.T @ score[old], adjusted, column[~old] - 1


def _generalised_inverse(matrix: Array) -> Array:
    unit = np.sqrt(np.maximum(np.diag(matrix), np.finfo(float).tiny))
    inverse = linalg.pinvh(matrix / np.outer(unit, unit), rtol=_RANK)
    return inverse / np.outer(unit, unit)


def _quadratic_form(vector: Array, matrix: Array) -> float | None:
    """Return ``v' M^- v``, or None unless M is positive semi-definite.

    A slope that no observed cell depends on has no curvature and no score: it adds
    nothing.
    """
    unit = np.sqrt(np.maximum(np.diag(matrix), 0.0))
    seen = unit > 0.0
    unit = np.where(seen, unit, 1.0)
    values, vectors = linalg.eigh(matrix / np.outer(unit, unit))
    if values[0] < -1e-6:
        return None
    kept = values > _RANK * values[-1]
    along = vectors[:, kept].T @ np.where(seen, vector / unit, 0.0)
    return float((along**2 / values[kept]).sum())
