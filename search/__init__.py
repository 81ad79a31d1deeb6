"""From a latency lookup table to nets for a device. It reads the space, the LUT's read side and the torch modules.

`lutbench.search(...)` runs a search: the name stands for this folder and for the function (`lutbench.interface`), so
the folder can be called.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """This package, which may be called as the function that `import lutbench` offers under its name."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return importlib.import_module("lutbench.interface").search(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
