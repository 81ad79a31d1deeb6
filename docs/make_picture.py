"""Draws docs/pictures/terminal.svg: what `lutbench show` and `predict` print for a LUT.

python docs/make_picture.py luts/host.csv
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text


def main() -> None:
    lut = sys.argv[1]
    console = Console(record=True, width=112, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    for arguments in (["show", lut, "--slowest", "6"], ["predict", "--lut", lut, "fbnet_a", "fbnet_b", "fbnet_c"]):
        shown = " ".join(["lutbench", *arguments]).replace(lut, "luts/host.csv")
        console.print(Text(f"$ {shown}", style="bold green"))
        done = subprocess.run(
            [sys.executable, "-m", "lutbench", *arguments], capture_output=True, text=True, check=True
        )
        console.print(Text(done.stdout.replace(lut, "luts/host.csv").rstrip("\n")))
    console.save_svg(str(Path(__file__).parent / "pictures" / "terminal.svg"), title="lutbench")


if __name__ == "__main__":
    main()
