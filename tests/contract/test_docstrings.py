"""Every public name is documented for its reader; a new one is found by itself."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from pathlib import Path

import pytest
from numpydoc.docscrape import NumpyDocString
from numpydoc.hooks.validate_docstrings import parse_config
from numpydoc.validate import validate
from sklearn.base import BaseEstimator

from rooms import HAS_TORCH, LOADABLE
from statlearn.offline_rl import TrajectoryWeighting
from statlearn.weights import WeightingRule

ROOT = Path(__file__).parents[2]
INNER_ROOMS = [
    f"neural.{path.parent.name}"
    for path in sorted((ROOT / "statlearn" / "neural").glob("[a-z]*/__init__.py"))
]
PUBLIC = [
    f"statlearn.{room}.{name}"
    for room in (*LOADABLE, *(INNER_ROOMS if HAS_TORCH else ()))
    for name in importlib.import_module(f"statlearn.{room}").__all__
]


def resolve(path):
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


# Constants have no docstring.
PUBLIC = [path for path in PUBLIC if callable(resolve(path))]


def own_methods(cls):
    """Public methods that our code defines, not those that scikit-learn adds."""
    for name, value in inspect.getmembers(cls, inspect.isroutine):
        ours = (getattr(value, "__module__", None) or "").startswith("statlearn")
        if ours and not name.startswith("_"):
            yield name


def documented():
    for path in PUBLIC:
        value = resolve(path)
        yield path
        if inspect.isclass(value) and not issubclass(value, Exception):
            yield from (f"{path}.{name}" for name in own_methods(value))


@pytest.mark.parametrize("path", list(documented()))
def test_docstring_passes_numpydoc(path):
    checks = parse_config(str(ROOT))["checks"]
    if path in PUBLIC and dataclasses.is_dataclass(resolve(path)):
        checks -= {"PR01"}  # the fields of a result are its documented attributes
    errors = [error for error in validate(path)["errors"] if error[0] in checks]
    assert errors == []


@pytest.mark.parametrize("path", PUBLIC)
def test_public_name_shows_what_its_reader_looks_for(path):
    value = resolve(path)
    if inspect.isclass(value) and issubclass(
        value, (WeightingRule, TrajectoryWeighting)
    ):
        wanted = {"See Also", "References", "Examples"}
        wanted |= {"Parameters"} if inspect.signature(value).parameters else set()
    elif inspect.isclass(value) and issubclass(value, BaseEstimator):
        wanted = {"Parameters", "Attributes", "See Also", "References", "Examples"}
    elif inspect.isclass(value) and issubclass(value, Exception):
        wanted = set()
    elif dataclasses.is_dataclass(value):
        wanted = {"Attributes"}
    else:
        wanted = {"Examples"}
    doc = NumpyDocString(inspect.getdoc(value))
    assert {section for section in wanted if not doc[section]} == set()
