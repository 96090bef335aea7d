"""Which slopes are equal at which boundaries."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FusionTable:
    """Equality of neighbouring slopes, feature by feature.

    Attributes
    ----------
    coef : ndarray of shape (n_classes - 1, n_features)
        Slopes on the raw scale.
    fused : ndarray of bool, shape (n_classes - 2, n_features)
        Whether the slopes of boundaries ``k`` and ``k + 1`` are equal.
    proportional : ndarray of bool, shape (n_features,)
        Whether one slope serves all boundaries.
    selected : ndarray of bool, shape (n_features,)
        Whether any slope differs from zero.
    feature_names : ndarray of shape (n_features,)
        Names of the features.
    boundaries : tuple of str
        Names of the boundaries, ``"low | high"``.
    """

    coef: Array
    fused: NDArray[np.bool_]
    proportional: NDArray[np.bool_]
    selected: NDArray[np.bool_]
    feature_names: NDArray[np.str_]
    boundaries: tuple[str, ...]

    @classmethod
    def from_coefficients(
        cls,
        coef: Array,
        diff_coef: Array,
        feature_names: NDArray[np.str_],
        classes: NDArray[Any],
        *,
        reverse: bool = False,
    ) -> FusionTable:
        """Read the table off slopes and penalised differences, both (m, p)."""
        inner = diff_coef[:-1] if reverse else diff_coef[1:]
        fused = inner == 0.0
        return cls(
            coef=coef,
            fused=fused,
            proportional=fused.all(axis=0),
            selected=(coef != 0.0).any(axis=0),
            feature_names=feature_names,
            boundaries=boundary_names(classes),
        )

    def to_frame(self) -> Any:
        """Return a pandas data frame: slopes for each boundary, and the verdict.

        Returns
        -------
        frame : pandas.DataFrame of shape (n_features, n_classes + 1)
            Indexed by feature; columns are the boundaries, then ``selected`` and
            ``proportional``.
        """
        from statlearn.utils._optional import require

        pandas = require("pandas", None, "FusionTable.to_frame")
        frame = pandas.DataFrame(
            self.coef.T, index=self.feature_names, columns=list(self.boundaries)
        )
        frame["selected"] = self.selected
        frame["proportional"] = self.proportional
        return frame

    def summary(self) -> str:
        """Return the table as text; ``=`` marks a slope equal to the one before it.

        Returns
        -------
        text : str
            One line for each feature.
        """
        width = max((len(name) for name in self.feature_names), default=0)
        width = max(width, len("feature"))
        cells = [max(len(name), 12) for name in self.boundaries]
        head = "  ".join(
            name.rjust(size) for name, size in zip(self.boundaries, cells, strict=True)
        )
        lines = [f"{'feature'.ljust(width)}  {head}  pattern"]
        for j, name in enumerate(self.feature_names):
            row = "  ".join(
                self._cell(k, j).rjust(size) for k, size in enumerate(cells)
            )
            lines.append(f"{str(name).ljust(width)}  {row}  {self._pattern(j)}")
        return "\n".join(lines)

    def _cell(self, k: int, j: int) -> str:
        if k > 0 and self.fused[k - 1, j]:
            return "="
        return f"{self.coef[k, j]:.4g}"

    def _pattern(self, j: int) -> str:
        if not self.selected[j]:
            return "dropped"
        return "proportional" if self.proportional[j] else "varies"


def boundary_names(classes: NDArray[Any]) -> tuple[str, ...]:
    """Return ``"low | high"`` for each pair of neighbouring classes."""
    names = [str(name) for name in np.asarray(classes).tolist()]
    return tuple(f"{low} | {high}" for low, high in pairwise(names))
