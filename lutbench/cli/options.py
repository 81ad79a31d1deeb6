"""Options that several commands share, and their types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


class CommaList(click.ParamType["tuple[Any, ...]"]):
    """A list such as 224,192; convert: the type of its items."""

    def __init__(self, name: str, convert: Callable[[str], Any]) -> None:
        self.name = name
        self._convert = convert

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        if isinstance(value, tuple):
            return value
        found = []
        for part in str(value).split(","):
            try:
                found.append(self._convert(part.strip()))
            except ValueError:
                self.fail(f"{part.strip()!r} is not a number", param, ctx)
        return tuple(dict.fromkeys(found))


INTEGERS = CommaList("integers", int)
NUMBERS = CommaList("numbers", float)

cores_option = click.option(
    "--cores",
    default="",
    help="Of an Android phone: big, little, all, or a mask such as 0xf0; none: the device's, big.",
)
force_option = click.option(
    "--force", is_flag=True, help="Take a phone that is not the model its name stands for; the LUT says what it was."
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
