from __future__ import annotations

import collections
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutbench.errors import LutError
from lutbench.reading.kinds import PUBLISHED_TABLE
from lutbench.reading.pickle_data import load_data

PATH = Path("table.pickle")
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(values, st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_data_comes_out_as_it_went_in(value: object, protocol: int) -> None:
    assert load_data(pickle.dumps(value, protocol=protocol), PATH, PUBLISHED_TABLE) == value


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_tuples_come_out_as_lists(protocol: int) -> None:
    value = [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)]
    assert load_data(pickle.dumps(value, protocol=protocol), PATH, PUBLISHED_TABLE) == [list(item) for item in value]


NUMBERS = st.sampled_from([np.float16, np.float32, np.float64, np.int8, np.uint16, np.int32, np.int64, np.bool_])


@given(st.lists(st.tuples(NUMBERS, st.integers(0, 1) | st.floats(0, 100))), st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_numbers_of_numpy_and_ordered_dictionaries(pairs: list[tuple[type, float]], protocol: int) -> None:
    made = [kind(value) for kind, value in pairs]
    value = collections.OrderedDict((f"key {n}", collections.OrderedDict(one=one)) for n, one in enumerate(made))
    value["text"] = np.str_("a \u304f")  # type: ignore[assignment]
    found = load_data(pickle.dumps(value, protocol=protocol), PATH, PUBLISHED_TABLE)
    assert found == {**{f"key {n}": {"one": one.item()} for n, one in enumerate(made)}, "text": "a \u304f"}


def test_older_names_of_numpys_modules_and_big_endian_numbers() -> None:
    data = pickle.dumps({"a": np.float64(1.25)}, protocol=2)
    assert b"numpy._core.multiarray" in data
    assert load_data(data.replace(b"numpy._core", b"numpy.core"), PATH, PUBLISHED_TABLE) == {"a": 1.25}
    big = pickle.dumps(np.array([1.25], ">f8")[0], protocol=2)
    assert load_data(big, PATH, PUBLISHED_TABLE) == 1.25


@pytest.mark.parametrize(
    "data",
    [
        b"cnumpy\ndtype\n(S'O8'\nI00\nI01\ntR.",  # a dtype of objects
        b"ccollections\nOrderedDict\n(I1\nI2\ntR.",
        b"cnumpy._core.multiarray\nscalar\n(cnumpy\ndtype\n(S'f8'\nI00\nI01\ntRC\x01xtR.",  # a byte for eight
        b"c_codecs\nencode\n(Vtext\nVutf-7\ntR.",
        b"(S'a'\ntR.",
        b"}}b.",
    ],
)
def test_what_only_looks_like_a_number_of_numpy_is_refused(data: bytes) -> None:
    with pytest.raises(LutError, match=r"the pickle|not a whole pickle"):
        load_data(data, PATH, PUBLISHED_TABLE)


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
        load_data(data, PATH, PUBLISHED_TABLE)
    assert not mark.exists()
    pickle.loads(data)
    assert mark.exists()  # the pickle would have run


@pytest.mark.parametrize(
    "value",
    [
        collections.defaultdict(dict),
        collections.OrderedDict,
        {1, 2},
        b"bytes",
        bytearray(b"x"),
        1j,
        Path("x"),
        range(3),
        np.zeros(3),
        np.dtype("f8"),
        np.longdouble(1),
        np.datetime64("2026-01-01"),
        np.complex64(1),
    ],
)
def test_objects_are_refused_even_harmless_ones(value: object) -> None:
    with pytest.raises(LutError, match="the pickle"):
        load_data(pickle.dumps(value, protocol=5), PATH, PUBLISHED_TABLE)


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
        load_data(data, PATH, PUBLISHED_TABLE)


def test_small_files_do_not_grow() -> None:
    """A memo index, a byte count and nested tuple keys that cost the usual unpickler all memory or all time."""
    assert load_data(b"Nr" + struct.pack("<I", 0xFFFFFFFF) + b".", PATH, PUBLISHED_TABLE) is None
    with pytest.raises(LutError):
        load_data(b"\x80\x05\x96" + struct.pack("<Q", 1 << 60) + b".", PATH, PUBLISHED_TABLE)
    nested = b"\x80\x04}(" + b")" + b"2\x86" * 80 + b"Nu."
    with pytest.raises(LutError):
        load_data(nested, PATH, PUBLISHED_TABLE)


def doubled(times: int) -> bytes:
    """A pickle of a list that holds a list twice, which holds a list twice ..., and is 2 ** times lists."""
    inner = b"".join(b"]q%c(h%ch%ce" % (n, n - 1, n - 1) for n in range(1, times + 1))
    return b"\x80\x02]q\x00" + inner


@pytest.mark.parametrize("end", [b".", b"Q.", b"}" + b"h\x2dK\x01s."])
def test_a_list_that_doubles_45_times_is_refused_at_once(end: bytes) -> None:
    """As the value itself, as an object from outside that is named in the error, as a dictionary's key."""
    with pytest.raises(LutError, match=r"the pickle|is not a whole pickle") as error:
        load_data(doubled(45) + end, PATH, PUBLISHED_TABLE)
    assert len(str(error.value)) < 300


def test_a_list_in_itself_is_refused() -> None:
    with pytest.raises(LutError, match="nested more than"):
        load_data(b"]q\x00h\x00a.", PATH, PUBLISHED_TABLE)


@pytest.mark.parametrize("number", [10**5000, -(10**5000), 16**20], ids=range(3))
def test_numbers_of_thousands_of_digits_are_refused(number: int) -> None:
    with pytest.raises(LutError, match="whole number of more than 64 bits"):
        load_data(pickle.dumps({"a": number}), PATH, PUBLISHED_TABLE)


@given(st.binary(max_size=200))
def test_junk_is_data_or_one_error(data: bytes) -> None:
    try:
        load_data(data, PATH, PUBLISHED_TABLE)
    except LutError as error:
        assert "\n" not in str(error)
