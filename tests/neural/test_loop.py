from __future__ import annotations

import math
import signal

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

from loop_cases import (  # noqa: E402
    bare_loop,
    batches_of,
    bits,
    cross_entropy,
    distance,
    equal,
    loop_of,
    net,
    noise_seed,
    rows,
)
from statlearn.neural._loop import TrainingLoop  # noqa: E402
from statlearn.neural._training._batches import Batches  # noqa: E402
from statlearn.schedules import Cosine, Linear  # noqa: E402
from statlearn.weights import InverseFrequency, KLTilt  # noqa: E402


def in_order(data, size=8):
    return [
        tuple(part[i : i + size] for part in data) for i in range(0, len(data[0]), size)
    ]


# -- against loops written by hand --------------------------------------------------


def test_training_is_that_of_a_bare_loop_to_the_bit():
    data, ours, bare = rows(), net(), net()
    history = loop_of(ours).run(in_order(data), 3)
    losses = bare_loop(bare, in_order(data), 3)
    assert equal(ours, bare)
    np.testing.assert_allclose(history.loss, losses, rtol=1e-6)
    assert history.step.tolist() == list(range(15))
    assert history.epoch.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert (history.weight == 8).all()
    assert (np.diff(history.seconds) > 0).all()


def test_noise_of_a_batch_is_that_of_its_seed():
    data, ours, bare = rows(), net(dropout=0.5), net(dropout=0.5)
    loop = loop_of(ours, optimizer=torch.optim.SGD)
    loop.run(in_order(data), 2)
    stepper = torch.optim.SGD(bare.parameters(), lr=0.05)
    for epoch in range(2):
        for number, batch in enumerate(in_order(data)):
            torch.manual_seed(noise_seed(loop, epoch, number))
            stepper.zero_grad()
            cross_entropy(bare, batch).mean().backward()
            stepper.step()
    assert equal(ours, bare)


def test_one_step_on_a_line_is_the_closed_form():
    model = nn.Linear(1, 1, bias=False).double()
    nn.init.zeros_(model.weight)
    X = torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64)
    weight = torch.tensor([2.0, 1.0, 1.0], dtype=torch.float64)

    def half_squares(model, batch):
        X = batch["X"]
        return 0.5 * (model(X)[:, 0] - X[:, 0]) ** 2

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loop = TrainingLoop(model, half_squares, optimizer)
    history = loop.run([{"X": X, "sample_weight": weight}])
    # The gradient at 0 is -(2 * 1 + 4 + 9) / 4.
    assert model.weight.item() == pytest.approx(0.1 * 15 / 4, rel=1e-14)
    assert history.loss[0] == pytest.approx(0.5 * 15 / 4, rel=1e-14)
    assert history.weight[0] == 4.0


def test_a_rule_weighs_the_losses_of_each_batch():
    data = rows(dtype=torch.float64)
    ours, bare = net(dtype=torch.float64), net(dtype=torch.float64)
    loop_of(ours, weighting=KLTilt(0.5), optimizer=torch.optim.SGD).run(in_order(data))
    stepper = torch.optim.SGD(bare.parameters(), lr=0.05)
    for batch in in_order(data):
        losses = cross_entropy(bare, batch)
        stepper.zero_grad()
        ((losses / 0.5).detach().softmax(0) * losses).sum().backward()
        stepper.step()
    assert distance(ours, bare) < 1e-14


def test_rules_are_told_the_step():
    seen = []

    def rule(losses, *, groups=None, base_weight=None, step=None):
        seen.append(step)
        return np.ones(len(losses))

    loop_of(net(), weighting=rule).run(in_order(rows(), 20), 2)
    assert seen == [0, 1, 2, 3]


def test_groups_of_a_batch_reach_the_rule():
    X, y = rows(dtype=torch.float64)
    groups = np.where(np.arange(40) < 30, "large", "small")
    ours, bare = net(dtype=torch.float64), net(dtype=torch.float64)
    batches = Batches(X, y, batch_size=40, shuffle=False, groups=groups)
    loop_of(ours, weighting=InverseFrequency(), optimizer=torch.optim.SGD).run(batches)
    weight = torch.as_tensor(np.where(groups == "large", 40 / 60, 40 / 20))
    stepper = torch.optim.SGD(bare.parameters(), lr=0.05)
    (cross_entropy(bare, (X, y)) * weight).mean().backward()
    stepper.step()
    assert distance(ours, bare) < 1e-14


# -- accumulation, base weights -----------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
def test_accumulated_batches_are_one_large_batch(weighted):
    data = rows(36, torch.float64)  # the last of four batches is short
    weight = torch.arange(36) % 4 + 0.5 if weighted else None
    small, large = net(dtype=torch.float64), net(dtype=torch.float64)
    options = {"shuffle": False, "sample_weight": weight}
    first = loop_of(small, accumulate=4).run(batches_of(data, 10, **options), 3)
    second = loop_of(large).run(batches_of(data, 36, **options), 3)
    assert distance(small, large) < 1e-12
    np.testing.assert_allclose(first.loss, second.loss, rtol=1e-12)
    np.testing.assert_allclose(first.weight, second.weight, rtol=1e-14)


def test_the_last_batches_of_an_epoch_make_an_update_of_their_own():
    history = loop_of(net(), accumulate=3).run(in_order(rows()), 2)
    assert history.weight.tolist() == [24, 16, 24, 16]


def test_integer_weights_are_repeated_rows():
    X, y = rows(10, torch.float64)
    count = torch.arange(10) % 3
    weighted, repeated = net(dtype=torch.float64), net(dtype=torch.float64)
    loop_of(weighted).run(Batches(X, y, batch_size=10, sample_weight=count), 3)
    again = X.repeat_interleave(count, 0), y.repeat_interleave(count, 0)
    loop_of(repeated).run(Batches(*again, batch_size=20), 3)
    assert distance(weighted, repeated) < 1e-12


@pytest.mark.parametrize("norm", [False, True])
def test_zero_weight_row_is_ignored_even_if_it_is_nan(norm):
    X, y = rows(12)
    weight = torch.ones(12)
    weight[5] = 0.0
    broken = X.clone()
    broken[5] = math.nan
    kept = weight > 0
    ours, bare = net(norm=norm), net(norm=norm)
    loop_of(ours).run([{"X": broken, "y": y, "sample_weight": weight}], 2)
    loop_of(bare).run([{"X": X[kept], "y": y[kept], "sample_weight": weight[kept]}], 2)
    assert equal(ours, bare)


def test_a_batch_without_weight_is_skipped():
    X, y = rows(16)
    batches = [
        {"X": X[:8], "y": y[:8], "sample_weight": torch.zeros(8)},
        {"X": X[8:], "y": y[8:], "sample_weight": torch.ones(8)},
    ]
    ours, bare = net(), net()
    loop = loop_of(ours)
    history = loop.run(batches, 2)
    loop_of(bare).run(batches[1:], 2)
    assert equal(ours, bare)
    assert (loop.step_, loop.epoch_, len(history.loss)) == (2, 2, 2)
    assert np.isfinite(history.loss).all()


# -- clipping, learning rates, precision --------------------------------------------


def test_a_long_gradient_is_clipped_to_the_norm():
    data, model = rows(), net()
    before = bits(model)
    loop_of(model, lr=1.0, optimizer=torch.optim.SGD, clip_norm=1e-3).run([data])
    moved = sum((model.state_dict()[k] - before[k]).square().sum() for k in before)
    assert math.sqrt(moved) == pytest.approx(1e-3, rel=1e-3)


def test_a_short_gradient_is_not_clipped():
    data, clipped, bare = rows(), net(), net()
    loop_of(clipped, clip_norm=1e6).run([data], 3)
    loop_of(bare).run([data], 3)
    assert equal(clipped, bare)


def test_the_schedule_is_the_learning_rate_of_each_step():
    schedule = Cosine(0.3, n_steps=10, warmup=3)
    history = loop_of(net(), schedule=schedule).run(in_order(rows()), 2)
    assert history.lr.tolist() == [schedule(step) for step in range(10)]


def test_a_schedule_without_a_length_gets_that_of_the_run():
    history = loop_of(net(), schedule=Linear(0.3, warmup=0.2)).run(in_order(rows()), 2)
    schedule = Linear(0.3, n_steps=10, warmup=0.2)
    assert history.lr.tolist() == [schedule(step) for step in range(10)]


def test_groups_of_parameters_keep_the_ratio_of_their_rates():
    model = net()
    groups = [
        {"params": model[0].parameters(), "lr": 0.1},
        {"params": model[3].parameters(), "lr": 0.4},
    ]
    optimizer = torch.optim.SGD(groups)
    loop = TrainingLoop(
        model, cross_entropy, optimizer, schedule=lambda step: 0.2 / (step + 1)
    )
    for step in range(3):
        loop.run(in_order(rows()), 1, n_steps=step + 1)
        rates = [group["lr"] for group in optimizer.param_groups]
        assert rates == pytest.approx([0.2 / (step + 1), 0.8 / (step + 1)], rel=1e-15)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_is_near_full_precision(precision):
    data, mixed, full = rows(), net(), net()
    dtypes = set()
    mixed[0].register_forward_hook(lambda _, args, out: dtypes.add(out.dtype))
    loop = loop_of(mixed, precision=precision, clip_norm=10.0)
    history = loop.run(in_order(data), 3)
    expected = loop_of(full).run(in_order(data), 3)
    assert dtypes == {torch.bfloat16 if precision == "bf16" else torch.float16}
    assert {p.dtype for p in mixed.parameters()} == {torch.float32}
    np.testing.assert_allclose(history.loss, expected.loss, rtol=0.02)
    assert (loop.state_dict()["scaler"] is None) == (precision == "bf16")


# -- random numbers, modes ----------------------------------------------------------


def test_the_random_state_decides_all_noise():
    def trained(seed):
        model = net(dropout=0.5)
        loop_of(model, random_state=seed).run(batches_of(rows()), 2)
        return model

    assert equal(trained(1), trained(1))
    assert not equal(trained(1), trained(2))


def test_random_state_and_modes_of_the_caller_come_back():
    model = net(dropout=0.5)
    model[0].eval()
    modes = [module.training for module in model.modules()]
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    seen = []
    loop_of(model, callbacks=[lambda _: seen.append(model[0].training)]).run([rows()])
    assert torch.equal(torch.rand(3), expected)
    assert [module.training for module in model.modules()] == modes
    assert seen == [True]


def test_a_loader_is_shuffled_by_the_seed_of_the_loop():
    def trained(seed):
        model = net()
        loader = DataLoader(TensorDataset(*rows()), batch_size=8, shuffle=True)
        torch.manual_seed(seed)
        loop_of(model).run(loader, 2)
        return model

    assert equal(trained(1), trained(2))


class Drawn:
    """Batches in an order that is drawn when an epoch begins, as by workers."""

    def __iter__(self):
        X, y = rows()
        order = torch.randperm(40)
        return iter([(X[part], y[part]) for part in order.split(8)])


def test_an_order_drawn_before_the_first_batch_has_the_seed_of_the_loop():
    models = net(), net()
    for seed, model in enumerate(models):
        torch.manual_seed(seed)
        loop_of(model).run(Drawn(), 2)
    assert equal(*models)


def test_a_run_where_gradients_are_off_turns_them_on_and_leaves_them_off():
    one, other = net(), net()
    with torch.no_grad():
        loop_of(one).run(in_order(rows()), 1)
        assert not torch.is_grad_enabled()
    loop_of(other).run(in_order(rows()), 1)
    assert equal(one, other)


# -- callbacks ----------------------------------------------------------------------


def test_a_run_inside_of_inference_mode_says_so():
    loop = loop_of(net())
    with torch.inference_mode(), pytest.raises(RuntimeError, match="outside of torch"):
        loop.run([rows()])


def test_callbacks_see_every_update_and_can_stop():
    seen = []

    def callback(progress):
        seen.append(progress)
        return progress.step == 7

    loop = loop_of(net(), callbacks=[callback], schedule=lambda step: 0.1 + step)
    history = loop.run(in_order(rows()), 3)
    assert [progress.step for progress in seen] == [1, 2, 3, 4, 5, 6, 7]
    assert [progress.epoch for progress in seen] == [0] * 5 + [1] * 2
    assert [progress.end_of_epoch for progress in seen] == [False] * 4 + [True] + (
        [False] * 2
    )
    assert {progress.n_steps for progress in seen} == {15}
    assert [progress.loss for progress in seen] == history.loss.tolist()
    assert [progress.lr for progress in seen] == [0.1 + step for step in range(7)]
    assert (loop.step_, loop.epoch_) == (7, 1)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_an_epoch_whose_last_batches_have_no_weight_has_an_end(accumulate):
    def told(progress):
        seen.append((progress.step, progress.epoch, progress.end_of_epoch))

    seen, data = [], in_order(rows())
    batches = [
        {"X": X, "y": y, "sample_weight": torch.full((8,), float(number < 2))}
        for number, (X, y) in enumerate(data)
    ]
    loop = loop_of(net(), callbacks=[told], accumulate=accumulate)
    loop.run(batches, 2)
    assert [place for place in seen if place[2]] == [
        (2 // accumulate, 0, True),
        (4 // accumulate, 1, True),
    ]
    assert len(seen) == 4 // accumulate + 2
    assert loop.step_ == 4 // accumulate


def test_an_epoch_without_any_weight_has_an_end_without_a_loss():
    seen, (X, y) = [], rows()
    batch = {"X": X, "y": y, "sample_weight": torch.zeros(40)}
    loop_of(net(), callbacks=[seen.append]).run([batch])
    assert [(p.step, p.epoch, p.end_of_epoch) for p in seen] == [(0, 0, True)]
    assert math.isnan(seen[0].loss)


def test_training_goes_on_from_where_a_callback_stopped_it():
    data, stopped, whole = batches_of(rows()), net(dropout=0.3), net(dropout=0.3)
    loop = loop_of(stopped, callbacks=[lambda progress: progress.step == 7])
    loop.run(data, 3)
    loop.run(data, 3)
    loop_of(whole).run(data, 3)
    assert loop.epoch_ == 3
    assert equal(stopped, whole)


def test_epochs_one_by_one_are_epochs_in_a_row():
    data, single, row = batches_of(rows()), net(dropout=0.3), net(dropout=0.3)
    loop = loop_of(single)
    for n_epochs in (1, 2, 3):
        loop.run(data, n_epochs)
    loop_of(row).run(data, 3)
    assert equal(single, row)


def test_mean_losses_of_epochs_are_weighted_by_rows():
    history = loop_of(net()).run(in_order(rows(20)), 2)
    expected = [np.average(history.loss[i : i + 3], weights=[8, 8, 4]) for i in (0, 3)]
    np.testing.assert_allclose(history.epoch_loss(), expected, rtol=1e-12)


# -- losses that are not finite -----------------------------------------------------


def broken_at(step, norm=True):
    batches = in_order(rows())
    batches[step] = (batches[step][0] * math.inf, batches[step][1])
    return batches


@pytest.mark.parametrize("weighting", [None, "linupper"])
def test_a_loss_that_is_not_finite_leaves_the_model_as_it_was(weighting):
    model, before = net(norm=True), net(norm=True)
    loop = loop_of(model, weighting=weighting)
    with pytest.raises(FloatingPointError, match=r"loss of TrainingLoop .* at step 3"):
        loop.run(broken_at(3))
    loop_of(before, weighting=weighting).run(in_order(rows()), 1, n_steps=3)
    assert equal(model, before)
    assert loop.step_ == 3
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_gradient_that_is_not_finite_is_refused_where_it_is_clipped():
    model = nn.Linear(1, 1)
    before = bits(model)

    def root(model, batch):
        return (model(batch)[:, 0] * 0.0).abs().sqrt()

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loop = TrainingLoop(model, root, optimizer, clip_norm=1.0)
    with pytest.raises(FloatingPointError, match="norm of the gradient"):
        loop.run([torch.ones(4, 1)])
    assert equal(model, before)


# -- bad input ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"accumulate": 0}, ValueError, "'accumulate'"),
        ({"clip_norm": 0.0}, ValueError, "'clip_norm'"),
        ({"clip_norm": "1"}, TypeError, "'clip_norm'"),
        ({"schedule": 0.1}, TypeError, "'schedule'"),
        ({"precision": "fp8"}, ValueError, "'precision'"),
        ({"callbacks": 3}, TypeError, "'callbacks'"),
        ({"callbacks": [3]}, TypeError, "'callbacks'"),
        ({"checkpoint_every": 0}, ValueError, "'checkpoint_every'"),
        ({"weighting": "huber"}, ValueError, "residuals"),
        ({"weighting": "unheard"}, ValueError, "name of a rule"),
        ({"random_state": -1}, ValueError, "'random_state'"),
    ],
    ids=lambda value: None,
)
def test_bad_parameters_are_refused(options, error, words):
    with pytest.raises(error, match=words):
        loop_of(net(), **options)


@pytest.mark.parametrize("position", [0, 1, 2])
def test_parts_of_another_kind_are_refused(position):
    model = net()
    parts = [model, cross_entropy, torch.optim.SGD(model.parameters(), lr=0.1)]
    parts[position] = None
    name = ("model", "loss_fn", "optimizer")[position]
    with pytest.raises(TypeError, match=f"The '{name}' of TrainingLoop"):
        TrainingLoop(*parts)


@pytest.mark.parametrize(
    ("losses", "error", "words"),
    [
        (lambda model, X: model(X).mean(), ValueError, r"Got shape \(\)"),
        (lambda model, X: model(X), ValueError, r"Got shape \(4, 2\)"),
        (lambda model, X: model(X).argmax(1), TypeError, "floating-point"),
        (lambda model, X: 1.0, TypeError, "Got float"),
    ],
    ids=["mean", "table", "integers", "number"],
)
def test_losses_that_are_not_one_for_each_row_are_refused(losses, error, words):
    model = net()
    loop = TrainingLoop(model, losses, torch.optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(error, match=words):
        loop.run([torch.ones(4, 5)])


@pytest.mark.parametrize(
    "weight",
    [[1.0, -1.0], [1.0, math.nan], [1.0, math.inf], [1e60, 1.0], [1e-60, 0.0]],
    ids=str,
)
def test_bad_weights_in_a_batch_are_refused(weight):
    X, y = rows(2)
    base = torch.tensor(weight, dtype=torch.float64)
    batch = {"X": X, "y": y, "sample_weight": base}
    with pytest.raises(ValueError, match="sample weights of a batch"):
        loop_of(net()).run([batch])


def test_losses_without_a_gradient_are_refused():
    model = net().requires_grad_(False)
    with pytest.raises(ValueError, match="must depend on parameters that require"):
        loop_of(model).run(in_order(rows()), 1)


def test_an_optimizer_that_needs_a_closure_is_refused():
    with pytest.raises(TypeError, match=r"without a closure. Got LBFGS"):
        loop_of(net(), optimizer=torch.optim.LBFGS)


def test_weights_of_other_rows_are_refused():
    X, y = rows(4)
    with pytest.raises(ValueError, match="as many as the sample weights"):
        loop_of(net()).run([{"X": X, "y": y, "sample_weight": torch.ones(3)}])


@pytest.mark.parametrize("batches", [iter([]), 3], ids=["iterator", "number"])
def test_batches_that_are_gone_after_an_epoch_are_refused(batches):
    with pytest.raises(TypeError, match="gone through in every epoch"):
        loop_of(net()).run(batches)


def test_an_epoch_without_batches_is_refused():
    with pytest.raises(ValueError, match="must be at least 1 in epoch 0"):
        loop_of(net()).run([])


@pytest.mark.parametrize("rate", [-0.1, math.nan, math.inf], ids=str)
def test_bad_learning_rates_are_refused_before_the_step(rate):
    model, before = net(), net()
    with pytest.raises(ValueError, match="at step 0"):
        loop_of(model, schedule=lambda step: rate).run([rows()])
    assert equal(model, before)


@pytest.mark.parametrize("options", [{"n_epochs": 0}, {"n_steps": 0}], ids=str)
def test_bad_lengths_of_a_run_are_refused(options):
    with pytest.raises(ValueError, match="must be an integer >= 1"):
        loop_of(net()).run([rows()], **options)


def test_the_handler_of_interrupts_comes_back():
    handler = signal.getsignal(signal.SIGINT)
    loop_of(net()).run([rows()])
    assert signal.getsignal(signal.SIGINT) is handler
