"""Procedural images of any number and size: a form with a fill, at any place, size and angle, amid clutter.

A class is a form and a fill: class = form * len(FILLS) + fill. Each image has one object of its class and several
smaller ones of any class; background, colours, contrast, blur of the edges and noise vary. The same recipe gives the
same bytes: a chunk of images has a random stream of its own, made of seed, part and the chunk's number.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]
IntArray = npt.NDArray[np.int64]

VERSION = 3  # of the pictures: counts up when the same recipe draws other bytes
CHUNK = 256  # images drawn together: about what a core's cache holds at 64 x 64
MAX_CLUTTER = 4

# Radii are fractions of the image's side; contrast and noise in units of the image, 0 to 1. Chosen so that a small net
# starts to learn in the first epoch and still errs after the last one (benchmarks/shapes_difficulty.py).
MAIN_RADIUS = (0.22, 0.40)
CLUTTER_RADIUS = (0.05, 0.15)
MIN_CONTRAST = 0.28
MAX_NOISE = 0.15


@dataclass(frozen=True)
class ShapesRecipe:
    """What decides the pictures.

    part: "train" or "test", two random streams.
    classes: numbers of CLASS_NAMES.
    """

    images: int
    resolution: int
    seed: int
    part: str
    classes: tuple[int, ...]

    @property
    def key(self) -> str:
        """Names the pictures, the generator's version included: 16 hex digits."""
        return hashlib.sha256(f"{VERSION} {self!r}".encode()).hexdigest()[:16]


def _polygon(corners: int) -> Callable[[FloatArray, FloatArray], FloatArray]:
    sector = 2 * np.pi / corners
    inner = np.float32(0.95 * np.cos(np.pi / corners))

    def distance(u: FloatArray, v: FloatArray) -> FloatArray:
        angle = np.mod(np.arctan2(v, u), np.float32(sector)) - np.float32(sector / 2)
        return np.asarray(np.hypot(u, v) * np.cos(angle) - inner, np.float32)

    return distance


def _box(u: FloatArray, v: FloatArray, half_u: float, half_v: float) -> FloatArray:
    return np.asarray(np.maximum(np.abs(u) - np.float32(half_u), np.abs(v) - np.float32(half_v)), np.float32)


def _cross(u: FloatArray, v: FloatArray) -> FloatArray:
    return np.asarray(np.minimum(_box(u, v, 0.9, 0.28), _box(u, v, 0.28, 0.9)), np.float32)


def _ring(u: FloatArray, v: FloatArray) -> FloatArray:
    return np.asarray(np.abs(np.hypot(u, v) - np.float32(0.7)) - np.float32(0.24), np.float32)


# (u, v) -> about the distance to the edge, negative inside; the form lies in the unit disc
FORMS: dict[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
    "disc": lambda u, v: np.asarray(np.hypot(u, v) - np.float32(0.85), np.float32),
    "triangle": _polygon(3),
    "square": _polygon(4),
    "cross": _cross,
    "ring": _ring,
}


def _soft_square(wave: FloatArray) -> FloatArray:
    """A wave's sign with soft steps, 0 to 1."""
    return np.asarray(np.clip(0.5 + 2 * wave, 0, 1), np.float32)


# (p, q) in radians of the pattern -> 0 to 1, the share of the second colour
FILLS: dict[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
    "solid": lambda p, _q: np.zeros_like(p),
    "stripes": lambda p, _q: _soft_square(np.sin(p)),
    "checks": lambda p, q: _soft_square(np.sin(p) * np.sin(q)),
    "dots": lambda p, q: _soft_square(np.sin(p) + np.sin(q) - np.float32(0.8)),
}
CLASS_NAMES = tuple(f"{form}/{fill}" for form in FORMS for fill in FILLS)


def shape_labels(recipe: ShapesRecipe) -> IntArray:
    """(N,) labels, positions in recipe.classes, in random order; classes differ by at most one image."""
    rng = np.random.default_rng([recipe.seed, _part_number(recipe), 0])
    return rng.permutation(np.arange(recipe.images, dtype=np.int64) % len(recipe.classes))


def draw_shapes(recipe: ShapesRecipe, threads: int | None = None) -> Iterator[ByteArray]:
    """The images in order, (n, 3, R, R) at a time with n up to CHUNK; the number of threads changes no byte."""
    labels = np.asarray(recipe.classes)[shape_labels(recipe)]
    starts = range(0, recipe.images, CHUNK)

    def draw(start: int) -> ByteArray:
        rng = np.random.default_rng([recipe.seed, _part_number(recipe), 1 + start // CHUNK])
        return _draw_chunk(labels[start : start + CHUNK], recipe.resolution, rng)

    workers = threads or min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        for first in range(0, len(starts), workers):  # a few at a time: a large set does not fit into memory
            yield from pool.map(draw, starts[first : first + workers])


def _part_number(recipe: ShapesRecipe) -> int:
    return ("train", "test").index(recipe.part)


@dataclass(frozen=True)
class _Objects:
    """n objects, one per image.

    centre: (n, 2) and radius: (n,) in pixels.
    colours: (n, 2, 3); the rest (n,).
    """

    labels: IntArray
    centre: FloatArray
    radius: FloatArray
    angle: FloatArray
    squeeze: FloatArray
    fill_angle: FloatArray
    fill_waves: FloatArray
    softness: FloatArray
    colours: FloatArray


def _draw_chunk(labels: IntArray, resolution: int, rng: np.random.Generator) -> ByteArray:
    """(n,) labels -> (n, 3, R, R)"""
    canvas = _background(len(labels), resolution, rng)
    ground = canvas.mean(axis=(2, 3))
    clutter = rng.integers(1, MAX_CLUTTER + 1, len(labels))
    for layer in range(MAX_CLUTTER):
        shown = np.flatnonzero(clutter > layer)
        others = rng.integers(0, len(CLASS_NAMES), len(shown))
        objects = _random_objects(others, resolution, CLUTTER_RADIUS, ground[shown], rng)
        _paint(canvas, shown, objects)
    _paint(canvas, np.arange(len(labels)), _random_objects(labels, resolution, MAIN_RADIUS, ground, rng))
    noise = rng.uniform(0, MAX_NOISE, (len(labels), 1, 1, 1)).astype(np.float32)
    canvas += noise * rng.standard_normal(canvas.shape, np.float32)
    return np.asarray(np.clip(canvas * 255, 0, 255), np.uint8)


def _background(images: int, resolution: int, rng: np.random.Generator) -> FloatArray:
    """(n, 3, R, R): a slow gradient of colours and a faint grating."""
    knots = 5
    grey, tint = rng.uniform(0.2, 0.8, (images, 1, 1, 1)), rng.uniform(-0.15, 0.15, (images, 3, 1, 1))
    corners = grey + tint + rng.uniform(-0.15, 0.15, (images, 3, knots, knots))
    position = np.linspace(0, knots - 1, resolution)
    weights = np.maximum(0, 1 - np.abs(position[:, None] - np.arange(knots))).astype(np.float32)
    canvas = weights @ corners.astype(np.float32) @ weights.T
    angle, phase = rng.uniform(0, 2 * np.pi, (2, images, 1, 1)).astype(np.float32)
    waves = rng.uniform(2, 16, (images, 1, 1)).astype(np.float32) * np.float32(2 * np.pi / resolution)
    strength = rng.uniform(0, 0.06, (images, 1, 1)).astype(np.float32)
    y, x = np.mgrid[:resolution, :resolution].astype(np.float32)
    grating = strength * np.sin(waves * (np.cos(angle) * x + np.sin(angle) * y) + phase)
    return np.asarray(canvas + grating[:, None], np.float32)


def _random_objects(
    labels: IntArray, resolution: int, radii: tuple[float, float], ground: FloatArray, rng: np.random.Generator
) -> _Objects:
    """Objects of these labels whose first colour stands off the ground, (n, 3), by MIN_CONTRAST or more."""
    count = len(labels)

    def uniform(low: float, high: float, *shape: int) -> FloatArray:
        return rng.uniform(low, high, (count, *shape)).astype(np.float32)

    radius = uniform(*radii) * resolution
    margin = radius[:, None] * np.float32(0.8)  # a fifth of the radius may lie outside
    first = np.clip(ground + _away(ground) * uniform(MIN_CONTRAST, 0.7, 3), 0, 1)
    second = np.clip(first + _away(first) * uniform(MIN_CONTRAST, 0.7, 3), 0, 1)
    return _Objects(
        labels=labels,
        centre=margin + uniform(0, 1, 2) * (resolution - 2 * margin),
        radius=radius,
        angle=uniform(0, 2 * np.pi),
        squeeze=uniform(0.75, 1.0),
        fill_angle=uniform(0, 2 * np.pi),
        fill_waves=uniform(4.0, 6.0),
        softness=uniform(0.6, 1.6),
        colours=np.stack([first, second], axis=1).astype(np.float32),
    )


def _away(colours: FloatArray) -> FloatArray:
    """(n, 3) -> (n, 1): -1 for bright ones, 1 for dark ones; the same for every channel, so that brightness changes."""
    return np.where(colours.mean(axis=1, keepdims=True) > 0.5, -1, 1).astype(np.float32)


def _paint(canvas: FloatArray, images: IntArray, objects: _Objects) -> None:
    """Draws each object into its image of canvas (n, 3, R, R), in place, inside a window that holds the largest."""
    if not len(images):
        return
    resolution = canvas.shape[-1]
    side = min(resolution, 2 * int(np.ceil(objects.radius.max())) + 3)
    corner = np.clip(np.rint(objects.centre - side / 2), 0, resolution - side).astype(np.int64)
    window = corner[:, :, None] + np.arange(side)  # (n, 2, side): rows, columns
    alpha, share = _coverage(objects, window.astype(np.float32))
    first, second = objects.colours[:, 0], objects.colours[:, 1]
    for channel in range(3):
        colour = first[:, channel, None, None] + (second - first)[:, channel, None, None] * share
        at = (images[:, None, None], channel, window[:, 0, :, None], window[:, 1, None, :])
        under = canvas[at]
        canvas[at] = under + alpha * (colour - under)


def _coverage(objects: _Objects, window: FloatArray) -> tuple[FloatArray, FloatArray]:
    """How much of each pixel the object covers and how much of that is its second colour, each (n, side, side)."""
    y = ((window[:, 0] - objects.centre[:, 0, None]) / objects.radius[:, None])[:, :, None]
    x = ((window[:, 1] - objects.centre[:, 1, None]) / objects.radius[:, None])[:, None, :]
    cos, sin = (f(objects.angle)[:, None, None] for f in (np.cos, np.sin))
    u, v = cos * x + sin * y, (cos * y - sin * x) / objects.squeeze[:, None, None]
    turn = objects.fill_angle
    waves = objects.fill_waves * np.float32(np.pi)
    p = (waves * np.cos(turn))[:, None, None] * x + (waves * np.sin(turn))[:, None, None] * y
    q = (waves * np.cos(turn))[:, None, None] * y - (waves * np.sin(turn))[:, None, None] * x
    distance, share = np.empty_like(u), np.empty_like(u)
    form, fill = np.divmod(objects.labels, len(FILLS))
    for number, edge in enumerate(FORMS.values()):
        mine = form == number
        distance[mine] = edge(u[mine], v[mine])
    for number, pattern in enumerate(FILLS.values()):
        mine = fill == number
        share[mine] = pattern(p[mine], q[mine])
    edge_pixels = objects.radius / objects.softness
    alpha = np.clip(np.float32(0.5) - distance * edge_pixels[:, None, None], 0, 1)
    return np.asarray(alpha, np.float32), share
