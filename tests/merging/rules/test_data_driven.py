from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from merging_cases import known
from statlearn.merging._rules._data_driven import fisher_merge, regmean


def problem(seed, n_models=3, shape=(4, 6)):
    """Return a base, models, rows of inputs and their products."""
    rng = np.random.default_rng(seed)
    models = [{"w": w} for w in rng.normal(size=(n_models, *shape))]
    rows = rng.normal(size=(n_models, 20, shape[1]))
    grams = [{"w": X.T @ X / len(X)} for X in rows]
    return models[0], models, rows, grams


def test_each_number_is_weighted_by_its_information():
    base, models = known(2)
    rng = np.random.default_rng(0)
    F = rng.exponential(size=(2, 4, 4))
    fishers = [{"w": f} for f in F]
    merged = fisher_merge(base, models, fishers=fishers, weights=[1, 3], eps=1e-3)
    pull = np.array([1, 3])[:, None, None] * (F + 1e-3)
    expected = (pull * [m["w"] for m in models]).sum(axis=0) / pull.sum(axis=0)
    np.testing.assert_allclose(merged["w"], expected, atol=1e-12)


def test_normalised_information_does_not_depend_on_its_unit():
    base, models = known(2)
    F = np.random.default_rng(1).exponential(size=(2, 4, 4))
    small = [{"w": F[0]}, {"w": F[1]}]
    large = [{"w": F[0]}, {"w": 1e4 * F[1]}]
    a = fisher_merge(base, models, fishers=small, normalize=True, eps=1e-12)["w"]
    b = fisher_merge(base, models, fishers=large, normalize=True, eps=1e-12)["w"]
    np.testing.assert_allclose(a, b, atol=1e-8)


def test_numbers_without_information_are_averaged():
    base, models = known(2)
    zero = [{"w": np.zeros((4, 4))}] * 2
    mean = (models[0]["w"] + models[1]["w"]) / 2
    for fishers in (zero, [{}, {}]):
        merged = fisher_merge(base, models, fishers=fishers)["w"]
        np.testing.assert_allclose(merged, mean, atol=1e-12)


@pytest.mark.parametrize("layout", ["torch", "sklearn"])
def test_outputs_are_closest_to_those_of_the_models(layout):
    _, models, rows, grams = problem(2)
    design = np.vstack(rows)
    target = np.vstack([X @ m["w"].T for X, m in zip(rows, models, strict=True)])
    expected = np.linalg.lstsq(design, target, rcond=None)[0]
    if layout == "sklearn":
        models = [{"w": m["w"].T} for m in models]
    merged = regmean(models[0], models, grams=grams, layout=layout, eps=1e-12)["w"]
    inputs_first = merged if layout == "sklearn" else merged.T
    np.testing.assert_allclose(inputs_first, expected, atol=1e-8)


def test_coefficients_of_linear_models_have_inputs_last_in_both_layouts():
    _, models, _, grams = problem(3)
    models = [{"coef_": m["w"]} for m in models]
    grams = [{"coef_": g["w"]} for g in grams]
    a = regmean(models[0], models, grams=grams, layout="torch")["coef_"]
    b = regmean(models[0], models, grams=grams, layout="sklearn")["coef_"]
    np.testing.assert_array_equal(a, b)


def test_one_row_of_coefficients_is_merged_alike():
    _, models, _, grams = problem(4, shape=(1, 6))
    flat = [{"w": m["w"][0]} for m in models]
    two = regmean(models[0], models, grams=grams)["w"][0]
    np.testing.assert_allclose(regmean(flat[0], flat, grams=grams)["w"], two)


def test_diagonal_products_weigh_single_inputs():
    base, models, _, grams = problem(5)
    merged = regmean(base, models, grams=grams, off_diagonal=0.0, eps=1e-12)["w"]
    pull = np.array([np.diag(g["w"]) for g in grams])
    W = np.array([m["w"] for m in models])
    expected = (pull[:, None, :] * W).sum(axis=0) / pull.sum(axis=0)
    np.testing.assert_allclose(merged, expected, atol=1e-9)


def test_units_without_input_take_the_average():
    base, models, rows, _ = problem(6)
    rows[:, :, 2] = 0.0
    grams = [{"w": X.T @ X / len(X)} for X in rows]
    merged = regmean(base, models, grams=grams)["w"]
    mean = np.mean([m["w"] for m in models], axis=0)
    np.testing.assert_allclose(merged[:, 2], mean[:, 2], atol=1e-9)
    dead = [{"w": np.zeros((6, 6))}] * 3
    np.testing.assert_allclose(regmean(base, models, grams=dead)["w"], mean)


@given(st.integers(0, 50), st.permutations(range(3)))
def test_laws_of_both_rules(seed, order):
    base, models, _, grams = problem(seed)
    fishers = [{"w": np.abs(m["w"])} for m in models]
    for rule, name, given_ in (
        (fisher_merge, "fishers", fishers),
        (regmean, "grams", grams),
    ):
        one = rule(base, models[1:2], **{name: given_[1:2]})["w"]
        np.testing.assert_allclose(one, models[1]["w"], atol=1e-9)
        same = rule(base, models[1:2] * 3, **{name: given_})["w"]
        np.testing.assert_allclose(same, models[1]["w"], atol=1e-9)
        whole = rule(base, models, **{name: given_})["w"]
        shuffled = rule(
            base, [models[i] for i in order], **{name: [given_[i] for i in order]}
        )["w"]
        np.testing.assert_allclose(shuffled, whole, atol=1e-8)


def test_names_outside_the_base_do_not_matter():
    base, models, _, grams = problem(7)
    more = [{**g, "other": np.eye(2)} for g in grams]
    np.testing.assert_array_equal(
        regmean(base, models, grams=more)["w"], regmean(base, models, grams=grams)["w"]
    )


SQUARE = np.eye(6)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"grams": {"w": SQUARE}}, TypeError, "list of dicts of arrays"),
        ({"grams": [{"w": SQUARE}]}, ValueError, "one dict a model, 3 in all"),
        ({"grams": [{"w": np.eye(4)}] * 3}, ValueError, r"\(4, 4\) for 'w'"),
        ({"grams": [{"w": SQUARE}, {}, {}]}, ValueError, r"same names.*'w'"),
        ({"grams": [{"w": SQUARE * np.nan}] * 3}, ValueError, "'w'.*'grams'"),
        ({"grams": [{}] * 3, "layout": "jax"}, ValueError, "'layout' of regmean"),
        ({"grams": [{}] * 3, "eps": 0.0}, ValueError, "'eps' of regmean"),
        ({"grams": [{}] * 3, "off_diagonal": 2}, ValueError, "'off_diagonal'"),
        ({"grams": [{}] * 3, "weights": [1, -1, 1]}, ValueError, "'weights'"),
    ],
    ids=["dict", "few", "shape", "names", "nan", "layout", "eps", "share", "weights"],
)
def test_bad_products_are_refused(options, error, message):
    base, models, _, _ = problem(8)
    with pytest.raises(error, match=message):
        regmean(base, models, **options)


@pytest.mark.parametrize(
    ("fisher", "message"),
    [(-np.ones((4, 4)), "-1.0 for 'w'"), (np.ones(4), r"shape \(4,\) for 'w'")],
    ids=["negative", "shape"],
)
def test_bad_information_is_refused(fisher, message):
    base, models = known(2)
    with pytest.raises(ValueError, match=message):
        fisher_merge(base, models, fishers=[{"w": fisher}] * 2)


@pytest.mark.parametrize("number", [3.0, [1.0, 3.0]], ids=["number", "list"])
def test_numbers_and_lists_are_arrays_too(number):
    base, model = {"w": np.zeros(np.shape(number)).tolist()}, {"w": number}
    fishers = [{"w": base["w"]}, {"w": number}]
    merged = fisher_merge(base, [base, model], fishers=fishers, eps=1e-300)
    np.testing.assert_allclose(merged["w"], number)


def test_products_of_layers_in_lists_are_arrays_too():
    models = [{"w": [[0.0, 0.0]]}, {"w": [[1.0, 1.0]]}]
    grams = [{"w": [[1.0, 0.0], [0.0, 3.0]]}, {"w": [[1.0, 0.0], [0.0, 1.0]]}]
    merged = regmean(models[0], models, grams=grams)["w"]
    np.testing.assert_allclose(merged, [[0.5, 0.25]], rtol=1e-5)
    with pytest.raises(ValueError, match=r"Got \(\) for 'w' of shape \(\)"):
        regmean({"w": 1.0}, [{"w": 1.0}], grams=[{"w": 1.0}])


@pytest.mark.parametrize("values", ["a", 1j * np.ones(2)], ids=["word", "complex"])
@pytest.mark.parametrize("rule", [fisher_merge, regmean])
def test_what_data_say_must_be_numbers(values, rule):
    name = "fishers" if rule is fisher_merge else "grams"
    state = {"w": np.ones(2)}
    with pytest.raises(TypeError, match=rf"'w' of number 1 of the '{name}' must hold"):
        rule(state, [state, state], **{name: [{"w": np.eye(2)}, {"w": values}]})
