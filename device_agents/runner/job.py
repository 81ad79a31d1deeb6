"""A job for the runner: what to load, which cycles to measure. docs/reference/runner.md describes the format."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lutbench.export.artifact import ModelUse
from lutbench.measure.protocol import Batch

FORMAT = 1


@dataclass(frozen=True)
class RunnerArtifact:
    """An artifact where the runner finds it.

    path: relative to the job file's folder, or absolute.
    use: of a user's model.
    values: where the runner finds its inputs' values, by input.
    """

    name: str
    path: str
    sha256: str
    use: ModelUse | None = None
    values: Mapping[str, str] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        found: dict[str, Any] = {"name": self.name, "path": self.path, "sha256": self.sha256}
        if self.use is not None:
            inputs = [
                {"name": i.name, "shape": list(i.shape)}
                | ({"values": self.values[i.name]} if i.name in self.values else {})
                for i in self.use.inputs
            ]
            found["use"] = {"inputs": inputs, "dimensions": dict(self.use.dimensions)}
        return found


@dataclass(frozen=True)
class RunnerJob:
    """What the runner is to do.

    nonce: comes back in the start and the end record.
    engine: "onnx" or "executorch".
    library: ONNX Runtime's, as Bundle.library has it; None for ExecuTorch.
    cores: to stay on; None: wherever the system puts it.
    check: also run each artifact on the input that its name decides, for its output's checksum.
    batch: what to measure; None: only load.
    token: what a server printed when it started; None: the job is a file.
    """

    nonce: str
    engine: str
    threads: int
    artifacts: tuple[RunnerArtifact, ...]
    library: str | None = None
    cores: Sequence[int] | None = None
    check: bool = False
    batch: Batch | None = None
    token: str | None = None

    def encoded(self) -> bytes:
        """The job as one line of JSON with its line feed: a job file, or a server's request."""
        batch = self.batch or Batch((), ())
        entry: dict[str, Any] = {
            "job": FORMAT,
            "nonce": self.nonce,
            "engine": self.engine,
            "threads": self.threads,
            "artifacts": [artifact.plain() for artifact in self.artifacts],
            "check": self.check,
            "cycles": [[list(c.artifacts), c.warmup, c.repeats, c.canary] for c in batch.cycles],
            "canaries": {c.name: [c.artifact, c.invocations, c.quiet_below_ns] for c in batch.canaries},
            "patience": batch.patience,
        }
        if self.library is not None:
            entry["library"] = self.library
        if self.token is not None:
            entry["token"] = self.token
        if self.cores is not None:
            entry["cores"] = list(self.cores)
        return json.dumps(entry, separators=(",", ":")).encode() + b"\n"
