"""LUTs, tables of nets and verify's results as spreadsheets and other systems leave them: the same, or one line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lutbench.errors import LatencyTableError, LutError
from lutbench.lut import large
from lutbench.lut.file import format_lut, parse_lut, read_lut
from lutbench.lut.latencies import read_latencies
from lutbench.lut.metadata import ContextSection
from lutbench.lut.row import failed_row
from lutbench.lut.table import Lut
from lutbench.lut.verify_file import NetResult, read_results, write_results
from lutbench.space.fbnet import fbnet
from lutbench.space.operator import parse_operator
from tests.lut.made import made_lut, made_row, with_row

NETS = tuple(f"fbnet@224x1.0:1504:k3_e{n}|k3_e3,k5_e3,k5_e3,skip" for n in (1, 3, 6))
NUMBER = re.compile(r"-?\d+\.\d+")


def usual_lut() -> Lut:
    """With what a header may hold: lists of texts with commas, of numbers and of tables, sections."""
    lut = made_lut(lambda op: 1.0 + op.c_in / 977 + op.kernel / 31)
    context = ContextSection(
        nets=NETS, nets_us=(1234.5, 99.125, 7.0), canaries=("fc_1504_1000",), trials=({"depth": 0, "scale": 1.082294},)
    )
    metadata = replace(
        lut.metadata,
        context=context,
        environment={"cpu": 'AMD "EPYC"; 2 cores, virtual', "cores": [0, 1], "load": 0.25},
        quality={"target": 0.01, "outside_target": ["pool_1504x7x7"]},
    )
    lut = replace(lut, metadata=metadata)
    return with_row(lut, failed_row("fc_1504_1000", 'the runtime said "no", twice; then it died'))


LUT = usual_lut()
TEXT = format_lut(LUT)


def saved(text: str, separator: str, decimal: str = ".", pad: bool = True, split: bool = True) -> str:
    """What a spreadsheet writes of a table that it opened: numbers in their shortest form, lines of equal length.

    split: whether it took commas for separators when it opened the table; else every line is one cell.
    """
    rows = list(csv.reader(text.split("\n")[:-1])) if split else [[line] for line in text.split("\n")[:-1]]
    width = max(map(len, rows)) if pad else 0
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator="\n")
    for row in rows:
        cells = [f"{float(c):.12g}".replace(".", decimal) if NUMBER.fullmatch(c) else c for c in row]
        writer.writerow(cells + [""] * (width - len(cells)))
    return out.getvalue()


def without_header_touched(text: str, separator: str) -> str:
    """As a program writes it that passes comments over, with two empty columns at the end."""
    start = text.index("\noperator") + 1
    return text[:start] + saved("".join(f"{line},,\n" for line in text[start:-1].split("\n")), separator, ".")


def same(found: Lut, lut: Lut = LUT) -> bool:
    return format_lut(found) == format_lut(lut)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_lut_with_the_line_ends_and_marks_of_any_system(tmp_path: Path, end: str, encoding: str) -> None:
    path = tmp_path / "host.csv"
    path.write_bytes(TEXT.replace("\n", end).encode(encoding))
    assert same(read_lut(path))
    path.write_bytes(TEXT.removesuffix("\n").replace("\n", end).encode(encoding))
    if TEXT.endswith(",ok\n"):
        assert same(read_lut(path))


@pytest.mark.parametrize(
    "how",
    [
        lambda text: saved(text, ","),
        lambda text: saved(text, ";", ","),
        lambda text: saved(text, ";"),
        lambda text: saved(text, "\t", ","),
        lambda text: saved(text, "\t", pad=False),
        lambda text: saved(text, ";", split=False),
        lambda text: saved(text, ",", split=False),
        lambda text: f"sep=;\n{saved(text, ';', ',')}",
        lambda text: saved(text, ";", ",") + ";;;;\n\n",
        lambda text: without_header_touched(text, ";"),
        lambda text: without_header_touched(text, ","),
        lambda text: text + ",,,,,,,\n\n",
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_lut_that_a_spreadsheet_saved(how: Callable[[str], str], end: str, tmp_path: Path) -> None:
    for lut in (LUT, with_row(LUT, made_row("fc_1504_1000", 31.4159))):
        path = tmp_path / "x.csv"
        path.write_bytes(how(format_lut(lut)).replace("\n", end).encode())
        assert same(read_lut(path), lut)


def test_a_large_lut_is_read_alike_by_columns_and_by_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = (TEXT, saved(TEXT, ";", ","), TEXT + "\n", TEXT.removesuffix("\n"))
    slow = [parse_lut(text, Path("x.csv")) for text in texts if text.endswith(("\n", "ok"))]
    monkeypatch.setattr("lutbench.lut.file.LARGE", 5)
    fast = [parse_lut(text, Path("x.csv")) for text in texts if text.endswith(("\n", "ok"))]
    assert large.read_columns(TEXT[TEXT.index("\noperator") + 1 : -1].split("\n")) is not None
    assert all(map(same, [*slow, *fast]))


def test_points_taken_for_separators_of_thousands_are_not_believed() -> None:
    text = saved(TEXT, ";")
    thousands = re.sub(r"(?<=;)(\d+)\.(\d{1,3})(?=;)", lambda m: m[1] + m[2].ljust(3, "0"), text)
    with pytest.raises(LutError, match="took decimal points for separators of thousands"):
        parse_lut(thousands, Path("x.csv"))
    with pytest.raises(LutError, match="took decimal points for separators of thousands"):
        parse_lut(thousands.replace(";", ","), Path("x.csv"))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (";12,5161;", ";12.5161;", "has decimal commas .line .* and decimal points"),
        (";12,5161;", ";1.012,5161;", "latency_us 1.012,5161 is not a number"),
        (";12,5161;", ";13. Mrz;", "not a number"),
    ],
)
def test_cells_that_leave_doubt_are_named(old: str, new: str, reason: str) -> None:
    lut = with_row(LUT, made_row("pool_1504x7x7", 12.5161, 0.0))
    text = saved(format_lut(lut), ";", ",").replace(old[:-2] + old[-1], new, 1)
    text = saved(format_lut(lut), ";", ",")
    assert ";12,516;" in text
    with pytest.raises(LutError, match=reason):
        parse_lut(text.replace(";12,516;", new.replace("12.5161", "12.516"), 1), Path("x.csv"))


def test_a_header_that_lost_a_number_is_not_guessed() -> None:
    lut = replace(LUT, metadata=replace(LUT.metadata, environment={"cores": "0,1.50,2"}))
    with pytest.raises(LutError, match=r"split this line and took 1\.5 for a number"):
        parse_lut(saved(format_lut(lut), ","), Path("x.csv"))


def test_other_separators_are_named() -> None:
    start = TEXT.index("\noperator") + 1
    for separator, name in (("|", "vertical bars"), (" ", "blanks")):
        text = TEXT[:start] + TEXT[start:].replace(",", separator)
        with pytest.raises(LutError, match=f"its columns are separated by {name}"):
            parse_lut(text, Path("x.csv"))


rows = st.lists(
    st.sampled_from([op.name for op in fbnet(224, 1.0).operators if op.is_measured]),
    min_size=1,
    max_size=6,
    unique=True,
)
figures = st.floats(0.002, 1e7).map(lambda value: round(value, 3))


@given(
    st.data(),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from([".", ","]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_lut_is_the_same_or_refused_in_one_line(
    tmp_path: Path,
    data: st.DataObject,
    separator: str,
    decimal: str,
    pad: bool,
    split: bool,
    end: str,
    encoding: str,
) -> None:
    made = [made_row(name, data.draw(figures), 0.0) for name in sorted(data.draw(rows))]
    cpu = data.draw(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), max_size=30))
    lut = replace(LUT, rows=tuple(made), metadata=replace(LUT.metadata, environment={"cpu": cpu}))
    path = tmp_path / "x.csv"
    path.write_bytes(saved(format_lut(lut), separator, decimal, pad, split).replace("\n", end).encode(encoding))
    try:
        found = read_lut(path)
    except LutError as error:
        assert "\n" not in str(error)
    else:
        assert found.rows == lut.rows
        plain = re.sub(r"\s", "", cpu)  # blanks beside a comma are a spreadsheet's to keep or not
        assert re.sub(r"\s", "", str(found.metadata.environment["cpu"])) == plain


TABLE = (
    "# by hand\nnet,device,latency_ms,ci_low_us,left_out\n"
    + "".join(f"{net},phone,{20 + n / 7:.3f},{20000 + n:.3f},\n" for n, net in enumerate(("fbnet_a", "fbnet_b")))
    + '"k3_e1,k3_e3",phone,19.500,19000.250,"no, not this"\n'
)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "how",
    [
        lambda text: text,
        lambda text: saved(text, ","),
        lambda text: saved(text, ";", ","),
        lambda text: saved(text, "\t", ","),
        lambda text: saved(text, "\t"),
        lambda text: saved(text, ";", ",") + ";;;\n",
        lambda text: saved(text, ";", ",").removesuffix("\n"),
        lambda text: re.sub(";+$", "", saved(text, ";", ","), flags=re.MULTILINE) + "\n",
        lambda text: saved(text, ";", split=False),
    ],
)
def test_a_table_of_nets_that_a_spreadsheet_saved(how: Callable[[str], str], end: str, tmp_path: Path) -> None:
    plain, path = tmp_path / "plain.csv", tmp_path / "saved.csv"
    plain.write_text(TABLE)
    path.write_bytes(how(TABLE).replace("\n", end).encode("utf-16"))
    one, other = (read_latencies(str(p), "phone", (fbnet(224, 1.0),)) for p in (plain, path))
    assert [(n.name, n.latency_us) for n in one.nets] == [(n.name, n.latency_us) for n in other.nets]
    assert [n.line for n in one.nets] == [n.line for n in other.nets]
    assert one.left_out == other.left_out


def test_a_quoted_number_with_a_comma_is_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "nets.csv"
    path.write_text('net,latency_us\nfbnet_a,"12,345"\n')
    with pytest.raises(LatencyTableError, match=r"latency_us 12,345 may be 12345 or 12\.345"):
        read_latencies(str(path), "phone", ())


@pytest.mark.parametrize(("separator", "decimal"), [(",", "."), (";", ","), ("\t", ",")])
def test_verifys_results_that_a_spreadsheet_saved(tmp_path: Path, separator: str, decimal: str) -> None:
    results = [NetResult(net, 100.5, 101.25, 99.125, 98.125, 100.5) for net in NETS]
    path = tmp_path / "verify.csv"
    write_results(results, path)
    path.write_bytes(saved(path.read_text(), separator, decimal).replace("\n", "\r\n").encode("utf-8-sig"))
    assert list(read_results(path)) == results


def test_the_operators_here_are_operators() -> None:
    assert all(parse_operator(row.operator).name == row.operator for row in LUT.rows)
