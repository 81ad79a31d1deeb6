"""A block that is in none of the kinds, as docs/how-to/own-space.md shows it: profiled, verified, searched with."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lutbench.errors import UsageError
from lutbench.lut.file import read_lut
from lutbench.nn.own_allowed import ALLOWED_VARIABLE
from lutbench.nn.own_code import counted
from lutbench.space.architecture import read_architecture
from lutbench.space.operator import Operator
from tests.export.test_own_file import block

BLOCK = """\
import torch
from torch import nn


class Split(nn.Module):
    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.rows = nn.Conv2d(c_in, c_out, (1, 3), stride, (0, 1), bias=False)
        self.columns = nn.Conv2d(c_in, c_out, (3, 1), stride, (1, 0), bias=False)
        self.norm = nn.BatchNorm2d(c_out)

    def forward(self, x):
        return torch.relu(self.norm(self.rows(x) + self.columns(x)))


def make(c_in, h, w, c_out, stride):
    return Split(c_in, c_out, stride)


def wrong_shape(c_in, h, w, c_out, stride):
    return Split(c_in, c_out + 1, stride)


calls = 0


def changing(c_in, h, w, c_out, stride):
    global calls
    calls += 1
    return nn.Conv2d(c_in, c_out, 2 * calls + 1, stride, calls)


class Bessel(Split):
    # has an operator that ONNX lacks
    def forward(self, x):
        return super().forward(x) * torch.i0(x.mean())


def bessel(c_in, h, w, c_out, stride):
    return Bessel(c_in, c_out, stride)


class Double(Split):
    def forward(self, x):
        return super().forward(x).double()


def double(c_in, h, w, c_out, stride):
    return Double(c_in, c_out, stride)


def failing(c_in, h, w, c_out, stride):
    raise KeyError("no such width")
"""
SPACE = """\
name = "split"
resolution = 16
classes = 5
candidates = ["k3_e1", "module_own_blocks:make"]

[stem]
channels = 8

[[stage]]
channels = 8
layers = 2

[[stage]]
channels = 16
stride = 2

[head]
channels = 16
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own_blocks.py").write_text(BLOCK)
    (tmp_path / "split.toml").write_text(SPACE)
    return tmp_path


def run(folder: Path, *words: str, cache: str = "cache") -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "LUTBENCH_CACHE": str(folder / cache)}
    return subprocess.run(
        [sys.executable, "-m", "lutbench", *words],
        capture_output=True, text=True, cwd=folder, env=environment, timeout=280,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("LUTBENCH_OWN_BLOCK"), reason="minutes; .ci/run asks for it")
def test_a_block_of_ones_own(folder: Path) -> None:
    measured = run(folder, "profile", "--space", "split.toml", "-o", "split.csv", "--max-rounds", "12")
    assert measured.returncode == 0, measured.stderr
    lut = read_lut(folder / "split.csv")
    row = lut.by_operator["module_own_blocks:make_8x8x8_16_s2"]
    assert row.is_ok and row.latency_us > 0
    (space,) = lut.metadata.space.spaces
    last = space.layers[-1]
    own = last.operator(last.candidates[1])
    assert (own.macs, own.params) == (2 * 3 * 8 * 16 * 16, 2 * 3 * 8 * 16)

    judged = run(folder, "verify", "--lut", "split.csv", "--nets", "3", "--rounds", "4")
    assert judged.returncode == 0, judged.stderr
    found = run(
        folder, "search", "--lut", "split.csv", "--data", "shapes:240@16",
        "--epochs", "1", "--warmup", "0", "--batch-size", "40",
        "--draws", "2", "--nets", "1", "-o", "found",
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    (path,) = (folder / "found").glob("*.json")
    assert read_architecture(path).net.space.name == "split"
    refused = run(folder, "verify", "--lut", "split.csv", "--nets", "3", cache="a_strangers")
    assert refused.returncode == 2 and f"{ALLOWED_VARIABLE}=own_blocks" in refused.stderr


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("LUTBENCH_OWN_BLOCK"), reason="minutes; .ci/run asks for it")
def test_a_block_that_one_runtime_lacks_costs_its_rows_there(folder: Path) -> None:
    text = SPACE.replace(":make", ":bessel").replace('["k3_e1"', '["k3_e1", "k5_e1"')
    (folder / "split.toml").write_text(text)
    name = "module_own_blocks:bessel_8x8x8_8_s1"
    for runtime, is_ok in (("onnx", False), ("torchscript", True)):
        path = f"{runtime}.csv"
        options = ("--runtime", runtime, "--dtype", "fp32", "--max-rounds", "12", "-o", path)
        measured = run(folder, "profile", "--space", "split.toml", *options)
        assert measured.returncode == 0, measured.stderr
        lut = read_lut(folder / path)
        assert lut.by_operator[name].is_ok == is_ok
        assert {row.operator for row in lut.rows if not row.is_ok} == (
            set() if is_ok else {op.name for op in lut.metadata.space.spaces[0].searchable_operators if op.is_own_code}
        )
        assert (f"{name}: failed: " in measured.stderr + measured.stdout) != is_ok
    judged = run(folder, "verify", "--lut", "onnx.csv", "--nets", "3", "--rounds", "4")
    assert judged.returncode == 0, judged.stderr
    (folder / "own_blocks.py").write_text(BLOCK.replace("torch.i0(x.mean())", "torch.i0(x.std())"))
    changed = run(folder, "verify", "--lut", "torchscript.csv", "--nets", "3", "--rounds", "4")
    assert changed.returncode == 4
    assert "was measured with another definition of the space split: other code or another file" in changed.stderr


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("LUTBENCH_OWN_BLOCK"), reason="minutes; .ci/run asks for it")
def test_a_file_of_ones_own(folder: Path) -> None:
    (folder / "blocks").mkdir()
    block(folder / "blocks" / "wide_8_8_s1.onnx")
    block(folder / "blocks" / "wide_8_16_s2.onnx", c_out=16, stride=2, opset=20)
    text = SPACE.replace("module_own_blocks:make", "onnx_blocks/wide").replace('["k3_e1"', '["k3_e1", "k5_e1"')
    (folder / "files.toml").write_text(text.replace('"split"', '"files"'))
    measured = run(folder, "profile", "--space", "files.toml", "--max-rounds", "12", "-o", "files.csv")
    assert measured.returncode == 0, measured.stderr
    assert read_lut(folder / "files.csv").by_operator["onnx_blocks/wide_8x8x8_16_s2"].is_ok
    judged = run(folder, "verify", "--lut", "files.csv", "--nets", "3", "--rounds", "4")
    assert judged.returncode == 0, judged.stderr
    refused = run(folder, "search", "--lut", "files.csv", "--data", "shapes:240@16", "-o", "found")
    assert refused.returncode == 2
    assert "the weights of a file are constants" in refused.stderr


def test_one_line_for_a_factory_that_is_wrong(folder: Path) -> None:
    (folder / "split.toml").write_text(SPACE.replace(":make", ":wrong_shape"))
    ended = run(folder, "profile", "--space", "split.toml", "-o", "split.csv")
    assert ended.returncode == 2
    (line,) = ended.stderr.strip().splitlines()
    assert re.search(r"gives \(1, (9|17), \d+, \d+\), but the layer asks for \(1, (8|16), ", line)
    assert not (folder / "split.csv").exists()


@pytest.mark.parametrize(
    ("factory", "problem"),
    [
        ("changing", "makes another module when it is called again"),
        ("double", "gave a tensor of torch.float64, not torch.float32"),
        ("failing", "failed: KeyError: 'no such width'"),
        ("makes", "has no makes; did you mean make?"),
        ("calls", "is no function"),
    ],
)
def test_what_is_wrong_with_a_factory(
    folder: Path, factory: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv(ALLOWED_VARIABLE, "own_blocks")
    monkeypatch.delitem(sys.modules, "own_blocks", raising=False)
    operator = Operator("module", 8, 8, 8, 8, label=f"own_blocks:{factory}")
    with pytest.raises(UsageError) as caught:
        counted(operator)
    assert problem in str(caught.value)
    monkeypatch.delitem(sys.modules, "own_blocks", raising=False)
