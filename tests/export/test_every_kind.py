"""Every kind of block on each runtime: its artifact, opened in the runtime, computes what its module computes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lutbench.export.exporters import Run, find_exporter
from lutbench.export.quantisation import Quantisation
from lutbench.nn.workload import build_workload, sample_input
from lutbench.private import executorch_speed
from lutbench.space.candidate import parse_candidate
from lutbench.space.operator import block_operator
from tests.space.test_blocks import COUNTED

RUNTIMES = ("onnx", "executorch", "torchscript")
# one of each kind, the last that is counted, and two of other options
NAMES = (*{parse_candidate(name).kind: name for name in COUNTED}.values(), "k3_e4_hswish_se0.25", "conv_k5_swish")
FARTHEST = {"fp32": 1e-4, "int8": 0.15}  # root mean square over the output's own


@pytest.fixture(autouse=True)
def as_in_an_export_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executorch_speed, "_allowed", True)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", FARTHEST)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_artifact_computes_what_the_module_computes(runtime: str, dtype: str, name: str) -> None:
    operator = block_operator(parse_candidate(name), 16, 8, 8, 16, 1)
    exporter = find_exporter(runtime, dtype)
    exported = exporter.export(operator, dtype)
    ends = exported.input_quantisation, exported.output_quantisation
    assert all(isinstance(end, Quantisation if dtype == "int8" else type(None)) for end in ends)
    image = sample_input(operator, operator.name)
    if dtype == "fp32":  # any other image; integers are for the range of that one
        image = image + 0.5 * torch.randn(image.shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = build_workload(operator)(image)
        got = opened(runtime, dtype, exporter.open(exported), image)
    assert got.shape == expected.shape == (1, *operator.output_shape[-3:])
    off = float((got - expected).square().mean().sqrt() / expected.square().mean().sqrt())
    assert off <= FARTHEST[dtype]


def opened(runtime: str, dtype: str, run: Run, image: Tensor) -> Tensor:
    """What the artifact makes of (N, C, H, W), laid out in memory as a net's operators are on that runtime."""
    if (runtime, dtype) == ("onnx", "int8"):
        return run(image.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return run(image.to(memory_format=torch.channels_last) if runtime == "executorch" else image)
