"""The real `lutbench train`: result, files, going on, errors in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import one_line, run
from tests.jobs.test_train import arch  # noqa: F401 - a fixture
from tests.json_keys import check_keys

ROOT = Path(__file__).parents[2]
QUICK = ("--resolution", "16", "--batch-size", "16")


def test_train_and_go_on(arch: Path) -> None:  # noqa: F811
    folder = arch.parent
    done = run("train", arch.name, *QUICK, "--epochs", "2", "--learning-rate", "0.03", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    check_keys("train", found)
    assert found["accuracy"] > 0.3 and found["test_images"] == 359 and found["epochs"] == 2
    assert found["recipe"]["learning_rate"] == 0.03 and found["recipe"]["batch_size"] == 16
    assert found["weights"] == "trained/net/weights.pt" and (folder / found["weights"]).exists()
    assert len((folder / "trained/net/metrics.jsonl").read_text().splitlines()) == 2
    again = run("train", arch.name, *QUICK, "--epochs", "2", "--learning-rate", "0.03", cwd=folder)
    assert again.returncode == 0 and "digits at 16 x 16, 10 classes, 359 test images" in again.stdout
    assert "2 of 2 epochs are done" in again.stderr
    other = run("train", arch.name, *QUICK, "--epochs", "3", "--learning-rate", "0.03", cwd=folder)
    assert "epochs was 2 and is 3" in one_line(other, 4)


def by_two_processes(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "lutbench",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run([*torchrun, *arguments], cwd=cwd, env=environment, capture_output=True, text=True)


def test_an_error_of_two_processes_is_a_line_of_each(arch: Path) -> None:  # noqa: F811
    done = by_two_processes("train", arch.name, "--data", "imagefolder:none", cwd=arch.parent)
    own = [line for line in done.stderr.splitlines() if "none/train: is not there" in line]
    assert done.returncode and own and all(line.startswith("lutbench: ") for line in own)
    assert "search/job.py" not in done.stderr  # torchrun's own words on a child that failed are not ours


def test_two_processes_say_it_once(arch: Path) -> None:  # noqa: F811
    done = by_two_processes("train", arch.name, *QUICK, "--epochs", "1", "--json", cwd=arch.parent)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["epochs"] == 1
    assert not [line for line in done.stderr.splitlines() if not line.startswith("training: ")]
    assert len((arch.parent / "trained/net/metrics.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["fbnet_aa"], 2, "did you mean fbnet_a"),
        (["none.json"], 4, "no such file"),
        (["fbnet_a", "--data", "digit"], 2, "did you mean digits"),
        (["fbnet_a", "--learning-rate", "-1"], 2, "learning_rate -1.0 cannot be"),
        (["fbnet_a", "--milestones", "0.5,2"], 2, "milestones"),
        (["fbnet_a", "--resolution", "3"], 2, "a resolution of 3"),
        (["fbnet_a", "--data", "imagefolder:none"], 4, "is not there"),
    ],
)
def test_errors_are_one_line_with_a_status(arguments: list[str], status: int, text: str, tmp_path: Path) -> None:
    assert text in one_line(run("train", *arguments, cwd=tmp_path), status)
