"""Quoting, by a real POSIX shell, and the end marker."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutbench.device_agents.android.shell import Answer, CutOffError, command_line, framed, quote, unframed

WORDS = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=30)


@given(st.lists(WORDS, min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_words_reach_the_shell_as_data(words: list[str]) -> None:
    printed = subprocess.run(
        ["sh", "-c", command_line(["printf", "%s\\0", *words])], capture_output=True, check=True
    ).stdout
    assert printed.decode().split("\0")[:-1] == words


def test_a_zero_byte_is_no_word() -> None:
    with pytest.raises(ValueError, match="zero byte"):
        quote("a\0b")


def run(script: str, marker: str = "end-1") -> bytes:
    return subprocess.run(["sh", "-c", framed(script, marker)], capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    ("script", "status", "output"),
    [
        ("echo a; echo b >&2", 0, b"a\nb\n"),
        ("exit 3", 3, b""),
        ("printf 'no line feed'; false", 1, b"no line feed"),
        ("cat", 0, b""),  # nothing on standard input, and nobody waits
        ("printf '\\nend-1 0\\nmore'; exit 2", 2, b"\nend-1 0\nmore"),
    ],
)
def test_status_and_output(script: str, status: int, output: bytes) -> None:
    assert unframed(run(script), "end-1") == Answer(status, output)


def test_every_cut_is_noticed() -> None:
    whole = run("seq 20; exit 1")
    assert unframed(whole, "end-1").status == 1
    for size in range(len(whole)):
        with pytest.raises(CutOffError):
            unframed(whole[:size], "end-1")
    with pytest.raises(CutOffError):
        unframed(whole, "end-2")


def test_a_terminals_line_ends_are_understood() -> None:
    assert unframed(b"a\r\n\r\nend-1 0\r\n", "end-1").text == "a"


@given(st.binary(max_size=80))
def test_junk_is_cut_off(data: bytes) -> None:
    with pytest.raises(CutOffError):
        unframed(data, "end-1")
