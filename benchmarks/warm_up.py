"""How many invocations a net takes to be as warm as it gets, after others have run.

    python benchmarks/warm_up.py --space fbnet --resolution 96 --width 0.35 --dtype int8

In each round the space's operators and its tuning nets are visited in a random order, and each invocation of a visit is
timed. Prints a Markdown table: nets by their size, and the median ratio of each invocation to the median of the later
half of its visit.
"""

from __future__ import annotations

import argparse
import random
from statistics import median

from _machine import machine

from lutbench.device_agents.agent import AgentSettings
from lutbench.device_agents.host.agent import HostAgent
from lutbench.export.artifact import Artifact
from lutbench.export.cache import ArtifactCache
from lutbench.export.exporters import find_exporter
from lutbench.files import default_cache_folder
from lutbench.jobs.artifacts import export_workloads
from lutbench.jobs.tuning import choose_canaries, draw_tuning_nets
from lutbench.measure.protocol import Batch, Canary, Cycle, Protocol, Samples
from lutbench.space.find import find_spaces
from lutbench.units import format_latency

INVOCATIONS = 10
GROUPS = 6  # of nets, by their latency


def visits(
    agent: HostAgent, artifacts: list[Artifact], canary: Canary, rounds: int
) -> dict[str, list[tuple[int, ...]]]:
    """Every artifact's invocations, in order, of each of its visits; nanoseconds."""
    found: dict[str, list[tuple[int, ...]]] = {artifact.name: [] for artifact in artifacts}
    for number in range(rounds):
        order = random.Random(number).sample(sorted(found), len(found))
        cycles = tuple(Cycle((name,), 0, 0, INVOCATIONS, canary.name) for name in order)
        for outcome in agent.measure(Batch(cycles, (canary,))):
            if isinstance(outcome, Samples):
                found[outcome.artifact].append(outcome.durations_ns)
    return found


def row(nets: list[list[tuple[int, ...]]]) -> str:
    """Nets of about one size: their median latency, warm, and each invocation's median ratio to it."""
    warm_us = median(median(visit[INVOCATIONS // 2 :]) for net in nets for visit in net) / 1e3
    ratios = [
        median(visit[number] / median(visit[INVOCATIONS // 2 :]) for net in nets for visit in net)
        for number in range(INVOCATIONS)
    ]
    return f"| {format_latency(warm_us)} | " + " | ".join(f"{ratio:.3f}" for ratio in ratios) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="fbnet")
    parser.add_argument("--resolution", type=int, default=96)
    parser.add_argument("--width", type=float, default=0.35)
    parser.add_argument("--runtime", default="onnx")
    parser.add_argument("--dtype", default="int8")
    parser.add_argument("--rounds", type=int, default=30)
    chosen = parser.parse_args()
    spaces, _ = find_spaces(chosen.space, (chosen.resolution,), (chosen.width,))
    nets = draw_tuning_nets(spaces, 0)
    operators = [operator for operator in spaces[0].operators if operator.is_measured]
    cache = ArtifactCache(default_cache_folder())
    exporter = find_exporter(chosen.runtime, chosen.dtype)
    made, failures = export_workloads([*operators, *nets], exporter, chosen.dtype, cache, lambda _event: None)
    assert not failures, failures
    canary = choose_canaries(spaces, Protocol()).nets
    with HostAgent(AgentSettings(chosen.runtime, chosen.dtype, 1)) as agent:
        refused = list(agent.install(made))
        assert not refused, refused
        found = visits(agent, made, canary, chosen.rounds)
    by_size = sorted((found[net.key] for net in nets), key=lambda net: median(median(visit) for visit in net))
    print(f"{machine()}; {chosen.space}@{chosen.resolution}x{chosen.width:g}, {chosen.runtime} {chosen.dtype}\n")
    print("| warm | " + " | ".join(str(number + 1) for number in range(INVOCATIONS)) + " |")
    print("|---" * (INVOCATIONS + 1) + "|")
    size = -(-len(by_size) // GROUPS)
    for start in range(0, len(by_size), size):
        print(row(by_size[start : start + size]))


if __name__ == "__main__":
    main()
