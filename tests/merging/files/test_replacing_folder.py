from __future__ import annotations

import os

import numpy as np
import pytest

from statlearn.merging import open_weights, save_weights
from statlearn.merging._files._replacing_folder import replacing_folder
from statlearn.utils._files import synced


def names(folder):
    return sorted(place.name for place in folder.iterdir())


def watch_syncs(monkeypatch, look):
    """Return a list of what `look` sees at each sync."""
    seen, real = [], os.fsync

    def fsync(handle):
        real(handle)
        seen.append(look())

    monkeypatch.setattr(os, "fsync", fsync)
    return seen


def test_folder_appears_when_all_in_it_is_on_the_disk(tmp_path, monkeypatch):
    target = tmp_path / "model"
    seen = watch_syncs(monkeypatch, target.exists)
    with replacing_folder(target) as folder:
        assert folder.parent == tmp_path
        for name in "ab":
            with synced(folder / name) as file:
                file.write(name.encode())
        assert not target.exists()
    assert names(target) == ["a", "b"]
    assert (target / "b").read_bytes() == b"b"
    # Two files and their names before, the name of the folder behind.
    assert seen == ([False] * 3 + [True] if os.name == "posix" else [False] * 2)


def test_failure_leaves_nothing_behind(tmp_path):
    def write():
        with (
            replacing_folder(tmp_path / "model") as folder,
            synced(folder / "a") as file,
        ):
            file.write(b"half")
            raise RuntimeError("full")

    with pytest.raises(RuntimeError, match="full"):
        write()
    assert names(tmp_path) == []


def test_folder_that_came_between_is_left_alone(tmp_path):
    target = tmp_path / "model"

    def write():
        with replacing_folder(target):
            target.mkdir()
            (target / "mine").write_bytes(b"")

    with pytest.raises(OSError, match="model"):
        write()
    assert names(tmp_path) == ["model"]
    assert names(target) == ["mine"]


def test_file_is_no_second_one_of_its_name(tmp_path):
    with synced(tmp_path / "a") as file:
        file.write(b"first")
    with pytest.raises(FileExistsError), synced(tmp_path / "a"):
        pass


def test_weights_are_on_the_disk_before_old_ones_go(tmp_path, monkeypatch):
    path = tmp_path / "x.safetensors"
    save_weights(path, {"a": np.zeros(3)})
    seen = watch_syncs(monkeypatch, lambda: open_weights(path)["a"].sum())
    save_weights(path, {"a": np.ones(3)})
    assert seen[0] == 0.0
    assert open_weights(path)["a"].sum() == 3.0


def test_each_file_and_the_index_of_a_model_are_synced(tmp_path, monkeypatch):
    target = tmp_path / "model"
    seen = watch_syncs(monkeypatch, target.exists)
    save_weights(target, {"a": np.zeros(3), "b": np.ones(3)}, max_shard_size=24)
    assert len(names(target)) == 3
    assert seen.count(False) == 3 + (os.name == "posix")
