from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutbench.lut.runtime_name import RuntimeName

WORDS = st.from_regex(r"[a-z0-9.+-]+", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("torch 2.13.0 (x86)", RuntimeName("torch", "2.13.0", "x86")),
        ("executorch 1.0.1+cpu (xnnpack)", RuntimeName("executorch", "1.0.1+cpu", "xnnpack")),
        ("onnxruntime 1.31.1", RuntimeName("onnxruntime", "1.31.1")),
        ("unknown", RuntimeName("unknown")),
        ("tflite (gpu)", RuntimeName("tflite", inside="gpu")),
    ],
)
def test_names_are_read_and_written(text: str, name: RuntimeName) -> None:
    assert RuntimeName.parse(text) == name
    assert str(name) == text


@given(WORDS, st.one_of(st.just(""), WORDS), st.one_of(st.just(""), WORDS))
def test_what_is_written_is_read(package: str, version: str, inside: str) -> None:
    name = RuntimeName(package, version, inside)
    assert RuntimeName.parse(str(name)) == name


@given(st.text())
def test_any_text_has_a_package(text: str) -> None:
    assert RuntimeName.parse(text).package == text.partition(" ")[0]
