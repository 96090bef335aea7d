"""A folder of sections next to the real ones, as a later method would add them."""

from __future__ import annotations

import sys
from textwrap import dedent

import pytest

import statlearn.tour
from statlearn.tour import Section, SectionResult

SECTION = """
from statlearn.tour import Figure, Section, SectionResult, Table


def draw(canvas):
    axes = canvas.subplots()
    axes.plot([0, 1], [0, 1], label="up & down")
    axes.set_xlabel("time")


def run(progress):
    total = sum(progress.track(range(4), "adding"))
    with progress.step("resting"):
        pass
    return SectionResult(
        data="four <numbers>",
        measured=f"sum {total}",
        peer="mental arithmetic",
        supported=total == 6,
        tables=(Table("Sums & more", ("n", "sum"), (("4", "6"), ("5", "10"))),),
        figures=(Figure("A line", "It rises <always>.", "Look right.", draw),),
        notes=("One note.",),
    )


SECTION = Section(
    name="adder",
    method="Adding & more",
    classes=("builtins.sum",),
    paper="Anon., On sums, 1900",
    status="experimental",
    claim="0 + 1 + 2 + 3 = 6",
    run=run,
)
"""


@pytest.fixture
def add_section(tmp_path, monkeypatch):
    """Put a file into the folder of the sections for the time of a test."""
    folder = tmp_path / "sections"
    folder.mkdir()
    path = [*statlearn.tour.__path__, str(folder)]
    monkeypatch.setattr(statlearn.tour, "__path__", path)
    added = []

    def add(module, text=SECTION):
        (folder / f"{module}.py").write_text(dedent(text), encoding="utf-8")
        added.append(module)

    yield add
    for module in added:
        sys.modules.pop(f"statlearn.tour.{module}", None)
        vars(statlearn.tour).pop(module, None)


@pytest.fixture
def make_section():
    """Build a section around a function."""

    def make(run=None, **changes):
        fields = {
            "name": "fake",
            "method": "Fake",
            "classes": ("a.B",),
            "paper": "Nobody, 2000",
            "status": "stable",
            "claim": "It works.",
            "run": run or (lambda progress: SectionResult("data", "number", "peer")),
        }
        return Section(**{**fields, **changes})

    return make
