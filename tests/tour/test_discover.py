from __future__ import annotations

import pytest

from statlearn.tour._discover import discover, select
from statlearn.tour._progress import SilentProgress


def run_by_name(name):
    section = select(discover(), [name])[0]
    return section.run(SilentProgress())


def test_the_sections_of_the_package_are_found_in_order():
    names = [section.name for section in discover()]
    assert {"ordinal_regression", "presto"} <= set(names)
    assert names == sorted(names)


def test_one_new_file_is_one_new_section(add_section):
    before = len(discover())
    add_section("adder")
    assert len(discover()) == before + 1
    assert run_by_name("adder").measured == "sum 6"


def test_a_file_with_an_underscore_is_no_section(add_section):
    before = discover()
    add_section("_helper")
    assert [s.name for s in discover()] == [s.name for s in before]


def test_a_file_that_cannot_be_imported_fails_when_it_runs(add_section):
    add_section("crooked", "import no_such_package_anywhere")
    with pytest.raises(ModuleNotFoundError, match="no_such_package_anywhere"):
        run_by_name("crooked")


def test_a_file_without_a_section_fails_when_it_runs(add_section):
    add_section("hollow", "SECTION = 'soon'")
    with pytest.raises(TypeError, match=r"SECTION in .*hollow.*Got str; build"):
        run_by_name("hollow")


def test_a_broken_file_with_an_odd_name_still_gets_a_name(add_section):
    add_section("2fast", "raise RuntimeError")
    assert "section_2fast" in [section.name for section in discover()]


def test_no_name_selects_everything(make_section):
    sections = [make_section(name="a"), make_section(name="b")]
    assert select(sections, []) == tuple(sections)
    assert select(sections, ["b"]) == (sections[1],)


def test_an_unknown_name_is_refused_with_the_known_ones(make_section):
    with pytest.raises(ValueError, match=r"--only.*: fake\. Got fke; `python"):
        select([make_section()], ["fke"])
