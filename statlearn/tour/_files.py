"""Where the page goes: checked before any work, written in one move."""

from __future__ import annotations

import os
from pathlib import Path

from statlearn.tour._section import UsageError
from statlearn.utils._files import replacing


def check_output(path: Path) -> Path:
    """Return the place of the page, or say why nothing can be written there."""
    target = Path(path).expanduser()
    folder = target.parent
    if target.is_dir():
        raise UsageError(
            "The option --output must be a file. "
            f"Got the folder {str(path)!r}; add a file name, such as "
            f"{str(target / 'tour.html')!r}."
        )
    if not folder.is_dir():
        raise UsageError(
            "The option --output must lie in an existing folder. "
            f"Got {str(path)!r}, but there is no folder {str(folder)!r}; create it "
            "first or choose another."
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(
            "The option --output must lie in a folder that you may write to. "
            f"Got {str(path)!r}; choose another folder."
        )
    return target


def write_atomically(path: Path, text: str) -> None:
    """Write the whole text or nothing: a reader never meets half a page."""
    with replacing(path) as file:
        file.write(text.encode("utf-8"))
