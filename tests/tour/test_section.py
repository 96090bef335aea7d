from __future__ import annotations

import dataclasses

import pytest

from statlearn.tour import Table
from statlearn.tour._section import say_claims


def test_a_section_is_frozen(make_section):
    section = make_section()
    with pytest.raises(dataclasses.FrozenInstanceError):
        section.name = "other"


def test_a_section_describes_itself_without_its_work(make_section):
    described = make_section().describe()
    assert described["classes"] == ["a.B"]
    assert "run" not in described


@pytest.mark.parametrize("name", ["", "Presto", "two words", "1st", "a-b"])
def test_a_name_unfit_for_the_command_line_is_refused(make_section, name):
    with pytest.raises(ValueError, match=r"'name' parameter.*Got .*; pass"):
        make_section(name=name)


def test_an_unknown_status_is_refused(make_section):
    with pytest.raises(ValueError, match=r"'status'.*stable.*Got 'new'; pass"):
        make_section(status="new")


def test_a_ragged_table_is_refused():
    with pytest.raises(ValueError, match=r"'rows'.*2 cells.*Got rows of \[3\] cells"):
        Table("Ragged", ("a", "b"), (("1", "2"), ("1", "2", "3")))


def test_claims_that_do_not_hold_are_named():
    assert say_claims({"a": True, "b": True}) == "2 of 2 claims hold."
    told = say_claims({"a": True, "b": False, "c": False})
    assert told == "1 of 3 claims hold; not: b, c."
