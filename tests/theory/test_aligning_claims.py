"""What is claimed of weight aligning, for linear heads on features that stay fixed.

The demonstration follows Zhao and others, "Maintaining Discrimination and Fairness in
Class Incremental Learning", CVPR 2020, with a softmax regression that is fitted until
it has converged in place of a network: digits in five steps of two classes, with 50
exemplars in all, and a table of 20 overlapping classes in ten steps, with 100. Figures
are accuracies on rows held out. Seeds are fixed and not searched for; run with ``-s``
to see the figures.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.svm import LinearSVC

from aligning_cases import digits_in_steps, letters_in_steps
from statlearn.continual import IncrementalClassifier, align_classifier

pytestmark = pytest.mark.slow

N_SEEDS = 3
DATA = {"digits": (digits_in_steps, 50, 300), "letters": (letters_in_steps, 100, 150)}
VARIANTS = {
    "plain": {"align": False},
    "aligned": {},
    "aligned, L1": {"p": 1},
    "copied": {"align": False, "head_init": "copy"},
    "copied, aligned": {"head_init": "copy"},
    "clipped": {"align": False, "clip_weights": True},
    "clipped, aligned": {"clip_weights": True},
    "distilled": {"align": False, "distillation": True},
    "distilled, aligned": {"distillation": True},
    "balanced": {"align": False, "balance_classes": True},
    "balanced, aligned": {"balance_classes": True},
    "random exemplars, aligned": {"selection": "random"},
}
EACH = pytest.mark.parametrize(
    ("data", "backbone"),
    [("digits", "random"), ("digits", None), ("letters", "random")],
    ids=["digits", "digits-pixels", "letters"],
)


def report(text):
    """Show a figure of a test that passes too, under ``pytest -s``."""
    print(text)  # noqa: T201


@cache
def runs(data, backbone, variant):
    """Accuracies after each step, of old and new classes, and factors, by seed."""
    steps_of, memory_size, n_components = DATA[data]
    found = []
    for seed in range(N_SEEDS):
        (X, y), (X_test, y_test), steps = steps_of(seed)
        model = IncrementalClassifier(
            backbone,
            n_components=n_components,
            memory_size=memory_size,
            random_state=seed,
            **VARIANTS[variant],
        )
        path = []
        for k, classes in enumerate(steps):
            rows = np.isin(y, classes)
            model.partial_fit(X[rows], y[rows])
            seen = np.isin(y_test, steps[: k + 1])
            path.append(model.score_steps(X_test[seen], y_test[seen]))
        overall = [scores.overall for scores in path]
        found.append((overall, path[-1].old, path[-1].new, model.gamma_))
    return found


def final(data, backbone, variant):
    """Accuracy after the last step, mean of the seeds."""
    found = runs(data, backbone, variant)
    last = np.array([path[-1] for path, *_ in found])
    later = np.mean([path[1:] for path, *_ in found])
    old, new = np.mean([run[1:3] for run in found], axis=0)
    factor = np.mean([run[3][1:] for run in found])
    report(
        f"{data}, {backbone or 'plain'} features, {variant}: final {last.mean():.3f} "
        f"(sd {last.std(ddof=1):.3f}), after steps 2 to the last {later:.3f}, old "
        f"{old:.3f}, new {new:.3f}, factor {factor:.2f}"
    )
    return last.mean()


@EACH
def test_aligning_lifts_accuracy(data, backbone):
    assert final(data, backbone, "aligned") > final(data, backbone, "plain") + 0.03


@EACH
def test_aligning_lifts_accuracy_of_old_classes(data, backbone):
    for aligned, plain in zip(
        runs(data, backbone, "aligned"), runs(data, backbone, "plain"), strict=True
    ):
        assert aligned[1] > plain[1] + 0.02


@EACH
def test_weights_of_new_classes_are_the_longer_ones_in_every_step(data, backbone):
    factors = [run[3][1:] for run in runs(data, backbone, "aligned")]
    assert np.max(factors) < 1.0


@EACH
def test_either_norm_does(data, backbone):
    first, second = (final(data, backbone, v) for v in ("aligned", "aligned, L1"))
    assert first == pytest.approx(second, abs=0.015)


@EACH
def test_aligning_does_next_to_nothing_for_copied_rows(data, backbone):
    plain, aligned = (final(data, backbone, v) for v in ("copied", "copied, aligned"))
    assert aligned == pytest.approx(plain, abs=0.005)


@EACH
def test_copied_rows_forget_less_than_others_without_aligning(data, backbone):
    assert final(data, backbone, "copied") > final(data, backbone, "plain") + 0.01


@EACH
def test_distillation_does_harm_where_features_are_fixed(data, backbone):
    assert final(data, backbone, "distilled") < final(data, backbone, "plain") - 0.02


@EACH
def test_distillation_adds_nothing_to_aligning_where_features_are_fixed(data, backbone):
    aligned, both = (
        final(data, backbone, v) for v in ("aligned", "distilled, aligned")
    )
    assert both < aligned + 0.01


@EACH
def test_clipping_does_not_help_features_of_any_sign(data, backbone):
    for aligned in ("", ", aligned"):
        without = "aligned" if aligned else "plain"
        clipped = final(data, backbone, f"clipped{aligned}")
        assert clipped < final(data, backbone, without) + 0.005


@EACH
def test_balanced_classes_do_what_aligning_does(data, backbone):
    balanced, aligned, both = (
        final(data, backbone, v) for v in ("balanced", "aligned", "balanced, aligned")
    )
    assert balanced == pytest.approx(aligned, abs=0.03)
    assert both == pytest.approx(max(balanced, aligned), abs=0.02)


@EACH
def test_exemplars_by_herding_are_better_than_random_ones(data, backbone):
    herded, random = (
        final(data, backbone, v) for v in ("aligned", "random exemplars, aligned")
    )
    assert herded > random + 0.03


# ------------------------------------------------------------------- fitted classifiers
def of_scarce_digits(model, **options):
    """Accuracy on all digits as fitted, aligned and balanced; 0 to 4 have 25 rows."""
    found = []
    for seed in range(N_SEEDS):
        (X, y), (X_test, y_test), _ = digits_in_steps(seed)
        rows = np.r_[np.flatnonzero(y < 5)[:25], np.flatnonzero(y >= 5)]
        model.set_params(class_weight=None).fit(X[rows], y[rows])
        aligned = align_classifier(model, range(5), **options)
        scores = [fit.score(X_test, y_test) for fit in (model, aligned)]
        model.set_params(class_weight="balanced").fit(X[rows], y[rows])
        found.append([*scores, model.score(X_test, y_test)])
    found = np.mean(found, axis=0)
    report(f"{model}, {options}: as fitted, aligned, balanced {found.round(3)}")
    return found


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_aligning_lifts_a_fitted_logistic_regression_and_balancing_more(fit_intercept):
    model = LogisticRegression(fit_intercept=fit_intercept)
    plain, aligned, balanced = of_scarce_digits(
        model, align_bias="scale" if fit_intercept else "keep"
    )
    assert aligned > plain + 0.08
    assert balanced > aligned + 0.02


def test_intercepts_that_are_kept_cost_some_of_it():
    model = LogisticRegression()
    _, kept, _ = of_scarce_digits(model)
    _, scaled, _ = of_scarce_digits(model, align_bias="scale")
    assert scaled > kept + 0.02


@pytest.mark.parametrize("kind", [LinearSVC, RidgeClassifier])
def test_classifiers_of_one_class_against_the_rest_gain_nothing(kind):
    options = {"random_state": 0} if kind is LinearSVC else {}
    plain, aligned, _ = of_scarce_digits(kind(fit_intercept=False, **options))
    assert aligned < plain + 0.005
