"""LUTs by name: a file that is there, else one of luts/, else one that comes along."""

from __future__ import annotations

from pathlib import Path

import pytest

from lutbench.errors import LutError, UsageError
from lutbench.lut import shipped
from lutbench.lut.file import read_lut
from lutbench.lut.shipped import SHIPPED, check_own, find_lut


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_name_is_a_lut_that_comes_along(name: str) -> None:
    lut = read_lut(find_lut(name))
    assert lut.metadata.provenance == "estimated" and name in lut.metadata.device


def test_a_lut_of_ones_own_comes_first(tmp_path: Path) -> None:
    (tmp_path / "luts").mkdir()
    own = tmp_path / "luts" / "s8.csv"
    own.write_text("mine")
    assert find_lut("s8").resolve() == own
    (tmp_path / "s8").write_text("a file of that very name")
    assert find_lut("s8") == Path("s8")


def test_a_folder_of_that_name_is_not_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "s8").mkdir()
    assert find_lut("s8").name == "s8.csv"


@pytest.mark.parametrize("text", ["none.csv", "luts/none", "./s8", "../s8.csv", "", "."])
def test_everything_else_is_a_path(text: str) -> None:
    assert find_lut(text) == Path(text)


def test_a_name_that_is_none_is_an_error_that_lists_them() -> None:
    with pytest.raises(LutError, match=r"s9.*no LUT of that name.*iphonex, s8"):
        find_lut("s9")


def test_one_that_comes_along_is_not_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "_INSTALLED", tmp_path / "lutbench" / "luts")
    with pytest.raises(UsageError, match="copy it to luts/ first"):
        check_own(tmp_path / "lutbench" / "luts" / "s8.csv")
    check_own(tmp_path / "luts" / "s8.csv")


def test_a_folder_is_called_one(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(LutError, match="is a folder, not a LUT"):
        read_lut(find_lut("mine"))
