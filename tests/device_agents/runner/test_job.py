"""The job that the host writes."""

from __future__ import annotations

import json

from lutbench.device_agents.runner.job import RunnerArtifact, RunnerJob
from lutbench.measure.protocol import Batch, Canary, Cycle

ARTIFACT = RunnerArtifact("a", "a.onnx", "0" * 64)


def test_a_job_is_one_line_with_what_docs_runner_md_lists() -> None:
    batch = Batch((Cycle(("a", "b"), 1, 2, 3, "c"),), (Canary("c", "a", 4, 1.1, 500),), 0.5)
    data = RunnerJob("n", "onnx", 2, (ARTIFACT,), "lib.so", (0, 1), True, batch).encoded()
    assert data.endswith(b"\n") and data.count(b"\n") == 1
    assert json.loads(data) == {
        "job": 1,
        "nonce": "n",
        "engine": "onnx",
        "library": "lib.so",
        "threads": 2,
        "cores": [0, 1],
        "artifacts": [{"name": "a", "path": "a.onnx", "sha256": "0" * 64}],
        "check": True,
        "cycles": [[["a", "b"], 2, 3, "c"]],
        "canaries": {"c": ["a", 4, 500]},
        "patience": 0.5,
    }


def test_what_is_not_given_is_absent() -> None:
    entry = json.loads(RunnerJob("n", "executorch", 1, (ARTIFACT,)).encoded())
    assert "library" not in entry and "cores" not in entry
    assert (entry["cycles"], entry["canaries"], entry["check"]) == ([], {}, False)
