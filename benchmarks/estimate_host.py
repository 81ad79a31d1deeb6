"""How well `estimate` meets what was measured: rows estimated from whole nets beside the same machine's LUT. Markdown.

python benchmarks/estimate_host.py LUT NETS.csv...
python benchmarks/estimate_host.py LUT --made 6250

LUT: measured by `lutbench profile`. NETS: tables that `lutbench bench -o` wrote of random nets of the LUT's space on
the same machine. A fifth of the nets is never fitted and judges the nets' errors.
With --made no net is timed: so many random nets take what the LUT's measured rows and its context say, times a normal
error as large as that of the LUT's nets, whose halves differ by net_noise. It shows how estimates grow better where
1,000 nets and more are too many to time.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _machine import machine

from lutbench.lut.cost_fit import fit_costs
from lutbench.lut.cost_problem import NetWork, general_prior
from lutbench.lut.costs import OVERHEAD
from lutbench.lut.file import read_lut
from lutbench.lut.latencies import read_latencies
from lutbench.lut.pieces import Piece, net_pieces, operator_piece
from lutbench.lut.predict import predict
from lutbench.lut.table import Lut
from lutbench.space.find import find_spaces
from lutbench.space.macro import Space, distinct_operators
from lutbench.space.operator import OVERHEAD as EMPTY_GRAPH
from lutbench.space.sampling import random_nets

COUNTS = (12, 30, 100, 200, 300, 1000, 5000)
MEAN_TO_SPREAD = 1.2533  # of a normal error: its standard deviation over its mean size
HALVES_TO_WHOLE = 0.5  # of a net's two halves' difference: how far their middle is off
RIDGES = (1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4)


def main(lut_path: Path, tables: Sequence[str]) -> None:
    lut = read_lut(lut_path)
    section = lut.metadata.space
    spaces, _ = find_spaces(section.name, section.resolutions, section.widths)
    dtype = lut.metadata.dtype
    if tables[0] == "--made":
        nets = made(lut, spaces, int(tables[1]))
    else:
        timed = [net for table in tables for net in read_latencies(table, lut.metadata.device, spaces).nets]
        nets = [NetWork(net.name, net.latency_us, net_pieces(net.net, dtype)) for net in timed]
        random.Random(0).shuffle(nets)
    judges, seen = nets[-len(nets) // 5 :], nets[: -len(nets) // 5]
    operators = [op for op in distinct_operators(spaces) if op.is_measured and op != EMPTY_GRAPH]
    pieces = [operator_piece(op, dtype) for op in operators]
    measured_us = np.array([lut.latency_us(op) - lut.overhead_us for op in operators])
    print(f"{machine()}; {lut.metadata.runtime}, {dtype}; {len(nets)} nets, {len(judges)} of them judge.\n")
    print(
        "| nets | rows off by a factor of (median) | 95 % intervals that hold the measured row"
        " | their upper ends over their lower ones (median) | unseen nets: mean error | best additive fit | seconds |\n"
        "|---|---|---|---|---|---|---|"
    )
    for count in [c for c in COUNTS if c <= len(seen)] + [len(seen)] * (len(seen) not in COUNTS):
        print(line(seen[:count], judges, pieces, measured_us))


def made(lut: Lut, spaces: Sequence[Space], count: int) -> list[NetWork]:
    rng, noise = random.Random(0), HALVES_TO_WHOLE * MEAN_TO_SPREAD * lut.metadata.context.net_noise
    nets = random_nets(spaces[0], count, 0, "estimate", set(lut.metadata.context.nets), varied=True)
    return [
        NetWork(net.name, predict(lut, net).latency_us * (1 + rng.gauss(0, noise)), net_pieces(net, lut.metadata.dtype))
        for net in nets
    ]


def line(nets: list[NetWork], judges: list[NetWork], pieces: list[Piece], measured_us: np.ndarray) -> str:  # type: ignore[type-arg]
    started = time.monotonic()
    kinds = {OVERHEAD, *(kind for piece in pieces for layer in piece.layers for kind, _ in layer.work)}
    fit = fit_costs(nets, general_prior(kinds))
    found = fit.latencies(pieces)
    seconds = time.monotonic() - started
    off = np.log(measured_us / np.array([piece.latency_us for piece in found]))
    lows, highs = (np.array([getattr(piece, end) for piece in found]) for end in ("low_us", "high_us"))
    held = (lows <= measured_us) & (measured_us <= highs)
    by_piece = {piece: latency.latency_us for piece, latency in zip(pieces, found, strict=True)}
    errors = [(fit.costs[OVERHEAD] + sum(by_piece[p] for p in net.pieces)) / net.latency_us - 1 for net in judges]
    return (
        f"| {len(nets)} | {np.exp(np.median(np.abs(off))):.2f} | {held.mean():.0%}"
        f" | {np.median(highs / lows):.1f} | {np.mean(np.abs(errors)):.2%}"
        f" | {additive_error(nets, judges, pieces):.2%} | {seconds:.1f} |"
    )


def additive_error(nets: list[NetWork], judges: list[NetWork], pieces: list[Piece]) -> float:
    """Mean error on the judges of one latency per operator, by relative least squares with the ridge best for them."""
    number = {piece: column for column, piece in enumerate(pieces)}

    def matrix(nets: list[NetWork]) -> np.ndarray:  # type: ignore[type-arg]
        found = np.zeros((len(nets), len(pieces) + 1))
        found[:, -1] = 1.0
        for row, net in enumerate(nets):
            np.add.at(found[row], [number[piece] for piece in net.pieces], 1.0)
        return found / np.array([net.latency_us for net in nets])[:, None]

    seen, other = matrix(nets), matrix(judges)
    fits = [np.linalg.solve(seen.T @ seen + ridge * np.eye(seen.shape[1]), seen.sum(0)) for ridge in RIDGES]
    return min(float(np.mean(np.abs(other @ us - 1))) for us in fits)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
