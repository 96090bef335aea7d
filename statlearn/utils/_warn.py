"""Warnings that point at the code of the user."""

from __future__ import annotations

import sys
import warnings

# scikit-learn wraps `fit`, and calls it from its pipelines and searches.
_INSIDE = {"statlearn", "sklearn", "joblib"}


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the line of the user that led here, however deep the call.

    Parameters
    ----------
    message : str
    category : type of Warning
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _is_inside(frame.f_globals.get("__name__", "")):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def _is_inside(module: str) -> bool:
    return module.partition(".")[0] in _INSIDE
