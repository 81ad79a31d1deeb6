"""Mutations of files: bytes and words changed, doubled, moved, replaced by what readers stumble over."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

WORDS = [
    *(
        b"9" * 5000,
        b"-" + b"9" * 25,
        b"0x" + b"f" * 5000,
        b"0o7",
        b"0b1",
        b"1" + b"_1" * 50,
        b"1e999",
        b"-1e999",
        b"1e-400",
    ),
    *(b"inf", b"-inf", b"nan", b"NaN", b"Infinity", b"-Infinity", b"null", b"true", b"None", b"~", b"0", b"-1", b"0.0"),
    *(b"18446744073709551616", b"9223372036854775807", b"4294967296", b"65537", b"1000000", b"1e15", b"-0", b"007"),
    *(b"[" * 3000, b"{" * 3000, b"(" * 3000, b"[[]]", b"{}", b"[{}]", b'{"a":' * 500, b"- " * 200, b"a." * 3000 + b"a"),
    *(
        b"1979-05-27",
        b"07:32:00",
        b"1979-05-27T07:32:00Z",
        b"1:30",
        b"!!binary aGk=",
        b"!!python/name:os.system",
        b"!x",
    ),
    *(
        b"&a ",
        b"*a",
        b"<<: *a",
        b"? ",
        b"---\n",
        b"...\n",
        b"|\n",
        b">-\n",
        b"#",
        b"# ",
        b"%YAML 1.1\n",
        b"\xef\xbb\xbf",
    ),
    *(
        b"\0",
        b"\xff\xfe",
        b"\xed\xa0\x80",
        b"\\ud800",
        b"\\u0000",
        b"\xe2\x80\xae",
        b"\x1b[31m",
        b"\x9b",
        b"\x85",
        b"\r",
    ),
    *(b'"', b"'", b'"""', b"'''", b"\\", b"\t", b",", b";", b"|", b"=", b":", b"\n", b"\r\n", b"]", b"}", b")", b"."),
    *(b"/etc/passwd", b"../../x", b"x" * 300, b"/" * 5000, b"{0.__class__}", b"%s%n", b"$(id)", b"`id`", b"=1+1", b"@"),
    *(
        b"ok",
        b"failed: x",
        b"fbnet",
        b"skip",
        b"k3_e6",
        b"k99_e999_g999",
        b"host",
        b"android",
        b"ir_k3_e1_g1_1x1x1_1_s1",
    ),
]
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")
_WORD = re.compile(rb"[A-Za-z_][A-Za-z0-9_.]*")
MOST_BYTES = 4 << 20  # of what mutations make


def mutated(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    """The data after a few mutations; mostly one or two, for readers refuse at the first fault."""
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5, 9))):
        data = rng.choice(_MUTATIONS)(data, others, rng)[:MOST_BYTES]
    return data


def _place(data: bytes, rng: random.Random) -> int:
    return rng.randrange(len(data) + 1)


def _span(data: bytes, rng: random.Random) -> tuple[int, int]:
    start = _place(data, rng)
    return start, min(len(data), start + rng.choice((1, 1, 2, 4, 8, 16, 64, 256, 1024)))


def _flip(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    if not data:
        return data
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]


def _byte(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    if not data:
        return data
    place = rng.randrange(len(data))
    return (
        data[:place] + bytes([rng.choice((0, 1, 9, 10, 13, 32, 127, 128, 255, rng.randrange(256)))]) + data[place + 1 :]
    )


def _remove(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    start, end = _span(data, rng)
    return data[:start] + data[end:]


def _double(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    start, end = _span(data, rng)
    return data[:end] + data[start:end] * rng.choice((1, 1, 2, 50)) + data[end:]


def _move(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    start, end = _span(data, rng)
    rest, place = data[:start] + data[end:], _place(data[: start + len(data) - end], rng)
    return rest[:place] + data[start:end] + rest[place:]


def _insert(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    place = _place(data, rng)
    return data[:place] + rng.choice(WORDS) + data[place:]


def _cut(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    return data[: _place(data, rng)]


def _splice(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    other = rng.choice(others)
    start, end = _span(other, rng)
    place = _place(data, rng)
    return data[:place] + other[start:end] + data[place:]


def _replace(pattern: re.Pattern[bytes]) -> Callable[[bytes, Sequence[bytes], random.Random], bytes]:
    def replaced(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
        found = pattern.search(data, _place(data, rng)) or pattern.search(data)
        return data if found is None else data[: found.start()] + rng.choice(WORDS) + data[found.end() :]

    return replaced


def _line(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    """A line removed, doubled, or changed for another."""
    lines = data.splitlines(keepends=True)
    if not lines:
        return data
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(3):
        case 0:
            del lines[one]
        case 1:
            lines.insert(other, lines[one])
        case _:
            lines[one], lines[other] = lines[other], lines[one]
    return b"".join(lines)


_MUTATIONS = (
    *(_flip, _byte, _remove, _double, _move, _insert, _cut, _splice, _line),
    *(_replace(_NUMBER), _replace(_NUMBER), _replace(_WORD), _replace(_WORD), _line, _insert),
)
