"""Letters drawn from the system's fonts: which fonts are used, that no design is on both sides, and the same bytes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont

from lutbench.errors import DataError, UsageError
from lutbench.events import Event, Note, StepProgress
from lutbench.jobs.learning import keep_makers
from lutbench.search.data import find as find_module
from lutbench.search.data import glyphs as glyphs_module
from lutbench.search.data.find import find_data
from lutbench.search.data.fonts import CHARACTERS, Font, find_fonts
from lutbench.search.data.glyphs import GlyphsRecipe, draw_glyphs, glyph_labels, split_fonts
from lutbench.search.data.options import DataOptions

QUIET = lambda _event: None  # noqa: E731


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LUTBENCH_CACHE", str(tmp_path / "cache"))


def drawing(number: int, seed: int, shift: int) -> object:
    """A triangle of its own for each character, which every design draws in its way."""
    own, way = np.random.default_rng(number), np.random.default_rng([number, seed])
    left, right, top, middle = own.integers([0, 500, 0, 0], [200, 800, 300, 700]) + way.integers(-95, 95, 4)
    corners = [(left, 0), (right, middle), (top, 700)]  # as high in every design, as an H is
    pen = TTGlyphPen(None)
    for step, (x, y) in enumerate(corners):
        (pen.lineTo if step else pen.moveTo)((int(x) + shift, int(y)))
    pen.closePath()
    return pen.glyph()


def font(
    path: Path, family: str, seed: int, characters: str = CHARACTERS, licence: str = "", names: str = "", shift: int = 0
) -> Path:
    """A font that a few lines can make; names: of glyphs, where they are not the characters'."""
    glyphs = list(names.split() or [f"u{ord(c)}" if not c.isalpha() else c for c in characters])
    builder = FontBuilder(1000)
    builder.setupGlyphOrder([".notdef", *glyphs])
    builder.setupCharacterMap({ord(c): name for c, name in zip(characters, glyphs, strict=True)})
    builder.setupGlyf(
        {".notdef": TTGlyphPen(None).glyph()} | {n: drawing(i, seed, shift) for i, n in enumerate(glyphs)}
    )
    builder.setupHorizontalMetrics(dict.fromkeys([".notdef", *glyphs], (900, 0)))
    builder.setupHorizontalHeader(ascent=1000, descent=-200)
    builder.setupNameTable({"familyName": family, "styleName": "Regular", "licenseDescription": licence})
    builder.setupOS2()
    builder.setupPost()
    path.parent.mkdir(parents=True, exist_ok=True)
    builder.save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six designs of two fonts each."""
    for design in range(6):
        for style in ("Thin", "Bold"):
            path = tmp_path / "fonts" / f"d{design}{style}.ttf"
            font(
                path, f"Design{design} {style}", seed=design, licence="OFL\nof two lines", shift=30 * (style == "Bold")
            )
    return tmp_path / "fonts"


def found_in(folder: Path) -> list[Font]:
    return find_fonts(QUIET, [str(folder)])


def test_fonts_are_named_with_hash_and_licence(folder: Path) -> None:
    fonts = found_in(folder)
    assert [Path(one.path).name for one in fonts] == sorted(path.name for path in folder.iterdir())
    assert {one.design for one in fonts} == {f"design{number}" for number in range(6)}
    assert all(one.licence == "OFL" and len(one.sha256) == 64 for one in fonts)


def test_fonts_are_looked_at_once(folder: Path) -> None:
    events: list[Event] = []
    first = find_fonts(events.append, [str(folder)])
    assert [e.done for e in events if isinstance(e, StepProgress)] == list(range(1, 13))
    events.clear()
    assert find_fonts(events.append, [str(folder)]) == first and not events
    font(folder / "new.ttf", "New", seed=9)
    assert len(found_in(folder)) == 13


def test_fonts_that_look_alike_are_of_one_design_whatever_their_names(folder: Path) -> None:
    font(folder / "other.ttf", "Metric Clone", seed=3)
    designs = {Path(one.path).name: one.design for one in found_in(folder)}
    assert designs["other.ttf"] == designs["d3Thin.ttf"] != designs["d2Thin.ttf"]


def test_fonts_without_letters_and_damaged_ones_are_left_out(folder: Path) -> None:
    font(folder / "digits.ttf", "Digits", 20, characters="0123456789")
    greek = " ".join(["alpha", "beta", "gamma", "delta", "epsilon", "zeta"] + [f"x{n}" for n in range(56)])
    font(folder / "symbol.ttf", "Symbol", 21, names=greek)
    whole = (folder / "d0Thin.ttf").read_bytes()
    (folder / "cut.ttf").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.otf").write_bytes(b"")
    (folder / "text.ttf").write_text("no font")
    same = font(folder / "same.ttf", "Same", 22)
    opened = TTFont(same)
    for name in opened.getGlyphOrder()[1:]:
        opened["glyf"][name] = opened["glyf"]["A"]
    opened.save(same)
    rng = np.random.default_rng(0)
    for number in range(40):  # bytes changed anywhere: whatever comes of it is no exception
        damaged = bytearray(whole)
        for at in rng.integers(0, len(whole), 20):
            damaged[at] = rng.integers(256)
        (folder / f"damaged{number}.ttf").write_bytes(bytes(damaged))
    names = {Path(one.path).name for one in found_in(folder)}
    assert names >= {f"d{n}{style}.ttf" for n in range(6) for style in ("Thin", "Bold")}
    assert not names & {"digits.ttf", "symbol.ttf", "cut.ttf", "empty.otf", "text.ttf", "same.ttf"}


def test_no_design_is_on_both_sides(folder: Path) -> None:
    fonts = found_in(folder)
    held_out = set()
    for seed in range(8):
        train, test = split_fonts(fonts, seed)
        assert len(train) + len(test) == len(fonts) and test
        assert not {one.design for one in train} & {one.design for one in test}
        held_out |= {one.design for one in test}
    assert len(held_out) > 2


def test_too_few_designs_are_one_error_that_says_what_to_install(folder: Path) -> None:
    with pytest.raises(DataError, match=r"fonts of 1 designs \(design0\), and 5 or more.*apt-get install fonts-"):
        split_fonts(found_in(folder)[:2], 0)
    with pytest.raises(DataError, match="fonts of 0 designs, and"):
        split_fonts([], 0)


def test_images_are_balanced_and_the_same_for_the_same_recipe(folder: Path) -> None:
    recipe = GlyphsRecipe(300, 16, 0, "train", tuple(range(62)), tuple(found_in(folder)))
    images = np.concatenate(list(draw_glyphs(recipe)))
    assert images.shape == (300, 3, 16, 16) and images.dtype == np.uint8
    np.testing.assert_array_equal(images, np.concatenate(list(draw_glyphs(recipe))))
    counts = np.bincount(glyph_labels(recipe), minlength=62)
    assert counts.max() - counts.min() <= 1
    for other in (replace(recipe, seed=1), replace(recipe, part="test"), replace(recipe, fonts=recipe.fonts[2:])):
        assert other.key != recipe.key
        assert not np.array_equal(np.concatenate(list(draw_glyphs(other))), images)


def test_a_letter_stands_off_its_ground_and_keeps_what_hangs_below_the_line() -> None:
    """In a font of the system, whichever it is: more of a g than of an o lies in the lower third."""
    fonts = [one for one in find_fonts(QUIET) if "dejavu" in one.design or "liberation" in one.family.lower()]
    if not fonts:
        pytest.skip("no DejaVu or Liberation on this system")
    below = {}
    for character in "go":
        recipe = GlyphsRecipe(200, 32, 0, "train", (CHARACTERS.index(character),), tuple(fonts))
        images = np.concatenate(list(draw_glyphs(recipe))).astype(float).mean(axis=1)
        ground = np.median(images.reshape(200, -1), axis=1)[:, None, None]
        ink = np.abs(images - ground) > 30
        assert ink.any(axis=(1, 2)).all()
        below[character] = ink[:, 22:].sum()
    assert below["g"] > 2 * below["o"]


@pytest.fixture
def source(folder: Path, monkeypatch: pytest.MonkeyPatch) -> find_module.SplitSource:
    monkeypatch.setattr(glyphs_module, "find_fonts", lambda report: find_fonts(report, [str(folder)]))
    events: list[Event] = []
    found = find_data("glyphs:600@16", DataOptions(classes=10), events.append)
    (note,) = [event.text for event in events if isinstance(event, Note)]
    assert note == "letters are drawn from 5 designs (10 fonts), and tested on 1 others (2 fonts)"
    return found


def test_a_source_of_letters(source: find_module.SplitSource) -> None:
    assert (source.name, source.classes, source.resolution) == ("glyphs:600@16", 10, 16)
    assert (source.count("all"), source.count("test")) == (600, 300)
    (images, labels), *_ = source.train_batches(32, 0, 0, "w")
    assert images.shape == (32, 3, 16, 16) and labels.max() < 10


def test_whose_fonts_they_are_is_kept_beside_what_was_made_with_them(
    source: find_module.SplitSource, tmp_path: Path
) -> None:
    keep_makers(source, tmp_path)
    kept = json.loads((tmp_path / "made_of.json").read_text())
    assert len(kept) == 12 and {one["part"] for one in kept} == {"train", "test"}
    assert set(kept[0]) == {"part", "file", "family", "design", "sha256", "licence"}


@pytest.mark.parametrize("text", ["glyphs:", "glyphs:10", "glyphs:500@4", "glyphs:abc"])
def test_sizes_that_cannot_be_are_errors(text: str) -> None:
    with pytest.raises(UsageError, match="glyphs"):
        find_data(text)
