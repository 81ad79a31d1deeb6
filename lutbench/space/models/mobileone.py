"""MobileOne S0 to S4 (CVPR 2023, table 2), re-parameterised: each block's branches have become one convolution.

Four stages of 2, 8, 10 and 1 blocks behind the stem, each of which starts with stride 2. S4 alone has
squeeze-and-excitation, in both convolutions of its last 5 blocks of the third stage and of its last one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lutbench.space.graph import Graph, GraphBuilder
from lutbench.space.models.blocks import CLASSES, Row, rows

_CHANNELS = (64, 128, 256, 512)
_REPEATS = (2, 8, 10, 1)
_PLAIN, _SQUEEZED = "mobileone_k3", "mobileone_k3_se0.0625"


def _build(wider: tuple[float, ...], squeezed: tuple[int, ...], resolution: int, width: float) -> Graph:
    """wider: what each stage's channels are multiplied with. squeezed: how many of its last blocks are squeezed."""
    del width  # the published nets have one each
    net = GraphBuilder(3, resolution, resolution)
    stem = min(64, int(64 * wider[0]))
    net.conv(0, stem, 3, 2, activation="relu", norm=False, bias=True)
    for usual, factor, repeats, last in zip(_CHANNELS, wider, _REPEATS, squeezed, strict=True):
        kinds = [_PLAIN] * (repeats - last) + [_SQUEEZED] * last
        channels = int(usual * factor)
        rows(net, [Row(kind, channels, stride=2 if place == 0 else 1) for place, kind in enumerate(kinds)])
    net.fc(net.global_pool(net.last), CLASSES)
    return net.graph()


_NONE = (0, 0, 0, 0)
# name -> graph at a resolution; all were published at 224
MOBILEONE_NETS: dict[str, Callable[[int, float], Graph]] = {
    "mobileone_s0": partial(_build, (0.75, 1.0, 1.0, 2.0), _NONE),
    "mobileone_s1": partial(_build, (1.5, 1.5, 2.0, 2.5), _NONE),
    "mobileone_s2": partial(_build, (1.5, 2.0, 2.5, 4.0), _NONE),
    "mobileone_s3": partial(_build, (2.0, 2.5, 3.0, 4.0), _NONE),
    "mobileone_s4": partial(_build, (3.0, 3.5, 3.5, 4.0), (0, 0, 5, 1)),
}
