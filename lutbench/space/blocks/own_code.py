"""Blocks that only their own code tells: a user's `package.module:factory`.

The factory is called with (c_in, h, w, c_out, stride) and returns a torch.nn.Module from (N, c_in, h, w) to
(N, c_out, ceil(h / stride), ceil(w / stride)). Multiply-accumulates and parameters are counted from what it makes
(`lutbench.nn.own_code`) and kept with the space; it is run in export workers alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lutbench.errors import SpaceError
from lutbench.space.blocks.kind import Kind

if TYPE_CHECKING:
    from lutbench.space.blocks.kind import Shaped

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_FOLDER = r"[A-Za-z_][A-Za-z0-9_-]*"  # a package may have a dash, which only an import statement cannot write
_FACTORY = re.compile(rf"{_FOLDER}(?:\.{_FOLDER})*:{_NAME}")


def _check_module(op: Shaped) -> None:
    if not _FACTORY.fullmatch(op.label):
        raise SpaceError(f"{op.label[:80]!r} names no factory", remedy="write module_package.module:factory")


MODULE = Kind("module", "package.module:factory: a module of your own code", (), None, _check_module, labelled=True)
