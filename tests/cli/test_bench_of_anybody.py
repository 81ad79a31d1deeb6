"""Nets and files that somebody wrote: each costs its row at most, and standard output is the result alone."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from tests.cli.running import COMMAND
from tests.onnx_models import convolution, ort_format, save_model

NETS = '''
import ctypes, os, sys
import torch
from torch import nn

print("imported")


def norms():
    """Batch norms that follow no convolution, of ranks 4, 3 and 2; the first two have equal parameters."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.BatchNorm2d(8), nn.ReLU(), nn.BatchNorm2d(8), nn.Flatten(2),
        nn.BatchNorm1d(8), nn.ReLU(), nn.Flatten(), nn.BatchNorm1d(2048), nn.Linear(2048, 5),
    )


class Twice(nn.Module):
    """The input is read by two layers, one of them not quantised; the output comes of a layer left in float."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, 1, 1)

    def forward(self, x):
        return nn.functional.hardsigmoid(self.conv(x).mean((2, 3)) + nn.functional.hardsigmoid(x).mean((2, 3)))


class Loud(nn.Module):
    def forward(self, x):
        print("python speaks")
        ctypes.CDLL(None).puts(b"C speaks")
        return x.mean((2, 3))


class Raises(nn.Module):
    """Only where it is exported."""

    def forward(self, x):
        if torch.onnx.is_in_onnx_export():
            raise RecursionError("in\\ntwo lines")
        return x.mean((2, 3))


class Exits(Raises):
    def forward(self, x):
        return sys.exit(7) if torch.onnx.is_in_onnx_export() else x.mean((2, 3))


class Dies(Raises):
    def forward(self, x):
        return os._exit(9) if torch.onnx.is_in_onnx_export() else x.mean((2, 3))


class Attention(nn.Module):
    """What torch dumps of it, as it cannot be exported, is a page long."""

    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)

    def forward(self, x):
        return self.layer(x.flatten(2).reshape(1, -1, 64)).mean(1)
'''


def bench(folder: Path, *arguments: str) -> tuple[int, dict[str, dict[str, Any]], str]:
    """Exit status, the nets' results by name, standard error; standard output must be one JSON object."""
    done = subprocess.run(
        [*COMMAND, "bench", *arguments, "--max-rounds", "12", "--json"],
        capture_output=True, text=True, cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)}, timeout=240,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    found = json.loads(done.stdout)["nets"]
    return done.returncode, {net["net"]: net for net in found}, done.stderr


@pytest.mark.slow
def test_a_net_that_somebody_wrote_costs_its_row(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(NETS)
    names = ["norms", "Twice", "Loud", "Raises", "Exits", "Dies", "Attention"]
    status, found, errors = bench(tmp_path, "mobilenet_v2@32x0.35", *(f"nets:{name}@32" for name in names))
    assert status == 3
    good = ["mobilenet_v2@32x0.35", "nets:norms@32", "nets:Twice@32", "nets:Loud@32"]
    assert {name: net["status"] for name, net in found.items() if name in good} == dict.fromkeys(good, "ok")
    assert "nets:norms@32: 1 batch norms that stand alone stay in float" in errors
    assert "python speaks" in errors and "Torch IR graph" not in errors
    assert "in two lines" in found["nets:Raises@32"]["status"]
    assert "SystemExit: 7" in found["nets:Exits@32"]["status"]
    assert "the process that exports it died" in found["nets:Dies@32"]["status"]
    assert "aten::_transformer_encoder_layer_fwd" in found["nets:Attention@32"]["status"]


def test_values_shapes_and_what_was_assumed_are_told(tmp_path: Path) -> None:
    integer = TensorProto.INT64
    kinds = {"x": (integer, [4]), "n": (integer, [4])}, {"y": (integer, [4])}
    save_model(tmp_path / "div.onnx", [helper.make_node("Div", ["x", "n"], ["y"])], *kinds)
    nodes = [helper.make_node("TopK", ["x", "k"], ["v", "i"])]
    kinds = {"x": (1, [1, 100]), "k": (integer, [1])}, {"v": (1, [1, "k"]), "i": (integer, [1, "k"])}
    save_model(tmp_path / "top.onnx", nodes, *kinds)
    ort_format(convolution(tmp_path / "conv.onnx", ("N", 3, 8, 8)))
    np.save(tmp_path / "k.npy", np.array([7]))
    files = ["div.onnx", "top.onnx", "conv.ort", "weights.safetensors"]
    (tmp_path / "weights.safetensors").write_bytes(b"{}")
    given = ["--value", "div:n=3", "--value", "div.onnx:x=7,8,9,10", "--input", "k=k.npy", "-o", "out.csv"]
    status, found, _ = bench(tmp_path, *files, *given)
    assert status == 3
    told = {
        name: [(one["name"], one["shape"], one["values"], one["batch_assumed"]) for one in net["inputs"]]
        for name, net in found.items()
    }
    assert told == {
        "div.onnx": [("x", [4], "7,8,9,10", False), ("n", [4], "3", False)],
        "top.onnx": [("x", [1, 100], "random normal", False), ("k", [1], "k.npy", False)],
        "conv.ort": [("x", [1, 3, 8, 8], "random normal", True)],
        "weights.safetensors": [],
    }
    assert found["conv.ort"]["mmacs"] is None and found["conv.ort"]["params_m"] is None
    assert "weights without the net itself" in found["weights.safetensors"]["status"]
    table = (tmp_path / "out.csv").read_text()
    assert "x 4 (7,8,9,10), n 4 (3)" in table and "x 1x3x8x8 (batch assumed)" in table


def test_a_model_that_fails_on_values_that_nobody_chose_says_so(tmp_path: Path) -> None:
    integer = TensorProto.INT64
    kinds = {"x": (integer, [4]), "n": (integer, [4])}, {"y": (integer, [4])}
    save_model(tmp_path / "div.onnx", [helper.make_node("Div", ["x", "n"], ["y"])], *kinds)
    status, found, _ = bench(tmp_path, "div.onnx")
    assert status == 3
    assert "it ran with 0 or 1 in x, n: --value x=NUMBER gives another" in found["div.onnx"]["status"]


def test_a_program_of_several_inputs(tmp_path: Path) -> None:
    program = str(Path(__file__).parent.parent / "models" / "three_inputs.pte")
    status, found, errors = bench(tmp_path, program, "--runtime", "executorch", "--value", "input2=3,5")
    assert status == 0, errors
    told = [(one["name"], one["dtype"], one["shape"], one["values"]) for one in found[program]["inputs"]]
    assert told == [
        ("input0", "float32", [1, 3, 8, 8], "random normal"),
        ("input1", "float32", [1, 4], "random normal"),
        ("input2", "int64", [2], "3,5"),
    ]
    assert found[program]["latency_us"] > 1
