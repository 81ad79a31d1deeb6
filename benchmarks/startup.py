"""How long the command line takes to answer: --help and show, the whole process, median of 11 runs.

python benchmarks/startup.py LUT
"""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

from _machine import machine

RUNS = 11


def seconds(arguments: list[str]) -> float:
    """Median wall seconds of `lutbench ARGUMENTS`."""
    found = []
    for _ in range(RUNS):
        started = time.monotonic()
        subprocess.run([sys.executable, "-m", "lutbench", *arguments], check=True, stdout=subprocess.DEVNULL)
        found.append(time.monotonic() - started)
    return median(found)


def main() -> None:
    print(machine())
    for arguments in (["--help"], ["show", sys.argv[1]]):
        print(f"lutbench {arguments[0]}: {seconds(arguments):.2f} s")


if __name__ == "__main__":
    main()
