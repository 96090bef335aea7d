"""Quantisers that a module has no longer are not gone on with."""

from __future__ import annotations

import re

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from statlearn.neural import fold, strip, unfold  # noqa: E402
from statlearn.neural.quantization import (  # noqa: E402
    ConfidenceGuidedAnnealing,
    IterativeFreezing,
    OscillationTracker,
    QKReparamAttention,
    quantize_model,
)
from statlearn.neural.quantization._quantized import quantized_weights  # noqa: E402

USES = {
    "annealing": (ConfidenceGuidedAnnealing, "mask_gradients"),
    "tracker": (OscillationTracker, "update"),
    "freezing": (IterativeFreezing, "update"),
}
every_use = pytest.mark.parametrize("use", USES)


def network():
    model = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 3))
    quantize_model(model, bits=2)
    return model


def used(use, model):
    kind, method = USES[use]
    watcher = kind(model)
    return watcher, getattr(watcher, method)


@pytest.mark.parametrize(
    "change",
    [fold, strip, lambda model: model.__setitem__(0, nn.Linear(6, 4))],
    ids=["fold", "strip", "another layer"],
)
@every_use
def test_quantisers_that_are_gone_end_the_use_of_them(use, change):
    model = network()
    _, call = used(use, model)
    call()
    change(model)
    with pytest.raises(ValueError, match=r"Got a module without .*'0.weight'.*; make"):
        call()


@every_use
def test_new_quantisers_do_not_stand_for_the_old_ones(use):
    model = network()
    _, call = used(use, model)
    strip(model)
    quantize_model(model, bits=2)
    with pytest.raises(ValueError, match="make a new"):
        call()
    used(use, model)[1]()


@every_use
def test_quantisers_that_come_back_are_read_anew(use):
    model = network()
    watcher, call = used(use, model)
    fold(model, reversible=True)
    unfold(model)
    call()
    with torch.no_grad():  # all codes of the first layer change their sign
        model[0].parametrizations.weight.original.neg_()
    call()
    if use == "tracker":
        assert watcher.changed_fraction_ == pytest.approx(24 / 36)


def test_folded_product_ends_annealing_and_tracking():
    attention = QKReparamAttention(8, num_heads=2, bits=2)
    annealing, tracker = (
        kind(attention) for kind in (ConfidenceGuidedAnnealing, OscillationTracker)
    )
    attention.fold()
    for call in (annealing.mask_gradients, tracker.update):
        with pytest.raises(ValueError, match=r"without those of \['qk_product'\]"):
            call()


def test_step_within_follow_says_that_the_quantisers_are_gone():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    annealing = ConfidenceGuidedAnnealing(model)
    with annealing.follow(optimizer):
        model(torch.ones(2, 6)).sum().backward()
        fold(model)
        folded = model[0].weight.detach().clone()
        with pytest.raises(ValueError, match="ConfidenceGuidedAnnealing works on"):
            optimizer.step()
    assert torch.equal(model[0].weight, folded)


def test_weights_that_were_stripped_before_restore_are_left_alone():
    model = network()
    annealing = ConfidenceGuidedAnnealing(model)
    annealing.mask_gradients()
    strip(model)
    with torch.no_grad():
        model[0].weight.fill_(7.0)
    with pytest.raises(ValueError, match="make a new"):
        annealing.restore()
    assert bool((model[0].weight == 7.0).all())


def both():
    model = nn.ModuleDict({"a": QKReparamAttention(4, 2, 2), "b": nn.Linear(4, 4)})
    quantize_model(model, 2, include="b")
    return model


PRODUCT = {
    "name": "a.qk_product",
    "glob": "*.qk_product",
    "pattern": re.compile(r".*\.qk_product"),
    "predicate": lambda name, _: name.endswith("qk_product"),
    "list": ["a.qk_product"],
    "tensor": "a.query_weight",
}


@pytest.mark.parametrize("selector", PRODUCT)
def test_products_are_selected_by_the_names_that_are_reported(selector):
    model, options = both(), {"caller": "test"}
    chosen = quantized_weights(model, include=PRODUCT[selector], **options)
    assert [q.name for q in chosen] == ["a.qk_product"]
    others = quantized_weights(model, exclude=PRODUCT[selector], **options)
    assert [q.name for q in others] == ["b.weight"]
    ConfidenceGuidedAnnealing(model, exclude=PRODUCT[selector])


def test_names_of_no_product_are_refused_as_they_were_given():
    with pytest.raises(ValueError, match=r"'include' of test .* Got 'c.qk_product'"):
        quantized_weights(both(), include="c.qk_product", caller="test")
