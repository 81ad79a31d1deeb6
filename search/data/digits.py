"""scikit-learn's 1,797 handwritten digits, real images of 8 x 8 that come with the library."""

from __future__ import annotations

import numpy as np

from lutbench.search.data.augment import GlyphAugmentation
from lutbench.search.data.images import ArrayImages
from lutbench.search.data.options import DataOptions
from lutbench.search.data.source import LabelledImages, SplitSource
from lutbench.search.data.split import choose_classes, hold_out

DEFAULT_RESOLUTION = 32
TEST_SHARE = 0.2
TEST_SEED = 0  # the test images are the same in every run, whatever its seed
MEAN, STD = 0.305, 0.376  # of the 8 x 8 images


def digits(options: DataOptions) -> SplitSource:
    """1,438 digits to train with and 359 to test with, where all ten classes are used."""
    from sklearn.datasets import load_digits

    data = load_digits()
    pixels = np.rint(data.images[:, None] * (255 / 16)).astype(np.uint8)
    names = tuple(str(name) for name in data.target_names)
    chosen = choose_classes(names, options.classes, options.seed, "digits")
    images = ArrayImages(pixels)
    labels = data.target.astype(np.int64)

    def part(positions: np.ndarray) -> LabelledImages:
        own = positions[np.isin(labels[positions], chosen)]
        return LabelledImages(images, np.searchsorted(chosen, labels[own]), own)

    train, test = (part(positions) for positions in hold_out(labels, TEST_SHARE, TEST_SEED))
    resolution = options.resolution or DEFAULT_RESOLUTION
    return SplitSource(
        "digits",
        tuple(names[number] for number in chosen),
        resolution,
        train,
        test,
        GlyphAugmentation(resolution),
        seed=options.seed,
        mean=(MEAN,) * 3,
        std=(STD,) * 3,
        device=options.device,
    )
