"""Losses of single samples by hand, against torch, SciPy and our NumPy metrics."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import huber as scipy_huber
from scipy.special import log_softmax, rel_entr, softmax

from statlearn.metrics import pinball_loss

torch = pytest.importorskip("torch")
F = torch.nn.functional

from statlearn.neural.losses import (  # noqa: E402
    PerSampleLoss,
    absolute_error,
    binary_cross_entropy_with_logits,
    cross_entropy,
    distillation,
    get_loss,
    huber,
    list_losses,
    pinball,
    squared_error,
)

LEVELS = [0.1, 0.5, 0.9]
assert_close = torch.testing.assert_close


def normal(*shape, seed=0, dtype=torch.float64):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=rng, dtype=dtype)


def labels(*shape, n_classes=4, seed=1):
    return torch.randint(
        n_classes, shape, generator=torch.Generator().manual_seed(seed)
    )


# name: (loss of prediction and target, prediction, target), all of six samples
CASES = {
    "labels": (cross_entropy, normal(6, 4), labels(6)),
    "probabilities": (cross_entropy, normal(6, 4), normal(6, 4, seed=2).softmax(-1)),
    "tokens": (cross_entropy, normal(6, 3, 4), labels(6, 3)),
    "binary": (binary_cross_entropy_with_logits, normal(6), labels(6, n_classes=2)),
    "multilabel": (
        binary_cross_entropy_with_logits,
        normal(6, 2),
        labels(6, 2, n_classes=2),
    ),
    "squared": (squared_error, normal(6, 2), normal(6, 2, seed=3)),
    "absolute": (absolute_error, normal(6, 2), normal(6, 2, seed=3)),
    "huber": (huber, normal(6, 2), normal(6, 2, seed=3)),
    "pinball": (get_loss("pinball", levels=LEVELS), normal(6, 3), normal(6, seed=3)),
    "distillation": (distillation, normal(6, 4), normal(6, 4, seed=3)),
}
each_loss = pytest.mark.parametrize("name", CASES)


@each_loss
def test_one_number_for_each_sample_in_the_dtype_of_the_prediction(name):
    loss, prediction, target = CASES[name]
    assert loss(prediction, target).shape == (6,)
    assert loss(prediction, target).dtype == torch.float64
    assert loss(prediction.float(), target).dtype == torch.float32
    assert_close(
        loss(prediction.float(), target).double(),
        loss(prediction, target),
        rtol=1e-5,
        atol=1e-6,
    )


@each_loss
def test_loss_of_a_sample_does_not_depend_on_the_others(name):
    loss, prediction, target = CASES[name]
    alone = [loss(prediction[i : i + 1], target[i : i + 1]) for i in range(6)]
    assert_close(torch.cat(alone), loss(prediction, target), rtol=1e-13, atol=1e-15)


@each_loss
def test_gradient_agrees_with_differences(name):
    loss, prediction, target = CASES[name]
    x = prediction.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, target), x)


@each_loss
def test_inputs_are_left_as_they_were(name):
    loss, prediction, target = CASES[name]
    before = prediction.clone(), target.clone()
    loss(prediction, target)
    assert_close((prediction, target), before, rtol=0, atol=0)


@each_loss
def test_loss_runs_under_compile(name):
    loss, prediction, target = CASES[name]
    torch.compiler.reset()
    compiled = torch.compile(loss, backend="eager")
    assert_close(compiled(prediction, target), loss(prediction, target))


EMPTY = {
    "labels": lambda z: cross_entropy(z, torch.zeros(z.shape[:-1]).long()),
    "probabilities": lambda z: cross_entropy(z, z),
    "mask": lambda z: cross_entropy(z, z, mask=torch.ones(z.shape[:-1])),
    "distillation": lambda z: distillation(z, z),
    "distillation mask": lambda z: distillation(z, z, mask=torch.ones(z.shape[:-1])),
    "square": lambda z: squared_error(z, z),
    "binary": lambda z: binary_cross_entropy_with_logits(z, z),
}


@pytest.mark.parametrize("shape", [(0, 3), (0, 5, 3), (2, 0, 3), (0, 0, 3)], ids=str)
@pytest.mark.parametrize("name", EMPTY)
def test_empty_batches_and_sequences_have_loss_zero(name, shape):
    z = torch.zeros(shape)
    assert torch.equal(EMPTY[name](z), torch.zeros(shape[0]))


# --- classes -----------------------------------------------------------------


def test_cross_entropy_by_hand():
    logits = torch.log(torch.tensor([[0.25, 0.75], [0.5, 0.5]], dtype=torch.float64))
    found = cross_entropy(logits, torch.tensor([0, 1]))
    assert_close(found, torch.log(torch.tensor([4.0, 2.0], dtype=torch.float64)))


def test_cross_entropy_is_that_of_torch_with_classes_second():
    logits, target = normal(5, 3, 4), labels(5, 3)
    target[0, 1] = target[2] = -100
    torchs = F.cross_entropy(
        logits.transpose(1, 2), target, reduction="none", label_smoothing=0.2
    )
    kept = (target != -100).sum(1)
    expected = torchs.sum(1) / kept.clamp(min=1)
    assert_close(cross_entropy(logits, target, label_smoothing=0.2), expected)
    assert cross_entropy(logits, target)[2] == 0.0


def test_smoothing_mixes_the_target_with_the_uniform_distribution():
    logits, target = normal(6, 4), labels(6)
    onehot = np.eye(4)[target.numpy()]
    mixed = 0.7 * onehot + 0.3 / 4
    expected = -(mixed * log_softmax(logits.numpy(), axis=1)).sum(1)
    found = cross_entropy(logits, target, label_smoothing=0.3)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)
    soft = cross_entropy(logits, torch.tensor(onehot), label_smoothing=0.3)
    assert_close(soft, found)


def test_masked_tokens_do_not_count_even_when_infinite():
    logits, target = normal(2, 3, 4), labels(2, 3)
    logits[0, 2, target[0, 2]] = -torch.inf
    logits.requires_grad_()
    mask = torch.tensor([[True, True, False], [False, False, False]])
    found = cross_entropy(logits, target, mask=mask)
    assert_close(found[0], cross_entropy(logits[:1, :2], target[:1, :2])[0])
    assert found[1] == 0.0
    (gradient,) = torch.autograd.grad(found.sum(), logits)
    assert torch.equal(gradient[1], torch.zeros(3, 4, dtype=torch.float64))
    assert gradient[0, :2].isfinite().all()


def test_mask_of_weights_is_a_weighted_mean_and_meets_ignored_labels():
    logits, target = normal(1, 3, 4), labels(1, 3)
    each = cross_entropy(logits[0], target[0])
    weight = torch.tensor([[1.0, 3.0, 7.0]], dtype=torch.float64)
    target[0, 2] = -1
    found = cross_entropy(logits, target, mask=weight, ignore_index=-1)
    assert_close(found[0], (each[0] + 3.0 * each[1]) / 4.0)


def test_small_integer_labels_do():
    logits, target = normal(6, 4), labels(6)
    assert_close(
        cross_entropy(logits, target.to(torch.uint8)), cross_entropy(logits, target)
    )


def test_bytes_as_labels_mean_what_they_say():
    logits = torch.randn(1, 2, 200, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([[156, 255 - 156]], dtype=torch.uint8)
    expected = cross_entropy(logits, target.long())
    assert torch.equal(cross_entropy(logits, target), expected)
    ignored = cross_entropy(logits, target, ignore_index=99)
    torch.testing.assert_close(ignored, cross_entropy(logits[:, 0], target[:, 0]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_long_sequences_in_half_precision_have_a_finite_loss(dtype):
    logits = torch.zeros(1, 16384, 200, dtype=dtype)
    mask = torch.ones(1, 16384, dtype=torch.bool)
    expected = torch.tensor([math.log(200)])
    target = mask.long()
    for losses in (
        cross_entropy(logits, target),
        cross_entropy(logits, target, mask=mask),
        cross_entropy(logits, target, mask=1e5 * mask),
    ):
        assert losses.dtype == dtype
        assert_close(losses.float(), expected, rtol=torch.finfo(dtype).eps, atol=0.0)


def test_weights_in_a_mask_are_not_rounded_to_half_precision():
    logits = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0)).half()
    target = torch.zeros(2, 3, dtype=torch.long)
    expected = cross_entropy(logits, target)
    assert_close(cross_entropy(logits, target, mask=torch.full((2, 3), 1e-9)), expected)


@pytest.mark.parametrize("weight", [-0.5, math.nan])
@pytest.mark.parametrize("loss", [cross_entropy, distillation])
def test_negative_weights_in_a_mask_are_refused(loss, weight):
    z, mask = torch.zeros(2, 3, 4), torch.tensor([[1.0, weight, 1.0], [1.0, 1.0, 0.0]])
    with pytest.raises(
        ValueError, match=f"'mask' of {loss.__name__} .* Got {weight:g}"
    ):
        loss(z, z, mask=mask)


def test_masks_do_within_vmap():
    z = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    target, mask = z.softmax(-1), torch.tensor([[1.0, 0.5, 1.0], [1.0, 1.0, 0.0]])
    each = torch.func.vmap(
        lambda z, t, m: cross_entropy(z[None], t[None], mask=m[None])
    )
    expected = cross_entropy(z, target, mask=mask)
    assert_close(each(z, target, mask)[:, 0], expected)


def test_class_that_the_teacher_rules_out_does_not_count():
    student = torch.tensor([[0.3, 1.0, -math.inf]], requires_grad=True)
    teacher = torch.tensor([[0.5, 0.2, -math.inf]])
    losses = distillation(student, teacher)
    assert_close(losses, distillation(student[:, :2], teacher[:, :2]))
    losses.sum().backward()
    assert torch.isfinite(student.grad).all()
    open_to_all = torch.tensor([[0.3, 1.0, 2.0]])
    p, q = softmax(open_to_all.numpy()), softmax(teacher.numpy())
    assert_close(
        distillation(open_to_all, teacher), torch.tensor([rel_entr(q, p).sum()])
    )


def test_binary_cross_entropy_is_cross_entropy_of_two_classes():
    score, target = normal(6), labels(6, n_classes=2)
    two = torch.stack([torch.zeros_like(score), score], dim=1)
    assert_close(
        binary_cross_entropy_with_logits(score, target), cross_entropy(two, target)
    )
    far = torch.tensor([1e4, -1e4])
    found = binary_cross_entropy_with_logits(far, torch.tensor([False, False]))
    assert_close(found, torch.tensor([1e4, 0.0]))


def test_positive_weight_multiplies_the_part_of_label_one():
    score, target = normal(4, 2), labels(4, 2, n_classes=2)
    weight = torch.tensor([1.0, 5.0], dtype=torch.float64)
    each = torch.stack(
        [binary_cross_entropy_with_logits(score[:, j], target[:, j]) for j in (0, 1)], 1
    )
    expected = (each * torch.where(target == 1, weight, 1.0)).mean(1)
    found = binary_cross_entropy_with_logits(score, target, pos_weight=weight)
    assert_close(found, expected)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_distillation_is_scaled_relative_entropy(temperature):
    student, teacher = normal(6, 4), normal(6, 4, seed=3)
    q = softmax(teacher.numpy() / temperature, axis=1)
    p = softmax(student.numpy() / temperature, axis=1)
    expected = temperature**2 * rel_entr(q, p).sum(1)
    found = distillation(student, teacher, temperature=temperature)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-11)


def test_distillation_vanishes_at_the_teacher_and_teaches_the_student_only():
    student = normal(6, 4).requires_grad_()
    teacher = normal(6, 4, seed=3).requires_grad_()
    assert_close(distillation(student, student), torch.zeros(6, dtype=torch.float64))
    distillation(student, teacher).sum().backward()
    assert teacher.grad is None
    soft = cross_entropy(student, teacher.detach().softmax(-1)).sum()
    assert_close(student.grad, torch.autograd.grad(soft, student)[0])


# --- values ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "torchs"),
    [
        pytest.param(squared_error, F.mse_loss, id="squared"),
        pytest.param(absolute_error, F.l1_loss, id="absolute"),
        pytest.param(huber, F.huber_loss, id="huber"),
        pytest.param(
            binary_cross_entropy_with_logits,
            F.binary_cross_entropy_with_logits,
            id="binary",
        ),
    ],
)
def test_mean_over_samples_is_the_loss_of_torch(loss, torchs):
    prediction, target = normal(7, 3), normal(7, 3, seed=5).sigmoid()
    assert_close(loss(prediction, target).mean(), torchs(prediction, target))


def test_value_losses_by_hand():
    prediction = torch.tensor([[1.0, -3.0], [0.0, 0.5]])
    target = torch.zeros(2, 2)
    assert_close(squared_error(prediction, target), torch.tensor([5.0, 0.125]))
    assert_close(absolute_error(prediction, target), torch.tensor([2.0, 0.25]))
    # 1/2 and 2 (3 - 1) beyond the bend at 2; 0 and 1/8
    assert_close(huber(prediction, target, delta=2.0), torch.tensor([2.25, 0.0625]))


def test_huber_is_that_of_scipy():
    error = normal(50)
    found = huber(error, torch.zeros(50), delta=0.7)
    np.testing.assert_allclose(found.numpy(), scipy_huber(0.7, error.numpy()))


@pytest.mark.parametrize("loss", [squared_error, absolute_error, huber])
@pytest.mark.parametrize("side", ["prediction", "target"])
def test_a_column_meets_a_vector_sample_by_sample(loss, side):
    prediction, target = normal(6), normal(6, seed=3)
    expected = loss(prediction, target)
    if side == "prediction":
        assert_close(loss(prediction[:, None], target), expected)
    else:
        assert_close(loss(prediction, target[:, None]), expected)


@given(
    st.lists(st.floats(0.01, 0.99), min_size=1, max_size=5, unique=True),
    st.integers(0, 2**31),
)
def test_mean_pinball_loss_is_that_of_the_metric(levels, seed):
    levels = np.unique(np.round(levels, 3))
    quantiles, target = normal(8, len(levels), seed=seed), normal(8, seed=seed + 1)
    found = pinball(quantiles, target, levels).mean().item()
    expected = pinball_loss(target.numpy(), quantiles.numpy(), levels)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_pinball_of_many_outputs_is_the_mean_of_theirs():
    quantiles, target = normal(6, 2, 3), normal(6, 2, seed=3)
    each = [pinball(quantiles[:, j], target[:, j], LEVELS) for j in (0, 1)]
    assert_close(pinball(quantiles, target, LEVELS), (each[0] + each[1]) / 2)
    assert_close(pinball(quantiles[:, 0], target[:, :1], LEVELS), each[0])


# --- bad input ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        pytest.param(
            lambda: cross_entropy(normal(2, 3), labels(2, 2)),
            r"'target' of cross_entropy must be integer labels of shape \(2,\)",
            id="label shape",
        ),
        pytest.param(
            lambda: cross_entropy(normal(3), labels(3)),
            r"put the classes of the scores on the last axis",
            id="no class axis",
        ),
        pytest.param(
            lambda: cross_entropy(normal(2, 3), torch.tensor([0, 3])),
            r"labels from 0 to 2, or the 'ignore_index' -100. Got labels from 0 to 3",
            id="label too large",
        ),
        pytest.param(
            lambda: cross_entropy(normal(2, 3), torch.tensor([0, -1])),
            r"Got labels from -1 to 0",
            id="label negative",
        ),
        pytest.param(
            lambda: cross_entropy(normal(2, 3), labels(2), label_smoothing=1.5),
            r"'label_smoothing' of cross_entropy must lie in \[0, 1\]. Got 1.5",
            id="smoothing",
        ),
        pytest.param(
            lambda: cross_entropy(normal(2, 3, 4), labels(2, 3), mask=torch.ones(2)),
            r"'mask' of cross_entropy must have one weight for each token",
            id="mask",
        ),
        pytest.param(
            lambda: squared_error(normal(3, 2), normal(3)),
            r"'target' of squared_error must have the shape of the prediction",
            id="broadcast",
        ),
        pytest.param(
            lambda: binary_cross_entropy_with_logits(normal(3), labels(4)),
            r"Got \(4,\) for \(3,\)",
            id="rows",
        ),
        pytest.param(
            lambda: binary_cross_entropy_with_logits(
                normal(3, 2), labels(3, 2), pos_weight=torch.ones(3, 1)
            ),
            r"'pos_weight' of .* must have shape \(2,\), .* Got shape \(3, 1\)",
            id="positive weights of samples",
        ),
        pytest.param(
            lambda: binary_cross_entropy_with_logits(
                normal(3), labels(3), pos_weight=torch.ones(3)
            ),
            r"must have shape \(1,\), one factor for each output, or \(\)",
            id="positive weights of a vector",
        ),
        pytest.param(
            lambda: pinball(torch.tensor(1.0), torch.tensor(1.0), [0.5]),
            r"'prediction' of pinball must .* Got shapes \(\) and \(\)",
            id="scalars",
        ),
        pytest.param(
            lambda: cross_entropy(normal(1, 3), torch.tensor([7], dtype=torch.uint16)),
            r"Got labels from 7 to 7",
            id="label without a minimum",
        ),
        pytest.param(
            lambda: huber(normal(3), normal(3), delta=0.0),
            r"'delta' of huber must be a finite number > 0. Got 0.0",
            id="delta",
        ),
        pytest.param(
            lambda: pinball(normal(3, 2), normal(3), [0.9, 0.1]),
            r"pass sorted\(levels\)",
            id="levels",
        ),
        pytest.param(
            lambda: pinball(normal(3, 2), normal(3), LEVELS),
            r"one column for each of 3 levels",
            id="columns",
        ),
        pytest.param(
            lambda: pinball(normal(3, 3), normal(2), LEVELS),
            r"Got shapes \(3, 3\) and \(2, 1\)",
            id="pinball rows",
        ),
        pytest.param(
            lambda: distillation(normal(3, 2), normal(3, 3)),
            r"'teacher_logits' of distillation must have the shape of 'logits'",
            id="teacher",
        ),
        pytest.param(
            lambda: distillation(normal(3, 2), normal(3, 2), temperature=-1.0),
            r"'temperature' of distillation must be a finite number > 0",
            id="temperature",
        ),
        pytest.param(
            lambda: get_loss("cross_entrop"), r"did you mean 'cross_entropy'", id="name"
        ),
        pytest.param(
            lambda: get_loss("zzz"), r"Got 'zzz'; pass one of them", id="no such name"
        ),
        pytest.param(
            lambda: PerSampleLoss("huber", reduction="sum"),
            r"'reduction' of PerSampleLoss must be 'none' or 'mean'. Got 'sum'",
            id="reduction",
        ),
    ],
)
def test_bad_values_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        pytest.param(
            lambda: cross_entropy(normal(3, 2), torch.ones(3)),
            r"Got labels as torch.float32; pass target.long\(\)",
            id="float labels",
        ),
        pytest.param(
            lambda: get_loss("huber", beta=1.0),
            r"options of huber must be among \['delta'\].*unknown \['beta'\]",
            id="unknown option",
        ),
        pytest.param(
            lambda: get_loss("pinball"), r"Got no \['levels'\]", id="missing option"
        ),
        pytest.param(
            lambda: get_loss(torch.nn.MSELoss),
            r"must be a name or a function",
            id="class",
        ),
        pytest.param(lambda: get_loss(3), r"Got 3; pass for example", id="number"),
        pytest.param(
            lambda: huber(normal(3), normal(3), delta="1"),
            r"'delta' of huber must be a real number",
            id="word",
        ),
    ],
)
def test_bad_types_are_refused(call, message):
    with pytest.raises(TypeError, match=message):
        call()


# --- the table and the module --------------------------------------------------


def test_every_name_gives_its_loss():
    assert list_losses() == sorted(list_losses())
    for name in list_losses():
        options = {"levels": LEVELS} if name == "pinball" else {}
        found = get_loss(name, **options)
        assert getattr(found, "func", found).__name__ == name


def test_own_function_is_handed_back_with_its_options():
    def own(prediction, target, power=2):
        return (prediction - target).abs() ** power

    assert get_loss(own) is own
    assert_close(
        get_loss(own, power=3)(torch.tensor([2.0]), torch.zeros(1)), torch.tensor([8.0])
    )


def test_module_returns_losses_or_their_mean_and_can_be_pickled():
    prediction, target = normal(6), normal(6, seed=3)
    expected = huber(prediction, target, delta=0.5)
    none = pickle.loads(pickle.dumps(PerSampleLoss("huber", delta=0.5)))
    assert_close(none(prediction, target), expected)
    mean = PerSampleLoss("huber", reduction="mean", delta=0.5)
    assert_close(mean(prediction, target), expected.mean())
    assert repr(mean) == "PerSampleLoss(huber, reduction='mean')"


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_module_and_models_train_inside_skorch(reduction):
    skorch = pytest.importorskip("skorch")
    from statlearn.neural.models import MLP

    class Weighted(skorch.NeuralNetRegressor):
        """Averages what the criterion returns with weights of its own."""

        def get_loss(self, y_pred, y_true, *args, **kwargs):
            losses = super().get_loss(y_pred, y_true, *args, **kwargs)
            assert losses.shape == (len(y_true),)
            weight = torch.arange(1.0, len(losses) + 1.0)
            return (weight * losses).sum() / weight.sum()

    X = normal(64, 3, dtype=torch.float32).numpy()
    y = X.sum(1, keepdims=True)
    network = (Weighted if reduction == "none" else skorch.NeuralNetRegressor)(
        MLP,
        module__n_features=3,
        module__generator=0,
        criterion=PerSampleLoss,
        criterion__loss="huber",
        criterion__delta=2.0,
        criterion__reduction=reduction,
        optimizer=torch.optim.Adam,
        lr=0.01,
        max_epochs=30,
        train_split=None,
        verbose=0,
    )
    assert network.fit(X, y).score(X, y) > 0.9
