from __future__ import annotations

import io
import json
import struct

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from statlearn.merging._files._safetensors import (
    DTYPES,
    dtype_name,
    read_header,
    write_file,
)

CODES = ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?"]


def write(path, arrays, dtypes=None):
    contents = {
        name: ((dtypes or {}).get(name) or dtype_name(array), array.shape)
        for name, array in arrays.items()
    }
    with path.open("wb") as file:
        write_file(file, contents, arrays.__getitem__)


def read(path):
    return {name: entry.read() for name, entry in read_header(path).items()}


def write_by_hand(path, header, numbers=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    length = len(text) if length is None else length
    path.write_bytes(struct.pack("<Q", length) + text + numbers)


def described(dtype="F32", shape=(2,), places=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(places)}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(found[name], array)
        assert found[name].shape == array.shape


def arrays_of(code):
    """Numbers of one type in all sorts of shapes and memory."""
    rng = np.random.default_rng(0)
    matrix = rng.integers(0, 2 if code == "?" else 100, (3, 5)).astype(code)
    return {
        "matrix": matrix,
        "number": np.array(matrix[0, 0]),
        "one": matrix[:1, 0],
        "empty": matrix[:0],
        "no columns": np.zeros((2, 0, 3), code),
        "turned": matrix.T,
        "backwards": matrix[::-1, ::2],
        "repeated": np.broadcast_to(matrix[0], (4, 5)),
    }


# --- the package safetensors as a witness ------------------------------------


@pytest.mark.parametrize("code", CODES)
def test_what_we_write_the_package_reads(code, tmp_path):
    arrays = arrays_of(code)
    write(tmp_path / "x.safetensors", arrays)
    assert_same(safetensors.numpy.load_file(tmp_path / "x.safetensors"), arrays)


@pytest.mark.parametrize("code", CODES)
def test_what_the_package_writes_we_read(code, tmp_path):
    arrays = {name: array.copy(order="C") for name, array in arrays_of(code).items()}
    path = tmp_path / "x.safetensors"
    safetensors.numpy.save_file(arrays, path, metadata={"made": "elsewhere"})
    assert_same(read(path), arrays)


@pytest.mark.parametrize("code", [">f8", ">f4", ">f2", ">i8", ">i2", ">u4"])
def test_big_endian_arrays_are_written_little_endian(code, tmp_path):
    array = np.arange(6).reshape(2, 3).astype(code)
    write(tmp_path / "x.safetensors", {"a": array})
    found = safetensors.numpy.load_file(tmp_path / "x.safetensors")["a"]
    np.testing.assert_array_equal(found, array)


SPECIAL = [0.0, -0.0, 1.0, 1 + 2**-8, 1 + 3 * 2**-8, 3.4e38, -3.4e38, 1e-40, np.inf]


def test_bfloat16_is_rounded_as_torch_does(torch, torch_files, tmp_path):
    rng = np.random.default_rng(0)
    values = np.append(rng.standard_normal(5000), SPECIAL).astype(np.float32)
    path = tmp_path / "x.safetensors"
    write(path, {"a": values}, {"a": "BF16"})
    expected = torch.from_numpy(values).bfloat16()
    assert torch.equal(torch_files.load_file(path)["a"], expected)
    np.testing.assert_array_equal(read(path)["a"], expected.float().numpy())


@pytest.mark.parametrize("bits", [0x7FFFFFFF, 0xFFFFFFFF, 0x7F800001, 0x7FC00000])
def test_every_nan_stays_one_in_bfloat16(bits, tmp_path):
    values = np.array([bits], np.uint32).view(np.float32)
    write(tmp_path / "x.safetensors", {"a": values}, {"a": "BF16"})
    assert np.isnan(read(tmp_path / "x.safetensors")["a"]).all()


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 0)])
def test_bfloat16_of_torch_comes_as_float32(shape, torch, torch_files, tmp_path):
    tensor = torch.linspace(-2, 7, int(np.prod(shape))).reshape(shape).bfloat16()
    torch_files.save_file({"a": tensor}, tmp_path / "x.safetensors")
    array = read(tmp_path / "x.safetensors")["a"]
    assert isinstance(array, np.ndarray)
    assert array.dtype == np.float32
    assert array.shape == shape
    np.testing.assert_array_equal(array, tensor.float().numpy())


def test_file_without_arrays_is_one(tmp_path):
    write(tmp_path / "x.safetensors", {})
    assert safetensors.numpy.load_file(tmp_path / "x.safetensors") == {}
    assert read(tmp_path / "x.safetensors") == {}


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=8).filter(
            lambda name: name != "__metadata__"
        ),
        hnp.arrays(
            st.sampled_from(["f8", "f2", "i2", "u8", "?"]),
            hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
        ),
        max_size=5,
    )
)
def test_all_names_and_shapes_come_back(arrays):
    file = io.BytesIO()
    contents = {name: (dtype_name(a), a.shape) for name, a in arrays.items()}
    write_file(file, contents, arrays.__getitem__)
    found = safetensors.numpy.load(file.getvalue())
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


def test_numbers_start_at_a_multiple_of_eight(tmp_path):
    for length in range(1, 10):
        path = tmp_path / f"{length}.safetensors"
        write(path, {"n" * length: np.zeros(1)})
        assert read_header(path)["n" * length].start % 8 == 0


def test_order_of_the_file_is_that_of_the_contents(tmp_path):
    path = tmp_path / "x.safetensors"
    write(path, {"b": np.zeros(2), "a": np.ones(1)})
    entries = read_header(path)
    assert list(entries) == ["b", "a"]
    assert entries["a"].start == entries["b"].start + 16


def test_each_byte_of_a_truth_value_but_zero_is_true(tmp_path):
    path = tmp_path / "x.safetensors"
    write_by_hand(path, {"a": described("BOOL", (3,), (0, 3))}, b"\x00\x01\x02")
    found = read(path)["a"]
    assert found.view(np.uint8).tolist() == [0, 1, 1]


def test_kinds_are_floating_or_integer(tmp_path):
    path = tmp_path / "x.safetensors"
    arrays = {code: np.zeros(1, np.dtype(DTYPES[code])) for code in DTYPES}
    write(path, arrays, {code: code for code in DTYPES if code != "BF16"})
    kinds = {name: entry.kind for name, entry in read_header(path).items()}
    assert {name for name, kind in kinds.items() if kind == "f"} == {
        "F64",
        "F32",
        "F16",
    }
    write_by_hand(path, {"a": described("BF16", (2,), (0, 4))}, b"1234")
    assert read_header(path)["a"].kind == "f"


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(1, complex),
        np.zeros(1, np.longdouble),
        np.array(["a"]),
        np.array([None]),
        np.zeros(1, "M8[s]"),
        np.zeros(1, [("x", "f8")]),
    ],
    ids=["complex", "long", "text", "object", "date", "record"],
)
def test_array_that_the_format_lacks_is_refused(array):
    with pytest.raises(TypeError, match="real numbers of up to 64 bits"):
        dtype_name(array)


@pytest.mark.parametrize(
    ("array", "dtype"),
    [(np.zeros(3), "F64"), (np.zeros((2, 1)), "F64"), (np.zeros(2), "I64")],
    ids=["length", "axes", "kind"],
)
def test_array_that_does_not_fit_its_place_is_refused(array, dtype):
    with pytest.raises(ValueError, match=r"array 'a' must have the shape \(2,\)"):
        write_file(io.BytesIO(), {"a": (dtype, (2,))}, {"a": array}.__getitem__)


# --- files that somebody else has made, or has spoilt ------------------------

GOOD = {"a": described()}

SPOILT = {
    "no bytes": b"",
    "seven bytes": b"\x02\0\0\0\0\0\0",
    "no header": struct.pack("<Q", 0),
    "no room for the header": struct.pack("<Q", 50) + b"{}",
    "longest header": struct.pack("<Q", 2**64 - 1) + b"{}",
    "header beyond the limit": struct.pack("<Q", 100_000_001) + b"{}",
    "pickle": b"\x80\x04\x95\x0b\0\0\0\0\0\0\0\x8c\x02os\x94.",
    "archive": b"PK\x03\x04" + b"\0" * 60,
}


@pytest.mark.parametrize("content", SPOILT.values(), ids=SPOILT)
def test_file_without_a_header_is_refused(content, tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"Got 'x\.safetensors', which is no"):
        read_header(path)
    with pytest.raises(safetensors.SafetensorError):
        safetensors.numpy.load_file(path)


BYTES = b"12345678"
HEADERS = {
    "no JSON": (b"hello world", b""),
    "half of the JSON": (b'{"a": ', b""),
    "other letters": (json.dumps(GOOD).encode("utf-16"), BYTES),
    "no UTF-8": (b'{"\xff": 1}', b""),
    "list": (b"[1, 2]", b""),
    "number": (b"12", b""),
    "nested too deeply": (b"[" * 100_000, b""),
    "entry without a type": ({"a": {"shape": [2], "data_offsets": [0, 8]}}, BYTES),
    "entry without a shape": ({"a": {"dtype": "F32", "data_offsets": [0, 8]}}, BYTES),
    "entry without places": ({"a": {"dtype": "F32", "shape": [2]}}, BYTES),
    "entry that is none": ({"a": 3}, BYTES),
    "unknown type": ({"a": described("F7")}, BYTES),
    "type that is no word": ({"a": described(["F32"])}, BYTES),
    "negative length": ({"a": described(shape=(-1, -2))}, BYTES),
    "length that is no number": ({"a": described(shape=("2",))}, BYTES),
    "length with a fraction": ({"a": described(shape=(2.0,))}, BYTES),
    "shape that is a number": ({"a": GOOD["a"] | {"shape": 2}}, BYTES),
    "more numbers than bytes": ({"a": described(shape=(2**40,))}, BYTES),
    "shape that overflows": ({"a": described(shape=(2**32, 2**32))}, BYTES),
    "nothing of a huge width": ({"a": described("F32", (0, 2**70), (0, 0))}, b""),
    "negative place": ({"a": described(places=(-8, 0))}, BYTES),
    "places in disorder": ({"a": described(places=(8, 0))}, BYTES),
    "three places": ({"a": described(places=(0, 8, 16))}, BYTES),
    "end beyond the file": ({"a": described()}, BYTES[:-1]),
    "bytes after the end": ({"a": described()}, BYTES + b"9"),
    "bytes before the start": ({"a": described(places=(1, 9))}, BYTES + b"9"),
    "overlap": (GOOD | {"b": described(places=(4, 12))}, BYTES + b"1234"),
    "two arrays in one place": (GOOD | {"b": described()}, BYTES),
    "hole": (GOOD | {"b": described(places=(9, 17))}, BYTES * 2 + b"9"),
}


@pytest.mark.parametrize(("header", "numbers"), HEADERS.values(), ids=HEADERS)
def test_spoilt_header_is_refused(header, numbers, tmp_path):
    path = tmp_path / "x.safetensors"
    write_by_hand(path, header, numbers)
    with pytest.raises(ValueError, match=r"Got 'x\.safetensors', which is no"):
        read_header(path)
    with pytest.raises(safetensors.SafetensorError):
        safetensors.numpy.load_file(path)


def test_name_that_occurs_twice_is_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    one = json.dumps(described()).encode()
    write_by_hand(path, b'{"a": ' + one + b', "a": ' + one + b"}", BYTES)
    with pytest.raises(ValueError, match="a name that occurs twice"):
        read_header(path)


def test_more_axes_than_numpy_has_are_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    write_by_hand(path, {"a": described(shape=(2,) + (1,) * 64)}, BYTES)
    with pytest.raises(ValueError, match=r"Got 'x\.safetensors', which is no"):
        read_header(path)


def test_file_by_hand_is_read(tmp_path):
    path = tmp_path / "x.safetensors"
    header = {"b": described(shape=(1, 2)), "__metadata__": {"any": "thing"}}
    write_by_hand(path, header, np.array([1.5, -2.0], "<f4").tobytes())
    np.testing.assert_array_equal(read(path)["b"], [[1.5, -2.0]])


def test_file_that_became_shorter_is_told(tmp_path):
    path = tmp_path / "x.safetensors"
    write(path, {"a": np.zeros(4)})
    entry = read_header(path)["a"]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="which has become shorter; open it again"):
        entry.read()


def test_absent_file_and_folder_stay_their_own_errors(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_header(tmp_path / "absent.safetensors")
    with pytest.raises(IsADirectoryError):
        read_header(tmp_path)
