"""Spaces that a user writes as a TOML file: a macro table and candidates. Errors name the line that is wrong.

docs/how-to/own-space.md has every key.

name = "my_space"
resolution = 224
candidates = ["k3_e1", "k3_e6", "k5_e6", "skip"]

[stem]
channels = 16

[[stage]]
channels = 24
layers = 2
stride = 2

[head]
channels = 1280
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lutbench.errors import SpaceError, SpaceFileError
from lutbench.reading.kinds import SPACE
from lutbench.reading.plain import show
from lutbench.reading.text import read_text
from lutbench.reading.toml_text import parse_toml
from lutbench.space.blocks.kind import ACTIVATIONS, Value
from lutbench.space.candidate import Candidate, parse_candidate
from lutbench.space.definition import Counted, read_counted
from lutbench.space.macro import HeadLayer, Space, Stage, head_operator
from lutbench.space.patterns import alternatives, numbers

_Path = tuple[str | int, ...]
_LARGEST = 1 << 16
_MOST_LAYERS, _MOST_CANDIDATES = 512, 256
_MOST_OPTIONS = 32  # of channels or resolutions
_REQUIRED: Any = object()

# table -> key -> (type, default); what is not here is refused, so that a misspelt key is not silently ignored
_KEYS: dict[str, dict[str, tuple[Any, Any]]] = {
    "": {
        "name": (str, _REQUIRED),
        "resolution": ((int, list), 224),
        "resolutions": ((list, str), None),
        "input_channels": (int, 3),
        "classes": (int, 1000),
        "candidates": (list, _REQUIRED),
        "stem": (dict, _REQUIRED),
        "stage": (list, _REQUIRED),
        "head": ((dict, list), _REQUIRED),
        "counts": (dict, {}),
    },
    "stem": {"channels": (int, _REQUIRED), "kernel": (int, 3), "stride": (int, 2), "activation": (str, "relu")},
    "stage": {
        "channels": ((int, list, str), _REQUIRED),
        "layers": (int, 1),
        "stride": (int, 1),
        "candidates": (list, None),
        "block": (str, None),
        "activation": (str, None),
        "se": (float, None),
    },
    "head": {"channels": (int, _REQUIRED)},
    "head layer": {"block": (str, _REQUIRED), "channels": (int, None)},
}
_TYPE_NAMES: dict[Any, str] = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "a table",
    (int, list): "a whole number, or a list of height and width",
    (list, str): 'a list, or "FIRST..LAST..STEP"',
    (int, list, str): 'a whole number, a list, or "FIRST..LAST..STEP"',
    (dict, list): "a table, or [[head]] tables",
}


def read_space(path: Path) -> Space:
    """The space (width 1, at the file's resolution) that a TOML file describes; SpaceFileError where it does not."""
    return parse_space(read_text(path, SPACE), path)


def parse_space(text: str, path: Path) -> Space:
    """The space that this TOML text describes; path is only named in errors."""
    return _Reader(text, path).space(parse_toml(text, path, SPACE))


class _Reader:
    """Turns parsed TOML into a Space; keeps the text to find the line of what is wrong."""

    def __init__(self, text: str, path: Path) -> None:
        self._text = text
        self._path = path

    def space(self, data: dict[str, Any]) -> Space:
        top = self._table(data, "", ())
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", top["name"]):
            raise self._error("name must be a letter followed by letters, digits, _ . or -", ("name",))
        if not top["stage"]:
            raise self._error("there is no [[stage]]", ("stage",))
        stem = self._table(top["stem"], "stem", ("stem",))
        resolution, aspect = self._input_size(top["resolution"])
        resolutions = self._options(top["resolutions"], ("resolutions",)) if "resolutions" in data else ()
        if resolutions:
            if "resolution" in data:
                raise self._error("give resolution or resolutions", ("resolution",))
            resolution = resolutions[-1]
        head, head_channels = self._head(top["head"])
        stages = tuple(self._stage(raw, ("stage", number)) for number, raw in enumerate(top["stage"]))
        candidates = self._candidates(top["candidates"], ("candidates",))
        if sum(stage.layers for stage in stages) > _MOST_LAYERS:
            raise self._error(f"there are more than {_MOST_LAYERS} layers", ("stage",))

        def up_to(count: int) -> Space:
            return Space(
                name=top["name"],
                resolution=resolution,
                resolutions=resolutions,
                aspect=aspect,
                stem_activation=stem["activation"],
                head=head,
                counts=self._counts(top["counts"]),
                width=1.0,
                stem_channels=stem["channels"],
                stem_kernel=stem["kernel"],
                stem_stride=stem["stride"],
                stages=stages[:count],
                candidates=candidates,
                head_channels=head_channels,
                classes=top["classes"],
                input_channels=top["input_channels"],
            )

        self._check_activation(stem["activation"], ("stem", "activation"))
        try:
            return up_to(len(stages))
        except SpaceError as error:
            raise self._first_wrong(up_to, len(stages), error) from error

    def _first_wrong(self, up_to: Callable[[int], Space], stages: int, error: SpaceError) -> SpaceFileError:
        """The error of the first stage that cannot be; those before it can, and no space with it can."""
        good, bad = 0, stages
        while bad - good > 1:
            middle = (good + bad) // 2
            try:
                up_to(middle)
                good = middle
            except SpaceError as earlier:
                bad, error = middle, earlier
        return self._error(error.problem, ("stage", bad - 1))

    def _stage(self, raw: Any, where: _Path) -> Stage:
        if not isinstance(raw, dict):
            raise self._error("a stage must be a [[stage]] table", where)
        found = self._table(raw, "stage", where)
        candidates = self._candidates(found["candidates"], (*where, "candidates")) if found["candidates"] else ()
        if found["candidates"] == []:
            raise self._error("candidates is empty", (*where, "candidates"))
        if found["stride"] > 8:
            raise self._error(f"stride {found['stride']} is larger than 8", (*where, "stride"))
        if found["block"] is not None:
            if found["candidates"] is not None:
                raise self._error("block is for a stage that is not searched: leave candidates out", (*where, "block"))
            candidates = self._candidates([found["block"]], (*where, "block"))
        usual = self._usual(found, where)
        is_fixed = found["block"] is not None
        options: tuple[int, ...] = ()
        channels = found["channels"]
        if not isinstance(channels, int):
            options = self._options(channels, (*where, "channels"))
            channels = options[-1]
        return Stage(channels, found["layers"], found["stride"], candidates, usual, is_fixed, options)

    def _options(self, raw: list[Any] | str, where: _Path) -> tuple[int, ...]:
        """Numbers to choose from, ascending: a list of them, or FIRST..LAST..STEP."""
        if isinstance(raw, str):
            try:
                texts = numbers(raw)
            except SpaceError as error:
                raise self._error(error.problem, where) from error
            whole = texts is not None and all(text.isdecimal() for text in texts)
            raw = [int(text) for text in texts or ()] if whole else [raw]
        good = all(isinstance(n, int) and not isinstance(n, bool) and 1 <= n <= _LARGEST for n in raw)
        if not good or len(raw) < 2 or list(raw) != sorted(set(raw)) or len(raw) > _MOST_OPTIONS:
            given = ", ".join(map(show, raw[:_MOST_OPTIONS])) + (", ..." if len(raw) > _MOST_OPTIONS else "")
            allowed = f"2 to {_MOST_OPTIONS} different whole numbers from 1 to {_LARGEST}, ascending"
            raise self._error(f"{where[-1]} {given or 'of nothing'} are not {allowed}", where)
        return tuple(raw)

    def _usual(self, found: dict[str, Any], where: _Path) -> tuple[tuple[str, Value], ...]:
        """What the blocks of a stage have where their names leave it open."""
        usual: list[tuple[str, Value]] = []
        if found["activation"] is not None:
            self._check_activation(found["activation"], (*where, "activation"))
            usual.append(("activation", found["activation"]))
        if found["se"] is not None:
            if not 0 <= found["se"] <= 4:
                raise self._error(f"se {found['se']} is not between 0 and 4", (*where, "se"))
            usual.append(("squeeze", float(found["se"])))
        return tuple(usual)

    def _check_activation(self, word: str, where: _Path) -> None:
        if word not in ACTIVATIONS:
            near = difflib.get_close_matches(word, ACTIVATIONS, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise self._error(f"activation {show(word)} is none of {', '.join(ACTIVATIONS)}{hint}", where)

    def _input_size(self, raw: int | list[Any]) -> tuple[int, float]:
        """Height, and width over height."""
        if isinstance(raw, int):
            return raw, 1.0
        sizes = [size for size in raw if isinstance(size, int) and not isinstance(size, bool)]
        if len(raw) != 2 or len(sizes) != 2 or not all(1 <= size <= _LARGEST for size in sizes):
            raise self._error(f"resolution {show(raw)} is not a height and a width", ("resolution",))
        return sizes[0], sizes[1] / sizes[0]

    def _head(self, raw: dict[str, Any] | list[Any]) -> tuple[tuple[HeadLayer, ...] | None, int]:
        """The layers of a head of several, and the channels that nets are named with: its first convolution's."""
        if isinstance(raw, dict):
            return None, self._table(raw, "head", ("head",))["channels"]
        layers = []
        for number, one in enumerate(raw):
            where = ("head", number)
            if not isinstance(one, dict):
                raise self._error("a layer of the head must be a [[head]] table", where)
            found = self._table(one, "head layer", where)
            layer = HeadLayer(found["block"], found["channels"] or 0)
            try:
                head_operator(layer, 840, 1, 1, 1)  # the space's own shapes come later; 840 divides into many groups
            except SpaceError as error:
                raise self._error(str(error), (*where, "block")) from error
            layers.append(layer)
        return tuple(layers), next((layer.channels for layer in layers if layer.channels), 0)

    def _counts(self, raw: dict[str, Any]) -> dict[str, Counted]:
        """What blocks of a user's own code and files are, as `profile` counted them."""
        found = {}
        for name, figures in raw.items():
            counted = read_counted(figures)
            if counted is None:
                raise self._error(f"counts of {show(name)} are not multiply-accumulates and parameters", ("counts",))
            found[name] = counted
        return found

    def _candidates(self, raw: list[Any], where: _Path) -> tuple[Candidate, ...]:
        if not raw:
            raise self._error("candidates is empty", where)
        if len(raw) > _MOST_CANDIDATES:
            raise self._error(f"there are more than {_MOST_CANDIDATES} candidates", where)
        found: list[Candidate] = []
        for text in raw:
            if not isinstance(text, str):
                raise self._error(f"{show(text)} is not a candidate", where)
            try:
                candidates = [parse_candidate(one) for one in alternatives(text)]
            except SpaceError as error:
                raise self._error(str(error), where, text) from error
            for candidate in candidates:
                if candidate in found:
                    raise self._error(f"candidate {candidate} is there twice", where, text)
                found.append(candidate)
        if len(found) > _MOST_CANDIDATES:
            raise self._error(f"there are more than {_MOST_CANDIDATES} candidates", where)
        return tuple(found)

    def _table(self, raw: dict[str, Any], table: str, where: _Path) -> dict[str, Any]:
        """The table's values, defaults filled in, every key known and of its type."""
        keys = _KEYS[table]
        for key in raw:
            if key not in keys:
                raise self._error(f"unknown key {show(key)} (known: {', '.join(keys)})", (*where, key))
        found: dict[str, Any] = {}
        for key, (kind, default) in keys.items():
            value = raw.get(key, default)
            if value is _REQUIRED:
                raise self._error(f"{key} is missing", where)
            if kind is float and isinstance(value, int):
                value = float(value) if not isinstance(value, bool) else value
            if key in raw and (not isinstance(value, kind) or isinstance(value, bool)):
                raise self._error(f"{key} must be {_TYPE_NAMES[kind]}, not {show(value)}", (*where, key))
            if isinstance(value, int) and not 1 <= value <= _LARGEST:
                raise self._error(f"{key} {value} is not between 1 and {_LARGEST}", (*where, key))
            found[key] = value
        return found

    def _error(self, problem: str, where: _Path, value: str = "") -> SpaceFileError:
        return SpaceFileError(problem, path=self._path, line=find_line(self._text, where, value))


def find_line(text: str, where: _Path, value: str = "") -> int:
    """The 1-based line of a key path in TOML text; of value, where given, in a list that spans lines.

    tomllib gives no positions. The nearest enclosing header or key is returned where the key itself is not found.
    """
    lines = text.split("\n")
    names = [part for part in where if isinstance(part, str)]
    repeat = next((part for part in where if isinstance(part, int)), 0)
    headers = [number for number, line in enumerate(lines) if re.match(r"\s*\[", line)]
    start = 0
    end = headers[0] if headers else len(lines)
    if names:
        own = [n for n in headers if re.match(rf"""\s*\[+\s*["']?{re.escape(names[0])}["']?\s*\]""", lines[n])]
        if repeat < len(own):
            start = own[repeat]
            end = next((n for n in headers if n > start), len(lines))
            names = names[1:]
    found = start
    if names:
        key = re.compile(rf"""\s*["']?{re.escape(names[-1])}["']?\s*=""")
        found = next((n for n in range(start, end) if key.match(lines[n])), start)
    if value:
        found = next((n for n in range(found, end) if value in lines[n]), found)
    return found + 1
