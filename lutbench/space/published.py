"""What was published about nets: latency on two phones and accuracy (FBNet, tables 3, 4 and 5), and size."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from lutbench.space.scale import format_width

PUBLISHED_FILE = "published_latency.csv"
PUBLISHED_OPERATORS_FILE = "published_operators.csv"
SOURCE = "FBNet, CVPR 2019 (arXiv 1812.03443), tables 3 to 5"


@dataclass(frozen=True)
class Published:
    """One row: a net at a resolution and width on a device (s8, iphonex); top1 in per cent.

    left_out: why the row must not stand beside the others, or its net cannot be built.
    """

    net: str
    resolution: int
    width: float
    params_m: float
    mmacs: float
    device: str
    latency_ms: float
    top1_pct: float
    table: int
    left_out: str = ""

    @property
    def names(self) -> tuple[str, str]:
        """The names by which the net may be called: as it stands, and with its resolution and width."""
        return self.net, f"{self.net}@{self.resolution}x{format_width(self.width)}"


@dataclass(frozen=True)
class PublishedSize:
    """Multiply-accumulates and parameters of a net, in millions, and where they stand."""

    net: str
    resolution: int
    width: float
    mmacs: float
    params_m: float
    source: str


def _text(name: str) -> str:
    return files("lutbench.space").joinpath(name).read_text(encoding="utf-8")


def _rows(name: str) -> Iterator[dict[str, str]]:
    text = _text(name)
    yield from csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))


def published_operators_text() -> str:
    """Single operators of the paper's S8, as a table of operators."""
    return _text(PUBLISHED_OPERATORS_FILE)


def published_text() -> str:
    """The latency file that comes along: CSV under comments."""
    return _text(PUBLISHED_FILE)


@cache
def published() -> tuple[Published, ...]:
    """Every row of the latency file that comes along."""
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
            row["left_out"],
        )
        for row in _rows(PUBLISHED_FILE)
    )


@cache
def published_sizes() -> dict[tuple[str, int, float], PublishedSize]:
    """Published sizes by net, resolution and width: what FBNet's tables say, and for other nets their own papers."""
    found = [
        PublishedSize(p.net, p.resolution, p.width, p.mmacs, p.params_m, f"{SOURCE.split(',')[0]}, table {p.table}")
        for p in published()
    ] + [
        PublishedSize(
            row["net"],
            int(row["resolution"]),
            float(row["width"]),
            float(row["mmacs"]),
            float(row["params_m"]),
            row["source"],
        )
        for row in _rows("published_size.csv")
    ]
    return {(size.net, size.resolution, size.width): size for size in found}
