"""Weights of quantile models: published optima, invariants, refused input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning

from quantile_oracle import (
    CONSTRAINTS,
    LEVELS,
    STACK,
    WEIGHT,
    Y,
    expert_stack,
    mean_loss,
    optimum,
)
from statlearn.exceptions import StatlearnWarning
from statlearn.quantile import QuantileWeights, fit_quantile_weights

RESOLUTIONS = ("coarse", "medium", "fine")
# Optima of the worked example by HiGHS on primal and dual form, ten digits.
KNOWN = {
    ("simplex", False): (0.1045138889, 0.0955555556, 0.0060233105),
    ("unit_sum", False): (0.1045138889, 0.0838492063, 0.0003029452),
    ("nonneg", False): (0.0835317460, 0.0754521643, 0.0015856685),
    ("free", False): (0.0714646465, 0.0575789690, 0.0),
    ("simplex", True): (0.1064705882, 0.0947058824, 0.0041429807),
    ("free", True): (0.0643642305, 0.0423728212, 0.0),
}


@pytest.mark.parametrize("solver", ["interior-point", "highs", "lbfgs"])
@pytest.mark.parametrize("resolution", RESOLUTIONS)
@pytest.mark.parametrize(("constraint", "weighted"), list(KNOWN))
def test_worked_example_has_its_known_optimum(constraint, weighted, resolution, solver):
    sample_weight = WEIGHT if weighted else None
    fit = fit_quantile_weights(
        STACK,
        Y,
        LEVELS,
        resolution=resolution,
        constraint=constraint,
        sample_weight=sample_weight,
        solver=solver,
    )
    known = KNOWN[constraint, weighted][RESOLUTIONS.index(resolution)]
    accuracy = 3e-6 if solver == "lbfgs" else 2e-10
    assert abs(fit.objective - known) < accuracy
    assert fit.objective - fit.duality_gap <= known + 1e-10
    achieved = mean_loss(STACK, Y, LEVELS, fit.weights, sample_weight=sample_weight)
    np.testing.assert_allclose(fit.objective, achieved, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("constraint", "weighted", "expected"),
    [
        ("simplex", False, [0.25, 0.75]),
        ("unit_sum", False, [0.25, 0.75]),
        ("nonneg", False, [0.0, 11 / 14]),
        ("free", False, [-4 / 11, 12 / 11]),
        ("simplex", True, [0.4, 0.6]),
        ("free", True, [-19 / 33, 27 / 22]),
    ],
)
def test_unique_coarse_weights_of_the_worked_example(constraint, weighted, expected):
    fit = fit_quantile_weights(
        STACK,
        Y,
        LEVELS,
        resolution="coarse",
        constraint=constraint,
        sample_weight=WEIGHT if weighted else None,
        tol=1e-12,
    )
    np.testing.assert_allclose(fit.weights, expected, atol=1e-7)


def test_medium_weights_at_a_corner_are_exactly_zero_and_one():
    fit = fit_quantile_weights(STACK, Y, LEVELS)
    np.testing.assert_allclose(fit.weights, [[0, 1], [0.4, 0.6], [0, 1]], atol=1e-6)
    assert (fit.weights[[0, 2], 0] == 0.0).all()


@pytest.mark.parametrize("constraint", list(CONSTRAINTS))
@pytest.mark.parametrize("resolution", RESOLUTIONS)
@pytest.mark.parametrize("intercept", [False, True])
def test_random_stacks_have_the_objective_of_highs(constraint, resolution, intercept):
    stack, y, levels = expert_stack(120, 3, 5, seed=1)
    weight = np.random.default_rng(0).uniform(0.2, 2.0, 120)
    fit = fit_quantile_weights(
        stack,
        y,
        levels,
        resolution=resolution,
        constraint=constraint,
        intercept=intercept,
        sample_weight=weight,
    )
    best = optimum(
        stack,
        y,
        levels,
        resolution=resolution,
        constraint=constraint,
        intercept=intercept,
        weight=weight,
    )
    np.testing.assert_allclose(fit.objective, best, rtol=1e-8)
    assert fit.duality_gap <= 1e-8 * fit.objective
    achieved = mean_loss(stack, y, levels, fit.weights, fit.intercept, weight)
    np.testing.assert_allclose(fit.objective, achieved, rtol=1e-12)
    assert intercept or not fit.intercept.any()


@pytest.mark.parametrize("resolution", [*RESOLUTIONS, 2])
@pytest.mark.parametrize("constraint", list(CONSTRAINTS))
def test_predictions_combine_the_stack_they_were_fitted_to(resolution, constraint):
    stack, y, levels = expert_stack(60, 3, 5, seed=2)
    fit = fit_quantile_weights(
        stack, y, levels, resolution=resolution, constraint=constraint, intercept=True
    )
    e = y[:, None] - fit.predict(stack)
    loss = np.maximum(levels * e, (levels - 1.0) * e).mean()
    np.testing.assert_allclose(loss, fit.objective, rtol=1e-12)


def test_weights_have_the_shapes_of_their_resolution():
    stack, y, levels = expert_stack(60, 3, 5, seed=2)
    shapes = {"coarse": (3,), "medium": (5, 3), "fine": (5, 3, 5), 2: (5, 3)}
    for resolution, shape in shapes.items():
        fit = fit_quantile_weights(stack, y, levels, resolution=resolution)
        assert fit.weights.shape == shape
        assert fit.intercept.shape == (5,)


def test_finer_resolutions_never_have_a_larger_objective():
    stack, y, levels = expert_stack(200, 4, 6, seed=3)
    found = [
        fit_quantile_weights(stack, y, levels, resolution=r).objective
        for r in ("fine", "medium", 3, "coarse")
    ]
    singles = [mean_loss(stack, y, levels, np.eye(4)[j]) for j in range(4)]
    found.append(min(*singles, mean_loss(stack, y, levels, np.full(4, 0.25))))
    assert (np.diff(found) >= -1e-9 * found[-1]).all()


def test_groups_by_number_and_by_label_agree_and_share_their_rows():
    stack, y, levels = expert_stack(150, 3, 6, seed=4)
    one = fit_quantile_weights(stack, y, levels, resolution=3)
    two = fit_quantile_weights(stack, y, levels, level_groups=[5, 5, 7, 7, 9, 9])
    np.testing.assert_array_equal(one.weights, two.weights)
    np.testing.assert_array_equal(one.weights[::2], one.weights[1::2])


def test_groups_of_levels_apart_have_the_objective_of_coarse_weights_on_each():
    stack, y, levels = expert_stack(100, 3, 5, seed=5)
    groups = np.array([0, 1, 0, 1, 0])
    fit = fit_quantile_weights(stack, y, levels, level_groups=groups)
    best = 0.0
    for group in (0, 1):
        own = groups == group
        part = optimum(
            stack[:, :, own],
            y,
            levels[own],
            resolution="coarse",
            constraint="simplex",
        )
        best += part * own.mean()
    np.testing.assert_allclose(fit.objective, best, rtol=1e-8)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000),
    constraint=st.sampled_from(list(CONSTRAINTS)),
    resolution=st.sampled_from(["coarse", "medium"]),
)
def test_integer_weights_are_repeated_rows(seed, constraint, resolution):
    stack, y, levels = expert_stack(30, 3, 4, seed=seed)
    times = np.random.default_rng(seed).integers(0, 4, 30)
    times[0] = 1
    kw = {"resolution": resolution, "constraint": constraint, "tol": 1e-10}
    weighted = fit_quantile_weights(stack, y, levels, sample_weight=times, **kw)
    rows = np.repeat(np.arange(30), times)
    repeated = fit_quantile_weights(stack[rows], y[rows], levels, **kw)
    np.testing.assert_allclose(weighted.objective, repeated.objective, rtol=1e-8)


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_rows_without_weight_may_as_well_be_missing(resolution):
    stack, y, levels = expert_stack(60, 3, 4, seed=6)
    weight = np.r_[np.zeros(10), np.ones(50)]
    fit = fit_quantile_weights(
        stack, y, levels, sample_weight=weight, resolution=resolution
    )
    without = fit_quantile_weights(stack[10:], y[10:], levels, resolution=resolution)
    np.testing.assert_array_equal(fit.weights, without.weights)
    assert fit.objective == without.objective


@pytest.mark.parametrize("constraint", ["simplex", "unit_sum"])
@pytest.mark.parametrize("resolution", RESOLUTIONS)
@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_affine_maps_of_the_data_scale_the_objective(constraint, resolution, scale):
    stack, y, levels = expert_stack(80, 3, 4, seed=7)
    kw = {"resolution": resolution, "constraint": constraint}
    plain = fit_quantile_weights(stack, y, levels, **kw).objective
    scaled = fit_quantile_weights(scale * stack, scale * y, levels, **kw).objective
    np.testing.assert_allclose(scaled, scale * plain, rtol=1e-8)
    moved = fit_quantile_weights(stack + 1e6, y + 1e6, levels, **kw).objective
    np.testing.assert_allclose(moved, plain, rtol=1e-8)


def test_intercept_takes_up_a_location_without_a_sum_of_one():
    stack, y, levels = expert_stack(80, 3, 4, seed=8)
    kw = {"constraint": "free", "intercept": True}
    plain = fit_quantile_weights(stack, y, levels, **kw).objective
    moved = fit_quantile_weights(stack + 1e6, y - 1e6, levels, **kw).objective
    np.testing.assert_allclose(moved, plain, rtol=1e-8)


@pytest.mark.parametrize("resolution", RESOLUTIONS)
@pytest.mark.parametrize("constraint", list(CONSTRAINTS))
def test_a_model_twice_changes_nothing(resolution, constraint):
    stack, y, levels = expert_stack(60, 3, 4, seed=9)
    twice = np.concatenate([stack, stack[:, :1]], axis=1)
    kw = {"resolution": resolution, "constraint": constraint}
    one = fit_quantile_weights(stack, y, levels, **kw)
    two = fit_quantile_weights(twice, y, levels, **kw)
    np.testing.assert_allclose(two.objective, one.objective, rtol=1e-8)


def test_permuted_models_have_permuted_weights():
    stack, y, levels = expert_stack(200, 3, 4, seed=10)
    order = [2, 0, 1]
    one = fit_quantile_weights(stack, y, levels, resolution="coarse", tol=1e-11)
    two = fit_quantile_weights(
        stack[:, order], y, levels, resolution="coarse", tol=1e-11
    )
    np.testing.assert_allclose(two.weights, one.weights[order], atol=1e-6)


@pytest.mark.parametrize("resolution", RESOLUTIONS)
@pytest.mark.parametrize("constraint", list(CONSTRAINTS))
@pytest.mark.parametrize("intercept", [False, True])
def test_one_model_is_no_special_case(resolution, constraint, intercept):
    stack, y, levels = expert_stack(50, 1, 3, seed=11)
    kw = {"resolution": resolution, "constraint": constraint, "intercept": intercept}
    fit = fit_quantile_weights(stack, y, levels, **kw)
    np.testing.assert_allclose(
        fit.objective, optimum(stack, y, levels, **kw), rtol=1e-8
    )
    if constraint in ("simplex", "unit_sum") and resolution != "fine":
        np.testing.assert_allclose(fit.weights, 1.0, rtol=1e-12)


def test_one_row_and_one_level_are_fitted():
    fit = fit_quantile_weights([[[1.0], [3.0]]], [2.0], [0.5])
    np.testing.assert_allclose(fit.weights, [[0.5, 0.5]], atol=1e-6)
    assert fit.objective < 1e-9


def test_perfect_models_have_the_objective_zero():
    y = np.arange(10.0)
    stack = np.repeat(y[:, None, None], 3, axis=1).repeat(2, axis=2)
    for constraint in CONSTRAINTS:
        fit = fit_quantile_weights(stack, y, [0.3, 0.6], constraint=constraint)
        assert fit.objective < 1e-12


def test_wide_stacks_are_interpolated_by_free_weights():
    stack, y, levels = expert_stack(8, 12, 2, seed=12)
    fit = fit_quantile_weights(stack, y, levels, constraint="free")
    assert fit.objective < 1e-12


def test_single_precision_is_computed_in_double():
    stack, y, levels = expert_stack(60, 3, 4, seed=13)
    stack, y = stack.astype(np.float32), y.astype(np.float32)
    fit = fit_quantile_weights(stack, y, levels)
    same = fit_quantile_weights(stack.astype(float), y.astype(float), levels)
    np.testing.assert_array_equal(fit.weights, same.weights)
    assert fit.weights.dtype == np.float64


def test_inputs_are_not_changed():
    stack, y, levels = expert_stack(40, 3, 4, seed=14)
    before = stack.copy(), y.copy()
    for resolution in RESOLUTIONS:
        for constraint in CONSTRAINTS:
            fit_quantile_weights(
                stack, y, levels, resolution=resolution, constraint=constraint
            )
    np.testing.assert_array_equal(stack, before[0])
    np.testing.assert_array_equal(y, before[1])


# ------------------------------------------------------------------ shrinkage
@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_shrinkage_moves_weights_towards_the_plain_average(resolution):
    stack, y, levels = expert_stack(60, 3, 4, seed=15)
    exact = fit_quantile_weights(stack, y, levels, resolution=resolution)
    half = fit_quantile_weights(stack, y, levels, resolution=resolution, shrinkage=0.5)
    average = stack.mean(axis=1)
    np.testing.assert_allclose(
        half.predict(stack), 0.5 * exact.predict(stack) + 0.5 * average, rtol=1e-12
    )
    # What the shrinkage costs is part of the gap, which still bounds the optimum.
    bound = half.objective - half.duality_gap
    np.testing.assert_allclose(bound, exact.objective, rtol=1e-7)


def test_full_shrinkage_is_the_plain_average():
    fit = fit_quantile_weights(STACK, Y, LEVELS, shrinkage=1.0)
    np.testing.assert_allclose(fit.weights, 0.5)
    assert abs(fit.objective - 0.1118055556) < 1e-10


# ---------------------------------------------------------------- non-crossing
@pytest.mark.parametrize("constraint", list(CONSTRAINTS))
def test_noncrossing_weights_keep_every_row_in_order_at_the_best_price(constraint):
    stack, y, levels = expert_stack(60, 3, 5, seed=16)
    rng = np.random.default_rng(0)
    stack = stack + 0.3 * rng.standard_normal(stack.shape)
    kw = {"constraint": constraint, "intercept": True}
    plain = fit_quantile_weights(stack, y, levels, **kw)
    assert (np.diff(plain.predict(stack), axis=1) < -1e-6).any()
    fit = fit_quantile_weights(stack, y, levels, noncrossing=True, **kw)
    assert (np.diff(fit.predict(stack), axis=1) > -1e-8).all()
    assert fit.objective >= plain.objective - 1e-9
    assert fit.duality_gap <= 1e-7 * fit.objective


# ------------------------------------------------------------------- bad input
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Q": STACK[:, :, 0]}, r"'Q' of fit_quantile_weights must hold numbers of"),
        ({"Q": STACK[:, :, :2]}, r"Got shape \(6, 2, 2\)"),
        ({"Q": STACK[:0]}, r"'Q' of fit_quantile_weights"),
        ({"Q": "abc"}, r"'Q' of fit_quantile_weights"),
        ({"y": Y[:5]}, r"'y' of fit_quantile_weights must hold one number for each"),
        ({"y": np.r_[Y[:5], np.nan]}, r"must be finite. Got NaN or infinity in 1 of 6"),
        ({"levels": (0.5, 0.25, 0.75)}, r"strictly increasing"),
        ({"levels": (0.5, 0.5, 0.75)}, r"twice"),
        ({"levels": (0.0, 0.5, 0.75)}, r"in \(0, 1\)"),
        ({"sample_weight": -WEIGHT}, r"'sample_weight' of|'sample_weight' parameter"),
        ({"sample_weight": 0 * WEIGHT}, r"not all of them zero"),
        ({"level_groups": [0, 1]}, r"'level_groups'"),
        ({"resolution": "rough"}, r"'resolution'"),
        ({"resolution": 4}, r"between 1 and the 3 levels"),
        ({"constraint": "convex"}, r"'constraint' .* must be one of"),
        ({"solver": "simplex"}, r"'solver' .* must be one of"),
        ({"shrinkage": 1.5}, r"'shrinkage' .* lie in \[0, 1\]"),
        ({"tol": 0.0}, r"'tol'"),
        ({"max_iter": 0}, r"'max_iter'"),
        ({"noncrossing": True, "resolution": "coarse"}, r"'noncrossing' .*='medium'"),
        ({"noncrossing": True, "resolution": "fine"}, r"'noncrossing' .*='medium'"),
        ({"noncrossing": True, "resolution": 2}, r"'noncrossing' .*='medium'"),
        ({"noncrossing": True, "solver": "lbfgs"}, r"'solver' .* for noncrossing"),
    ],
)
def test_bad_input_is_refused_with_what_to_do(change, message):
    arguments = {"Q": STACK, "y": Y, "levels": LEVELS, **change}
    with pytest.raises(ValueError, match=message) as error:
        fit_quantile_weights(**arguments)
    assert ";" in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        {"shrinkage": "cv"},
        {"shrinkage": True},
        {"tol": "small"},
        {"tol": None},
        {"max_iter": True},
        {"max_iter": "x"},
        {"max_iter": 10.0},
        {"solver": None},
        {"constraint": ["simplex"]},
    ],
    ids=range(9),
)
def test_parameter_of_another_kind_is_refused(change):
    (name,) = change
    with pytest.raises(TypeError, match=f"'{name}' of fit_quantile_weights must be"):
        fit_quantile_weights(STACK, Y, LEVELS, **change)


def test_missing_predictions_name_the_model_and_count_its_rows():
    stack = STACK.copy()
    stack[[1, 4], 1, 0] = np.nan
    with pytest.raises(ValueError, match=r"model 1 \(counted from 0\) in 2 of 6 rows"):
        fit_quantile_weights(stack, Y, LEVELS)
    stack[0, 0, 0] = np.inf
    with pytest.raises(ValueError, match=r"and from models 0"):
        fit_quantile_weights(stack, Y, LEVELS)


def test_a_column_of_targets_is_never_broadcast():
    with pytest.warns(DataConversionWarning):
        column = fit_quantile_weights(STACK, Y[:, None], LEVELS)
    flat = fit_quantile_weights(STACK, Y, LEVELS)
    np.testing.assert_array_equal(column.weights, flat.weights)


def test_more_fine_weights_than_rows_warn():
    stack, y, levels = expert_stack(11, 3, 4, seed=17)
    with pytest.warns(StatlearnWarning, match="11 rows and 12 weights"):
        fit_quantile_weights(stack, y, levels, resolution="fine")


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_too_few_iterations_warn_with_the_gap(resolution):
    stack, y, levels = expert_stack(100, 3, 4, seed=18)
    with pytest.warns(ConvergenceWarning, match="duality gap of at most 1e-08"):
        fit = fit_quantile_weights(stack, y, levels, resolution=resolution, max_iter=1)
    best = optimum(stack, y, levels, resolution=resolution, constraint="simplex")
    assert fit.objective - fit.duality_gap <= best <= fit.objective


@pytest.mark.parametrize(
    ("solver", "other"),
    [("auto", "highs"), ("interior-point", "highs"), ("lbfgs", "interior-point")],
)
def test_advice_names_another_solver(solver, other):
    stack, y, levels = expert_stack(100, 3, 4, seed=18)
    with pytest.warns(ConvergenceWarning, match=f"or use solver='{other}'"):
        fit_quantile_weights(
            stack, y, levels, constraint="free", solver=solver, max_iter=1
        )


@pytest.mark.parametrize("resolution", ["coarse", "medium"])
def test_levels_next_to_zero_and_one_have_free_weights_by_default(resolution):
    rng = np.random.default_rng(1)
    levels = np.array([0.001, 0.5, 0.999])
    centre = rng.normal(size=20_000)
    y = centre + rng.standard_t(4, size=20_000)
    models = [(1.0, 0.0, 1.0), (0.8, 0.1, 1.4), (1.1, -0.2, 0.7), (0.5, 0.0, 1.2)]
    stack = np.stack(
        [a * centre[:, None] + b + s * norm.ppf(levels) for a, b, s in models], axis=1
    )
    options = {"resolution": resolution, "constraint": "free", "intercept": True}
    fit = fit_quantile_weights(stack, y, levels, **options)
    assert fit.duality_gap <= 1e-8 * fit.objective


@pytest.mark.parametrize("shape", [(4, 3, 3), (4, 2, 2)])
def test_predictions_of_another_shape_are_refused(shape):
    weights = QuantileWeights(
        np.full((3, 2), 0.5), np.zeros(3), 0.0, 0.0, 0, np.array(LEVELS)
    )
    with pytest.raises(ValueError, match=r"'Q' of QuantileWeights.predict must hold"):
        weights.predict(np.zeros(shape))
