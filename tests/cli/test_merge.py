"""`lutbench merge` in a process of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lutbench.lut.file import read_lut, write_lut
from lutbench.space.fbnet import fbnet
from tests.cli.test_main import one_line, run
from tests.json_keys import check_keys
from tests.lut.made import clocked, made_lut, made_row, with_row

BLOCK = "ir_k5_e6_g1_64x14x14_64_s1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_lut(clocked(made_lut(), 40.0), tmp_path / "a.csv")
    write_lut(clocked(made_lut(space=fbnet(192, 0.5)), 42.0), tmp_path / "small.csv")
    write_lut(clocked(with_row(made_lut(), made_row(BLOCK, 20.0, 0.001)), 40.0), tmp_path / "again.csv")
    write_lut(made_lut(dtype="fp32"), tmp_path / "fp32.csv")
    return tmp_path


def test_a_merged_lut_is_written_and_read_by_the_other_commands(folder: Path) -> None:
    done = run("merge", "a.csv", "small.csv", "-o", "out.csv", cwd=folder)
    assert done.returncode == 0 and done.stdout == "out.csv: 231 rows (0 failed): 116 from a.csv, 115 from small.csv\n"
    (warning,) = done.stderr.splitlines()
    assert "1.050x as long for small.csv as for a.csv" in warning
    assert read_lut(folder / "out.csv").metadata.space.resolutions == (224, 192)
    nets = run("predict", "--lut", "out.csv", "fbnet_a", "fbnet_a@192x0.5", "--json", cwd=folder)
    assert [net["net"] for net in json.loads(nets.stdout)["nets"]] == ["fbnet_a", "fbnet_a@192x0.5"]
    missing = one_line(run("predict", "--lut", "out.csv", "fbnet_a@224x0.5", cwd=folder), 4)
    assert "does not cover space fbnet at 224x0.5" in missing


def test_conflicts(folder: Path) -> None:
    found = json.loads(run("merge", "a.csv", "again.csv", "-o", "out.csv", "--json", cwd=folder).stdout)
    check_keys("merge", found)
    assert found["conflicts"] == [BLOCK] and found["rows"] == 116 and found["failed"] == 0
    assert found["sources"] == [{"path": "a.csv", "rows": 115}, {"path": "again.csv", "rows": 1}]
    assert read_lut(folder / "out.csv").by_operator[BLOCK].latency_us == 20.0
    text = run("merge", "a.csv", "again.csv", "-o", "out.csv", cwd=folder).stdout
    assert "different latencies of 1 of them" in text
    refused = run("merge", "a.csv", "again.csv", "-o", "new.csv", "--conflict", "refuse", cwd=folder)
    assert f"operator {BLOCK}: a.csv says 12.000 us and again.csv 20.000 us" in one_line(refused, 2)
    assert not (folder / "new.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["a.csv", "fp32.csv", "-o", "out.csv"], 2, "a.csv and fp32.csv do not merge, they differ in dtype: int8 and"),
        (["a.csv", "-o", "out.csv"], 2, "name two or more"),
        (["a.csv", "small.csv"], 2, "Missing option '-o'"),
        (["a.csv", "small.csv", "-o", "./small.csv"], 2, "is one of the LUTs to merge"),
        (["a.csv", "small.csv", "-o", "/proc/none/x.csv"], 2, "cannot write there"),
        (["a.csv", "none.csv", "-o", "out.csv"], 4, "none.csv: no such file"),
    ],
)
def test_errors_are_one_line_and_change_no_file(folder: Path, arguments: list[str], status: int, text: str) -> None:
    before = {path.name: path.read_bytes() for path in folder.glob("*.csv")}
    assert text in one_line(run("merge", *arguments, cwd=folder), status)
    assert {path.name: path.read_bytes() for path in folder.glob("*.csv")} == before


def test_a_lut_is_not_merged_with_itself(folder: Path) -> None:
    first = next(path.name for path in sorted(folder.glob("*.csv")))
    assert "is named twice" in one_line(run("merge", first, f"./{first}", "-o", "out.csv", cwd=folder), 2)
    assert not (folder / "out.csv").exists()
