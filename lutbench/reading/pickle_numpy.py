"""What stands in a pickle for numpy's numbers and for ordered dictionaries, made without numpy and without a call.

A pickle of numpy.float64(1.25) names two functions of numpy, the number's type and its eight bytes. The names are
looked up in a table of this file alone; the number is unpacked from the bytes as the type says.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from lutbench.reading.plain import NotPlainError

_FORMATS: Mapping[str, str] = MappingProxyType(  # numpy's name of a type -> struct's
    {
        "b1": "?",
        "f2": "e",
        "f4": "f",
        "f8": "d",
        "i1": "b",
        "i2": "h",
        "i4": "i",
        "i8": "q",
        "u1": "B",
        "u2": "H",
        "u4": "I",
        "u8": "Q",
    }
)
_ORDERS = {"<": "<", ">": ">", "|": "<", "=": "<"}  # of one byte, and of this machine's own, which is little-endian
_LONGEST_TEXT = 1 << 16


@dataclass
class NumberType:
    """A dtype of numpy's as far as a number needs it: f8, i4, U12.

    order: of its bytes.
    """

    name: str
    order: str = "<"

    def set_state(self, state: Any) -> None:
        """The second item of a dtype's state is the order of its bytes; ValueError for a state of another form."""
        if not isinstance(state, list) or len(state) < 2 or state[1] not in _ORDERS:
            raise ValueError("the state of a numpy dtype is not as numpy writes it")
        self.order = _ORDERS[state[1]]

    def value(self, data: bytes) -> object:
        """The number, or the text, in these bytes; ValueError where they do not fit."""
        if self.name in _FORMATS:
            (found,) = struct.unpack(self.order + _FORMATS[self.name], data)
            return found
        if len(data) > _LONGEST_TEXT:
            raise ValueError("a text is too long")
        return data.decode("utf-32-le" if self.order == "<" else "utf-32-be").rstrip("\0")


@dataclass(frozen=True)
class Maker:
    """What makes a value of a name that a pickle may hold.

    make: from a call's arguments, as a list, to a value; ValueError or TypeError where they do not fit.
    """

    make: Callable[[Any], object]


def _number_type(arguments: Any) -> NumberType:
    name = arguments[0]
    if not isinstance(name, str) or not (name in _FORMATS or (name[:1] == "U" and name[1:].isdecimal())):
        raise NotPlainError("it holds a numpy dtype that is no number and no text")
    return NumberType(name)


def _number(arguments: Any) -> object:
    kind, data = arguments
    if not isinstance(kind, NumberType) or not isinstance(data, bytes):
        raise TypeError("a number of numpy that is not as numpy writes it")
    return kind.value(data)


def _encoded(arguments: Any) -> bytes:
    """Bytes, which the oldest pickles hold as text."""
    text, encoding = arguments
    if not isinstance(text, str) or encoding != "latin1":
        raise ValueError("bytes that are not as Python writes them")
    return text.encode("latin1")


def _ordered(arguments: Any) -> dict[Any, Any]:
    """An ordered dictionary's pairs; newer pickles add them later."""
    return dict(*arguments) if arguments else {}


_SCALAR = Maker(_number)
MAKERS: Mapping[tuple[str, str], Maker] = MappingProxyType(
    {
        ("numpy._core.multiarray", "scalar"): _SCALAR,
        ("numpy.core.multiarray", "scalar"): _SCALAR,
        ("numpy", "dtype"): Maker(_number_type),
        ("_codecs", "encode"): Maker(_encoded),
        ("collections", "OrderedDict"): Maker(_ordered),
    }
)
