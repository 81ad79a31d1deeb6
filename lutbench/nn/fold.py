"""Batch norms folded into the convolutions before them, as every runtime does in the end."""

from __future__ import annotations

import copy
import itertools

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def norms_folded(module: nn.Module) -> nn.Module:
    """A copy of a module in eval mode, each batch norm that follows a convolution in a Sequential folded into it.

    It computes the same, with a third fewer layers for an exporter to trace.
    """
    found = copy.deepcopy(module)
    for part in list(found.modules()):
        if isinstance(part, nn.Sequential):
            _fold(part)
    return found


def _fold(sequence: nn.Sequential) -> None:
    layers = list(sequence.named_children())
    for (name, conv), (next_name, norm) in itertools.pairwise(layers):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(sequence, name, fuse_conv_bn_eval(conv, norm))
            delattr(sequence, next_name)
