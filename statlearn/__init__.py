"""Weights on data, on predictors and inside models, native to scikit-learn.

Subpackages load when they are first touched, so that ``import statlearn`` costs
nothing; import the names themselves from their subpackage, as in
``from statlearn.ordinal import PrestoClassifier``.
"""

from __future__ import annotations

# Type checkers take this name for true; importing `typing` would double the
# number of modules that `import statlearn` loads.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from statlearn import (
        compose,
        continual,
        datasets,
        exceptions,
        linear_model,
        merging,
        metrics,
        neural,
        offline_rl,
        ordinal,
        quantile,
        sampling,
        schedules,
        weights,
    )

    __version__: str

# A new subpackage adds its name here and above, nothing else.
__all__ = [
    "compose",
    "continual",
    "datasets",
    "exceptions",
    "linear_model",
    "merging",
    "metrics",
    "neural",
    "offline_rl",
    "ordinal",
    "quantile",
    "sampling",
    "schedules",
    "weights",
]


def __getattr__(name: str) -> object:
    """Load a subpackage, or look up the installed version, at first use."""
    if name in __all__:
        from importlib import import_module

        return import_module(f"{__name__}.{name}")
    if name == "__version__":
        from importlib.metadata import version

        return version(__name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the subpackages whether or not they are loaded."""
    return sorted({*globals(), *__all__, "__version__"})
