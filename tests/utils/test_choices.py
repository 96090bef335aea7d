from __future__ import annotations

import re

import numpy as np
import pytest

from statlearn.utils._choices import nearest_name, one_of, plain_name


def test_choices_come_back_as_given():
    for value in ("hard", np.str_("soft"), None):
        assert one_of(value, ("hard", "soft", None), "mode", "it") is value
    assert one_of(2, (1, 2), "order", "it") == 2
    assert one_of(False, (True, False), "flag", "it") is False


def test_another_word_is_refused_with_all_choices():
    text = (
        "The 'mode' of it must be one of ['hard', 'soft']. Got 'x'; pass one of them."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        one_of("x", ("hard", "soft"), "mode", "it")
    with pytest.raises(ValueError, match=r"Got 'sof'; did you mean 'soft'\?$"):
        one_of("sof", {"hard": 1, "soft": 2}, "mode", "it")
    with pytest.raises(ValueError, match=r"Got 'sof'; pass 'hard'\.$"):
        one_of("sof", ("hard", "soft"), "mode", "it", "pass 'hard'")


@pytest.mark.parametrize(
    "value", [None, 1, True, ["hard"], np.array(["hard"]), {}], ids=range(6)
)
def test_another_kind_is_refused(value):
    with pytest.raises(TypeError, match="'mode' of it must be one of"):
        one_of(value, ("hard", "soft"), "mode", "it")


def test_true_is_not_the_choice_one():
    with pytest.raises(TypeError, match=r"one of \[1, 2\]. Got True; pass one of them"):
        one_of(True, (1, 2), "order", "it")


@pytest.mark.parametrize("name", ["KL-Tilt", "kl_tilt", "KLTilt", "kl tilt"])
def test_one_name_is_written_in_many_ways(name):
    assert plain_name(name) == "kltilt"


def test_nearest_name_is_given_as_it_is_known():
    known = ["r-tsvm", "Karcher", "ties"]
    assert nearest_name("karchr", known) == "did you mean 'Karcher'?"
    assert nearest_name("RTSVM", known) == "did you mean 'r-tsvm'?"
    for name in ("zzz", "", None, 3):
        assert nearest_name(name, known) == "pass one of them."
