"""Find the sections: one module each, no list to keep."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence

from statlearn.tour._section import Progress, Section, SectionResult, UsageError


def discover(package: str = "statlearn.tour") -> tuple[Section, ...]:
    """Return the sections of a package, sorted by name.

    A module that cannot be imported, or that holds no section, becomes a section that
    fails when it runs: one bad file must not hide the others.
    """
    path = importlib.import_module(package).__path__
    modules = sorted(
        info.name
        for info in pkgutil.iter_modules(path)
        if not info.name.startswith("_")
    )
    sections = [_load(package, module) for module in modules]
    return tuple(sorted(sections, key=lambda section: section.name))


def select(sections: Sequence[Section], names: Sequence[str]) -> tuple[Section, ...]:
    """Return the named sections, in the order of the list; no name means all."""
    known = {section.name for section in sections}
    unknown = sorted(set(names) - known)
    if unknown:
        raise UsageError(
            f"The option --only must name a section: {', '.join(sorted(known))}. "
            f"Got {', '.join(unknown)}; `python -m statlearn methods` lists them."
        )
    return tuple(s for s in sections if not names or s.name in names)


def _load(package: str, module: str) -> Section:
    """Import one module and take its section, or a stand-in that reports the fault."""
    try:
        section = importlib.import_module(f"{package}.{module}").SECTION
    except Exception as error:
        return _broken(module, error)
    if isinstance(section, Section):
        return section
    found = type(section).__name__
    return _broken(
        module,
        TypeError(
            f"The name SECTION in {package}.{module} must be a Section. "
            f"Got {found}; build it with statlearn.tour.Section."
        ),
    )


def _broken(module: str, error: Exception) -> Section:
    """Section that raises the fault of its module when it runs."""

    def run(progress: Progress) -> SectionResult:
        raise error

    name = "".join(c if c.isalnum() else "_" for c in module.lower()).strip("_")
    return Section(
        name=name if name[:1].isalpha() else f"section_{name}",
        method=f"{module} (could not be loaded)",
        classes=(),
        paper="",
        status="experimental",
        claim="",
        run=run,
    )
