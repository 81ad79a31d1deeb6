"""Streams that cannot be written, and outputs: nothing stops a run's measuring, and the status says what was lost."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lutbench.files import check_writable, write_atomically
from lutbench.lut.file import read_lut
from tests.cli.running import COMMAND, one_line, run

READER_GONE = 141
LUT = Path(__file__).parent.parent.parent / "luts" / "s8.csv"
full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
# closes its end of the pipe before anything is written to it
DEAF = f"{shlex.quote(sys.executable)} -c 'import os; os.close(0); os.write(2, b\"closed\\n\")'"


def shell(line: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A line of bash in which LUTBENCH is the command; its status is that of the first program of a pipe."""
    text = re.sub(r"\bLUTBENCH\b", shlex.join(COMMAND), line) + "; exit ${PIPESTATUS[0]}"
    return subprocess.run(["bash", "-c", text], capture_output=True, text=True, cwd=cwd, timeout=120, check=False)


def profile_line(folder: Path) -> str:
    return f"LUTBENCH profile --space {folder}/tiny.toml -o out.csv --max-rounds 12"


@pytest.mark.parametrize("command", ["nets", "--help", f"show {LUT}", f"show {LUT} --json", "devices"])
def test_a_reader_that_has_gone_is_no_failed_check(command: str, tmp_path: Path) -> None:
    done = shell(f"(sleep 0.1; LUTBENCH {command}) | {DEAF}", tmp_path)
    assert done.returncode == READER_GONE
    assert "Traceback" not in done.stderr and "lutbench: " not in done.stderr


def test_a_check_that_fails_still_does_where_nobody_reads(tmp_path: Path) -> None:
    other = LUT.with_name("iphonex.csv")
    done = shell(f"(sleep 0.1; LUTBENCH diff {LUT} {other} --fail-over 1.01) | {DEAF}", tmp_path)
    assert done.returncode == 1


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_as_the_null_device(closed: str, tmp_path: Path) -> None:
    done = shell(f"LUTBENCH nets {closed}", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@full
def test_what_bench_measured_is_kept_where_its_output_is_full(tmp_path: Path) -> None:
    """The next run, once there is space, tells it; nothing is measured again. A net that failed hides nothing."""
    line = "LUTBENCH bench mobilenet_v2@32x0.35 none.onnx --max-rounds 12 --json"
    done = shell(f"{line} >/dev/full", tmp_path)
    assert done.returncode == 2, done.stderr
    assert "lutbench: standard output: cannot write: No space left on device; free some space and run" in done.stderr
    again = shell(line, tmp_path)
    assert "going on after 12 rounds" in again.stderr
    assert again.returncode == 3
    assert [net["status"] for net in json.loads(again.stdout)["nets"]] == ["ok", "failed: no such file"]


@full
def test_a_full_disk_behind_standard_output_is_one_line(tmp_path: Path) -> None:
    assert "No space left" in one_line(shell("LUTBENCH nets >/dev/full", tmp_path), 2)
    assert shell("LUTBENCH show none.csv 2>/dev/full", tmp_path).returncode == 4


@pytest.mark.parametrize(
    ("redirected", "status"),
    [("2>&-", 0), pytest.param("2>/dev/full", 0, marks=full), (f"2>&1 | {DEAF}", READER_GONE)],
)
def test_measuring_goes_on_without_its_progress(redirected: str, status: int, measured: Path, tmp_path: Path) -> None:
    done = shell(f"{profile_line(measured.parent)} {redirected}", tmp_path)
    assert done.returncode == status, done.stderr
    assert read_lut(tmp_path / "out.csv").rows
    journal = (tmp_path / "out.journal" / "r1.jsonl").read_text()
    assert all(json.loads(line) for line in journal.splitlines())  # nothing that was meant for a stream


def test_a_name_that_is_too_long_is_known_before_measuring(measured: Path, tmp_path: Path) -> None:
    done = run("profile", "--space", str(measured.parent / "tiny.toml"), "-o", f"{'n' * 300}.csv", cwd=tmp_path)
    assert "File name too long" in one_line(done, 2)
    assert not list(tmp_path.rglob("*.jsonl"))
    longest = tmp_path / ("n" * 251 + ".csv")
    check_writable(longest)
    write_atomically(longest, b"whole")
    assert longest.read_bytes() == b"whole"


def test_parts_that_a_killed_run_left_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "host.csv"
    left, another = tmp_path / ".host.csv.x1.part", tmp_path / ".host.csv.x2.part"
    left.touch()
    another.touch()
    os.utime(left, (0, 0))
    write_atomically(path, b"whole")
    assert sorted(tmp_path.iterdir()) == [another, path]


@pytest.mark.parametrize(
    "environment",
    [
        {"HOME": None},
        {"HOME": "/proc"},
        {"TMPDIR": "/nowhere"},
        {"TERM": None},
        {"LANG": "C", "LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"},
    ],
)
def test_a_bare_environment_just_works(
    environment: dict[str, str | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    done = run("show", str(LUT), cwd=tmp_path)
    assert done.returncode == 0 and "slowest operators" in done.stdout, done.stderr


def test_too_few_descriptors_are_one_line(measured: Path, tmp_path: Path) -> None:
    line = profile_line(measured.parent)
    for limit in (8, 12):
        done = shell(f"ulimit -n {limit}; LUTBENCH_CACHE=cache {line}", tmp_path)
        assert done.returncode in (2, 3), done.stderr
        assert len(done.stderr.splitlines()) == 1 and "open files" in done.stderr


@pytest.mark.parametrize("folder", ["/proc", "/proc/self"])
def test_a_current_folder_that_cannot_be_written_is_one_line(folder: str) -> None:
    if not Path(folder).is_dir():
        pytest.skip("this system has no /proc")
    assert "cannot write there" in one_line(run("profile", cwd=Path(folder)), 2)
    assert run("nets", cwd=Path(folder)).returncode == 0
