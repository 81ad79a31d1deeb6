"""The end of a command that wrote something: what it wrote, and the commands that follow, as they can be pasted."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lutbench.cli.out import say

if TYPE_CHECKING:
    from lutbench.jobs.learning import Images


def say_next(wrote: Sequence[Path], *commands: Sequence[str | Path]) -> None:
    """Says both on standard output; each command as its words after `lutbench`."""
    say(f"wrote: {', '.join(str(path) for path in wrote)}")
    for command in commands:
        say(f"next:  {shlex.join(['lutbench', *(str(word) for word in command)])}", wrapped=False)


def same_images(images: Images) -> list[str]:
    """The options by which `lutbench train` reads these images."""
    usual = type(images)()
    pairs = (
        ("--data", images.data, usual.data),
        ("--classes", images.classes, usual.classes),
        ("--data-seed", images.data_seed, usual.data_seed),
    )
    return [text for option, value, default in pairs if value != default for text in (option, str(value))]
