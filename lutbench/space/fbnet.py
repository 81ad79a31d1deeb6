"""FBNet's search space (CVPR 2019, tables 1 and 2) and the nets its authors published in it."""

from __future__ import annotations

from dataclasses import replace

from lutbench.space.candidate import parse_candidate
from lutbench.space.macro import Space, Stage

CANDIDATES = tuple(
    parse_candidate(name)
    for name in ("k3_e1", "k3_e1_g2", "k3_e3", "k3_e6", "k5_e1", "k5_e1_g2", "k5_e3", "k5_e6", "skip")
)

_STAGES = ((16, 1, 1), (24, 4, 2), (32, 4, 2), (64, 4, 2), (112, 4, 1), (184, 4, 2), (352, 1, 1))

FBNET = Space(
    name="fbnet",
    resolution=224,
    width=1.0,
    stem_channels=16,
    stem_kernel=3,
    stem_stride=2,
    stages=tuple(Stage(channels, layers, stride) for channels, layers, stride in _STAGES),
    candidates=CANDIDATES,
    head_channels=1504,  # table 1 prints 1984 here; 1504 gives the device nets' published figures
    other_heads=(1984,),  # FBNet-B and FBNet-C
)

RELEASED_HEAD_AT_035 = 1416  # of FBNet-96-0.35-1: not what scaling by .35 gives


def fbnet(resolution: int, width: float) -> Space:
    """FBNet's space at a resolution and width, with the heads that published nets use there."""
    space = FBNET.scaled(resolution, width)
    if width == 0.35:
        space = replace(space, other_heads=(*space.other_heads, RELEASED_HEAD_AT_035))
    return space
