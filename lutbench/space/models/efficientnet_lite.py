"""EfficientNet-Lite 0 to 4 (tensorflow/tpu, models/official/efficientnet/lite): B0 without squeeze-and-excitation.

ReLU6 stands for swish. Stem and head are as wide in all five, and their first and last stages as deep.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from lutbench.space.blocks.parts import divisible
from lutbench.space.models.blocks import Title, mobile
from lutbench.space.models.mobile import EFFICIENTNET_B0
from lutbench.space.net import Net

_STEM, _HEAD = 32, 1280


def _build(name: str, wider: float, deeper: float, resolution: int, width: float) -> Net:
    """wider, deeper: than EfficientNet-B0, by what its authors multiply channels and repeats with."""
    del width  # the released nets have one each
    first, *middle, last = EFFICIENTNET_B0
    stages = (first, *(replace(stage, repeats=math.ceil(stage.repeats * deeper)) for stage in middle), last)
    title = Title(name, resolution)
    return mobile(title, _STEM, lambda c: divisible(c * wider), stages, _HEAD, "relu6", "_relu6")


# name -> (the net at a resolution, the resolution it was released at)
EFFICIENTNET_LITE: dict[str, tuple[Callable[[int, float], Net], int]] = {
    "efficientnet_lite0": (partial(_build, "efficientnet_lite0", 1.0, 1.0), 224),
    "efficientnet_lite1": (partial(_build, "efficientnet_lite1", 1.0, 1.1), 240),
    "efficientnet_lite2": (partial(_build, "efficientnet_lite2", 1.1, 1.2), 260),
    "efficientnet_lite3": (partial(_build, "efficientnet_lite3", 1.2, 1.4), 280),
    "efficientnet_lite4": (partial(_build, "efficientnet_lite4", 1.4, 1.8), 300),
}
