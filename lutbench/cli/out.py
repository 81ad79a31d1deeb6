"""The one way that text leaves for a terminal: cleaned of what would steer it, and wrapped at words."""

from __future__ import annotations

import shutil
import sys
import textwrap

import click

from lutbench.shown import clean

_INDENT = "    "  # of what a line goes on with
_NARROWEST = 30  # columns


def say(text: str, err: bool = False, wrapped: bool = True) -> None:
    """A line (or several) on standard output, or on standard error.

    wrapped: in a terminal, lines that are longer than it is wide go on indented, not in the middle of a word. What is
    to be copied as it stands, such as a command, is not wrapped. Elsewhere nothing is: a message is a line.
    """
    stream = sys.stderr if err else sys.stdout
    if wrapped and stream is not None and stream.isatty():
        text = _at_words(text, shutil.get_terminal_size().columns)
    click.echo(clean(text), err=err)


def echo_drawn(text: str) -> None:
    """What was drawn of cleaned cells, with the colours that it was given."""
    click.echo(text, color=True)


def _at_words(text: str, width: int) -> str:
    if width < _NARROWEST:
        return text
    return "\n".join(
        textwrap.fill(line, width, subsequent_indent=_INDENT, break_long_words=False, break_on_hyphens=False,
                      replace_whitespace=False, drop_whitespace=True)
        if len(line) > width else line
        for line in text.split("\n")
    )  # fmt: skip
