"""Nets that a user's code makes: real modules in a folder on the path."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lutbench.errors import SpaceError, UsageError
from lutbench.nn.factory import build_factory_net
from lutbench.space.factory import FactoryNet, parse_factory_net

CODE = """
import torch
from torch import nn


class Pair(nn.Module):
    def forward(self, x):
        return x, x


def make_net():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout())


def make_flat():
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 5))


def make_pair():
    return Pair()


def make_nothing():
    pass


def make_error():
    raise RuntimeError("no such\\ncheckpoint")


def make_exit():
    raise SystemExit(3)


class Odd(BaseException):
    def __str__(self):
        raise ValueError("no text")


def make_interrupt():
    raise KeyboardInterrupt


def make_odd():
    raise Odd


def make_long():
    raise ValueError("x" * 5_000_000)


class Leaves(nn.Module):
    def forward(self, x):
        raise GeneratorExit


def make_of(width):
    return nn.Identity()


instance = nn.Identity()
number = 7
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path with my_nets.py, a package, and modules that do not import."""
    (tmp_path / "my_nets.py").write_text(CODE)
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "__init__.py").write_text("")
    (tmp_path / "my_package" / "inner.py").write_text(CODE)
    (tmp_path / "my_syntax.py").write_text("def make(:\n")
    (tmp_path / "my_missing.py").write_text("import lutbench_none_such.part\n")
    (tmp_path / "my_exit.py").write_text("raise SystemExit('usage: my_exit FILE')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    for name in ("my_nets", "my_package", "my_package.inner"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def build(text: str) -> torch.nn.Module:
    net = parse_factory_net(text)
    assert net is not None
    return build_factory_net(net)


def test_the_form() -> None:
    net = parse_factory_net(" my_package.inner:make_net@192 ")
    assert net == FactoryNet("my_package.inner:make_net@192", "my_package.inner:make_net", 192)
    assert (net.key, net.input_shape) == ("my_package.inner:make_net@192", (1, 3, 192, 192))
    assert parse_factory_net("timm:resnet18@224") == FactoryNet("timm:resnet18", "timm:resnet18", 224)
    with pytest.raises(SpaceError, match="resolution 0"):
        parse_factory_net("a:b@0")
    with pytest.raises(SpaceError, match="resolution 9999"):
        parse_factory_net("a:b@9999")


@pytest.mark.parametrize(
    "text",
    ["", "fbnet_a", "mobilenet_v2@224x1.3", "a:b:c", "a:", ":b", "1a:b", "a:b@", "a:b@224x1.0", "a.onnx", "a b:c"],
)
def test_other_text_is_none_of_it(text: str) -> None:
    assert parse_factory_net(text) is None


@given(st.text(alphabet="ab_1.:@ x", max_size=12))
def test_any_text_is_a_net_or_not_or_an_error(text: str) -> None:
    try:
        net = parse_factory_net(text)
    except SpaceError:
        return
    assert net is None or parse_factory_net(net.name) == net


@pytest.mark.parametrize("text", ["my_nets:make_net@16", "my_package.inner:make_net@16"])
def test_a_net_in_eval_mode_the_same_each_time(text: str, folder: Path) -> None:
    assert folder.exists()
    state = torch.random.get_rng_state()
    one, other = build(text), build(text)
    assert not any(part.training for part in one.modules())
    given = torch.ones(1, 3, 16, 16)
    assert torch.equal(one(given), other(given))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_timm_is_short_for_its_models(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "timm").mkdir()
    (folder / "timm" / "__init__.py").write_text("")
    (folder / "timm" / "models.py").write_text(CODE)
    assert build("timm:make_net@16")(torch.ones(1, 3, 16, 16)).shape == (1, 4, 14, 14)
    with pytest.raises(UsageError, match=r"timm\.models has no make_nte; did you mean make_net"):
        build("timm:make_nte")
    with pytest.raises(UsageError, match=r"timm\.models has no torhc$"):
        build("timm:torhc")
    for name in ("timm", "timm.models"):
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("lutbench_none_such:make", "no module is called lutbench_none_such; pip install lutbench_none_such, or name"),
        ("my_package.none:make", "no module is called my_package.none"),
        ("my_missing:make", "no module is called lutbench_none_such; pip install lutbench_none_such"),
        ("my_syntax:make", "importing my_syntax failed: SyntaxError"),
        ("my_exit:make", "importing my_exit failed: SystemExit: usage: my_exit FILE"),
        ("my_nets:make_nett", "my_nets has no make_nett; did you mean make_net"),
        ("my_nets:zzzzzz", "my_nets has no zzzzzz"),
        ("my_nets:number", "my_nets:number is a value of type int, not a function"),
        ("my_nets:instance", "my_nets:instance is a value of type Identity, not a function"),
        ("my_nets:make_nothing", r"my_nets:make_nothing\(\) gave a value of type NoneType, not a torch.nn.Module"),
        ("my_nets:make_error", r"my_nets:make_error\(\) failed: RuntimeError: no such checkpoint"),
        ("my_nets:make_exit", r"my_nets:make_exit\(\) failed: SystemExit: 3"),
        ("my_nets:make_interrupt", r"my_nets:make_interrupt\(\) failed: KeyboardInterrupt"),
        ("my_nets:make_odd", r"my_nets:make_odd\(\) failed: Odd, whose text cannot be had: ValueError"),
        ("my_nets:make_long", r"my_nets:make_long\(\) failed: ValueError: x{500,600} \.\.\. x{500,600}"),
        ("my_nets:Leaves", "fails on an input of .*: GeneratorExit"),
        ("my_nets:make_of", r"my_nets:make_of\(\) failed: TypeError: .*'width'"),
        ("my_nets:make_pair", "its net gave a value of type tuple, not one tensor"),
        ("my_nets:make_flat", r"fails on an input of \(1, 3, 224, 224\): RuntimeError: .*@RESOLUTION gives it another"),
    ],
)
def test_each_failure_is_one_line(text: str, told: str, folder: Path) -> None:
    assert folder.exists()
    with pytest.raises(UsageError, match=told) as caught:
        build(text)
    assert "\n" not in str(caught.value)


def test_timm_that_is_not_there_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.delitem(sys.modules, "timm.models", raising=False)
    with pytest.raises(UsageError, match=r"pip install timm$"):
        build("timm:nasnetalarge")


def test_reading_a_nets_name_loads_no_torch() -> None:
    code = "import sys, lutbench.nn.factory; from lutbench.space.factory import parse_factory_net as f; f('a:b');"
    code += "print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
