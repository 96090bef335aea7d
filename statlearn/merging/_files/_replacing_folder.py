"""Folders of files that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Make a folder that appears at a path when all in it is on the disk.

    Parameters
    ----------
    path : Path
        Where nothing is yet, or an empty folder.

    Yields
    ------
    folder : Path
        Beside the path, under a hidden name, for files written with `synced`.
    """
    part = path.with_name(f".{path.name}.{uuid4().hex[:12]}.part")
    part.mkdir()
    try:
        yield part
        _sync_names(part)
        part.replace(path)
        _sync_names(path.parent)
    finally:
        if part.is_dir():
            shutil.rmtree(part)


def _sync_names(folder: Path) -> None:
    """Put the names in a folder on the disk, where systems can be asked to."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
