from __future__ import annotations

import pytest

from statlearn.utils._files import replacing


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
