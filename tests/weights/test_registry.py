"""Rules by name."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from statlearn.weights import (
    Chain,
    Chi2Ball,
    ClipRatio,
    GemanMcClure,
    Huber,
    InverseFrequency,
    KLTilt,
    LinUpper,
    WeightingRule,
    get_rule,
    list_rules,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("linupper", LinUpper),
        ("LinUpper", LinUpper),
        ("lin_upper", LinUpper),
        ("LIN-UPPER", LinUpper),
        ("kl_tilt", KLTilt),
        ("geman-mcclure", GemanMcClure),
        ("inverse frequency", InverseFrequency),
        ("chi2_ball", Chi2Ball),
        ("clipratio", ClipRatio),
    ],
)
def test_a_name_gives_a_rule_with_its_defaults(name, expected):
    rule = get_rule(name)
    assert type(rule) is expected
    assert rule.get_params() == expected().get_params()


def test_each_call_makes_another_rule():
    assert get_rule("huber") is not get_rule("huber")


def test_every_listed_name_gives_a_rule_of_that_kind():
    names = list_rules()
    assert list(names) == ["loss", "residual", "group", "weight"]
    for kind, listed in names.items():
        assert listed == sorted(listed)
        assert listed
        for name in listed:
            assert get_rule(name).evidence_kind == kind


def test_rules_that_cannot_do_without_arguments_have_no_name():
    listed = {name for names in list_rules().values() for name in names}
    assert not {"chain", "weightingrule", "residualrule"} & listed


@pytest.mark.parametrize("rule", [LinUpper(1.0), Chain(Huber(), ClipRatio())], ids=str)
def test_a_rule_is_returned_as_it_is(rule):
    assert get_rule(rule) is rule


def test_a_class_is_made_into_a_rule():
    assert type(get_rule(LinUpper)) is LinUpper


def test_a_class_of_the_user_is_made_into_a_rule():
    class Mine(WeightingRule):
        def _weights(self, evidence, groups, base_weight, step):
            return np.ones(len(evidence))

    assert type(get_rule(Mine)) is Mine


class Named:
    def __call__(self, evidence, *, groups=None, base_weight=None, step=None):
        return np.ones(len(evidence))


@pytest.mark.parametrize(
    "function",
    [
        lambda evidence, *, groups, base_weight, step: evidence,
        lambda evidence, **options: evidence,
        partial(lambda evidence, power, **options: evidence, power=2),
        Named(),
        max,
    ],
    ids=["keywords", "any keywords", "partial", "object", "without signature"],
)
def test_a_function_with_the_keywords_of_a_rule_is_one(function):
    assert get_rule(function) is function


@pytest.mark.parametrize(
    "thing",
    [None, 3, ["huber"], lambda evidence: evidence, len, int, Named],
    ids=["None", "int", "list", "no keywords", "builtin", "type", "class"],
)
def test_what_cannot_be_called_as_a_rule_is_refused(thing):
    with pytest.raises(TypeError, match=r"'rule' must be .* Got .*; pass for example"):
        get_rule(thing)


@pytest.mark.parametrize(
    ("name", "close"),
    [("lnupper", "linupper"), ("hubber", "huber")],
)
def test_an_unknown_name_is_refused_with_a_close_one(name, close):
    message = rf"name of a rule must be one of .*huber.* Got '{name}'; did you mean"
    with pytest.raises(ValueError, match=message) as caught:
        get_rule(name)
    assert str(caught.value).endswith(f"did you mean {close!r}?")


def test_a_name_like_no_other_is_refused():
    with pytest.raises(ValueError, match=r"Got 'xyz'; pass one of them"):
        get_rule("xyz")
