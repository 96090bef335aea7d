"""Every estimator keeps scikit-learn's contract; a new one joins `ESTIMATORS`."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import re

import pytest
from sklearn.base import BaseEstimator, is_classifier
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    QuantileRegressor,
    Ridge,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils import estimator_checks as sk

from rooms import LOADABLE
from statlearn.compose import CovariateShift, DomainBalanced, LossReweighted
from statlearn.continual import ContinualLearner, IncrementalClassifier
from statlearn.linear_model import ReweightedLinearRegression
from statlearn.merging import SignaturePatchedClassifier
from statlearn.ordinal import OrdinalRegression, PrestoClassifier, PrestoClassifierCV
from statlearn.quantile import (
    ConformalQuantileRegressor,
    LinearQuantileRegression,
    LocationScaleQuantiles,
    MultiQuantileRegressor,
    QuantileAggregator,
)
from statlearn.weights import WeightingRule

LEVELS = (0.2, 0.5, 0.8)
LINEAR = LinearQuantileRegression(LEVELS)
RESIDUALS = LocationScaleQuantiles(Ridge(), levels=LEVELS)
MODELS = [("linear", LINEAR), ("residuals", RESIDUALS)]

ESTIMATORS = [
    PrestoClassifier(),
    PrestoClassifier(family="sratio", reverse=True),
    PrestoClassifier(family="cratio", l1_ratio=0.5),
    PrestoClassifier(family="acat", link="probit", monotone="rearrange"),
    PrestoClassifier(alpha=0.0),
    PrestoClassifierCV(n_alphas=4, cv=2),
    OrdinalRegression(),
    OrdinalRegression(parallel=False),
    OrdinalRegression(penalty="l2"),
    OrdinalRegression(parallel=False, penalty="l2"),
    ReweightedLinearRegression(),
    ReweightedLinearRegression("linupper", cov_type="sandwich"),
    ReweightedLinearRegression("bisquare", scale="proposal2", init="lad"),
    ReweightedLinearRegression("huber", alpha=0.1),
    ReweightedLinearRegression("huber", solver="sgd", random_state=0),
    ReweightedLinearRegression("mm", random_state=0),
    ReweightedLinearRegression("s", random_state=0),
    ReweightedLinearRegression("lts", random_state=0),
    # Of sparse rows LinearRegression finds the fit to six digits; the weights of rows
    # that it fits exactly would be rounding.
    LossReweighted(Ridge()),
    LossReweighted(LinearRegression(), weighting="huber"),
    LossReweighted(LogisticRegression(), max_iter=5),
    CovariateShift(LinearRegression()),
    CovariateShift(LogisticRegression()),
    DomainBalanced(SGDClassifier(random_state=0), random_state=0),
    DomainBalanced(SGDRegressor(random_state=0), random_state=0),
    DomainBalanced(LogisticRegression(), strategy="scalarization"),
    ContinualLearner(SGDClassifier(random_state=0), n_steps=100, random_state=0),
    ContinualLearner(SGDRegressor(random_state=0), n_steps=100, random_state=0),
    SignaturePatchedClassifier(
        SGDClassifier(random_state=0), n_epochs=2, random_state=0
    ),
    IncrementalClassifier(),
    # The law of weights holds to the tolerance of the fit.
    IncrementalClassifier("random", alpha=0.1, tol=1e-9, random_state=0),
    IncrementalClassifier(
        head_init="copy", distillation=True, balance_classes=True, fit_intercept=True
    ),
    LINEAR,
    LinearQuantileRegression(LEVELS, alpha=0.1),
    LinearQuantileRegression(LEVELS, non_crossing=True),
    RESIDUALS,
    LocationScaleQuantiles(LinearRegression(), levels=LEVELS, scale_estimator=Ridge()),
    MultiQuantileRegressor(QuantileRegressor(alpha=0.0), levels=LEVELS),
    ConformalQuantileRegressor(LINEAR, random_state=0),
    ConformalQuantileRegressor(LINEAR, method="cv+", cv=3),
    ConformalQuantileRegressor(LINEAR, method="jackknife-minmax", cv=3),
    QuantileAggregator(MODELS, levels=LEVELS, cv=2),
]

# Further settings whose fits take long: slow tests, all of their checks.
LONG_FITS = [
    LossReweighted(
        SGDClassifier(random_state=0), mode="minibatch", batch_size=32, random_state=0
    ),
    ContinualLearner(
        SGDClassifier("log_loss", random_state=0),
        buffer="reservoir",
        buffer_size=20,
        random_state=0,
    ),
    ContinualLearner(
        MLPClassifier((16,), random_state=0), eta_max=0.03, random_state=0
    ),
    ContinualLearner(
        MLPRegressor(hidden_layer_sizes=(16,), random_state=0),
        eta_max=0.03,
        random_state=0,
    ),
    QuantileAggregator(
        [("linear", LINEAR), ("sparse", LinearQuantileRegression(LEVELS, alpha=0.1))],
        levels=LEVELS,
        resolution="fine",
        shrinkage=0.0,
        calibration="cv+",
        cv=3,
    ),
]
ESTIMATORS += LONG_FITS

if "neural" in LOADABLE:
    from statlearn.neural import NeuralClassifier, NeuralRegressor
    from statlearn.neural.regularization import compand

    # All tables fit into one batch, so that the law of weights holds to rounding.
    FEW_EPOCHS = {"max_epochs": 30, "learning_rate": 0.01, "random_state": 0}
    ESTIMATORS += [
        NeuralClassifier(dtype="float64", **FEW_EPOCHS),
        NeuralRegressor(dtype="float64", **FEW_EPOCHS),
        NeuralClassifier(**FEW_EPOCHS),
        NeuralClassifier(
            dtype="float64",
            weighting="linupper",
            optimizer="adamp",
            weight_map=compand,
            **FEW_EPOCHS,
        ),
    ]

ROUNDED = (
    "compares to a relative 1e-7, which is the rounding of float32; Adam divides by "
    "the size of gradients, also of those that are rounding"
)
SUMMED = (
    "compares to a relative 1e-7, which is the rounding of float32; products of few "
    "rows and of many are summed in different orders"
)

# Class name -> {name of a check: the reason why it cannot hold}. A check that
# passes in spite of its entry fails the suite, so the table stays true; but for those
# that hang on the last bit, which another processor may round as the check has it.
EXPECTED_FAILURES: dict[str, dict[str, str]] = {
    "ReweightedLinearRegression": {
        "check_sample_weight_equivalence_on_dense_data": (
            "fits 15 rows with 30 features, which have no unique fit without a "
            "penalty; the setting with one passes, the law itself is tested in "
            "tests/linear_model"
        ),
    },
    # With "split" only, see `expected_failures`.
    "ConformalQuantileRegressor": {
        "check_sample_weight_equivalence_on_dense_data": (
            "copies of a repeated row are held out one by one"
        ),
    },
    # With "float32" only, see `expected_failures`.
    "NeuralClassifier": {
        "check_sample_weight_equivalence_on_dense_data": ROUNDED,
        "check_sample_weight_equivalence_on_sparse_data": ROUNDED,
        "check_methods_subset_invariance": SUMMED,
    },
}

# Fits in batches keep the law of sample weights in expectation at best; tests/continual
# measures it for ContinualLearner, nothing does for the other two. Whether one draw
# keeps it can hang on the last bit of a product (all units of a small network may die
# in both fits), so neither result fails the suite.
IN_EXPECTATION = {
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
}


# Their `fit` takes fitted models, not rows and targets; tests/merging has their tests.
FITTED_TO_MODELS = {"MatchedAveraging", "ModelMerger", "WeightMatcher"}


def has(*names):
    """Tell whether an estimator has all the named methods."""
    return lambda estimator: all(hasattr(estimator, name) for name in names)


# Public checks that scikit-learn runs for its own estimators only, each with the
# condition under which it applies.
CHECKS_FOR_SCIKIT_LEARN_ONLY = {
    sk.check_param_validation: has("fit"),
    sk.check_dataframe_column_names_consistency: has("fit"),
    sk.check_inplace_ensure_writeable: has("fit"),
    sk.check_set_output_transform: has("set_output"),
    sk.check_set_output_transform_pandas: has("set_output"),
    sk.check_set_output_transform_polars: has("set_output"),
    sk.check_global_output_transform_pandas: has("set_output"),
    sk.check_global_set_output_transform_polars: has("set_output"),
    sk.check_transformer_get_feature_names_out: has("get_feature_names_out"),
    sk.check_transformer_get_feature_names_out_pandas: has("get_feature_names_out"),
    sk.check_get_feature_names_out_error: has("get_feature_names_out"),
}

# How tables and labels are read or refused, and the form of a class, do not depend on
# a setting: its first classifier and its first regressor answer for them in the quick
# tests, the further settings in the slow ones.
CHECKS_OF_FORM = {
    "check_classifier_data_not_an_array",
    "check_classifiers_classes",
    "check_dataframe_column_names_consistency",
    "check_dict_unchanged",
    "check_dtype_object",
    "check_estimator_sparse_array",
    "check_estimator_sparse_matrix",
    "check_estimator_sparse_tag",
    "check_estimators_dtypes",
    "check_estimators_fit_returns_self",
    "check_estimators_nan_inf",
    "check_f_contiguous_array_estimator",
    "check_fit2d_1feature",
    "check_fit2d_predict1d",
    "check_fit_check_is_fitted",
    "check_fit_score_takes_y",
    "check_n_features_in",
    "check_n_features_in_after_fitting",
    "check_pipeline_consistency",
    "check_positive_only_tag_during_fit",
    "check_readonly_memmap_input",
    "check_regressor_data_not_an_array",
    "check_regressors_int",
    "check_sample_weights_list",
    "check_sample_weights_not_an_array",
    "check_sample_weights_pandas_series",
    "check_sample_weights_shape",
    "check_supervised_y_2d",
}


def fits_in_batches(estimator):
    """Tell an estimator whose result depends on which rows its batches draw."""
    match type(estimator).__name__:
        case "ContinualLearner":
            return True
        case "DomainBalanced":
            return estimator.strategy == "sampling"
        case "LossReweighted":
            return estimator.mode == "minibatch"
    return False


def expected_failures(estimator):
    if (getattr(estimator, "alpha", None) or 0.0) > 0.0:
        return {}
    if getattr(estimator, "method", "split") != "split":
        return {}
    if getattr(estimator, "dtype", None) == "float64":
        return {}
    return EXPECTED_FAILURES.get(type(estimator).__name__, {})


def common_checks(estimator):
    """Checks for every estimator; those of scikit-learn are partial functions."""
    for _, check in sk.estimator_checks_generator(estimator):
        options = "".join(f" {k}={v}" for k, v in check.keywords.items())
        on_file = "readonly_memmap" in check.keywords
        is_form = on_file or check.func.__name__ in CHECKS_OF_FORM
        yield check, check.func.__name__, options, is_form


def checks_for_scikit_learn_only(estimator):
    for check, applies in CHECKS_FOR_SCIKIT_LEARN_ONLY.items():
        if applies(estimator):
            is_form = check.__name__ in CHECKS_OF_FORM
            yield check, check.__name__, "", is_form


def cases(checks):
    """Settings and their checks, with a reason where one cannot hold."""
    first = set()
    for estimator in ESTIMATORS:
        kind = type(estimator), is_classifier(estimator)
        is_further = kind in first
        takes_long = any(estimator is one for one in LONG_FITS)
        first.add(kind)
        label = re.sub(r"<function (\w+) at \w+>", r"\1", str(estimator))
        label = " ".join(label.split())
        for check, name, options, is_form in checks(estimator):
            marks = []
            if reason := expected_failures(estimator).get(name):
                strict = reason not in (ROUNDED, SUMMED)
                marks = [pytest.mark.xfail(reason=reason, strict=strict)]
            if is_further and (is_form or takes_long):
                marks.append(pytest.mark.slow)
            case = f"{label}-{name}{options}"
            yield pytest.param(estimator, check, marks=marks, id=case)


# The checks fit tiny tables of random labels: warnings about separation, rare
# classes or guessed label orders are what such data deserve.
degraded_data = pytest.mark.filterwarnings(
    "ignore::statlearn.exceptions.StatlearnWarning",
    "ignore::sklearn.exceptions.ConvergenceWarning",
)


@degraded_data
@pytest.mark.parametrize(("estimator", "check"), list(cases(common_checks)))
def test_estimator_passes_the_check(estimator, check):
    if check.func.__name__ in IN_EXPECTATION and fits_in_batches(estimator):
        with contextlib.suppress(AssertionError):
            check(estimator)
        pytest.skip("holds in expectation")
    check(estimator)


@degraded_data
@pytest.mark.parametrize(
    ("estimator", "check"), list(cases(checks_for_scikit_learn_only))
)
def test_estimator_passes_the_check_for_scikit_learn_only(estimator, check):
    check(type(estimator).__name__, estimator)


def test_every_public_estimator_is_listed():
    rooms = [importlib.import_module(f"statlearn.{name}") for name in LOADABLE]
    public = [getattr(room, name) for room in rooms for name in room.__all__]
    estimators = {
        value
        for value in public
        if inspect.isclass(value)
        and issubclass(value, BaseEstimator)
        and not issubclass(value, WeightingRule)  # these are in test_rules
        and "offline_rl" not in value.__module__  # these are fitted to trajectories
        and value.__name__ not in FITTED_TO_MODELS
    }
    assert estimators == {type(estimator) for estimator in ESTIMATORS}


def test_every_expected_failure_belongs_to_a_listed_estimator():
    assert set(EXPECTED_FAILURES) <= {type(e).__name__ for e in ESTIMATORS}
