"""Memory that small images' training asks for again and again, kept rather than given back to the system.

The C library gives large blocks back as soon as they are free, and the system fills the next ones with zeros page by
page: in passes of 32 images of 32 x 32 that is 2 to 4 % of the time.
"""

from __future__ import annotations

import ctypes
import sys

from lutbench.search.hardware import SMALL_MAPS, Hardware

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h's names for the two
_LARGEST_BLOCK = 32 << 20  # the most that the C library allows
_MOST_KEPT = 1 << 30


def keep_freed(hardware: Hardware, resolution: int) -> bool:
    """Makes this process, and copies of it, keep what they free, up to 1 GiB; says whether it could.

    Only for small images on a CPU: of large ones each kept block would be one that something else has no room in.
    """
    if hardware.device.type != "cpu" or resolution > SMALL_MAPS or sys.platform != "linux":
        return False
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)  # not every C library has it
    if set_option is None:
        return False
    return bool(set_option(_MMAP_THRESHOLD, _LARGEST_BLOCK)) and bool(set_option(_TRIM_THRESHOLD, _MOST_KEPT))
