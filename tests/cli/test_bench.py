"""The real `lutbench bench` on this machine: tables, JSON, statuses, interruption and kill."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from lutbench.cli.bench import print_comparison
from lutbench.errors import DeviceError
from lutbench.jobs.paper_tables import compare, paper_table
from tests.cli.running import COMMAND, START_TIMEOUT_S, one_line, run, started
from tests.json_keys import check_keys
from tests.onnx_models import convolution, tokens

QUICK = ("--max-rounds", "12")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    convolution(tmp_path / "conv.onnx", ("N", 3, 32, 32))
    tokens(tmp_path / "tokens.onnx")
    (tmp_path / "junk.onnx").write_bytes(os.urandom(300))
    return tmp_path


def test_nets_and_files_beside_a_lut(measured: Path, folder: Path) -> None:
    nets = ["k3_e1,skip|k5_e2,k3_e2_g2", "conv.onnx", "tokens.onnx", "mobilenet_v2@32x0.35"]
    options = ["--lut", str(measured), "--shape", "ids=1,9", "-o", "out.csv", *QUICK]
    done = run("bench", *nets, *options, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    check_keys("bench", found, rarely=("paper[].",))
    assert [net["net"] for net in found["nets"]] == nets
    for net in found["nets"]:
        assert 0 < net["ci_low_us"] <= net["latency_us"] <= net["ci_high_us"]
        assert net["status"] == "ok" and net["rounds"] >= 6 and net["samples"] > net["rounds"]
    predicted = [net["predicted_us"] for net in found["nets"]]
    assert predicted[0] > 0 and predicted[1:] == [None] * 3
    assert found["nets"][1]["mmacs"] == pytest.approx(32 * 32 * 4 * 27 / 1e6)
    rows = list(csv.DictReader((folder / "out.csv").read_text().splitlines()))
    assert [row["net"] for row in rows] == [*nets[:3], "mobilenet_v2"]
    assert [float(row["latency_us"]) for row in rows] == pytest.approx(
        [n["latency_us"] for n in found["nets"]], abs=1e-3
    )


def test_what_fails_is_in_the_table_and_in_the_status(folder: Path) -> None:
    done = run("bench", "conv.onnx", "junk.onnx", "none.onnx", *QUICK, cwd=folder)
    assert done.returncode == 3
    lines = done.stdout.splitlines()
    assert any("conv.onnx" in line and " ok" in line for line in lines)
    assert any("junk.onnx" in line and "failed: not an ONNX model" in line for line in lines)
    assert any("none.onnx" in line and "failed: no such file" in line for line in lines)
    assert done.stderr.splitlines()[-1] == "lutbench: device host: 2 of 3 nets failed: junk.onnx, none.onnx"
    assert DeviceError.exit_status == 3 and "Traceback" not in done.stderr


def test_a_net_that_code_makes(folder: Path) -> None:
    (folder / "my_nets.py").write_text(
        "from torch import nn\n"
        "def small():\n"
        "    return nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(2048, 5))\n"
        "def broken():\n    raise KeyError('weights')\n"
    )
    nets = ["my_nets:small@32", "my_nets:broken", "no_such_module_here:net"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([".", os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [*COMMAND, "bench", *nets, *QUICK, "--json"], capture_output=True, text=True, cwd=folder, env=environment
    )
    assert done.returncode == 3, done.stderr
    small, broken, missing = json.loads(done.stdout)["nets"]
    assert small["status"] == "ok" and small["latency_us"] > 0
    assert small["mmacs"] == pytest.approx((16 * 16 * 8 * 27 + 2048 * 5) / 1e6)
    assert "KeyError: 'weights'" in broken["status"]
    assert "no module is called no_such_module_here" in missing["status"]


def test_a_table_of_the_paper(capsys: pytest.CaptureFixture[str]) -> None:
    def printed(number: int, latency_us: dict[str, float]) -> list[str]:
        print_comparison(compare(paper_table(number), latency_us), "host")
        return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]

    lines = printed(5, {"fbnet_s8": 2_212.0, "fbnet_iphonex": 2_000.0})
    assert "fbnet_s8 22.12 27.53 2.212 0.100 0.080" in lines
    assert any("with the S8 -1.000, iPhone X 1.000" in line for line in lines)
    lines = printed(4, {"mnasnet@128x1.0": 920.0})
    assert "mnasnet@128x1.0 9.20 0.920 0.100" in lines and "mobilenet_v2@96x0.35 3.80 - -" in lines
    assert "fbnet_224_035@224x0.35" in lines[-1] and lines[-1].endswith("its architecture is not published")


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        ([], 2, "no net to time"),
        (["fbnet_z"], 2, "did you mean fbnet_"),
        (["skip,skip"], 2, "2 candidates"),
        (["conv.onnx", "--shape", "x"], 2, "not [MODEL:]INPUT=SIZES"),
        (["conv.onnx", "--shape", "x=1,-3"], 2, "not [MODEL:]INPUT=SIZES"),
        (["conv.onnx", "--value", "x=much"], 2, "not [MODEL:]INPUT=NUMBERS"),
        (["conv.onnx", "--input", "x="], 2, "not [MODEL:]INPUT=FILE.npy"),
        (["conv.onnx", "--shape", "x=1,3,8,8", "--shape", "x=1,3,9,9"], 2, "--shape x is there twice"),
        (["conv.onnx", "--shape", "tokens:x=1,3,8,8"], 2, "no model has an input of this name"),
        (["conv.onnx", "--value", "x=1", "--input", "x=x.npy"], 2, "has its values twice"),
        (["conv.onnx", "--shape", "y=1"], 2, "no model has an input of this name; they have x"),
        (["conv.onnx", "--dtype", "int4"], 2, "no dtype"),
        (["conv.onnx", "--target", "3"], 2, "--target"),
        (["conv.onnx", "-o", "/proc/none/x.csv"], 2, "cannot write there"),
        (["conv.onnx", "--lut", "none.csv"], 4, "no such file"),
        (["conv.onnx", "--device", "iphonex"], 3, "no usbmuxd answers at"),
        (["--paper-table", "6"], 2, "--paper-table"),
    ],
)
def test_errors_are_one_line_with_a_status(arguments: list[str], status: int, text: str, folder: Path) -> None:
    assert text in one_line(run("bench", *arguments, cwd=folder), status)


def start(folder: Path, journals: Path, lines: int) -> tuple[subprocess.Popen[str], Path]:
    """A bench that never reaches its target, running until its journal has this many lines."""
    arguments = ["conv.onnx", "tokens.onnx", "--shape", "ids=1,9", "--target", "0.0001"]
    before = set(journals.glob("*.jsonl"))
    process = started("bench", *arguments, cwd=folder)
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        for path in set(journals.glob("*.jsonl")) - before:
            if path.read_bytes().count(b"\n") >= lines:
                return process, path
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the run did not start"
        time.sleep(0.005)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_cut_off_goes_on(number: signal.Signals, folder: Path, shared_cache: Path) -> None:
    process, journal = start(folder, shared_cache / "bench", 20)
    process.send_signal(number)
    output, errors = process.communicate(timeout=30)
    if number == signal.SIGINT:
        assert (process.returncode, output) == (130, "")
        assert "interrupted" in errors.splitlines()[-1] and "the same command goes on" in errors.splitlines()[-1]
    data = journal.read_bytes()
    held = data[: data.rfind(b"\n") + 1]
    done = run("bench", "conv.onnx", "tokens.onnx", "--shape", "ids=1,9", *QUICK, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "going on after" in done.stderr
    assert not journal.exists()
    asides = sorted(journal.parent.glob(f"{journal.stem}.aside*.jsonl"), key=lambda path: path.stat().st_mtime)
    assert asides[-1].read_bytes().startswith(held)
