from __future__ import annotations

import collections
import os
import pickle
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutbench.errors import LutError
from lutbench.lut.importers.plain_pickle import load_data

PATH = Path("table.pickle")
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(values, st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_data_comes_out_as_it_went_in(value: object, protocol: int) -> None:
    assert load_data(pickle.dumps(value, protocol=protocol), PATH) == value


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_tuples_come_out_as_lists(protocol: int) -> None:
    value = [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)]
    assert load_data(pickle.dumps(value, protocol=protocol), PATH) == [list(item) for item in value]


class Touch:
    """Unpickled freely, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_code_is_named_and_never_run(protocol: int, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    data = pickle.dumps({"fbnet": [Touch(mark)]}, protocol=protocol)
    with pytest.raises(LutError, match=r"wants to load code: \w+\.system"):
        load_data(data, PATH)
    assert not mark.exists()
    pickle.loads(data)
    assert mark.exists()  # the pickle would have run


@pytest.mark.parametrize(
    "value", [collections.OrderedDict(a=1), {1, 2}, b"bytes", bytearray(b"x"), 1j, Path("x"), range(3)]
)
def test_objects_are_refused_even_harmless_ones(value: object) -> None:
    with pytest.raises(LutError, match="the pickle"):
        load_data(pickle.dumps(value, protocol=5), PATH)


@pytest.mark.parametrize(
    "data",
    [
        b"cos\nsystem\n(S'true'\ntR.",
        b"(S'true'\nios\nsystem\n.",
        b"(cos\nsystem\nS'true'\no.",
        b"Pid\n.",
        b"N" + b"Q.",
        b"\x82\x01.",
    ],
)
def test_every_way_to_ask_for_more_is_refused(data: bytes) -> None:
    with pytest.raises(LutError, match=r"wants to load|more than data"):
        load_data(data, PATH)


def test_small_files_do_not_grow() -> None:
    """A memo index, a byte count and nested tuple keys that cost the usual unpickler all memory or all time."""
    assert load_data(b"Nr" + struct.pack("<I", 0xFFFFFFFF) + b".", PATH) is None
    with pytest.raises(LutError):
        load_data(b"\x80\x05\x96" + struct.pack("<Q", 1 << 60) + b".", PATH)
    nested = b"\x80\x04}(" + b")" + b"2\x86" * 80 + b"Nu."
    with pytest.raises(LutError):
        load_data(nested, PATH)


@given(st.binary(max_size=200))
def test_junk_is_data_or_one_error(data: bytes) -> None:
    try:
        load_data(data, PATH)
    except LutError as error:
        assert "\n" not in str(error)
