"""A picture of weights: against what they were made from, or how unequal they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._arrays import to_labels
from statlearn.utils._axes import COLORS, INK, axes_for
from statlearn.utils._fitted import fitted_or_refuse
from statlearn.utils._groups import group_codes
from statlearn.weights._diagnostics import effective_sample_size
from statlearn.weights._measure import as_base_weight
from statlearn.weights._registry import get_rule
from statlearn.weights._vector import as_weights

Array = NDArray[np.float64]

_NAMES = {
    "loss": "Loss",
    "residual": "Residual / scale",
    "group": "Group",
    "weight": "Weight before",
}


class WeightDisplay:
    """Weights against their evidence, or how unequal they are.

    With evidence (losses, residuals, group labels) the picture is the rule itself:
    which evidence gets which weight. Without it, a Lorenz curve shows which share of
    all weight the lighter rows have. The legend gives the effective sample size. Create
    it with `from_rule`, `from_weights` or `from_estimator`, then call `plot`.

    Parameters
    ----------
    weights : ndarray of shape (n,)
        Numbers >= 0.
    evidence : ndarray of shape (n,), default=None
        Numbers or labels that the weights were made from.
    base_weight : ndarray of shape (n,), default=None
        Weights that rows have by themselves. What is drawn is then the weight over the
        base weight, and rows count by their base weight; rows without are left out.
    evidence_name : str, default="Evidence"
        Label of the evidence.
    name : str, default=None
        Name of the weights in the legend.

    Attributes
    ----------
    ax_ : Axes
        Where `plot` drew. Set by `plot`, like the following ones.
    figure_ : Figure
        The figure.
    artists_ : list of Artist
        What was drawn: points, a line, or the bars of a histogram.

    See Also
    --------
    weight_summary : The same in numbers.
    sklearn.calibration.CalibrationDisplay : A display of probabilities.

    Examples
    --------
    >>> from statlearn.weights import WeightDisplay
    >>> display = WeightDisplay.from_rule("linupper", [0.2, 0.5, 1.0, 2.0, 4.0])
    >>> display.plot().ax_.get_xlabel()
    'Loss'
    """

    ax_: Any
    figure_: Any
    artists_: list[Any]

    def __init__(
        self,
        weights: Array,
        *,
        evidence: NDArray[Any] | None = None,
        base_weight: Array | None = None,
        evidence_name: str = "Evidence",
        name: str | None = None,
    ) -> None:
        self.weights = weights
        self.evidence = evidence
        self.base_weight = base_weight
        self.evidence_name = evidence_name
        self.name = name

    @classmethod
    def from_weights(
        cls,
        weights: Any,
        *,
        evidence: Any = None,
        base_weight: Any = None,
        evidence_name: str = "Evidence",
        name: str | None = None,
    ) -> WeightDisplay:
        """Take weights that were computed elsewhere.

        Parameters
        ----------
        weights : array-like or torch tensor of shape (n,)
            Numbers >= 0, not all zero.
        evidence : array-like of shape (n,), default=None
            Numbers, or group labels.
        base_weight : array-like of shape (n,), default=None
            Weights that rows have by themselves.
        evidence_name : str, default="Evidence"
            Label of the evidence.
        name : str, default=None
            Name of the weights in the legend.

        Returns
        -------
        display : WeightDisplay
            Not drawn yet.

        Raises
        ------
        ValueError
            If the weights are no weights, or lengths disagree.
        """
        caller = "WeightDisplay.from_weights"
        values, _ = as_weights(weights, caller)
        seen = None if evidence is None else to_labels(evidence)
        if seen is not None and seen.shape != values.shape:
            raise ValueError(
                f"The 'evidence' of {caller} must have shape {values.shape}, as the "
                f"weights have. Got shape {seen.shape}; pass one value for each row."
            )
        return cls(
            values,
            evidence=seen,
            base_weight=as_base_weight(base_weight, len(values), caller),
            evidence_name=evidence_name,
            name=name,
        )

    @classmethod
    def from_rule(
        cls,
        rule: Any,
        evidence: Any,
        *,
        groups: Any = None,
        base_weight: Any = None,
        step: int | None = None,
    ) -> WeightDisplay:
        """Apply a rule to evidence.

        Parameters
        ----------
        rule : str or WeightingRule
            A rule or its name, see :func:`get_rule`.
        evidence : array-like or torch tensor of shape (n,)
            What the rule looks at.
        groups : array-like of shape (n,), default=None
            Group labels, for rules that look at groups.
        base_weight : array-like of shape (n,), default=None
            Weights that rows have without the rule.
        step : int, default=None
            Where training is.

        Returns
        -------
        display : WeightDisplay
            Not drawn yet.

        Raises
        ------
        ValueError
            As the rule does, or for the name of no rule.
        """
        chosen = get_rule(rule)
        weights = chosen(evidence, groups=groups, base_weight=base_weight, step=step)
        kind = getattr(chosen, "evidence_kind", "")
        seen = evidence
        if kind == "group":
            # Group numbers are names: they have no place on a scale.
            seen = to_labels(evidence if groups is None else groups).astype(object)
        return cls.from_weights(
            weights,
            evidence=seen,
            base_weight=base_weight,
            evidence_name=_NAMES.get(kind, "Evidence"),
            name=getattr(chosen, "__name__", type(chosen).__name__),
        )

    @classmethod
    def from_estimator(cls, estimator: Any, *, evidence: Any = None) -> WeightDisplay:
        """Take the weights of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            Fitted, with `weights_`.
        evidence : array-like of shape (n,), default=None
            For example its residuals.

        Returns
        -------
        display : WeightDisplay
            Not drawn yet.

        Raises
        ------
        TypeError
            If the estimator is fitted and has no weights.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        """
        caller = "WeightDisplay.from_estimator"
        fitted_or_refuse(estimator, caller)
        name = type(estimator).__name__
        if not hasattr(estimator, "weights_"):
            raise TypeError(
                f"The 'estimator' of {caller} must have weights_. Got {name} without "
                f"any; pass its weights to from_weights."
            )
        return cls.from_weights(estimator.weights_, evidence=evidence, name=name)

    def plot(
        self,
        ax: Any = None,
        *,
        kind: str = "auto",
        name: str | None = None,
        **kwargs: Any,
    ) -> WeightDisplay:
        """Draw the weights.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; by default a new figure. Several displays may share it.
        kind : {"auto", "evidence", "lorenz", "histogram"}, default="auto"
            Points of weight against evidence; the share of weight of the lighter rows;
            or how many rows have which weight. "auto" takes the first of these two
            for which there are data.
        name : str, default=None
            Name in the legend, instead of that of the rule or estimator.
        **kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.plot`, or to
            :meth:`matplotlib.axes.Axes.hist`.

        Returns
        -------
        self : WeightDisplay
            With `ax_`, `figure_` and `artists_`.

        Raises
        ------
        ValueError
            For an unknown kind, evidence that is not there, or more than one Axes.
        """
        if kind == "auto":
            kind = "lorenz" if self.evidence is None else "evidence"
        if kind not in _KINDS:
            raise ValueError(
                f"The 'kind' parameter of WeightDisplay.plot must be 'auto' or one of "
                f"{sorted(_KINDS)}. Got {kind!r}; pass one of them."
            )
        if kind == "evidence" and self.evidence is None:
            raise ValueError(
                "The kind 'evidence' of WeightDisplay.plot expected evidence. Got "
                "weights alone; pass evidence=... to from_weights, or kind='lorenz'."
            )
        self.ax_ = axes_for(ax, "WeightDisplay.plot")
        self.figure_ = self.ax_.figure
        size = effective_sample_size(self.weights)
        label = f"{name or self.name or 'weights'} (ESS {size:.4g} of {self._count()})"
        self.artists_ = _KINDS[kind](self, {"label": label, **kwargs})
        self.ax_.legend(frameon=False)
        return self

    def _count(self) -> int:
        return len(self.weights) if self.base_weight is None else int(self._kept.sum())

    @property
    def _kept(self) -> NDArray[np.bool_]:
        base = self.base_weight
        return np.ones(len(self.weights), bool) if base is None else base > 0.0

    def _density(self) -> Array:
        """Return weights over base weights of the rows that have any."""
        kept = self._kept
        base = self.base_weight
        return self.weights[kept] if base is None else self.weights[kept] / base[kept]

    def _draw_evidence(self, options: dict[str, Any]) -> list[Any]:
        seen = np.asarray(self.evidence)[self._kept]
        ax = self.ax_
        if seen.dtype.kind in "fiub":
            x = seen.astype(np.float64)
        else:
            labels, codes = group_codes(seen, "WeightDisplay.plot")
            x = codes.astype(np.float64)
            ax.set_xticks(range(len(labels)), [str(label) for label in labels])
        color = COLORS[len(ax.get_lines()) % len(COLORS)]
        style = {"color": color, "linestyle": "", "marker": "o", "markersize": 4.0}
        # Thousands of points in a vector picture are slow to show.
        style |= {"markeredgewidth": 0.0, "alpha": 0.7, "rasterized": len(x) > 5000}
        points = ax.plot(x, self._density(), **style | options)
        ax.set_ylim(bottom=0.0)
        ax.set(xlabel=self.evidence_name, ylabel=self._weight_name())
        return list(points)

    def _draw_lorenz(self, options: dict[str, Any]) -> list[Any]:
        ax = self.ax_
        density = self._density()
        order = np.argsort(density, kind="stable")
        base = self.base_weight
        rows = np.ones(len(density)) if base is None else base[self._kept]
        x, y = _cumulated(rows[order]), _cumulated(self.weights[self._kept][order])
        drawn = [line for line in ax.get_lines() if line.get_gid() != "equal"]
        if not drawn:
            ax.plot([0, 1], [0, 1], color=INK, linewidth=0.8, ls="--", gid="equal")
        style = {"color": COLORS[len(drawn) % len(COLORS)], "linewidth": 1.8}
        lines = ax.plot(x, y, **style | options)
        ax.set(xlabel="Share of the rows, lightest first", ylabel="Share of all weight")
        return list(lines)

    def _draw_histogram(self, options: dict[str, Any]) -> list[Any]:
        ax = self.ax_
        base = self.base_weight
        color = COLORS[len(ax.containers) % len(COLORS)]
        style: dict[str, Any] = {"bins": 30, "color": color, "alpha": 0.7}
        style["weights"] = None if base is None else base[self._kept]
        _, _, bars = ax.hist(self._density(), **style | options)
        ax.set(xlabel=self._weight_name(), ylabel="Rows")
        return list(bars)

    def _weight_name(self) -> str:
        return "Weight" if self.base_weight is None else "Weight / base weight"


def _cumulated(values: Array) -> Array:
    """Return cumulated shares (n + 1,), from 0 to 1."""
    share = np.concatenate(([0.0], np.cumsum(values / values.max())))
    return share / share[-1]


_KINDS: dict[str, Callable[[WeightDisplay, dict[str, Any]], list[Any]]] = {
    "evidence": WeightDisplay._draw_evidence,
    "lorenz": WeightDisplay._draw_lorenz,
    "histogram": WeightDisplay._draw_histogram,
}
