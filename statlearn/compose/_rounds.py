"""Weights of rows from what a fitted estimator makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.exceptions import ExactFitWarning
from statlearn.utils._groups import group_codes, label_rows
from statlearn.utils._losses import Loss, Seen, look, positions
from statlearn.utils._rules import kind_of
from statlearn.utils._scale import ZERO, mad, size_of
from statlearn.utils._sklearn import take_rows
from statlearn.utils._validation import read_rule_weights
from statlearn.utils._warn import warn
from statlearn.weights._settled import is_settled, parts

Array = NDArray[np.float64]

# Weights that move by less than this share of the largest have stopped.
_STILL = 1e-8


@dataclass(slots=True)
class GroupedRows:
    """Rows to fit to.

    Attributes
    ----------
    X : table of n rows
    y : array-like of shape (n,)
        Target as the estimator gets it.
    labels : ndarray of shape (n,)
        Target as an array.
    base : ndarray of shape (n,) or None
        Base weights.
    groups : ndarray of shape (n,) or None
    coded : tuple of ndarray, default=None
        Classes of the last call of `codes`, and the positions of labels among them.
    """

    X: Any
    y: Any
    labels: NDArray[Any]
    base: Array | None
    groups: NDArray[Any] | None
    coded: tuple[NDArray[Any], NDArray[np.intp]] | None = None

    def codes(self, classes: NDArray[Any]) -> NDArray[np.intp]:
        """Return positions of the labels; refits ask for the same ones each round."""
        if self.coded is None or not np.array_equal(self.coded[0], classes):
            self.coded = classes, positions(classes, self.labels)
        return self.coded[1]

    def weight(self) -> Array:
        """Return the base weights, or ones."""
        return np.ones(len(self.labels)) if self.base is None else self.base

    def take(self, which: NDArray[np.intp]) -> GroupedRows:
        """Return some of the rows."""
        labels = self.labels[which]
        base = None if self.base is None else self.base[which]
        groups = None if self.groups is None else self.groups[which]
        return GroupedRows(take_rows(self.X, which), labels, labels, base, groups)


def group_labels(groups: Any, caller: str) -> NDArray[Any]:
    """Return group labels (n,) as an array that leaves each label as it is."""
    rows = label_rows(groups, caller)
    if isinstance(rows, np.ndarray):
        return rows
    # NumPy would make "1" of a 1 beside texts, and "nan" of a label that is missing.
    if set(map(type, rows)) in ({str}, {int}, {bool}):
        return np.asarray(rows)
    return np.fromiter(rows, object, len(rows))


@dataclass(frozen=True, slots=True)
class Weigher:
    """A rule, and how it is shown the rows.

    Attributes
    ----------
    rule : callable
    loss : "auto" or callable
    classifier : bool
    caller : str
        For messages.
    """

    rule: Any
    loss: str | Loss
    classifier: bool
    caller: str

    def check(self, rows: GroupedRows) -> None:
        """Say so if the rule cannot be shown what it looks at."""
        if kind_of(self.rule) == "residual" and self.classifier:
            raise ValueError(
                f"The 'weighting' of {self.caller} must be a rule on losses or groups "
                f"for a classifier. Got {self.rule}, a rule on residuals; pass for "
                f"example 'linupper' or 'trimmed'."
            )
        if not self._wants_groups():
            return
        if rows.groups is not None:
            # A missing label shows before any fit, not in one of the batches.
            counted = None if rows.base is None else rows.base > 0.0
            group_codes(rows.groups, self.caller, counted)
        elif not self.classifier:
            raise ValueError(
                f"The 'groups' of {self.caller} must be given to fit for {self.rule}. "
                f"Got None; pass one label for each row."
            )

    def _wants_groups(self) -> bool:
        return any(kind_of(part) == "group" for part in parts(self.rule))

    def settled(self, seen: Seen, rows: GroupedRows, step: int, last: int) -> bool:
        """Tell whether the rule would weigh these rows alike at all later steps.

        Parameters
        ----------
        seen : Seen
        rows : GroupedRows
        step, last : int
            Rounds since the warm-up, now and at most.
        """
        evidence = self._evidence(seen, rows)
        if evidence is None:
            return True
        if rows.base is not None:
            evidence = evidence[rows.base > 0.0]
        return is_settled(
            self.rule, step, evidence, lambda at: self.weigh(seen, rows, at), last
        )

    @property
    def damped(self) -> bool:
        """Whether old and new weights are averaged.

        Weights that follow losses can chase the model for ever; those that follow
        residuals are steps of a descent, those of groups do not move.
        """
        return kind_of(self.rule) == "loss"

    def look(self, estimator: Any, rows: GroupedRows) -> Seen:
        """Return losses and residuals of rows under a fitted estimator."""
        return look(
            estimator,
            rows.X,
            rows.labels,
            self.loss,
            classifier=self.classifier,
            codes=rows.codes,
        )

    def weigh(self, seen: Seen, rows: GroupedRows, step: int) -> Array:
        """Return weights whose total is that of the base weights.

        Parameters
        ----------
        seen : Seen
        rows : GroupedRows
        step : int
            Rounds since the warm-up.
        """
        base, groups = rows.base, rows.groups
        if groups is None and self._wants_groups():
            groups = rows.labels
        evidence = self._evidence(seen, rows)
        if evidence is None:
            on_fit = np.abs(seen.residuals) <= ZERO * _size(rows)  # type: ignore[arg-type]
            return self._on_the_fit(on_fit, rows.weight())
        weight = self.rule(evidence, groups=groups, base_weight=base, step=step)
        return read_rule_weights(weight, len(evidence), self.caller)

    def _evidence(self, seen: Seen, rows: GroupedRows) -> Array | None:
        """Return what the rule looks at (n,), None for residuals without a scale."""
        kind = kind_of(self.rule)
        if kind == "weight":
            return rows.weight()
        if kind != "residual" or seen.residuals is None:
            return seen.losses
        scale = mad(seen.residuals, rows.base)
        return None if scale <= ZERO * _size(rows) else seen.residuals / scale

    def _on_the_fit(self, kept: NDArray[np.bool_], base: Array) -> Array:
        share = float(base[kept].sum() / base.sum())
        warn(
            f"{self.caller} expected residuals with a scale above zero. Got "
            f"{share:.0%} of the weight fitted exactly, so these rows keep their "
            f"weight and others have none; use a rule on losses, or an estimator that "
            f"fits less closely.",
            ExactFitWarning,
        )
        return np.where(kept, base, 0.0) / share


def unchanged(new: Array, old: Array) -> bool:
    """Tell whether weights have stopped changing."""
    return bool(np.abs(new - old).max() <= _STILL * old.max())


def mean_loss(seen: Seen, base: Array | None) -> float:
    """Return the mean loss under the base weights."""
    if base is None:
        return float(np.mean(seen.losses))
    # Zero times infinity is no loss: a row without weight is no row.
    counted = base > 0.0
    return float(np.average(seen.losses[counted], weights=base[counted]))


def _size(rows: GroupedRows) -> float:
    """Return the size of most targets of the rows that count."""
    if rows.base is None:
        return size_of(rows.labels, None)
    counted = rows.base > 0.0
    return size_of(rows.labels[counted], rows.base[counted])
