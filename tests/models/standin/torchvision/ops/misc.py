"""Of torchvision.ops.misc."""

from torch import nn


class FrozenBatchNorm2d(nn.Module):
    """timm only asks whether a layer is one."""

    def __init__(self, *_arguments: object) -> None:
        raise NotImplementedError("this is a stand-in for torchvision")
