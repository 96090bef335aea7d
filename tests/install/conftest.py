"""A fresh interpreter, for tests on what an import does."""

from __future__ import annotations

import subprocess
import sys

import pytest

# `toy_environments` subclasses what it imports; its room loads it at first use.
IMPORT_CORE = """
import importlib, pathlib, statlearn
package = pathlib.Path(statlearn.__file__).parent
files = [path.relative_to(package.parent) for path in package.rglob("*.py")]
names = [".".join(file.with_suffix("").parts) for file in files]
core = [
    name.removesuffix(".__init__")
    for name in names
    if not name.startswith(("statlearn.neural.", "statlearn.__main__"))
    and name != "statlearn.offline_rl.toy_environments"
]
assert {"statlearn.ordinal", "statlearn.weights"} <= set(core)
for name in core:
    importlib.import_module(name)
"""


@pytest.fixture(scope="session")
def run_python():
    """Run code in a new isolated interpreter and return what it prints."""

    def run(code: str) -> str:
        done = subprocess.run(
            [sys.executable, "-I", "-c", code],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def modules_loaded(run_python):
    """Names of all modules that are loaded after running code."""

    def modules(code: str) -> set[str]:
        return set(run_python(f"{code}\nimport sys\nprint(*sys.modules)").split())

    return modules


@pytest.fixture(scope="session")
def import_core():
    """Code that imports every module that has to work without torch."""
    return IMPORT_CORE
