"""Small tables as the four sources publish them, with latencies by a rule: 10^10 multiply-accumulates a second."""

from __future__ import annotations

import pickle

from lutbench.space.fbnet import CANDIDATES, fbnet
from lutbench.space.operator import Operator

SPACE = fbnet(224, 1.0)
PER_S = 1e10


def work_us(operator: Operator) -> float:
    return max(operator.macs / PER_S * 1e6, 5.0)


OFA = """\
AvgPool2D-input:7x7x1152-output:1x1x1152:
  count: 490
  mean: 0.02
  std: 0.001
Conv-input:224x224x3-output:112x112x24:
  count: 500
  mean: 1.25
  std: 0.02
Conv_1-input:7x7x192-output:7x7x1152:
  count: 500
  mean: 0.75
  std: 0.03
Conv_2-input:1x1x1152-output:1x1x1536:
  count: 500
  mean: 0.5
  std: 0.1
Logits-input:1x1x1536-output:1000:
  count: 500
  mean: 0.4
  std: 0.08
expanded_conv-input:112x112x24-output:112x112x24-expand:24-kernel:3-stride:1-idskip:1-se:0-hs:0:
  count: 500
  mean: 1.5000000000000002
  std: 0.03
expanded_conv-input:112x112x24-output:56x56x32-expand:144-kernel:3-stride:2-idskip:0-se:0-hs:0:
  count: 50
  mean: 5.125
  std: 0.09
expanded_conv-input:56x56x32-output:56x56x32-expand:128-kernel:5-stride:1-idskip:1-se:0-hs:0:
  count: 100
  mean: 4.0004567
  std: 0.1
expanded_conv-input:56x56x32-output:28x28x48-expand:96-kernel:3-stride:2-idskip:0-se:1-hs:0:
  count: 60
  mean: 1.1
  std: 0.02
expanded_conv-input:14x14x96-output:14x14x96-expand:288-kernel:3-stride:1-idskip:1-se:0-hs:1:
  count: 120
  mean: 0.9
  std: 0.02
"""

PROXYLESS = """\
Conv-input:224x224x3-output:112x112x32: {count: 200, mean: 1.5, var: 0.0004}
Conv_1-input:7x7x320-output:7x7x1280: {count: 200, mean: 2.5, var: 0.01}
Logits-input:7x7x1280-output:1000: {count: 200, mean: 0.7, var: 0.01}
expanded_conv-input:112x112x32-output:112x112x16-expand:1-kernel:3-stride:1-idskip:0: {count: 200, mean: 2.0, var: 0.01}
expanded_conv-input:56x56x24-output:56x56x24-expand:3-kernel:5-stride:1-idskip:1: {count: 200, mean: 2.0, var: 0.01}
expanded_conv-input:56x56x24-output:56x56x24-expand:3-kernel:5-stride:1-idskip:0: {count: 200, mean: 1.9, var: 0.01}
expanded_conv-input:56x56x24-output:28x28x40-expand:6-kernel:7-stride:2-idskip:0: {count: 200, mean: 4.0, var: 0.01}
"""


def hw_key(op: Operator) -> str:
    size = f"H{op.h_in}_W{op.w_in}_Cin{op.c_in}_Cout{op.c_out}"
    if op.kind == "ir":
        return f"ConvBlock_{size}_exp{op.expansion:g}_kernel{op.kernel}_stride{op.stride}_group{op.groups}"
    if op.kind == "identity" or (op.kind == "conv" and op in SPACE.searchable_operators):
        return f"Skip_{size}_stride{op.stride}"
    if op.kind in ("stem", "conv"):
        return f"ConvNorm_{size}_kernel{op.kernel}_stride{op.stride}_group1"
    if op.kind == "pool":
        return f"AvgP_{size}_kernel{op.h_in}_stride1"
    return f"FC_Cin{op.c_in}_Cout{op.c_out}"


def hw_table() -> dict[str, object]:
    """Every operator of FBNet at 224 in milliseconds, and a pool that is not global."""
    operators = [op for op in SPACE.operators if op.kind != "overhead"]
    table: dict[str, object] = {hw_key(op): (work_us(op) if op.is_measured else 0.2) / 1000 for op in operators}
    return {**table, "AvgP_H8_W8_Cin64_Cout64_kernel2_stride2": 0.02}


def hw_pickle(protocol: int = 4) -> bytes:
    tables = {"pixel3_latency": hw_table(), "raspi4_latency": hw_table(), "edgegpu_energy": hw_table()}
    return pickle.dumps({"nasbench201": {"cifar10": {"config": [("C", 16)]}}, "fbnet": tables}, protocol=protocol)


def nni_lines() -> str:
    names = ["mb_k3_res", "mb_k3_e2_res", "mb_k5_e2", "mb_k3_res_d3", "mb_k5_e2_res_se", "sep_k3", "gh_k5", "ir_k3_s2"]
    shapes = [(14, 14, 32, 32, 1), (14, 14, 32, 64, 2)]
    records = [
        {"op_name": name, "op_data_shape": shape, "op_dtype": "float", "op_latency": 100.0 + number}
        for number, name in enumerate([*names, "skip"])
        for shape in shapes
    ]
    return "".join(f"{record}\n" for record in records)


TEXT_COLUMNS = "ir_k3_e1 ir_k3_s2 ir_k3_e3 ir_k3_e6 ir_k5_e1 ir_k5_s2 ir_k5_e3 ir_k5_e6 skip"


def text_rows() -> list[list[float]]:
    """Microseconds; a later layer of the same shape is slower by 10 % of the first."""
    rows: list[list[float]] = []
    seen: dict[object, int] = {}
    for layer in SPACE.layers:
        repeat = seen.setdefault(layer.shape, 0)
        seen[layer.shape] += 1
        rows.append([work_us(layer.operator(candidate)) * (1 + 0.1 * repeat) for candidate in CANDIDATES])
    return rows


def text_table() -> str:
    return "\n".join([TEXT_COLUMNS, *(" ".join(map(str, row)) for row in text_rows())])
