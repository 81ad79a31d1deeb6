"""An error is one line of bearable length, whatever it names."""

from __future__ import annotations

import pytest

from lutbench.errors import LutbenchError
from lutbench.shown import LONGEST_ERROR

ENDLESS = "9" * 5000


@pytest.mark.parametrize("where", ["problem", "remedy", "path", "operator", "device"])
def test_an_endless_name_is_shortened_in_the_middle(where: str) -> None:
    given = {"problem": "is wrong", "remedy": "mend it", "path": "a.csv", "operator": "conv", "device": "host"}
    text = str(LutbenchError(**{**given, where: f"begin{ENDLESS}end"}))  # type: ignore[arg-type]
    assert len(text) <= LONGEST_ERROR and "begin999" in text and "999end" in text
    assert all(value in text for name, value in given.items() if name != where)


def test_all_of_them_together_are_a_line_still() -> None:
    error = LutbenchError(ENDLESS, remedy=ENDLESS, path=ENDLESS, line=3, operator=ENDLESS, device=ENDLESS)
    assert len(str(error)) <= LONGEST_ERROR and "\n" not in str(error)


def test_a_long_path_that_is_real_is_whole() -> None:
    path = "/" + "folder/" * 30 + "lut.csv"
    assert path in str(LutbenchError("no such file", path=path))
