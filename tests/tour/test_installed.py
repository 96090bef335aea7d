from __future__ import annotations

import sys

from statlearn.tour._installed import installed


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name == "blocked_package":
            raise ModuleNotFoundError(name)


def test_a_package_that_is_there_is_found():
    assert installed("numpy")


def test_a_package_that_is_not_there_is_not_found():
    assert not installed("no_such_package_anywhere")


def test_a_package_whose_import_is_blocked_is_not_found(monkeypatch):
    monkeypatch.setattr(sys, "meta_path", [Blocker(), *sys.meta_path])
    assert not installed("blocked_package")
