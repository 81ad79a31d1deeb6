"""Modules of somebody's own code, as people write them: what works, and what is said of what does not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lutbench.errors import ExportError, LutbenchError
from lutbench.export.exporters import find_exporter
from lutbench.nn.own_allowed import ALLOWED_VARIABLE
from lutbench.nn.own_code import check_trains, counted
from lutbench.space.candidate import parse_candidate
from lutbench.space.operator import Operator, block_operator

PLAIN = """\
from torch import nn


class Plain(nn.Conv2d):
    pass


def make(c_in, h, w, c_out, stride):
    return Plain(c_in, c_out, 3, stride, 1)
"""
FAULTS = '''\
import torch
from torch import nn


class Counting(nn.Module):
    """Gives something else at each call."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        return x * self.calls


class Noisy(nn.Module):
    def forward(self, x):
        return x + torch.rand_like(x)


class Two(nn.Module):
    def forward(self, x, y):
        return x + y


class Pair(nn.Module):
    def forward(self, x):
        return x, x


class Optional(nn.Module):
    """A second input that may be left out."""

    def forward(self, x, scale=None):
        return x * 2 if scale is None else x * scale


class Single(nn.Module):
    """Made for one image."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 1)

    def forward(self, x):
        return self.conv(x).reshape(1, 8, 6, 6)


class Exploding(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 1)

    def forward(self, x):
        return self.conv(x) if len(x) == 1 else self.conv(x).detach()


def _of(cls):
    return lambda *shape: cls()


counting, noisy, two, pair, optional, single, exploding = map(
    _of, (Counting, Noisy, Two, Pair, Optional, Single, Exploding)
)


def in_place(c_in, h, w, c_out, stride):
    return nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(c_in, c_out, 1), nn.BatchNorm2d(c_out))


def spaced(c_in, h, w, c_out, stride):
    cls = type("My Block 2", (nn.Sequential,), {"__doc__": None})
    return cls(nn.Conv2d(c_in, c_out, 3, stride, 1), nn.ReLU())


class Factory:
    """A factory that is an object."""

    def __call__(self, c_in, h, w, c_out, stride):
        return nn.Conv2d(c_in, c_out, 1, stride)


factory = Factory()
Module = nn.Conv2d
'''


THEIRS = ("their_package", "my-blocks", "faults", "alone")


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of somebody's modules and packages on the path."""
    package, dashed = tmp_path / "their_package", tmp_path / "my-blocks"
    for folder in (package, dashed):
        folder.mkdir()
        (folder / "__init__.py").write_text("")
        (folder / "plain.py").write_text(PLAIN)
        (folder / "relative.py").write_text("from .plain import make\n")
    (tmp_path / "faults.py").write_text(FAULTS)
    (tmp_path / "alone.py").write_text("from .plain import make\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(ALLOWED_VARIABLE, ",".join([*THEIRS, "their-package", "nowhere"]))
    yield tmp_path
    forget()


def forget() -> None:
    """Lets Python import their code anew."""
    for name in [name for name in sys.modules if name.split(".")[0] in THEIRS]:
        del sys.modules[name]


def operator(label: str) -> Operator:
    return block_operator(parse_candidate(f"module_{label}"), 8, 6, 6, 8, 1)


@pytest.mark.usefixtures("code")
@pytest.mark.parametrize(
    "label",
    [
        "their_package.plain:make",
        "their_package.relative:make",
        "my-blocks.relative:make",
        "faults:optional",
        "faults:spaced",
        "faults:factory",
    ],
)
@pytest.mark.parametrize("runtime", ["onnx", "torchscript"])
def test_ways_to_write_a_module(label: str, runtime: str) -> None:
    assert counted(operator(label)).params in (0, 9 * 64 + 8, 64 + 8)
    assert find_exporter(runtime, "fp32").export(operator(label), "fp32").check_error < 1e-4


@pytest.mark.usefixtures("code")
@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("faults:counting", "gives a module that gives something else when it runs again"),
        ("faults:noisy", "gives a module that gives something else when it runs again"),
        ("faults:two", "fails on an input of (1, 8, 6, 6): TypeError"),
        ("faults:pair", "gave a value of type tuple, not one tensor"),
        ("faults:in_place", "gives a module that writes into its input; inplace=False on its first layer"),
        ("faults:Module", "gives (1, 6, 1, 1), but the layer asks for (1, 8, 6, 6)"),
        ("faults:Factory", "failed: TypeError"),
        ("alone:make", "importing alone failed: ImportError: attempted relative import"),
        ("nowhere:make", "no module is called nowhere"),
        ("their-package.plain:make", "no module is called their-package"),
    ],
)
def test_one_line_for_a_module_that_does_not_fit(label: str, said: str) -> None:
    with pytest.raises(LutbenchError) as caught:
        counted(operator(label))
    text = str(caught.value)
    assert said in text and "\n" not in text


@pytest.mark.usefixtures("code")
@pytest.mark.parametrize(
    ("label", "said"),
    [("faults:single", "cannot be trained: RuntimeError: shape"), ("faults:exploding", "cannot be trained")],
)
def test_one_line_for_a_module_that_cannot_be_trained(label: str, said: str) -> None:
    assert counted(operator(label)).macs == 64 * 36
    with pytest.raises(LutbenchError) as caught:
        check_trains(operator(label))
    assert said in str(caught.value) and "\n" not in str(caught.value)
    check_trains(operator("their_package.plain:make"))


def test_other_code_of_equal_counts_has_another_digest(code: Path) -> None:
    op = operator("their_package.plain:make")
    before = counted(op)
    other = PLAIN.replace("3, stride, 1", "3, stride, 1, padding_mode='reflect'")
    (code / "their_package" / "plain.py").write_text(other)
    forget()
    after = counted(op)
    assert before[:2] == after[:2] and before.is_other(after)


@pytest.mark.usefixtures("code")
def test_a_batch_that_a_module_does_not_take_costs_its_export() -> None:
    with pytest.raises((ExportError, RuntimeError)):
        find_exporter("onnx", "fp32", batch=2).export(operator("faults:single"), "fp32")
