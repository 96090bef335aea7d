from __future__ import annotations

import copy
import pickle

import pytest
from sklearn.base import clone

from statlearn.merging import MERGE_METHODS, ModelMerger, merge_weights
from statlearn.merging._rules._methods import find_method, option_advice


@pytest.mark.parametrize("name", sorted(MERGE_METHODS))
def test_rows_of_the_table_are_copied_and_pickled(name):
    row = MERGE_METHODS[name]
    for again in (pickle.loads(pickle.dumps(row)), copy.deepcopy(row), copy.copy(row)):
        assert again == row
        assert hash(again) == hash(row)
        assert again.parameters == row.parameters


def test_preset_of_a_row_cannot_be_changed():
    for row in (MERGE_METHODS["dare-ties"], copy.deepcopy(MERGE_METHODS["dare-ties"])):
        with pytest.raises(TypeError):
            row.preset["consensus"] = False


def test_merger_takes_a_row_and_is_cloned_with_it():
    merger = clone(ModelMerger(MERGE_METHODS["dare-ties"], options={"drop": 0.0}))
    assert merger.method == MERGE_METHODS["dare-ties"]
    base, model = {"w": [0.0, 1.0]}, {"w": [2.0, 1.0]}
    assert merger.fit([model], base).weights_["w"].tolist() == [2.0, 1.0]


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("task_arithmetic", "task-arithmetic"),
        ("Task Arithmetic", "task-arithmetic"),
        ("dare_ties", "dare-ties"),
        ("model_stock", "model-stock"),
        ("breadcrumbs_ties", "breadcrumbs-ties"),
    ],
)
def test_spelling_does_not_matter(name, own):
    assert find_method(name, "f") is MERGE_METHODS[own]


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("linear", r"Got 'linear'; pass 'average' with weights\."),
        ("dare_linear", r"Got 'dare_linear'; pass 'dare' with drop,"),
        ("multislerp", r"Got 'multislerp'; pass 'karcher'\."),
        ("Model-Soup", r"Got 'Model-Soup'; pass 'average'\."),
        ("tiess", r"Got 'tiess'; did you mean 'ties'\?"),
        ("zzz", r"Got 'zzz'; pass one of them\."),
    ],
)
def test_names_of_other_programs_lead_to_ours(name, advice):
    with pytest.raises(ValueError, match=advice):
        merge_weights({"w": [0.0]}, [{"w": [1.0]}], name)


@pytest.mark.parametrize(
    ("name", "option", "advice"),
    [
        ("dare", "density", "pass drop=1 - density"),
        ("dare-ties", "density", "pass drop=1 - density"),
        ("sce", "density", "pass topk."),
        ("sce", "select_topk", "pass topk."),
        ("della", "epsilon", "pass eps."),
        ("average", "weight", "pass weights"),
        ("average", "density", "leave them out or choose another rule."),
        ("average", "colour", "leave them out or choose another rule."),
    ],
)
def test_parameters_of_other_programs_lead_to_ours(name, option, advice):
    assert option_advice(MERGE_METHODS[name], ["a", option]).startswith(advice)
