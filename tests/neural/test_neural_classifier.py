"""Labels, weights, training, state and files of the neural classifier."""

from __future__ import annotations

import copy
import pickle
from functools import partial

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.utils.class_weight import compute_sample_weight

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from statlearn.neural import NeuralClassifier, strip  # noqa: E402
from statlearn.neural._estimators._state_file import read_state, write_state  # noqa: E402
from statlearn.neural.adapters import apply_bone  # noqa: E402
from statlearn.neural.models import MLP, ConvNet  # noqa: E402
from statlearn.neural.quantization import quantize_model  # noqa: E402
from statlearn.schedules import Constant, Cosine  # noqa: E402
from statlearn.weights import LinUpper  # noqa: E402

CLASSES = np.array(["a", "b", "c"])
SHORT = {"max_epochs": 4, "batch_size": 32, "random_state": 0}


def table(n=200, seed=0):
    """Return rows, and labels that depend on two of six columns."""
    X = np.random.default_rng(seed).normal(size=(n, 6))
    return X, CLASSES[(X[:, 0] > 0).astype(int) + (X[:, 1] > 0)]


def same_state(one, other):
    return one.state_.keys() == other.state_.keys() and all(
        np.array_equal(one.state_[name], other.state_[name]) for name in one.state_
    )


# -- what it learns -----------------------------------------------------------------


@pytest.mark.parametrize("n", [65, 33, 34])
def test_no_row_is_left_over_alone_for_a_batch_normalisation(n):
    X, y = table(n)
    module = partial(MLP, hidden=(5,), norm="batch")
    model = NeuralClassifier(module, **SHORT).fit(X, y)
    assert np.isfinite(model.predict_proba(X)).all()


@pytest.mark.slow
def test_digits_are_learnt_as_well_as_by_the_network_of_scikit_learn():
    X, y = load_digits(return_X_y=True)
    train, test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
    ours = NeuralClassifier(random_state=0).fit(train, y_train)
    peer = MLPClassifier(
        (100,), alpha=0.0, batch_size=128, max_iter=100, tol=0.0, random_state=0
    )
    with pytest.warns(UserWarning, match="Maximum iterations"):
        peer.fit(train, y_train)
    assert ours.score(test, y_test) > peer.score(test, y_test) - 0.015


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_a_module_without_hidden_layers_converges_to_logistic_regression(weighted):
    X, y = table(120)
    X, y = X[:, :3], np.random.default_rng(1).permutation(y)
    weight = np.arange(1, 121) % 7 if weighted else None
    peer = LogisticRegression(C=np.inf, tol=1e-10).fit(X, y, sample_weight=weight)
    ours = NeuralClassifier(
        hidden_layer_sizes=(),
        optimizer=partial(torch.optim.SGD, lr=2.0),
        batch_size=120,
        max_epochs=80,
        dtype="float64",
        random_state=0,
    ).fit(X, y, sample_weight=weight)
    assert ours.predict_proba(X) == pytest.approx(peer.predict_proba(X), abs=1e-5)


@pytest.mark.parametrize("form", ["weighted", "repeated"])
def test_small_steps_in_batches_lead_to_the_weighted_optimum_on_average(form):
    # A single fit in batches of few rows cannot equal that of repeated rows; where the
    # steps lead is the same.
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = X[:, 0] + np.abs(X[:, 1]) - 0.8 + rng.logistic(size=60) > 0
    weight = np.where(X[:, 1] < 0, 10, 1)
    peer = LogisticRegression(C=np.inf, tol=1e-8)
    plain = peer.fit(X, y).coef_[0]
    exact = peer.fit(X, y, sample_weight=weight).coef_[0]
    n_epochs = 80
    if form == "repeated":
        rows = np.repeat(np.arange(60), weight)
        X, y, weight = X[rows], y[rows], None
        n_epochs = n_epochs * 60 // len(rows)
    model = NeuralClassifier(
        hidden_layer_sizes=(),
        optimizer=partial(torch.optim.SGD, lr=0.1),
        learning_rate=0.1,
        schedule="cosine",
        batch_size=8,
        max_epochs=n_epochs,
        dtype="float64",
    )
    heads = [
        model.set_params(random_state=seed)
        .fit(X, y, sample_weight=weight)
        .state_["head.weight"]
        for seed in range(3)
    ]
    off = np.mean(np.diff(heads, axis=1), axis=0)[0] - exact
    assert np.linalg.norm(off) < 0.1 * np.linalg.norm(plain - exact)


def test_proba_decision_and_labels_agree():
    X, y = table()
    model = NeuralClassifier(**SHORT).fit(X, y)
    logits, proba = model.decision_function(X), model.predict_proba(X)
    assert np.exp(logits) / np.exp(logits).sum(1)[:, None] == pytest.approx(proba)
    assert np.exp(model.predict_log_proba(X)) == pytest.approx(proba)
    assert (model.predict(X) == CLASSES[proba.argmax(1)]).all()


def test_two_classes_have_one_logit():
    X, y = table()
    model = NeuralClassifier(**SHORT).fit(X, y == "a")
    odds = model.predict_proba(X)[:, 1] / model.predict_proba(X)[:, 0]
    assert model.decision_function(X) == pytest.approx(np.log(odds), abs=1e-5)


# -- weights ------------------------------------------------------------------------


def test_an_epoch_of_tiny_steps_goes_along_the_gradient_of_the_weighted_loss():
    X, y = table(200)
    # Ten batches; most of the weight is that of few rows, so batches differ in weight.
    weight = np.where(np.arange(200) % 40, 1, 100)
    module = nn.Linear(6, 3, bias=False)
    nn.init.zeros_(module.weight)
    model = NeuralClassifier(
        module,
        optimizer=partial(torch.optim.SGD, lr=1e-9),
        batch_size=20,
        max_epochs=1,
        dtype="float64",
    ).fit(X, y, sample_weight=weight)
    # All classes have the probability 1/3 at the start.
    descent = ((y[:, None] == CLASSES) - 1 / 3) * weight[:, None]
    assert model.state_["weight"] == pytest.approx(
        1e-8 * (descent.T @ X) / weight.sum(), rel=1e-5
    )


def test_a_row_of_weight_zero_is_no_row():
    X, y = table()
    weight = (np.arange(200) % 3 > 0).astype(float)
    kept = weight > 0
    with_zeros = NeuralClassifier(**SHORT).fit(X, y, sample_weight=weight)
    assert same_state(with_zeros, NeuralClassifier(**SHORT).fit(X[kept], y[kept]))


def test_the_unit_of_weights_does_not_matter():
    X, y = table()
    weight = np.random.default_rng(0).uniform(1, 2, size=200)
    one, other = (
        NeuralClassifier(**SHORT, dtype="float64").fit(
            X, y, sample_weight=factor * weight
        )
        for factor in (1.0, 1000.0)
    )
    assert one.predict_proba(X) == pytest.approx(other.predict_proba(X))


def test_weights_with_a_sum_that_is_too_large_are_still_weights():
    X, y = table()
    weight = np.random.default_rng(1).uniform(0.5, 1.0, size=len(y))
    one = NeuralClassifier(**SHORT).fit(X, y, sample_weight=weight)
    huge = NeuralClassifier(**SHORT).fit(X, y, sample_weight=weight * 2.0**1023)
    assert same_state(one, huge)


@pytest.mark.parametrize("exponent", [-1000, 1023])
def test_a_rule_and_early_stopping_do_not_see_the_unit_of_weights(exponent):
    X, y = table()
    weight = np.random.default_rng(1).uniform(0.5, 1.0, size=len(y))
    options = {"weighting": "linupper", "early_stopping": True, **SHORT}
    one = NeuralClassifier(**options).fit(X, y, sample_weight=weight)
    other = NeuralClassifier(**options).fit(X, y, sample_weight=weight * 2.0**exponent)
    assert same_state(one, other)
    assert one.best_validation_score_ == other.best_validation_score_


def test_class_weights_multiply_sample_weights():
    X, y = table()
    weight = np.random.default_rng(0).uniform(1, 2, size=200)
    factors = {"a": 1.0, "b": 2.0, "c": 5.0}
    by_class = NeuralClassifier(class_weight=factors, **SHORT)
    by_row = NeuralClassifier(**SHORT)
    by_class.fit(X, y, sample_weight=weight)
    by_row.fit(X, y, sample_weight=weight * [factors[label] for label in y])
    assert same_state(by_class, by_row)


def test_class_weights_that_leave_no_row_are_refused():
    X, y = table()
    model = NeuralClassifier(class_weight=dict.fromkeys("abc", 0), **SHORT)
    with pytest.raises(ValueError, match="'class_weight' of NeuralClassifier must"):
        model.fit(X, y)
    model.set_params(class_weight={"a": 0, "b": 1}).partial_fit(X, y, CLASSES)
    with pytest.raises(ValueError, match="which is 0 for all classes of these rows"):
        model.partial_fit(X[y == "a"], y[y == "a"])


def test_balanced_classes_have_the_weights_of_scikit_learn():
    X, y = table()
    balanced = NeuralClassifier(class_weight="balanced", dtype="float64", **SHORT)
    by_row = clone(balanced).set_params(class_weight=None)
    by_row.fit(X, y, sample_weight=compute_sample_weight("balanced", y))
    assert balanced.fit(X, y).predict_proba(X) == pytest.approx(by_row.predict_proba(X))


def test_a_rule_gets_the_losses_and_base_weights_of_each_batch():
    X, y = table()
    weight = np.arange(1.0, 201.0)
    seen = []

    def rule(losses, *, groups=None, base_weight=None, step=None):
        seen.append((len(losses), groups, step))
        totals.append(base_weight.sum())
        return base_weight

    totals = []
    NeuralClassifier(weighting=rule, batch_size=150, max_epochs=2).fit(
        X, y, sample_weight=weight
    )
    assert seen == [(150, None, 0), (50, None, 1), (150, None, 2), (50, None, 3)]
    assert totals[0] + totals[1] == weight.sum()


def test_a_rule_on_groups_gets_the_labels():
    X, y = table()
    by_rule = NeuralClassifier(
        weighting="inversefrequency", batch_size=200, max_epochs=3
    )
    by_class = NeuralClassifier(class_weight="balanced", batch_size=200, max_epochs=3)
    one, other = (
        model.set_params(dtype="float64", random_state=0).fit(X, y)
        for model in (by_rule, by_class)
    )
    assert one.predict_proba(X) == pytest.approx(other.predict_proba(X), rel=1e-6)


def test_parameters_of_a_rule_can_be_searched():
    X, y = table()
    search = GridSearchCV(
        NeuralClassifier(weighting=LinUpper(), **SHORT),
        {"weighting__temperature": [0.2, 0.4]},
        cv=2,
    ).fit(X, y)
    assert set(search.best_params_) == {"weighting__temperature"}


# -- rows ---------------------------------------------------------------------------


def test_sparse_rows_give_the_bits_of_dense_ones():
    X, y = table()
    X = np.where(np.abs(X) > 0.5, X, 0.0)
    dense = NeuralClassifier(**SHORT).fit(X, y)
    sparse = NeuralClassifier(**SHORT).fit(sp.csc_array(X), y)
    assert same_state(dense, sparse)
    assert (dense.predict_proba(X) == sparse.predict_proba(sp.csr_array(X))).all()


def test_sparse_rows_become_dense_a_batch_at_a_time():
    X = sp.random_array((300, 2000), density=1e-3, rng=0, format="csr")
    seen = []

    class Noting(nn.Linear):
        def forward(self, x):
            seen.append(len(x))
            return super().forward(x)

    NeuralClassifier(
        lambda n_features, n_outputs: Noting(n_features, n_outputs), max_epochs=1
    ).fit(X, np.arange(300) % 2)
    assert max(seen) == 128


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_state_has_the_type_of_the_parameter_and_outputs_that_of_the_rows(dtype):
    X, y = table()
    model = NeuralClassifier(dtype=dtype, **SHORT).fit(X, y)
    assert {part.dtype for part in model.state_.values()} == {np.dtype(dtype)}
    assert model.predict_proba(X.astype(np.float32)).dtype == np.float32
    assert model.predict_proba(X).dtype == np.float64


@pytest.mark.parametrize("pickled", [False, True], ids=["kept", "pickled"])
def test_another_dtype_waits_for_the_next_fit(pickled):
    X, y = table()
    model = NeuralClassifier(**SHORT).fit(X, y)
    expected, twin = model.predict_proba(X), copy.deepcopy(model)
    model.set_params(dtype="float64")
    model = pickle.loads(pickle.dumps(model)) if pickled else model
    np.testing.assert_array_equal(model.predict_proba(X), expected)
    assert next(model.to_module().parameters()).dtype == torch.float32
    assert same_state(model.partial_fit(X, y), twin.partial_fit(X, y))
    assert {a.dtype for a in model.state_.values()} == {np.dtype("float32")}
    model.fit(X, y)
    assert {a.dtype for a in model.state_.values()} == {np.dtype("float64")}


def test_a_warm_start_goes_on_in_another_dtype():
    X, y = table()
    model = NeuralClassifier(warm_start=True, learning_rate=1e-9, **SHORT).fit(X, y)
    before = model.predict_proba(X)
    model.set_params(dtype="float64").fit(X, y)
    assert {a.dtype for a in model.state_.values()} == {np.dtype("float64")}
    np.testing.assert_allclose(model.predict_proba(X), before, rtol=1e-4)


def test_a_failed_fit_in_another_dtype_leaves_the_fit_before():
    X, y = table()
    model = NeuralClassifier(**SHORT).fit(X, y)
    expected = model.predict_proba(X)
    model.set_params(dtype="float64", learning_rate=1e9, optimizer="sgd")
    with pytest.raises(FloatingPointError):
        model.fit(100 * X, y)
    np.testing.assert_array_equal(model.predict_proba(X), expected)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failed_fit_to_other_labels_leaves_the_fit_before(error):
    def fails(module):
        raise error

    X, y = table()
    model = NeuralClassifier(**SHORT).fit(X, y)
    expected = model.predict(X)
    model.set_params(weight_map=fails)
    with pytest.raises(error):
        model.fit(pd.DataFrame(X[:, :2], columns=["u", "v"]), y == "a")
    assert list(model.classes_) == list(CLASSES)
    assert not hasattr(model, "feature_names_in_")
    np.testing.assert_array_equal(model.predict(X), expected)


def test_a_failed_call_of_partial_fit_leaves_the_state_before():
    X, y = table()
    model = NeuralClassifier(optimizer="sgd", learning_rate=0.5, **SHORT)
    model.partial_fit(X, y, CLASSES)
    expected = model.predict_proba(X)
    broken = X.copy()
    broken[100] = 3e38
    with pytest.raises(FloatingPointError):
        model.partial_fit(broken, y)
    np.testing.assert_array_equal(model.predict_proba(X), expected)
    assert np.isfinite(model.partial_fit(X, y).predict_proba(X)).all()


def test_rows_are_predicted_alike_alone_and_together():
    X, y = table()
    model = NeuralClassifier(**SHORT).fit(X, y)
    alone = np.vstack([model.decision_function(row[None]) for row in X[:20]])
    assert alone == pytest.approx(model.decision_function(X)[:20], rel=1e-5, abs=1e-6)


def test_rows_are_not_changed():
    X, y = table()
    given = X.astype(np.float32)
    given.flags.writeable = False
    NeuralClassifier(**SHORT).fit(given, y).predict(given)
    assert (given == X.astype(np.float32)).all()


# -- modules ------------------------------------------------------------------------


def test_a_module_is_copied_with_its_weights():
    X, y = table()
    module = MLP(6, (4,), 3, generator=0)
    before = copy.deepcopy(module.state_dict())
    model = NeuralClassifier(module, learning_rate=1e-12, **SHORT).fit(X, y)
    assert all(torch.equal(before[name], w) for name, w in module.state_dict().items())
    for name, weight in model.state_.items():
        assert weight == pytest.approx(before[name].numpy(), abs=1e-6)


def test_a_callable_is_told_the_sizes():
    X, y = table()
    model = NeuralClassifier(partial(MLP, hidden=(5, 4), norm="batch"), **SHORT).fit(
        X, y
    )
    assert model.state_["layers.0.weight"].shape == (5, 6)
    assert model.state_["head.weight"].shape == (3, 4)


def test_images_are_unflattened_by_the_module():
    X, y = load_digits(n_class=2, return_X_y=True)

    def images(n_features, n_outputs):
        network = ConvNet(n_outputs=n_outputs, widths=(4, 4))
        return nn.Sequential(nn.Unflatten(1, (1, 8, 8)), network)

    model = NeuralClassifier(images, learning_rate=0.01, max_epochs=5, random_state=0)
    loss = model.fit(X / 16, y).history_["loss"]
    assert loss[-1] < 0.8 * loss[0]


def test_lazy_layers_get_their_sizes():
    X, y = table()
    model = NeuralClassifier(
        lambda n_features, n_outputs: nn.LazyLinear(n_outputs), **SHORT
    ).fit(X, y)
    assert model.state_["weight"].shape == (3, 6)


def test_the_trained_module_gives_the_logits():
    X, y = table()
    model = NeuralClassifier(**SHORT).fit(X, y)
    module = model.to_module()
    with torch.no_grad():
        logits = module(torch.as_tensor(X, dtype=torch.float32)).numpy()
    assert model.decision_function(X) == pytest.approx(logits, abs=1e-6)
    with torch.no_grad():
        module.head.bias += 1.0
    assert model.decision_function(X) == pytest.approx(logits, abs=1e-6)


@pytest.mark.parametrize(
    ("module", "error", "message"),
    [
        (nn.Linear(6, 5), ValueError, r"return a tensor \(n, 3\).* Got \(2, 5\)"),
        (nn.Linear(4, 3), ValueError, "must take rows of 6 features"),
        (nn.Flatten(), ValueError, r"Got \(2, 6\) for two rows"),
        (lambda n_features, n_outputs: n_outputs, TypeError, "Got int"),
        (nn.Linear(6, 3).requires_grad_(False), ValueError, "parameters to train"),
    ],
    ids=["outputs", "features", "no outputs", "no module", "frozen"],
)
def test_a_module_that_does_not_fit_is_refused(module, error, message):
    with pytest.raises(error, match=message):
        NeuralClassifier(module).fit(*table())


# -- maps on weights ----------------------------------------------------------------


def test_only_the_map_is_trained_on_a_frozen_base():
    X, y = table()
    base = MLP(6, (8,), 3, generator=0)
    adapt = partial(apply_bone, r=2, include="layers.*", freeze_rest=True)
    model = NeuralClassifier(base, weight_map=adapt, **SHORT).fit(X, y)
    name = "layers.0.parametrizations.weight"
    assert (
        model.state_[f"{name}.original"] == base.layers[0].weight.numpy(force=True)
    ).all()
    assert model.state_[f"{name}.0.B"].any()
    assert (model.state_["head.weight"] == base.head.weight.numpy(force=True)).all()


def test_a_model_with_maps_survives_copies_and_a_pickle():
    X, y = table()
    model = NeuralClassifier(weight_map=partial(quantize_model, bits=4), **SHORT)
    proba = model.fit(X, y).predict_proba(X)
    for again in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert (again.predict_proba(X) == proba).all()
        one, other = model.to_module(), again.to_module()
        strip(one)
        strip(other)
        assert all(
            torch.equal(w, other.state_dict()[name])
            for name, w in one.state_dict().items()
        )


# -- training -----------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["adamw", "adamp", "sgd", "sgdp"])
def test_every_optimizer_lowers_the_loss(optimizer):
    model = NeuralClassifier(optimizer=optimizer, learning_rate=0.01, random_state=0)
    loss = model.set_params(max_epochs=15).fit(*table()).history_["loss"]
    assert loss[-1] < 0.8 * loss[0]


def test_a_class_of_optimizers_gets_the_rate_and_decay():
    seen = []

    class Noting(torch.optim.SGD):
        def __init__(self, parameters, lr, weight_decay):
            seen.append((lr, weight_decay))
            super().__init__(parameters, lr=lr, weight_decay=weight_decay)

    NeuralClassifier(optimizer=Noting, weight_decay=0.1, **SHORT).fit(*table())
    assert seen == [(1e-3, 0.1)]


def test_an_optimizer_that_is_none_is_refused():
    with pytest.raises(TypeError, match=r"The 'optimizer' of NeuralClassifier"):
        NeuralClassifier(optimizer=list).set_params(optimizer=len).fit(*table())


def test_a_class_of_optimizers_without_decay_is_refused_in_words():
    X, y = table()
    with pytest.raises(TypeError, match=r"'optimizer' of NeuralClassifier.*Got Rprop"):
        NeuralClassifier(optimizer=torch.optim.Rprop, **SHORT).fit(X, y)


def test_another_optimizer_waits_for_the_next_fit():
    X, y = table()
    model = pickle.loads(pickle.dumps(NeuralClassifier(**SHORT).fit(X, y)))
    model.set_params(optimizer="sgd")
    with pytest.raises(ValueError, match=r"must be that of a SGD. Got one of a AdamW"):
        model.partial_fit(X, y)
    assert model.fit(X, y).n_iter_ == 4


@pytest.mark.parametrize("schedule", ["cosine", Cosine(1e-3)], ids=["name", "template"])
def test_a_schedule_is_stretched_over_the_fit(schedule):
    model = NeuralClassifier(schedule=schedule, max_epochs=20, batch_size=100)
    rate = model.fit(*table()).history_["learning_rate"]
    # Of 40 updates the last of an epoch is the 2nd, 4th, ...; a share of 1 % warms up.
    whole = Cosine(1e-3, n_steps=40)
    assert rate == pytest.approx([whole(step) for step in range(1, 40, 2)])


def test_accumulated_batches_are_one_large_batch():
    X, y = table()
    small = NeuralClassifier(batch_size=25, accumulate=2, max_epochs=3)
    large = NeuralClassifier(batch_size=50, max_epochs=3)
    one, other = (
        model.set_params(dtype="float64", random_state=0).fit(X, y)
        for model in (small, large)
    )
    assert one.predict_proba(X) == pytest.approx(other.predict_proba(X), rel=1e-8)


def test_a_clipped_gradient_bounds_the_step():
    X, y = table()
    model = NeuralClassifier(
        nn.Linear(6, 3),
        optimizer=partial(torch.optim.SGD, lr=1.0),
        clip_norm=1e-3,
        **SHORT,
    )
    start = torch.cat([p.detach().reshape(-1) for p in model.module.parameters()])
    end = torch.cat(
        [p.detach().reshape(-1) for p in model.fit(X, y).to_module().parameters()]
    )
    n_steps = 4 * 7
    assert 0.0 < float((end - start).norm()) <= 1e-3 * n_steps * 1.001


def test_half_precision_learns_the_same():
    X, y = table()
    model = NeuralClassifier(precision="bf16", device="cpu", learning_rate=0.01)
    assert model.set_params(random_state=0).fit(X, y).score(X, y) > 0.9
    assert model.state_["head.weight"].dtype == np.float32


def test_a_loss_that_diverges_is_an_error_and_no_model():
    model = NeuralClassifier(optimizer="sgd", learning_rate=1e30)
    with pytest.raises(FloatingPointError):
        model.fit(*table())
    assert not hasattr(model, "state_")


def test_default_device_and_type_of_torch_do_not_matter():
    X, y = table()
    one = NeuralClassifier(**SHORT).fit(X, y)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            other = NeuralClassifier(**SHORT).fit(X, y)
            predicted = other.predict(X)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert same_state(one, other)
    assert np.array_equal(predicted, one.predict(X))


def test_an_estimator_whose_first_fit_failed_is_not_fitted():
    X, y = table()
    model = NeuralClassifier(optimizer="sgd", learning_rate=1e20, **SHORT)
    with pytest.raises(FloatingPointError):
        model.fit(1e6 * X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_a_seed_fixes_the_fit_and_random_numbers_outside_stay():
    X, y = table()
    module = partial(MLP, dropout=0.5)
    before = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    one, other = (NeuralClassifier(module, **SHORT).fit(X, y) for _ in range(2))
    assert same_state(one, other)
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()  # noqa: NPY002
    other.set_params(random_state=1).fit(X, y)
    assert not same_state(one, other)


# -- early stopping -----------------------------------------------------------------


@pytest.mark.parametrize("early_stopping", [False, True], ids=["whole", "stopping"])
def test_a_rule_that_leaves_no_weight_trains_nothing_and_says_so(early_stopping):
    def nothing(losses, *, groups=None, base_weight=None, step=None):
        return np.zeros_like(losses)

    model = NeuralClassifier(weighting=nothing, early_stopping=early_stopping, **SHORT)
    with pytest.raises(ValueError, match="must leave weight to some rows of a batch"):
        model.fit(*table())
    assert not hasattr(model, "state_")


def test_epochs_whose_last_batch_has_no_weight_are_scored():
    def large(losses, *, groups=None, base_weight=None, step=None):
        return np.full(len(losses), float(len(losses) == 32))

    model = NeuralClassifier(
        weighting=large, early_stopping=True, validation_fraction=0.15, **SHORT
    ).fit(*table())  # 170 rows
    assert len(model.history_["validation_score"]) == model.n_iter_ == 4
    assert np.isfinite(model.history_["loss"]).all()


def test_early_stopping_keeps_the_best_epoch():
    X, y = table(400)
    y = np.where(np.random.default_rng(0).random(400) < 0.3, "a", y)
    model = NeuralClassifier(
        early_stopping=True,
        learning_rate=0.02,
        validation_fraction=0.25,
        n_iter_no_change=5,
        random_state=0,
    ).fit(X, y)
    scores = model.history_["validation_score"]
    assert model.n_iter_ == len(scores) < 100
    assert model.best_validation_score_ == max(scores)
    assert scores[-1] < max(scores)
    short = clone(model).set_params(max_epochs=1 + int(np.argmax(scores))).fit(X, y)
    assert same_state(short, model)


def test_training_ends_after_epochs_without_progress():
    model = NeuralClassifier(
        early_stopping=True, learning_rate=1e-12, n_iter_no_change=3, random_state=0
    ).fit(*table())
    assert model.n_iter_ == 4


def test_too_few_rows_to_hold_out_are_refused():
    X, y = table(40)
    model = NeuralClassifier(early_stopping=True, validation_fraction=0.02)
    with pytest.raises(ValueError, match="number of classes"):
        model.fit(X, y)


def test_early_stopping_with_a_class_of_one_row_says_what_to_change():
    X, y = table(12)
    y = np.where(np.arange(12) == 0, "a", "b")
    model = NeuralClassifier(early_stopping=True, validation_fraction=0.3)
    with pytest.raises(ValueError, match=r"'validation_fraction' of NeuralClassifier"):
        model.fit(X, y)


# -- callbacks ----------------------------------------------------------------------


def test_callbacks_see_every_epoch_as_a_model():
    X, y = table()
    monitor = ScoringMonitor(scoring="accuracy")
    model = NeuralClassifier(**SHORT).set_callbacks(monitor).fit(X, y)
    scores = [row["accuracy"] for row in monitor.get_logs().data]
    # The whole fit comes first, then its epochs.
    assert len(scores) == 1 + model.n_iter_ == 5
    assert scores[0] == scores[-1] == model.score(X, y)


class Stop:
    """A callback that ends the fit after two epochs."""

    def setup(self, estimator, context):
        self.ended = 0

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        self.ended += context.task_name == "block"
        return self.ended >= 2

    def teardown(self, estimator, context):
        pass


def test_a_callback_can_stop_the_fit():
    model = NeuralClassifier(**SHORT).set_callbacks(Stop()).fit(*table())
    assert model.n_iter_ == 2


# -- going on -----------------------------------------------------------------------


def test_partial_fit_makes_the_steps_of_a_fit():
    X, y = table()
    one, other = NeuralClassifier(**SHORT).fit(X, y), NeuralClassifier(**SHORT)
    for _ in range(4):
        other.partial_fit(X, y, classes=CLASSES)
        other = pickle.loads(pickle.dumps(other))
        other.predict(X)
    assert same_state(one, other)
    assert other.n_iter_ == 4
    assert other.history_ == one.history_


def test_partial_fit_goes_on_from_a_state_that_was_changed():
    X, y = table()
    model = NeuralClassifier(**SHORT).fit(X, y)
    model.state_ = {name: np.zeros_like(part) for name, part in model.state_.items()}
    assert model.predict_proba(X) == pytest.approx(1 / 3)
    model.partial_fit(X, y)
    assert model.n_iter_ == 5
    assert np.abs(model.state_["head.bias"]).max() < 0.1


def test_partial_fit_knows_labels_that_come_later():
    X, y = table()
    model = NeuralClassifier(**SHORT).partial_fit(
        X[y == "a"], y[y == "a"], classes=CLASSES
    )
    model.partial_fit(X, y)
    assert model.predict_proba(X).shape == (200, 3)


def test_calls_of_partial_fit_that_cannot_be_made_are_refused():
    X, y = table()
    with pytest.raises(ValueError, match="'classes' at its first call"):
        NeuralClassifier().partial_fit(X, y)
    with pytest.raises(ValueError, match="nobody knows the last one"):
        NeuralClassifier(schedule="linear").partial_fit(X, y, classes=CLASSES)
    with pytest.raises(ValueError, match="needs the rows of all calls"):
        NeuralClassifier(class_weight="balanced").partial_fit(X, y, classes=CLASSES)
    model = NeuralClassifier(schedule=Constant(1e-3)).partial_fit(X, y, classes=CLASSES)
    with pytest.raises(ValueError, match="those of the first call"):
        model.partial_fit(X, y, classes=["a", "b"])
    with pytest.raises(ValueError, match=r"Got also \['d'\]"):
        model.partial_fit(X[:1], ["d"])


def test_a_warm_start_begins_with_the_weights_of_the_fit_before():
    X, y = table()
    model = NeuralClassifier(warm_start=True, **SHORT).fit(X, y)
    end = model.history_["loss"][-1]
    assert model.fit(X, y).history_["loss"][0] < end
    with pytest.raises(ValueError, match="labels must be among the classes"):
        model.fit(X, np.where(y == "a", "d", y))


# -- checkpoints --------------------------------------------------------------------


class Interrupt(Stop):
    """A callback that is interrupted from the keyboard in the third epoch."""

    def on_fit_task_end(self, estimator, context):
        if super().on_fit_task_end(estimator, context) and self.ended == 3:
            raise KeyboardInterrupt
        return False


@pytest.mark.parametrize("early_stopping", [False, True], ids=["whole", "stopping"])
def test_an_interrupted_fit_goes_on_to_the_same_bits(tmp_path, early_stopping):
    X, y = table()
    parameters = {
        "early_stopping": early_stopping,
        "n_iter_no_change": 2,
        "learning_rate": 0.05,
        "batch_size": 64,
        "max_epochs": 12,
        "random_state": 0,
    }
    file = tmp_path / "fit.pt"
    model = NeuralClassifier(**parameters, checkpoint=file).set_callbacks(Interrupt())
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert file.exists()
    other = NeuralClassifier(**parameters, checkpoint=file)
    with pytest.raises(ValueError, match=r"of NeuralClassifier .* with another data"):
        other.fit(X + 1, y)
    other.fit(X, y)
    whole = NeuralClassifier(**parameters).fit(X, y)
    assert same_state(other, whole)
    assert other.history_ == whole.history_
    assert other.n_iter_ > 3
    assert not file.exists()
    assert other.partial_fit(X, y).n_iter_ == whole.n_iter_ + 1
    assert not file.exists()


def test_a_checkpoint_needs_a_seed(tmp_path):
    model = NeuralClassifier(checkpoint=tmp_path / "fit.pt")
    with pytest.raises(ValueError, match="must be an integer with a checkpoint"):
        model.fit(*table())


# -- files --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["no", "yes", "ä"]),
        np.array(["no", "yes", "so"], dtype=object),
        np.array([3, 5, 7], dtype=np.uint8),
        np.array([0.5, 1.0, 2.0]),
        np.array([False, True]),
    ],
    ids=["words", "objects", "integers", "floats", "booleans"],
)
def test_a_saved_state_predicts_the_same(tmp_path, labels):
    X, y = table()
    y = labels[np.searchsorted(CLASSES, y) % len(labels)]
    y = y.astype(int) * 1.0 if labels.dtype == float else y
    model = NeuralClassifier(**SHORT).fit(X, y)
    model.save_state(tmp_path / "model.safetensors")
    again = NeuralClassifier(**SHORT).load_state(tmp_path / "model.safetensors")
    assert same_state(model, again)
    assert again.classes_.dtype == model.classes_.dtype
    assert (again.predict(X) == model.predict(X)).all()
    assert again.partial_fit(X, y).score(X, y) > 0.3


def test_a_file_is_read_by_other_programs(tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    X, y = table()
    model = NeuralClassifier(**SHORT).fit(X, y)
    model.save_state(tmp_path / "model.safetensors")
    module = MLP(6, (100,), 3)
    module.load_state_dict(safetensors.load_file(tmp_path / "model.safetensors"))
    with torch.no_grad():
        logits = module(torch.as_tensor(X, dtype=torch.float32)).numpy()
    assert model.decision_function(X) == pytest.approx(logits, abs=1e-6)


def test_names_of_features_are_saved(tmp_path):
    pd = pytest.importorskip("pandas")
    X, y = table()
    X = pd.DataFrame(X, columns=list("uvwxyz"))
    NeuralClassifier(**SHORT).fit(X, y).save_state(tmp_path / "model.safetensors")
    model = NeuralClassifier().load_state(tmp_path / "model.safetensors")
    assert list(model.feature_names_in_) == list("uvwxyz")
    with pytest.raises(ValueError, match="feature names"):
        model.predict(X[list("zyxwvu")])


class Evil:
    def __reduce__(self):
        return pytest.fail, ("code of a file was run",)


def test_names_of_features_go_when_a_state_without_names_comes(tmp_path):
    X, y = table()
    names = pd.DataFrame(X, columns=list("abcdef"))
    NeuralClassifier(**SHORT).fit(X, y).save_state(tmp_path / "plain.safetensors")
    model = NeuralClassifier(**SHORT).fit(names, y)
    model.load_state(tmp_path / "plain.safetensors")
    assert not hasattr(model, "feature_names_in_")


@pytest.mark.parametrize(
    "fact",
    [
        {"n_iter": float("inf")},
        {"n_features_in": -1},
        {"seed": 2**70},
        {"n_features_in": 6.5},
        {"feature_names_in": ["a"]},
        {"feature_names_in": [1, 2, 3, 4, 5, 6]},
        {"classes": ["c", "b", "a"]},
        {"classes": ["a", "a", "c"]},
        {"classes": ["a", "b", "long"]},
        {"classes": [0.0, 1.0, float("nan")], "classes_dtype": "<f8"},
        {"classes": [0.5, 1, 2], "classes_dtype": "<i8"},
        {"classes": [0, 1, 2], "classes_dtype": "|O"},
        {"classes_dtype": "<U999999999"},
        {"n_features_in": 10**12},
    ],
    ids=[
        *("infinite", "negative", "seed", "half", "names", "numbers"),
        *("unsorted", "repeated", "cut", "nan", "fraction", "objects", "wide", "large"),
    ],
)
def test_facts_that_cannot_be_are_refused(tmp_path, fact):
    X, y = table()
    path = tmp_path / "state.safetensors"
    NeuralClassifier(**SHORT).fit(X, y).save_state(path)
    arrays, facts = read_state(path, "test")
    write_state(path, arrays, facts | fact, "test")
    with pytest.raises(ValueError, match=r"'path' of NeuralClassifier.load_state must"):
        NeuralClassifier(**SHORT).load_state(path)


def test_a_file_with_a_changed_number_is_refused(tmp_path):
    X, y = table()
    path = tmp_path / "state.safetensors"
    NeuralClassifier(**SHORT).fit(X, y).save_state(path)
    written = bytearray(path.read_bytes())
    written[-100] ^= 1
    path.write_bytes(written)
    with pytest.raises(ValueError, match="some numbers have changed since"):
        NeuralClassifier(**SHORT).load_state(path)


def test_a_state_without_numbers_in_one_part_is_saved(tmp_path):
    class Odd(MLP):
        def __init__(self, n_features, n_outputs):
            super().__init__(n_features, (4,), n_outputs)
            self.register_buffer("none", torch.empty(0, 3))
            self.register_buffer("count", torch.tensor(3))

    X, y = table()
    model = NeuralClassifier(Odd, **SHORT).fit(X, y)
    model.save_state(tmp_path / "state.safetensors")
    other = NeuralClassifier(Odd, **SHORT).load_state(tmp_path / "state.safetensors")
    np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))


def test_a_pickle_is_refused_and_not_run(tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ValueError, match="safetensors"):
        NeuralClassifier().load_state(file)


def test_files_of_others_are_refused_and_the_estimator_stays(tmp_path):
    from statlearn.merging import save_weights

    X, y = table()
    model = NeuralClassifier(**SHORT).fit(X, y)
    before = dict(vars(model))
    small = NeuralClassifier(hidden_layer_sizes=3, **SHORT).fit(X, y)
    small.save_state(tmp_path / "small.safetensors")
    save_weights(tmp_path / "plain.safetensors", model.state_)
    with pytest.raises(ValueError, match="its module and weight_map"):
        model.load_state(tmp_path / "small.safetensors")
    with pytest.raises(ValueError, match="weights only"):
        model.load_state(tmp_path / "plain.safetensors")
    with pytest.raises(FileNotFoundError):
        model.load_state(tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match=r"must end in \.safetensors"):
        model.save_state(tmp_path / "model.pkl")
    assert vars(model) == before
    assert sorted(f.name for f in tmp_path.iterdir()) == [
        "plain.safetensors",
        "small.safetensors",
    ]


def test_labels_that_no_file_can_hold_are_refused(tmp_path):
    X, _ = table(20)
    y = np.array([1, 2], dtype="datetime64[D]")[np.arange(20) % 2]
    model = NeuralClassifier(**SHORT).fit(X, y)
    with pytest.raises(TypeError, match="numbers or strings"):
        model.save_state(tmp_path / "model.safetensors")


def test_joblib_can_map_a_model_into_memory(tmp_path):
    X, y = table()
    model = NeuralClassifier(**SHORT).fit(X, y)
    joblib.dump(model, tmp_path / "model")
    again = joblib.load(tmp_path / "model", mmap_mode="r")
    assert (again.predict_proba(X) == model.predict_proba(X)).all()
    assert same_state(again.partial_fit(X, y), model.partial_fit(X, y))


# -- bad input ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"weighting": "huber"}, "rule on losses or labels"),
        ({"loss": "nope"}, "The 'loss' of get_loss"),
        ({"hidden_layer_sizes": (0,)}, "integer >= 1"),
        ({"class_weight": {"d": 1.0}}, "must name classes"),
    ],
    ids=["residuals", "loss", "width", "class"],
)
def test_bad_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        NeuralClassifier(**parameters).fit(*table())


def test_losses_must_be_one_a_row():
    model = NeuralClassifier(loss=lambda logits, codes: logits.mean())
    with pytest.raises(ValueError, match="one for each row"):
        model.fit(*table())


def test_a_single_class_is_refused():
    X, _ = table()
    with pytest.raises(ValueError, match="at least 2 classes"):
        NeuralClassifier().fit(X, np.ones(200))


def test_the_page_of_a_fitted_model_can_be_shown():
    assert "NeuralClassifier" in NeuralClassifier(**SHORT).fit(*table())._repr_html_()
