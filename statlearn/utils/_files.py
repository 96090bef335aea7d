"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from uuid import uuid4


def check_target(
    path: str | os.PathLike[str], caller: str, *, overwrite: bool = True
) -> Path:
    """Return where a file is to be written, or say before any work why it cannot be.

    Parameters
    ----------
    path : path-like
        Of a file, in a folder that exists.
    caller : str
        What writes it, for messages.
    overwrite : bool, default=True
        Whether it may take the place of a file.

    Returns
    -------
    target : Path

    Raises
    ------
    TypeError
        If it is no path.
    FileNotFoundError
        If there is no such folder.
    FileExistsError
        If a folder is there, or a file that is to stay.
    """
    try:
        target = Path(path)
    except TypeError:
        raise TypeError(
            f"The 'path' of {caller} must be the name of a file. Got "
            f"{type(path).__name__}; pass a str or a Path."
        ) from None
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"The 'path' of {caller} must lie in a folder that exists. Got "
            f"{str(target)!r}; make {str(target.parent)!r} first, or choose another."
        )
    if target.is_dir() or (target.exists() and not overwrite):
        kind = "a folder" if target.is_dir() else "a file that is there already"
        raise FileExistsError(
            f"The 'path' of {caller} must be the name of a new file. Got "
            f"{str(target)!r}, {kind}; choose another name, or remove it."
        )
    return target


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that takes the place of another one when all has been written.

    Parameters
    ----------
    path : Path
        In a folder that exists. After an error it holds what it held before.

    Yields
    ------
    file : binary file
        Beside the path, under a hidden name.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from statlearn.utils._files import replacing
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "page") as file:
    ...         written = file.write(b"whole")
    ...     (Path(folder) / "page").read_bytes(), len(list(Path(folder).iterdir()))
    (b'whole', 1)
    """
    part = path.with_name(f".{path.name}.{uuid4().hex[:12]}.part")
    try:
        with synced(part) as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def synced(path: Path) -> Iterator[IO[bytes]]:
    """Open a new file whose bytes are on the disk at the end."""
    with path.open("xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
