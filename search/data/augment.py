"""Augmentation of batches through kornia, on whatever device they lie; (n, 3, H, W) float32 in 0 to 1."""

from __future__ import annotations

import torch
from kornia import augmentation
from torch import Tensor, nn
from torch.nn import functional

CROP_MARGIN = 8 / 7  # photographs are read this much larger than the crop a net is given, as with 256 and 224


class _Steps:
    """Random steps for training, bringing images to the resolution for the rest."""

    def __init__(self, resolution: int, *steps: nn.Module) -> None:
        self.resolution = resolution
        self._steps = nn.Sequential(*steps)

    @torch.no_grad()
    def train(self, images: Tensor) -> Tensor:
        """(n, 3, H, W) -> (n, 3, R, R)"""
        result: Tensor = self._steps(self.prepared(images))
        return result

    def prepared(self, images: Tensor) -> Tensor:
        return images

    def plain(self, images: Tensor) -> Tensor:
        """(n, 3, H, W) -> (n, 3, R, R)"""
        return self.prepared(images)


class GlyphAugmentation(_Steps):
    """Digits of any size: resized, then moved, turned and scaled a little. They may not be mirrored."""

    def __init__(self, resolution: int) -> None:
        super().__init__(
            resolution,
            augmentation.RandomAffine(degrees=10.0, translate=(0.1, 0.1), scale=(0.9, 1.1), p=1.0),
        )

    def prepared(self, images: Tensor) -> Tensor:
        return resized(images, self.resolution)


class ShapesAugmentation(_Steps):
    """Shapes are drawn at any place and angle: mirrored both ways and shifted by up to an eighth."""

    def __init__(self, resolution: int) -> None:
        super().__init__(
            resolution,
            augmentation.RandomHorizontalFlip(p=0.5),
            augmentation.RandomVerticalFlip(p=0.5),
            augmentation.RandomCrop((resolution, resolution), padding=resolution // 8, padding_mode="reflect"),
        )


class ShiftAugmentation(_Steps):
    """Small images that mirroring may make another class of, as letters: shifted by up to an eighth, no more."""

    def __init__(self, resolution: int) -> None:
        super().__init__(
            resolution,
            augmentation.RandomCrop((resolution, resolution), padding=resolution // 8, padding_mode="reflect"),
        )

    def prepared(self, images: Tensor) -> Tensor:
        return resized(images, self.resolution)


class SmallAugmentation(_Steps):
    """Small images at their own size: mirrored, shifted by up to an eighth, colours changed. A part of one, resized, is
    mostly made up."""

    def __init__(self, resolution: int) -> None:
        super().__init__(
            resolution,
            augmentation.RandomHorizontalFlip(p=0.5),
            augmentation.RandomCrop((resolution, resolution), padding=resolution // 8, padding_mode="reflect"),
            augmentation.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3, p=1.0),
        )

    def prepared(self, images: Tensor) -> Tensor:
        return resized(images, self.resolution)


class PhotoAugmentation(_Steps):
    """Photographs: a random part resized, mirrored, brightness, contrast and saturation changed; else the centre."""

    def __init__(self, resolution: int) -> None:
        super().__init__(
            resolution,
            augmentation.RandomResizedCrop((resolution, resolution), scale=(0.2, 1.0), cropping_mode="resample"),
            augmentation.RandomHorizontalFlip(p=0.5),
            augmentation.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3, p=1.0),
        )

    def plain(self, images: Tensor) -> Tensor:
        """(n, 3, S, S) -> its centre, (n, 3, R, R)"""
        start = (images.shape[-1] - self.resolution) // 2
        stop = start + self.resolution
        return images[:, :, start:stop, start:stop]


def resized(images: Tensor, resolution: int) -> Tensor:
    """(n, 3, H, W) -> (n, 3, R, R); images that have the size already are the same bits."""
    if images.shape[-2:] == (resolution, resolution):
        return images
    size = (resolution, resolution)
    return functional.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True)


def stored_size(resolution: int) -> int:
    """Side of the squares that photographs are read as."""
    return round(resolution * CROP_MARGIN)
