"""Numbers that judge a model by its tasks or domains, not by the pooled rows.

What a model has forgotten of earlier tasks, what it gained on them and on later ones,
and how it does on each domain: the worst, and the mean over domains of unequal size.
"""

from __future__ import annotations

from statlearn.metrics._domains import mean_domain_loss, worst_domain_loss
from statlearn.metrics._transfer import (
    backward_transfer,
    forgetting,
    forward_transfer,
)

__all__ = [
    "backward_transfer",
    "forgetting",
    "forward_transfer",
    "mean_domain_loss",
    "worst_domain_loss",
]
