"""Letters and figures as a source: 62 classes, drawn from the fonts of this system, tested on designs never seen.

A fifth of the designs is held out, so that a net is tested on letters whose shapes it was not trained on. The more
designs a system has, the more ways there are to write a letter, and the harder the data are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from lutbench.errors import DataError
from lutbench.events import Note, Report
from lutbench.search.data.augment import ShiftAugmentation
from lutbench.search.data.drawn import Drawing, DrawnSize, drawn_part
from lutbench.search.data.fonts import CHARACTERS, Font, find_fonts
from lutbench.search.data.options import DataOptions
from lutbench.search.data.source import LabelledImages, SplitSource
from lutbench.search.data.split import IntArray, choose_classes

GLYPHS = Drawing("glyphs", fewest=4 * len(CHARACTERS), images=10_000, resolution=32)
TEST_SHARE_OF_DESIGNS = 0.2
FEWEST_DESIGNS = 5
MORE_FONTS = "apt-get install fonts-dejavu fonts-liberation fonts-freefont-ttf fonts-lato fonts-roboto-unhinted"
FONTS_STREAM, LABELS_STREAM, DRAW_STREAM = 5, 6, 7  # random streams of one seed
CHUNK = 256
HEIGHT = (0.55, 0.7)  # of an H, of the image's side; a small x of any is smaller than a capital of any
LIFT = 0.07  # of the side: what g and p have below the line is drawn too
MAX_TURN_DEGREES, MAX_SHIFT = 15.0, 0.08  # of the side
MIN_CONTRAST, MAX_NOISE = 0.3, 0.08
_FINE = 3  # letters are drawn so much larger, and brought to their size: edges are soft whatever the font's hints
_PROBE = 100


@dataclass(frozen=True)
class GlyphsRecipe:
    """All that decides the images of a part, "train" or "test".

    classes: numbers of CHARACTERS.
    """

    images: int
    resolution: int
    seed: int
    part: str
    classes: tuple[int, ...]
    fonts: tuple[Font, ...]

    @property
    def key(self) -> str:
        """Changes with anything that changes a pixel."""
        fonts = [[font.sha256, font.design] for font in self.fonts]
        text = json.dumps([2, self.images, self.resolution, self.seed, self.part, self.classes, fonts])
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def stream(self, stream: int) -> np.random.Generator:
        """A random stream of this part's own."""
        return np.random.default_rng([self.seed, stream, int(self.part == "test")])


def glyphs(size: DrawnSize, options: DataOptions, report: Report) -> SplitSource:
    """size.images to train with, half as many to test with; DataError where the system has too few designs."""
    chosen = tuple(choose_classes(CHARACTERS, options.classes, options.seed, "glyphs"))
    fonts = dict(zip(("train", "test"), split_fonts(find_fonts(report), options.seed), strict=True))
    counts = {part: (len({font.design for font in own}), len(own)) for part, own in fonts.items()}
    report(
        Note(
            "letters are drawn from {} designs ({} fonts), and tested on {} others ({} fonts)".format(
                *counts["train"], *counts["test"]
            )
        )
    )

    def part(name: str, images: int) -> LabelledImages:
        recipe = GlyphsRecipe(images, size.resolution, options.seed, name, chosen, tuple(fonts[name]))
        return drawn_part(GLYPHS, recipe, glyph_labels(recipe), partial(draw_glyphs, recipe), report)

    return SplitSource(
        f"glyphs:{size.images}@{size.resolution}",
        tuple(CHARACTERS[number] for number in chosen),
        size.resolution,
        part("train", size.images),
        part("test", size.test_images),
        ShiftAugmentation(size.resolution),
        seed=options.seed,
        device=options.device,
        made_of=[
            {"part": name, "file": font.path, "family": font.family, "design": font.design}
            | {"sha256": font.sha256, "licence": font.licence or "not stated in the font"}
            for name, own in fonts.items()
            for font in own
        ],
    )


def split_fonts(fonts: Sequence[Font], seed: int) -> tuple[list[Font], list[Font]]:
    """The fonts to train and to test with: no design is in both."""
    designs = sorted({font.design for font in fonts})
    if len(designs) < FEWEST_DESIGNS:
        names = f" ({', '.join(designs)})" if designs else ""
        raise DataError(
            f"this system has fonts of {len(designs)} designs{names}, and {FEWEST_DESIGNS} or more are needed",
            remedy=MORE_FONTS,
        )
    order = np.random.default_rng([seed, FONTS_STREAM]).permutation(len(designs))
    held_out = {designs[number] for number in order[: round(TEST_SHARE_OF_DESIGNS * len(designs))]}
    return [f for f in fonts if f.design not in held_out], [f for f in fonts if f.design in held_out]


def glyph_labels(recipe: GlyphsRecipe) -> IntArray:
    """(N,): numbers of recipe.classes, as many of each, within one, in random order."""
    balanced = np.arange(recipe.images, dtype=np.int64) % len(recipe.classes)
    return recipe.stream(LABELS_STREAM).permutation(balanced)


def draw_glyphs(recipe: GlyphsRecipe) -> Iterator[npt.NDArray[np.uint8]]:
    """(n, 3, R, R) at a time. Every design is drawn as often, whatever number of fonts it has."""
    labels = glyph_labels(recipe)
    rng = recipe.stream(DRAW_STREAM)
    designs: dict[str, list[Font]] = {}
    for font in recipe.fonts:
        designs.setdefault(font.design, []).append(font)
    names = sorted(designs)
    for start in range(0, recipe.images, CHUNK):
        chunk = []
        for label in labels[start : start + CHUNK]:
            own = designs[names[rng.integers(len(names))]]
            font = own[rng.integers(len(own))]
            chunk.append(_draw(CHARACTERS[recipe.classes[label]], font.path, recipe.resolution, rng))
        yield np.stack(chunk)


def _draw(character: str, path: str, resolution: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """(3, R, R): the character in one colour on another, turned and shifted a little, with noise."""
    fine = resolution * _FINE
    font, capital = _font(path, fine)
    canvas = Image.new("L", (fine, fine))
    left, _, right, _ = font.getbbox(character, anchor="ls")
    # placed by the line that all letters stand on, so that o and O, p and P differ as they do in a text
    at = fine / 2 - (left + right) / 2, fine * (0.5 - LIFT) + capital / 2
    ImageDraw.Draw(canvas).text(at, character, 255, font, anchor="ls")
    moved = canvas.transform((fine, fine), Image.Transform.AFFINE, _moves(fine, rng), Image.Resampling.BILINEAR)
    alpha = np.asarray(moved.resize((resolution, resolution), Image.Resampling.BOX), np.float32) / 255
    ground = rng.uniform(0, 1, 3)
    away = np.where(ground.mean() > 0.5, -1, 1)
    ink = np.clip(ground + away * rng.uniform(MIN_CONTRAST, 1, 3), 0, 1)
    colours = ground[:, None, None] + (ink - ground)[:, None, None] * alpha
    noise = rng.uniform(0, MAX_NOISE) * rng.standard_normal(colours.shape)
    return np.asarray(np.clip((colours + noise) * 255, 0, 255), np.uint8)


def _moves(fine: int, rng: np.random.Generator) -> tuple[float, ...]:
    """Where each pixel comes from, for Pillow: (a, b, c, d, e, f) with x from a x + b y + c, y from d x + e y + f."""
    scale = HEIGHT[1] / rng.uniform(*HEIGHT)
    turn = np.deg2rad(rng.uniform(-MAX_TURN_DEGREES, MAX_TURN_DEGREES))
    shift = rng.uniform(-MAX_SHIFT, MAX_SHIFT, 2) * fine
    a, b = scale * np.cos(turn), scale * np.sin(turn)
    middle = fine / 2
    x, y = middle + shift
    return a, b, middle - a * x - b * y, -b, a, middle + b * x - a * y


@lru_cache(maxsize=512)  # opening a font's file takes longer than drawing a letter
def _font(path: str, fine: int) -> tuple[ImageFont.FreeTypeFont, float]:
    """The font with an H of the largest height on a canvas of that side, and that height, pixels."""
    probe = ImageFont.truetype(path, _PROBE, layout_engine=ImageFont.Layout.BASIC)
    _, top, _, bottom = probe.getbbox("H", anchor="ls")
    height = HEIGHT[1] * fine
    return probe.font_variant(size=_PROBE * height / (bottom - top)), height
