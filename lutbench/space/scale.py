"""Width multipliers: what they make of a channel count, and how names have them."""

from __future__ import annotations

import math

CHANNEL_MULTIPLE = 8


def scaled_channels(channels: int, width: float) -> int:
    """channels x width, rounded up to a multiple of 8.

    The rule that gives the released FBNet-96-0.35-1 its stages 8, 16, 16, 24, 40, 72, 128; width 1 changes nothing.
    """
    if width == 1:
        return channels
    multiples = math.ceil(channels * width / CHANNEL_MULTIPLE - 1e-9)  # 1e-9: 0.35 is not exactly .35
    return max(1, multiples) * CHANNEL_MULTIPLE


def format_width(width: float) -> str:
    """A width multiplier as names have it: 1.0, 0.35."""
    return f"{width:.12g}" if width % 1 else f"{width:.1f}"
