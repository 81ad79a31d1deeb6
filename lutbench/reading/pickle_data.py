"""Pickles that are data only: dictionaries (ordered ones too), lists, texts and numbers, those of numpy among them.

Nothing else is built, and nothing is imported or called: a number of numpy is read from its bytes by `pickle_numpy`.

What is built is bounded too: a few hundred bytes that put a list into itself twice, 45 times over, are a value that
nothing can go through.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from lutbench.reading.kinds import Kind
from lutbench.reading.pickle_numpy import MAKERS, Maker, NumberType
from lutbench.reading.plain import NotPlainError, check_plain, show

# The Python unpickler, not the C one: its table of opcodes can be cut down to data, so that nothing else can run, and
# its memo is a dictionary (a few bytes can make the C one fill all memory). Tuples are built as lists: as keys of a
# dictionary, nested tuples take exponential time to hash.
_DATA = (
    *("PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "DUP", "NONE", "NEWTRUE", "NEWFALSE"),
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "EMPTY_LIST", "LIST", "APPEND", "APPENDS"),
    *("GET", "BINGET", "LONG_BINGET", "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"),
    *("SHORT_BINBYTES", "BINBYTES"),  # of a number of numpy; by themselves they are not plain
)
_REFUSING = ("GLOBAL", "STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID")  # they say what they want
_MOST_STEPS = 8_000_000  # opcodes; a published table of 10 MB has some 1.5 million
_BROKEN = (
    pickle.UnpicklingError,
    struct.error,
    AssertionError,
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    TypeError,
    ValueError,
)


class _Refused(Exception):  # noqa: N818
    """The pickle asks for more than data."""


class _Opcodes(dict[int, Callable[..., Any]]):
    """What may be done, by opcode; counts what is done."""

    def __init__(self, known: Mapping[int, Callable[..., Any]]) -> None:
        super().__init__(known)
        self._left = _MOST_STEPS

    def __getitem__(self, opcode: int) -> Callable[..., Any]:
        self._left -= 1
        if self._left < 0:
            raise _Refused(f"holds more than {_MOST_STEPS:,} values")
        return super().__getitem__(opcode)

    def __missing__(self, opcode: int) -> NoReturn:
        raise _Refused(f"holds more than data (opcode 0x{opcode:02x})")


class _DataUnpickler(pickle._Unpickler):
    """Builds data; whatever would import or call something raises."""

    dispatch: ClassVar[dict[int, Callable[..., Any]]] = _Opcodes(
        {opcode: pickle._Unpickler.dispatch[opcode] for opcode in (getattr(pickle, n)[0] for n in (*_DATA, *_REFUSING))}
    )

    def find_class(self, module_name: str, global_name: str, /) -> Maker:
        """What stands for one of the few names that data needs; it is no function of Python's, and calls none."""
        if (module_name, global_name) in MAKERS:
            return MAKERS[module_name, global_name]
        raise _Refused(f"wants to load code: {module_name:.80}.{global_name:.80}")

    def load_reduce(self) -> None:
        arguments, made = self.stack.pop(), self.stack[-1]  # type: ignore[attr-defined]
        if not isinstance(made, Maker):
            raise _Refused(f"wants to call {show(made)}")
        self.stack[-1] = made.make(arguments)  # type: ignore[attr-defined]

    def load_build(self) -> None:
        state, made = self.stack.pop(), self.stack[-1]  # type: ignore[attr-defined]
        if not isinstance(made, NumberType):
            raise _Refused("wants to set an object's state")
        made.set_state(state)

    def persistent_load(self, pid: Any) -> NoReturn:
        raise _Refused(f"wants to load an object from outside: {show(pid)}")

    def get_extension(self, code: int) -> NoReturn:
        raise _Refused(f"wants to load code: extension {code}")

    def load_empty_tuple(self) -> None:
        self.append([])  # type: ignore[attr-defined]

    def load_tuple(self) -> None:
        items = self.pop_mark()  # type: ignore[attr-defined]
        self.append(items)  # type: ignore[attr-defined]

    def load_short_tuple(self, size: int) -> None:
        stack = self.stack  # type: ignore[attr-defined]
        if len(stack) < size:
            raise IndexError("too few values for a tuple")
        stack[-size:] = [stack[-size:]]

    dispatch[pickle.REDUCE[0]] = load_reduce
    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.EMPTY_TUPLE[0]] = load_empty_tuple
    dispatch[pickle.TUPLE[0]] = load_tuple
    dispatch[pickle.TUPLE1[0]] = lambda self: self.load_short_tuple(1)
    dispatch[pickle.TUPLE2[0]] = lambda self: self.load_short_tuple(2)
    dispatch[pickle.TUPLE3[0]] = lambda self: self.load_short_tuple(3)


def load_data(data: bytes, path: Path, kind: Kind) -> object:
    """What the pickle holds, tuples as lists; the kind's error where it is broken, grows, or holds more than data."""
    unpickler = _DataUnpickler(io.BytesIO(data))
    unpickler.dispatch = _Opcodes(_DataUnpickler.dispatch)  # type: ignore[misc] # its own, which counts
    try:
        found: object = unpickler.load()
        check_plain(found, finite=False)
    except _Refused as error:
        raise kind.error(f"the pickle {error}", path=path, remedy="nothing of it was run or taken in") from None
    except NotPlainError as error:
        raise kind.error(f"the pickle cannot be {kind.name}: {error}", path=path) from None
    except _BROKEN as error:
        raise kind.error(f"is not a whole pickle ({type(error).__name__})", path=path) from None
    return found
