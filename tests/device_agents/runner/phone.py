"""The runner on this machine, and what it works on."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lutbench.device_agents.runner.bundle import Bundle
from lutbench.device_agents.runner.job import RunnerJob
from lutbench.device_agents.runner.records import Records, read_records
from lutbench.measure.protocol import Batch, Canary, Cycle
from lutbench.space.operator import OVERHEAD

BLOCK, CONV = "ir_k3_e6_g1_16x16x16_16_s1", "conv_k1_16x8x8_24_s2"
NAMES = (BLOCK, CONV, OVERHEAD.name)
ENGINES = ("onnx", "executorch")
OTHER_RUNNER = "LUTBENCH_TEST_RUNNER"  # a lutbench-runner to test in the bundle's place: one built with sanitizers
LONG_S = 30.0
BATCH = Batch(
    (Cycle((BLOCK, CONV), 1, 1, 3, "c"), Cycle((OVERHEAD.name,), 0, 0, 2, "c")), (Canary("c", CONV, 2, 1.1),), 0.1
)
ENDLESS = Batch((Cycle((BLOCK,), 0, 0, 1_000_000, "c"),), (Canary("c", CONV, 1, 1.1),))


@dataclass(frozen=True)
class Phone:
    """The runner on this machine and what it works on. make: a job with other fields."""

    bundle: Bundle
    job: RunnerJob
    folder: Path

    def write(self, job: RunnerJob) -> Path:
        path = self.folder / "job.json"
        path.write_bytes(job.encoded())
        return path

    def command(self, *options: str) -> list[str]:
        other = os.environ.get(OTHER_RUNNER) if self.job.engine == "onnx" else None
        return [*([other] if other else self.bundle.command(self.job.engine, str(self.bundle.folder))), *options]

    def batch(self, path: Path, **options: Any) -> tuple[int, Records]:
        """Exit status and records of a job file."""
        records = self.folder / "records.jsonl"
        command = self.command("--job", str(path), "--output", str(records))
        done = subprocess.run(command, stderr=subprocess.DEVNULL, timeout=60, check=False, **options)
        return done.returncode, read_records(records.read_bytes())
