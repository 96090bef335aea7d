"""The tour: every method of the package on real data, in one page.

A section is one file of this folder whose name has no leading underscore and which
holds a :class:`Section` named ``SECTION``. It is found by its presence. The file must
import nothing heavy at its top, because the list of methods reads every section.
"""

from __future__ import annotations

from statlearn.tour._section import Figure, Progress, Section, SectionResult, Table

__all__ = ["Figure", "Progress", "Section", "SectionResult", "Table"]
