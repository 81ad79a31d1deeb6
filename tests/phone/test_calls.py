"""The arm64 runner's system calls, as the emulator traces them, against Android's published filter for apps."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from lutbench.device_agents.android.install import ROOT
from lutbench.device_agents.android.shell import command_line
from lutbench.device_agents.runner.job import RunnerArtifact, RunnerJob
from lutbench.export.artifact import Artifact
from lutbench.measure.protocol import Batch, Canary, Cycle
from tests.device_agents.runner.calls import BEFORE_THE_FIRST_LINE, app_calls
from tests.phone.conftest import CONV, Open


@pytest.mark.parametrize("runtime", ["onnx", "executorch"])
def test_the_runner_makes_no_calls_that_an_app_may_not_make(
    runtime: str, open_agent: Open, artifacts_of: Callable[[str], list[Artifact]]
) -> None:
    artifact = next(a for a in artifacts_of(runtime) if a.name == CONV)
    with open_agent(runtime) as agent:
        assert list(agent.install([artifact])) == []
        bundle = f"{ROOT}/{agent._bundle_place}"
        stored = agent.connection.check(f"ls {ROOT}/artifacts/{artifact.sha256}*").text
        batch = Batch((Cycle((CONV,), 0, 1, 3, "c"),), (Canary("c", CONV, 1, 1.1),))
        given = (RunnerArtifact(CONV, stored, artifact.sha256),)
        job = RunnerJob("n", runtime, 2, given, agent._bundle.library(runtime, bundle), (0, 1), batch=batch)
        agent.connection.push(job.encoded(), f"{ROOT}/traced/job.json")
        command = [*agent._bundle.command(runtime, bundle), "--job", f"{ROOT}/traced/job.json", "--output"]
        records = f"{ROOT}/traced/records"
        script = f"QEMU_STRACE=1 {command_line([*command, records])} 2> {ROOT}/traced/calls; tail -n 1 {records}"
        assert '"end"' in agent.connection.check(script, timeout_s=300.0).text
        trace = agent.connection.pull(f"{ROOT}/traced/calls").decode("utf-8", "replace")
        agent.connection.check(f"rm -rf {ROOT}/traced")
    made = set(re.findall(r"^\d+ (\w+)\(", trace, re.MULTILINE))
    assert {"openat", "mmap", "sched_setaffinity"} <= made
    assert made - app_calls("aarch64") - BEFORE_THE_FIRST_LINE == set()
