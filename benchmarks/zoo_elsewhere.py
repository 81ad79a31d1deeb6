"""The zoo's nets beside the modules of timm and torchvision: multiply-accumulates and parameters of both.

    python benchmarks/zoo_elsewhere.py

Needs timm and torchvision. Counted as in docs/reference/nets.md: convolutions, fully connected layers and attention's
products, of one image; parameters without those of batch norms. MobileOne and RepViT are counted as timm
re-parameterises them. Prints a line for each net, and ends with 1 where a figure differs that docs/reference/nets.md
does not explain.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import version

import timm
import torch
import torchvision.models as torchvision
from timm.models.mobilenetv3 import _gen_mobilenet_v3
from timm.utils.model import reparameterize_model
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lutbench.space.zoo import zoo_models

Make = Callable[[], nn.Module]
# MnasNet's widths are rounded in another way there; layer scale is folded here
EXPLAINED = {"mnasnet@224x0.35": (-17_181_360, -78_120), "mobilenet_v4_hybrid_m": (0, 6_176)}


def of_timm(name: str) -> Make:
    return lambda: reparameterize_model(timm.create_model(name))


def modules() -> dict[str, Make]:
    """A net's name here -> what makes it there."""
    v2, mnasnet = torchvision.mobilenet_v2, torchvision.mnasnet1_0
    return {
        "mobilenet_v2": v2,
        "mobilenet_v2@128x1.0": v2,
        **{
            f"mobilenet_v2@{size}x{width}": partial(v2, width_mult=width)
            for size, width in ((224, 1.3), (224, 1.4), (224, 0.35), (192, 0.5), (128, 0.5), (96, 0.35))
        },
        "mnasnet": mnasnet,
        "mnasnet@128x1.0": mnasnet,
        "mnasnet@224x0.35": partial(torchvision.MNASNet, 0.35),
        "shufflenet_v2": torchvision.shufflenet_v2_x1_5,
        "shufflenet_v2@224x0.5": torchvision.shufflenet_v2_x0_5,
        "shufflenet_v2@224x1.0": torchvision.shufflenet_v2_x1_0,
        "shufflenet_v2@224x2.0": torchvision.shufflenet_v2_x2_0,
        "mobilenet_v3_large": torchvision.mobilenet_v3_large,
        "mobilenet_v3_small": torchvision.mobilenet_v3_small,
        "mobilenet_v3_large@224x0.75": of_timm("mobilenetv3_large_075"),
        "mobilenet_v3_large@224x1.25": partial(_gen_mobilenet_v3, "mobilenetv3_large_100", 1.25),
        "mobilenet_v3_small@224x0.75": of_timm("mobilenetv3_small_075"),
        "efficientnet_b0": torchvision.efficientnet_b0,
        **{f"efficientnet_lite{number}": of_timm(f"tf_efficientnet_lite{number}") for number in range(5)},
        "mobilenet_v4_conv_s": of_timm("mobilenetv4_conv_small"),
        "mobilenet_v4_conv_m": of_timm("mobilenetv4_conv_medium"),
        "mobilenet_v4_conv_l": of_timm("mobilenetv4_conv_large"),
        "mobilenet_v4_hybrid_m": of_timm("mobilenetv4_hybrid_medium"),
        **{f"mobileone_s{number}": of_timm(f"mobileone_s{number}") for number in range(5)},
        "repvit_m0_9": of_timm("repvit_m0_9"),
        "repvit_m1_1": of_timm("repvit_m1_1"),
        "ghostnet": of_timm("ghostnet_100"),
    }


def counts(module: nn.Module, resolution: int) -> tuple[int, int]:
    """Multiply-accumulates and parameters."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module.eval()(torch.zeros(1, 3, resolution, resolution))
    own = (m for m in module.modules() if not isinstance(m, nn.BatchNorm2d))
    return counter.get_total_flops() // 2, sum(p.numel() for m in own for p in m.parameters(recurse=False))


def main() -> None:
    print(f"timm {version('timm')}, torchvision {version('torchvision')}, torch {torch.__version__}")
    differ = 0
    found = {net.name: net for net in zoo_models()}
    for name, make in modules().items():
        net = found.pop(name)
        theirs = counts(make(), net.resolution)
        off = theirs[0] - net.macs, theirs[1] - net.params
        explained = EXPLAINED.get(name, (0, 0)) == off
        differ += not explained
        word = "the same" if off == (0, 0) else f"{off[0]:+,} and {off[1]:+,} there" + (", explained" * explained)
        print(f"{name}: {net.macs:,} multiply-accumulates, {net.params:,} parameters, {word}", flush=True)
    print(f"in neither: {', '.join(found)}")
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
