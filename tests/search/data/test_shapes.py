"""Drawn shapes: balanced, the same bytes for the same recipe, and a picture of what their label says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lutbench.errors import DataError, UsageError
from lutbench.events import Event, StepProgress
from lutbench.search.data.drawn import DrawnSize, parse_size
from lutbench.search.data.find import find_data
from lutbench.search.data.options import DataOptions
from lutbench.search.data.shapes import (
    CHUNK,
    CLASS_NAMES,
    FORMS,
    MAIN_RADIUS,
    ShapesRecipe,
    draw_shapes,
    shape_labels,
)
from lutbench.search.data.shapes_source import SHAPES

ALL = tuple(range(len(CLASS_NAMES)))
SMALL = ShapesRecipe(CHUNK + 44, 16, 0, "train", ALL)


def drawn(recipe: ShapesRecipe, threads: int | None = None) -> np.ndarray:
    return np.concatenate(list(draw_shapes(recipe, threads)))


def test_images_are_bytes_of_the_size_asked_for() -> None:
    images = drawn(SMALL)
    assert images.shape == (SMALL.images, 3, 16, 16)
    assert images.dtype == np.uint8
    assert images.std() > 30


def test_classes_differ_by_at_most_one_image() -> None:
    counts = np.bincount(shape_labels(SMALL), minlength=len(CLASS_NAMES))
    assert counts.max() - counts.min() <= 1


def test_the_number_of_threads_changes_no_byte() -> None:
    assert np.array_equal(drawn(SMALL, threads=1), drawn(SMALL, threads=3))


@pytest.mark.parametrize("other", [replace(SMALL, seed=1), replace(SMALL, part="test")])
def test_seed_and_part_are_streams_of_their_own(other: ShapesRecipe) -> None:
    assert not np.array_equal(drawn(SMALL), drawn(other))
    assert not np.array_equal(shape_labels(SMALL), shape_labels(other))
    assert SMALL.key != other.key


def test_no_two_images_are_the_same() -> None:
    assert len(np.unique(drawn(SMALL).reshape(SMALL.images, -1), axis=0)) == SMALL.images


def test_a_choice_of_classes_is_drawn_alone() -> None:
    assert set(shape_labels(replace(SMALL, classes=(3, 7)))) == {0, 1}


@pytest.mark.parametrize("form", FORMS)
def test_a_form_lies_in_the_unit_disc_and_has_an_inside(form: str) -> None:
    grid = np.linspace(-1.5, 1.5, 61, dtype=np.float32)
    u, v = np.meshgrid(grid, grid)
    inside = FORMS[form](u, v) < 0
    assert 0.1 < inside[np.hypot(u, v) <= 1].mean() < 1
    assert not inside[np.hypot(u, v) > 1.01].any()


def test_forms_and_fills_are_seen_in_the_picture() -> None:
    """Solid objects have fewer edges than checked ones; a nearest-mean rule on that one figure tells them apart."""
    solid, checks = CLASS_NAMES.index("disc/solid"), CLASS_NAMES.index("disc/checks")
    recipe = ShapesRecipe(256, 64, 0, "train", (solid, checks))
    images, labels = drawn(recipe).astype(float), shape_labels(recipe)
    edges = np.abs(np.diff(images, axis=-1)).mean(axis=(1, 2, 3))
    assert edges[labels == 1].mean() > 1.1 * edges[labels == 0].mean()
    assert MAIN_RADIUS[0] > 0.2


def test_sizes_are_read() -> None:
    assert parse_size(None, SHAPES, None) == DrawnSize(10_000, 64)
    assert parse_size("500@32", SHAPES, None) == parse_size("500@32", SHAPES, 32) == DrawnSize(500, 32)
    assert parse_size("500", SHAPES, 96).resolution == 96
    assert parse_size("@48", SHAPES, None).resolution == 48


@pytest.mark.parametrize(
    ("text", "resolution", "message"),
    [
        ("", None, "no number and size"),
        ("64x64", None, "as in shapes:10000@64"),
        ("5@64", None, "5 shapes cannot be drawn"),
        ("500@4", None, "shapes of 4 x 4 cannot be drawn"),
        ("500@32", 64, "a resolution of 64; name one of them"),
        ("٥٠٠", None, "no number and size"),
    ],
)
def test_sizes_that_cannot_be_are_errors(text: str, resolution: int | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_size(text, SHAPES, resolution)


def test_shapes_are_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTBENCH_CACHE", str(tmp_path))
    events: list[Event] = []
    first = find_data("shapes:200@8", DataOptions(), events.append)
    assert [e.done for e in events if isinstance(e, StepProgress)] == [200, 100]
    events.clear()
    again = find_data("shapes:200@8", DataOptions(), events.append)
    assert not events
    for (one, _), (other, _) in zip(first.test_batches(50), again.test_batches(50), strict=True):
        assert one.equal(other)


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_cache_is_drawn_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes | None) -> None:
    monkeypatch.setenv("LUTBENCH_CACHE", str(tmp_path))
    before = next(find_data("shapes:200@8").test_batches(100))[0]
    for path in (tmp_path / "data").iterdir():
        path.write_bytes(path.read_bytes()[:-1] if damage is None else damage)
    assert next(find_data("shapes:200@8").test_batches(100))[0].equal(before)


def test_more_than_the_disk_holds_is_an_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LUTBENCH_CACHE", str(tmp_path))
    with pytest.raises(DataError, match=r"10,000,000 shapes take 31457.3 GB"):
        find_data("shapes:10000000@1024")
    assert not list((tmp_path / "data").iterdir())
