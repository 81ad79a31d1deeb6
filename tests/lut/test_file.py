from __future__ import annotations

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lutbench.errors import LutError, OutputError
from lutbench.files import check_writable, write_atomically
from lutbench.lut.file import format_lut, parse_lut, read_lut, write_lut
from lutbench.lut.metadata import ContextSection, Metadata, SpaceSection
from lutbench.lut.row import Row, failed_row, identity_row
from lutbench.lut.table import Lut
from lutbench.space.fbnet import fbnet

OPERATORS = [operator.name for operator in fbnet(224, 1.0).operators if operator.is_measured]
SPACE = SpaceSection("fbnet", (224,), (1.0,))
METADATA = Metadata("host", "onnxruntime 1.31.1", "int8", 1, SPACE, quality={"target": 0.01})


def row(operator: str, latency_us: float = 10.0) -> Row:
    return Row(operator, latency_us, latency_us * 0.99, latency_us * 1.01, latency_us, latency_us, latency_us, 36, 12)


@pytest.fixture
def lut() -> Lut:
    names = ["fc_1504_1000", "identity_64x14x14", "ir_k5_e6_g1_64x14x14_64_s1", "pool_1504x7x7", "runtime_overhead"]
    rows = [
        row(names[0], 29.5),
        identity_row(names[1]),
        row(names[2], 127.125),
        failed_row(names[3], "died, of #1"),
        row(names[4], 2.5),
    ]
    return Lut(METADATA, tuple(rows))


def numbers() -> st.SearchStrategy[float]:
    return st.floats(0.001, 1e7).map(lambda value: round(value, 3))


@st.composite
def rows(draw: st.DrawFn) -> Row:
    low, mid, high = sorted(draw(st.lists(numbers(), min_size=3, max_size=3)))
    least, p10, p90 = sorted(draw(st.lists(numbers(), min_size=3, max_size=3)))
    operator = draw(st.sampled_from(OPERATORS))
    if draw(st.booleans()):
        return failed_row(operator, draw(st.text(max_size=40)))
    return Row(operator, mid, low, high, least if least <= p10 else p10, p90, least, draw(st.integers(0, 9999)), 12)


@st.composite
def luts(draw: st.DrawFn) -> Lut:
    found = {item.operator: item for item in draw(st.lists(rows(), max_size=20))}
    texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
    context = ContextSection(
        depth=draw(st.integers(0, 9)), scale=1.07, scale_ci_low=1.0, scale_ci_high=1.1, nets=("a:1:b",), nets_us=(5.5,)
    )
    if draw(st.booleans()):
        context = replace(context, warm_share=0.25, warm_size_us=450.125, warm_power=draw(st.sampled_from([1.0, 3.0])))
    metadata = replace(
        METADATA,
        device=draw(texts),
        revision=draw(st.integers(1, 1000)),
        context=context,
        environment={"cpu": draw(texts), "cores": 2, "pinned_to": [1]},
        quality={"within_target": 0.95, "additivity": {"nets": 200}},
        space=replace(SPACE, definition=draw(st.sampled_from(["", 'name = "x"\n\n[stem] # "quoted" \\ \n']))),
    )
    return Lut(metadata, tuple(found[name] for name in sorted(found)))


def same(a: Row, b: Row) -> bool:
    return repr(a) == repr(b)  # NaN equals NaN here


@given(luts())
def test_a_lut_survives_its_file(lut: Lut) -> None:
    again = parse_lut(format_lut(lut), Path("x.csv"))
    assert again.metadata == lut.metadata
    assert len(again.rows) == len(lut.rows)
    assert all(same(a, b) for a, b in zip(again.rows, lut.rows, strict=True))
    assert format_lut(again) == format_lut(lut)


def test_an_expansion_of_many_decimals_survives_its_file() -> None:
    name = "ir_k3_e0.333333_g1_12x7x7_12_s1"
    assert parse_lut(format_lut(Lut(METADATA, (row(name),))), Path("x.csv")).rows[0].operator == name


def test_pandas_and_git_can_read_it(lut: Lut, tmp_path: Path) -> None:
    import pandas as pd

    path = tmp_path / "host.csv"
    write_lut(lut, path)
    frame = pd.read_csv(path, comment="#")
    assert list(frame["operator"]) == [r.operator for r in lut.rows]
    assert frame["latency_us"].tolist()[:3] == [29.5, 0.0, 127.125]
    assert math.isnan(frame["latency_us"][3]) and frame["status"][3] == "failed: died, of no. 1"
    pd.testing.assert_frame_equal(frame, read_lut(path).to_frame(), check_dtype=False)
    assert path.read_text().splitlines()[0] == "# lutbench_lut = 1"


def damaged(lut: Lut, old: str, new: str) -> str:
    text = format_lut(lut)
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("lutbench_lut = 1", "lutbench_lut = 2", "schema 2 is newer than this lutbench reads"),
        ("# lutbench_lut = 1\n", "", "'# lutbench_lut = 1' is missing"),
        ("rows = 5", "rows = 6", "5 rows where its header says 6"),
        ('device = "host"', "device = 7", "device must be a string"),
        ('device = "host"\n', "x = 1\n", "device is missing"),
        ("threads = 1", "threads = 0", "threads 0 is not positive"),
        ("scale = 1.0", "scale = -1.0", "scale"),
        ("warm_share = 0.0", "warm_share = 1.5", "no net saves a share of 1.5 below 0.0 us"),
        ("warm_power = 1.0", "warm_power = 9.0", "what nets save ends by a power of 9.0, not of 1.0 to 3.0"),
        ("revision = 1", "revision = [", "header is not TOML"),
        ("revision = 1", "revision = " + "9" * 5000, "header is not TOML"),
        ("revision = 1", "revision = " + "9" * 400, "'revision' is a whole number of more than 64 bits"),
        ("scale = 1.0", "scale = inf", "context.scale is inf"),
        ("    1.0,", "    nan,", "space.widths is nan"),
        ('provenance = "measured"', 'provenance = "guessed"', "provenance 'guessed'"),
        ("latency_us,", "latency,", "column latency_us is missing"),
        ("127.125,125", "nan,125", "latency_us is nan, not a number"),
        ("127.125,125", ",125", "latency_us is empty"),
        ("127.125,125", "-127.125,125", "not positive"),
        ("127.125,125", "12x,125", "a cell is not a number"),
        ("127.125,125", "inf,125", "latency_us is inf"),
        ("127.125,125", "0,125", "not positive"),
        ("127.125,125", "100,125", "not inside"),
        (",64,5,1,6,1,", ",64,3,1,6,1,", "column kernel says 3"),
        ("ir_k5_e6_g1_64x14x14_64_s1", "ir_k5_e6_g1_64x14x14_64", "is not an operator's name"),
        ("fc_1504_1000,", "runtime_overhead,", "kind says fc"),
        (",36,12,ok\nidentity", ",36,ok\nidentity", "18 cells where there are 19 columns"),
        (",36,12,ok\nidentity", ",36,x,ok\nidentity", "a cell is not a number"),
        (",36,12,ok\nidentity", ",36,12,fine\nidentity", "neither ok nor"),
    ],
)
def test_bad_files_are_one_line(lut: Lut, old: str, new: str, problem: str) -> None:
    with pytest.raises(LutError, match=problem) as caught:
        parse_lut(damaged(lut, old, new), Path("bad.csv"))
    assert "\n" not in str(caught.value)
    assert "bad.csv" in str(caught.value)
    assert caught.value.exit_status == 4


def test_errors_name_the_line(lut: Lut) -> None:
    text = damaged(lut, "127.125,125", "nan,125")
    line = next(n for n, content in enumerate(text.splitlines(), start=1) if "nan,125" in content)
    with pytest.raises(LutError) as caught:
        parse_lut(text, Path("bad.csv"))
    assert caught.value.line == line


def test_duplicate_and_unsorted_rows(lut: Lut) -> None:
    lines = format_lut(lut).splitlines(keepends=True)
    duplicate = "".join([*lines[:-1], lines[-1], lines[-1]]).replace("rows = 5", "rows = 6")
    with pytest.raises(LutError, match="there twice, first in line"):
        parse_lut(duplicate, Path("x.csv"))
    with pytest.raises(LutError, match="not sorted"):
        parse_lut("".join([*lines[:-2], lines[-1], lines[-2]]), Path("x.csv"))


def test_a_file_cut_off_anywhere_is_refused(lut: Lut) -> None:
    text = format_lut(lut)
    for end in range(len(text) - 1):
        with pytest.raises(LutError):
            parse_lut(text[:end], Path("cut.csv"))
    assert (
        parse_lut(text[:-1], Path("cut.csv")).rows == parse_lut(text, Path("cut.csv")).rows
    )  # the last line is whole without its end


@given(st.binary(max_size=400))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_junk_is_one_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "junk.csv"
    path.write_bytes(data)
    with pytest.raises(LutError):
        read_lut(path)


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_a_damaged_file_is_a_lut_or_one_error(lut: Lut, data: st.DataObject) -> None:
    text = format_lut(lut)
    start = data.draw(st.integers(0, len(text)))
    insert = data.draw(st.text(max_size=8))
    try:
        parse_lut(text[:start] + insert + text[start + data.draw(st.integers(0, 8)) :], Path("x.csv"))
    except LutError as error:
        assert "\n" not in str(error)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(LutError, match="no such file"):
        read_lut(tmp_path / "none.csv")
    with pytest.raises(LutError, match="is a folder"):
        read_lut(tmp_path)


_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from lutbench.errors import OutputError
from lutbench.files import write_atomically
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_atomically(Path(sys.argv[1]), b"x" * 5000)
except OutputError as error:
    print(error)
"""


def test_a_full_disk_leaves_the_old_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "host.csv"
    path.write_text("the old LUT")
    done = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, str(path)], capture_output=True, text=True, check=True, env=os.environ
    )
    assert "cannot write" in done.stdout and "unchanged" in done.stdout
    assert path.read_text() == "the old LUT"
    assert list(tmp_path.iterdir()) == [path]


def test_unwritable_outputs(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "host.csv"):
        with pytest.raises(OutputError) as caught:
            check_writable(path)
        assert caught.value.exit_status == 2
        with pytest.raises(OutputError):
            write_atomically(path, b"x")


def test_a_latency_that_was_not_measured_cannot_be_made() -> None:
    with pytest.raises(LutError, match="not positive"):
        Row("fc_1504_1000", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0)
    with pytest.raises(LutError):
        Row("fc_1504_1000", math.nan, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0)
    with pytest.raises(LutError, match="neither ok nor"):
        Row("fc_1504_1000", 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1, 1, status="")
