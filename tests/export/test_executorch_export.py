from __future__ import annotations

import functools
import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from executorch.backends.xnnpack import xnnpack_preprocess
from torch import nn

from lutbench.errors import ExportError
from lutbench.export import executorch_export
from lutbench.export.artifact import Exported
from lutbench.export.check import MAX_ERROR, MAX_NET_ERROR
from lutbench.export.executorch_export import export_executorch, run_program
from lutbench.private import executorch_speed
from lutbench.space.candidate import parse_candidate
from lutbench.space.macro import Space
from lutbench.space.operator import OVERHEAD, block_operator, parse_operator
from lutbench.space.sampling import random_nets
from lutbench.space.workload import Workload

STEM, BLOCK, GROUPED = "stem_k3_3x32x32_16_s2", "ir_k5_e6_g1_16x8x8_16_s1", "ir_k3_e1_g2_16x8x8_24_s2"
# maps of one pixel lie the same in both layouts, and their strides do not tell in which: as input, output, or both
ONE_PIXEL = ["pool_map_32x4x4", "conv_k1_16x1x1_24_s1", "ir_k3_e3_g1_16x1x1_16_s1", "ir_k3_e6_g1_16x2x2_24_s2"]
NAMES = [STEM, BLOCK, GROUPED, "conv_k1_16x8x8_24_s2", "pool_32x4x4", "fc_32_10", OVERHEAD.name, *ONE_PIXEL]


@pytest.fixture(autouse=True)
def as_in_an_export_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executorch_speed, "_allowed", True)


@functools.cache
def lowered(name: str, dtype: str) -> tuple[Exported, list[list[str]]]:
    """The operator's export, and what XNNPACK is told to run: the names of the nodes of each delegate, in order."""
    return _lowered(parse_operator(name), dtype)


def _lowered(workload: Workload, dtype: str) -> tuple[Exported, list[list[str]]]:
    delegates: list[list[str]] = []
    serialize = xnnpack_preprocess.serialize_xnnpack_binary

    def remember(graph: Any, data: object) -> object:
        delegates.append([type(node.xnode_union).__name__.removeprefix("XNN") for node in graph.xnodes])
        return serialize(graph, data)

    with mock.patch.object(xnnpack_preprocess, "serialize_xnnpack_binary", remember):
        return export_executorch(workload, dtype), delegates


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["int8", "fp32"])
def test_artifacts_compute_what_torch_computes_in_one_delegate(name: str, dtype: str) -> None:
    exported, delegates = lowered(name, dtype)
    assert exported.check_error <= MAX_ERROR[dtype]
    assert (exported.undelegated, exported.delegated_share, exported.notes) == ((), 1.0, ())
    (nodes,) = delegates
    if "_g2_" not in name:  # the shuffle of grouped convolutions is the lowering's own, and the same in a net
        assert "Convert" not in nodes


@pytest.mark.parametrize("dtype", ["int8", "fp32"])
def test_operators_inside_a_net_take_and_give_its_layout(dtype: str) -> None:
    (stem,), (block,), (grouped,) = (lowered(name, dtype)[1] for name in (STEM, BLOCK, GROUPED))
    assert stem == ["StaticTranspose", "Conv2d"]  # the image is (N, C, H, W), for the stem as for a net
    assert block == ["Conv2d", "DepthwiseConv2d", "Conv2d", "Add"]
    assert (grouped[0], grouped[-1]) == ("Conv2d", "Conv2d")
    assert lowered("pool_32x4x4", dtype)[1][0][0] == "GlobalAvgPooling2d"


@pytest.mark.parametrize("dtype", ["int8", "fp32"])
def test_what_computes_one_pixel_between_kernels_of_others_runs(dtype: str) -> None:
    """The layer norms of ConvNeXt's block and of attention are not the delegate's: what it makes goes to them."""
    for kind in ("convnext_k7_e4", "vit_h4_e2"):
        exported = export_executorch(block_operator(parse_candidate(kind), 16, 2, 2, 24, 2), dtype)
        assert exported.check_error <= MAX_ERROR[dtype]
        assert "aten.native_layer_norm.default" in exported.undelegated


def test_int8_programs_take_and_give_integers() -> None:
    data = lowered(BLOCK, "int8")[0].data
    given = torch.zeros(1, 16, 8, 8, dtype=torch.int8).to(memory_format=torch.channels_last)
    assert run_program(data, given).dtype == torch.int8
    with pytest.raises(RuntimeError):
        run_program(data, given.float())


def test_a_whole_net_is_one_delegate(tiny: Space) -> None:
    (net,) = random_nets(tiny, 1, 0, "test")
    exported, delegates = _lowered(net, "int8")
    assert exported.check_error <= MAX_NET_ERROR["int8"]
    assert exported.undelegated == ()
    (nodes,) = delegates
    assert nodes[0] == "StaticTranspose" and nodes[-1] == "FullyConnected"


def digests() -> list[str]:
    exported = [export_executorch(parse_operator(name), "int8").data for name in (BLOCK, GROUPED)]
    return [hashlib.sha256(data).hexdigest() for data in exported]


def test_the_remedies_for_speed_change_no_byte() -> None:
    """The same exports in a process that is no export worker, where none of them is in place."""
    code = (
        "import torch.fx.traceback, executorch.exir.pass_manager as manager\n"
        "places = lambda: (torch.fx.traceback.NodeSource.__init__, dict(vars(manager.ExportedProgramPassManager)))\n"
        "before = places()\n"
        "from tests.export.test_executorch_export import digests\n"
        "print(*digests())\n"
        "assert places() == before, 'modules of others were changed in a process of the user'"
    )
    root = Path(__file__).parents[2]
    slow = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True).stdout
    assert slow.split() == digests()


def test_every_remedy_has_its_place_in_the_version_installed() -> None:
    assert executorch_speed.speed_up() == ()


def test_a_version_without_what_a_remedy_replaces_is_only_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> None:
        raise AttributeError("no such function")

    monkeypatch.setattr(executorch_speed, "_remedies", lambda: {"something_private": gone})
    executorch_speed._remedied.cache_clear()
    exported = export_executorch(parse_operator("fc_32_10"), "int8")
    executorch_speed._remedied.cache_clear()
    assert len(exported.notes) == 1 and "something_private" in exported.notes[0]


class _Odd(nn.Module):
    """Something that XNNPACK does not take, between two things that it does."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = nn.Linear(32, 16), nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.after(torch.cumsum(self.before(x), dim=1))  # type: ignore[no-any-return]


def test_what_the_delegate_does_not_take_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executorch_export, "build_workload", lambda _workload: _Odd().eval())
    exported = export_executorch(parse_operator("fc_32_10"), "fp32")
    assert exported.undelegated == ("2 delegates", "aten.cumsum.default")
    assert 0.5 <= exported.delegated_share < 1


def test_an_artifact_that_computes_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    run = executorch_export.run_program
    monkeypatch.setattr(executorch_export, "run_program", lambda data, given: 2 * run(data, given))
    with pytest.raises(ExportError, match="off torch's output"):
        export_executorch(parse_operator("fc_32_10"), "fp32")


def test_a_module_that_cannot_be_exported_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Branching(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    monkeypatch.setattr(executorch_export, "build_workload", lambda _workload: Branching())
    with pytest.raises(ExportError, match="ExecuTorch export failed") as caught:
        export_executorch(parse_operator("fc_32_10"), "fp32")
    assert len(str(caught.value)) < 400
