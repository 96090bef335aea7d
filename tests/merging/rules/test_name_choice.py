from __future__ import annotations

import pytest

from statlearn.merging._rules._name_choice import grouped, keeper

NAMES = ["W0", "b0", "W1"]


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (None, None, NAMES),
        ("W*", None, ["W0", "W1"]),
        (None, ["b*", "W1"], ["W0"]),
        (["W?", "b0"], "*0", ["W1"]),
    ],
)
def test_names_are_kept_if_they_are_included_and_not_excluded(
    include, exclude, expected
):
    keep = keeper(NAMES, include, exclude, "f")
    assert [name for name in NAMES if keep(name)] == expected


def test_pattern_may_match_any_known_name():
    keep = keeper([*NAMES, "head"], None, "head", "f")
    assert all(map(keep, NAMES))
    with pytest.raises(ValueError, match="Got 'head' and arrays"):
        keeper(NAMES, None, "head", "f")


@pytest.mark.parametrize("name", ["include", "exclude"])
@pytest.mark.parametrize("patterns", [3, [3], [None]])
def test_patterns_are_words(name, patterns):
    with pytest.raises(TypeError, match=rf"'{name}' of f must be a word"):
        keeper(NAMES, **{"include": None, "exclude": None, name: patterns}, caller="f")


def test_first_pattern_takes_a_name():
    found = grouped(NAMES, {"W0": {"scale": 0.0}, "W*": {"scale": 2.0}}, "f")
    assert found == [
        (["W0"], {"scale": 0.0}),
        (["W1"], {"scale": 2.0}),
        (["b0"], {}),
    ]
    assert grouped(NAMES, None, "f") == [(NAMES, {})]


@pytest.mark.parametrize("overrides", [{"b*": "ties"}, ["b*"], "b*", {"b*": None}])
def test_overrides_map_patterns_to_mappings(overrides):
    with pytest.raises(TypeError, match=r"mapping of parameters. Got .*; pass for"):
        grouped(NAMES, overrides, "f")
