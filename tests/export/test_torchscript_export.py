from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import lutbench
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


PRINTED = """\
import hashlib, sys
import lutbench
from lutbench.export.torchscript_export import export_torchscript
from lutbench.space.operator import parse_operator
print(lutbench.__file__)
for name in sys.argv[2:]:
    for dtype, engine in (("fp32", ""), ("int8", sys.argv[1])):
        print(hashlib.sha256(export_torchscript(parse_operator(name), dtype, engine).data).hexdigest())
"""


def test_bytes_do_not_depend_on_where_lutbench_lies_or_what_was_exported_before(tmp_path: Path) -> None:
    root = Path(lutbench.__file__).parent.parent
    place = tmp_path / "another place" / "lutbench"
    for folder, package in (("lutbench", "."), ("search", "search"), ("device_agents", "device_agents")):
        shutil.copytree(root / folder, place / package, dirs_exist_ok=True)
    moved = place / "nn" / "graph.py"  # whose lines the traces of modules name
    moved.write_text(moved.read_text().replace("import torch", "\n\n\nimport torch", 1))
    names = ["ir_k3_e2_g2_16x6x6_16_s1", "fc_16_10"]
    own = []
    for name in reversed(names):
        both = (export_torchscript(parse_operator(name), dtype, ENGINES[-1]).data for dtype in ("int8", "fp32"))
        own += [hashlib.sha256(data).hexdigest() for data in both]
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PRINTED, ENGINES[-1], *names],
        env={**os.environ, "PYTHONPATH": str(place.parent)}, cwd=tmp_path, capture_output=True, text=True, timeout=120,
        check=True,
    )  # fmt: skip
    where, *digests = found.stdout.split("\n")[:-1]
    assert Path(where) == place / "__init__.py"
    assert digests == own[::-1]


def test_an_engine_that_this_machine_lacks_is_one_line() -> None:
    with pytest.raises(ExportError, match="no quantised engine 'abacus'"):
        export_torchscript(parse_operator("fc_32_10"), "int8", "abacus")


def test_an_artifact_that_computes_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchscript_export, "relative_error", lambda _got, _expected: float("nan"))
    with pytest.raises(ExportError, match="off torch's output"):
        export_torchscript(parse_operator("fc_32_10"), "fp32")
