from __future__ import annotations

import math
import sys

import pytest

from statlearn.utils._optional import require


def test_an_installed_module_is_returned():
    assert require("math", None, "the test") is math


def test_a_dotted_name_gives_the_submodule():
    assert require("os.path", None, "the test").join("a", "b")


def test_missing_package_names_caller_package_and_extra(monkeypatch):
    for name in ("matplotlib", "matplotlib.pyplot"):
        monkeypatch.setitem(sys.modules, name, None)
    wanted = (
        r"OrdinalPathDisplay\.plot needs the package 'matplotlib'\. "
        r"Importing 'matplotlib\.pyplot' failed: .*\. "
        r'Run: pip install "statlearn\[plot\]"'
    )
    with pytest.raises(ImportError, match=wanted) as caught:
        require("matplotlib.pyplot", "plot", "OrdinalPathDisplay.plot")
    assert caught.value.name == "matplotlib"


def test_package_without_an_extra_is_named_itself():
    with pytest.raises(ImportError, match=r'pip install "no_such_package"'):
        require("no_such_package.inner", None, "the test")
