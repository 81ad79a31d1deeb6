"""Images to calibrate a quantised net with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lutbench.search.data.source import DataSource


def calibration_images(source: DataSource, images: int = 256) -> npt.NDArray[np.float32]:
    """(n, 3, R, R): the first of a fixed random order of the training set, normalised and not augmented.

    Never of the test set, which must not have shaped the net it judges; n is smaller where the set is.
    """
    wanted = min(images, source.count("all"))
    pixels, _labels = next(source.plain_batches(wanted, "all"))
    return np.ascontiguousarray(pixels.cpu().numpy())
