"""What weights cost: effective sample size, design effect, entropy, concentration."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from statlearn.exceptions import DegenerateWeightsWarning
from statlearn.utils._groups import group_codes
from statlearn.utils._optional import require
from statlearn.utils._rules import FEW_ROWS, is_thin
from statlearn.utils._tables import facts, number, text_table
from statlearn.utils._warn import warn
from statlearn.weights._vector import as_weights

Array = NDArray[np.float64]

_QUARTERS = (0.25, 0.5, 0.75)


def effective_sample_size(weights: Any) -> float:
    r"""Return how many equally weighted rows are as informative as the weighted ones.

    Parameters
    ----------
    weights : array-like or torch tensor of shape (n,)
        Numbers >= 0, not all zero.

    Returns
    -------
    size : float
        Kish's :math:`(\sum_i w_i)^2 / \sum_i w_i^2`, from 1 to n.

    Raises
    ------
    ValueError
        If the weights are not finite, negative, or all zero.

    Notes
    -----
    It is the size of an unweighted sample whose mean varies as much as the weighted
    one, for a quantity that the weights have nothing to do with.

    References
    ----------
    Leslie Kish. Survey Sampling. Wiley, 1965.

    Examples
    --------
    >>> from statlearn.weights import effective_sample_size
    >>> round(effective_sample_size([1.0, 1.0, 1.0, 3.0]), 6)
    3.0
    """
    return _effective_size(as_weights(weights, "effective_sample_size")[0])


def design_effect(weights: Any) -> float:
    r"""Return by how much weighting multiplies the variance of a mean.

    Parameters
    ----------
    weights : array-like or torch tensor of shape (n,)
        Numbers >= 0, not all zero.

    Returns
    -------
    effect : float
        Rows over effective rows, :math:`1 + \mathrm{cv}^2(w)`, from 1 to n. Rows of
        weight zero count.

    Raises
    ------
    ValueError
        If the weights are not finite, negative, or all zero.

    References
    ----------
    Leslie Kish. Weighting for Unequal Pi. Journal of Official Statistics, 1992.

    Examples
    --------
    >>> from statlearn.weights import design_effect
    >>> round(design_effect([1.0, 1.0, 1.0, 3.0]), 6)
    1.333333
    """
    values, _ = as_weights(weights, "design_effect")
    return len(values) / _effective_size(values)


def weight_entropy(weights: Any) -> float:
    r"""Return the entropy of weights that are scaled to sum to one.

    Parameters
    ----------
    weights : array-like or torch tensor of shape (n,)
        Numbers >= 0, not all zero.

    Returns
    -------
    entropy : float
        :math:`-\sum_i p_i \log p_i` in nats, from 0 to log n. Its exponential is an
        effective number of rows that forgives rare large weights more than
        :func:`effective_sample_size` does.

    Raises
    ------
    ValueError
        If the weights are not finite, negative, or all zero.

    Examples
    --------
    >>> from statlearn.weights import weight_entropy
    >>> round(weight_entropy([1.0, 1.0, 2.0]), 6)
    1.039721
    """
    return _entropy(as_weights(weights, "weight_entropy")[0])


@dataclass(frozen=True, slots=True)
class WeightSummary:
    """How weights are distributed, and what that costs.

    Attributes
    ----------
    n : int
        Number of rows.
    n_zero : int
        Number of rows of weight zero.
    total : float
        Sum of the weights.
    min, max, mean : float
        Smallest, largest and mean weight.
    quartiles : ndarray of shape (3,)
        Lower quartile, median and upper quartile.
    effective_sample_size : float
        Kish's effective sample size; 0 for a group without weight, in which the
        following ones are NaN.
    design_effect : float
        `n` over the effective sample size.
    entropy : float
        In nats, at most log n.
    top_share : float
        Share of all weight that the heaviest 1 % of the rows has, of one row at least.
    gini : float
        Gini coefficient: 0 for equal weights, near 1 if few rows have all weight.
    groups : dict
        Summary of each group by its label; empty without groups.

    Examples
    --------
    >>> from statlearn.weights import weight_summary
    >>> table = weight_summary([0.5, 0.5, 1.0, 2.0], groups=["a", "a", "a", "b"])
    >>> round(table.effective_sample_size, 3)
    2.909
    >>> table.groups["a"].n
    3
    """

    n: int
    n_zero: int
    total: float
    min: float
    max: float
    mean: float
    quartiles: Array
    effective_sample_size: float
    design_effect: float
    entropy: float
    top_share: float
    gini: float
    groups: dict[Any, WeightSummary]

    def to_frame(self) -> Any:
        """Return a pandas data frame with a row for all weights and for each group.

        Returns
        -------
        frame : pandas.DataFrame
            Indexed by group, the first row being ``"all"``; a column for each number.
        """
        pandas = require("pandas", None, "WeightSummary.to_frame")
        rows = [_numbers(part) for part in (self, *self.groups.values())]
        index = pandas.Index(["all", *self.groups], name="group")
        return pandas.DataFrame(rows, index=index)

    def summary(self) -> str:
        """Return the numbers as text.

        Returns
        -------
        text : str
            Two columns of numbers; then a line for each group, if there are groups.
        """
        low, middle, high = map(float, self.quartiles)
        text = facts(
            [
                ("rows", str(self.n)),
                ("of weight zero", str(self.n_zero)),
                ("total weight", number(self.total)),
                ("effective sample size", number(self.effective_sample_size, 1)),
                ("design effect", number(self.design_effect)),
                ("entropy", number(self.entropy)),
                ("share of the top 1 %", number(self.top_share)),
                ("Gini coefficient", number(self.gini)),
                ("mean", number(self.mean)),
                ("smallest", number(self.min)),
                ("lower quartile", number(low)),
                ("median", number(middle)),
                ("upper quartile", number(high)),
                ("largest", number(self.max)),
            ]
        )
        return f"{text}\n\n{self._by_group()}" if self.groups else text

    def _by_group(self) -> str:
        head = ("group", "rows", "share", "mean", "largest", "ESS", "design effect")
        rows = [
            (
                str(label),
                str(part.n),
                number(part.total / self.total),
                number(part.mean),
                number(part.max),
                number(part.effective_sample_size, 1),
                number(part.design_effect),
            )
            for label, part in self.groups.items()
        ]
        return text_table(head, rows)


def weight_summary(weights: Any, *, groups: Any = None) -> WeightSummary:
    """Describe weights: how many rows they leave, and how evenly they are spread.

    Parameters
    ----------
    weights : array-like or torch tensor of shape (n,)
        Numbers >= 0, not all zero, on any scale.
    groups : array-like of shape (n,), default=None
        Labels; each group is described as well.

    Returns
    -------
    summary : WeightSummary
        Its `summary()` is a text, its `to_frame()` a pandas data frame.

    Raises
    ------
    ValueError
        If the weights are not finite, negative, or all zero, or the labels are not as
        many.

    Warns
    -----
    DegenerateWeightsWarning
        If the effective sample size is below 10 or below 1 % of the rows, and below
        half of the rows, so that few rows with equal weights are no reason to warn.

    See Also
    --------
    WeightDisplay : The same as a picture.

    References
    ----------
    Leslie Kish. Weighting for Unequal Pi. Journal of Official Statistics, 1992.

    Examples
    --------
    >>> from statlearn.weights import weight_summary
    >>> print(weight_summary([1.0, 1.0, 1.0, 3.0, 0.0]).summary())
    rows                        5    Gini coefficient  0.4000
    of weight zero              1    mean              1.2000
    total weight           6.0000    smallest          0.0000
    effective sample size     3.0    lower quartile    1.0000
    design effect          1.6667    median            1.0000
    entropy                1.2425    upper quartile    1.0000
    share of the top 1 %   0.5000    largest           3.0000
    """
    values, _ = as_weights(weights, "weight_summary")
    parts = {} if groups is None else _describe_groups(values, groups)
    whole = _describe(values, parts)
    effective, n = whole.effective_sample_size, whole.n
    if is_thin(effective, n):
        warn(
            f"weight_summary expected an effective sample size of {FEW_ROWS:g} and 1 % "
            f"of all rows. Got {effective:.3g} of {n} rows; clip or temper the weights "
            f"before anything is computed with them.",
            DegenerateWeightsWarning,
        )
    return whole


def _describe_groups(values: Array, groups: Any) -> dict[Any, WeightSummary]:
    labels, codes = group_codes(groups, "weight_summary")
    if len(codes) != len(values):
        raise ValueError(
            f"The 'groups' of weight_summary must hold one label for each of the "
            f"{len(values)} weights. Got {len(codes)}; pass both for the same rows."
        )
    ends = np.cumsum(np.bincount(codes, minlength=len(labels)))[:-1]
    members = np.split(values[np.argsort(codes, kind="stable")], ends)
    return {
        label: _describe(part, {}) for label, part in zip(labels, members, strict=True)
    }


def _describe(values: Array, groups: dict[Any, WeightSummary]) -> WeightSummary:
    ascending = np.sort(values)
    n, largest = len(values), float(ascending[-1])
    # Shares of the largest weight neither overflow nor vanish all.
    share = ascending / largest if largest > 0.0 else ascending
    total = float(share.sum())
    effective, entropy, top, gini = 0.0, np.nan, np.nan, np.nan
    if total > 0.0:
        effective, entropy = _effective_size(share), _entropy(share)
        top = float(share[-((n + 99) // 100) :].sum()) / total
        ranks = np.arange(1 - n, n, 2)
        gini = max(0.0, float(ranks @ share) / (n * total))
    return WeightSummary(
        n=n,
        n_zero=int((ascending == 0.0).sum()),
        total=largest * total,
        min=float(ascending[0]),
        max=largest,
        mean=largest * (total / n),
        quartiles=np.quantile(ascending, _QUARTERS),
        effective_sample_size=effective,
        design_effect=n / effective if effective else np.nan,
        entropy=entropy,
        top_share=top,
        gini=gini,
        groups=groups,
    )


def _effective_size(values: Array) -> float:
    share = values / values.max()
    return float(share.sum() ** 2 / (share @ share))


def _entropy(values: Array) -> float:
    share = values / values.max()
    share /= share.sum()
    return float(special.entr(share).sum())


def _numbers(part: WeightSummary) -> dict[str, float]:
    """Return the columns of a data frame."""
    row = {
        field.name: getattr(part, field.name)
        for field in fields(part)
        if field.name not in ("quartiles", "groups")
    }
    named = (f"{100 * level:g} %" for level in _QUARTERS)
    return row | dict(zip(named, map(float, part.quartiles), strict=True))
