"""Why is `lutbench bench` lower than a loop of one's own? The same exported nets in plain loops, and in bench.

    python benchmarks/own_loop.py [--calls 400] [--turns 3]

In each turn a net runs in three loops, in a fresh process and on as many threads as bench uses (one): `session.run`
with its image given anew in each call, as most people write it; the same with inputs and outputs bound beforehand; and
that on one core, where the system lets a process choose. Straight after it, or before it in every second turn, bench
times the same file. Prints a Markdown table of medians over the turns, milliseconds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
from _machine import machine

from lutbench.device_agents.registry import find_device
from lutbench.export.cache import ArtifactCache
from lutbench.export.exporters import EXPORTERS
from lutbench.files import default_cache_folder
from lutbench.jobs.artifacts import export_workloads
from lutbench.jobs.bench import BenchRequest, bench
from lutbench.jobs.bench_nets import parse_net_text
from lutbench.space.workload import Workload, workload_name

NETS = ("fbnet_96_035_1", "mobilenet_v2@224x0.35", "mobilenet_v2", "fbnet_a", "fbnet_c")
DTYPES = ("int8", "fp32")
COLUMNS = ("mean", "median", "bound", "one_core", "tenth", "bench")
WARM_UP = 20
Samples = dict[str, float]


def seconds_of(call: Callable[[], object], calls: int) -> list[float]:
    """How long each call took; the first ones are left out, as everybody does."""
    for _ in range(WARM_UP):
        call()
    taken = []
    for _ in range(calls):
        before = time.perf_counter()
        call()
        taken.append(time.perf_counter() - before)
    return taken


def loops(path: str, calls: int) -> Samples:
    """The three loops over one model, milliseconds; runs in a process of its own."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (given,), (result,) = session.get_inputs(), session.get_outputs()
    kind = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}[given.type]
    image: Any = (np.random.default_rng(0).random(given.shape) * (255 if kind is np.uint8 else 1)).astype(kind)
    binding = session.io_binding()
    binding.bind_cpu_input(given.name, image)
    binding.bind_output(result.name, "cpu")
    fed = seconds_of(lambda: session.run(None, {given.name: image}), calls)
    bound = seconds_of(lambda: session.run_with_iobinding(binding), calls)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    one_core = seconds_of(lambda: session.run_with_iobinding(binding), calls)
    found = {
        "mean": fmean(fed),
        "median": median(fed),
        "bound": median(bound),
        "one_core": median(one_core),
        "tenth": float(np.percentile(fed, 10)),
    }
    return {name: 1000 * value for name, value in found.items()}


def plain(path: Path, calls: int) -> Samples:
    """A file's loops, in a fresh process."""
    command = [sys.executable, __file__, "--calls", str(calls), "--loops", str(path)]
    found: Samples = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def by_bench(net: str, dtype: str) -> Samples:
    """A net's milliseconds, and the share of samples that were disturbed and did not count."""
    report = bench(BenchRequest(device=find_device("host"), nets=(net,), dtype=dtype, fresh=True), unheard)
    (latency_us,) = report.latencies_us().values()
    return {"bench": latency_us / 1000, "disturbed": report.disturbed_share}


def files_of(dtype: str) -> dict[str, Path]:
    """The files that bench times, from its cache or made now."""
    nets: dict[str, Workload] = {name: parse_net_text(name, ()) for name in NETS}
    cache = ArtifactCache(default_cache_folder())
    artifacts, failures = export_workloads(list(nets.values()), EXPORTERS["onnx"], dtype, cache, unheard)
    assert not failures, failures
    by_name = {artifact.name: artifact.path for artifact in artifacts}
    return {name: by_name[workload_name(net)] for name, net in nets.items()}


def unheard(_event: object) -> None:
    """Shows nothing of a run's progress."""


def turn(number: int, net: str, dtype: str, path: Path, calls: int) -> Samples:
    """A net's loops and its bench, one straight after the other, in an order that turns round."""
    if number % 2:
        benched = by_bench(net, dtype)
        return {**plain(path, calls), **benched}
    return {**plain(path, calls), **by_bench(net, dtype)}


def row(net: str, dtype: str, found: Sequence[Samples]) -> str:
    """A line of the table: medians over the turns, and the median of bench's ratio to its neighbour in time."""
    cells = [f"{median(one[column] for one in found):.3f}" for column in COLUMNS]
    for column in ("mean", "median"):
        ratio = median(one["bench"] / one[column] for one in found)
        cells.append(f"{100 * (ratio - 1):+.1f} %")
    disturbed = median(one["disturbed"] for one in found)
    return f"| {net}, {dtype} | {' | '.join(cells)} | {disturbed:.0%} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--loops", metavar="FILE", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.loops:
        print(json.dumps(loops(arguments.loops, arguments.calls)))
        return
    print(f"{machine()}; {arguments.turns} turns of {arguments.calls} calls\n")
    heads = ("mean of a loop", "its median", "bound", "bound, one core", "fastest tenth", "bench")
    print(f"| net | {' | '.join(heads)} | bench to mean | bench to median | disturbed |")
    print(f"|---{'|---' * (len(heads) + 3)}|")
    files = {dtype: files_of(dtype) for dtype in DTYPES}
    for net in NETS:
        for dtype, paths in files.items():
            found = [turn(number, net, dtype, paths[net], arguments.calls) for number in range(arguments.turns)]
            print(row(net, dtype, found), flush=True)


if __name__ == "__main__":
    main()
