"""What off-policy evaluation finds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._tables import facts, number

NAMES = {
    "is": "importance sampling",
    "wis": "weighted importance sampling",
    "pdis": "per-decision importance sampling",
    "wpdis": "weighted per-decision importance sampling",
    "fqe": "fitted-Q evaluation",
    "dr": "doubly robust",
}


@dataclass(frozen=True, slots=True, eq=False)
class ValueEstimate:
    """Estimated expected return of a policy, from trajectories of another one.

    Attributes
    ----------
    value : float
        The estimate.
    interval : tuple of float, or None
        Lower and upper limit of a bootstrap interval; None without a bootstrap, and NaN
        if more resamples say nothing than may lie beyond a limit.
    coverage : float
        Probability that the interval is made for.
    ess : float
        Effective number of trajectories, from 1 to their number; for "fqe", which does
        not weigh them, their number.
    n_trajectories : int
        Number of trajectories.
    method : str
        How it was estimated.
    gamma : float
        Discount.
    bootstrap_values : ndarray of shape (n_bootstraps,)
        Estimates from resampled trajectories; NaN for a resample of which the policy
        could have made none, which counts as lying beyond both limits.
    """

    value: float
    interval: tuple[float, float] | None
    coverage: float
    ess: float
    n_trajectories: int
    method: str
    gamma: float
    bootstrap_values: NDArray[np.float64]

    def summary(self) -> str:
        """Return the numbers as text.

        Returns
        -------
        text : str
            Two columns.
        """
        limits = "none"
        if self.interval is not None:
            limits = " to ".join(number(limit) for limit in self.interval)
            if np.isnan(self.interval).any():
                limits = "unknown"
        return facts(
            [
                ("value", number(self.value)),
                (f"{self.coverage:.4g} interval", limits),
                ("discount", number(self.gamma)),
                ("method", NAMES[self.method]),
                ("trajectories", str(self.n_trajectories)),
                ("effective trajectories", number(self.ess, 1)),
            ]
        )
