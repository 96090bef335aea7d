"""The table of estimates and tests of a fitted model, and its arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from statlearn.utils._deprecation import warn_of_rename
from statlearn.utils._optional import require
from statlearn.utils._tables import number, probability, text_table

Array = NDArray[np.float64]

NOT_DETERMINED = "inf: not determined by the data (separated or dependent columns)"
NOT_COMPUTED = "-: not computed (too many parameters, or no residual spread)"


@dataclass(frozen=True, slots=True)
class WaldTable:
    """Estimates with standard errors, tests and confidence intervals.

    Attributes
    ----------
    names : ndarray of shape (n_params,)
        Names of the parameters: intercept or thresholds, then slopes.
    estimate : ndarray of shape (n_params,)
        The estimates.
    bse : ndarray of shape (n_params,)
        Standard errors; ``inf`` for what the data do not determine.
    statistic : ndarray of shape (n_params,)
        Estimate divided by its standard error.
    pvalue : ndarray of shape (n_params,)
        Two-sided, from the normal distribution.
    interval : ndarray of shape (n_params, 2)
        Ends of the confidence intervals.
    coverage : float
        Coverage of the intervals; in version 0.1 the attribute `level`.

    Examples
    --------
    >>> from statlearn.datasets import load_wine_bitterness
    >>> from statlearn.ordinal import OrdinalRegression
    >>> X, y = load_wine_bitterness(return_X_y=True)
    >>> table = OrdinalRegression().fit(X, y).wald_table()
    >>> table.statistic.round(2)
    array([-2.6 ,  2.86,  5.8 ,  6.85, -4.73, -3.21])
    """

    names: NDArray[np.str_]
    estimate: Array
    bse: Array
    statistic: Array
    pvalue: Array
    interval: Array
    coverage: float

    @property
    def level(self) -> float:
        """Coverage of the intervals, by the name of version 0.1."""
        warn_of_rename("level", "coverage", "WaldTable")
        return self.coverage

    def _ends(self) -> tuple[str, str]:
        outside = 100.0 * (1.0 - self.coverage) / 2.0
        return f"{outside:g} %", f"{100.0 - outside:g} %"

    def to_frame(self) -> Any:
        """Return a pandas data frame with a row for each parameter.

        Returns
        -------
        frame : pandas.DataFrame
            Indexed by parameter; columns ``estimate``, ``bse``, ``statistic``,
            ``pvalue`` and the ends of the interval.
        """
        pandas = require("pandas", None, "WaldTable.to_frame")
        low, high = self._ends()
        columns = {
            "estimate": self.estimate,
            "bse": self.bse,
            "statistic": self.statistic,
            "pvalue": self.pvalue,
            low: self.interval[:, 0],
            high: self.interval[:, 1],
        }
        index = pandas.Index(self.names, name="parameter")
        return pandas.DataFrame(columns, index=index)

    def summary(self) -> str:
        """Return the table as text.

        Returns
        -------
        text : str
            One line for each parameter.
        """
        columns = (self.estimate, self.bse, self.statistic)
        rows = [
            (
                str(name),
                *(number(float(column[i])) for column in columns),
                probability(float(self.pvalue[i])),
                *(number(float(end)) for end in self.interval[i]),
            )
            for i, name in enumerate(self.names)
        ]
        head = ("parameter", "estimate", "std err", "z", "p-value", *self._ends())
        text = text_table(head, rows)
        if np.isinf(self.bse).any():
            text += f"\n{NOT_DETERMINED}"
        if np.isnan(self.bse).any():
            text += f"\n{NOT_COMPUTED}"
        return text


def wald_table(
    names: NDArray[np.str_], estimate: Array, bse: Array, coverage: float
) -> WaldTable:
    """Return the table of estimates (k,) with standard errors (k,)."""
    return WaldTable(
        names=names,
        estimate=estimate,
        bse=bse,
        statistic=standardised(estimate, bse),
        pvalue=normal_pvalue(estimate, bse),
        interval=normal_interval(estimate, bse, coverage),
        coverage=coverage,
    )


def standardised(estimate: Array, error: Array) -> Array:
    """Return estimates in units of their standard errors; zero if these are infinite.

    An estimate that is zero for certain is no evidence against itself.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = estimate / error
    return np.where((error == 0.0) & (estimate == 0.0), 0.0, ratio)


def normal_pvalue(estimate: Array, error: Array) -> Array:
    """Return two-sided p-values of the hypothesis of zero."""
    return 2.0 * special.ndtr(-np.abs(standardised(estimate, error)))


def normal_interval(estimate: Array, error: Array, coverage: float) -> Array:
    """Return the ends (k, 2) of normal confidence intervals."""
    half = special.ndtri(0.5 + 0.5 * coverage) * error
    return np.column_stack((estimate - half, estimate + half))
