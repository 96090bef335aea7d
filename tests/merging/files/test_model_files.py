from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors
import safetensors.numpy

from statlearn.merging import open_weights, save_weights
from statlearn.merging._files._model_files import shard_size

STATE = {name: np.full(5, float(i)) for i, name in enumerate("cabde")}
INDEX = "model.safetensors.index.json"


def files(folder):
    return sorted(file.name for file in folder.iterdir())


def shards(folder, size=80):
    save_weights(folder / "model", STATE, max_shard_size=size)
    return folder / "model"


def change_index(folder, **places):
    index = json.loads((folder / INDEX).read_text())
    index["weight_map"] |= places
    (folder / INDEX).write_text(json.dumps(index))


# --- folders of files --------------------------------------------------------


def test_folder_has_files_up_to_a_size_and_an_index(tmp_path):
    folder = shards(tmp_path)
    names = [f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)]
    assert files(folder) == [*names, INDEX]
    index = json.loads((folder / INDEX).read_text())
    assert index["metadata"] == {"total_size": 5 * 40}
    assert index["weight_map"] == dict(
        zip("cabde", [names[0]] * 2 + [names[1]] * 2 + [names[2]], strict=True)
    )
    # A library finds each array in the file that the index tells.
    for name, file in index["weight_map"].items():
        with safetensors.safe_open(folder / file, "np") as stored:
            np.testing.assert_array_equal(stored.get_tensor(name), STATE[name])


@pytest.mark.parametrize(
    ("size", "n_files"), [(1, 5), (40, 5), (79, 5), (80, 3), (199, 2), (200, 1)]
)
def test_files_hold_one_array_at_least(size, n_files, tmp_path):
    stored = open_weights(shards(tmp_path, size))
    assert len(stored.files) == n_files
    for name, array in STATE.items():
        np.testing.assert_array_equal(stored[name], array)


def test_folder_for_one_file_needs_no_index(tmp_path):
    save_weights(tmp_path / "model", STATE)
    assert files(tmp_path / "model") == ["model.safetensors"]


def test_files_of_a_package_are_a_model_together(tmp_path):
    safetensors.numpy.save_file({"a": np.zeros(2)}, tmp_path / "1.safetensors")
    safetensors.numpy.save_file({"b": np.ones(3)}, tmp_path / "2.safetensors")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "._1.safetensors").write_bytes(b"left by a file manager")
    assert set(open_weights(tmp_path)) == {"a", "b"}


def test_name_in_two_files_is_refused(tmp_path):
    safetensors.numpy.save_file({"a": np.zeros(2)}, tmp_path / "1.safetensors")
    safetensors.numpy.save_file({"a": np.ones(3)}, tmp_path / "2.safetensors")
    match = r"in one file\. Got 'a' in '1\.safetensors' and '2\.safetensors'"
    with pytest.raises(ValueError, match=match):
        open_weights(tmp_path)


# --- indices -----------------------------------------------------------------


def test_files_beside_those_of_the_index_are_left_out(tmp_path):
    folder = shards(tmp_path)
    save_weights(folder / "consolidated.safetensors", STATE)
    assert open_weights(folder).keys() == STATE.keys()


def test_missing_file_of_the_index_is_told(tmp_path):
    folder = shards(tmp_path)
    (folder / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"without 'model-00002-of"):
        open_weights(folder)


def test_array_that_is_not_where_the_index_says_is_told(tmp_path):
    folder = shards(tmp_path)
    change_index(folder, c="model-00003-of-00003.safetensors")
    with pytest.raises(ValueError, match=r"Got 'c', which is not in 'model-00003"):
        open_weights(folder)
    change_index(
        folder,
        c="model-00001-of-00003.safetensors",
        z="model-00001-of-00003.safetensors",
    )
    with pytest.raises(ValueError, match="Got 'z', which is not in"):
        open_weights(folder)


@pytest.mark.parametrize(
    "place", ["../x.safetensors", "/x.safetensors", "model.bin", "", None, 3]
)
def test_index_does_not_lead_out_of_its_folder(place, tmp_path):
    folder = shards(tmp_path)
    save_weights(tmp_path / "x.safetensors", {"secret": np.zeros(1)})
    change_index(folder, secret=place)
    with pytest.raises(ValueError, match="The index of a folder must be JSON"):
        open_weights(folder)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "[" * 100_000, '{"weight_map": 3}', "\ufffe"]
)
def test_spoilt_index_is_refused(text, tmp_path):
    folder = shards(tmp_path)
    (folder / INDEX).write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=rf"Got '{INDEX}' with another content"):
        open_weights(folder)


# --- targets -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "size"),
    [
        ("5GB", 5_000_000_000),
        ("5GiB", 5 * 1024**3),
        ("200MB", 200_000_000),
        ("1.5 kb", 1500),
        ("2KiB", 2048),
        ("1TB", 10**12),
    ],
)
def test_sizes_in_words_are_those_of_the_units(words, size):
    assert shard_size(words, "model", "f") == size


def test_size_in_words_cuts_files_like_its_bytes(tmp_path):
    folder = shards(tmp_path, "0.08 KB")
    assert len(files(folder)) == 3 + 1


@pytest.mark.parametrize("size", ["5", "GB", "5 XB", "-5GB", "5G", "", "1e3MB"])
def test_words_that_are_no_size_are_refused(size, tmp_path):
    with pytest.raises(ValueError, match=r"with a unit of KB, .* Got .*; pass for"):
        save_weights(tmp_path / "model", STATE, max_shard_size=size)
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    "size",
    [0, -5, 1.5, "0.0001KB", np.nan],
    ids=["0", "-5", "1.5", "less than a byte", "nan"],
)
def test_size_of_files_that_cannot_be_is_refused(size, tmp_path):
    with pytest.raises(ValueError, match="must be a positive whole number of bytes"):
        save_weights(tmp_path / "model", STATE, max_shard_size=size)
    assert files(tmp_path) == []


def test_size_for_a_single_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"Got 10 for 'x\.safetensors'"):
        save_weights(tmp_path / "x.safetensors", STATE, max_shard_size=10)


@pytest.mark.parametrize("name", ["model", "x.safetensors"])
def test_folder_that_exists_is_refused_and_left_alone(name, tmp_path):
    (tmp_path / name).mkdir()
    (tmp_path / name / "other.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="which exists; remove it or choose"):
        save_weights(tmp_path / name, STATE)
    assert files(tmp_path) == [name]
    assert files(tmp_path / name) == ["other.txt"]


@pytest.mark.parametrize(
    "name", ["y.bin", "y.pt", "y.npz", "y.h5", "y.SafeTensors", "y.safetensors.gz"]
)
def test_names_of_other_files_are_refused(name, tmp_path):
    with pytest.raises(
        ValueError, match=r"end the name in \.safetensors, or leave out"
    ):
        save_weights(tmp_path / name, STATE)
    assert files(tmp_path) == []


@pytest.mark.parametrize("name", ["model", "model-1.5", "Model-3.1-8B", ".hidden"])
def test_names_of_folders_may_have_dots(name, tmp_path):
    save_weights(tmp_path / name, STATE)
    assert files(tmp_path / name) == ["model.safetensors"]


def test_file_of_another_name_is_not_replaced(tmp_path):
    (tmp_path / "model").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        save_weights(tmp_path / "model", STATE)
    assert (tmp_path / "model").read_bytes() == b"mine"


def test_file_is_replaced_when_the_new_one_is_there(tmp_path):
    path = tmp_path / "x.safetensors"
    save_weights(path, {"a": np.zeros(3)})
    before = path.read_bytes()
    with pytest.raises(TypeError, match="real numbers"):
        save_weights(path, {"a": np.ones(3), "b": np.ones(2, complex)})
    assert path.read_bytes() == before
    save_weights(path, {"a": np.ones(3)})
    np.testing.assert_array_equal(open_weights(path)["a"], 1.0)
    assert files(tmp_path) == ["x.safetensors"]


def test_folder_around_that_does_not_exist_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="into a folder that exists"):
        save_weights(tmp_path / "no" / "x.safetensors", STATE)
