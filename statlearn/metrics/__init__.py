"""Numbers that judge a model where the mean loss of the pooled rows does not.

What a model has forgotten of earlier tasks, what it gained on them and on later ones;
how it does on each domain: the worst, and the mean over domains of unequal size; and
how good and how honest its quantiles and intervals are.
"""

from __future__ import annotations

from statlearn.metrics._calibration import crossing_rate, level_calibration_error
from statlearn.metrics._crps import crps_from_quantiles
from statlearn.metrics._domains import mean_domain_loss, worst_domain_loss
from statlearn.metrics._intervals import (
    interval_coverage,
    interval_length,
    interval_score,
)
from statlearn.metrics._quantiles import (
    pinball_loss,
    relative_wis,
    weighted_interval_score,
)
from statlearn.metrics._scorer import make_quantile_scorer
from statlearn.metrics._transfer import (
    backward_transfer,
    forgetting,
    forward_transfer,
)

__all__ = [
    "backward_transfer",
    "crossing_rate",
    "crps_from_quantiles",
    "forgetting",
    "forward_transfer",
    "interval_coverage",
    "interval_length",
    "interval_score",
    "level_calibration_error",
    "make_quantile_scorer",
    "mean_domain_loss",
    "pinball_loss",
    "relative_wis",
    "weighted_interval_score",
    "worst_domain_loss",
]
