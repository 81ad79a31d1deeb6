"""What a reader of somebody else's table returns, and what every reader needs."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lutbench.errors import SpaceError
from lutbench.lut.metadata import UNKNOWN
from lutbench.reading import text
from lutbench.reading.kinds import PUBLISHED_TABLE
from lutbench.reading.plain import show
from lutbench.space.operator import Operator, foreign_operator, parse_operator

_LONGEST_SHOWN = 120
_PLAIN_NUMBER = r"[+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,4})?"
# np.float64(1.2), as numpy 2 prints its numbers; array(1.2), tensor(1.2), as arrays and tensors of one are printed
_PRINTED = re.compile(
    r"\b(?:(?:np|numpy)\.(?:float|u?int)\d{1,3}|(?:np\.|numpy\.)?array|(?:torch\.)?tensor)"
    rf"\(\s{{0,8}}({_PLAIN_NUMBER})\s{{0,8}}(?:,\s{{0,8}}d(?:evice|type)=[\w.':]{{1,30}}\s{{0,8}}){{0,3}}\)",
    re.ASCII,
)


@dataclass(frozen=True)
class Entry:
    """A row of the source.

    latency, std: in the source's unit.
    count: of the invocations that latency is the mean of.

    std and count are NaN and 0 where the source does not state them.
    """

    key: str
    operator: Operator
    latency: float
    std: float = math.nan
    count: int = 0


@dataclass(frozen=True)
class LeftOut:
    """A row of the source that the LUT cannot hold, and why."""

    key: str
    reason: str

    def __str__(self) -> str:
        return f"{printable(self.key)}: {printable(self.reason)}"


@dataclass(frozen=True)
class Reading:
    """All that a reader found.

    device, dtype: what the source says of them.
    select: the part of it that was read.
    names_columns: whether the source says what its columns are.
    """

    entries: tuple[Entry, ...]
    left_out: tuple[LeftOut, ...] = ()
    device: str = UNKNOWN
    dtype: str = UNKNOWN
    select: str = ""
    notes: tuple[str, ...] = ()
    names_columns: bool = True


@dataclass
class Collector:
    """Gathers entries while a reader goes through its file: what cannot be an entry is left out with a reason."""

    entries: list[Entry] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    _keys: set[str] = field(default_factory=set)
    _foreign: set[str] = field(default_factory=set)

    def add(
        self, key: str, canonical: Operator | None, latency: object, std: float = math.nan, count: object = 0
    ) -> None:
        """Takes a row in.

        canonical: None where the row is none of lutbench's operators.

        A row without a latency is left out, one of 0 or without a spread is not.
        """
        try:
            if key in self._keys:
                raise ValueError("the key is there twice; the first row is kept")
            self._keys.add(key)
            operator = canonical or foreign_operator(key)
            if operator.kind == "foreign" and operator.name in self._foreign:
                raise ValueError("only characters that a name cannot hold tell it from an earlier row")
            self._foreign.add(operator.name)
            value = number(latency)
            if value < 0:
                raise ValueError(f"the latency {value:g} is not positive")
            self.entries.append(Entry(key, operator, value, std if 0 <= std < math.inf else math.nan, _count(count)))
        except SpaceError as error:
            self.left_out.append(LeftOut(key, error.problem))
        except ValueError as error:
            self.left_out.append(LeftOut(key, str(error)))

    def leave_out(self, key: str, reason: str) -> None:
        self.left_out.append(LeftOut(key, reason))


def number(value: object) -> float:
    """A finite number from what a file holds; ValueError, with the value, for anything else."""
    found = number_or_nan(value)
    if math.isfinite(found):
        return found
    raise ValueError(f"no latency: {show(value)} is not a finite number")


def number_or_nan(value: object) -> float:
    """A number from what a file holds, also where YAML took it for text (1e-05); NaN for anything else."""
    if not isinstance(value, (int, float, str)) or isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31 else 0


def printable(found: str) -> str:
    """Text from a file, safe for a LUT's header: ASCII, one line, not long."""
    plain = re.sub(r"[^\x20-\x7e]", ".", found)
    return plain if len(plain) <= _LONGEST_SHOWN else f"{plain[: _LONGEST_SHOWN - 3]}..."


def known(make: Callable[[], Operator | None]) -> Operator | None:
    """The operator that make gives where a LUT can name it, else None: the row stays foreign."""
    try:
        operator = make()
        return operator if operator is not None and parse_operator(operator.name) == operator else None
    except SpaceError:
        return None


def decode(data: bytes, path: Path) -> str:
    """Text of a source, its numbers as they are without numpy or torch; LutError where it is none."""
    return _PRINTED.sub(r"\1", text.decode(data, path, PUBLISHED_TABLE))


def matched(pattern: re.Pattern[str], key: str) -> dict[str, int] | None:
    """The whole numbers of a key that pattern matches, by group; None where it does not match."""
    match = pattern.fullmatch(key)
    return {name: int(text) for name, text in match.groupdict().items() if text is not None} if match else None
