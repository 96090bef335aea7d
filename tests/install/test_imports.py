"""What importing the package costs and pulls in."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import pkgutil
import sys
from pathlib import Path

import pytest

import statlearn
from rooms import CORE, LOADABLE

PACKAGE = Path(statlearn.__file__).parent
# pandas is absent from this list because scikit-learn itself loads it.
HEAVY = {"torch", "cvxpy", "statsmodels", "gymnasium", "matplotlib", "dask", "polars"}
# The only file that may import private names of scikit-learn.
PRIVATE_DOOR = PACKAGE / "utils" / "_sklearn.py"


def tops(modules):
    return {name.partition(".")[0] for name in modules}


def test_core_modules_load_no_heavy_package(import_core, modules_loaded):
    assert not HEAVY & tops(modules_loaded(import_core))


def test_bare_import_loads_only_the_standard_library(modules_loaded):
    new = modules_loaded("import statlearn") - modules_loaded("pass")
    assert "statlearn" in new
    assert tops(new) - {"statlearn"} <= set(sys.stdlib_module_names)


def test_bare_import_loads_at_most_twice_an_empty_interpreter(modules_loaded):
    assert len(modules_loaded("import statlearn")) <= 2 * len(modules_loaded("pass"))


# Loads each room in a child of its own of one interpreter, and says what it is.
LOAD_ROOMS = f"""
import os, sys
import sklearn.linear_model
import statlearn
print(len(sys.modules), flush=True)
for name in {CORE}:
    if os.fork() == 0:
        room = getattr(statlearn, name)
        print(room.__name__, len(sys.modules), flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.fixture(scope="module")
def loaded_rooms(run_python):
    """Modules of scikit-learn's subpackage alone, and with each room."""
    alone, *rooms = run_python(LOAD_ROOMS).splitlines()
    return int(alone), {name: int(n) for name, n in map(str.split, rooms)}


def test_rooms_are_attributes_of_the_package(loaded_rooms):
    assert list(loaded_rooms[1]) == [f"statlearn.{name}" for name in CORE]


@pytest.mark.parametrize("room", CORE)
def test_room_loads_hardly_more_than_a_scikit_learn_subpackage(room, loaded_rooms):
    alone, rooms = loaded_rooms
    assert rooms[f"statlearn.{room}"] <= 1.15 * alone


def test_every_public_subpackage_is_in_the_lazy_table():
    inside = {"tour", "utils"}
    found = {m.name for m in pkgutil.iter_modules(statlearn.__path__)}
    assert {n for n in found if not n.startswith("_")} - inside == {*statlearn.__all__}
    assert sorted(statlearn.__all__) == statlearn.__all__


@pytest.mark.parametrize("room", LOADABLE)
def test_public_names_of_a_room_exist(room):
    module = importlib.import_module(f"statlearn.{room}")
    assert len(set(module.__all__)) == len(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)


def test_dir_lists_rooms_and_version():
    assert {*statlearn.__all__, "__version__"} <= set(dir(statlearn))


def test_version_is_the_one_of_the_installed_package():
    assert statlearn.__version__ == importlib.metadata.version("statlearn")


def test_unknown_attribute_names_module_and_attribute():
    with pytest.raises(AttributeError, match=r"'statlearn' has no attribute 'oracle'"):
        _ = statlearn.oracle


def private_sklearn_imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "sklearn" and any(p.startswith("_") for p in parts):
                yield name


def test_private_names_of_scikit_learn_come_through_one_file():
    found = {
        path.relative_to(PACKAGE).as_posix(): names
        for path in PACKAGE.rglob("*.py")
        if path != PRIVATE_DOOR and (names := list(private_sklearn_imports(path)))
    }
    assert found == {}
