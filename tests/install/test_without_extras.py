"""The core works where torch and matplotlib are not installed."""

from __future__ import annotations

BLOCK = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "matplotlib"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
"""

FIT = """
import numpy as np
from statlearn.ordinal import PrestoClassifier, presto_path

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 3))
y = np.digitize(X[:, 0] + rng.normal(size=60), [-0.7, 0.7])
"""


def test_every_core_module_imports(import_core, run_python):
    assert run_python(BLOCK + import_core + "print('done')") == "done\n"


def test_an_estimator_fits_and_predicts(run_python):
    code = BLOCK + FIT + "print(PrestoClassifier().fit(X, y).predict_proba(X).shape)"
    assert run_python(code) == "(60, 3)\n"


def test_a_plot_names_caller_package_and_extra(run_python):
    plot = """
from statlearn.ordinal import OrdinalPathDisplay
try:
    OrdinalPathDisplay.from_path(presto_path(X, y, n_alphas=3)).plot()
except ImportError as error:
    print(error)
"""
    message = run_python(BLOCK + FIT + plot)
    assert "OrdinalPathDisplay" in message
    assert "'matplotlib'" in message
    assert 'pip install "statlearn[plot]"' in message


def test_the_neural_room_names_caller_package_and_extra_when_imported(run_python):
    ask = """
import statlearn
assert "neural" in statlearn.__all__
try:
    import statlearn.neural
except ImportError as error:
    print(error, error.name)
"""
    message = run_python(BLOCK + ask)
    assert "statlearn.neural needs the package 'torch'" in message
    assert 'pip install "statlearn[neural]"' in message
    assert message.endswith(" torch\n")
