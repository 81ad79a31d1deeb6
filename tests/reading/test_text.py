"""Text as other programs leave it: what is certain is read, the rest is called by its name."""

from __future__ import annotations

import gzip
import io
import pickle
import re
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutbench.errors import LutbenchError, LutError
from lutbench.reading.kinds import LUT
from lutbench.reading.text import decode, read_text

PATH = Path("table.csv")
PLAIN = "# a = 1\nnet,latency_ms\nfbnet_a,12.5\n"
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-32"]  # those of Python that write a mark of their own, and UTF-8


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_line_ends_and_marks_of_any_system(end: str, encoding: str) -> None:
    assert decode(PLAIN.replace("\n", end).encode(encoding), PATH, LUT) == PLAIN


@pytest.mark.parametrize(("mark", "encoding"), [(b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")])
def test_utf_16_of_either_byte_order(mark: bytes, encoding: str) -> None:
    assert decode(mark + PLAIN.encode(encoding), PATH, LUT) == PLAIN


def test_the_end_of_file_of_dos() -> None:
    assert decode(PLAIN.replace("\n", "\r\n").encode() + b"\x1a", PATH, LUT) == PLAIN


def archive() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        file.writestr("xl/workbook.xml", "<workbook/>")
    return held.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (PLAIN.encode("utf-16-le"), "UTF-16 text without a byte order mark"),
        (PLAIN.encode("utf-16-be"), "UTF-16 text without a byte order mark"),
        (b"\xff\xfe" + PLAIN.encode("utf-16-le") + b"\0", "begins as UTF-16 text and is cut off or damaged"),
        ("net\nrésumé\n".encode("cp1252"), "line 2.*not UTF-8 text .byte 0xe9.; saved in another code page"),
        (b"net\n" + "\u304f".encode("shift_jis"), "not UTF-8 text"),
        (archive(), "an Excel or OpenDocument workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "an Excel workbook"),
        (gzip.compress(PLAIN.encode(), mtime=0), "compressed with gzip; unpack it"),
        (b"\n<!DOCTYPE html>\n<html lang=en>", "a web page, not the file itself"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "a pointer of Git LFS"),
        (pickle.dumps({"a": 1}), "a Python pickle"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"net\0latency", "binary data .a zero byte."),
        (b"\xef\xbb\xbfnet\0", "binary data"),
    ],
)
def test_what_is_no_text_is_refused_by_its_name(data: bytes, reason: str) -> None:
    with pytest.raises(LutError, match="is not a LUT") as caught:
        decode(data, PATH, LUT)
    line = str(caught.value).replace(f"{PATH}:", "line ")
    assert re.search(reason, line), line


@given(st.binary(max_size=300) | st.text(max_size=100).map(lambda text: text.encode("utf-16")))
def test_any_bytes_are_text_or_one_line(data: bytes) -> None:
    try:
        assert "\r" not in decode(data, PATH, LUT)
    except LutbenchError as error:
        assert "\n" not in str(error)


@given(st.text(st.characters(exclude_characters="\r\0\x1a", exclude_categories=["Cs"])), st.sampled_from(ENCODINGS))
def test_a_text_is_the_same_in_every_encoding_with_a_mark(text: str, encoding: str) -> None:
    if encoding == "utf-8" and text.startswith("\ufeff"):
        return
    data = text.encode(encoding)
    try:
        assert decode(data, PATH, LUT) == text
    except LutError as error:
        assert encoding == "utf-8", error  # begins as another kind of file: "%PDF-"


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(PLAIN.replace("\n", "\r\n").encode("utf-16"))
    assert read_text(tmp_path / "a.csv", LUT) == PLAIN
