"""What exporting costs: every operator of FBNet at 224 from an empty cache, one whole net, and a full cache.

    python benchmarks/export_speed.py [RUNTIME ...] [--dtype int8] [--nets 3]

Prints a Markdown table. Wall seconds are of this machine as it is now: processor seconds stand in brackets, and the
table says how busy the machine was. Memory is the
largest process's peak times the number of workers, an upper bound.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from _machine import machine

from lutbench.export.artifact import Artifact
from lutbench.export.cache import ArtifactCache
from lutbench.export.exporters import EXPORTERS, find_exporter
from lutbench.export.pool import export_all
from lutbench.space.fbnet import fbnet
from lutbench.space.sampling import random_nets
from lutbench.space.workload import Workload


def export(workloads: Sequence[Workload], runtime: str, dtype: str, folder: Path) -> tuple[float, float]:
    """Wall seconds, and the workers' processor seconds."""
    started, worked = time.monotonic(), children_s()
    for workload, result in export_all(workloads, find_exporter(runtime, dtype), dtype, ArtifactCache(folder)):
        if not isinstance(result, Artifact):
            print(f"{workload}: {result}", file=sys.stderr)
        elif result.undelegated:
            print(f"{result.name}: {', '.join(result.undelegated)}", file=sys.stderr)
    return time.monotonic() - started, children_s() - worked


def children_s() -> float:
    """Processor seconds of the processes that this one waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


_ONE_PROCESS = """
import sys, time
from lutbench.export.exporters import find_exporter
from lutbench.export.pool import _prepare_worker
from lutbench.space.fbnet import fbnet
from lutbench.space.operator import parse_operator
from lutbench.space.sampling import random_nets
_prepare_worker()
exporter = find_exporter(sys.argv[1], sys.argv[2])
exporter.export(parse_operator("conv_k1_16x8x8_24_s2"), sys.argv[2])
for net in random_nets(fbnet(224, 1.0), int(sys.argv[3]), 0, "export"):
    started, worked = time.monotonic(), time.process_time()
    exporter.export(net, sys.argv[2])
    print(time.monotonic() - started, time.process_time() - worked)
"""


def nets_s(runtime: str, dtype: str, nets: int) -> list[list[float]]:
    """Wall and processor seconds of whole nets, one after the other in a worker that has started."""
    command = [sys.executable, "-c", _ONE_PROCESS, runtime, dtype, str(nets)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [[float(word) for word in line.split()] for line in done.stdout.splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runtimes", nargs="*", metavar="RUNTIME", help=", ".join(EXPORTERS))
    parser.add_argument("--dtype", default="int8")
    parser.add_argument("--nets", type=int, default=3)
    arguments = parser.parse_args()
    space = fbnet(224, 1.0)
    operators: list[Workload] = [operator for operator in space.operators if operator.is_measured]
    nets = random_nets(space, 14, 0, "tune")
    workers = min(os.cpu_count() or 1, 4)
    print(f"{machine()}\n")
    print(
        f"| runtime, {arguments.dtype} | {len(operators)} operators, empty cache | full cache | one net (median of"
        f" {arguments.nets}) | {len(nets)} nets, {workers} workers | memory at most | load |"
    )
    print("|---|---|---|---|---|---|---|")
    for runtime in arguments.runtimes or [name for name, one in EXPORTERS.items() if arguments.dtype in one.dtypes]:
        with tempfile.TemporaryDirectory(prefix="lutbench-") as name:
            folder = Path(name)
            load = os.getloadavg()[0]
            empty_s = export(operators, runtime, arguments.dtype, folder)
            full_s = export(operators, runtime, arguments.dtype, folder)
            many_s = export(nets, runtime, arguments.dtype, folder)
            peak_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            one_s = [median(column) for column in zip(*nets_s(runtime, arguments.dtype, arguments.nets), strict=True)]
        imported = "torch imported here!" if "torch" in sys.modules else f"{full_s[0]:.2f} s"
        print(
            f"| {runtime} | {empty_s[0]:.0f} s ({empty_s[1]:.0f} s) | {imported} | {one_s[0]:.1f} s ({one_s[1]:.1f} s)"
            f" | {many_s[0]:.0f} s ({many_s[1]:.0f} s)"
            f" | {workers * peak_mib / 1024:.1f} GiB | {load:.1f} to {os.getloadavg()[0]:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
