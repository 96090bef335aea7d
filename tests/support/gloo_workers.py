"""Processes that train one model together, which have to be importable."""

from __future__ import annotations

import contextlib
import warnings

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from loop_cases import batches_of, loop_of, net, rows
from statlearn.neural._loss_reweighter import LossReweighter

N_EPOCHS, BATCH_SIZE = 2, 9


@contextlib.contextmanager
def group_of(rank, size, place):
    """Join a group of processes that meet at a file."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{place}/meet", rank=rank, world_size=size
    )
    try:
        yield
    finally:
        distributed.destroy_process_group()


def example(dtype=torch.float64):
    """Rows whose number no batch size divides, with base weights and groups."""
    X, y = rows(31, dtype)
    weight = torch.arange(31) % 4 * 0.5  # every fourth row has none
    return (X, y), {"sample_weight": weight, "groups": (torch.arange(31) % 3).numpy()}


def train(model, *, weighted=False, path=None, **options):
    """Train a model on the example; the same in one process and in several."""
    data, extra = example(next(model.parameters()).dtype)
    loop = loop_of(model, checkpoint=path, **options)
    batches = batches_of(data, BATCH_SIZE, **(extra if weighted else {}))
    return loop, loop.run(batches, N_EPOCHS)


def in_group(rank, size, place, cases, counts):
    """Do all that is to be shown of several processes, and save what came out."""
    warnings.simplefilter("error")
    with group_of(rank, size, place):
        found = {
            "trained": {name: trained(rank, *case) for name, case in cases.items()},
            "stopped": stopped(rank, f"{place}/run.pt"),
            "refused": [refused(weighting) for weighting in (None, "linupper")],
            "short": short(),
            "weightless": {kind: weightless(kind) for kind in ("bare", "ddp")},
            "uneven": uneven(rank),
            "sparse": sparse(),
            "reweighed": [reweighed(rank, numbers) for numbers in counts],
        }
    torch.save(found, f"{place}/rank-{rank}.pt")


def trained(rank, wrap, dtype, options):
    """Train the network, wrapped in DDP or not."""
    model = net(dtype=dtype)
    if not wrap:  # DDP wants every parameter to have a gradient
        model.register_parameter("unused", nn.Parameter(torch.ones(3, dtype=dtype)))
    if rank:  # replaced by the parameters of the first process
        nn.init.zeros_(model[0].weight)
    loop, history = train(DistributedDataParallel(model) if wrap else model, **options)
    return {
        "model": model.state_dict(),
        "loss": torch.as_tensor(history.loss),
        "weight": torch.as_tensor(history.weight),
        "key": loop.state_dict()["key"],
    }


def stopped(rank, path):
    """Let one process ask to stop, and all go on from the file."""

    def asks(progress):
        return rank == 1 and progress.step == 3

    options = {"path": path, "random_state": None}
    first, _ = train(net(norm=True), callbacks=[asks], **options)
    model = net(norm=True)
    loop, _ = train(model, **options)
    keys = [each.state_dict()["key"] for each in (first, loop)]
    return {
        "steps": [first.step_, loop.step_],
        "keys": keys,
        "model": model.state_dict(),
    }


def refused(weighting):
    """Show all processes a loss that is not finite, in a row of the second."""
    X, y = rows(8)
    X[1] = torch.inf
    try:
        loop_of(net(), weighting=weighting).run([(X, y)])
    except FloatingPointError as error:
        return str(error)
    return "trained"


def short():
    """Give a wrapped model fewer rows than there are processes."""
    X, y = rows(1)
    try:
        loop_of(DistributedDataParallel(net())).run([(X, y)])
    except ValueError as error:
        return str(error)
    return "trained"


def last_is_nothing(losses, *, groups=None, base_weight=None, step=None):
    """A rule that leaves no weight to a batch of 5 rows."""
    return [float(len(losses) != 5)] * len(losses)


def weightless(kind):
    """Accumulate a batch that the rule leaves no weight after one that has some."""
    model = net(dtype=torch.float64)
    wrapped = DistributedDataParallel(model) if kind == "ddp" else model
    X, y = rows(13, torch.float64)
    batches = [(X[:8], y[:8]), (X[8:], y[8:])]
    loop_of(wrapped, accumulate=2, weighting=last_is_nothing).run(batches, 3)
    return model.state_dict()


def uneven(rank):
    """Give one process a batch more than the other."""
    try:
        loop_of(net(), sharded=True).run(batches_of(rows(10 - rank), 3))
    except ValueError as error:
        return str(error)
    return "trained"


def sparse():
    """Train a layer whose gradient is sparse."""
    model = nn.EmbeddingBag(10, 2, sparse=True)
    data = torch.arange(10)[:, None], torch.arange(10) % 2
    try:
        loop_of(model, optimizer=torch.optim.SGD).run(batches_of(data, 4))
    except TypeError as error:
        return str(error)
    return "trained"


def reweighed(rank, counts):
    """Weigh unequal numbers of rows by `LossReweighter` in a loop of one's own."""
    losses, base, groups = reweigh_example(sum(counts))
    own = slice(sum(counts[:rank]), sum(counts[: rank + 1]))
    found = {}
    for name, (rule, options) in REWEIGHERS.items():
        leaf = losses[own].clone().requires_grad_()
        reweighter = LossReweighter(rule)
        given = {"base_weight": base[own], "groups": groups[own]}
        loss = reweighter(leaf, **{key: given[key] for key in options})
        loss.backward()
        found[name] = {
            "loss": loss.detach(),
            "gradient": leaf.grad,
            "weights": reweighter.weights_,
        }
    alone = LossReweighter("kltilt", gather=False)
    found["alone"] = alone(losses[own]) if counts[rank] else None
    return found


REWEIGHERS = {
    "losses": ("kltilt", ()),
    "base": ("linupper", ("base_weight",)),
    "groups": ("inversefrequency", ("groups",)),
    "both": ("inversefrequency", ("groups", "base_weight")),
}


def reweigh_example(n):
    losses = rows(n, torch.float64)[0][:, 0].abs()
    return losses, torch.arange(n) % 3 * 1.0, ["a" if i % 4 else "b" for i in range(n)]
