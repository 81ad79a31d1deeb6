"""Drawn shapes as a source; drawn once and kept in the cache folder."""

from __future__ import annotations

from functools import partial

from lutbench.events import Report
from lutbench.search.data.augment import ShapesAugmentation
from lutbench.search.data.drawn import Drawing, DrawnSize, drawn_part
from lutbench.search.data.options import DataOptions
from lutbench.search.data.shapes import CLASS_NAMES, ShapesRecipe, draw_shapes, shape_labels
from lutbench.search.data.source import LabelledImages, SplitSource
from lutbench.search.data.split import choose_classes

SHAPES = Drawing("shapes", fewest=4 * len(CLASS_NAMES), images=10_000, resolution=64)


def shapes(size: DrawnSize, options: DataOptions, report: Report) -> SplitSource:
    """size.images to train with, half as many to test with."""
    chosen = tuple(choose_classes(CLASS_NAMES, options.classes, options.seed, "shapes"))

    def part(name: str, images: int) -> LabelledImages:
        recipe = ShapesRecipe(images, size.resolution, options.seed, name, chosen)
        return drawn_part(SHAPES, recipe, shape_labels(recipe), partial(draw_shapes, recipe), report)

    return SplitSource(
        f"shapes:{size.images}@{size.resolution}",
        tuple(CLASS_NAMES[number] for number in chosen),
        size.resolution,
        part("train", size.images),
        part("test", size.test_images),
        ShapesAugmentation(size.resolution),
        seed=options.seed,
        device=options.device,
    )
