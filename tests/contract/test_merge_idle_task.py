"""What rules do with a task that changed nothing: for each of them, a closed form."""

from __future__ import annotations

import numpy as np
import pytest

from merge_rule_cases import METHODS, NEUTRAL, assert_equal_states, case, weights_of
from statlearn.merging import merge_weights

# Rules that drop nothing under NEUTRAL and leave the other task as it is.
WITHOUT_IT = {"task-arithmetic", "ties", "sce", "consensus"} | {
    f"{kind}{end}"
    for kind, end in (
        *(("dare", ""), ("dare", "-ties"), ("della", ""), ("della", "-linear")),
        *(("breadcrumbs", ""), ("breadcrumbs", "-ties")),
    )
}


def on_matrix(rule):
    """Apply a rule to an update as a matrix; the mean with zero for vectors."""

    def merge(base, update):
        if update.ndim < 2:
            return base + update / 2
        left, sizes, right = np.linalg.svd(
            update.reshape(len(update), -1), full_matrices=False
        )
        return base + ((left * rule(sizes)) @ right).reshape(update.shape)

    return merge


def half_of_the_rank(sizes):
    return np.where(np.arange(len(sizes)) < len(sizes) // 2, sizes, 0.0)


def arc(one, other):
    """Return the middle of the arc between two arrays, both of which have lengths."""
    lengths = np.linalg.norm(one), np.linalg.norm(other)
    cosine = np.vdot(one, other) / np.prod(lengths)
    return (one + other) / (2 * np.cos(np.arccos(cosine) / 2)), lengths, cosine


def slerped(base, update):
    middle, _, cosine = arc(base, base + update)
    return base + update / 2 if cosine > 0.9995 else middle


def sphere_mean(base, update):
    units = [array / np.linalg.norm(array) for array in (base, base + update)]
    _, lengths, _ = arc(base, base + update)
    total = units[0] + units[1]
    return np.mean(lengths) * total / np.linalg.norm(total)


CLOSED_FORMS = {
    "average": lambda base, update: base + update / 2,
    "nuslerp": lambda base, update: base + update / 2,
    "model-stock": lambda base, update: base,
    "slerp": slerped,
    "karcher": sphere_mean,
    "tsvm": on_matrix(half_of_the_rank),
    "r-tsvm": on_matrix(half_of_the_rank),
    "iso-c": on_matrix(lambda sizes: np.full(len(sizes), sizes.mean())),
}


def with_idle_task(name):
    base, models, options = case(name)
    options |= NEUTRAL.get(name, {})
    merged = merge_weights(base, [models[0], base], name, random_state=0, **options)
    updates = {key: models[0][key] - base[key] for key in base}
    return base, models[0], updates, merged, options


@pytest.mark.parametrize("name", sorted(WITHOUT_IT))
def test_task_that_changed_nothing_leaves_the_other_as_it_is(name):
    _, model, _, merged, _ = with_idle_task(name)
    assert_equal_states(weights_of(merged), weights_of(model), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", sorted(CLOSED_FORMS))
def test_task_that_changed_nothing_enters_by_a_closed_form(name):
    base, _, updates, merged, _ = with_idle_task(name)
    for key, update in weights_of(updates).items():
        expected = CLOSED_FORMS[name](base[key], update)
        tolerance = 1e-9 if name != "karcher" else 1e-6
        np.testing.assert_allclose(merged[key], expected, tolerance, tolerance)


def test_task_that_changed_nothing_counts_by_its_information():
    base, _, updates, merged, options = with_idle_task("fisher")
    for key, update in weights_of(updates).items():
        mine, idle = (fisher[key] + 1e-6 for fisher in options["fishers"])
        expected = base[key] + mine / (mine + idle) * update
        np.testing.assert_allclose(merged[key], expected, rtol=1e-9)


def test_task_that_changed_nothing_counts_by_its_inputs():
    base, _, updates, merged, options = with_idle_task("regmean")
    mine, idle = options["grams"]
    for key, update in weights_of(updates).items():
        expected = base[key] + update / 2
        if key in mine:  # up to the ridge
            expected = base[key] + np.linalg.solve(
                mine[key] + idle[key], mine[key] @ update
            )
        np.testing.assert_allclose(merged[key], expected, rtol=1e-5, atol=1e-6)


def test_task_that_changed_nothing_competes_for_nothing():
    base, _, updates, merged, _ = with_idle_task("pcb")
    every = np.abs(np.concatenate([u.ravel() for u in weights_of(updates).values()]))
    winsorised = np.sort(every)[int(len(every) * (1 - 1e-4) - 1)]
    taken = 0
    for key, update in weights_of(updates).items():
        moved = merged[key] != base[key]
        whole = np.clip(update, -winsorised, winsorised)
        np.testing.assert_allclose((merged[key] - base[key])[moved], whole[moved])
        taken += moved.sum()
    assert 0 < taken <= int(0.1 * len(every)) + 1


def test_every_rule_says_what_a_task_that_changed_nothing_does():
    told = WITHOUT_IT | set(CLOSED_FORMS) | {"fisher", "regmean", "pcb"}
    assert told == set(METHODS)
