from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutbench.reading.cells import guarded, unguarded


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-x.onnx", "@SUM(A1)", "\t=1", "'=1", "''+1"])
def test_what_a_spreadsheet_would_compute_stands_behind_an_apostrophe(text: str) -> None:
    assert guarded(text) == f"'{text}"
    assert unguarded(guarded(text)) == text


@pytest.mark.parametrize("text", ["net.onnx", "", "'net'", "fbnet_a@192x0.5", "a=b"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert guarded(text) == text == unguarded(text)


@given(st.text(alphabet="'=+-@\t\r a,\"", max_size=8))
def test_reading_undoes_writing(text: str) -> None:
    assert unguarded(guarded(text)) == text
