"""Whole tables of the spaces that come along: every operator is found, a net is the sum of its authors' rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from lutbench.lut.importers.build import ImportRequest, import_table
from lutbench.lut.predict import predict
from lutbench.space.find import known_space
from lutbench.space.macro import Space
from lutbench.space.net import parse_net
from lutbench.space.operator import Operator


def ofa_key(op: Operator) -> str:
    """The operator as once-for-all's tables name it."""
    given, made = f"{op.h_in}x{op.w_in}x{op.c_in}", f"{op.h_out}x{op.w_out}x{op.c_out}"
    if op.kind == "ir":
        middle = f"expand:{op.mid_channels}-kernel:{op.kernel}-stride:{op.stride}-idskip:{int(op.has_residual)}"
        gates = f"-se:{int(bool(op.option('squeeze')))}-hs:{int(op.option('activation') == 'hswish')}"
        return f"expanded_conv-input:{given}-output:{made}-{middle}{gates}"
    if op.kind == "fc":
        if op.option("activation") == "hswish":
            return f"Conv_2-input:1x1x{op.c_in}-output:1x1x{op.c_out}"
        return f"Logits-input:1x1x{op.c_in}-output:{op.c_out}"
    names = {"stem": "Conv", "conv": "Conv_1", "pool": "AvgPool2D"}
    return f"{names[op.kind]}-input:{given}-output:{made}"


def milliseconds(op: Operator) -> float:
    return max(op.macs / 1e7, 0.005)


def table(space: Space) -> str:
    operators = [op for op in space.operators if op.is_measured and op.kind != "overhead"]
    rows = {ofa_key(op): milliseconds(op) for op in operators}
    return "".join(f"{key}: {{count: 100, mean: {ms!r}, std: 0.001}}\n" for key, ms in rows.items())


@pytest.mark.parametrize("width", [1.0, 1.2])
def test_once_for_alls_table_fills_its_space(width: float, tmp_path: Path) -> None:
    space = known_space("ofa-mobilenetv3").scaled(224, width)
    (tmp_path / "note.yaml").write_text(table(space))
    lut = import_table(ImportRequest(tmp_path / "note.yaml", "ofa"))
    assert (lut.metadata.space.name, lut.metadata.space.widths) == ("ofa-mobilenetv3", (width,))
    (found,) = lut.metadata.space.spaces
    net = parse_net("|".join(["k5_e4,k3_e6,k7_e3,skip"] * 5), found, "net")
    assert predict(lut, net).latency_us == pytest.approx(
        sum(1000 * milliseconds(op) for op in net.operators), abs=0.002 * len(net.operators)
    )
