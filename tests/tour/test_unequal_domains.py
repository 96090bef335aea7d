from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier

from statlearn.tour import _domains_study as study
from statlearn.tour import unequal_domains
from statlearn.tour._progress import SilentProgress
from statlearn.tour._run import run_section

N_BUDGETS, N_DOMAINS = len(study.BUDGETS), len(study.SIZES)


def domains_of(changes=None, moments=(1.0, 1.0, 1.0)):
    """Two seeds in which every loss is 1 but those that are given, by scheme."""
    losses = {name: np.ones((2, N_BUDGETS, N_DOMAINS)) for name in study.SCHEMES}
    for name, values in (changes or {}).items():
        losses[name] = np.broadcast_to(values, losses[name].shape).astype(float)
    epochs = {name: np.ones((N_BUDGETS, N_DOMAINS)) for name in study.SCHEMES}
    pairs = np.broadcast_to(moments, (2, 2, N_DOMAINS)).astype(float)
    return study.Domains(losses, losses, pairs, epochs, 1797)


def peer_with(network):
    """scikit-learn's network with the weights of ours."""
    peer = MLPClassifier(
        hidden_layer_sizes=(64,),
        solver="sgd",
        momentum=0.0,
        alpha=0.0,
        learning_rate_init=0.2,
        random_state=0,
    )
    peer.partial_fit(np.zeros((10, 64)), np.arange(10), classes=np.arange(10))
    peer.coefs_ = [network[0].copy(), network[2].copy()]
    peer.intercepts_ = [network[1].copy(), network[3].copy()]
    return peer


@pytest.fixture(scope="module")
def split():
    return study.make_split(0)


def test_every_camera_has_its_images_and_none_is_tested_on_a_known_one(split):
    assert np.bincount(split.domain).tolist() == list(study.SIZES)
    assert len(split.y) + len(split.wanted) == 1797
    known = {row.tobytes() for row in split.X[: study.SIZES[0]]}
    originals = {row.tobytes() for row in load_digits().data / 16.0}
    assert known <= originals
    assert not known & {row.tobytes() for row in split.fresh[0]}


def test_cameras_mirror_and_turn_the_same_images(split):
    images = split.fresh.reshape(N_DOMAINS, -1, 8, 8)
    assert_allclose(images[1], np.flip(images[0], axis=2))
    # A quarter turn to the left: the last column becomes the first row.
    assert_allclose(images[2][:, 0], images[0][:, :, -1])


@pytest.mark.parametrize("scheme", [study.PLAIN, study.WEIGHTED])
def test_training_takes_the_steps_of_scikit_learn(split, scheme):
    found = study.train(split, scheme, 5, 3)
    peer = peer_with(study.new_network(3))
    share = np.array(study.SIZES) ** 0.2 / np.sum(np.array(study.SIZES) ** 0.2)
    weights = share / (np.array(study.SIZES) / 1090)
    for rows in study.sampler(scheme, 5, 3):
        # The peer divides by the rows of a batch, or by the sum of their weights.
        weight = weights[split.domain[rows]]
        if scheme == study.PLAIN:
            peer.partial_fit(split.X[rows], split.y[rows])
            continue
        peer.learning_rate_init = 0.2 * weight.mean()
        peer._optimizer.learning_rate = peer.learning_rate_init
        peer.partial_fit(split.X[rows], split.y[rows], sample_weight=weight)
    assert_allclose(found[0], peer.coefs_[0], rtol=1e-8, atol=1e-12)
    assert_allclose(found[2], peer.coefs_[1], rtol=1e-8, atol=1e-12)
    assert_allclose(found[3], peer.intercepts_[1], rtol=1e-8, atol=1e-12)


def test_losses_and_errors_are_those_of_scikit_learn(split):
    network = study.train(split, study.HOT, 50, 0)
    peer = peer_with(network)
    losses, errors = study.judge(network, split)
    for number, fresh in enumerate(split.fresh):
        proba = peer.predict_proba(fresh)
        assert_allclose(losses[number], log_loss(split.wanted, proba))
        wrong = np.mean(proba.argmax(axis=1) != split.wanted)
        assert_allclose(errors[number], wrong)


def test_squared_gradients_are_those_of_the_steps_of_scikit_learn(split):
    network = study.new_network(1)
    peer = peer_with(network)
    peer.partial_fit(split.X[:1], split.y[:1])
    after = [peer.coefs_[0], peer.intercepts_[0], peer.coefs_[1], peer.intercepts_[1]]
    square = sum(
        np.sum(((new - old) / 0.2) ** 2)
        for new, old in zip(after, network, strict=True)
    )
    n_rows = len(split.y)
    alike = dataclasses.replace(
        split, X=np.repeat(split.X[:1], n_rows, 0), y=np.repeat(split.y[:1], n_rows)
    )
    assert_allclose(study.second_moments(network, alike), square, rtol=1e-8)


def test_the_ratio_of_the_moments_is_the_one_worked_out_by_hand():
    share = np.array(study.SIZES) ** 0.2
    share /= share.sum()
    by_hand = np.sum(share**2 / (np.array(study.SIZES) / 1090))
    assert_allclose(domains_of().ratios(), by_hand)


def test_cooling_has_to_keep_both_promises():
    assert domains_of().cooling_is_best_of_both().all()
    large = domains_of({study.COOLED: [1.1, 1.0, 1.0]})
    assert not large.cooling_is_best_of_both().any()
    small = domains_of({study.COOLED: [1.0, 1.0, 1.2]})
    assert not small.cooling_is_best_of_both().any()
    within = domains_of({study.COOLED: [1.04, 1.04, 1.04]})
    assert within.cooling_is_best_of_both().all()


def test_means_are_taken_over_seeds_and_domains():
    table = domains_of({study.HOT: [1.0, 2.0, 6.0]})
    assert_allclose(table.mean_loss(study.HOT), 3.0)
    assert_allclose(table.others(study.HOT), 4.0)
    assert_allclose(table.of_domain(study.HOT, 2), 6.0)


@pytest.mark.parametrize(
    ("table", "verdict"),
    [
        (domains_of(), True),
        (domains_of({study.COOLED: 2.0}), False),
        # Gradients in the largest domain only.
        (domains_of(moments=(1.0, 0.0, 0.0)), False),
    ],
    ids=["both parts", "cooling fails", "weighting less noisy"],
)
def test_the_verdict_follows_the_numbers(monkeypatch, table, verdict):
    monkeypatch.setattr(study, "learn", lambda progress, n: table)
    assert unequal_domains.run(SilentProgress()).supported is verdict


@pytest.fixture(scope="module")
def outcome():
    section = dataclasses.replace(
        unequal_domains.SECTION,
        run=lambda progress: unequal_domains.run(progress, n_seeds=1),
    )
    return run_section(section, SilentProgress())


def test_the_section_runs_from_data_to_drawings(outcome):
    assert outcome.error == ""
    assert outcome.caught == ()
    assert len(outcome.drawings) == len(outcome.result.figures) == 2
    assert len(outcome.result.tables) == 3


def test_hot_sampling_serves_small_domains_in_short_trainings(outcome):
    rows = {row[0]: row for row in outcome.result.tables[0].rows}
    turned = 3  # after 100 batches
    assert float(rows[study.HOT][turned]) < float(rows[study.PLAIN][turned])


def test_what_speaks_against_the_claim_is_told_beside_it(outcome):
    assert not outcome.result.supported
    for words in ("cooled", "weighted", "in proportion to size"):
        assert words in outcome.result.measured
    assert "arranged" in " ".join(outcome.result.notes)
