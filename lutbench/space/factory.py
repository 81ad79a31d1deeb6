"""Nets that Python code makes: `module:factory`, `module:factory@RESOLUTION`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lutbench.errors import SpaceError

DEFAULT_RESOLUTION = 224

_NAME = r"[^\W\d]\w*"
_FORM = re.compile(rf"(?P<spec>{_NAME}(?:\.{_NAME})*:{_NAME})(?:@(?P<resolution>\d{{1,4}}))?")


@dataclass(frozen=True)
class FactoryNet:
    """A net made by calling a function.

    spec: "module:factory".
    resolution: height and width of its input.
    """

    name: str
    spec: str
    resolution: int = DEFAULT_RESOLUTION

    def __post_init__(self) -> None:
        if not 1 <= self.resolution <= 4096:
            raise SpaceError(f"{self.spec}: resolution {self.resolution} is not between 1 and 4096")

    @property
    def module(self) -> str:
        return self.spec.split(":")[0]

    @property
    def factory(self) -> str:
        return self.spec.split(":")[1]

    @property
    def key(self) -> str:
        """What it is called; the code behind it may change without it."""
        return self.name

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(N, C, H, W), N = 1."""
        return (1, 3, self.resolution, self.resolution)


def parse_factory_net(text: str) -> FactoryNet | None:
    """The net that `module:factory` or `module:factory@192` names; None for text of another form."""
    match = _FORM.fullmatch(text.strip())
    if match is None:
        return None
    resolution = int(match["resolution"] or DEFAULT_RESOLUTION)
    name = match["spec"] if resolution == DEFAULT_RESOLUTION else f"{match['spec']}@{resolution}"
    return FactoryNet(name, match["spec"], resolution)
