"""Text of a file's bytes, as other programs leave them: byte order marks and line ends of any system.

What is certain is read: UTF-8, and UTF-16 or UTF-32 behind a byte order mark. Whatever else a person may hand over by
mistake (a workbook, a web page, another code page) is refused by its own name.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from lutbench.reading.files import read_bytes
from lutbench.reading.kinds import Kind

# the longer marks first: UTF-32's little-endian one begins with UTF-16's
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_RTF, _POINTER, _PAGE = (
    "a text processor's document (RTF)",
    "a pointer of Git LFS, not the file itself",
    "a web page, not the file itself",
)
_OF_TEXT = (_RTF, _POINTER, _PAGE)
_AS_CSV = "save it as CSV (UTF-8)"
# first bytes -> what the file is, what would do
_OTHERS = (
    (b"PK\x03\x04", "an Excel or OpenDocument workbook, or another ZIP archive", f"{_AS_CSV}, or unpack it"),
    (b"PK\x05\x06", "an empty ZIP archive", ""),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook (.xls)", _AS_CSV),
    (b"\x1f\x8b", "compressed with gzip", "unpack it"),
    (b"BZh", "compressed with bzip2", "unpack it"),
    (b"\xfd7zXZ\x00", "compressed with xz", "unpack it"),
    (b"(\xb5/\xfd", "compressed with zstd", "unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it"),
    (b"%PDF-", "a PDF document", "copy its table into a text file"),
    (b"{\\rtf", _RTF, "save it as plain text"),
    (b"\x89PNG", "a picture (PNG)", ""),
    (b"\xff\xd8\xff", "a picture (JPEG)", ""),
    (b"SQLite format 3\x00", "an SQLite data base", "export its table as CSV"),
    (b"PAR1", "a Parquet file", "write it as CSV: pandas.read_parquet(...).to_csv(...)"),
    (b"ARROW1\x00", "an Arrow file", "write it as CSV"),
    (b"\x93NUMPY", "a numpy array", "write it as text: numpy.savetxt(...)"),
    (b"\x89HDF\r\n", "an HDF5 file", "write it as CSV"),
    (b"version https://git-lfs.", _POINTER, "git lfs pull fetches it"),
)
_WEB_PAGE = re.compile(rb"\s*(?:<!doctype\s+html|<html|<\?xml[^>]*>\s*<!doctype\s+html)", re.IGNORECASE)
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_END_OF_FILE = "\x1a"  # what DOS programs end a text with
_LINE_END = re.compile("\r+\n|\r")  # \r\r\n: a line end that was converted twice
_LOOKED_AT, _FEWEST = 4096, 6  # bytes
MOST_LINES = 2_000_000  # of a table
LONGEST_LINE = 65_536  # of a row: the cells of a longer one would fill the memory


def read_text(path: Path, kind: Kind) -> str:
    """The text of a file, lines ended by \\n alone; the kind's error where it cannot be read or is no text."""
    return decode(read_bytes(path, kind), path, kind)


def decode(data: bytes, path: Path, kind: Kind) -> str:
    """The text of bytes, without a byte order mark, lines ended by \\n alone; the kind's error, which says what the
    bytes are, where they are no text."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _plain_line_ends(_decoded(data[len(mark) :], encoding, path, kind))
    _check_other(data, path, kind)
    return _plain_line_ends(_decoded(data, "utf-8", path, kind))


def split_lines(text: str, path: Path, kind: Kind) -> list[str]:
    """The lines of a table's text; the kind's error where one is too long for a row, or they are too many."""
    if text.count("\n") >= MOST_LINES:
        raise kind.error(f"has more than {MOST_LINES:,} lines", path=path)
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        if len(line) > LONGEST_LINE and not line.startswith(("#", '"#')):
            raise kind.error(f"a line has more than {LONGEST_LINE:,} characters", path=path, line=number)
    return lines


def _plain_line_ends(text: str) -> str:
    text = text.removesuffix(_END_OF_FILE)
    return _LINE_END.sub("\n", text) if "\r" in text else text


def _check_other(data: bytes, path: Path, kind: Kind) -> None:
    """The kind's error where the bytes are certainly those of something else."""
    found = next(((what, remedy) for start, what, remedy in _OTHERS if data.startswith(start)), None)
    if found is None and _WEB_PAGE.match(data):
        found = _PAGE, "download the file (Raw, on code-sharing sites)"
    if found is None and _PICKLE.match(data):
        found = "a Python pickle", ""
    if found is None and b"\0" in data:
        found = _utf_16_without_mark(data)
    if found is not None:
        what, remedy = found
        but = "" if what in _OF_TEXT else "not UTF-8 text but "
        raise kind.error(f"is not {kind.name}: it is {but}{what}", path=path, remedy=remedy)


def _utf_16_without_mark(data: bytes) -> tuple[str, str] | None:
    """What bytes are that hold zeros at every second place, and text between; None where they are something else."""
    head = data[:_LOOKED_AT]
    for zeros, letters in ((head[1::2], head[0::2]), (head[0::2], head[1::2])):
        if len(head) >= _FEWEST and 2 * zeros.count(0) > len(zeros) and all(9 <= letter < 127 for letter in letters):
            return "UTF-16 text without a byte order mark", "save it as UTF-8, or with the mark"
    return None


def _decoded(data: bytes, encoding: str, path: Path, kind: Kind) -> str:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = _line_of(data[: error.start], encoding)
        if encoding != "utf-8":
            raise kind.error(
                f"is not {kind.name}: it begins as {_name(encoding)} text and is cut off or damaged",
                path=path,
                line=line,
                remedy="save it as UTF-8",
            ) from None
        raise kind.error(
            f"is not {kind.name}: it is not UTF-8 text (byte 0x{data[error.start]:02x})",
            path=path,
            line=line,
            remedy="saved in another code page, as spreadsheets' plain CSV is? Save it as UTF-8",
        ) from None
    if "\0" in text:
        line = _line(text[: text.index("\0")])
        raise kind.error(f"is not {kind.name}: it is binary data (a zero byte)", path=path, line=line)
    return text


def _name(encoding: str) -> str:
    return encoding.removesuffix("-le").removesuffix("-be").upper()


def _line_of(data: bytes, encoding: str) -> int:
    return _line(data.decode(encoding, "ignore"))


def _line(before: str) -> int:
    """The number of the line that a text ends in."""
    return _plain_line_ends(before).count("\n") + 1
