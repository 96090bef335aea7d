from __future__ import annotations

import copy
import os
import pickle
import signal
from functools import partial
from zipfile import ZipFile

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

from loop_cases import (  # noqa: E402
    batches_of,
    cross_entropy,
    equal,
    loop_of,
    net,
    rows,
)
from statlearn.neural import TrainingLoop  # noqa: E402
from statlearn.neural._training import _checkpoint as files  # noqa: E402
from statlearn.schedules import Constant, Cosine  # noqa: E402
from statlearn.weights import KLTilt  # noqa: E402

N_EPOCHS = 2
SETTINGS = {"schedule": Cosine(0.1, n_steps=10, warmup=2), "random_state": 7}


def model():
    return net(dropout=0.4, norm=True)


def loader(data, **_):
    return DataLoader(TensorDataset(*data), batch_size=8, shuffle=True)


def whole_run(make=batches_of, **options):
    trained = model()
    loop = loop_of(trained, **SETTINGS, **options)
    loop.run(make(rows()), N_EPOCHS)
    return trained, loop


def assert_same_end(first, second):
    assert equal(first[0], second[0])
    states = [loop.state_dict() for _, loop in (first, second)]
    for key, moments in states[0]["optimizer"]["state"].items():
        other = states[1]["optimizer"]["state"][key]
        assert all(torch.equal(moments[name], other[name]) for name in moments)
    for name in ("step", "epoch", "loss", "lr", "weight"):
        columns = [getattr(loop.history_, name) for _, loop in (first, second)]
        np.testing.assert_array_equal(*columns)


def resumed(path, make=batches_of, **options):
    trained = model()
    with torch.no_grad():  # another start, which the file replaces
        trained[0].weight += 1.0
    loop = loop_of(trained, **SETTINGS, checkpoint=path, **options)
    loop.run(make(rows()), N_EPOCHS)
    return trained, loop


def rate_of(number):
    return lambda step: number


class Stop(Exception):
    pass


def raises_at(step, error):
    def callback(progress):
        if progress.step == step:
            raise error

    return callback


@pytest.mark.parametrize("make", [batches_of, loader], ids=["batches", "loader"])
@pytest.mark.parametrize("step", range(1, 10))
def test_a_run_taken_up_at_any_step_ends_in_the_same_bits(tmp_path, make, step):
    path = tmp_path / "run.pt"
    stopped = loop_of(
        model(), **SETTINGS, checkpoint=path, callbacks=[raises_at(step, Stop)]
    )
    with pytest.raises(Stop):
        stopped.run(make(rows()), N_EPOCHS)
    assert_same_end(resumed(path, make), whole_run(make))


@pytest.mark.parametrize("accumulate", [2, 3])
def test_accumulated_updates_are_taken_up_between_them(tmp_path, accumulate):
    path = tmp_path / "run.pt"
    options = {"accumulate": accumulate, "weighting": "linupper"}
    loop_of(model(), **SETTINGS, checkpoint=path, **options).run(
        batches_of(rows()), N_EPOCHS, n_steps=3
    )
    assert_same_end(resumed(path, **options), whole_run(**options))


@pytest.mark.usefixtures("keyboard")
def test_an_interrupt_from_the_keyboard_waits_for_the_step_and_leaves_a_file(tmp_path):
    path = tmp_path / "run.pt"
    interrupted = model()
    n_calls = []

    def press(module, args):
        n_calls.append(1)
        if len(n_calls) == 4:
            os.kill(os.getpid(), signal.SIGINT)

    interrupted[0].register_forward_pre_hook(press)
    loop = loop_of(interrupted, **SETTINGS, checkpoint=path)
    with pytest.raises(KeyboardInterrupt):
        loop.run(batches_of(rows()), N_EPOCHS)
    assert loop.step_ == 4
    assert_same_end(resumed(path), whole_run())


def test_an_interrupt_inside_a_forward_pass_leaves_the_step_before(tmp_path):
    path = tmp_path / "run.pt"
    interrupted = model()
    n_calls = []

    def raises(module, args, output):
        n_calls.append(1)
        if len(n_calls) == 4:
            raise KeyboardInterrupt

    interrupted[1].register_forward_hook(raises)  # batch statistics have moved
    loop = loop_of(interrupted, **SETTINGS, checkpoint=path)
    with pytest.raises(KeyboardInterrupt):
        loop.run(batches_of(rows()), N_EPOCHS)
    assert loop.step_ == 3
    assert_same_end(resumed(path), whole_run())


def test_a_step_that_failed_half_way_is_not_written(tmp_path):
    path = tmp_path / "run.pt"
    loop = loop_of(model(), **SETTINGS, checkpoint=path)
    steps = []

    def fails(optimizer, args, kwargs):
        steps.append(1)
        if len(steps) == 7:
            raise Stop

    loop._optimizer.register_step_post_hook(fails)
    with pytest.raises(Stop):
        loop.run(batches_of(rows()), N_EPOCHS)
    assert files.read(path)["loop"]["step"] == 5  # the end of the epoch before
    assert_same_end(resumed(path), whole_run())


@pytest.mark.parametrize(("every", "written"), [(None, 5), (2, 6), (3, 6), (4, 4)])
def test_files_are_written_as_often_as_asked(tmp_path, every, written):
    path = tmp_path / "deep" / "run.pt"
    seen = []

    def callback(progress):
        found = files.read(path)
        seen.append(0 if found is None else found["loop"]["step"])

    options = {"checkpoint_every": every, "callbacks": [callback]}
    loop_of(model(), **SETTINGS, checkpoint=path, **options).run(
        batches_of(rows()), N_EPOCHS
    )
    assert seen[6] == written
    assert files.read(path)["loop"]["step"] == 10
    assert [file.name for file in path.parent.iterdir()] == ["run.pt"]


def test_a_finished_run_is_only_loaded(tmp_path):
    path = tmp_path / "run.pt"
    first = whole_run(checkpoint=path)
    again = resumed(path, callbacks=[raises_at(1, Stop)])
    assert_same_end(first, again)


def test_a_finished_run_can_be_made_longer(tmp_path):
    path = tmp_path / "run.pt"
    for n_epochs in (N_EPOCHS, 3):
        loop = loop_of(model(), checkpoint=path, schedule=Constant(0.01))
        loop.run(batches_of(rows()), n_epochs)
    assert len(loop.history_.loss) == 15
    assert loop.history_.epoch_loss()[2] < loop.history_.epoch_loss()[0]


def test_a_seed_of_chance_is_kept_in_the_file(tmp_path):
    path = tmp_path / "run.pt"
    loops = []
    for n_steps in (3, 10):
        trained = model()
        loops.append(loop_of(trained, checkpoint=path, random_state=None))
        loops[-1].run(batches_of(rows()), N_EPOCHS, n_steps=n_steps)
    assert loops[0].state_dict()["key"] == loops[1].state_dict()["key"]


def test_a_failed_writing_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    files.write(path, {"step": 1})

    def fails(state, file):
        file.write(b"half of it")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", fails)
    with pytest.raises(OSError, match="disk full"):
        files.write(path, {"step": 2})
    assert files.read(path) == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["run.pt"]


class Harmful:
    def __reduce__(self):
        return os.putenv, ("HARM", "done")


def foreign_pickle(path):
    torch.save({"format": 1, "loop": Harmful()}, path)


def plain_pickle(path):
    path.write_bytes(pickle.dumps(Harmful(), protocol=2))


def half_file(path):
    whole_run(checkpoint=path)
    path.write_bytes(path.read_bytes()[:300])


def other_content(path):
    torch.save({"weights": torch.ones(3)}, path)


def text(path):
    path.write_text("hi")


@pytest.mark.parametrize(
    "spoil", [foreign_pickle, plain_pickle, half_file, other_content, text]
)
def test_files_that_are_no_checkpoint_are_refused_and_never_run(tmp_path, spoil):
    path = tmp_path / "run.pt"
    spoil(path)
    with pytest.raises(
        ValueError, match=r"'checkpoint' of TrainingLoop must be a file"
    ):
        resumed(path)
    assert os.environ.get("HARM") is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"accumulate": 2}, "another accumulate"),
        ({"random_state": 8}, "another random_state"),
        ({"weighting": "linupper"}, "another weighting"),
        ({"optimizer": torch.optim.SGD}, "another optimizer"),
    ],
    ids=["accumulate", "random_state", "weighting", "optimizer"],
)
def test_a_file_of_another_run_is_refused(tmp_path, options, words):
    path = tmp_path / "run.pt"
    whole_run(checkpoint=path)
    loop = loop_of(model(), **{**SETTINGS, "checkpoint": path, **options})
    with pytest.raises(ValueError, match=words):
        loop.run(batches_of(rows()), N_EPOCHS)


def made(
    trained, *, lr=0.05, optimizer=torch.optim.AdamW, loss=cross_entropy, **options
):
    stepper = optimizer(trained.parameters(), lr=lr)
    return TrainingLoop(trained, loss, stepper, random_state=0, **options)


def doubled(model, batch):
    return 2.0 * cross_entropy(model, batch)


SGD = partial(torch.optim.SGD, momentum=0.9)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({"lr": 1e-5}, {"lr": 0.1}, r"another lr \(lr was '\(1e-05\)', is '\(0.1\)'\)"),
        (
            {"optimizer": SGD},
            {"optimizer": partial(SGD, weight_decay=0.1)},
            "another weight_decay",
        ),
        (
            {"optimizer": SGD},
            {"optimizer": partial(SGD, nesterov=True)},
            "another nesterov",
        ),
        ({}, {"loss": doubled}, r"another loss \(.*cross_entropy.*doubled"),
        ({}, {"schedule": Constant(0.1)}, "another schedule"),
        ({"schedule": rate_of(0.1)}, {"schedule": rate_of(0.2)}, "another schedule"),
        ({}, {"clip_norm": 1.0}, "another clip_norm"),
        ({}, {"precision": "bf16"}, "another precision"),
        ({"weighting": KLTilt(1.0)}, {"weighting": KLTilt(2.0)}, "another weighting"),
    ],
    ids=[
        *("rate", "decay", "nesterov", "loss", "schedule", "closure", "clipping"),
        *("precision", "rule"),
    ],
)
def test_a_file_of_other_settings_is_refused(tmp_path, before, after, words):
    path = tmp_path / "run.pt"
    batches = batches_of(rows())
    made(model(), checkpoint=path, **before).run(batches, 2, n_steps=3)
    trained = model()
    loop = made(trained, checkpoint=path, **before | after)
    with pytest.raises(ValueError, match=f"'checkpoint' of TrainingLoop .*{words}"):
        loop.run(batches, 2)
    assert equal(trained, model())
    again = made(model(), checkpoint=path, **before)
    assert len(again.run(batches, 2).loss) == 10


def as_list(data):
    return list(batches_of(data, shuffle=False))


@pytest.mark.parametrize("make", [batches_of, loader, as_list])
@pytest.mark.parametrize("part", [0, 1], ids=["rows", "targets"])
def test_a_file_of_other_data_of_the_same_shape_is_refused(tmp_path, make, part):
    path = tmp_path / "run.pt"
    loop_of(model(), checkpoint=path).run(make(rows()), 2, n_steps=3)
    data = list(rows())
    data[part] = data[part].flip(0)
    with pytest.raises(ValueError, match=r"another data"):
        loop_of(model(), checkpoint=path).run(make(data), 2)


@pytest.mark.parametrize("name", ["sample_weight", "groups"])
def test_a_file_of_other_weights_or_groups_is_refused(tmp_path, name):
    path = tmp_path / "run.pt"
    for number in (1, 2):
        values = np.full(40, 1)
        values[7] = number
        loop = loop_of(model(), checkpoint=path)
        batches = batches_of(rows(), **{name: values})
        if number == 1:
            loop.run(batches, 2, n_steps=3)
    with pytest.raises(ValueError, match=rf"another {name} "):
        loop.run(batches, 2)


def test_a_file_of_an_optimizer_that_a_schedule_has_moved_is_taken_up(tmp_path):
    path = tmp_path / "run.pt"
    trained = model()
    optimizer = SGD(trained.parameters(), lr=0.05)
    for n_steps in (3, 10):
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.5)
        options = {"checkpoint": path, "schedule": schedule, "random_state": 0}
        loop = TrainingLoop(trained, cross_entropy, optimizer, **options)
        loop.run(batches_of(rows()), 2, n_steps=n_steps)
    assert loop.step_ == 10


def test_a_file_of_other_batches_is_refused(tmp_path):
    path = tmp_path / "run.pt"
    whole_run(checkpoint=path)
    with pytest.raises(ValueError, match="another number of batches, batch_size"):
        loop_of(model(), **SETTINGS, checkpoint=path).run(batches_of(rows(), 10), 2)


def test_a_state_of_another_model_is_refused_before_it_is_loaded(tmp_path):
    path = tmp_path / "run.pt"
    whole_run(checkpoint=path)
    other, before = net(), net()
    with pytest.raises(ValueError, match="a model like this one"):
        loop_of(other, **SETTINGS, checkpoint=path).run(batches_of(rows()), 2)
    assert equal(other, before)


@pytest.mark.parametrize("state", [None, {"step": 1}], ids=str)
def test_states_of_no_loop_are_refused(state):
    with pytest.raises(ValueError, match="'state' of TrainingLoop must be whole"):
        loop_of(model()).load_state_dict(state)


def test_a_damaged_part_of_a_file_is_refused(tmp_path):
    path = tmp_path / "loop.pt"
    whole_run(checkpoint=path)
    with ZipFile(path) as archive:
        part = max(archive.infolist(), key=lambda one: one.file_size)
        numbers = archive.read(part)
    written = bytearray(path.read_bytes())
    written[written.index(numbers) + len(numbers) // 2] ^= 1
    path.write_bytes(written)
    with pytest.raises(ValueError, match=r"cannot be read: its part .* is damaged"):
        resumed(path)


def test_a_file_without_sums_is_read(tmp_path):
    path = tmp_path / "loop.pt"
    torch.serialization.set_crc32_options(False)
    try:
        first = whole_run(checkpoint=path)
        assert_same_end(resumed(path), first)
    finally:
        torch.serialization.set_crc32_options(True)


def without(state, place):
    """Return a copy of a state in which one place is not there."""
    key, _, rest = place.partition(".")
    if isinstance(state, list):
        return [without(part, rest) for part in state]
    if not rest:
        return {name: part for name, part in state.items() if name != key}
    return {**state, key: without(state[key], rest)}


PLACES = [
    *("key", "epoch", "kind", "scaler", "history", "optimizer"),
    *("history.loss", "optimizer.state", "optimizer.param_groups"),
    *("optimizer.param_groups.0.lr", "optimizer.param_groups.0.params"),
]
BROKEN = [
    *((name, {}) for name in ("key", "epoch", "history", "optimizer")),
    *(("key", [1]), ("step", -1), ("batch", "1"), ("model", None)),
    *(("optimizer", {"state": {0: None}, "param_groups": []}), ("optimizer", [])),
]


def same(one, other):
    """Say whether two nested states hold the same."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def assert_refused_and_unchanged(loop, trained, state, message):
    before = [copy.deepcopy(part) for part in (trained.state_dict(), loop.state_dict())]
    with pytest.raises(ValueError, match=message):
        loop.load_state_dict(state)
    for known, now in zip(
        before, (trained.state_dict(), loop.state_dict()), strict=True
    ):
        assert same(now, known)


@pytest.mark.parametrize("place", PLACES)
def test_a_state_without_a_part_is_refused_before_it_is_loaded(place):
    _, loop = whole_run()
    trained = model()
    other = loop_of(trained, **SETTINGS)
    state = without(loop.state_dict(), place)
    assert_refused_and_unchanged(other, trained, state, rf"fits for \['{place}")


@pytest.mark.parametrize(("part", "value"), BROKEN, ids=range(len(BROKEN)))
def test_a_state_with_a_part_of_another_kind_is_refused_before_it_is_loaded(
    part, value
):
    trained, loop = whole_run()
    state = {**loop.state_dict(), part: value}
    assert_refused_and_unchanged(loop, trained, state, rf"fits for \['{part}")


def test_columns_of_unequal_length_are_refused():
    trained, loop = whole_run()
    state = loop.state_dict()
    state["history"] = {**state["history"], "lr": state["history"]["lr"][:-1]}
    assert_refused_and_unchanged(loop, trained, state, r"fits for \['history.lr'\]")


def test_a_state_of_another_optimizer_is_refused():
    state = loop_of(model(), optimizer=torch.optim.SGD).state_dict()
    with pytest.raises(ValueError, match=r"must be that of a AdamW. Got one of a SGD"):
        loop_of(model(), optimizer=torch.optim.AdamW).load_state_dict(state)


class Odd(torch.nn.Linear):
    def get_extra_state(self):
        return {"names": {"a", "b"}}


def test_a_state_that_is_not_plain_is_refused(tmp_path):
    path = tmp_path / "run.pt"
    loop = loop_of(torch.nn.Sequential(Odd(5, 2)), checkpoint=path)
    with pytest.raises(TypeError, match=r"Got set at .*_extra_state.*'names'"):
        loop.run(batches_of(rows()))
    assert not path.exists()


@pytest.mark.parametrize("kind", ["below a file", "folder"])
def test_a_file_that_cannot_be_written_is_refused_before_the_first_step(tmp_path, kind):
    path = tmp_path
    if kind == "below a file":
        path = tmp_path / "file" / "run.pt"
        path.parent.touch()
    model = net()
    loop = loop_of(model, checkpoint=path)
    with pytest.raises(
        OSError, match="'checkpoint' of TrainingLoop must be a file that"
    ):
        loop.run(batches_of(rows()), 2)
    assert loop.step_ == 0
    assert equal(model, net())


def test_a_file_of_another_type_of_numbers_is_refused(tmp_path):
    def loss(model, batch):
        X, y = batch
        return cross_entropy(model, (X.to(next(model.parameters()).dtype), y))

    def run(dtype):
        model = net(dtype=dtype)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        path = tmp_path / "run.pt"
        loop = TrainingLoop(model, loss, optimizer, checkpoint=path, random_state=0)
        loop.run(batches_of(rows()))

    run(torch.float32)
    with pytest.raises(
        ValueError, match=r"another dtype \(dtype was \['torch.float32'\]"
    ):
        run(torch.float64)


def test_a_state_that_was_loaded_goes_before_the_file(tmp_path):
    path = tmp_path / "run.pt"
    whole_run(checkpoint=path)
    early = loop_of(model(), **SETTINGS)
    early.run(batches_of(rows()), N_EPOCHS, n_steps=3)
    loop = loop_of(model(), **SETTINGS, checkpoint=path)
    loop.load_state_dict(early.state_dict())
    loop.run(batches_of(rows()), N_EPOCHS, n_steps=4)
    assert files.read(path)["loop"]["step"] == 4


def test_states_go_from_loop_to_loop_in_memory():
    trained, second = model(), model()
    loop = loop_of(trained, **SETTINGS)
    loop.run(batches_of(rows()), N_EPOCHS, n_steps=3)
    other = loop_of(second, **SETTINGS)
    other.load_state_dict(loop.state_dict())
    other.run(batches_of(rows()), N_EPOCHS)
    assert_same_end((second, other), whole_run())
