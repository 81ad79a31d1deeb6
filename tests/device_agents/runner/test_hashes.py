"""Hashes that are remembered, and what makes a file be hashed anew."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from lutbench.device_agents.runner import hashes as module
from lutbench.device_agents.runner.hashes import Hashes
from lutbench.files import file_sha256


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that was written long ago."""
    path = tmp_path / "library.so"
    path.write_bytes(b"one")
    return path


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what is read to be hashed; every file counts as written long ago."""
    read: list[str] = []

    def counted(path: Path) -> str:
        read.append(path.name)
        return file_sha256(path)

    monkeypatch.setattr(module, "file_sha256", counted)
    monkeypatch.setattr(module, "_SETTLED_S", -1.0)
    return read


def test_a_file_is_hashed_once(file: Path, hashed: list[str], tmp_path: Path) -> None:
    for _ in range(3):
        hashes = Hashes(tmp_path / "hashes.json")
        assert hashes.sha256(file) == file_sha256(file)
        hashes.keep()
    assert hashed == ["library.so"]


def test_a_file_that_changed_is_hashed_anew(file: Path, hashed: list[str], tmp_path: Path) -> None:
    """Of the same length and time of change as far as a program can set that; or another file in its place."""
    hashes = Hashes(tmp_path / "hashes.json")
    hashes.sha256(file)
    about = file.stat()
    time.sleep(0.02)
    file.write_bytes(b"two")
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert hashes.sha256(file) == file_sha256(file)
    (tmp_path / "other").write_bytes(b"six")
    (tmp_path / "other").replace(file)
    assert hashes.sha256(file) == file_sha256(file)
    assert len(hashed) == 3


def test_what_was_written_just_now_is_not_remembered(
    file: Path, hashed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SETTLED_S", 3600.0)
    hashes = Hashes(tmp_path / "hashes.json")
    assert {hashes.sha256(file), hashes.sha256(file)} == {file_sha256(file)}
    hashes.keep()
    assert len(hashed) == 2 and not (tmp_path / "hashes.json").exists()


@pytest.mark.parametrize("text", ["", "[]", '{"x": 1}', "{", '{"a": ["b"]}'])
def test_a_damaged_memory_is_as_none(file: Path, hashed: list[str], tmp_path: Path, text: str) -> None:
    memory = tmp_path / "hashes.json"
    memory.write_text(text.replace('"a"', f'"{file.absolute()}"'))
    hashes = Hashes(memory)
    assert hashes.sha256(file) == file_sha256(file)
    hashes.keep()
    assert Hashes(memory).sha256(file) == file_sha256(file) and len(hashed) == 1


def test_a_memory_that_cannot_be_written_is_done_without(file: Path, hashed: list[str], tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    hashes = Hashes(tmp_path / "folder")
    assert hashes.sha256(file) == file_sha256(file)
    hashes.keep()
    assert len(hashed) == 1
