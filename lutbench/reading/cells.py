"""Text in a CSV cell that a spreadsheet would take for a formula: written behind an apostrophe, read without it."""

from __future__ import annotations

import re

# what a spreadsheet computes where a cell begins with it; apostrophes before it, so that reading undoes writing
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def guarded(text: str) -> str:
    """The text as a cell: with an apostrophe before what a spreadsheet would compute. Not for numbers."""
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(cell: str) -> str:
    """The text that `guarded` made a cell of."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
