"""`lutbench report` as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lutbench.lut.file import write_lut
from lutbench.lut.verify_file import results_path
from tests.cli.running import one_line, run
from tests.report.luts import make_lut


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """a.csv and an estimated b.csv."""
    write_lut(make_lut(), tmp_path / "a.csv")
    write_lut(make_lut(device="pixel", provenance="estimated"), tmp_path / "b.csv")
    return tmp_path


def test_a_page_and_charts(folder: Path) -> None:
    done = run("report", "a.csv", "b.csv", "-o", "out/page.html", "--plot", "charts/two.svg", cwd=folder)
    assert done.returncode == 0, done.stderr
    (note,) = done.stderr.splitlines()
    assert note.startswith("note: b.csv is estimated")
    page, *charts = done.stdout.splitlines()
    assert page == "out/page.html" and (folder / page).read_text().startswith("<!doctype html>")
    assert "charts/two-heatmap-a.svg" in charts and "charts/two-operators.svg" in charts
    assert sorted(str(path.relative_to(folder)) for path in (folder / "charts").iterdir()) == sorted(charts)


def test_charts_alone(folder: Path) -> None:
    done = run("report", "a.csv", "--plot", "one.png", cwd=folder)
    assert done.stdout.splitlines() == [f"one-{name}.png" for name in ("heatmap", "nets", "additivity", "intervals")]
    assert not list(folder.glob("*.html"))


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["a.csv"], 2, "give -o page.html"),
        (["a.csv", "b.csv", "a.csv", "-o", "x.html"], 2, "one LUT or two"),
        (["-o", "x.html"], 2, "Missing argument"),
        (["a.csv", "-o", "a.csv"], 2, "one of the LUTs"),
        (["a.csv", "b.csv", "-o", "sub/../b.csv"], 2, "one of the LUTs"),
        (["a.csv", "-o", "/proc/none/x.html"], 2, "cannot write there"),
        (["a.csv", "-o", "."], 2, "is a folder"),
        (["a.csv", "--plot", "x.pdf"], 2, ".pdf is not a format of pictures"),
        (["a.csv", "--plot", "x"], 2, "no suffix is not a format"),
        (["a.csv", "--plot", "/proc/none/x.png"], 2, "cannot write there"),
        (["none.csv", "-o", "x.html"], 4, "no such file"),
    ],
)
def test_errors_are_one_line_and_leave_no_page(arguments: list[str], status: int, text: str, folder: Path) -> None:
    before = (folder / "a.csv").read_bytes(), (folder / "b.csv").read_bytes()
    assert text in one_line(run("report", *arguments, cwd=folder), status)
    assert ((folder / "a.csv").read_bytes(), (folder / "b.csv").read_bytes()) == before
    assert not list(folder.glob("x*"))


def test_damaged_results_of_verify_are_one_line(folder: Path) -> None:
    write_lut(make_lut(quality={"additivity": {"nets": 3}}), folder / "a.csv")
    path = results_path(folder / "a.csv", 1)
    path.parent.mkdir()
    path.write_bytes(b"\xff")
    line = one_line(run("report", "a.csv", "-o", "x.html", cwd=folder), 4)
    assert "verify-r1.csv" in line and "lutbench verify" in line


def test_a_link_to_a_lut_is_that_lut(folder: Path) -> None:
    (folder / "link.html").symlink_to(folder / "a.csv")
    assert "one of the LUTs" in one_line(run("report", "a.csv", "-o", "link.html", cwd=folder), 2)


def test_a_page_loads_nothing_heavy_but_matplotlib(folder: Path) -> None:
    """What makes reading a LUT quick is not undone: no torch, no scipy for a page."""
    code = (
        "import sys\nfrom lutbench.cli.main import main\n"
        "try: main(['report', 'a.csv', '-o', 'x.html'])\nexcept SystemExit: pass\n"
        "print([m for m in ('torch', 'onnx', 'onnxruntime', 'pandas', 'scipy') if m in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder)
    assert done.stdout.splitlines()[-1] == "[]"


def test_diff_writes_the_same_page(folder: Path) -> None:
    assert run("diff", "a.csv", "b.csv", "--html", "diff.html", cwd=folder).returncode == 0
    assert run("report", "a.csv", "b.csv", "-o", "report.html", cwd=folder).returncode == 0
    assert (folder / "diff.html").read_bytes() == (folder / "report.html").read_bytes()
