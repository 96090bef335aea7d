"""Trajectories on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from statlearn.offline_rl import TrajectoryDataset
from trajectory_cases import REWARDS, STARTS, dataset_of, four


@pytest.mark.parametrize("mmap", [True, False])
def test_what_was_saved_is_loaded(tmp_path, mmap):
    dataset = dataset_of(REWARDS, STARTS, tail_rewards=[0.0, 1.0, 0.0, 0.0])
    dataset.save(tmp_path / "new" / "data")
    loaded = TrajectoryDataset.load(str(tmp_path / "new" / "data"), mmap=mmap)
    assert loaded == dataset
    assert isinstance(loaded.observations, np.memmap) == mmap
    assert loaded.observations.dtype == dataset.observations.dtype


def test_mapped_data_can_replace_itself(tmp_path):
    path = tmp_path / "data"
    four().save(path)
    loaded = TrajectoryDataset.load(path)
    loaded.subset([3, 0]).save(path, overwrite=True)
    assert TrajectoryDataset.load(path) == four().subset([3, 0])
    loaded.save(path, overwrite=True)
    assert TrajectoryDataset.load(path) == four()
    assert [entry.name for entry in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("when", ["writing", "renaming"])
def test_interrupted_save_leaves_what_was_there(tmp_path, monkeypatch, exists, when):
    path = tmp_path / "data"
    if exists:
        four().save(path)
    rename, save, calls = Path.rename, np.save, []

    def fail_to_rename(self, target):
        if target == path and not calls:
            calls.append(target)
            raise OSError("no space")
        return rename(self, target)

    def fail_to_write(file, values, **options):
        calls.append(values)
        if len(calls) == 3:
            raise OSError("no space")
        save(file, values, **options)

    if when == "writing":
        monkeypatch.setattr(np, "save", fail_to_write)
    else:
        monkeypatch.setattr(Path, "rename", fail_to_rename)
    with pytest.raises(OSError, match="no space"):
        four().subset([0]).save(path, overwrite=True)
    monkeypatch.undo()
    assert [entry.name for entry in tmp_path.iterdir()] == ["data"] * exists
    if exists:
        assert TrajectoryDataset.load(path) == four()


def test_nothing_is_replaced_unasked(tmp_path):
    four().save(tmp_path / "data")
    with pytest.raises(FileExistsError, match="pass overwrite=True to replace it"):
        four().save(tmp_path / "data")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    for path in (tmp_path / "other", tmp_path / "other" / "thesis.tex"):
        with pytest.raises(FileExistsError, match="which is no saved dataset"):
            four().save(path, overwrite=True)
    assert (tmp_path / "other" / "thesis.tex").exists()


def test_what_is_no_data_set_is_refused(tmp_path):
    load = TrajectoryDataset.load
    with pytest.raises(FileNotFoundError, match="which does not exist"):
        load(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="cannot be read"):
        load(tmp_path)
    path = tmp_path / "data"
    four().save(path)
    (path / "dataset.json").write_text(json.dumps({"format": "other"}))
    with pytest.raises(ValueError, match="tells of another format"):
        load(path)


def test_pickle_is_never_read(tmp_path):
    path = tmp_path / "data"
    four().save(path)
    np.save(path / "rewards.npy", np.array([{}] * 10), allow_pickle=True)
    with pytest.raises(ValueError, match="cannot be read"):
        TrajectoryDataset.load(path)
