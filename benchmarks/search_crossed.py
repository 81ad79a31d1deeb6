"""The paper's Table 5 with this search: nets found for two devices with no option, each timed by both LUTs.

    python benchmarks/search_crossed.py [--luts luts/s8.csv luts/iphonex.csv] [--seeds 3] [--targets-ms 15 15]
        [--folder DIR]

Runs `lutbench search --lut LUT --seed S` for each LUT and seed, predicts the best-ranked net on both devices and trains
it from scratch on the data it was searched with. With targets, `--target-ms` is given too. What is done is kept in the
folder: started again, it goes on. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from _machine import machine

LUTBENCH = [sys.executable, "-m", "lutbench"]


def lutbench(*arguments: str) -> dict[str, Any]:
    done = subprocess.run([*LUTBENCH, *arguments, "--json"], stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def searched(lut: Path, seed: int, target_ms: float | None, folder: Path) -> dict[str, Any]:
    """The best net's file, the search's wall seconds, its accuracy from scratch."""
    own = folder / f"{lut.stem}_{seed}"
    done = own / "crossed.json"
    if not done.exists():
        started = time.monotonic()
        extra = ("--resume",) if (own / "checkpoint.pt").exists() else ()
        target = () if target_ms is None else ("--target-ms", f"{target_ms:g}")
        found = lutbench("search", "--lut", str(lut), "--seed", str(seed), "-o", str(own), *target, *extra)
        wall_s = time.monotonic() - started
        path = found["nets"][0]["path"]
        trained = own / "trained"
        go_on = ("--resume",) if (trained / "checkpoint.pt").exists() else ()
        scratch = lutbench("train", path, "-o", str(trained), *go_on)
        result = {"path": path, "wall_s": wall_s, "resumed": bool(extra), "accuracy": scratch["accuracy"]}
        done.write_text(json.dumps(result))
    result = json.loads(done.read_text())
    return dict(result)


def predicted_ms(lut: Path, net: str) -> float:
    return float(lutbench("predict", "--lut", str(lut), net)["nets"][0]["latency_us"]) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--luts", type=Path, nargs=2, default=[Path("luts/s8.csv"), Path("luts/iphonex.csv")])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--targets-ms", type=float, nargs=2)
    parser.add_argument("--folder", type=Path, default=Path("crossed"))
    arguments = parser.parse_args()
    targets = arguments.targets_ms or [None, None]
    print(machine())
    names = [lut.stem for lut in arguments.luts]
    print(
        f"\n| seed | net of | {' | '.join(f'ms on {name}' for name in names)} | accuracy from scratch | search took |"
    )
    print("|---|---|---|---|---|---|")
    wins = 0
    for seed in range(arguments.seeds):
        found = [
            searched(lut, seed, target, arguments.folder) for lut, target in zip(arguments.luts, targets, strict=True)
        ]
        table = [[predicted_ms(lut, one["path"]) for lut in arguments.luts] for one in found]
        for name, one, row in zip(names, found, table, strict=True):
            took = "resumed" if one["resumed"] else f"{one['wall_s']:.0f} s"
            cells = " | ".join(f"{value:.2f}" for value in row)
            print(f"| {seed} | {name} | {cells} | {100 * one['accuracy']:.1f} % | {took} |", flush=True)
        wins += (table[0][0] < table[1][0]) + (table[1][1] < table[0][1])
    print(f"\nA net is faster on its own device than the other's net in {wins} of {2 * arguments.seeds} cases.")


if __name__ == "__main__":
    main()
