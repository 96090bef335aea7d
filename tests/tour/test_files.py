from __future__ import annotations

import os
from pathlib import Path

import pytest

from statlearn.tour import _files
from statlearn.tour._files import check_output, write_atomically


def test_a_file_in_an_existing_folder_is_fine(tmp_path):
    assert check_output(tmp_path / "tour.html") == tmp_path / "tour.html"


def test_the_home_folder_is_understood(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert check_output(Path("~/tour.html")) == tmp_path / "tour.html"


def test_a_missing_folder_is_refused_with_advice(tmp_path):
    with pytest.raises(ValueError, match=r"--output.*existing.*Got .*; create it"):
        check_output(tmp_path / "none" / "tour.html")


def test_a_folder_instead_of_a_file_is_refused_with_advice(tmp_path):
    with pytest.raises(ValueError, match=r"--output.*a file\. Got the folder .*; add"):
        check_output(tmp_path)


def test_a_folder_that_may_not_be_written_is_refused(tmp_path, monkeypatch):
    # The mode of the folder would not stop a superuser.
    monkeypatch.setattr(_files.os, "access", lambda path, mode: False)
    with pytest.raises(ValueError, match=r"--output.*may write to\. Got .*; choose"):
        check_output(tmp_path / "tour.html")


def test_an_older_page_is_replaced(tmp_path):
    target = tmp_path / "tour.html"
    target.write_text("old", encoding="utf-8")
    write_atomically(target, "new: λ")
    assert target.read_text(encoding="utf-8") == "new: λ"
    assert os.listdir(tmp_path) == ["tour.html"]


def test_a_failed_write_leaves_the_older_page_and_no_rest(tmp_path, monkeypatch):
    target = tmp_path / "tour.html"
    target.write_text("old", encoding="utf-8")

    def fail(self, other):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(target, "new")
    assert target.read_text(encoding="utf-8") == "old"
    assert os.listdir(tmp_path) == ["tour.html"]
