"""IDX files, MNIST's format: what is read, and what a damaged or hostile file says."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lutbench.errors import DataError
from lutbench.reading.idx import read_idx
from lutbench.reading.kinds import IMAGES, Kind

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def packed(array: np.ndarray) -> bytes:
    code = CODES[array.dtype.str[1:]]
    header = bytes([0, 0, code, array.ndim]) + b"".join(struct.pack(">I", size) for size in array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def written(folder: Path, data: bytes) -> Path:
    path = folder / "x"
    path.write_bytes(data)
    return path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    st.sampled_from(sorted(CODES)).flatmap(
        lambda code: arrays.arrays(np.dtype(code), arrays.array_shapes(max_dims=4, min_side=0, max_side=5))
    ),
    st.booleans(),
)
def test_what_was_written_is_read(tmp_path: Path, array: np.ndarray, squeezed: bool) -> None:
    data = packed(array)
    found = read_idx(written(tmp_path, gzip.compress(data) if squeezed else data), IMAGES)
    np.testing.assert_array_equal(found, array)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(st.data())
def test_a_damaged_file_is_one_error_or_numbers(tmp_path: Path, data: st.DataObject) -> None:
    whole = packed(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
    whole = gzip.compress(whole) if data.draw(st.booleans()) else whole
    at = data.draw(st.integers(0, len(whole) - 1))
    broken = data.draw(
        st.sampled_from([whole[:at], whole[:at] + bytes([whole[at] ^ 0x5A]) + whole[at + 1 :], whole + b"x", b""])
    )
    try:
        found = read_idx(written(tmp_path, broken), IMAGES)
    except DataError as error:
        assert str(tmp_path) in str(error) and "\n" not in str(error)
    else:
        assert found.size * found.itemsize <= len(whole) + 24


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is no IDX file"),
        (b"\0\0\x08", "is no IDX file"),
        (b"\0\0\x07\x01\0\0\0\0", "is no IDX file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(30), "is no IDX file"),
        (b"\0\0\x08\x00", "has 0 dimensions"),
        (b"\0\0\x08\x09" + bytes(36), "has 9 dimensions"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "its header says 4294967295 x 4294967295 x 4294967295 numbers"),
        (b"\0\0\x08\x01\0\0\0\x05abc", "5 bytes, and 3 follow"),
        (gzip.compress(packed(np.zeros(9, np.uint8)), mtime=0)[:-9], "the file was cut off"),
        (b"\x1f\x8bnonsense", "cannot be unpacked"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_idx(written(tmp_path, data), IMAGES)
    assert message in str(caught.value)


def test_a_small_file_that_unpacks_to_much_is_refused_before_memory_is_full(tmp_path: Path) -> None:
    small = Kind("a file of images", 1 << 16, DataError)
    path = written(tmp_path, gzip.compress(bytes(1 << 22)))
    with pytest.raises(DataError, match="unpacks to more than 64 KiB"):
        read_idx(path, small)
