"""Which tables a learner takes."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import get_tags


def table_kind(learner: Any) -> dict[str, Any]:
    """Return what the tags of a learner allow, as keywords of ``validate_data``."""
    tags = get_tags(learner).input_tags
    return {
        "accept_sparse": "csr" if tags.sparse else False,
        "dtype": [np.float64, np.float32],
        "ensure_all_finite": "allow-nan" if tags.allow_nan else True,
    }
