"""Many quantiles at once: models, their aggregation, and honest intervals.

Any quantile models in, one grid of quantiles out that does not cross and is calibrated.
"""

from __future__ import annotations

__all__: list[str] = []
