"""Wheels for the device: brought once, checked at each use."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

import pytest

from lutbench.device_agents.runner.wheels import RUNTIMES, Runtime, device_root
from lutbench.errors import RunnerBuildError

ONNX = next(runtime for runtime in RUNTIMES if runtime.engine == "onnx")
LIBRARY = "onnxruntime/capi/libonnxruntime.so.1.0"


class Index:
    """Stands in for pip: makes a wheel, and counts how often it was asked."""

    def __init__(self, files: dict[str, bytes], listed: dict[str, bytes] | None = None) -> None:
        self.asked = 0
        self._files, self._listed = files, listed or files

    def __call__(self, runtime: Runtime, version: str, folder: Path) -> Path:
        self.asked += 1
        path = folder / f"{runtime.package}-{version}.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in self._files.items():
                archive.writestr(name, data)
            sums = {name: hashlib.sha256(data).digest() for name, data in self._listed.items()}
            rows = [f"{n},sha256={base64.urlsafe_b64encode(s).decode().rstrip('=')},1" for n, s in sums.items()]
            archive.writestr("onnxruntime-1.dist-info/RECORD", "\n".join(rows))
        return path


def test_only_the_libraries_are_unpacked_and_the_wheel_is_brought_once(tmp_path: Path) -> None:
    index = Index({LIBRARY: b"ELF", "onnxruntime/__init__.py": b"", "../outside": b""})
    for _ in range(2):
        root = device_root(ONNX, "1.0", tmp_path, index)
        assert (root / LIBRARY).read_bytes() == b"ELF"
        assert not (root / "onnxruntime/__init__.py").exists()
    assert index.asked == 1


def test_a_wheel_that_was_damaged_in_the_cache_is_brought_again(tmp_path: Path) -> None:
    index = Index({LIBRARY: b"ELF"})
    root = device_root(ONNX, "1.0", tmp_path, index)
    (root / "wheel.whl").write_bytes((root / "wheel.whl").read_bytes()[:-3])
    (root / LIBRARY).write_bytes(b"other")
    assert (device_root(ONNX, "1.0", tmp_path, index) / LIBRARY).read_bytes() == b"ELF"
    assert index.asked == 2


def test_a_file_that_the_wheels_own_list_does_not_name_so_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunnerBuildError, match="not the file that the wheel's list names"):
        device_root(ONNX, "1.0", tmp_path, Index({LIBRARY: b"ELF"}, {LIBRARY: b"other"}))


def test_a_wheel_without_the_library_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunnerBuildError, match="no library for C"):
        device_root(ONNX, "1.0", tmp_path, Index({"onnxruntime/__init__.py": b""}))


def test_what_is_no_wheel_is_refused(tmp_path: Path) -> None:
    def fetch(_runtime: Runtime, _version: str, folder: Path) -> Path:
        (folder / "a.whl").write_bytes(b"not a zip file")
        return folder / "a.whl"

    with pytest.raises(RunnerBuildError, match="not a wheel"):
        device_root(ONNX, "1.0", tmp_path, fetch)
