"""CondenseNet (CVPR 2018) as it runs once trained: each learned group convolution picks the channels its groups read.

Which channels training would have picked is drawn at random, from a seed made of the layer's position: latency depends
on how many there are, not on which.
"""

from __future__ import annotations

import random

from lutbench.space.graph import Graph, GraphBuilder
from lutbench.space.models.blocks import CLASSES

_LAYERS = (4, 6, 8, 10, 8)
_GROWTH = (8, 16, 32, 64, 128)
_BOTTLENECK = 4


def condensenet_g4(resolution: int, width: float) -> Graph:
    """G = C = 4 (table 4): groups and condensation factor."""
    return _build(resolution, width, 4)


def condensenet_g8(resolution: int, width: float) -> Graph:
    """G = C = 8 (table 4)."""
    return _build(resolution, width, 8)


def _build(resolution: int, width: float, groups: int) -> Graph:
    del width  # one is published
    net = GraphBuilder(3, resolution, resolution)
    last = net.conv(0, 2 * _GROWTH[0], 3, 2, norm=False)
    for stage, (layers, growth) in enumerate(zip(_LAYERS, _GROWTH, strict=True)):
        if stage:
            last = net.pool("avg_pool", last, 2, 2)
        for _ in range(layers):
            last = net.concat([last, _layer(net, last, growth, groups)])
    last = net.global_pool(net.norm(last, "relu"))
    channels = net.shape(last)[0]
    net.fc(net.gather(last, _picked(net.last, channels, channels // 2)), CLASSES)
    return net.graph()


def _layer(net: GraphBuilder, given: int, growth: int, groups: int) -> int:
    channels = net.shape(given)[0]
    seeds = range(net.last * groups, (net.last + 1) * groups)
    picked = [index for seed in seeds for index in _picked(seed, channels, channels // groups)]
    last = net.norm(net.gather(given, picked), "relu")
    last = net.shuffle(net.conv(last, _BOTTLENECK * growth, groups=groups, norm=False), groups)
    return net.conv(net.norm(last, "relu"), growth, 3, groups=groups, norm=False)


def _picked(seed: int, channels: int, count: int) -> list[int]:
    """count different channels, ascending; random() alone is the same in every version of Python."""
    rng = random.Random(seed)
    drawn = [rng.random() for _ in range(channels)]
    return sorted(sorted(range(channels), key=drawn.__getitem__)[:count])
