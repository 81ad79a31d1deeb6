"""Reading by columns and reading by rows: the same LUT of the same text, or the same error."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lutbench.lut.file
from lutbench.errors import LutError
from lutbench.lut.file import format_lut, parse_lut
from lutbench.lut.large import read_columns
from lutbench.lut.metadata import Metadata, SpaceSection
from lutbench.lut.row import COLUMNS, ColumnRows, Row, failed_row, identity_row
from lutbench.lut.table import Lut
from lutbench.space.fbnet import fbnet
from lutbench.space.operator import Operator

PATH = Path("x.csv")
METADATA = Metadata("host", "onnxruntime 1.31.1", "int8", 1, SpaceSection("fbnet", (224,), (1.0,)))
ODD = Operator("ir", 8, 7, 7, 16, 3, 1, 0.5, 2)  # mid channels and expansion that are no whole multiples


def made_row(name: str, number: int) -> Row:
    if name.startswith("identity"):
        return identity_row(name)
    if number % 7 == 5:
        return failed_row(name, 'died, of "#1"')
    us = 1 + number * 1.125
    return Row(name, us, us - 0.5, us + 0.25, us - 0.25, us + 0.5, us - 0.75, 36, 12)


NAMES = sorted({operator.name for operator in (*fbnet(224, 1.0).operators, ODD)})
LUT = Lut(METADATA, tuple(made_row(name, number) for number, name in enumerate(NAMES)))
TEXT = format_lut(LUT)


@pytest.fixture(autouse=True, scope="module")
def every_file_is_large() -> None:
    """So that small files, which are quick to test with, take the way of large ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lutbench.lut.file, "LARGE", 0)
        yield


def by_rows(text: str) -> Lut:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lutbench.lut.file, "read_columns", lambda _lines: None)
        return parse_lut(text, PATH)


def outcome(read: object, text: str) -> tuple[str, ...]:
    """What reading gives, as text: a NaN is equal to a NaN here."""
    try:
        lut = read(text)  # type: ignore[operator]
    except LutError as error:
        return ("error", str(error))
    assert list(lut.by_operator) == [row.operator for row in lut.rows]
    return ("lut", repr(lut.metadata), *(repr(row) for row in lut.rows))


def check_same(text: str) -> None:
    assert outcome(lambda t: parse_lut(t, PATH), text) == outcome(by_rows, text)


def test_a_written_lut_is_read_by_columns_and_is_the_same() -> None:
    found = parse_lut(TEXT, PATH)
    assert isinstance(found.rows, ColumnRows) and len(found.rows) == len(NAMES)
    check_same(TEXT)
    assert format_lut(found) == TEXT
    slow = by_rows(TEXT)
    assert not isinstance(slow.rows, ColumnRows)
    assert {name: repr(list(map(float, v))) for name, v in found.columns.items() if name.endswith("_us")} == {
        name: repr(list(map(float, v))) for name, v in slow.columns.items() if name.endswith("_us")
    }
    for name in ("operator", "kind", "c_out", "expansion", "groups", "samples", "status"):
        assert list(found.columns[name]) == list(slow.columns[name])


def test_a_lut_without_rows_is_left_to_the_reader_of_rows() -> None:
    assert read_columns([]) is None and read_columns([",".join(COLUMNS)]) is None
    check_same(format_lut(Lut(METADATA, ())))


def test_a_small_file_is_read_by_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lutbench.lut.file, "LARGE", 2000)
    assert isinstance(parse_lut(TEXT, PATH).rows, tuple)


def test_rows_kept_as_columns_behave_as_rows() -> None:
    found = parse_lut(TEXT, PATH)
    rows = found.rows
    identities = [n for n, row in enumerate(rows) if row.operator.startswith("identity")]
    assert rows[identities[0]] == LUT.rows[identities[0]]
    assert repr(rows[-2:]) == repr(LUT.rows[-2:])
    ok = replace(LUT, rows=tuple(row for row in LUT.rows if row.is_ok))
    again = parse_lut(format_lut(ok), PATH)
    assert isinstance(again.rows, ColumnRows)
    assert again.rows == ok.rows and ok.rows == again.rows and again.rows != ok.rows[1:]
    assert replace(again, path=None).rows is again.rows
    assert "nothing" not in again.by_operator and again.by_operator.get("nothing") is None
    assert again.by_operator["fc_1504_1000"] == ok.by_operator["fc_1504_1000"]


CELLS = [
    "",
    "0",
    "-1",
    "nan",
    "inf",
    "1e3",
    "1_0",
    " 5",
    "05",
    "6.0",
    "0.5",
    "ok",
    "failed: x",
    "ir",
    "fc",
    "x",
    '"',
    "9" * 30,
]
CELLS += [
    "1",
    "8",
    "36",
    "12",
    "500",
    "-0",
    "1048577",
    "100",
    "2",
    "3",
    "٣",
    "identity",
    "ir_k5_e6_g1_64x14x14_64_s1",
    "\r",
    "\n",
    ",",
    "#",
]


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_changed_cell_is_judged_alike(data: st.DataObject) -> None:
    lines = TEXT.split("\n")
    first = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    number = data.draw(st.integers(first, len(lines) - 2) | st.integers(first + 1, len(lines) - 2))
    cells = lines[number].split(",")
    for _ in range(data.draw(st.integers(1, 2))):
        cells[data.draw(st.integers(0, len(cells) - 1) | st.integers(10, 17)) % len(cells)] = data.draw(
            st.sampled_from(CELLS)
        )
    lines[number] = ",".join(cells)
    check_same("\n".join(lines))


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_damaged_text_is_judged_alike(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(TEXT)))
    check_same(TEXT[:start] + data.draw(st.text(max_size=8)) + TEXT[start + data.draw(st.integers(0, 200)) :])


KINDS = st.sampled_from(["stem", "conv", "ir", "pool", "fc", "identity", "overhead"])
SIZES = st.sampled_from([8, 16, 4, 1, 2, 3, 0, 99, 100, 1 << 20, (1 << 20) + 1])


@given(KINDS, st.lists(SIZES, min_size=5, max_size=5), st.sampled_from([3, 5, 0, 1, 2, 101]), SIZES, st.data())
@settings(max_examples=300, deadline=None)
def test_a_name_made_of_any_parts_is_judged_alike(
    kind: str, sizes: list[int], kernel: int, stride: int, data: st.DataObject
) -> None:
    """Names that fit their parts, of operators that can and that cannot exist."""
    c_in, h_in, w_in, c_out, groups = sizes
    expansion = data.draw(st.sampled_from(["1", "6", "0.5", "0", "0.25", "0.001", "1000", "1.5", "0.333333"]))
    shape = f"{c_in}x{h_in}x{w_in}"
    name = {
        "ir": f"ir_k{kernel}_e{expansion}_g{groups}_{shape}_{c_out}_s{stride}",
        "pool": f"pool_{shape}",
        "identity": f"identity_{shape}",
        "fc": f"fc_{c_in}_{c_out}",
        "overhead": "runtime_overhead",
    }.get(kind, f"{kind}_k{kernel}_{shape}_{c_out}_s{stride}")
    parts: list[object] = [kind, c_in, h_in, w_in, c_out, kernel, stride, expansion, groups]
    if data.draw(st.booleans()):  # what the name does not say is as it is for all of the kind
        unsaid = {"conv": {7: 0, 8: 1}, "stem": {7: 0, 8: 1}, "pool": {4: c_in}, "identity": {4: c_in}}
        unsaid |= {"fc": {2: 1, 3: 1}, "overhead": dict.fromkeys((1, 2, 3, 4), 1)}
        for place, value in unsaid.get(kind, {}).items():
            parts[place] = value
        if kind not in ("conv", "stem", "ir"):
            parts[5:] = [0, 1, 0, 1]
    figures = "0,0,0,0,0,0,0,0" if kind == "identity" else "2,1,3,1,1,1,36,12"
    cells = ",".join([name, *map(str, parts), figures, "ok"])
    check_same(format_lut(Lut(METADATA, ())).replace("rows = 0", "rows = 1") + cells + "\n")


def test_one_operator_of_every_kind_is_read_by_columns() -> None:
    """What read_columns leaves to the reader of rows is what is wrong, not what is common."""
    start = TEXT.index("operator,")
    lines = TEXT[start:].split("\n")[:-1]
    for line in lines[1:]:
        assert read_columns([lines[0], line]) is not None, line
