"""Time and windows of `lutbench derive`: several targets on several LUTs from one finished supernet.

python benchmarks/derive.py FOLDER --lut A.csv --lut B.csv [--targets 5] [--threads 2] [-o DERIVED] [--again]

FOLDER is that of a finished search (`lutbench search -o FOLDER`). The targets are the same on every LUT: from the time
of the fastest net to that of the slowest, wherever these are nearest to each other, in equal steps of the logarithm,
the ends left out. Scores that are in FOLDER would be used again, so that they are set aside first; with --again they
are left where they are. Printed: the command's time by the wall and by the processor, and what each net takes of its
target. Exit status 1 where one takes more, or less than .97 of it, or is missing.

`benchmarks/masked_rivals.py` compares a derivation's nets with those of searches of their own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from _machine import machine

from lutbench.jobs.goals import latency_models, space_to_search
from lutbench.lut.file import read_lut
from lutbench.search.budget import WINDOW
from lutbench.search.scores import SCORES
from lutbench.units import US_PER_MS


def targets_of(paths: list[Path], count: int) -> list[float]:
    """Milliseconds, rounded to microseconds, which every LUT's nets may take."""
    ends = []
    for path in paths:
        lut = read_lut(path)
        space, _ = space_to_search((lut,), "", None, None)
        (model,) = latency_models((lut,), space)
        ends.append([model.net_us(net) / US_PER_MS for net in (model.fastest, model.slowest)])
    low, high = max(end[0] for end in ends), min(end[1] for end in ends)
    return [round(float(step), 3) for step in np.geomspace(low, high, count + 2)[1:-1]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--lut", type=Path, action="append", required=True, dest="luts")
    parser.add_argument("--targets", type=int, default=5)
    parser.add_argument("--scored", type=int, default=60)
    parser.add_argument("--method", default="evolution")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path, default=Path("derived/benchmark"))
    parser.add_argument("--again", action="store_true")
    arguments = parser.parse_args()
    scores = arguments.folder / SCORES
    if scores.exists() and not arguments.again:
        scores.rename(scores.with_name(f"{SCORES}.before"))
    targets = targets_of(arguments.luts, arguments.targets)
    command = [sys.executable, "-m", "lutbench", "derive", str(arguments.folder), "-o", str(arguments.output), "--json"]
    command += [part for lut in arguments.luts for part in ("--lut", str(lut))]
    command += ["--target-ms", ",".join(map(str, targets)), "--threads", str(arguments.threads)]
    command += ["--scored", str(arguments.scored), "--method", arguments.method]
    started = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    wall_s = time.monotonic() - started
    found = json.loads(done.stdout)
    outside = print_nets(arguments, found)
    missing = len(arguments.luts) * len(targets) - len(found["nets"])
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"\n{len(found['nets'])} nets, {found['scored']} scored: {wall_s:.0f} s by the wall,", end=" ")
    print(f"{spent.ru_utime + spent.ru_stime:.0f} s of the processor; {outside} outside of their windows", end=", ")
    print(f"{missing} missing")
    return int(outside > 0 or missing > 0)


def print_nets(arguments: argparse.Namespace, found: dict[str, Any]) -> int:
    """A row for each; the number of those that are outside of their windows."""
    print(f"{machine()}; {arguments.threads} threads; {found['data']}, {found['images']} images\n")
    print("| device | target | predicted | of the target | accuracy under the supernet | cross entropy |")
    print("|---|---|---|---|---|---|")
    outside = 0
    for net in found["nets"]:
        share = net["predicted_us"] / US_PER_MS / net["target_ms"]
        outside += not WINDOW < share <= 1
        cells = [net["device"], f"{net['target_ms']:g} ms", f"{net['predicted_us'] / US_PER_MS:.3f} ms"]
        cells += [f"{share:.4f}", f"{net['accuracy']:.1%}", f"{net['cross_entropy']:.3f}"]
        print("| " + " | ".join(cells) + " |")
    return outside


if __name__ == "__main__":
    sys.exit(main())
