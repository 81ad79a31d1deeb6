from __future__ import annotations

import io
import json

import pytest
import torch

from lutbench.errors import ExportError
from lutbench.export import torchscript_export
from lutbench.export.check import MAX_ERROR, MAX_NET_ERROR
from lutbench.export.torchscript_export import DESCRIPTION, export_torchscript
from lutbench.space.macro import Space
from lutbench.space.operator import OVERHEAD, parse_operator
from lutbench.space.sampling import random_nets
from tests.export.small import NAMES

ALL_NAMES = (*NAMES, OVERHEAD.name)
ENGINES = [engine for engine in ("x86", "onednn", "qnnpack") if engine in torch.backends.quantized.supported_engines]


def description(data: bytes) -> dict[str, object]:
    files = {DESCRIPTION: ""}
    torch.jit.load(io.BytesIO(data), _extra_files=files)  # type: ignore[no-untyped-call]
    return json.loads(files[DESCRIPTION])  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ALL_NAMES)
@pytest.mark.parametrize("engine", ENGINES)
def test_int8_computes_what_torch_computes_from_integers_to_integers(name: str, engine: str) -> None:
    exported = export_torchscript(parse_operator(name), "int8", engine)
    assert exported.check_error <= MAX_ERROR["int8"] * (2 if engine == "x86" else 1)
    module = torch.jit.load(io.BytesIO(exported.data))  # type: ignore[no-untyped-call]
    assert "aten::quantize_per_tensor" not in str(module.inlined_graph)
    assert "aten::dequantize" not in str(module.inlined_graph)
    about = description(exported.data)
    assert about["engine"] == engine
    assert about["shape"] == list(parse_operator(name).input_shape)
    assert about["channels_last"] == name.startswith(("ir", "conv", "pool"))


@pytest.mark.parametrize("name", ALL_NAMES)
def test_fp32_computes_what_torch_computes(name: str) -> None:
    exported = export_torchscript(parse_operator(name), "fp32")
    assert exported.check_error <= MAX_ERROR["fp32"]
    assert description(exported.data)["engine"] == ""


def test_a_whole_net(tiny: Space) -> None:
    (net,) = random_nets(tiny, 1, 0, "test")
    exported = export_torchscript(net, "int8", ENGINES[-1])
    assert exported.check_error <= MAX_NET_ERROR["int8"]
    graph = str(torch.jit.load(io.BytesIO(exported.data)).inlined_graph)  # type: ignore[no-untyped-call]
    assert "aten::quantize_per_tensor" not in graph and "aten::dequantize" not in graph


def test_an_engine_that_this_machine_lacks_is_one_line() -> None:
    with pytest.raises(ExportError, match="no quantised engine 'abacus'"):
        export_torchscript(parse_operator("fc_32_10"), "int8", "abacus")


def test_an_artifact_that_computes_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchscript_export, "relative_error", lambda _got, _expected: float("nan"))
    with pytest.raises(ExportError, match="off torch's output"):
        export_torchscript(parse_operator("fc_32_10"), "fp32")
