from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy
from sklearn.linear_model import Ridge

from statlearn.merging import (
    MERGE_METHODS,
    get_weights,
    merge_files,
    merge_weights,
    open_weights,
    save_weights,
    set_weights,
)
from statlearn.merging._state._merge_states import blockwise, merge_states

SHAPES = {"b.w": (6, 5), "a.w": (4, 3, 3, 3), "c.bias": (7,), "a.bias": (), "d.w": (9,)}


def models(n_models=2, dtype=np.float32, seed=0):
    """State dicts with numbers of one type, a counter and a running mean."""
    rng = np.random.default_rng(seed)

    def one(scale):
        state = {n: rng.normal(scale=scale, size=s) for n, s in SHAPES.items()}
        return {n: np.asarray(a, dtype) for n, a in state.items()} | {
            "n.running_mean": rng.normal(size=3).astype(dtype),
            "n.count": np.array(rng.integers(9)),
        }

    base = one(1.0)
    tuned = [one(0.1) for _ in range(n_models)]
    for state in tuned:
        for name in SHAPES:
            state[name] = np.asarray(state[name] + base[name])
    return base, tuned


@pytest.fixture
def stored(tmp_path):
    """A base and two models, as state dicts and as files."""
    base, tuned = models()
    save_weights(tmp_path / "base.safetensors", base)
    safetensors.numpy.save_file(tuned[0], tmp_path / "first.safetensors")
    save_weights(tmp_path / "second", tuned[1], max_shard_size=300)
    paths = [tmp_path / "base.safetensors", tmp_path / "first.safetensors"]
    return (base, *tuned), (*paths, tmp_path / "second")


def fingerprint(folder):
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def assert_equal(found, expected):
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array, strict=True)


# --- reading and writing -----------------------------------------------------


def test_stored_weights_are_a_mapping_that_reads_on_demand(tmp_path, monkeypatch):
    base, _ = models()
    save_weights(tmp_path / "m", base, max_shard_size=300)
    state = open_weights(tmp_path / "m")
    assert repr(state) == "StoredWeights(7 arrays in 3 files)"
    assert list(state) == list(base)
    assert_equal(state, base)
    assert_equal(pickle.loads(pickle.dumps(state)), base)
    with monkeypatch.context() as patch:
        patch.setattr(np, "fromfile", None)  # from here on nothing can be read
        assert "a.w" in state
        assert "z" not in state
        assert len(state) == len(base)
        assert state.layout()["a.w"] == ((4, 3, 3, 3), "f")
        assert state.layout()["n.count"] == ((), "i")
        assert state.contents()["a.w"] == ("F32", (4, 3, 3, 3))
    with pytest.raises(KeyError):
        state["z"]


def test_arrays_that_were_read_do_not_change_the_file(tmp_path):
    save_weights(tmp_path / "x.safetensors", {"a": np.zeros(3)})
    state = open_weights(tmp_path / "x.safetensors")
    state["a"][:] = 1.0
    np.testing.assert_array_equal(state["a"], 0.0)


def test_tensors_are_written_in_their_types(torch, torch_files, tmp_path):
    state = {
        "half": torch.linspace(0, 1, 5).bfloat16(),
        "turned": torch.arange(6.0).reshape(2, 3).T,
        "grad": torch.ones(2, requires_grad=True),
        "count": torch.tensor(3),
        "truth": torch.tensor([True, False]),
    }
    save_weights(tmp_path / "x.safetensors", state)
    found = torch_files.load_file(tmp_path / "x.safetensors")
    assert found.keys() == state.keys()
    for name, tensor in state.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def test_stored_weights_are_copied_in_their_types(torch, torch_files, tmp_path):
    state = {"a": torch.linspace(0, 1, 5).bfloat16(), "b": torch.ones(3).half()}
    torch_files.save_file(state, tmp_path / "x.safetensors")
    copy = tmp_path / "copy"
    save_weights(copy, open_weights(tmp_path / "x.safetensors"), max_shard_size=8)
    found = open_weights(copy)
    assert found.contents() == {"a": ("BF16", (5,)), "b": ("F16", (3,))}
    np.testing.assert_array_equal(found["a"], state["a"].float().numpy())


def test_lists_and_numbers_are_arrays_too(tmp_path):
    save_weights(tmp_path / "x.safetensors", {"a": [1.0, 2.0], "b": 3.0})
    assert_equal(
        open_weights(tmp_path / "x.safetensors"),
        {"a": np.array([1.0, 2.0]), "b": np.array(3.0)},
    )


@pytest.mark.parametrize("name", ["__metadata__", 3, None, b"w"])
def test_names_that_a_file_cannot_have_are_refused(name, tmp_path):
    with pytest.raises(ValueError, match=f"Got {name!r}; rename the array"):
        save_weights(tmp_path / "x.safetensors", {name: np.zeros(1)})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["absent", "absent.safetensors", "."])
def test_absent_files_are_told(place, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"open_weights needs a \.safetensors"):
        open_weights(tmp_path / place)


def test_nothing_in_a_file_is_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return exec, ("raise SystemExit('the file was run')",)

    for content in (pickle.dumps(Trap()), b"\x08" + b"\0" * 7 + b"Trap()  "):
        (tmp_path / "trap.safetensors").write_bytes(content)
        with pytest.raises(ValueError, match=r"Got 'trap.safetensors', which is no"):
            open_weights(tmp_path / "trap.safetensors")


def test_pickles_of_torch_are_not_read(torch, tmp_path):
    torch.save({"a": torch.ones(1)}, tmp_path / "trap.safetensors")
    with pytest.raises(ValueError, match=r"Got 'trap.safetensors', which is no"):
        open_weights(tmp_path)


# --- merging files -----------------------------------------------------------

BY_ARRAY = [n for n, row in MERGE_METHODS.items() if row.by_array]


@pytest.mark.parametrize("method", BY_ARRAY)
def test_merged_files_are_the_merged_weights_to_the_bit(method, stored, tmp_path):
    (base, *tuned), (base_path, *paths) = stored
    expected = merge_weights(base, tuned, method, random_state=3)
    target = tmp_path / "merged.safetensors"
    merge_files(base_path, paths, target, method, random_state=3)
    assert_equal(open_weights(target), expected)
    assert_equal(safetensors.numpy.load_file(target), expected)


OPTIONS = {
    "include": {"include": ["*.w", "c*"]},
    "exclude": {"exclude": "a.*"},
    "rule": {"overrides": {"a.*": {"method": "average"}}},
    "seed": {"overrides": {"*.w": {"random_state": 7, "density": 0.8}}},
    "one stream": {"overrides": {"[bd].*": {"density": 0.7}, "a.*": {"scale": 0.5}}},
    "weights": {"weights": [0.2, 2.0], "scale": -1.5},
}


@pytest.mark.parametrize("method", ["ties", "dare", "della", "task-arithmetic"])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_options_act_as_in_memory(method, options, stored, tmp_path):
    (base, *tuned), (base_path, *paths) = stored
    if method in {"dare", "task-arithmetic"}:  # which have no density
        text = {k: v for k, v in options.items() if k == "overrides"}
        if any("density" in change for c in text.values() for change in c.values()):
            pytest.skip("the rule has no density")
    settings = {"random_state": np.random.default_rng(1), **options}
    expected = merge_weights(base, tuned, method, **settings)
    settings["random_state"] = np.random.default_rng(1)
    merge_files(base_path, paths, tmp_path / "m.safetensors", method, **settings)
    assert_equal(open_weights(tmp_path / "m.safetensors"), expected)


def test_names_left_out_may_differ_between_files(stored, tmp_path):
    (base, first, second), _ = stored
    first["head"], base["head"] = np.ones((3, 4)), np.ones((3, 2))
    merge_files(base, [first, second], tmp_path / "m", "average", exclude="head")
    merged = open_weights(tmp_path / "m")
    np.testing.assert_array_equal(merged["head"], base["head"])
    expected = merge_weights(base, [first, second], "average", exclude="head")
    for name in expected:
        np.testing.assert_array_equal(merged[name], expected[name])


def test_own_rule_acts_as_in_memory(stored, tmp_path):
    def middle(base, models, *, share=0.5):
        kernel = blockwise(lambda start, updates: start + share * updates.max(axis=0))
        return merge_states(base, models, kernel, rule="middle")

    (base, *tuned), (base_path, *paths) = stored
    expected = merge_weights(base, tuned, middle, share=0.25)
    target = tmp_path / "merged"
    merge_files(base_path, paths, target, middle, share=0.25, max_shard_size=200)
    assert_equal(open_weights(target), expected)
    assert len(open_weights(target).files) > 1


@pytest.mark.parametrize("method", ["ties", "dare", "pcb", "consensus", "fisher"])
def test_stored_weights_are_models_for_rules_in_memory(method, stored):
    (base, *tuned), paths = stored
    options = {"convention": "authors"} if method == "ties" else {"random_state": 0}
    if method == "fisher":
        options = {"fishers": [{n: np.ones(s) for n, s in SHAPES.items()}] * 2}
    start, *states = map(open_weights, paths)
    assert_equal(
        merge_weights(start, states, method, **options),
        merge_weights(base, tuned, method, **options),
    )


@pytest.mark.parametrize("method", ["average", "ties", "pcb"])
def test_arrays_read_into_the_same_memory_are_not_one(method, tmp_path):
    rng = np.random.default_rng(0)
    state = {f"{i:02}": rng.normal(size=(8, 8)) for i in range(20)}
    moved = {name: array + rng.normal(size=(8, 8)) for name, array in state.items()}
    save_weights(tmp_path / "base.safetensors", state)
    save_weights(tmp_path / "moved.safetensors", moved)
    options = {"convention": "authors"} if method == "ties" else {}
    start = open_weights(tmp_path / "base.safetensors")
    end = open_weights(tmp_path / "moved.safetensors")
    assert_equal(
        merge_weights(start, [end], method, **options),
        merge_weights(state, [moved], method, **options),
    )


def test_types_in_the_files_are_those_of_the_base(torch, torch_files, tmp_path):
    half = {"a": torch.linspace(0, 1, 40).bfloat16(), "b": torch.ones(3).half()}
    full = {name: tensor.double() + 0.3 for name, tensor in half.items()}
    torch_files.save_file(half, tmp_path / "half.safetensors")
    torch_files.save_file(full, tmp_path / "full.safetensors")
    for number, base in enumerate([tmp_path / "half.safetensors", half]):
        target = tmp_path / f"{number}.safetensors"
        merge_files(base, [tmp_path / "full.safetensors"], target, "average")
        found = torch_files.load_file(target)
        expected = merge_weights(half, [full], "average")
        for name, tensor in expected.items():
            assert found[name].dtype == tensor.dtype
            assert torch.equal(found[name], tensor)


def test_state_dicts_and_files_may_be_mixed(stored, tmp_path):
    (base, first, second), (_, path, _) = stored
    merge_files(base, [str(path), second], tmp_path / "m.safetensors", "average")
    expected = merge_weights(base, [first, second], "average")
    assert_equal(open_weights(tmp_path / "m.safetensors"), expected)


def test_files_that_are_merged_do_not_change(stored, tmp_path):
    _, (base_path, *paths) = stored
    before = fingerprint(tmp_path)
    merge_files(base_path, paths, tmp_path / "m.safetensors", "dare", random_state=0)
    after = fingerprint(tmp_path)
    assert {name: after[name] for name in before} == before
    assert len(after) == len(before) + 1


# --- refusals ----------------------------------------------------------------


def refused(paths, target, error, match, method="average", **options):
    """Assert that a merge is refused and leaves everything as it was."""
    folder = target.parent
    before = fingerprint(folder)
    with pytest.raises(error, match=match):
        merge_files(paths[0], list(paths[1:]), target, method, **options)
    assert fingerprint(folder) == before


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("pcb", {}),
        ("ties", {"convention": "authors"}),
        ("average", {"overrides": {"a.*": {"method": "pcb"}}}),
    ],
    ids=["rule", "convention", "override"],
)
def test_rules_on_all_arrays_together_are_refused(method, options, stored, tmp_path):
    match = "needs a rule that merges each array alone"
    target = tmp_path / "m.safetensors"
    refused(stored[1], target, ValueError, match, method, **options)


@pytest.mark.parametrize("which", [0, 1])
def test_destination_that_is_an_input_is_refused(which, stored, tmp_path):
    paths = stored[1]
    refused(paths, paths[which], ValueError, "for input and output; choose another")
    (tmp_path / "link.safetensors").symlink_to(paths[which])
    refused(paths, tmp_path / "link.safetensors", ValueError, "for input and output")


def test_destination_that_is_an_input_folder_is_refused(stored):
    paths = stored[1]
    refused(paths, paths[2], FileExistsError, "to a new folder")
    shard = sorted(paths[2].glob("*.safetensors"))[0]
    refused(paths, shard, ValueError, "for input and output")


def test_weights_are_not_written_over_their_own_file(stored):
    path = stored[1][0]
    with pytest.raises(ValueError, match="while its arrays are in use"):
        save_weights(path, open_weights(path))


@pytest.mark.parametrize("target", ["m.safetensors", "folder"])
def test_rule_that_fails_leaves_nothing_behind(target, stored, tmp_path):
    done = []

    def fails(base, models):
        if len(done) == 3:
            raise RuntimeError("in the middle")
        done.extend(base)
        return dict(base)

    refused(stored[1], tmp_path / target, RuntimeError, "in the middle", fails)
    assert len(done) == 3


@pytest.mark.parametrize(
    "change",
    [lambda a: a[..., None], lambda a: a.astype(complex), lambda a: a.reshape(-1)[:0]],
    ids=["axes", "complex", "nothing"],
)
def test_rule_that_returns_other_arrays_is_refused(change, stored, tmp_path):
    def other(base, models):
        return {name: change(array) for name, array in base.items()}

    match = "a merge rule returns arrays of the base's shapes and kinds"
    refused(stored[1], tmp_path / "m.safetensors", ValueError, match, other)


def test_number_that_is_not_finite_leaves_nothing_behind(stored, tmp_path):
    (base, *_), paths = stored
    spoilt = {**base, "d.w": np.full(9, np.nan, np.float32)}
    save_weights(tmp_path / "spoilt.safetensors", spoilt)
    paths = (*paths, tmp_path / "spoilt.safetensors")
    match = "array 'd.w' must hold finite numbers"
    refused(paths, tmp_path / "m.safetensors", ValueError, match)


def test_models_of_another_layout_are_refused(stored, tmp_path):
    (base, *_), paths = stored
    save_weights(tmp_path / "other.safetensors", {**base, "d.w": np.zeros(3)})
    paths = (*paths, tmp_path / "other.safetensors")
    match = r"Got \(3,\) for 'd.w' in model 2"
    refused(paths, tmp_path / "m.safetensors", ValueError, match)


def test_models_that_are_no_list_are_refused(stored, tmp_path):
    (base, *_), (path, *_) = stored
    for one in (str(path), path, base, {path}):
        with pytest.raises(TypeError, match="must be a list of paths or state dicts"):
            merge_files(path, one, tmp_path / "m.safetensors")
    with pytest.raises(TypeError, match=r"Got int; pass get_weights"):
        merge_files(path, [3], tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match="at least 1 model"):
        merge_files(path, [], tmp_path / "m.safetensors")


def test_models_are_written_by_their_weights(torch, tmp_path):
    ridge, module = Ridge().fit([[0.0], [1.0]], [0.0, 3.0]), torch.nn.Linear(2, 3)
    for model in (ridge, module):
        save_weights(tmp_path / "x.safetensors", model)
        again = set_weights(model, open_weights(tmp_path / "x.safetensors"))
        for name, value in get_weights(model).items():
            assert (np.asarray(get_weights(again)[name]) == np.asarray(value)).all()
    with pytest.raises(TypeError, match=r"Weights are read .* Got list; pass a dict"):
        save_weights(tmp_path / "x.safetensors", [np.zeros(2)])


@pytest.mark.parametrize("method", ["average", "karcher"])
def test_rules_without_a_base_merge_files_without_one(method, stored, tmp_path):
    (_, *tuned), (_, *paths) = stored
    merge_files(None, paths, tmp_path / "m.safetensors", method)
    expected = merge_weights(None, tuned, method)
    assert_equal(open_weights(tmp_path / "m.safetensors"), expected)


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("ties", {}, r"Got the rule 'ties' and base=None; pass the base"),
        ("average", {"scale": 0.5}, r"Got scale=0.5 and base=None; pass the base"),
    ],
    ids=["rule", "scale"],
)
def test_what_needs_a_base_is_refused_without_one(
    method, options, message, stored, tmp_path
):
    _, (_, *paths) = stored
    with pytest.raises(ValueError, match=message):
        merge_files(None, paths, tmp_path / "m.safetensors", method, **options)
    with pytest.raises(ValueError, match="at least 1 model"):
        merge_files(None, [], tmp_path / "m.safetensors", "average")
    assert not (tmp_path / "m.safetensors").exists()


def test_unknown_rule_is_refused_before_files_are_read(tmp_path):
    with pytest.raises(ValueError, match=r"did you mean 'ties'"):
        merge_files("absent", ["absent"], tmp_path / "m.safetensors", "tiess")


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "foo"},
        {"method": 3},
        {"include": "zzz"},
        {"include": [3]},
        {"exclude": "zzz"},
        {"overrides": {"zzz": {}}},
        {"overrides": {"*": {"method": "foo"}}},
        {"overrides": {"*": "ties"}},
        {"scale": "x"},
        {"lam": 0.5, "scale": 0.5},
        {"max_shard_size": 5},
        {"max_shard_size": "much"},
    ],
    ids=str,
)
def test_messages_name_the_function_that_was_called(settings, stored, tmp_path):
    _, (base, *paths) = stored
    target = tmp_path / "merged.safetensors"
    with pytest.raises((TypeError, ValueError), match=r"^[\w' ]* of merge_files must "):
        merge_files(base, paths, target, **{"method": "ties", **settings})
    assert not target.exists()


# --- memory ------------------------------------------------------------------

MERGE_IN_LITTLE_MEMORY = """
import resource, sys
from statlearn.merging import merge_files

folder, method = sys.argv[1:]
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
limit = used + 64 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
models = [f"{folder}/{number}.safetensors" for number in (1, 2, 3)]
merge_files(f"{folder}/0.safetensors", models, f"{folder}/merged", method,
            max_shard_size=2**24)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is one of Linux")
def test_files_four_times_the_memory_are_merged(tmp_path):
    method = "task-arithmetic"
    shape = (64, 512, 512)  # 64 arrays of a mebibyte in each of four files
    numbers = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    for number in range(4):
        state = {f"layer{i}.w": array + number for i, array in enumerate(numbers)}
        save_weights(tmp_path / f"{number}.safetensors", state)
    program = [sys.executable, "-c", MERGE_IN_LITTLE_MEMORY, str(tmp_path), method]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    merged = open_weights(tmp_path / "merged")
    assert len(merged) == 64
    assert len(merged.files) == 4
    parts = [open_weights(tmp_path / f"{n}.safetensors") for n in range(4)]
    base, *tuned = ({"w": part["layer9.w"]} for part in parts)
    expected = merge_weights(base, tuned, method)["w"]
    np.testing.assert_array_equal(merged["layer9.w"], expected)
