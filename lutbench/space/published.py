"""What FBNet's paper published about nets: latency on two phones, size, accuracy (tables 3, 4 and 5)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from lutbench.space.macro import format_width

PUBLISHED_FILE = "published_latency.csv"
SOURCE = "FBNet, CVPR 2019 (arXiv 1812.03443), tables 3 to 5"


@dataclass(frozen=True)
class Published:
    """One row: a net at a resolution and width on a device (s8, iphonex); top1 in per cent."""

    net: str
    resolution: int
    width: float
    params_m: float
    mmacs: float
    device: str
    latency_ms: float
    top1_pct: float
    table: int

    @property
    def names(self) -> tuple[str, str]:
        """How the net may be called: as it stands, and with its resolution and width."""
        return self.net, f"{self.net}@{self.resolution}x{format_width(self.width)}"


@cache
def published_text() -> str:
    """The data file that comes along: CSV under comments."""
    return files("lutbench.space").joinpath(PUBLISHED_FILE).read_text(encoding="utf-8")


@cache
def published() -> tuple[Published, ...]:
    """Every row of the data file that comes along."""
    lines = [line for line in published_text().splitlines() if not line.startswith("#")]
    return tuple(
        Published(
            row["net"],
            int(row["resolution"]),
            float(row["width"]),
            float(row["params_m"]),
            float(row["mflops"]),
            row["device"],
            float(row["latency_ms"]),
            float(row["top1_pct"]),
            int(row["table"]),
        )
        for row in csv.DictReader(lines)
    )
