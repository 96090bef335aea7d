"""What a built distribution contains."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory):
    """Names of the files in a wheel that is built from the source tree."""
    target = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation"]
    done = subprocess.run(
        [*build, "--outdir", str(target), str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = target.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_wheel_holds_every_file_of_the_package(wheel_names):
    sources = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "statlearn").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert "statlearn/py.typed" in sources
    assert sources <= wheel_names


def test_wheel_holds_nothing_but_the_package(wheel_names):
    folders = {name.split("/")[0] for name in wheel_names}
    (metadata,) = folders - {"statlearn"}
    assert metadata.endswith(".dist-info")
    assert f"{metadata}/licenses/LICENSE" in wheel_names
