"""How far can the table be trusted? A LUT of this machine, then `lutbench verify` on random whole nets.

    python benchmarks/truth.py [--nets 200] [--folder DIR]

Prints a Markdown table: the LUT's error beside the noise floor of the very same nets, all of one run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from _machine import machine

COMMAND = [sys.executable, "-m", "lutbench"]


def percent(fraction: float) -> str:
    return f"{100 * fraction:.2f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", type=int, default=200)
    parser.add_argument("--folder", type=Path, help="keep the LUT here")
    arguments = parser.parse_args()
    lut = (arguments.folder or Path(tempfile.mkdtemp(prefix="lutbench-"))) / "host.csv"
    subprocess.run([*COMMAND, "profile", "--device", "host", "-o", str(lut)], check=True, stdout=subprocess.DEVNULL)
    shown = json.loads(
        subprocess.run([*COMMAND, "show", str(lut), "--json"], check=True, capture_output=True, text=True).stdout
    )
    verify = [*COMMAND, "verify", "--lut", str(lut), "--nets", str(arguments.nets), "--json"]
    found = json.loads(subprocess.run(verify, check=True, stdout=subprocess.PIPE, text=True).stdout)
    print(f"{machine()}; {found['nets']} nets, {found['rounds']} rounds\n")
    print("| | LUT | noise floor: the same nets in two interleaved halves |")
    print("|---|---|---|")
    print(f"| mean absolute error | {percent(found['mean_abs_error'])} | {percent(found['noise_mean'])} |")
    print(f"| largest | {percent(found['max_abs_error'])} | {percent(found['noise_max'])} |")
    for limit in (1, 3, 5, 10):
        print(f"| within {limit} % | {percent(found[f'within_{limit}pct'])} | |")
    print(f"| Kendall tau | {found['kendall_tau']:.3f} | {found['noise_tau']:.3f} |")
    print(f"| Spearman | {found['spearman']:.4f} | |")
    print(
        f"\nmean error {percent(found['mean_error'])}; {percent(shown['within_target'])} of rows within ±1 %;"
        f" context depth {shown['context_depth']}, scale {shown['scale']:.3f}; drift of the device between LUT and nets"
        f" {percent(found['drift'])} (mean absolute error without taking it in:"
        f" {percent(found['uncorrected_mean_abs_error'])}); {percent(shown['quality']['disturbed_share'])} of the LUT's"
        f" and {percent(found['disturbed_share'])} of the nets' samples were disturbed and did not count"
    )


if __name__ == "__main__":
    main()
