"""What pools of threads do to the times of several sessions in one process of ONNX Runtime.

    python benchmarks/thread_pools.py --threads 2

Operators and whole nets of FBNet's space in int8 are visited in a random order, each five times in a row, the last
three timed: with one thread; with a pool for each session, as ONNX Runtime has it; with such pools whose threads stop
looking for work when a run ends; with threads that never look for work; and with one pool for all sessions, which is
how lutbench measures. Each way runs in a process of its own, three times, the ways in turn. Prints a Markdown table:
the sum of all medians, the ratio of the 90th to the 10th percentile of visits (median of all artifacts), and what the
medians of every other visit differ by from those of the others (mean of all artifacts).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from statistics import fmean, median

import numpy as np
import onnxruntime
from _machine import machine

from lutbench.export.cache import ArtifactCache
from lutbench.export.exporters import find_exporter
from lutbench.files import default_cache_folder
from lutbench.jobs.artifacts import export_workloads
from lutbench.space.find import find_spaces
from lutbench.space.macro import distinct_operators
from lutbench.space.sampling import random_nets

WAYS = {
    "one thread": "no pool",
    "own": "a pool for each session",
    "own, stopped": "the same, its threads stop when a run ends",
    "own, asleep": "the same, its threads never look for work",
    "shared": "one pool for all sessions",
}
OPERATORS, NETS = 20, 20
INVOCATIONS, WARM_UP = 5, 2


def session(path: str, way: str, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    if way == "shared":
        options.use_per_session_threads = False
    else:
        options.intra_op_num_threads = 1 if way == "one thread" else threads
        options.inter_op_num_threads = 1
    if way == "own, stopped":
        options.add_session_config_entry("session.force_spinning_stop", "1")
    if way == "own, asleep":
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def visits_us(paths: list[str], way: str, threads: int, seconds: float) -> list[list[float]]:
    """For each artifact the median of every visit, microseconds."""
    onnxruntime.set_default_logger_severity(3)
    if way == "shared":
        onnxruntime.set_global_thread_pool_sizes(threads, 1)
    sessions = [session(path, way, threads) for path in paths]
    inputs = [{one.name: np.zeros(one.shape, np.uint8) for one in found.get_inputs()} for found in sessions]
    found: list[list[float]] = [[] for _ in paths]
    random, end = np.random.default_rng(0), time.monotonic() + seconds
    while time.monotonic() < end or len(found[0]) < 4:
        for number in random.permutation(len(paths)):
            durations = []
            for _ in range(INVOCATIONS):
                start = time.perf_counter_ns()
                sessions[number].run(None, inputs[number])
                durations.append(time.perf_counter_ns() - start)
            found[number].append(median(durations[WARM_UP:]) / 1e3)
    return found


def figures(found: list[list[float]]) -> tuple[float, float, float]:
    """Sum of medians (ms), spread of visits, difference of halves."""
    spreads = [float(np.percentile(visits, 90) / np.percentile(visits, 10)) for visits in found]
    halves = [abs(median(visits[::2]) / median(visits[1::2]) - 1) for visits in found]
    return sum(median(visits) for visits in found) / 1e3, median(spreads), fmean(halves)


def artifacts() -> list[str]:
    spaces, _ = find_spaces("fbnet", (224,), (1.0,))
    operators = [operator for operator in distinct_operators(spaces) if operator.is_measured]
    workloads = [
        *operators[:: max(1, len(operators) // OPERATORS)][:OPERATORS],
        *random_nets(spaces[0], NETS, 0, "pools"),
    ]
    cache = ArtifactCache(default_cache_folder())
    found, failures = export_workloads(workloads, find_exporter("onnx", "int8"), "int8", cache, lambda _event: None)
    if failures:
        raise SystemExit(f"{failures[0].artifact}: {failures[0].reason}")
    return [str(artifact.path) for artifact in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each process")
    parser.add_argument("--way", choices=WAYS, help="measure this one alone, the paths from standard input")
    chosen = parser.parse_args()
    if chosen.way:
        found = visits_us(json.load(sys.stdin), chosen.way, chosen.threads, chosen.seconds)
        print(json.dumps(figures(found)))
        return
    paths = json.dumps(artifacts())
    runs: dict[str, list[tuple[float, float, float]]] = {way: [] for way in WAYS}
    for _ in range(3):
        for way, own in runs.items():
            options = ["--threads", str(chosen.threads), "--seconds", str(chosen.seconds), "--way", way]
            command = [sys.executable, __file__, *options]
            done = subprocess.run(command, input=paths, text=True, capture_output=True, check=True)
            own.append(tuple(json.loads(done.stdout)))
    print(f"{machine()}\n\n{chosen.threads} threads; medians of three processes, and the halves of each\n")
    print("| threads | sum of medians | p90 / p10 | halves differ by |\n|---|---|---|---|")
    for way, own in runs.items():
        total, spread, _ = (median(column) for column in zip(*own, strict=True))
        halves = ", ".join(f"{100 * one[2]:.1f}" for one in own)
        print(f"| {WAYS[way]} | {total:.1f} ms | {spread:.2f} | {halves} % |")


if __name__ == "__main__":
    main()
