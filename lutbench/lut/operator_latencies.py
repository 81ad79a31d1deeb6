"""Tables of single operators that were timed alone: CSV with an operator and a latency per row, of one or more devices.

Columns: operator, and latency_ms or latency_us; where it is there also device. An operator is a name as in a LUT, or a
convolution in groups, conv_k3_g32_32x112x112_32_s1, which no space has by itself. A row of the empty graph (`overhead`)
is taken off the others, for it is what a call costs; without one the latencies are taken to be without it.
"""

from __future__ import annotations

import re
from pathlib import Path

from lutbench.errors import LatencyTableError, SpaceError
from lutbench.lut.latencies import PUBLISHED, Cells, latency_us, read_rows
from lutbench.lut.pieces import Piece, graph_piece, operator_piece
from lutbench.space.graph import GraphBuilder
from lutbench.space.operator import OVERHEAD, Operator, parse_operator
from lutbench.space.published import PUBLISHED_OPERATORS_FILE, published_operators_text

_GROUPED = re.compile(r"conv_k(\d{1,2})_g(\d{1,5})_(\d{1,5})x(\d{1,5})x(\d{1,5})_(\d{1,5})_s(\d)")


def read_operator_latencies(source: str, device: str, dtype: str) -> tuple[tuple[Piece, float], ...]:
    """Pieces and their latencies, microseconds, without the overhead of a call.

    LatencyTableError, with the line, where the table is not one, or has no row of the device.
    """
    path = Path(PUBLISHED_OPERATORS_FILE if source == PUBLISHED else source)
    rows = read_rows(published_operators_text() if source == PUBLISHED else None, path, "operator")
    own = [(line, cells) for line, cells in rows if cells.get("device", device) == device]
    if not own:
        raise LatencyTableError(f"no row is of device {device!r}", path=path)
    overhead_us = 0.0
    found: dict[str, tuple[Piece, float]] = {}
    for line, cells in own:
        name, us = cells["operator"], latency_us(cells, path, line)
        if name == OVERHEAD.name:
            overhead_us = us
        elif name in found:
            raise LatencyTableError(f"{name} is there twice", path=path, line=line)
        else:
            found[name] = (_piece(cells, dtype, path, line), us)
    short = [name for name, (_, us) in found.items() if us <= overhead_us]
    if short:
        raise LatencyTableError(f"{short[0]} takes no longer than {OVERHEAD.name}, the empty graph", path=path)
    return tuple((piece, us - overhead_us) for piece, us in found.values())


def _piece(cells: Cells, dtype: str, path: Path, line: int) -> Piece:
    name = cells["operator"]
    try:
        if match := _GROUPED.fullmatch(name):
            kernel, groups, c_in, h_in, w_in, c_out, stride = (int(text) for text in match.groups())
            Operator("conv", c_in, h_in, w_in, c_out, kernel, stride, groups=1)  # its checks
            if groups < 1 or c_in % groups or c_out % groups:
                raise SpaceError(f"{c_in} and {c_out} channels do not divide into {groups} groups")
            net = GraphBuilder(c_in, h_in, w_in)
            net.conv(net.last, c_out, kernel, stride, groups=groups, activation="relu")
            return graph_piece(name, net.graph(), dtype)
        operator = parse_operator(name)
        if operator.kind in ("identity", "foreign"):
            raise SpaceError(f"{operator.kind} does nothing that can be scaled")
        return operator_piece(operator, dtype)
    except SpaceError as error:
        raise LatencyTableError(f"operator {name[:80]!r}: {error.problem}", path=path, line=line) from error
