"""Blocks that only a file tells: an ONNX model of a user's own, from (N, c_in, h, w) to (N, c_out, h_out, w_out).

`onnx_blocks/fire` is a file for each shape: `blocks/fire_24x56x56_40_s2.onnx`, or where height and width are open in it
`blocks/fire_24_40_s2.onnx`, or where one file does for all `blocks/fire.onnx`. `onnx_blocks/fire.onnx` is that file
alone. Paths are seen from the folder that lutbench runs in.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lutbench.errors import SpaceError, UsageError
from lutbench.space.blocks.kind import Kind

if TYPE_CHECKING:
    from lutbench.space.blocks.kind import Shaped

_SUFFIX = ".onnx"
_PLACE = re.compile(r"/?[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*")


def _check_file(op: Shaped) -> None:
    if not _PLACE.fullmatch(op.label):
        raise SpaceError(f"{op.label[:80]!r} is no file's path", remedy="write folder/file, with or without .onnx")


def file_places(op: Shaped) -> tuple[str, ...]:
    """The paths at which the block's file may be, the one that says most of the shape first."""
    if op.label.endswith(_SUFFIX):
        return (op.label,)
    ends = f"_{op.c_in}x{op.h_in}x{op.w_in}_{op.c_out}_s{op.stride}", f"_{op.c_in}_{op.c_out}_s{op.stride}", ""
    return tuple(f"{op.label}{end}{_SUFFIX}" for end in ends)


def untrainable(name: str) -> UsageError:
    """What is said of such a block where it would be trained."""
    return UsageError(
        f"{name}: the weights of a file are constants, so it cannot be trained or searched with",
        remedy="leave it out of the space that is searched, or write it as module_package.module:factory",
    )


ONNX = Kind("onnx", "folder/file: an ONNX file of your own", (), None, _check_file, labelled=True, file=_SUFFIX)
