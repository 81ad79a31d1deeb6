"""Modules made of the graphs of blocks: FBNet's are what they were, any kind's computes its shape and its counts."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from lutbench.export import onnx_export
from lutbench.nn.modules import build_net, build_operator
from lutbench.nn.parts import ChannelShuffle, conv_bn, initialised
from lutbench.space.candidate import parse_candidate
from lutbench.space.fbnet import fbnet
from lutbench.space.net import parse_net
from lutbench.space.operator import Operator, block_operator, parse_operator
from tests.space.test_blocks import COUNTED

FBNETS = ["stem_k3_3x16x16_8_s2", "ir_k5_e6_g1_16x9x9_16_s1", "ir_k3_e1_g2_16x9x9_24_s2", "conv_k1_16x8x8_24_s2",
          "pool_16x4x4", "fc_16_10"]  # fmt: skip


class _Body(nn.Module):
    """FBNet's block as its first exporter wrote it."""

    def __init__(self, op: Operator) -> None:
        super().__init__()
        mid = round(op.c_in * op.expansion)
        self.body = nn.Sequential(
            *conv_bn(op.c_in, mid, 1, groups=op.groups),
            *([ChannelShuffle(op.groups)] if op.groups > 1 else []),
            *conv_bn(mid, mid, op.kernel, op.stride, groups=mid),
            *conv_bn(mid, op.c_out, 1, groups=op.groups, relu=False),
        )
        self.adds = op.stride == 1 and op.c_in == op.c_out

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        return x + y if self.adds else y


def _written_out(op: Operator) -> nn.Module:
    if op.kind == "pool":
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    if op.kind == "fc":
        return nn.Linear(op.c_in, op.c_out)
    return _Body(op) if op.kind == "ir" else nn.Sequential(*conv_bn(op.c_in, op.c_out, op.kernel, op.stride))


@pytest.mark.parametrize("dtype", ["int8", "fp32"])
@pytest.mark.parametrize("name", FBNETS)
def test_fbnets_artifacts_are_the_same_bytes(name: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    operator = parse_operator(name)
    found = onnx_export.export_onnx(operator, dtype).data
    monkeypatch.setattr(
        onnx_export, "build_workload", lambda workload: initialised(_written_out(workload), workload.name)
    )
    before = onnx_export.export_onnx(operator, dtype).data
    assert hashlib.sha256(found).hexdigest() == hashlib.sha256(before).hexdigest()


def test_fbnets_nets_keep_the_names_of_their_weights() -> None:
    space = fbnet(32, 0.35)
    net = parse_net("k3_e1|k3_e6 skip k5_e1_g2 skip|" + "k3_e3 " * 16 + "|k5_e6", space)
    written = nn.Sequential(*(_written_out(operator) for operator in net.operators))
    assert list(build_net(net).state_dict()) == list(written.state_dict())


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", COUNTED)
def test_a_module_computes_what_its_graph_says(name: str, stride: int) -> None:
    if stride == 2 and name.startswith(("mqa", "uib_a0_k0")):
        return
    operator = block_operator(parse_candidate(name), 16, 9, 8, 16 if stride == 1 else 32, stride)
    module = build_operator(operator)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        output = module(torch.randn(operator.input_shape))
    assert tuple(output.shape) == operator.output_shape
    assert counter.get_total_flops() == 2 * operator.macs
    norms = (nn.BatchNorm2d, nn.LayerNorm)
    assert operator.params == sum(
        p.numel() for part in module.modules() if not isinstance(part, norms) for p in part.parameters(recurse=False)
    )


@pytest.mark.parametrize("dtype", ["int8", "fp32"])
@pytest.mark.parametrize("name", COUNTED)
def test_every_kind_exports(name: str, dtype: str) -> None:
    operator = block_operator(parse_candidate(name), 16, 8, 8, 16, 1)
    assert onnx_export.export_onnx(operator, dtype).check_error < 0.1


def test_the_kinds_that_are_counted_differ() -> None:
    operators = sorted(block_operator(parse_candidate(name), 16, 8, 8, 16, 1).name for name in COUNTED)
    assert all(one != other for one, other in pairwise(operators))
