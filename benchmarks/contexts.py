"""Which measuring context makes the sum of operators equal a whole net?

    python benchmarks/contexts.py [--nets 40] [--rounds 30]

Times every operator of FBNet's space at several context depths and, in the same rounds, whole random nets. For each
depth: the signed error of overhead + sum(row - overhead), then the error with scale and operator_us fitted on 12 of the
nets and judged on the others, and how many rows reached +-1 % in these rounds. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from functools import partial
from pathlib import Path
from statistics import fmean, median

from _machine import machine

from lutbench.device_agents.agent import AgentSettings
from lutbench.device_agents.host.agent import HostAgent
from lutbench.events import ExportProgress
from lutbench.export.cache import ArtifactCache
from lutbench.export.exporters import EXPORTERS
from lutbench.files import default_cache_folder
from lutbench.jobs.artifacts import export_workloads
from lutbench.jobs.tuning import choose_canaries
from lutbench.measure.common_drift import without_common_drift
from lutbench.measure.in_net import InNet, Setting
from lutbench.measure.journal import Journal
from lutbench.measure.measurements import Measurements
from lutbench.measure.net_fit import NetMeasurement
from lutbench.measure.protocol import Cycle, Protocol
from lutbench.measure.rounds import measure_round
from lutbench.measure.scale import fit_scale
from lutbench.measure.schedule import net_cycles, operator_cycles
from lutbench.space.fbnet import fbnet
from lutbench.space.macro import Space
from lutbench.space.net import Net
from lutbench.space.operator import OVERHEAD
from lutbench.space.sampling import chains, random_nets
from lutbench.space.workload import Workload

DEPTHS = (0, 1, 2, 4, 8, 26)  # 26 others: a whole net's length
FITTED = 12
PROTOCOL = Protocol()


def latency_us(data: Measurements, depth: int, name: str) -> float | None:
    summary = data.summary(name, depth)
    return summary.latency_us if summary else None


def measure(space: Space, nets: tuple[Net, ...], rounds: int) -> Measurements:
    """Every depth and every net in each round."""
    exporter = EXPORTERS["onnx"]
    canaries = choose_canaries([space], PROTOCOL)
    operators = [op for op in space.operators if op.is_measured]
    workloads: list[Workload] = [*operators, *nets]
    cache = ArtifactCache(default_cache_folder())
    artifacts, failures = export_workloads(workloads, exporter, "int8", cache, report)
    assert not failures, failures
    keep = {(op.name, depth) for op in operators for depth in DEPTHS} | {(net.key, 0) for net in nets}
    with tempfile.TemporaryDirectory() as folder, HostAgent(AgentSettings("onnx", "int8", 1)) as agent:
        assert not list(agent.install(artifacts))
        with Journal(Path(folder) / "contexts.jsonl", {}, canaries.all) as journal:
            for number in range(rounds):
                rng = random.Random(number)
                keys = [net.key for net in nets]
                cycles: list[Cycle] = net_cycles(keys, canaries.nets.name, lambda _net: PROTOCOL.net_visit(None))
                for depth in DEPTHS:
                    sequences = [[op.name for op in chain] for chain in chains(space, rng)]
                    known = partial(latency_us, journal.measurements, depth)
                    names = [op.name for op in operators]
                    cycles += operator_cycles(sequences, names, depth, rng, PROTOCOL, known, canaries.beside)
                rng.shuffle(cycles)
                measure_round(agent.measure, journal, cycles, keep, PROTOCOL)
            return journal.measurements


def report(event: object) -> None:
    if isinstance(event, ExportProgress) and event.done == event.total:
        print(f"{event.total} artifacts")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    space = fbnet(224, 1.0)
    nets = random_nets(space, arguments.nets, 0, "contexts")
    data = measure(space, nets, arguments.rounds)
    drift_free = without_common_drift({net.key: data.round_medians_us(net.key, 0) for net in nets})
    rounds_us = {net: list(values.values()) for net, values in drift_free.items()}
    measured = [
        NetMeasurement(net.key, tuple(op.name for op in net.operators), median(rounds_us[net.key])) for net in nets
    ]
    noise = [abs(median(values[::2]) / median(values[1::2]) - 1) for values in rounds_us.values()]
    print(f"{machine()}; {arguments.nets} nets, {arguments.rounds} rounds\n")
    print(
        "| context depth | mean error, rows alone | scale | us per operator | mean absolute error with both | worst"
        " | rows within ±1 % |"
    )
    print("|---|---|---|---|---|---|---|")
    for depth in DEPTHS:
        summaries = {op.name: data.best_summary(op.name, depth) for op in space.operators if op.is_measured}
        rows = {name: summary.latency_us for name, summary in summaries.items() if summary}
        overhead = rows[OVERHEAD.name]
        fit = fit_scale(measured[:FITTED], rows, overhead, Setting(), {})

        def errors(in_net: InNet, chosen: list[NetMeasurement], rows: dict[str, float] = rows) -> list[float]:
            overhead = rows[OVERHEAD.name]
            return [
                in_net.net_us([(name, rows[name]) for name in net.operators], overhead) / net.latency_us - 1
                for net in chosen
            ]

        plain = fmean(errors(InNet(), measured))
        judged = [abs(error) for error in errors(fit.in_net, measured[FITTED:])]
        narrow = [summary.half_width <= 0.01 for summary in summaries.values() if summary]
        print(
            f"| {depth} | {100 * plain:+.1f} % | {fit.in_net.scale:.3f} | {fit.in_net.operator_us:.1f}"
            f" | {100 * fmean(judged):.2f} %"
            f" | {100 * max(judged):.2f} % | {100 * fmean(narrow):.0f} % |"
        )
    print(f"\nnoise floor of the nets (two interleaved halves): mean {100 * fmean(noise):.2f} %,", end=" ")
    print(f"largest {100 * max(noise):.2f} %; {100 * data.disturbed_share:.0f} % of samples disturbed")


if __name__ == "__main__":
    main()
