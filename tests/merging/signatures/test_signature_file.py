"""Files of weight signatures that somebody else wrote, or changed."""

from __future__ import annotations

import io
import json
import tracemalloc
import zipfile

import numpy as np
import pytest

from statlearn.merging import WeightSignature

HEAD = {
    "format": "statlearn weight signature 1",
    "names": ["w"],
    "codes": [
        {
            "shape": [2, 3],
            "n_bits": 2,
            "low": -1.0,
            "high": 2.0,
            "levels": 4,
            "method": "linear",
            "bounds": [-1.0, 2.0],
        }
    ],
}
PACKED = np.packbits([0, 0, 0, 1, 1, 0, 1, 1, 0, 0, 0, 1])  # 0, 1, 2, 3, 0, 1


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def forge(path, head, members, compression=zipfile.ZIP_STORED):
    """Write a file with any header and members, given as arrays or as bytes."""
    text = np.frombuffer(json.dumps(head).encode(), np.uint8)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("head.npy", npy(text))
        for name, content in members.items():
            bare = isinstance(content, bytes)
            archive.writestr(name, content if bare else npy(content))
    return path


def with_codes(**changes):
    return HEAD | {"codes": [HEAD["codes"][0] | changes]}


def refused(path, reason):
    """Check that a file is refused at once, and without much memory."""
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"Got 'x\.npz', which is none") as error:
            WeightSignature.load(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert reason in str(error.value)
    assert "; save it again" in str(error.value)
    assert peak < 2**20


def test_codes_are_read_as_the_format_says(tmp_path):
    forge(tmp_path / "x.npz", HEAD, {"array0.npy": PACKED})
    found = WeightSignature.load(tmp_path / "x.npz")
    expected = [[-1.0, 0.0, 1.0], [2.0, -1.0, 0.0]]
    np.testing.assert_allclose(found["w"], expected, atol=1e-15)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"shape": [20000, 2000]}, "bytes for codes of shape (20000, 2000)"),
        ({"shape": [10**12, 10**12]}, "bytes for codes of shape"),
        ({"shape": [2, 1]}, "bytes for codes of shape (2, 1)"),
        ({"shape": [0, 10**30]}, "bytes for codes of shape"),
        ({"shape": [-2, -3]}, "in the shape (-2, -3)"),
        ({"shape": [2.0, 3]}, "in the shape (2.0, 3)"),
        ({"shape": ["2", 3]}, "in the shape ('2', 3)"),
        ({"shape": 6}, "TypeError"),
        ({"n_bits": 0}, "codes of 0 bits"),
        ({"n_bits": 17}, "codes of 17 bits"),
        ({"n_bits": 10**9}, "codes of 1000000000 bits"),
        ({"n_bits": True}, "codes of True bits"),
        ({"n_bits": 1}, "bytes for codes"),
        ({"levels": 3}, "codes above those of 3 levels"),
        ({"levels": 10**9}, "'levels' of quantize"),
        ({"method": "cubic"}, "'method' of quantize"),
        ({"low": float("nan")}, "numbers between"),
        ({"high": float("inf")}, "numbers between"),
        ({"low": 3.0}, "numbers between"),
        ({"bounds": [0.0, float("inf")]}, "numbers between"),
        ({"bounds": [2.0, -1.0]}, "numbers between"),
        ({"bounds": [2.0]}, "ValueError"),
        ({"method": "tanh"}, "numbers between"),
        ({"low": None}, "TypeError"),
    ],
    ids=lambda value: None if isinstance(value, str) else str(value)[:40],
)
def test_header_that_does_not_fit_its_codes_is_refused(changes, reason, tmp_path):
    path = forge(tmp_path / "x.npz", with_codes(**changes), {"array0.npy": PACKED})
    refused(path, reason)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros(2, complex), "numbers of type complex128"),
        (np.array(["a", "b"]), "numbers of type <U1"),
        (np.zeros(2, np.float32), "numbers of type float32"),
        (np.zeros(2, int), "numbers of type int64"),
        (np.zeros(2, [("a", float)]), "numbers of type"),
    ],
    ids=["complex", "words", "float32", "integers", "records"],
)
def test_arrays_of_other_types_are_refused(array, reason, tmp_path):
    head = HEAD | {"codes": [None]}
    refused(forge(tmp_path / "x.npz", head, {"array0.npy": array}), reason)


def test_codes_that_are_no_bytes_are_refused(tmp_path):
    path = forge(tmp_path / "x.npz", HEAD, {"array0.npy": PACKED.astype(float)})
    refused(path, "numbers of type float64")


@pytest.mark.parametrize("shape", [(2**40,), (3,), (), (2**62, 8)], ids=str)
def test_array_that_says_another_shape_than_it_has_is_refused(shape, tmp_path):
    whole = npy(np.zeros(2))
    header = repr({"descr": "<f8", "fortran_order": False, "shape": shape})
    start = whole[:8] + (118).to_bytes(2, "little") + header.ljust(117).encode() + b"\n"
    head = HEAD | {"codes": [None]}
    path = forge(tmp_path / "x.npz", head, {"array0.npy": start + bytes(16)})
    refused(path, "16 bytes for an array of shape")


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_compressed_members_are_refused_unread(compression, tmp_path):
    head = HEAD | {"codes": [None]}
    bomb = {"array0.npy": np.zeros(2**22)}
    path = forge(tmp_path / "x.npz", head, bomb, compression)
    assert path.stat().st_size < 2**17
    refused(path, "members that are compressed")


def test_plain_arrays_beside_codes_are_refused(tmp_path):
    head = HEAD | {"names": ["w", "v"], "codes": [HEAD["codes"][0], None]}
    members = {"array0.npy": PACKED, "array1.npy": np.zeros(2)}
    refused(forge(tmp_path / "x.npz", head, members), "plain numbers for others")


@pytest.mark.parametrize(
    "names", [["w", "w"], ["w", 1], ["w"], ["w", "v", "u"], 3], ids=str
)
def test_names_that_do_not_name_the_arrays_are_refused(names, tmp_path):
    head = HEAD | {"names": names, "codes": [None, None]}
    members = {"array0.npy": np.zeros(2), "array1.npy": np.ones(2)}
    reason = "TypeError" if names == 3 else "names that are no words"
    refused(forge(tmp_path / "x.npz", head, members), reason)


@pytest.mark.parametrize("name", ["array1.npy", "code.py"])
def test_further_members_are_refused(name, tmp_path):
    head = HEAD | {"codes": [None]}
    members = {"array0.npy": np.zeros(2), name: np.zeros(2)}
    refused(forge(tmp_path / "x.npz", head, members), "members other than those of 1")


def test_absent_member_is_refused(tmp_path):
    refused(forge(tmp_path / "x.npz", HEAD, {}), "members other than those of 1")


def test_numbers_that_are_not_finite_are_refused(tmp_path):
    head = HEAD | {"codes": [None]}
    members = {"array0.npy": np.array([np.nan])}
    forge(tmp_path / "x.npz", head, members)
    with pytest.raises(ValueError, match="'w' must hold finite numbers"):
        WeightSignature.load(tmp_path / "x.npz")


def test_file_cut_short_is_refused_and_closed(tmp_path):
    path = forge(tmp_path / "x.npz", HEAD, {"array0.npy": PACKED})
    path.write_bytes(path.read_bytes()[:-30])
    refused(path, "BadZipFile")  # and a file left open would be a warning


@pytest.mark.parametrize("method", ["linear", "log", "tanh"])
def test_extreme_numbers_survive_their_file(method, tmp_path):
    largest = np.finfo(float).max
    signature = WeightSignature(
        {"w": [-largest, 0.0, 1e-300, largest], "v": [], "u": 2}
    )
    signature = signature.quantize(16, method)
    signature.save(tmp_path / "x.npz")
    assert WeightSignature.load(tmp_path / "x.npz") == signature
