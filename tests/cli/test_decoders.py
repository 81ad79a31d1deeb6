"""Processes that decode images for a training or a search, and die: one line, and the same command goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lutbench.space.architecture import Architecture, write_architecture
from lutbench.space.file import parse_space
from lutbench.space.sampling import random_nets
from tests.cli.running import START_TIMEOUT_S, run, started
from tests.cli.test_signals import children
from tests.conftest import TINY_TOML
from tests.test_children import ended

linux = pytest.mark.skipif(sys.platform != "linux", reason="children are found by Linux's list")
DATA = ("--data", "imagefolder:photos", "--batch-size", "8", "--json")


@pytest.fixture
def folder(tmp_path: Path, measured: Path) -> Path:
    """A net, a LUT and two classes of small images, enough for many batches an epoch."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 40), ("val", 4)):
        for name, colour in (("dark", 40), ("light", 200)):
            (tmp_path / "photos" / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = np.clip(colour + rng.integers(-40, 40, (32, 32, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(tmp_path / "photos" / part / name / f"{number}.png")
    (net,) = random_nets(parse_space(TINY_TOML, Path("tiny.toml")), 1, 0, "decoders")
    write_architecture(Architecture(net, {}, 0, TINY_TOML), tmp_path / "net.json")
    (tmp_path / "lut.csv").write_bytes(measured.read_bytes())
    return tmp_path


def decoders(pid: int) -> list[int]:
    """Forked children, which have their parent's command line, unlike Python's own helper."""
    own = Path(f"/proc/{pid}/cmdline").read_bytes()
    found = []
    for child in children(pid):
        try:
            if Path(f"/proc/{child}/cmdline").read_bytes() == own:
                found.append(child)
        except FileNotFoundError:
            continue
    return found


def killed_in_an_epoch(process: subprocess.Popen[str], checkpoint: Path) -> None:
    """Kills a decoder once a checkpoint is there."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        if checkpoint.exists() and (found := decoders(process.pid)):
            os.kill(found[0], signal.SIGKILL)
            assert ended(found[0])
            return
        time.sleep(0.005)
    raise AssertionError(process.communicate(timeout=5))


@linux
@pytest.mark.parametrize(
    ("command", "checkpoint", "epochs"),
    [
        (("train", "net.json", "-o", "made", "--epochs"), "made/checkpoint.pt", 12),
        (
            ("search", "--lut", "lut.csv", "-o", "made", "--nets", "1", "--draws", "2", "--rounds", "1", "--views", "1",
             "--warmup", "1", "--epochs"),
            "made/checkpoint.pt",
            8,
        ),
    ],
)  # fmt: skip
def test_a_decoder_that_is_killed_ends_it_in_one_line(
    command: tuple[str, ...], checkpoint: str, epochs: int, folder: Path
) -> None:
    process = started(*command, str(epochs), *DATA, "--workers", "2", cwd=folder)
    killed_in_an_epoch(process, folder / checkpoint)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (4, ""), errors
    said = [line for line in errors.splitlines() if line.startswith("lutbench: ")]
    assert len(said) == 1 and "a process that decodes images died" in said[0] and "fewer --workers" in said[0]
    assert "Traceback" not in errors
    done = [json.loads(line)["epoch"] for line in (folder / "made/metrics.jsonl").read_text().splitlines()]
    again = run(*command, str(epochs), *DATA, "--workers", "0", cwd=folder)
    assert again.returncode == 0, again.stderr
    after = [json.loads(line)["epoch"] for line in (folder / "made/metrics.jsonl").read_text().splitlines()]
    assert after == list(range(1, epochs + 1)) and after[: len(done)] == done
    assert json.loads(again.stdout)
