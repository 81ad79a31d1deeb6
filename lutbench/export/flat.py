"""Reads tables of a FlatBuffers file by their fields' numbers, as far as lutbench needs it: every read is in bounds.

Lists and texts may lie at one place for many that point there. All together may be read a few times over and no more,
or a small file would take the square of its size.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_TIMES_OVER = 8
_LONGEST_TEXT = 4096  # names of values and methods


class FlatError(ValueError):
    """The bytes are no such table."""


class _File:
    """The bytes, and how many more of them may be read as parts of lists and texts."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._left = _TIMES_OVER * len(data)

    def spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise FlatError("lists that are the same place over and over")


class FlatTable:
    """A table at a place of the bytes. Fields are numbered from 0 in the order of the schema; a union takes two."""

    def __init__(self, file: _File, place: int) -> None:
        self._file = file
        self._data = file.data
        self._place = place
        self._fields = place - self._number("<i", place)
        self._fields_bytes = self._number("<H", self._fields)

    @classmethod
    def root(cls, data: bytes) -> FlatTable:
        return cls(_File(data), cls._number_in(data, "<I", 0))

    def integer(self, field: int, form: str, default: int = 0) -> int:
        """A number of struct's form, such as "<q"."""
        place = self._at(field)
        return self._number(form, place) if place else default

    def table(self, field: int) -> FlatTable | None:
        place = self._at(field)
        return FlatTable(self._file, self._follow(place)) if place else None

    def text(self, field: int) -> str:
        place = self._at(field)
        return self._text(self._follow(place)) if place else ""

    def tables(self, field: int) -> Iterator[FlatTable]:
        for place in self._items(field):
            yield FlatTable(self._file, self._follow(place))

    def texts(self, field: int) -> list[str]:
        return [self._text(self._follow(place)) for place in self._items(field)]

    def integers(self, field: int) -> list[int]:
        """A vector of 32 bit integers."""
        return [self._number("<i", place) for place in self._items(field)]

    def _items(self, field: int) -> Iterator[int]:
        place = self._at(field)
        if place:
            start = self._follow(place)
            count = self._number("<I", start)
            if start + 4 + 4 * count > len(self._data):
                raise FlatError("a list that is longer than the file")
            self._file.spend(4 * count)
            for number in range(count):
                yield start + 4 + 4 * number

    def _at(self, field: int) -> int:
        slot = 4 + 2 * field
        offset = self._number("<H", self._fields + slot) if slot < self._fields_bytes else 0
        return self._place + offset if offset else 0

    def _follow(self, place: int) -> int:
        return place + self._number("<I", place)

    def _text(self, start: int) -> str:
        count = self._number("<I", start)
        if count > _LONGEST_TEXT:
            raise FlatError(f"a name of {count} bytes")
        self._file.spend(count)
        return self._data[start + 4 : start + 4 + count].decode("utf-8", "replace")

    def _number(self, form: str, place: int) -> int:
        return self._number_in(self._data, form, place)

    @staticmethod
    def _number_in(data: bytes, form: str, place: int) -> int:
        if not 0 <= place <= len(data) - struct.calcsize(form):
            raise FlatError("a place that is not in the file")
        (found,) = struct.unpack_from(form, data, place)
        return int(found)
