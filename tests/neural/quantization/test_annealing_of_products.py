"""ConfidenceGuidedAnnealing on products of queries and keys."""

from __future__ import annotations

import copy
import io

import pytest

torch = pytest.importorskip("torch")

from statlearn.neural.quantization import (  # noqa: E402
    ConfidenceGuidedAnnealing,
    QKReparamAttention,
)
from statlearn.neural.quantization._boundaries import near_boundary  # noqa: E402

OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.1),
    "nesterov": lambda p: torch.optim.SGD(
        p, 0.1, momentum=0.9, nesterov=True, foreach=True
    ),
    "AdamW": lambda p: torch.optim.AdamW(p, 0.05, weight_decay=0.1),
}


def attention_step(attention, optimizer, step, seed):
    x = torch.randn(8, 5, 12, generator=torch.Generator().manual_seed(seed))
    optimizer.zero_grad()
    attention(x)[0].square().mean().backward()
    step()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_columns_of_queries_and_keys_without_undecided_products_keep_their_bits(
    optimizer,
):
    generator = torch.Generator().manual_seed(1)
    attention = QKReparamAttention(12, 3, 2, generator=generator)
    optimizer = OPTIMIZERS[optimizer](attention.parameters())
    for seed in range(3):
        attention_step(attention, optimizer, optimizer.step, seed)
    annealing = ConfidenceGuidedAnnealing(attention, 0.02)
    n_moved = 0
    for seed in range(3, 8):
        product = attention.product().detach()
        by_head = near_boundary(product, attention.quantizer, 0.02).view(3, 12, 12)
        rows, columns = by_head.any(2), by_head.any(1)  # (H, C)
        old = [
            w.detach().clone().view(3, 4, 12)
            for w in (attention.query_weight, attention.key_weight)
        ]
        attention_step(attention, optimizer, lambda: annealing.step(optimizer), seed)
        weights = attention.query_weight, attention.key_weight
        for w, before, moves in zip(weights, old, (rows, columns), strict=True):
            same = (w.detach().view(3, 4, 12) == before).all(1)
            assert same[~moves].all()
            n_moved += int((~same).count_nonzero())
        pinned = ~(rows[:, :, None] | columns[:, None, :])
        now = attention.product().detach().view(3, 12, 12)
        assert pinned.any()
        assert torch.equal(now[pinned], product.view(3, 12, 12)[pinned])
    assert n_moved > 0


def test_gradient_of_a_product_passes_by_its_undecided_numbers_only():
    generator = torch.Generator().manual_seed(1)
    attention = QKReparamAttention(12, 3, 2, generator=generator)
    product = attention.product().detach()
    mask = near_boundary(product, attention.quantizer, 0.02)
    c = torch.randn(36, 12, generator=generator)
    (attention.quantized_product() * c).sum().backward()
    whole = attention.query_weight.grad.clone()
    attention.zero_grad()
    annealing = ConfidenceGuidedAnnealing(attention, 0.02)
    with annealing.gate():
        (attention.quantized_product() * c).sum().backward()
    # By hand: M = Wq' Wk, so the gradient of Wq is Wk G' with G cut to the mask.
    heads = (c * mask).view(3, 12, 12)
    by_hand = attention.key_weight.view(3, 4, 12) @ heads.transpose(1, 2)
    torch.testing.assert_close(attention.query_weight.grad, by_hand.flatten(0, 1))
    attention.zero_grad()
    (attention.quantized_product() * c).sum().backward()
    assert torch.equal(attention.query_weight.grad, whole)


def test_gradients_of_products_are_whole_outside_of_the_phase():
    generator = torch.Generator().manual_seed(1)
    attention = QKReparamAttention(12, 3, 2, generator=generator)
    attention.quantized_product().sum().backward()
    whole = attention.query_weight.grad.clone()
    optimizer = torch.optim.SGD(attention.parameters(), lr=0.0)
    annealing = ConfidenceGuidedAnnealing(attention, 0.02)
    for begin in (lambda: None, lambda: annealing.step(optimizer)):
        begin()
        attention.zero_grad()
        attention.quantized_product().sum().backward()
        assert torch.equal(attention.query_weight.grad, whole)
    with pytest.raises(KeyError), annealing.follow(optimizer):
        raise KeyError
    assert not attention.quantizer._forward_hooks


def test_copies_from_within_the_phase_are_free_after_it():
    generator = torch.Generator().manual_seed(1)
    attention = QKReparamAttention(12, 3, 2, generator=generator)
    attention.quantized_product().sum().backward()
    whole = attention.query_weight.grad.clone()
    with ConfidenceGuidedAnnealing(attention, 0.02).gate():
        twin, file = copy.deepcopy(attention), io.BytesIO()
        torch.save(attention, file)
        twin.zero_grad()
        twin.quantized_product().sum().backward()
        assert not torch.equal(twin.query_weight.grad, whole)
    file.seek(0)
    for module in (twin, torch.load(file, weights_only=False)):
        module.zero_grad()
        module.quantized_product().sum().backward()
        assert torch.equal(module.query_weight.grad, whole)


def test_closure_of_a_product_is_gated():
    generator = torch.Generator().manual_seed(1)
    attention = QKReparamAttention(12, 3, 2, generator=generator)
    mask = near_boundary(attention.product().detach(), attention.quantizer, 0.02)
    c = torch.randn(36, 12, generator=generator)
    optimizer = torch.optim.SGD(attention.parameters(), lr=0.0)
    key = attention.key_weight.detach().view(3, 4, 12)

    def closure():
        optimizer.zero_grad()
        loss = (attention.quantized_product() * c).sum()
        loss.backward()
        return loss

    ConfidenceGuidedAnnealing(attention, 0.02).step(optimizer, closure)
    by_hand = key @ (c * mask).view(3, 12, 12).transpose(1, 2)
    torch.testing.assert_close(attention.query_weight.grad, by_hand.flatten(0, 1))
