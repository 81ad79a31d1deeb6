"""What a profile of a phone costs beside what its runner spends, and what a second one pushes.

    PYTHONPATH=. python benchmarks/phone_overhead.py [--device NAME] [--resolution 224] [--width 1.0] [--rounds 24]

Profiles FBNet (int8, ONNX Runtime) twice on the phone called NAME, or on the one of tests/phone that runs at this
machine's own speed (root): the first time everything is exported and pushed. The second time's wall time, from opening
the phone to letting it go, stands against the time that the runner's processes ran by the phone's own clock. Prints a
Markdown table; exit status 1 where the ratio is above 1.15 or the second profile pushed a file.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from lutbench.device_agents.agent import AgentSettings
from lutbench.device_agents.android.agent import AndroidAgent
from lutbench.device_agents.registry import Device, find_device, open_agent
from lutbench.events import Event, Note
from lutbench.jobs.profile import ProfileRequest, profile
from lutbench.measure.protocol import Protocol

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


def run(device: Device, arguments: argparse.Namespace, output: Path) -> tuple[float, AndroidAgent]:
    """Seconds from opening the phone until it was let go, and the agent as it then was."""
    opened: list[tuple[float, AndroidAgent]] = []

    def remembered(device: Device, settings: AgentSettings) -> AndroidAgent:
        started = time.monotonic()
        agent = open_agent(device, settings)
        assert isinstance(agent, AndroidAgent)
        opened.append((started, agent))
        return agent

    request = ProfileRequest(
        device=device,
        resolutions=(arguments.resolution,),
        widths=(arguments.width,),
        output=output,
        protocol=Protocol(min_rounds=arguments.rounds, max_rounds=arguments.rounds),
    )
    with mock.patch("lutbench.jobs.tuning.TUNING_NETS", 0):
        profile(request, say, remembered)
    ((started, agent),) = opened
    return time.monotonic() - started, agent


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
            ratio = wall_s / agent.runner_s
            print(
                f"| {name} | {wall_s:.1f} | {agent.runner_s:.1f} | {ratio:.3f} | {agent.installed_files}"
                f" | {agent.connection.pushed_bytes} |",
                flush=True,
            )
    sys.exit(0 if ratio <= LIMIT and agent.installed_files == 0 else 1)


if __name__ == "__main__":
    main()
