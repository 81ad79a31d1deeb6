"""Smaller resolutions inside a large one: every so many places are taken, and put back with zeros between them.

FBNetV2, section 3.2: a block runs on a map's nearest-neighbour sample, and what it gives is spread over a full map
again, at places from which the next sample takes exactly it. So a supernet that has chosen one resolution computes what
the net of that resolution computes on the sampled image.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

Size = tuple[int, int]  # height, width


def places(full: int, small: int, device: torch.device) -> Tensor:
    """The rows or columns (small,) of a full map that a small one is made of."""
    return torch.arange(small, device=device) * full // small


def sampled(x: Tensor, size: Size) -> Tensor:
    """(N, C, H, W) -> (N, C, *size), nearest neighbours."""
    if x.shape[2:] == size:
        return x
    height, width = x.shape[2:]
    rows, columns = places(height, size[0], x.device), places(width, size[1], x.device)
    return x.index_select(2, rows).index_select(3, columns)


def spread(x: Tensor, size: Size) -> Tensor:
    """(N, C, h, w) -> (N, C, *size), zeros between the places that `sampled` takes."""
    height, width = x.shape[2:]
    if (height, width) == size:
        return x
    rows, columns = places(size[0], height, x.device), places(size[1], width, x.device)
    wide = x.new_zeros(*x.shape[:3], size[1]).index_copy(3, columns, x)
    return x.new_zeros(*x.shape[:2], *size).index_copy(2, rows, wide)


def sizes_at(full: int, options: Sequence[int]) -> tuple[int, ...]:
    """What resolutions become on images of another size, the largest of them being the images' own."""
    return tuple(max(1, round(full * option / options[-1])) for option in options)


class Sample(nn.Module):
    """Takes a smaller image out of a larger one."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, *size)"""
        return sampled(images, self.size)
