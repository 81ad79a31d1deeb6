"""`lutbench diff` in a process of its own."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lutbench.cli.diff_text import diff_json, print_diff
from lutbench.cli.render import print_json
from lutbench.lut.diff import diff
from lutbench.lut.file import write_lut
from lutbench.lut.row import failed_row
from lutbench.lut.table import Lut
from lutbench.space.fbnet import fbnet
from tests.cli.running import one_line, run
from tests.json_keys import check_keys
from tests.lut.made import METADATA, clocked, made_lut, made_row, with_row, without
from tests.tiers import examples

OPERATORS = [op for op in fbnet(224, 1.0).operators if op.is_measured]
BLOCK = "ir_k5_e6_g1_64x14x14_64_s1"


EXTREMES = st.sampled_from([1e-300, 0.001, 1.0, 1e12, 1e300, 1.7e308])


@given(st.lists(EXTREMES, min_size=1), st.lists(EXTREMES, min_size=1))
@example([1.7e308], [1.7e308])  # nets' sums overflow in both
@settings(deadline=None, max_examples=examples(20))  # each predicts every net of the zoo twice
def test_any_latencies_can_be_rendered(a_us: list[float], b_us: list[float]) -> None:
    a, b = (
        Lut(METADATA, tuple(made_row(op.name, us[n % len(us)], 0.0) for n, op in enumerate(OPERATORS)))
        for us in (a_us, b_us)
    )
    found = diff(a, b)
    with redirect_stdout(io.StringIO()) as text:
        print_diff(found, 3)
    assert "geometric mean of" in text.getvalue() and "nan" not in text.getvalue()
    with redirect_stdout(io.StringIO()) as text:
        print_json(diff_json(found))
    assert len(json.loads(text.getvalue())["operators"]) == len(found.operators)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """a.csv; b.csv, whose 5x5 blocks are half as slow again, on a clock 2 % slower; others that do not fit."""
    slower = made_lut(lambda op: 1.5 if op.kernel == 5 else 1.0)
    slower = with_row(without(slower, "fc_1984_1000"), failed_row("pool_1504x7x7", "crashed"))
    write_lut(clocked(made_lut(), 40.0), tmp_path / "a.csv")
    write_lut(clocked(slower, 40.8), tmp_path / "b.csv")
    write_lut(made_lut(dtype="fp32", threads=2), tmp_path / "fp32.csv")
    write_lut(made_lut(space=fbnet(192, 0.5)), tmp_path / "small.csv")
    write_lut(made_lut(runtime="executorch 0.5"), tmp_path / "executorch.csv")
    write_lut(made_lut(provenance="estimated", origin={"source": "a paper"}), tmp_path / "estimated.csv")
    return tmp_path


def test_what_a_person_reads(folder: Path) -> None:
    done = run("diff", "a.csv", "b.csv", "--top", "2", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    text = done.stdout
    assert text.startswith("B is 1.197x slower than A")
    assert "\nA  a.csv: host, onnxruntime 1.31.1, int8, 1 thread, measured" in text
    assert (
        "than A: geometric mean of 108 operators, of which 48 significantly slower and 0 significantly faster" in text
    )
    assert "note: the clock differed: the small canary took 1.020x" in text
    assert "1 operator in A only: fc_1984_1000" in text
    assert "1 operator not compared: pool_1504x7x7 (failed: crashed in B)" in text
    assert "ir, kernel 5" in text and "1.500" in text
    assert "12.0 us ±0.5 %" in text and "18.0 us ±0.5 %" in text and "1.500 *" in text
    assert "fbnet_b" in text and "fbnet_96_035_1" in text


def test_all_lists_every_operator(folder: Path) -> None:
    text = run("diff", "a.csv", "b.csv", "--all", cwd=folder).stdout
    kinds = ("ir_", "conv_", "fc_", "pool_", "stem_", "runtime_")
    assert sum(line.strip().startswith(kinds) for line in text.splitlines()) == 108
    assert "ir_" not in run("diff", "a.csv", "b.csv", "--top", "0", cwd=folder).stdout


def test_json(folder: Path) -> None:
    found = json.loads(run("diff", "a.csv", "b.csv", "--json", cwd=folder).stdout)
    check_keys("diff", found)
    assert found["geomean_ratio"] == pytest.approx(1.5 ** (48 / 108))
    assert found["only_in_a"] == ["fc_1984_1000"] and found["only_in_b"] == []
    row = next(row for row in found["operators"] if row["operator"] == BLOCK)
    assert row == {
        "operator": BLOCK,
        "a_us": 12.0,
        "a_ci_low_us": 11.94,
        "a_ci_high_us": 12.06,
        "b_us": 18.0,
        "b_ci_low_us": 17.91,
        "b_ci_high_us": 18.09,
        "ratio": 1.5,
        "usual_ratio": pytest.approx(1.0, abs=0.01),
        "significant": True,
    }
    assert found["failed"] == [{"operator": "pool_1504x7x7", "a_status": "ok", "b_status": "failed: crashed"}]
    assert set(found["groups"]) == {"kernel", "expansion", "groups", "feature_map", "kind"}
    wins = {"faster_in_a": 48, "faster_in_b": 0, "significant": 48}
    group = {"value": "5", "count": 48, "geomean_ratio": pytest.approx(1.5), **wins}
    assert found["groups"]["kernel"][1] == group
    assert found["clock_ratio"] == pytest.approx(1.02) and "1.020x" in found["notes"][0]
    nets = {net["net"]: net for net in found["nets"]}
    assert set(nets) | set(found["nets_not_covered"]) >= {"fbnet_a", "fbnet_b", "fbnet_96_035_1"}
    assert all(net["ratio"] == pytest.approx(net["b_us"] / net["a_us"]) for net in nets.values())
    assert found["warnings"] == [] and found["a"]["device"] == "host"


def test_csv_holds_every_row(folder: Path) -> None:
    run("diff", "a.csv", "b.csv", "--csv", "out/rows.csv", cwd=folder)
    frame = pd.read_csv(folder / "out" / "rows.csv").set_index("operator")
    assert len(frame) == 108 and frame["significant"].sum() == 48
    assert frame["ratio"][BLOCK] == 1.5 and frame["b_ci_high_us"][BLOCK] == 18.09
    before = (folder / "a.csv").read_bytes()
    assert "is one of the LUTs" in one_line(run("diff", "a.csv", "b.csv", "--csv", "./a.csv", cwd=folder), 2)
    assert (folder / "a.csv").read_bytes() == before


def test_fail_over_is_an_exit_status_and_one_line(folder: Path) -> None:
    passed = run("diff", "a.csv", "b.csv", "--fail-over", "1.51", cwd=folder)
    assert (passed.returncode, passed.stderr) == (0, "")
    failed = run("diff", "a.csv", "b.csv", "--fail-over", "45%", "--each-operator", "--json", cwd=folder)
    assert failed.returncode == 1 and json.loads(failed.stdout)["geomean_ratio"] < 1.45
    (line,) = failed.stderr.splitlines()
    assert "B / A is 1.5 for operator" in line and "above 1.45 (48 of 108 operators" in line


def test_the_gate_looks_at_the_mean_and_at_nets_unless_told_otherwise(folder: Path) -> None:
    """One operator of a hundred that differs is what two runs on an unchanged machine give."""
    lut = with_row(made_lut(), made_row(BLOCK, 12.8, 0.005))
    write_lut(lut, folder / "one.csv")
    assert run("diff", "a.csv", "one.csv", "--fail-over", "1.05", cwd=folder).returncode == 0
    each = run("diff", "a.csv", "one.csv", "--fail-over", "1.05", "--each-operator", cwd=folder)
    assert each.returncode == 1 and f"for operator {BLOCK}" in each.stderr
    mean = run("diff", "a.csv", "b.csv", "--fail-over", "1.05", cwd=folder)
    assert mean.returncode == 1 and "for the geometric mean of all operators" in mean.stderr


def test_warnings_and_notes_are_on_standard_error(folder: Path) -> None:
    other = run("diff", "a.csv", "executorch.csv", cwd=folder)
    assert other.returncode == 0 and "warning: the runtimes differ" in other.stderr
    estimated = run("diff", "a.csv", "estimated.csv", cwd=folder)
    assert estimated.returncode == 0 and "not measured by lutbench" in estimated.stderr
    forced = run("diff", "a.csv", "fp32.csv", "--force", "--json", cwd=folder)
    assert forced.stderr.count("warning: compared by force") == 2
    assert len(json.loads(forced.stdout)["warnings"]) == 2


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["a.csv", "fp32.csv"], 2, "dtype int8 in A and fp32 in B, threads 1 in A and 2 in B; --force"),
        (["a.csv", "small.csv"], 2, "A is fbnet at 224, width 1, B is fbnet at 192, width 0.5"),
        (["a.csv"], 2, "Missing argument 'B'"),
        (["a.csv", "none.csv"], 4, "none.csv: no such file"),
        (["a.csv", "b.csv", "--fail-over", "0"], 2, "'0' is no ratio: 1.05, or 5%"),
        (["a.csv", "b.csv", "--fail-over", "nan"], 2, "'nan' is no ratio"),
        (["a.csv", "b.csv", "--fail-over", "inf"], 2, "'inf' is no ratio"),
        (["a.csv", "b.csv", "--each-operator"], 2, "--each-operator is of --fail-over"),
        (["a.csv", "b.csv", "--csv", "/proc/none/x.csv"], 2, "cannot write"),
    ],
)
def test_errors_are_one_line(folder: Path, arguments: list[str], status: int, text: str) -> None:
    assert text in one_line(run("diff", *arguments, cwd=folder), status)
