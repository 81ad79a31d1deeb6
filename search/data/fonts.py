"""The fonts of this system that letters are drawn from: which there are, whose, and which of them look alike."""

from __future__ import annotations

import hashlib
import json
import logging
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from lutbench.events import Report, StepProgress
from lutbench.files import default_cache_folder, file_sha256, write_atomically
from lutbench.reading.files import read_bytes
from lutbench.reading.json_text import parse_json
from lutbench.reading.kinds import CACHE_NOTE

CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts", "/Library/Fonts")
_SUFFIXES = (".ttf", ".otf")
_LARGEST_BYTES = 64 << 20
_SIDE = 24  # pixels of the pictures that tell how fonts look
_PROBE, _CAPITAL, _LINE = 100, 0.6, 0.75  # size to measure at; of the side: an H's height, where letters stand
_FEWEST_DIFFERENT = 50  # of 62: I and l, O and 0 may be one drawing; small capitals leave 36
_MOST_OTHERS = 5
_FEWEST_TO_COMPARE, _FEWEST_KNOWN = 10, 6
_ORDER = np.arange(len(CHARACTERS))
_ALIKE = 0.95  # cosine of two fonts' pictures above which they are one design (Arimo and Liberation Sans: 1.0)
_FAMILY, _LICENCE, _LICENCE_URL, _TYPOGRAPHIC_FAMILY = 1, 13, 14, 16  # names of OpenType's table `name`
# what damaged fonts raise in fontTools and in FreeType: whatever it is, the font is left out
_BROKEN = (
    *(OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, AssertionError, EOFError),
    *(ArithmeticError, struct.error, MemoryError, RecursionError),
)


@dataclass(frozen=True)
class Font:
    """A font's file, as results name it.

    licence: as the font itself says it, in its first line; empty where it does not.
    design: fonts of one design are of one family or look alike, and never stand on both sides of a test.
    """

    path: str
    family: str
    sha256: str
    licence: str
    design: str


def find_fonts(report: Report, folders: Sequence[str] = FONT_FOLDERS) -> list[Font]:
    """Every font that draws CHARACTERS, each in a way of its own; by path. What was found is kept in the cache."""
    paths = list(_files(folders))
    looked_at = [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in paths]
    key = hashlib.sha256(json.dumps([2, _ALIKE, _FEWEST_DIFFERENT, looked_at]).encode()).hexdigest()[:32]
    note = default_cache_folder() / "data" / f"fonts-{key}.json"
    try:
        return [Font(**found) for found in parse_json(read_bytes(note, CACHE_NOTE), note, CACHE_NOTE)]
    except (CACHE_NOTE.error, ValueError, TypeError):  # not looked at yet, or the file is damaged
        pass
    fonts, pictures = [], []
    for number, path in enumerate(paths, start=1):
        found = _look_at(path)
        if found is not None:
            fonts.append(found[0])
            pictures.append(found[1])
        report(StepProgress("looking at the system's fonts", number, len(paths), "fonts"))
    shown = np.array(pictures)
    kept = np.flatnonzero(_letters(shown))
    fonts = _with_designs([fonts[number] for number in kept], shown[kept])
    write_atomically(note, json.dumps([asdict(font) for font in fonts]).encode())
    return fonts


def _files(folders: Sequence[str]) -> Iterator[Path]:
    for folder in folders:
        for path in sorted(Path(folder).expanduser().rglob("*")):
            if path.suffix.lower() in _SUFFIXES and path.is_file() and path.stat().st_size <= _LARGEST_BYTES:
                yield path


def _look_at(path: Path) -> tuple[Font, npt.NDArray[np.float32]] | None:
    """The font and its picture, of length 1; None where it lacks a character, draws several alike, or is damaged."""
    from fontTools.ttLib import TTFont, TTLibError

    logging.getLogger("fontTools").setLevel(logging.CRITICAL)  # of a damaged font it writes what nobody asked for
    try:
        with TTFont(path, lazy=True) as opened:
            names = opened["name"]
            if not _has_letters(opened.getBestCmap() or {}):
                return None
            family = _name(names, _TYPOGRAPHIC_FAMILY) or _name(names, _FAMILY) or path.stem
            licence = _name(names, _LICENCE) or _name(names, _LICENCE_URL)
        picture = _picture(path)
    except (TTLibError, *_BROKEN):
        return None
    if len(np.unique(picture.reshape(len(CHARACTERS), -1), axis=0)) < _FEWEST_DIFFERENT:
        return None
    return Font(str(path), family, file_sha256(path), licence, ""), picture.ravel() / np.linalg.norm(picture)


def _has_letters(glyphs: Mapping[int, str]) -> bool:
    """Whether every character is there, and no other by its glyph's name: Symbol has an alpha where an a should be."""
    from fontTools.agl import toUnicode

    names = {character: glyphs.get(ord(character)) for character in CHARACTERS}
    others = sum(toUnicode(name)[:1] not in ("", character) for character, name in names.items() if name)
    return all(names.values()) and others < _MOST_OTHERS


def _name(names: Any, number: int) -> str:
    lines = str(names.getDebugName(number) or "").strip().splitlines()
    return lines[0].strip()[:200] if lines else ""


def _picture(path: Path) -> npt.NDArray[np.float32]:
    """(62, S, S): every character on one line, an H of the same height in every font."""
    probe = ImageFont.truetype(str(path), _PROBE, layout_engine=ImageFont.Layout.BASIC)
    _, top, _, bottom = probe.getbbox("H", anchor="ls")
    font = probe.font_variant(size=_PROBE * _CAPITAL * _SIDE / (bottom - top))
    picture = np.empty((len(CHARACTERS), _SIDE, _SIDE), np.float32)
    for number, character in enumerate(CHARACTERS):
        canvas = Image.new("L", (_SIDE, _SIDE))
        ImageDraw.Draw(canvas).text((_SIDE / 2, _SIDE * _LINE), character, 255, font, anchor="ms")
        picture[number] = np.asarray(canvas)
    if not picture.any(axis=(1, 2)).all():
        raise ValueError("a character is empty")
    return picture


def _letters(pictures: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Which fonts draw letters: some of their characters look most like the same one of the other fonts.

    pictures: (N, 62 S S). Dingbats and keyboards have 1 or 2 of 62, the wildest handwriting 11.
    """
    if len(pictures) < _FEWEST_TO_COMPARE:
        return np.ones(len(pictures), bool)
    found = pictures.reshape(len(pictures), len(CHARACTERS), -1)
    found = found / np.linalg.norm(found, axis=2, keepdims=True)
    total = found.sum(axis=0)
    known = [int(((one @ (total - one).T / _lengths(total - one)).argmax(axis=1) == _ORDER).sum()) for one in found]
    return np.array(known) >= _FEWEST_KNOWN


def _lengths(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(np.linalg.norm(vectors, axis=1))


def _with_designs(fonts: Sequence[Font], pictures: npt.NDArray[np.float32]) -> list[Font]:
    """The fonts, each with its design: a maker's word (the first of the family's name), or of those that look alike."""
    design = {}
    for number, font in enumerate(fonts):
        design[number] = font.family.split()[0].lower()
    merged = {name: name for name in design.values()}

    def root(name: str) -> str:
        while merged[name] != name:
            name = merged[name]
        return name

    if fonts:
        for one, other in zip(*np.nonzero(np.triu(pictures @ pictures.T > _ALIKE, 1)), strict=True):
            first, second = sorted((root(design[int(one)]), root(design[int(other)])))
            merged[second] = first
    return [replace(font, design=root(design[number])) for number, font in enumerate(fonts)]
