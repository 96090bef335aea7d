"""Import gate for packages that are heavy or not always installed."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


def require(name: str, extra: str | None, caller: str) -> ModuleType:
    """Import a module at the moment it is needed, or say how to install it.

    Parameters
    ----------
    name : str
        Module to import; may be dotted, as in ``"matplotlib.pyplot"``.
    extra : str or None
        Extra of statlearn that brings the package, ``None`` for a package that
        comes with a plain installation.
    caller : str
        What needs the package, as the user wrote it.

    Returns
    -------
    ModuleType
        The imported module.

    Raises
    ------
    ImportError
        If the module cannot be imported.

    Examples
    --------
    >>> from statlearn.utils._optional import require
    >>> require("math", None, "this example").sqrt(4.0)
    2.0
    """
    try:
        return import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        target = f"statlearn[{extra}]" if extra else package
        raise ImportError(
            f"{caller} needs the package '{package}'. Importing '{name}' failed: "
            f'{error}. Run: pip install "{target}"',
            name=package,
        ) from error
