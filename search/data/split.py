"""The parts of a training set: a seeded, stratified 80/20 split, and the choice of classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lutbench.errors import DataError, UsageError

IntArray = npt.NDArray[np.int64]

PARTS = ("all", "w", "theta")
W_SHARE = 0.8  # of the training set the weights are trained on; theta on the rest (the paper)
SPLIT_STREAM, CLASSES_STREAM, TEST_STREAM, DRAW_STREAM = 1, 2, 3, 4  # random streams of one seed


def stratified_split(labels: IntArray, class_names: Sequence[str], seed: int) -> dict[str, IntArray]:
    """Sorted positions of "all", "w" and "theta"; each class gives W_SHARE of its images to w, at least one to both."""
    counts = np.bincount(labels, minlength=len(class_names))
    if counts.min(initial=2) < 2:
        few = [name for name, count in zip(class_names, counts, strict=True) if count < 2]
        raise DataError(
            f"too few images to split: {len(few)} of {len(class_names)} classes have fewer than 2 to train with"
            f" ({name_some(few)})",
            remedy="each needs one for the weights and one for theta",
        )
    chosen = _share_of_each(labels, W_SHARE, np.random.default_rng([seed, SPLIT_STREAM]))
    return {"all": np.arange(len(labels)), "w": np.flatnonzero(chosen), "theta": np.flatnonzero(~chosen)}


def hold_out(labels: IntArray, share: float, seed: int) -> tuple[IntArray, IntArray]:
    """Sorted positions kept and held out for the test, the same share of each class."""
    kept = _share_of_each(labels, 1 - share, np.random.default_rng([seed, TEST_STREAM]))
    return np.flatnonzero(kept), np.flatnonzero(~kept)


def draw_of_each(labels: IntArray, count: int, seed: int) -> IntArray:
    """Sorted positions of count images, as many of each class, or one more; fewer where a class has no more."""
    rng = np.random.default_rng([seed, DRAW_STREAM])
    classes = np.unique(labels)
    order = [rng.permutation(np.flatnonzero(labels == label)) for label in classes]
    # the first of every class, then the second of every class, and so on: the first count of them are balanced
    turns = [(turn, number) for number, own in enumerate(order) for turn in range(len(own))]
    return np.sort(np.array([order[number][turn] for turn, number in sorted(turns)[:count]], np.int64))


def _share_of_each(labels: IntArray, share: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    chosen = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        count = min(max(round(share * len(own)), 1), len(own) - 1)
        chosen[rng.permutation(own)[:count]] = True
    return chosen


def choose_classes(names: Sequence[str], classes: int | None, seed: int, data: str) -> list[int]:
    """Sorted numbers of the classes to use: all, or a random choice of so many; UsageError for more than there are."""
    available = len(names)
    if classes is None:
        return list(range(available))
    if not 2 <= classes <= available:
        raise UsageError(f"{data} has {available} classes, not {classes}", remedy=f"ask for 2 to {available}")
    chosen = np.random.default_rng([seed, CLASSES_STREAM]).choice(available, classes, replace=False)
    return sorted(int(number) for number in chosen)


def name_some(names: Sequence[object], limit: int = 3) -> str:
    """The first few, and how many more."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(str(name) for name in names[:limit]) + more
