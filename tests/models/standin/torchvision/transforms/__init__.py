"""Of torchvision.transforms: classes that timm derives from or calls for images only."""

from typing import Any


class Unused:
    def __init__(self, *_arguments: object) -> None:
        raise NotImplementedError("this is a stand-in for torchvision")


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return Unused
