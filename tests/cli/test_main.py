"""The real command in a process of its own: statuses, one-line errors, JSON, interruption and kill."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lutbench.cli.main import COMMANDS, GROUPS
from lutbench.lut.file import read_lut
from lutbench.space.architecture import Architecture, write_architecture
from lutbench.space.find import find_spaces
from lutbench.space.net import parse_net
from tests.cli.running import START_TIMEOUT_S, one_line, run, started
from tests.conftest import TINY_TOML
from tests.json_keys import check_keys


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_every_command_has_help(command: str | None, tmp_path: Path) -> None:
    done = run(*([command] if command else []), "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "Usage: lutbench" in done.stdout and done.stderr == ""


def test_without_a_command_it_says_where_to_begin(tmp_path: Path) -> None:
    done = run(cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    named = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("  lutbench ")]
    assert named and set(named) <= set(COMMANDS) and len(done.stdout.splitlines()) <= 12
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


def test_every_command_stands_in_one_group_of_the_help(tmp_path: Path) -> None:
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(COMMANDS)
    text = run("--help", cwd=tmp_path).stdout
    assert all(f"{title}:" in text for title in GROUPS)


def test_help_and_show_load_nothing_heavy(measured: Path) -> None:
    """What makes --help and show quick, asserted without a clock."""
    for arguments in (["--help"], ["show", str(measured)]):
        code = (
            "import sys\nfrom lutbench.cli.main import main\n"
            f"try: main({arguments!r})\nexcept SystemExit: pass\n"
            "print([m for m in ('torch', 'onnx', 'onnxruntime', 'pandas', 'scipy', 'numpy') if m in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "[]"


def test_a_real_lut_of_this_machine(measured: Path) -> None:
    lut = read_lut(measured)
    assert not [row.status for row in lut.rows if not row.is_ok]
    block = lut.by_operator["ir_k5_e2_g1_8x16x16_8_s1"]
    assert block.latency_us > lut.overhead_us > 0
    assert block.min_us <= block.latency_us and block.rounds >= 6
    assert lut.metadata.runtime.startswith("onnxruntime ")
    assert lut.metadata.environment["cpu"]


def test_show(measured: Path) -> None:
    done = run("show", measured.name, "--json", cwd=measured.parent)
    found = json.loads(done.stdout)
    keys = {"device", "provenance", "runtime", "dtype", "threads", "rows", "failed", "within_target"}
    assert keys <= set(found)
    check_keys("show", found)
    assert (found["device"], found["provenance"], found["failed"]) == ("host", "measured", 0)
    text = run("show", measured.name, "--slowest", "3", cwd=measured.parent).stdout
    assert "slowest operators" in text and "revision 1" in text


def test_predict(measured: Path) -> None:
    nets = ["k3_e1,skip|k5_e2,k3_e2_g2", "k5_e2 k5_e2 k5_e2 k5_e2"]
    done = run("predict", "--lut", measured.name, *nets, "--json", cwd=measured.parent)
    check_keys("predict", json.loads(done.stdout))
    small, large = json.loads(done.stdout)["nets"]
    assert small["net"] == nets[0]
    assert 0 < small["latency_us"] < large["latency_us"]
    assert large["ci_low_us"] <= large["latency_us"] <= large["ci_high_us"]
    file = "found@32x1.0.json"
    net = parse_net(nets[0], find_spaces(str(measured.parent / "tiny.toml"), (), (1.0,))[0][0], "found")
    write_architecture(Architecture(net, {}, 0, TINY_TOML), measured.parent / file)
    (same,) = json.loads(run("predict", "--lut", measured.name, file, "--json", cwd=measured.parent).stdout)["nets"]
    assert same == {**small, "net": file}


def test_verify_writes_its_summary_and_checks_a_limit(measured: Path, tmp_path: Path) -> None:
    lut = tmp_path / "tiny.csv"
    lut.write_bytes(measured.read_bytes())
    # twelve: a busy machine may give none of a few rounds of a net that counts, and the net would be left out
    arguments = ["verify", "--lut", str(lut), "--nets", "6", "--rounds", "12"]
    done = run(*arguments, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    keys = "mean_abs_error max_abs_error within_1pct within_3pct within_5pct within_10pct kendall_tau spearman"
    assert {"nets", "noise_mean", "noise_max", "noise_tau", *keys.split()} <= set(found)
    check_keys("verify", found)
    assert found["nets"] == 6 and len(found["details"]) == 6
    assert read_lut(lut).metadata.quality["additivity"]["nets"] == 6
    named, before = [detail["net"] for detail in found["details"][:2]], lut.read_bytes()
    again = run("verify", "--lut", str(lut), *named, "--rounds", "12", "--json", cwd=tmp_path)
    assert [detail["net"] for detail in json.loads(again.stdout)["details"]] == named and lut.read_bytes() == before
    strict = run(*arguments, "--max-error", "0.0000001", cwd=tmp_path)
    assert strict.returncode == 1
    assert "is above" in strict.stderr.splitlines()[-1]


def test_devices_and_nets(tmp_path: Path) -> None:
    found = json.loads(run("devices", "--json", cwd=tmp_path).stdout)
    check_keys("devices", found, rarely=("phones[].", "iphones[]."))
    devices = found["devices"]
    assert {"host", "android-s8", "iphonex"} <= {device["name"] for device in devices}
    nets = {net["net"]: net for net in json.loads(run("nets", "--json", cwd=tmp_path).stdout)["nets"]}
    assert round(nets["fbnet_a"]["mmacs"], 2) == 249.92
    assert {"net", "mmacs", "params_m", "resolution"} <= set(nets["fbnet_c"])
    assert "fbnet_iphonex" in run("nets", cwd=tmp_path).stdout


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["profil"], 2, "there is no command 'profil': did you mean profile?"),
        (["profile", "--device", "hostt"], 2, "did you mean host"),
        (["profile", "--device", "iphonex"], 3, "no usbmuxd answers at"),
        (["profile", "--space", "fbnet9"], 2, "no space is called"),
        (["profile", "--space", "none.toml"], 4, "no such file"),
        (["profile", "--resolution", "224,big"], 2, "'big' is not a number"),
        (["profile", "--runtime", "tflite"], 2, "no runtime is called"),
        (["profile", "--dtype", "int4"], 2, "no dtype"),
        (["profile", "--threads", "0"], 2, "threads"),
        (["profile", "--target", "7"], 2, "--target"),
        (["profile", "-o", "/proc/none/x.csv"], 2, "cannot write there"),
        (["show"], 2, "Missing argument"),
        (["show", "none.csv"], 4, "no such file"),
        (["show", "junk.csv"], 4, "not UTF-8"),
        (["predict", "--lut", "none.csv", "fbnet_a"], 4, "no such file"),
        (["nets", "none.json"], 4, "none.json: no such file"),
        (["nets", "empty.json"], 4, "empty.json: is not an architecture"),
        (["bench", "empty.json"], 4, "empty.json: is not an architecture"),
        (["verify", "--lut", "none.csv"], 4, "no such file"),
        (["verify", "--seed", "3", "fbnet_a", "fbnet_b"], 2, "--seed is of random nets, and fbnet_a names one"),
        (["predict", "fbnet_a"], 2, "no LUT is given; --lut LUT, or `lutbench profile` first"),
    ],
)
def test_errors_are_one_line_with_a_status(arguments: list[str], status: int, text: str, tmp_path: Path) -> None:
    (tmp_path / "junk.csv").write_bytes(b"\x89PNG\xff\x00")
    (tmp_path / "empty.json").write_text("{}")
    assert text in one_line(run(*arguments, cwd=tmp_path), status)


def test_a_net_that_does_not_fit(measured: Path) -> None:
    assert "layer 1 of space tiny" in one_line(
        run("predict", "--lut", measured.name, "k7_e6,skip,skip,skip", cwd=measured.parent), 2
    )
    assert "2 candidates" in one_line(run("predict", "--lut", measured.name, "skip,skip", cwd=measured.parent), 2)
    assert "does not cover space fbnet" in one_line(
        run("predict", "--lut", measured.name, "fbnet_a", cwd=measured.parent), 4
    )


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    assert "Traceback" in run("--debug", "show", "none.csv", cwd=tmp_path).stderr


def start(folder: Path, journal_lines: int) -> subprocess.Popen[str]:
    """A real profile of the tiny space that never reaches its target, its journal this many lines long."""
    endless = ("--target", "0.0001", "--max-rounds", "100000")
    process = started("profile", "--space", "tiny.toml", "-o", "out.csv", *endless, cwd=folder)
    journal = folder / "out.journal" / "r1.jsonl"
    deadline = time.monotonic() + START_TIMEOUT_S
    while not (journal.exists() and journal.read_bytes().count(b"\n") >= journal_lines):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the run did not start"
        time.sleep(0.005)
    return process


def visits(journal: Path) -> list[tuple[str, int, int]]:
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    return [(r["operator"], r["depth"], r["round"]) for r in records if "operator" in r]


@pytest.mark.parametrize("journal_lines", [2, 300])
def test_kill_9_and_run_again(measured: Path, tiny_file: Path, journal_lines: int) -> None:
    folder = tiny_file.parent
    process = start(folder, journal_lines)
    process.kill()
    process.communicate()
    journal = folder / "out.journal" / "r1.jsonl"
    data = journal.read_bytes()
    held = data[: data.rfind(b"\n") + 1]
    done = run("profile", "--space", "tiny.toml", "-o", "out.csv", "--max-rounds", "30", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert journal.read_bytes().startswith(held)
    found = visits(journal)
    assert len(found) == len(set(found))
    assert [row.operator for row in read_lut(folder / "out.csv").rows] == [r.operator for r in read_lut(measured).rows]


def test_ctrl_c_says_how_to_go_on_and_a_second_run_is_refused(measured: Path, tiny_file: Path) -> None:
    assert measured.exists()  # its artifacts are in the cache: this run measures at once
    folder = tiny_file.parent
    process = start(folder, 50)
    second = run("profile", "--space", "tiny.toml", "-o", "other.csv", cwd=folder)
    assert "another lutbench is measuring on this device" in one_line(second, 3)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert output == ""
    assert "interrupted" in errors.splitlines()[-1] and "the same command goes on" in errors.splitlines()[-1]
    done = run("profile", "--space", "tiny.toml", "-o", "out.csv", "--max-rounds", "30", cwd=folder)
    assert done.returncode == 0
    assert "going on after" in done.stderr
