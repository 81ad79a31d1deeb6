"""Why is `lutbench bench` lower than a loop of one's own? The same exported nets in plain loops, and in bench.

    python benchmarks/own_loop.py [--calls 400] [--turns 3]

In each turn every net runs in three loops, in a fresh process and on as many threads as bench uses (one):
`session.run` with its image given anew in each call, as most people write it; the same with inputs and outputs bound
beforehand; and that on one core, where the system lets a process choose. Then bench times the same files' nets. The
order of the two is turned round from turn to turn, so that drift of the machine shows. Prints a Markdown table of
medians over the turns, milliseconds.
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

NETS = ("fbnet_96_035_1", "mobilenet_v2@224x0.35", "shufflenet_v2", "mobilenet_v2", "fbnet_a", "fbnet_c")
DTYPES = ("int8", "fp32")
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


def plain(paths: Sequence[Path], calls: int) -> list[Samples]:
    """Each file's loops, in a fresh process each."""
    command = [sys.executable, __file__, "--calls", str(calls), "--loops"]
    return [
        json.loads(subprocess.run([*command, str(path)], check=True, capture_output=True, text=True).stdout)
        for path in paths
    ]


def by_bench(dtype: str) -> tuple[list[float], float]:
    """Each net's milliseconds, and the share of samples that were disturbed and did not count."""
    request = BenchRequest(device=find_device("host"), nets=NETS, dtype=dtype, fresh=True)
    report = bench(request, lambda _event: None)
    found = report.latencies_us()
    return [found[net] / 1000 for net in NETS], report.disturbed_share


def files_of(dtype: str) -> list[Path]:
    """The files that bench times, from its cache or made now."""
    nets: list[Workload] = [parse_net_text(name, ()) for name in NETS]
    artifacts, failures = export_workloads(
        nets, EXPORTERS["onnx"], dtype, ArtifactCache(default_cache_folder()), lambda _event: None
    )
    assert not failures, failures
    by_name = {artifact.name: artifact.path for artifact in artifacts}
    return [by_name[workload_name(net)] for net in nets]


def turn(number: int, dtype: str, paths: Sequence[Path], calls: int) -> tuple[list[Samples], float]:
    """One turn: the loops and bench, in an order that turns round."""
    if number % 2:
        benched, disturbed = by_bench(dtype)
        found = plain(paths, calls)
    else:
        found = plain(paths, calls)
        benched, disturbed = by_bench(dtype)
    return [{**one, "bench": ms} for one, ms in zip(found, benched, strict=True)], disturbed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--loops", metavar="FILE", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.loops:
        print(json.dumps(loops(arguments.loops, arguments.calls)))
        return
    print(f"{machine()}; {arguments.turns} turns of {arguments.calls} calls\n")
    columns = ("mean", "median", "bound", "one_core", "tenth", "bench")
    heads = ("mean of a loop", "its median", "median, bound", "median, bound, one core", "fastest tenth", "bench")
    print(f"| net, dtype | {' | '.join(heads)} | bench against the mean | against the median |")
    print(f"|---{'|---' * (len(columns) + 2)}|")
    for dtype in DTYPES:
        paths = files_of(dtype)
        found_in_turns = [turn(number, dtype, paths, arguments.calls) for number in range(arguments.turns)]
        turns, shares = zip(*found_in_turns, strict=True)
        for net, *found in zip(NETS, *turns, strict=True):
            ms = {column: median(one[column] for one in found) for column in columns}
            cells = [f"{ms[column]:.3f}" for column in columns]
            cells += [f"{100 * (ms['bench'] / ms[column] - 1):+.1f} %" for column in ("mean", "median")]
            print(f"| {net}, {dtype} | {' | '.join(cells)} |", flush=True)
        print(f"<!-- {dtype}: disturbed in bench, by turn: {', '.join(f'{share:.0%}' for share in shares)} -->")


if __name__ == "__main__":
    main()
