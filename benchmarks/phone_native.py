"""Are times through adb, or through the iPhone's app, the machine's own? Without emulation against the host agent.

    PYTHONPATH=. python benchmarks/phone_native.py --folder FOLDER [--runtime onnx] [--resolution 224] [--rounds 24]
                                                   [--nets 100] [--host-by runner] [--limit-s 540] [--through app]

The phone is Google's adbd for amd64 with mksh and toybox in namespaces of its own (tests/phone), the runner the one of
`runner build --target android-x86_64`. Needs root. The host is measured by the runner of `--target host`, as a device's
entry with a bundle is, or by a worker of Python, as without one. With --through app the phone is the iPhone app's
server (device_agents/ios/linux/build.sh, and LUTBENCH_IOS_APP), behind a stand-in for usbmuxd.

1. `profile` on both, in one process: their batches take turns, so that a drift of the machine falls on both. Rows of
   the phone's LUT within 2 % of the host's: at least 95 %.
2. `verify --nets` of the phone's LUT on the phone: mean error at most the noise floor's plus 0.3 points, 99 % of nets
   within 3 %.
3. Wall time of the phone's batches over what its runner spent on them: at most 1.1.

Everything is kept in --folder: after --limit-s the run ends with status 5, and the same command goes on. Ends with
status 3 where a bar is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from _machine import machine

from lutbench.device_agents.agent import Agent, AgentSettings, Following
from lutbench.device_agents.ios.usbmux import SOCKET_VARIABLE
from lutbench.device_agents.registry import Device, open_agent
from lutbench.device_agents.remote.agent import RemoteAgent
from lutbench.device_agents.runner.build import build_bundle
from lutbench.events import Event, Note, RoundProgress
from lutbench.export.cache import ArtifactCache
from lutbench.export.exporters import find_exporter
from lutbench.files import default_cache_folder
from lutbench.jobs.artifacts import export_workloads
from lutbench.jobs.profile import ProfileRequest, profile
from lutbench.jobs.tuning import draw_tuning_nets
from lutbench.jobs.verify import VerifyRequest, verify
from lutbench.lut.file import read_lut
from lutbench.lut.table import Lut
from lutbench.measure.protocol import Batch, Outcome, Protocol
from lutbench.space.find import find_spaces
from lutbench.space.macro import distinct_operators
from tests.device_agents.ios.app import App
from tests.device_agents.ios.fake_usbmuxd import FakeUsbmuxd
from tests.phone.emulated import Phone, built_phone

ROW_LIMIT, ROW_SHARE = 0.02, 0.95
NOISE_POINTS, NET_LIMIT, NET_SHARE = 0.003, 0.03, 0.99
RATIO_LIMIT = 1.1


class OutOfTimeError(Exception):
    """The time given is used up; what was measured is in the journals."""


@dataclass
class Turns:
    """Lets sides measure one after the other, each once, as long as both still measure."""

    until: float
    sides: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def leave(self, side: str) -> None:
        with self.changed:
            self.sides = [other for other in self.sides if other != side]
            self.changed.notify_all()

    @contextlib.contextmanager
    def turn(self, side: str) -> Iterator[None]:
        with self.changed:
            self.changed.wait_for(lambda: self.sides[0] == side)
        if time.monotonic() > self.until:
            raise OutOfTimeError(side)
        try:
            yield
        finally:
            with self.changed:
                self.sides.append(self.sides.pop(0))
                self.changed.notify_all()


class TakingTurns:
    """An agent whose batches wait for their turn. wall_s: that they took, without the waiting."""

    def __init__(self, agent: Agent, side: str, turns: Turns, spent: dict[str, float]) -> None:
        self._agent = agent
        self._side = side
        self._turns = turns
        self._spent = spent

    def __getattr__(self, name: str) -> Any:
        return getattr(self._agent, name)

    def __enter__(self) -> TakingTurns:
        self._agent.__enter__()
        return self

    def __exit__(self, *about: Any) -> None:
        self._agent.__exit__(*about)

    def go_ahead(self, plan: Callable[[], Following | None]) -> None:
        """Nothing: what began ahead would be measured in the other side's turn."""

    def measure(self, batch: Batch) -> Iterable[Outcome]:
        with self._turns.turn(self._side):
            runner_s = getattr(self._agent, "runner_s", 0.0)
            began = time.monotonic()
            found = list(self._agent.measure(batch))
            self._spent["wall"] = self._spent.get("wall", 0.0) + time.monotonic() - began
            spent_s = getattr(self._agent, "runner_s", 0.0) - runner_s
            self._spent["runner"] = self._spent.get("runner", 0.0) + spent_s
            self._spent["batches"] = self._spent.get("batches", 0.0) + 1
        return found


def say(side: str, event: Event) -> None:
    if isinstance(event, Note):
        print(f"{side}: {event.text}", file=sys.stderr, flush=True)
    elif isinstance(event, RoundProgress) and event.round_number % 8 == 0:
        print(
            f"{side}: round {event.round_number}, {event.done} of {event.total}, disturbed {event.disturbed:.0%}",
            file=sys.stderr,
            flush=True,
        )


def export_once(arguments: argparse.Namespace) -> None:
    """Puts into the cache what both sides would otherwise export at the same time, each for itself."""
    spaces, _ = find_spaces("fbnet", (arguments.resolution,), (arguments.width,))
    operators = [op for op in distinct_operators(spaces) if op.is_measured]
    exporter, cache = find_exporter(arguments.runtime, "int8"), ArtifactCache(default_cache_folder())
    workloads = [*operators, *draw_tuning_nets(spaces, 0)]
    export_workloads(workloads, exporter, "int8", cache, lambda event: say("both", event))


def profile_both(
    devices: dict[str, Device], arguments: argparse.Namespace, until: float
) -> dict[str, dict[str, float]]:
    """Profiles every device whose LUT is not there yet."""
    left = [side for side, device in devices.items() if not device.lut.exists()]
    if len(left) > 1:
        export_once(arguments)
    turns, errors = Turns(until, list(left)), list[BaseException]()
    spent: dict[str, dict[str, float]] = {side: {} for side in devices}

    def run(side: str) -> None:
        def opened(device: Device, settings: AgentSettings) -> Agent:
            return TakingTurns(open_agent(device, settings), side, turns, spent[side])  # type: ignore[return-value]

        request = ProfileRequest(
            device=devices[side],
            runtime=arguments.runtime,
            resolutions=(arguments.resolution,),
            widths=(arguments.width,),
            output=devices[side].lut,
            protocol=Protocol(min_rounds=arguments.rounds, max_rounds=4 * arguments.rounds),
        )
        try:
            profile(request, lambda event: say(side, event), opened)
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            errors.append(error)
        finally:
            turns.leave(side)

    threads = [threading.Thread(target=run, args=(side,)) for side in left]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keep_spent(arguments.folder / "spent.json", spent["phone"])
    for error in errors:
        raise error


def keep_spent(path: Path, spent: dict[str, float]) -> dict[str, float]:
    """Adds to what earlier parts of the run spent."""
    before = json.loads(path.read_text()) if path.exists() else {}
    total = {key: before.get(key, 0.0) + spent.get(key, 0.0) for key in {*before, *spent}}
    path.write_text(json.dumps(total))
    return total


def rows_within(host: Lut, phone: Lut) -> tuple[float, float, list[tuple[float, str]]]:
    """Share of the phone's rows within ROW_LIMIT of the host's, the median ratio, and the worst ones."""
    hosts_us = {row.operator: row.latency_us for row in host.rows if row.is_ok}
    ratios = {
        row.operator: row.latency_us / hosts_us[row.operator]
        for row in phone.rows
        if row.is_ok and row.latency_us and hosts_us.get(row.operator)
    }
    within = sum(abs(ratio - 1) <= ROW_LIMIT for ratio in ratios.values()) / len(ratios)
    worst = sorted(((ratio, name) for name, ratio in ratios.items()), key=lambda pair: -abs(pair[0] - 1))[:8]
    return within, median(ratios.values()), worst


def judge(host: Lut, phone: Lut, spent: dict[str, float]) -> bool:
    within, middle, worst = rows_within(host, phone)
    print(f"| rows within 2 % of the host agent's (bar: 95 %) | {within:.1%} (median ratio {middle:.4f}) |")
    print("|   farthest | " + ", ".join(f"{name} {ratio:.3f}" for ratio, name in worst) + " |")
    passed = within >= ROW_SHARE
    ratio = spent["wall"] / spent["runner"]
    print(f"| wall over runner, {spent['batches']:.0f} batches (bar: 1.1) | {ratio:.3f} |")
    passed &= ratio <= RATIO_LIMIT
    found = phone.metadata.quality.get("additivity")
    if found:
        print(f"| verify, {found['nets']} nets: mean error (bar: noise floor + 0.3 points) |"
              f" {found['mean_abs_error']:.2%} (floor {found['noise_mean']:.2%}) |")  # fmt: skip
        print(f"| nets within 3 % (bar: 99 %) | {found['within_3pct']:.1%} |")
        passed &= found["mean_abs_error"] <= found["noise_mean"] + NOISE_POINTS
        passed &= found["within_3pct"] >= NET_SHARE
    return passed


@contextlib.contextmanager
def phone_of(arguments: argparse.Namespace) -> Iterator[Device]:
    """The phone that is measured, as long as it is there."""
    lut = arguments.folder / "phone.csv"
    if arguments.through == "adb":
        with contextlib.closing(Phone(built_phone("amd64"))) as phone:
            yield Device("native", "android", lut, "", address=phone.address)
        return
    with FakeUsbmuxd() as mux, contextlib.closing(App(arguments.folder / "app", mux, machine="Linux")):
        os.environ[SOCKET_VARIABLE] = mux.address
        yield Device("native", "ios", lut, "")


def measure(arguments: argparse.Namespace, phone: Device, until: float) -> None:
    host_bundle = str(build_bundle("host", say=print).folder) if arguments.host_by == "runner" else ""
    devices = {
        "host": Device("host", "host", arguments.folder / "host.csv", "", bundle=host_bundle),
        "phone": phone,
    }
    profile_both(devices, arguments, until)
    if arguments.nets and "additivity" not in read_lut(devices["phone"].lut).metadata.quality:
        turns = Turns(until, ["phone"])

        def opened(device: Device, settings: AgentSettings) -> Agent:
            agent = open_agent(device, settings)
            assert isinstance(agent, RemoteAgent)
            return TakingTurns(agent, "phone", turns, {})  # type: ignore[return-value]

        request = VerifyRequest(
            lut_path=devices["phone"].lut,
            device=devices["phone"],
            nets=arguments.nets,
            rounds=arguments.net_rounds,
        )
        verify(request, lambda event: say("verify", event), opened)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--runtime", default="onnx", choices=("onnx", "executorch"))
    parser.add_argument("--resolution", type=int, default=224)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--net-rounds", type=int, default=40, help="that count for each net of verify")
    parser.add_argument("--nets", type=int, default=100, help="of verify; 0: none")
    parser.add_argument("--host-by", default="runner", choices=("runner", "python"), help="what measures on the host")
    parser.add_argument("--through", default="adb", choices=("adb", "app"), help="how the phone is reached")
    parser.add_argument("--limit-s", type=float, default=540.0)
    arguments = parser.parse_args()
    until = time.monotonic() + arguments.limit_s
    arguments.folder.mkdir(parents=True, exist_ok=True)
    try:
        with phone_of(arguments) as phone:
            measure(arguments, phone, until)
    except OutOfTimeError:
        print("the time given is used up: the same command goes on", file=sys.stderr)
        sys.exit(5)
    print(f"{arguments.runtime}, int8, FBNet at {arguments.resolution}, width {arguments.width}, host by"
          f" {arguments.host_by}; {machine()}\n")  # fmt: skip
    print("| what | measured |\n|---|---|")
    luts = [read_lut(arguments.folder / name) for name in ("host.csv", "phone.csv")]
    sys.exit(0 if judge(*luts, json.loads((arguments.folder / "spent.json").read_text())) else 3)


if __name__ == "__main__":
    main()
