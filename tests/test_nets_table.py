"""docs/reference/nets.md holds what the nets count today, and says why where that is far from what was published."""

from __future__ import annotations

import runpy
from pathlib import Path

SCRIPT = Path(__file__).parent.parent / "docs" / "make_nets_table.py"
MADE = runpy.run_path(str(SCRIPT))


def test_the_page_holds_the_table() -> None:
    page = MADE["PAGE"].read_text(encoding="utf-8")
    assert MADE["START"] + MADE["table"]() + MADE["END"] in page, f"run {SCRIPT.name}"


def test_every_large_deviation_has_its_reason_and_no_other_has() -> None:
    explained = [(net, figure) for nets, figure, _why in MADE["REASONS"] for net in nets]
    assert len(explained) == len(set(explained))
    assert set(explained) == MADE["large_deviations"]()
