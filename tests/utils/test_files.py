from __future__ import annotations

from pathlib import Path

import pytest

from statlearn.utils._files import check_target, replacing


def test_file_takes_the_place_of_the_one_before(tmp_path):
    path = tmp_path / "state"
    path.write_bytes(b"before")
    with replacing(path) as file:
        file.write(b"after")
        assert path.read_bytes() == b"before"
    assert path.read_bytes() == b"after"
    assert list(tmp_path.iterdir()) == [path]


def write_half(path, error):
    with replacing(path) as file:
        file.write(b"half")
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_file_is_as_it_was_after_an_error(tmp_path, error):
    path = tmp_path / "state"
    path.write_bytes(b"before")
    with pytest.raises(error):
        write_half(path, error)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


# ------------------------------------------------------------------ before writing
def test_target_is_a_path_in_a_folder(tmp_path, monkeypatch):
    (tmp_path / "old").write_bytes(b"")
    for name in ("new", "old"):
        assert check_target(str(tmp_path / name), "it") == tmp_path / name
    assert check_target(tmp_path / "new", "it", overwrite=False) == tmp_path / "new"
    monkeypatch.chdir(tmp_path)
    assert check_target("new", "it") == Path("new")


def test_missing_folder_is_refused(tmp_path):
    message = r"The 'path' of it must lie in a folder that exists. Got '.*state'; make"
    with pytest.raises(FileNotFoundError, match=message):
        check_target(tmp_path / "no" / "state", "it")
    assert list(tmp_path.iterdir()) == []


def test_file_as_a_folder_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match="must lie in a folder that exists"):
        check_target(tmp_path / "file" / "state", "it")


def test_what_is_to_stay_is_refused(tmp_path):
    path = tmp_path / "state"
    path.write_bytes(b"before")
    with pytest.raises(FileExistsError, match="state', a file that is there already;"):
        check_target(path, "it", overwrite=False)
    with pytest.raises(FileExistsError, match=r"of a new file. Got .*, a folder;"):
        check_target(tmp_path, "it")


@pytest.mark.parametrize("path", [None, 3, b"state"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(TypeError, match="'path' of it must be the name of a file"):
        check_target(path, "it")
