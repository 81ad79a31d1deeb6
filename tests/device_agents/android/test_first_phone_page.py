"""docs/how-to/first-phone.md shows what the check list prints, and names what the program says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lutbench.device_agents.android.check import PhoneReport
from lutbench.jobs.check import line
from tests.device_agents.android.local_shell import LocalShell
from tests.device_agents.android.test_check import NAMES, go, phone

__all__ = ["go", "phone"]  # fixtures

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/how-to/first-phone.md").read_text()
_FIGURE = re.compile(r"[+-]?\d+(\.\d+)?")
_OPERATOR = re.compile(r"operator: ok: \S+")


def told() -> str:
    """What the program's sources say: their texts in one, however they are cut into pieces."""
    places = ("android/*.py", "remote/*.py", "runner/src/signals.cpp")
    paths = sorted(path for place in places for path in (ROOT / "device_agents").glob(place))
    sources = "\n".join(path.read_text() for path in paths)
    return re.sub(r"\s+", " ", re.sub(r"\"\s*f?\"", "", sources))


def rows() -> list[tuple[str, str]]:
    """Of the table of lines that are not ok: the check's name, and a thing that it says."""
    table = PAGE.split("## 3.")[1].split("## 4.")[0]
    found = re.findall(r"^\| (\w+) \| ([^|]+) \|", table, re.MULTILINE)
    return [(name, said.strip()) for name, cell in found if name in NAMES for said in cell.split(";")]


def test_the_list_is_what_the_command_prints(go: Callable[..., PhoneReport], phone: LocalShell) -> None:
    """Of a phone that dozes; but for its figures, which the page says are made up, and the operator."""
    phone.set_power(mWakefulness="Dozing")
    shown = PAGE.split("```text\n")[1].split("```")[0].splitlines()

    def form(text: str) -> str:
        return _FIGURE.sub("N", _OPERATOR.sub("operator: ok: X", text)).replace("a folder", "adb over USB")

    assert [form(text) for text in shown] == [form(line(check)) for check in go().checks]


@pytest.mark.parametrize(("name", "said"), rows())
def test_what_the_table_quotes_is_said(name: str, said: str) -> None:
    assert name in NAMES
    for part in re.split(r"\.\.\.|\bX\b|\bY\b|^\d+ ", said):
        words = part.strip(" ,")
        assert words in told(), f"nothing says {words!r}"
