"""lutbench: latency lookup tables of operators on a device, and nets made for it.

    import lutbench
    lut = lutbench.read_lut("s8")
    lutbench.predict(lut, "fbnet_a").latency_us

docs/reference/python.md shows every function. They load when they are first asked for: importing lutbench is quick.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.2.0"
_OFFERED = ("Net", "Space", "bench", "diff", "predict", "profile", "read_lut", "verify")


def __getattr__(name: str) -> Any:
    if name == "search":  # the folder search/, which can be called: see lutbench/search/__init__.py
        return importlib.import_module("lutbench.search")
    if name in _OFFERED:
        return getattr(importlib.import_module("lutbench.interface"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*_OFFERED, "search", "__version__"])
