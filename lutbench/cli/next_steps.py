"""The end of a command that wrote something: what it wrote, and the commands that follow, as they can be pasted."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from lutbench.cli.out import say


def say_next(wrote: Sequence[Path], *commands: Sequence[str | Path]) -> None:
    """Says both on standard output; each command as its words after `lutbench`."""
    say(f"wrote: {', '.join(str(path) for path in wrote)}")
    for command in commands:
        say(f"next:  {shlex.join(['lutbench', *(str(word) for word in command)])}", wrapped=False)
