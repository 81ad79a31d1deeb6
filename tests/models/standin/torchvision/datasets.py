"""Of torchvision.datasets."""

from typing import Any

from torchvision.transforms import Unused


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return Unused
