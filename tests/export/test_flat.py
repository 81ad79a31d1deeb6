"""FlatBuffers: what is in bounds is read, and a small file never takes the square of its size."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import pytest

from lutbench.errors import ExportError
from lutbench.export.flat import FlatError, FlatTable
from lutbench.export.model_files import prepare_model, read_model
from lutbench.export.model_inputs import Choices, Declared, choose_inputs
from lutbench.export.pte_file import read_pte

PTE = Path(__file__).parent.parent / "models" / "three_inputs.pte"


def names(count: int, name: bytes) -> bytes:
    """A table whose field 0 is a list of so many texts, all of them at one place."""
    head = struct.pack("<I", 12) + struct.pack("<HHHH", 6, 8, 4, 0) + struct.pack("<iI", 8, 4)
    place = len(head)
    pointers = b"".join(struct.pack("<I", 4 * (count - n)) for n in range(count))
    return head[:place] + struct.pack("<I", count) + pointers + struct.pack("<I", len(name)) + name


def test_texts_at_one_place_are_read() -> None:
    assert FlatTable.root(names(3, b"abc")).texts(0) == ["abc"] * 3


@pytest.mark.parametrize(("count", "length"), [(1_000_000, 4000), (3, 5000), (200_000, 0xFFFF)])
def test_places_that_are_read_over_and_over_are_refused(count: int, length: int) -> None:
    began = time.process_time()
    with pytest.raises(FlatError, match=r"over and over|a name of"):
        FlatTable.root(names(count, b"a" * length)).texts(0)
    assert time.process_time() - began < 20  # 4 GB of text otherwise


def test_a_program_of_three_inputs() -> None:
    declared, companions = read_pte(PTE)
    told = [(one.name, one.dtype, one.sizes) for one in declared]
    assert told == [
        ("input0", "float32", (1, 3, 8, 8)),
        ("input1", "float32", (1, 4)),
        ("input2", "int64", (2,)),
    ]
    assert companions == ()


def test_a_program_without_forward_names_what_it_has_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "other.pte"
    path.write_bytes(PTE.read_bytes().replace(b"forward", b"\x1b[31mxx"))
    with pytest.raises(ExportError, match=r"it has no method forward, but '\\x1b\[31mxx'"):
        read_pte(path)


def test_sizes_that_no_array_has_are_one_line(tmp_path: Path) -> None:
    declared = (Declared("x", "float32", (1,) * 65),)
    with pytest.raises(ExportError, match="input x has 65 dimensions"):
        choose_inputs(PTE, declared, Choices(), tmp_path)
    path = tmp_path / "negative.pte"
    data = PTE.read_bytes()
    place = data.index(struct.pack("<4i", 1, 3, 8, 8))
    path.write_bytes(data[: place + 4] + struct.pack("<i", -5) + data[place + 8 :])
    with pytest.raises(ExportError, match=r"input input0 is \(1, \?, 8, 8\): open size; give it"):
        prepare_model(read_model(path), Choices(), tmp_path)
