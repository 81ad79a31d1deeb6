"""Draws docs/pictures/nets.svg: two published nets, as `lutbench search` draws those that it finds.

python docs/make_nets_picture.py
"""

from __future__ import annotations

from pathlib import Path

import lutbench
from lutbench.report.charts.nets import draw_nets
from lutbench.units import format_latency

NETS = ("fbnet_s8", "fbnet_iphonex")
DEVICES = {"s8": "S8", "iphonex": "iPhone X"}


def main() -> None:
    nets, labels = [], []
    for name in NETS:
        found = {lut: lutbench.predict(lut, name) for lut in DEVICES}
        nets.append(found["s8"].net)
        labels.append("\n".join(f"{DEVICES[lut]} {format_latency(one.latency_us)}" for lut, one in found.items()))
    figure = draw_nets(nets, labels)
    figure.savefig(Path(__file__).parent / "pictures" / "nets.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
