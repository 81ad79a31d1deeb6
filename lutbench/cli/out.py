"""The one way that text leaves for a terminal: cleaned of what would steer it."""

from __future__ import annotations

import click

from lutbench.shown import clean


def say(text: str, err: bool = False) -> None:
    """A line (or several) on standard output, or on standard error."""
    click.echo(clean(text), err=err)
