"""A block's name in a LUT or an architecture file neither runs code nor opens a file until it is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from lutbench.errors import UsageError
from lutbench.files import CACHE_VARIABLE
from lutbench.nn.own_allowed import ALLOWED_VARIABLE, allow_own
from lutbench.nn.own_code import own_module
from lutbench.nn.own_file import FileBlock
from lutbench.space.candidate import parse_candidate
from lutbench.space.operator import Operator, block_operator

CODE = "from pathlib import Path\nfrom torch.nn import Conv2d\nPath('ran').touch()\n\n\ndef make(c_in, *rest):\n"
CODE += "    return Conv2d(c_in, rest[2], 3, rest[3], 1)\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "strangers_code.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.delenv(ALLOWED_VARIABLE, raising=False)
    return tmp_path


def block(candidate: str) -> Operator:
    return block_operator(parse_candidate(candidate), 8, 6, 6, 8, 1)


MODULE, FILE = "module_strangers_code:make", "onnx_blocks/wide"


def test_code_that_a_file_names_is_not_run(folder: Path) -> None:
    with pytest.raises(UsageError, match=rf"{ALLOWED_VARIABLE}=strangers_code"):
        own_module(block(MODULE))
    assert not (folder / "ran").exists()
    allow_own([block("module_strangers_code:other"), block("k3_e1")])
    with pytest.raises(UsageError):
        own_module(block(MODULE))
    allow_own([block(MODULE)])
    own_module(block(MODULE))
    assert (folder / "ran").exists()


@pytest.mark.usefixtures("folder")
def test_an_onnx_file_that_a_file_names_is_not_opened() -> None:
    for candidate in (FILE, "onnx_/etc/blocks", "onnx_../wide.onnx"):
        with pytest.raises(UsageError, match="no `profile --space` here"):
            FileBlock(block(candidate))
    allow_own([block(FILE)])
    with pytest.raises(UsageError, match="there is no blocks/wide_8x6x6_8_s1"):
        FileBlock(block(FILE))


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("allowed", "is_allowed"),
    [
        ("my_package", True),
        ("other, my_package.blocks", True),
        ("my_package.blocks:make", True),
        ("my", False),
        ("my_package.blocks:other", False),
        ("blocks", False),
        ("", False),
    ],
)
def test_the_variable_names_packages_modules_and_factories(
    monkeypatch: pytest.MonkeyPatch, allowed: str, is_allowed: bool
) -> None:
    monkeypatch.setenv(ALLOWED_VARIABLE, allowed)
    with pytest.raises(UsageError) as caught:
        own_module(block("module_my_package.blocks:make"))
    assert ("no module is called my_package" in str(caught.value)) == is_allowed
