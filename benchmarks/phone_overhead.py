"""What a profile of a phone costs beside what its runner spends, and what a second one pushes.

    PYTHONPATH=. python benchmarks/phone_overhead.py [--device NAME] [--resolution 224] [--width 1.0] [--rounds 24]

Profiles FBNet (int8, ONNX Runtime) twice on the phone called NAME, or on the one of tests/phone that runs at this
machine's own speed (root): the first time everything is exported and pushed. The second time's wall time, from opening
the phone to letting it go, stands against the time that the runner's processes ran by the phone's own clock. Prints
Markdown tables, of that and of what the time went to; exit status 1 where the ratio is above 1.15 or the second profile
pushed a file.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from _machine import machine

from lutbench.device_agents.agent import Agent, AgentSettings, DeviceInfo
from lutbench.device_agents.android.agent import AndroidAgent
from lutbench.device_agents.registry import Device, find_device, open_agent
from lutbench.events import Event, Note
from lutbench.export.artifact import Artifact
from lutbench.jobs.profile import ProfileRequest, profile
from lutbench.measure.protocol import Batch, Failure, Outcome, Protocol

LIMIT = 1.15


def say(event: Event) -> None:
    if isinstance(event, Note):
        print(event.text, file=sys.stderr)


@contextlib.contextmanager
def native(folder: Path) -> Iterator[Device]:
    from tests.phone.emulated import Phone, built_phone

    phone = Phone(built_phone("amd64"))
    try:
        yield Device("native", "android", folder / "native.csv", "", address=phone.address)
    finally:
        phone.close()


class Watched:
    """An agent whose calls are timed. spent_s: seconds by call, opening it among them; in_runner_s: of those."""

    def __init__(self, device: Device, settings: AgentSettings) -> None:
        self.started = time.monotonic()
        self.spent_s: dict[str, float] = defaultdict(float)
        self.in_runner_s: dict[str, float] = defaultdict(float)
        agent = open_agent(device, settings)
        assert isinstance(agent, AndroidAgent)
        self.agent = agent
        self.spent_s["open"] = time.monotonic() - self.started

    def __getattr__(self, name: str) -> Any:
        return getattr(self.agent, name)

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        started, runner_s = time.monotonic(), self.agent.runner_s
        yield
        self.spent_s[name] += time.monotonic() - started
        self.in_runner_s[name] += self.agent.runner_s - runner_s

    def install(self, artifacts: Sequence[Artifact]) -> Iterable[Failure]:
        with self.timed("install"):
            return list(self.agent.install(artifacts))

    def measure(self, batch: Batch) -> Iterable[Outcome]:
        with self.timed("batches"):
            return list(self.agent.measure(batch))

    def describe(self) -> DeviceInfo:
        with self.timed("describe"):
            return self.agent.describe()

    def __enter__(self) -> Watched:
        self.agent.__enter__()
        return self

    def __exit__(self, *about: Any) -> None:
        with self.timed("close"):
            self.agent.__exit__(*about)
        self.ended = time.monotonic()


def run(device: Device, arguments: argparse.Namespace, output: Path) -> tuple[float, Watched]:
    """Seconds from opening the phone until it was let go, and the agent as it then was."""
    opened: list[Watched] = []

    def remembered(device: Device, settings: AgentSettings) -> Agent:
        opened.append(Watched(device, settings))
        return opened[-1]  # type: ignore[return-value]

    request = ProfileRequest(
        device=device,
        resolutions=(arguments.resolution,),
        widths=(arguments.width,),
        output=output,
        protocol=Protocol(min_rounds=arguments.rounds, max_rounds=arguments.rounds),
    )
    with mock.patch("lutbench.jobs.tuning.TUNING_NETS", 0):
        profile(request, say, remembered)
    (agent,) = opened
    return agent.ended - agent.started, agent


def parts(wall_s: float, agent: Watched) -> str:
    """What the time went to, and in brackets how much of it in the runner."""
    found = [
        f"{name} {seconds:.2f} s" + (f" ({agent.in_runner_s[name]:.2f} s)" if agent.in_runner_s.get(name) else "")
        for name, seconds in agent.spent_s.items()
    ]
    return ", ".join([*found, f"beside them {wall_s - sum(agent.spent_s.values()):.2f} s"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", help="a phone of `lutbench devices`; none: the one of tests/phone")
    parser.add_argument("--resolution", type=int, default=224)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=24)
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lutbench-")))
        os.environ.setdefault("LUTBENCH_CONFIG", str(folder / "config"))
        device = find_device(arguments.device) if arguments.device else stack.enter_context(native(folder))
        print("| profile | wall s | runner s | ratio | files pushed | bytes pushed |\n|---|--:|--:|--:|--:|--:|")
        for name in ("first", "second"):
            wall_s, agent = run(device, arguments, folder / f"{name}.csv")
            ratio = wall_s / agent.agent.runner_s
            print(
                f"| {name} | {wall_s:.1f} | {agent.agent.runner_s:.1f} | {ratio:.3f} | {agent.installed_files}"
                f" | {agent.connection.pushed_bytes} |",
                flush=True,
            )
        print(f"\nthe second, in the runner in brackets: {parts(wall_s, agent)}; {machine()}")
    sys.exit(0 if ratio <= LIMIT and agent.agent.installed_files == 0 else 1)


if __name__ == "__main__":
    main()
