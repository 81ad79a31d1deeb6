"""How far predictions hold, cell by cell: runtimes, dtypes, threads and sizes of a space, each by profile and verify.

    python benchmarks/truth_matrix.py --folder matrix --runtimes onnx --dtypes fp32,int8 --nets 40

Every cell has a folder of its own under --folder; a run that is cut off goes on from its journals, and a cell that is
done is not measured again. Prints one Markdown table of all cells asked for; those that could not be measured say why.
With --only-export the artifacts of all cells are put into the cache, and nothing is measured: the measurement after it
then has the machine to itself.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from itertools import product
from pathlib import Path
from typing import Any

from lutbench.export.cache import ArtifactCache
from lutbench.export.exporters import find_exporter
from lutbench.files import default_cache_folder
from lutbench.jobs.artifacts import export_workloads
from lutbench.jobs.tuning import draw_tuning_nets
from lutbench.space.find import find_spaces
from lutbench.space.macro import distinct_operators
from lutbench.space.sampling import random_nets

FIGURES = ("noise_mean", "mean_abs_error", "max_abs_error", "within_1pct", "within_3pct", "within_5pct")
NOT_MEASURED = "not measured"


def run(arguments: list[str]) -> tuple[int, str, str]:
    found = subprocess.run([sys.executable, "-m", "lutbench", *arguments], capture_output=True, text=True)
    return found.returncode, found.stdout, found.stderr


def measured(folder: Path, cell: dict[str, str], nets: int, rounds: int) -> dict[str, Any]:
    """The cell's figures: verify's JSON, or {"status": why there are none}."""
    result = folder / "result.json"
    if result.exists():
        kept: dict[str, Any] = json.loads(result.read_text())
        return kept
    folder.mkdir(parents=True, exist_ok=True)
    lut = str(folder / "lut.csv")
    options = [text for name, value in cell.items() for text in (f"--{name}", value)]
    steps = [["profile", *options, "-o", lut]] if not Path(lut).exists() else []
    out = ""
    for step in [*steps, ["verify", "--lut", lut, "--nets", str(nets), "--rounds", str(rounds), "--json"]]:
        status, out, said = run(step)
        if status:
            return {"status": f"{step[0]}: {(said.strip().splitlines() or [f'exit {status}'])[-1]}"}
    found: dict[str, Any] = json.loads(out)
    found.pop("details")
    result.write_text(json.dumps(found, indent=1))
    return found


def export(cell: dict[str, str], nets: int) -> str:
    """Puts what profile and verify need into the cache; how many there are, and those that cannot be exported."""
    started = time.monotonic()
    spaces, _ = find_spaces(cell["space"], (int(cell["resolution"]),), (float(cell["width"]),))
    operators = [operator for operator in distinct_operators(spaces) if operator.is_measured]
    tuning = draw_tuning_nets(spaces, 0, dtype=cell["dtype"])
    judged = random_nets(spaces[0], nets, 0, "verify", {net.key for net in tuning}, varied=True)
    exporter, cache = find_exporter(cell["runtime"], cell["dtype"]), ArtifactCache(default_cache_folder())
    wanted = [*operators, *tuning, *judged]
    artifacts, failures = export_workloads(wanted, exporter, cell["dtype"], cache, lambda _event: None)
    failed = "".join(f"\n  {failure.artifact}: {failure.reason}" for failure in failures)
    return f"{' '.join(cell.values())}: {len(artifacts)} in {time.monotonic() - started:.0f} s{failed}"


def row(cell: dict[str, str], found: dict[str, Any]) -> str:
    if "status" in found:
        return f"| {' | '.join(cell.values())} | {found['status']} |" + " |" * (len(FIGURES) + 1)
    figures = " | ".join(f"{100 * found[name]:.2f} %" for name in FIGURES)
    taus = f"{found['kendall_tau']:.3f} ({found['noise_tau']:.3f})"
    return f"| {' | '.join(cell.values())} | {found['nets']} | {figures} | {taus} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("matrix"))
    parser.add_argument("--runtimes", default="onnx,executorch,torchscript")
    parser.add_argument("--dtypes", default="int8,fp32")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--resolutions", default="224,128,96")
    parser.add_argument("--widths", default="1.0,0.35")
    parser.add_argument("--spaces", default="fbnet")
    parser.add_argument("--nets", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=40, help="that count for each net")
    parser.add_argument("--only-print", action="store_true", help="measure nothing: print what there is")
    parser.add_argument("--only-export", action="store_true", help="measure nothing: fill the cache of artifacts")
    chosen = parser.parse_args()
    names = ("runtime", "dtype", "threads", "resolution", "width", "space")
    values = (chosen.runtimes, chosen.dtypes, chosen.threads, chosen.resolutions, chosen.widths, chosen.spaces)
    cells = [dict(zip(names, one, strict=True)) for one in product(*(text.split(",") for text in values))]
    if chosen.only_export:
        for cell in {tuple((cell | {"threads": "any"}).items()): cell | {"threads": "any"} for cell in cells}.values():
            print(export(cell, chosen.nets), flush=True)
        return
    print("| " + " | ".join((*names, "nets", "floor", "mean", "worst", "1 %", "3 %", "5 %", "tau (floor)")) + " |")
    print("|---" * (len(names) + len(FIGURES) + 2) + "|")
    for cell in cells:
        folder = chosen.folder / "_".join(cell.values()).replace("/", ".")
        is_done = (folder / "result.json").exists()
        found = (
            {"status": NOT_MEASURED}
            if chosen.only_print and not is_done
            else measured(folder, cell, chosen.nets, chosen.rounds)
        )
        print(row(cell, found), flush=True)


if __name__ == "__main__":
    main()
