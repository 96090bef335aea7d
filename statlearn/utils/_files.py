"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from uuid import uuid4


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
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
