"""Do the natively built runner and the Python host agent measure the same?

    python benchmarks/runner_agreement.py [--runtime onnx] [--operators 112] [--rounds 24] [--depth 1]

Times FBNet's int8 operators with both, the same cycles in turn, a few at a time and each first in every other turn, on
the same core. For each operator: the runner's median over the host agent's. Prints how many are within 3 %, by how long
they take, and ends with status 3 where fewer than 90 % are, 2 where the machine was too busy to judge. What a call
costs in itself, Python's part among that, is the row runtime_overhead; a LUT's predictions take it off every row, and
the last line does so too.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from statistics import median

from _machine import machine

from lutbench.device_agents.agent import AgentSettings
from lutbench.device_agents.host.agent import HostAgent
from lutbench.device_agents.runner.build import build_bundle
from lutbench.device_agents.runner.job import RunnerArtifact, RunnerJob
from lutbench.device_agents.runner.records import read_records
from lutbench.export.artifact import Artifact
from lutbench.export.cache import ArtifactCache
from lutbench.export.exporters import EXPORTERS
from lutbench.files import default_cache_folder
from lutbench.jobs.artifacts import export_workloads
from lutbench.jobs.tuning import choose_canaries
from lutbench.measure.measurements import Measurements
from lutbench.measure.protocol import Batch, Cycle, Outcome, Protocol, Samples
from lutbench.measure.schedule import operator_cycles
from lutbench.space.fbnet import fbnet
from lutbench.space.operator import OVERHEAD
from lutbench.space.sampling import chains

PROTOCOL = Protocol()
LIMIT, SHARE = 0.03, 0.90
MOST_DISTURBED = 0.25  # of a side's samples; on a busier machine two runs of one side differ as much as the two sides
CYCLES_IN_TURN = 6
BINS_US = (0.0, 10.0, 30.0, 100.0, 300.0, float("inf"))

MeasureBatch = Callable[[Batch], Iterable[Outcome]]


@contextlib.contextmanager
def runner(runtime: str, artifacts: Sequence[Artifact], cores: Sequence[int]) -> Iterator[MeasureBatch]:
    """The natively built runner in its server mode."""
    bundle = build_bundle("host", say=print)
    place = str(bundle.folder)
    library = bundle.library(runtime, place)
    command = [*bundle.command(runtime, place), "--serve", "0", *(["--library", library] if library else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    _, _, address, _, token = process.stdout.readline().split()
    port = int(address.rpartition(":")[2])
    given = {a.name: RunnerArtifact(a.name, str(a.path), a.sha256) for a in artifacts}
    try:
        with socket.create_connection(("127.0.0.1", port)) as connection:

            def measure(batch: Batch) -> Iterable[Outcome]:
                names = [name for cycle in batch.cycles for name in cycle.artifacts]
                names += [canary.artifact for canary in batch.canaries]
                wanted = tuple(given[name] for name in dict.fromkeys(names))
                nonce = uuid.uuid4().hex
                job = RunnerJob(nonce, runtime, 1, wanted, cores=cores, batch=batch, token=token)
                connection.sendall(job.encoded())
                data = b""
                while not (found := read_records(data)).end:
                    assert found.fatal is None, found.fatal
                    data += connection.recv(1 << 20)
                assert found.complete(nonce) and not found.failed
                assert found.start is not None and list(found.start.cores) == list(cores)
                return found.outcomes(batch)

            yield measure
    finally:
        process.kill()
        process.wait()


def latency_us(data: Measurements, depth: int, name: str) -> float | None:
    summary = data.summary(name, depth)
    return summary.latency_us if summary else None


def measure_both(
    sides: dict[str, MeasureBatch], data: dict[str, Measurements], rounds: int, depth: int, names: Sequence[str]
) -> None:
    """Every operator once a round and side; who is first changes with every turn."""
    space = fbnet(224, 1.0)
    canaries = choose_canaries([space], PROTOCOL)
    turn = 0
    for number in range(rounds):
        rng = random.Random(number)
        sequences = [[op.name for op in chain if op.name in set(names)] for chain in chains(space, rng)]
        known = partial(latency_us, data["host"], depth)
        cycles = operator_cycles([s for s in sequences if s], names, depth, rng, PROTOCOL, known, canaries.beside)
        for start in range(0, len(cycles), CYCLES_IN_TURN):
            turn += 1
            for side in sorted(sides, reverse=turn % 2 == 0):
                visit(sides[side], data[side], number, cycles[start : start + CYCLES_IN_TURN])
        for side in sides:
            data[side].end(number)
        print(f"round {number + 1} of {rounds}", end="\r", file=sys.stderr)


def visit(measure: MeasureBatch, data: Measurements, number: int, cycles: Sequence[Cycle]) -> None:
    for outcome in measure(Batch(tuple(cycles), data.canaries, PROTOCOL.patience)):
        if isinstance(outcome, Samples) and not data.has(number, outcome.artifact, outcome.depth):
            data.add(number, outcome)


def summary_line(label: str, ratios: Sequence[float]) -> str:
    within = sum(abs(ratio - 1) <= LIMIT for ratio in ratios) / len(ratios)
    off = sorted(abs(ratio - 1) for ratio in ratios)
    return (
        f"| {label} | {len(ratios)} | {100 * within:.0f} % | {100 * (median(ratios) - 1):+.1f} %"
        f" | {100 * off[-1]:.1f} % |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtime", default="onnx", choices=("onnx", "executorch"))
    parser.add_argument("--operators", type=int, default=0, help="so many, spread over the space; none: all")
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--depth", type=int, default=1, help="context depth")
    arguments = parser.parse_args()
    space = fbnet(224, 1.0)
    canaries = choose_canaries([space], PROTOCOL)
    every = [op for op in space.operators if op.is_measured]
    step = max(1, len(every) // arguments.operators) if arguments.operators else 1
    names = list(dict.fromkeys([OVERHEAD.name, *(op.name for op in every[::step])]))
    needed = set(names) | {canary.artifact for canary in canaries.all}
    workloads = [op for op in every if op.name in needed]
    cache = ArtifactCache(default_cache_folder())
    artifacts, failures = export_workloads(workloads, EXPORTERS[arguments.runtime], "int8", cache, lambda _event: None)
    assert not failures, failures
    data = {side: Measurements(canaries.all) for side in ("host", "runner")}
    with HostAgent(AgentSettings(arguments.runtime, "int8", 1)) as agent:
        assert not list(agent.install(artifacts))
        cores = agent.describe().environment["pinned_to"]
        with runner(arguments.runtime, artifacts, cores) as native:
            measure_both({"host": agent.measure, "runner": native}, data, arguments.rounds, arguments.depth, names)
    report(data, arguments.depth, names, arguments.rounds)


def report(data: dict[str, Measurements], depth: int, names: Sequence[str], rounds: int) -> None:
    found = {side: {n: s.latency_us for n in names if (s := data[side].best_summary(n, depth))} for side in data}
    ratios = {name: found["runner"][name] / found["host"][name] for name in names}
    disturbed = ", ".join(f"{side} {100 * data[side].disturbed_share:.0f} %" for side in data)
    print(f"{machine()}; {len(names)} operators, {rounds} rounds, depth {depth}; disturbed samples: {disturbed}\n")
    print("| host agent's median | operators | within 3 % | median difference | largest |\n|---|---|---|---|---|")
    for low, high in pairwise(BINS_US):
        chosen = [ratios[name] for name in names if low <= found["host"][name] < high]
        if chosen:
            print(summary_line(f"{low:.0f} to {high:.0f} us" if high < 1e9 else f"from {low:.0f} us", chosen))
    print(summary_line("all", list(ratios.values())))
    calls = {side: found[side][OVERHEAD.name] for side in found}
    net = [
        (found["runner"][name] - calls["runner"]) / (found["host"][name] - calls["host"])
        for name in names
        if name != OVERHEAD.name
    ]
    print(summary_line(f"all, less each side's own {OVERHEAD.name}", net))
    for name in sorted(names, key=lambda name: -abs(ratios[name] - 1))[:8]:
        print(f"  {name}: {found['host'][name]:.2f} us, {found['runner'][name]:.2f} us")
    if max(side.disturbed_share for side in data.values()) > MOST_DISTURBED:
        print(f"not judged: more than {100 * MOST_DISTURBED:.0f} % of a side's samples are disturbed")
        sys.exit(2)
    within = sum(abs(ratio - 1) <= LIMIT for ratio in ratios.values()) / len(ratios)
    sys.exit(0 if within >= SHARE else 3)


if __name__ == "__main__":
    main()
