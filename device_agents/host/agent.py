"""The host agent: drives the worker process and survives its death."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from lutbench.children import ending
from lutbench.closing import Closing
from lutbench.device_agents.agent import AgentSettings, DeviceInfo, Following
from lutbench.device_agents.host.environment import describe_host
from lutbench.device_agents.loading_order import loading_order
from lutbench.errors import DeviceError
from lutbench.export.artifact import Artifact
from lutbench.measure.protocol import Batch, Canary, Cycle, Failure, Outcome, Samples, Spent

START_TIMEOUT_S = 60.0
LOAD_TIMEOUT_S = 60.0
INVOCATION_TIMEOUT_S = 30.0  # of one invocation, before the runtime counts as hanging
_SLOWER = 5  # than its first run an invocation may be
_READ_BYTES = 1 << 16


class WorkerDiedError(Exception):
    """The worker process ended or hung; the message says which."""


class HostAgent(Closing):
    """Times artifacts on this machine."""

    def __init__(self, settings: AgentSettings) -> None:
        self._settings = settings
        self._artifacts: dict[str, Artifact] = {}
        self._renewed = 0
        self._loaded: set[str] = set()  # into the worker that runs now, or is about to
        self._first_s: dict[str, float] = {}  # how long each artifact's first run took
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline = -1  # the worker ends when this closes, which the system sees to where this process is killed
        self._pending = b""
        self._cores: list[int] = []
        self._start()

    def describe(self) -> DeviceInfo:
        return describe_host(self._cores)

    def install(self, artifacts: Sequence[Artifact]) -> Iterator[Failure]:
        """Loads artifacts into the worker; yields those it refuses or dies of."""
        for artifact in artifacts:
            failure = self._load(artifact)
            if failure:
                yield failure
            else:
                self._artifacts[artifact.name] = artifact
                self._loaded.add(artifact.name)

    def units(self, artifact: str) -> Mapping[str, int]:
        """Nothing: this machine's runtimes compute on its processor."""
        del artifact
        return {}

    def measure(self, batch: Batch) -> Iterator[Outcome]:
        """A batch in one go; where the worker dies of it, each artifact alone, to find which it was."""
        try:
            yield from self._run(batch)
        except WorkerDiedError:
            self._restart()
            for artifact in dict.fromkeys(name for cycle in batch.cycles for name in cycle.artifacts):
                try:
                    list(
                        self._run(
                            Batch((Cycle((artifact,), 0, 0, 1, artifact),), (Canary(artifact, artifact, 1, 1.0),))
                        )
                    )
                except WorkerDiedError as death:
                    self._artifacts.pop(artifact, None)
                    self._restart()
                    yield Failure(artifact, str(death))

    def renew(self, names: Collection[str]) -> None:
        """A new worker that has these loaded, in an order of its own; what else a batch asks for, when it does."""
        self._loaded.intersection_update(names)
        self._renewed += 1
        self._artifacts = {name: self._artifacts[name] for name in loading_order(self._artifacts, self._renewed)}
        self._restart()

    def go_ahead(self, plan: Callable[[], Following | None]) -> None:
        """Nothing: what this machine would do meanwhile would disturb what it measures."""
        del plan

    def close(self) -> None:
        self._stop()

    def _load(self, artifact: Artifact) -> Failure | None:
        """Twice where the worker dies: the system may have killed it for want of memory, not the artifact."""
        why = ""
        for _ in range(2):
            try:
                answer = self._ask_to_load(artifact)
            except WorkerDiedError as death:
                self._restart()
                why = str(death)
            else:
                return Failure(artifact.name, answer["reason"]) if "failed" in answer else None
        return Failure(artifact.name, why)

    def _ask_to_load(self, artifact: Artifact) -> dict[str, Any]:
        self._send({"load": artifact.name, "path": str(artifact.path), **_use(artifact)})
        answer = self._receive(LOAD_TIMEOUT_S)
        self._first_s[artifact.name] = answer.get("first_ns", 0) / 1e9
        return answer

    def _run(self, batch: Batch) -> Iterator[Outcome]:
        names = dict.fromkeys(name for cycle in batch.cycles for name in cycle.artifacts)
        yield from (Failure(name, "it is not loaded") for name in names if name not in self._artifacts)
        cycles = [cycle for cycle in batch.cycles if all(name in self._artifacts for name in cycle.artifacts)]
        needed = {name for cycle in cycles for name in cycle.artifacts} | {c.artifact for c in batch.canaries}
        self._load_missing(needed & self._artifacts.keys())
        timeout_s = INVOCATION_TIMEOUT_S + sum(self._expected_s(cycle) for cycle in cycles)
        yield from list(self._answers(batch, cycles, timeout_s))  # all of a batch, or nothing of one that did not end

    def _answers(self, batch: Batch, cycles: Sequence[Cycle], timeout_s: float) -> Iterator[Outcome]:
        """What the worker says of these cycles of the batch; WorkerDiedError where it does not come to an end."""
        request = {
            "measure": [[cycle.artifacts, cycle.warmup, cycle.repeats, cycle.canary] for cycle in cycles],
            "canaries": {c.name: [c.artifact, c.invocations, c.quiet_below_ns] for c in batch.canaries},
            "patience": batch.patience,
        }
        self._send(request)
        while "runtime_ns" not in (answer := self._receive(timeout_s)):
            if "ns" not in answer:
                yield Failure(answer["failed"], answer["reason"])
                continue
            cycle, canary_ns = cycles[answer["cycle"]], tuple(answer["canary_ns"])
            for name, durations_ns in zip(cycle.artifacts, answer["ns"], strict=True):
                yield Samples(name, cycle.depth, cycle.canary, tuple(durations_ns), canary_ns)
        yield Spent(answer["runtime_ns"])

    def _load_missing(self, names: Collection[str]) -> None:
        """Loads what a fresh worker was not expected to need, but needs; it was loaded before, and did not fail."""
        for name in sorted(set(names) - self._loaded):
            self._ask_to_load(self._artifacts[name])
            self._loaded.add(name)

    def _expected_s(self, cycle: Cycle) -> float:
        """Time that a cycle may take, generously: a batch answers in one go, and slow nets are no hanging ones."""
        each_s = (0.1 + _SLOWER * self._first_s.get(name, 0.0) for name in cycle.artifacts)
        return (cycle.warmup + cycle.repeats) * sum(each_s)

    def _start(self) -> None:
        """A worker that is ready; one that dies on its way there, as by the system's hand, is started once more."""
        try:
            self._start_once()
        except WorkerDiedError as death:
            if self._process is None or self._process.poll() is None:  # it hangs, and the next one would as well
                raise DeviceError(f"the runtime's worker process did not start: {death}", device="host") from death
            self._stop()
            try:
                self._start_once()
            except WorkerDiedError as again:
                raise DeviceError(f"the runtime's worker process did not start: {again}", device="host") from again

    def _start_once(self) -> None:
        # -P: a lutbench.py in the current folder is not the package
        command = [sys.executable, "-P", "-m", "lutbench.device_agents.host.worker", self._settings.runtime]
        end, self._lifeline = os.pipe()
        try:
            self._process = subprocess.Popen(
                [*command, str(self._settings.threads), str(end)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is this process's to handle
                pass_fds=[end],
            )
        finally:
            os.close(end)
        self._pending = b""
        self._cores = self._receive(START_TIMEOUT_S)["cores"]

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe:
                    with contextlib.suppress(OSError):
                        pipe.close()
            self._process = None
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    def _restart(self) -> None:
        """A new worker with the same artifacts; one that kills it again is let go of."""
        self._stop()
        self._start()
        for artifact in [one for one in self._artifacts.values() if one.name in self._loaded]:
            try:
                refused = "failed" in self._ask_to_load(artifact)
            except WorkerDiedError as death:
                raise DeviceError(f"the runtime died twice: {death}", device="host", operator=artifact.name) from death
            if refused:
                self._artifacts.pop(artifact.name)

    def _send(self, request: dict[str, Any]) -> None:
        self._send_line(json.dumps(request).encode() + b"\n")

    def _send_line(self, line: bytes) -> None:
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except OSError as error:
            raise WorkerDiedError(self._death()) from error

    def _receive(self, timeout_s: float) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._receive_line(timeout_s))
        return answer

    def _receive_line(self, timeout_s: float) -> bytes:
        assert self._process is not None and self._process.stdout is not None
        while b"\n" not in self._pending:
            with selectors.DefaultSelector() as selector:
                selector.register(self._process.stdout, selectors.EVENT_READ)
                if not selector.select(timeout_s):
                    raise WorkerDiedError(f"the runtime did not answer for {timeout_s:.0f} s")
            chunk = self._process.stdout.read1(_READ_BYTES)  # type: ignore[attr-defined]
            if not chunk:
                raise WorkerDiedError(self._death())
            self._pending += chunk
        line, self._pending = self._pending.split(b"\n", 1)
        return line

    def _death(self) -> str:
        assert self._process is not None
        return f"the runtime's process ended with {ending(self._process.wait())}"


def _use(artifact: Artifact) -> dict[str, Any]:
    """What the worker has to know of a user's model beside its file."""
    if artifact.use is None:
        return {}
    inputs = artifact.use.inputs
    return {
        "use": {
            "shapes": {given.name: given.shape for given in inputs},
            "values": {given.name: str(given.values) for given in inputs if given.values is not None},
            "dimensions": dict(artifact.use.dimensions),
        }
    }
