from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, get_scorer, mean_squared_error
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils import get_tags

from merging_cases import around, known
from statlearn.merging import (
    ModelMerger,
    cosine_matrix,
    fisher_information,
    get_weights,
    layer_grams,
    list_merge_methods,
    merge_weights,
    set_weights,
    task_vector,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 4))
Y = np.array(["a", "b", "c"])[np.argmax(X[:, :3], axis=1)]
VIEWS = [X, X[:, ::-1]]
DATA = [row.name for row in list_merge_methods() if {"grams", "fishers"} & {*row.needs}]


def network(rows, targets, passes=10, start=None):
    """Return a perceptron after a few passes, from a start or from scratch."""
    model = copy.deepcopy(start) if start else MLPClassifier((8,), random_state=0)
    for _ in range(passes):
        model.partial_fit(rows, targets, classes=np.unique(Y))
    return model


BASE = network(X, Y)
EXPERTS = [network(rows, Y, 20, BASE) for rows in VIEWS]


def same(a, b):
    assert list(a) == list(b)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])


def distance_to(target):
    """Return the score of a state dict: nearness to a number."""
    return lambda state, X, y: -abs(float(state["w"][0]) - target)


# --- the scale ---------------------------------------------------------------


def test_scale_of_the_known_best_is_found():
    base, models = around(np.zeros(1), [np.ones(1), 3 * np.ones(1)])
    merger = ModelMerger("task-arithmetic", scoring=distance_to(2.8))
    merger.fit(models, base, X, Y)
    assert merger.scale_ == pytest.approx(0.7)  # 0.7 (1 + 3) = 2.8
    np.testing.assert_allclose(merger.scores_[[0, 6]], [-2.4, 0.0], atol=1e-12)
    np.testing.assert_allclose(merger.merged_["w"], [2.8])


@pytest.mark.parametrize("method", [row.name for row in list_merge_methods()])
def test_scores_are_those_of_models_merged_at_each_scale(method):
    scales = [-0.4, 0.0, 0.7, 1.3]
    merger = ModelMerger(method, scales=scales, scoring="neg_log_loss", random_state=3)
    merger.fit(EXPERTS, BASE, X, Y)
    for scale, score in zip(scales, merger.scores_, strict=True):
        fixed = ModelMerger(method, scale=scale, random_state=3).fit(EXPERTS, BASE, X)
        expected = get_scorer("neg_log_loss")(fixed.merged_, X, Y)
        assert score == pytest.approx(expected, rel=1e-9)
    assert merger.scale_ == scales[np.argmax(merger.scores_)]


@pytest.mark.parametrize("method", ["r-tsvm", "ties", "dare", "average"])
def test_weights_are_those_of_merge_weights_at_that_scale(method):
    merger = ModelMerger(method, random_state=1).fit(EXPERTS, BASE, X, Y)
    expected = merge_weights(BASE, EXPERTS, method, scale=merger.scale_, random_state=1)
    same(merger.weights_, expected)
    same(get_weights(merger.merged_), expected)


def test_arrays_with_a_scale_of_their_own_are_scored_as_they_are_merged():
    options = {"overrides": {"b*": {"lam": 0.25}}, "exclude": "W1"}
    merger = ModelMerger("task-arithmetic", options=options, scales=[0.3, 0.9])
    merger.fit(EXPERTS, BASE, X, Y)
    for scale, score in zip(merger.scales_, merger.scores_, strict=True):
        state = merge_weights(BASE, EXPERTS, "task-arithmetic", scale=scale, **options)
        assert score == set_weights(BASE, state).score(X, Y)


def test_of_equal_scores_the_scale_nearest_to_one_is_taken():
    base, models = known(2)
    merger = ModelMerger("average", scoring=lambda model, X, y: 1.0)
    assert merger.fit(models, base, X, Y).scale_ == 1.0
    merger.set_params(scales=[0.2, 0.8, 1.3])
    assert merger.fit(models, base, X, Y).scale_ == 0.8


@pytest.mark.parametrize("data", [(), (X, Y)], ids=["no data", "data"])
def test_scale_that_is_given_is_not_searched(data):
    merger = ModelMerger("task-arithmetic", scale=0.4).fit(EXPERTS, BASE, *data)
    assert merger.scale_ == 0.4
    assert not hasattr(merger, "scores_")
    same(merger.weights_, merge_weights(BASE, EXPERTS, "task-arithmetic", scale=0.4))


def test_without_data_the_scale_is_one():
    merger = ModelMerger("tsvm").fit(EXPERTS, BASE)
    assert merger.scale_ == 1.0
    same(merger.weights_, merge_weights(BASE, EXPERTS, "tsvm"))


def test_every_task_of_a_list_counts_the_same():
    rows, targets = [VIEWS[0][:80], VIEWS[1][:5]], [Y[:80], Y[:5]]
    merger = ModelMerger("tsvm", scales=[0.5, 1.0]).fit(EXPERTS, BASE, rows, targets)
    at = [
        set_weights(BASE, merge_weights(BASE, EXPERTS, "tsvm", scale=scale))
        for scale in (0.5, 1.0)
    ]
    expected = [[m.score(*t) for t in zip(rows, targets, strict=True)] for m in at]
    np.testing.assert_array_equal(merger.task_scores_, expected)
    np.testing.assert_allclose(merger.scores_, np.mean(expected, axis=1))


def test_sample_weight_reaches_the_score():
    weight = RNG.random(len(Y))
    merger = ModelMerger("average", scales=[1.0])
    plain = merger.fit(EXPERTS, BASE, X, Y).scores_[0]
    weighted = merger.fit(EXPERTS, BASE, X, Y, sample_weight=weight)
    expected = accuracy_score(Y, weighted.predict(X), sample_weight=weight)
    assert weighted.scores_[0] == pytest.approx(expected) != plain
    both = merger.fit(EXPERTS, BASE, VIEWS, [Y, Y], [weight, np.ones(len(Y))])
    assert both.task_scores_[0, 0] == pytest.approx(expected)


# --- rules that look at data -------------------------------------------------


@pytest.mark.parametrize("method", DATA)
@pytest.mark.parametrize("tables", [X, VIEWS], ids=["one", "each"])
def test_what_data_say_is_collected_for_the_rule(method, tables):
    rows = tables if isinstance(tables, list) else [tables] * 2
    merger = ModelMerger(method, scale=1.0).fit(EXPERTS, X=tables)
    evidence, name = {
        "regmean": (layer_grams, "grams"),
        "fisher": (fisher_information, "fishers"),
    }[method]
    given = {name: [evidence(m, r) for m, r in zip(EXPERTS, rows, strict=True)]}
    if method == "regmean":
        given["layout"] = "sklearn"
    same(merger.weights_, merge_weights(None, EXPERTS, method, **given))
    passed = ModelMerger(method, options=given).fit(EXPERTS)
    same(passed.weights_, merger.weights_)


def test_state_dicts_take_what_data_say_from_an_estimator_as_base():
    states = [get_weights(model) for model in EXPERTS]
    merger = ModelMerger("regmean").fit(states, BASE, VIEWS, [Y, Y])
    expected = ModelMerger("regmean").fit(EXPERTS, BASE, VIEWS, [Y, Y])
    same(merger.weights_, expected.weights_)
    np.testing.assert_array_equal(merger.predict(X), expected.predict(X))


def test_regmean_of_linear_models_is_least_squares_on_all_rows():
    y = X @ [1.0, -2.0, 0.0, 3.0] + RNG.normal(size=len(X))
    halves = [(X[:40], y[:40]), (X[40:80], y[40:80])]
    models = [LinearRegression(fit_intercept=False).fit(*half) for half in halves]
    rows = [half[0] for half in halves]
    options = {"exclude": "intercept_", "eps": 1e-12}
    merger = ModelMerger("regmean", options=options).fit(models, X=rows)
    expected = LinearRegression(fit_intercept=False).fit(X[:80], y[:80])
    np.testing.assert_allclose(merger.merged_.coef_, expected.coef_, rtol=1e-8)


# --- what comes out ----------------------------------------------------------


def test_merged_model_predicts_through_the_merger():
    merger = ModelMerger().fit(EXPERTS, BASE, X, Y)
    assert isinstance(merger.merged_, MLPClassifier)
    np.testing.assert_array_equal(merger.classes_, ["a", "b", "c"])
    assert merger.n_features_in_ == 4
    for name in ("predict", "predict_proba", "predict_log_proba"):
        np.testing.assert_array_equal(
            getattr(merger, name)(X), getattr(merger.merged_, name)(X)
        )
    assert merger.score(X, Y) == merger.merged_.score(X, Y)
    assert not hasattr(merger, "decision_function")  # which perceptrons lack
    assert get_tags(merger).estimator_type == "classifier"


def test_norms_and_cosines_are_those_of_the_task_vectors():
    merger = ModelMerger("average").fit(EXPERTS, BASE)
    norms = [task_vector(model, BASE).norm() for model in EXPERTS]
    np.testing.assert_allclose(merger.task_vector_norms_, norms)
    np.testing.assert_allclose(merger.cosines_, cosine_matrix(EXPERTS, BASE))


def test_linear_models_and_regressors_merge_too():
    y = X[:, 0] - X[:, 1]
    ridges = [Ridge(alpha).fit(X, y) for alpha in (0.1, 10.0)]
    merger = ModelMerger("average").fit(ridges)
    np.testing.assert_allclose(
        merger.predict(X), np.mean([m.predict(X) for m in ridges], axis=0)
    )
    logistic = [LogisticRegression(C=c).fit(X, Y) for c in (0.1, 10.0)]
    merger = ModelMerger("average").fit(logistic)
    mean = np.mean([m.decision_function(X) for m in logistic], axis=0)
    np.testing.assert_allclose(merger.decision_function(X), mean)
    assert merger.score(csr_array(X), Y) == merger.score(X, Y)
    networks = [
        MLPRegressor(hidden_layer_sizes=(4,), random_state=0, max_iter=2)
        for _ in range(2)
    ]
    with pytest.warns(UserWarning, match="Maximum iterations"):
        networks = [n.fit(X, y) for n in networks]
    merged = ModelMerger("average").fit(networks)
    np.testing.assert_allclose(merged.predict(X), networks[0].predict(X))


def test_state_dicts_come_back_as_state_dict():
    base, models = known(3, np.float32)
    merger = ModelMerger("ties", density=0.5, weights=[1, 2, 1]).fit(models, base)
    assert isinstance(merger.merged_, dict)
    assert merger.merged_["w"].dtype == np.float32
    expected = merge_weights(base, models, "ties", density=0.5, weights=[1, 2, 1])
    same(merger.merged_, expected)
    assert not hasattr(merger, "predict")


def test_modules_come_back_as_module_and_counters_stay(torch):
    def module(shift):
        net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3)).eval()
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.fill_(0.5 + shift)
        net[1].running_mean += shift
        net[1].num_batches_tracked += 7
        return net

    def score(net, X, y):
        weight, mean = net[0].weight.detach(), net[1].running_mean
        return -float(abs(weight[0, 0] - 1.1) + abs(mean[0] - 0.3))

    base, models = module(0.0), [module(1.0), module(3.0)]
    merger = ModelMerger("task-arithmetic", scales=[0.1, 0.15, 1.0], scoring=score)
    merger.fit(models, base, X, Y)
    assert isinstance(merger.merged_, torch.nn.Sequential)
    assert merger.scale_ == 0.15  # 0.5 + 0.15 (1 + 3) = 1.1
    # Running means: 0.15 of the way from 0 to the mean of 1 and 3.
    assert merger.scores_.max() == pytest.approx(0.0, abs=1e-6)
    assert int(merger.merged_[1].num_batches_tracked) == 7
    assert float(base[0].weight[0, 0].detach()) == 0.5


def test_frozen_models_and_own_rules_are_understood():
    def largest(base, models):
        return {k: np.maximum(*(model[k] for model in models)) for k in base}

    merger = ModelMerger(largest).fit([FrozenEstimator(m) for m in EXPERTS], BASE)
    same(merger.weights_, largest(get_weights(BASE), [*map(get_weights, EXPERTS)]))
    assert type(merger.merged_) is MLPClassifier


def test_inputs_are_left_alone():
    before = pickle.dumps([BASE, *EXPERTS])
    ModelMerger("dare", random_state=0).fit(EXPERTS, BASE, X, Y)
    assert pickle.dumps([BASE, *EXPERTS]) == before


def test_generator_of_the_caller_moves_once():
    rng = np.random.default_rng(5)
    first = ModelMerger("dare", random_state=rng).fit(EXPERTS, BASE, X, Y)
    again = np.random.default_rng(5)
    same(
        first.weights_,
        merge_weights(BASE, EXPERTS, "dare", scale=first.scale_, random_state=again),
    )
    assert rng.random() == again.random()


def test_it_is_an_estimator():
    merger = ModelMerger("ties", density=0.3, options={"convention": "peft"})
    assert clone(merger).get_params() == merger.get_params()
    assert repr(merger).startswith("ModelMerger(density=0.3, method='ties'")
    with pytest.raises(NotFittedError, match="not fitted yet"):
        merger.predict(X)
    merger.fit(EXPERTS, BASE, X, Y)
    again = pickle.loads(pickle.dumps(merger))
    np.testing.assert_array_equal(again.predict_proba(X), merger.predict_proba(X))
    assert "ModelMerger" in merger._repr_html_()


def test_it_can_what_its_models_can():
    merger = ModelMerger("average")
    only_some = ("predict_proba", "predict_log_proba", "decision_function")
    assert [hasattr(merger, name) for name in only_some] == [False] * 3
    merger.fit([LinearRegression().fit(X, X[:, 0]), LinearRegression().fit(X, X[:, 1])])
    assert [hasattr(merger, name) for name in only_some] == [False] * 3
    merger.fit(EXPERTS)
    assert [hasattr(merger, name) for name in only_some] == [True, True, False]
    assert hasattr(ModelMerger("average"), "predict")
    with pytest.raises(NotFittedError, match="not fitted yet"):
        ModelMerger("average").score(X, Y)


def test_neural_estimators_merge_into_one(torch):
    from statlearn.neural import NeuralClassifier

    base = NeuralClassifier(hidden_layer_sizes=(4,), max_epochs=1, random_state=0)
    base.fit(X, Y)
    tuned = [copy.deepcopy(base).partial_fit(X, Y) for _ in range(2)]
    merger = ModelMerger("average", scale=1.0).fit(tuned, base)
    np.testing.assert_allclose(
        merger.predict_proba(X), tuned[0].predict_proba(X), rtol=1e-5
    )
    assert type(merger.merged_) is NeuralClassifier


def test_second_fit_forgets_the_first():
    merger = ModelMerger("average").fit(EXPERTS, BASE, X, Y)
    merger.fit([get_weights(m) for m in EXPERTS])
    for name in ("scores_", "scales_", "task_scores_", "cosines_", "classes_"):
        assert not hasattr(merger, name)


# --- refusals ----------------------------------------------------------------


def changed(**attributes):
    model = copy.deepcopy(EXPERTS[1])
    for name, value in attributes.items():
        setattr(model, name, value)
    return model


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (changed(classes_=np.array(["a", "b", "d"])), r"one list of classes. Got \['a"),
        (changed(activation="tanh"), "one activation. Got 'relu' and, in model 1, 'ta"),
        (changed(n_features_in_=5), "one number of features. Got 4 and, in model 1, 5"),
        (changed(feature_names_in_=np.array(["u"])), "list of feature names. Got None"),
        (
            MLPClassifier((9,), random_state=0).partial_fit(X, Y, classes=np.unique(Y)),
            r"equal shapes. Got \(4, 9\) for 'W0' in model 1 and \(4, 8\)",
        ),
    ],
    ids=["classes", "activation", "features", "names", "sizes"],
)
def test_models_that_differ_are_refused(other, message):
    with pytest.raises(ValueError, match=message):
        ModelMerger("average").fit([EXPERTS[0], other], BASE)


def test_models_of_several_classes_are_refused():
    logistic = LogisticRegression().fit(X, Y)
    with pytest.raises(TypeError, match="MLPClassifier and, as model 1, LogisticRegr"):
        ModelMerger().fit([EXPERTS[0], logistic], BASE)
    with pytest.raises(TypeError, match="MLPClassifier and, as the base, LogisticReg"):
        ModelMerger().fit(EXPERTS, logistic)
    with pytest.raises(TypeError, match="MLPClassifier and, as model 1, dict"):
        ModelMerger().fit([EXPERTS[0], get_weights(EXPERTS[1])], BASE)


@pytest.mark.parametrize(
    ("options", "data", "message"),
    [
        ({}, {}, "method='r-tsvm' merges what tuning added to a base. Got base=None"),
        ({"method": "average", "scale": 0.5}, {}, r"to a base. Got 0\.5 and base=None"),
        ({}, {"base": BASE, "X": X}, "needs targets to search the scale. Got X and y="),
        (
            {},
            {"base": BASE, "y": Y},
            "are targets of the rows X. Got X=None; pass the",
        ),
        ({"method": "regmean"}, {}, "'regmean' needs data. Got X=None and no 'grams'"),
        ({}, {"base": BASE, "X": [X], "y": [Y]}, "each of the 2 models if X is a list"),
        ({}, {"base": BASE, "X": VIEWS, "y": Y}, r"The 'y' of .* for each of the 2"),
        (
            {"options": {"lam": 2}},
            {"base": BASE},
            r"Got \['lam'\]; pass them to",
        ),
        ({"scales": []}, {"base": BASE, "X": X, "y": Y}, r"finite numbers. Got \[\]"),
        ({"method": "tsv"}, {"base": BASE}, "did you mean 'tsvm'"),
    ],
    ids=[
        "no base",
        "scale without base",
        "no targets",
        "no rows",
        "no data for the rule",
        "too few tables",
        "one vector of targets",
        "doubled option",
        "no scales",
        "unknown method",
    ],
)
def test_what_does_not_fit_together_is_refused(options, data, message):
    with pytest.raises(ValueError, match=message):
        ModelMerger(**options).fit(EXPERTS, **data)


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "foo"},
        {"options": {"include": "zzz"}},
        {"options": {"exclude": [3]}},
        {"options": {"overrides": {"zzz": {}}}},
        {"options": {"overrides": {"*": {"method": "foo"}}}},
        {"options": {"overrides": {"W0": {"scale": "x"}}}},
    ],
    ids=str,
)
def test_messages_name_the_merger(settings):
    merger = ModelMerger(**{"method": "ties", **settings})
    with pytest.raises((TypeError, ValueError), match=r"^[\w' ]* of ModelMerger must "):
        merger.fit(EXPERTS, BASE)


def test_models_that_do_not_score_themselves_need_a_function():
    base, models = known(2)
    for scoring in (None, "accuracy"):
        with pytest.raises(TypeError, match="must be a function scoring"):
            ModelMerger(scoring=scoring).fit(models, base, X, Y)
    with pytest.raises(TypeError, match="reads 'grams' from data for scikit-learn"):
        ModelMerger("regmean").fit(models, X=X)


def test_scores_that_are_no_numbers_are_refused():
    base, models = known(2)
    merger = ModelMerger(scales=[0.5, 1.0], scoring=lambda model, X, y: np.nan)
    with pytest.raises(ValueError, match=r"Got others at scales \[0\.5, 1\.0\]"):
        merger.fit(models, base, X, Y)


def test_lists_of_models_are_asked_for():
    with pytest.raises(TypeError, match=r"list of models\. Got MLPClassifier"):
        ModelMerger().fit(EXPERTS[0], BASE)
    with pytest.raises(ValueError, match=r"at least one model\. Got an empty list"):
        ModelMerger().fit([], BASE)
    with pytest.raises(NotFittedError, match="call fit first"):
        ModelMerger("average").fit([MLPClassifier()])


def test_bad_parameters_are_refused():
    with pytest.raises(ValueError, match="The 'scale' parameter of ModelMerger"):
        ModelMerger(scale="best").fit(EXPERTS, BASE)
    with pytest.raises(TypeError, match="The rule 'ties' takes"):
        ModelMerger("ties", options={"k": 2}).fit(EXPERTS, BASE)


def test_score_of_a_function_gets_the_tables_as_they_are():
    seen = []

    def score(model, X, y):
        seen.append((X, y))
        return -mean_squared_error(y, [float(model["w"].sum())] * len(y))

    base, models = known(2)
    tables, targets = [X, X[:3]], [np.ones(4), np.zeros(2)]
    ModelMerger("average", scales=[1.0], scoring=score).fit(
        models, base, tables, targets
    )
    assert seen[0][0] is tables[0]
    assert seen[1][1] is targets[1]
