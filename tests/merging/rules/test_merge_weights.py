from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier

from statlearn.merging import (
    MERGE_METHODS,
    average,
    get_weights,
    list_merge_methods,
    merge_weights,
    set_weights,
    task_arithmetic,
)
from statlearn.merging._state._merge_states import blockwise, merge_states

BASE = {"W0": np.zeros((2, 2)), "b0": np.zeros(2), "W1": np.zeros((2, 2))}
FIRST = {"W0": np.eye(2), "b0": np.ones(2), "W1": np.full((2, 2), 2.0)}
SECOND = {"W0": 3 * np.eye(2), "b0": -np.ones(2), "W1": np.full((2, 2), 4.0)}
MODELS = [FIRST, SECOND]


def test_method_goes_by_any_spelling_of_its_name_and_by_its_function():
    expected = task_arithmetic(BASE, MODELS)
    for method in (
        "task-arithmetic",
        "Task_Arithmetic",
        "taskarithmetic",
        task_arithmetic,
    ):
        merged = merge_weights(BASE, MODELS, method)
        np.testing.assert_array_equal(merged["W0"], expected["W0"])


def test_own_function_is_a_rule():
    def largest(base, models, *, power):
        kernel = blockwise(lambda start, updates: start + updates.max(axis=0) ** power)
        return merge_states(base, models, kernel, rule="largest")

    merged = merge_weights(BASE, MODELS, largest, power=2)
    np.testing.assert_array_equal(merged["W1"], 16.0)


def test_rule_without_a_base_takes_none():
    merged = merge_weights(None, MODELS, "average")
    np.testing.assert_array_equal(merged["W1"], 3.0)
    with pytest.raises(ValueError, match=r"Got base=None; pass the base, or a rule"):
        merge_weights(None, MODELS, "ties")


def test_estimators_are_merged_by_their_weights():
    X = np.arange(6.0).reshape(3, 2)
    first, second = Ridge().fit(X, X[:, 0]), Ridge().fit(X, 3 * X[:, 0])
    merged = set_weights(first, merge_weights(None, [first, second], "average"))
    np.testing.assert_allclose(
        merged.predict(X), Ridge().fit(X, 2 * X[:, 0]).predict(X)
    )


def test_modules_are_merged_by_their_state_dicts(torch):
    modules = [torch.nn.Linear(2, 2) for _ in range(2)]
    merged = merge_weights(None, modules, "average")
    expected = (modules[0].weight + modules[1].weight) / 2
    assert torch.allclose(merged["weight"], expected)
    assert not merged["weight"].requires_grad


def test_networks_with_other_layers_are_told_the_array():
    X, y = np.arange(20.0).reshape(10, 2), np.arange(10) % 2
    small, large = (
        MLPClassifier((n,), max_iter=1000, tol=0.1, random_state=0).fit(X, y)
        for n in (2, 3)
    )
    with pytest.raises(ValueError, match=r"\(2, 3\) for 'W0' in model 1"):
        merge_weights(small, [small, large])


def test_all_arrays_of_the_default_rule_are_near_the_models():
    rng = np.random.default_rng(0)
    base = {"W": rng.normal(size=(20, 10))}
    models = [{"W": base["W"] + 0.1 * rng.normal(size=(20, 10))} for _ in range(3)]
    merged = merge_weights(base, models)
    assert 0.0 < np.abs(merged["W"] - base["W"]).max() < 1.0


def test_unknown_method_is_told_its_neighbour():
    with pytest.raises(ValueError, match=r"Got 'tie'; did you mean 'ties'\?"):
        merge_weights(BASE, MODELS, "tie")
    with pytest.raises(ValueError, match="must be one of average, breadcrumbs"):
        merge_weights(BASE, MODELS, "zzz")
    with pytest.raises(TypeError, match=r"name of a rule or a function .* Got 3; pass"):
        merge_weights(BASE, MODELS, 3)


def test_pipeline_or_number_in_place_of_a_model_is_refused():
    with pytest.raises(TypeError, match="Weights are read from"):
        merge_weights(BASE, [FIRST, 3.0])


def test_list_says_what_a_rule_is_and_needs():
    rows = {row.name: row for row in list_merge_methods()}
    assert list(rows) == sorted(MERGE_METHODS)
    assert rows["average"].function is average
    assert rows["regmean"].needs == ("grams",)
    assert "NeurIPS 2023" in rows["ties"].paper
    assert rows["ties"].parameters["density"] == 0.2
    assert rows["dare-ties"].parameters["consensus"] is True


def test_weights_of_a_read_model_are_not_written_into():
    model = Ridge().fit([[0.0], [1.0]], [0.0, 1.0])
    before = get_weights(model)["coef_"].copy()
    merged = merge_weights(model, [model, model], "average")
    merged["coef_"][:] = 9.0
    np.testing.assert_array_equal(get_weights(model)["coef_"], before)


@pytest.mark.parametrize("method", ["regmean", "fisher"])
def test_mistyped_name_of_evidence_is_refused(method):
    option = {"regmean": "grams", "fisher": "fishers"}[method]
    evidence = [{"W0": np.eye(2), "w1": np.eye(2)}] * 2
    with pytest.raises(ValueError, match=rf"'{option}' .* Got \['w1'\] for model 0"):
        merge_weights(BASE, MODELS, method, **{option: evidence})


def test_scale_without_a_base_is_refused():
    with pytest.raises(ValueError, match=r"Got 0.5 and base=None; pass the base"):
        merge_weights(None, MODELS, "average", scale=0.5)


# --- names that the models do not share --------------------------------------


def test_excluded_names_need_not_fit():
    base = {"w": np.zeros(2), "head": np.zeros(3), "pad": "words"}
    models = [
        {"w": np.ones(2), "head": np.ones(4), "pad": None},
        {"w": np.full(2, 3.0), "head.new": np.ones(1)},
    ]
    merged = merge_weights(base, models, "average", exclude=["head*", "pad"])
    np.testing.assert_array_equal(merged["w"], 2.0)
    np.testing.assert_array_equal(merged["head"], np.zeros(3))
    assert merged["pad"] == "words"
    assert list(merged) == ["w", "head", "pad"]
    included = merge_weights(base, models, "average", include="w")
    np.testing.assert_array_equal(included["w"], 2.0)
    with pytest.raises(TypeError, match="'pad' of the base must hold real numbers"):
        merge_weights(base, models, "average")


def test_pattern_may_match_names_of_the_models_alone():
    merged = merge_weights(
        {"w": np.zeros(1)},
        [{"w": np.ones(1), "head": np.ones(2)}],
        "average",
        exclude="head",
    )
    np.testing.assert_array_equal(merged["w"], 1.0)


def test_unusual_tensors_can_be_excluded(torch):
    sparse = torch.eye(2).to_sparse()
    base = {"w": torch.zeros(2), "x": sparse}
    merged = merge_weights(base, [{"w": torch.ones(2)}], "average", exclude="x")
    assert torch.equal(merged["x"].to_dense(), torch.eye(2))


# --- names of one array ------------------------------------------------------


def tied():
    shared, tuned = np.zeros(3), np.ones(3)
    base = {"embed": shared, "head": shared, "other": np.zeros(3)}
    return base, {"embed": tuned, "head": tuned, "other": np.ones(3)}


@pytest.mark.parametrize(
    "choice",
    [
        {"exclude": "head"},
        {"include": ["embed", "other"]},
        {"overrides": {"embed": {"scale": 0.5}}},
    ],
    ids=["exclude", "include", "overrides"],
)
def test_names_of_one_array_are_not_treated_apart(choice):
    base, model = tied()
    with pytest.raises(ValueError, match=r"Got 'embed' and 'head', which share"):
        merge_weights(base, [model], "average", **choice)
    apart = {**model, "head": np.full(3, 2.0)}
    merged = merge_weights(base, [apart], "average", **choice)
    assert not np.array_equal(merged["embed"], merged["head"])


@pytest.mark.parametrize("choice", [{}, {"exclude": ["embed", "head"]}])
def test_names_of_one_array_stay_one(choice):
    base, model = tied()
    merged = merge_weights(base, [model], "average", **choice)
    assert merged["embed"] is merged["head"]
    assert not np.shares_memory(merged["embed"], base["embed"])


# --- what models mean, and what cannot be ------------------------------------


def test_models_of_other_classes_are_refused():
    X, y = np.arange(20.0).reshape(10, 2), np.arange(10) % 2
    models = [LogisticRegression().fit(X, labels) for labels in (y, y + 1)]
    message = r"merge_weights needs .* list of classes. Got \[0, 1\] .* 1, \[1, 2\]"
    with pytest.raises(ValueError, match=message):
        merge_weights(None, models, "average")
    with pytest.raises(ValueError, match=r"Got \[0, 1\] and, in the base, \[1, 2\]"):
        merge_weights(models[1], models[:1], "average")
    states = [get_weights(model) for model in models]
    assert set(merge_weights(None, states, "average")) == {"coef_", "intercept_"}


def test_networks_of_other_activations_are_refused():
    X, y = np.arange(20.0).reshape(10, 2), np.arange(10) % 2
    models = [
        MLPClassifier((2,), activation=kind, max_iter=1000, tol=0.1).fit(X, y)
        for kind in ("relu", "tanh")
    ]
    with pytest.raises(ValueError, match=r"one activation. Got 'relu' .* 1, 'tanh'"):
        merge_weights(None, models, "average")
