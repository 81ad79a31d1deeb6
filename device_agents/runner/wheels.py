"""The runtimes' libraries: those of the wheels installed here, or of the same versions' wheels for the device."""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.metadata
import io
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lutbench.children import run_tied
from lutbench.errors import RunnerBuildError
from lutbench.files import file_sha256, write_atomically

PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux2014")  # and _ and the machine
PIP_TIMEOUT_S = 900.0


@dataclass(frozen=True)
class Runtime:
    """An engine's runtime.

    files: of its wheel that the runner needs.
    opened: the one opened at run time, if any.

    executables: what the runner for it is called.
    """

    engine: str
    package: str
    files: re.Pattern[str]
    opened: re.Pattern[str] | None
    program: str


RUNTIMES = (
    Runtime(
        "onnx",
        "onnxruntime",
        re.compile(r"onnxruntime/capi/libonnxruntime\.so[.\d]*"),
        re.compile(r"libonnxruntime\.so[.\d]*"),
        "lutbench-runner",
    ),
    Runtime(
        "executorch",
        "executorch",
        re.compile(
            r"executorch/(lib/libexecutorch(_threadpool|_kernels_optimized|_kernels_quantized|_backend_xnnpack)?\.so"
            r"|include/.+)"
        ),
        None,
        "lutbench-runner-executorch",
    ),
)

Fetch = Callable[[Runtime, str, Path], Path]  # a runtime's wheel of a version, brought into a folder


def installed_version(runtime: Runtime) -> str:
    """The version of the package that exports and measures here."""
    return importlib.metadata.version(runtime.package)


def installed_root(runtime: Runtime) -> Path:
    """The folder that the installed package's files lie under."""
    files = importlib.metadata.files(runtime.package) or []
    found = next((file for file in files if runtime.files.fullmatch(file.as_posix())), None)
    if found is None:
        raise RunnerBuildError(f"the {runtime.package} installed here has no library for C and C++ programs")
    path = Path(str(found.locate()))
    return path.parents[len(found.parts) - 1]


def download_wheel(runtime: Runtime, version: str, folder: Path, machine: str = "aarch64") -> Path:
    """Has pip bring the wheel for a machine into folder; pip checks it against the index's sha256."""
    platforms = [word for platform in PLATFORMS for word in ("--platform", f"{platform}_{machine}")]
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", *platforms]
    command += ["--implementation", "cp", "--python-version", python, "--dest", str(folder)]
    command += [f"{runtime.package}=={version}"]
    try:
        done = run_tied(command, PIP_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise RunnerBuildError(f"pip did not bring {runtime.package} {version} within {PIP_TIMEOUT_S:.0f} s") from error
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()[-1:]
        raise RunnerBuildError(
            f"pip cannot bring {runtime.package} {version} for {PLATFORMS[0]}_{machine}: {' '.join(lines)[:200]}",
            remedy="the version has to be one that is published for it",
        )
    return wheels[0]


def device_root(
    runtime: Runtime, version: str, cache: Path, fetch: Fetch = download_wheel, machine: str = "aarch64"
) -> Path:
    """The folder that the files of the device's wheel lie under, unpacked from the cache or brought by fetch.

    The wheel's sha256 is kept beside it and checked at each use, and every file against the wheel's own list.
    """
    folder = cache / f"{runtime.package}-{version}-{PLATFORMS[0]}_{machine}"
    wheel = folder / "wheel.whl"
    if not _is_whole(wheel):
        with tempfile.TemporaryDirectory(prefix="lutbench-") as temporary:
            data = fetch(runtime, version, Path(temporary)).read_bytes()
        write_atomically(wheel, data)
        write_atomically(wheel.with_suffix(".sha256"), hashlib.sha256(data).hexdigest().encode())
    _unpack(runtime, wheel, folder)
    return folder


def _is_whole(wheel: Path) -> bool:
    try:
        return wheel.with_suffix(".sha256").read_text() == file_sha256(wheel)
    except (OSError, UnicodeDecodeError):
        return False


def _unpack(runtime: Runtime, wheel: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            sums = _sums(archive)
            entries = [entry for entry in archive.infolist() if not entry.is_dir() and ".." not in entry.filename]
            names = [entry.filename for entry in entries if runtime.files.fullmatch(entry.filename)]
            if not names:
                raise RunnerBuildError("the wheel has no library for C and C++ programs", path=wheel)
            for name in names:
                _unpack_file(archive.read(name), sums.get(name, ""), folder / name, wheel)
    except (zipfile.BadZipFile, KeyError, StopIteration, csv.Error, UnicodeDecodeError) as error:
        raise RunnerBuildError(f"not a wheel: {error}", path=wheel, remedy="remove it and build again") from error


def _sums(archive: zipfile.ZipFile) -> dict[str, str]:
    """The wheel's RECORD: name -> sha256, base64 as it stands there."""
    record = next(name for name in archive.namelist() if name.endswith(".dist-info/RECORD"))
    rows = csv.reader(io.StringIO(archive.read(record).decode()))
    return {row[0]: row[1].removeprefix("sha256=") for row in rows if len(row) == 3}


def _unpack_file(data: bytes, expected: str, target: Path, wheel: Path) -> None:
    found = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
    if found != expected:
        raise RunnerBuildError(f"{target.name} is not the file that the wheel's list names", path=wheel)
    if not target.is_file() or target.stat().st_size != len(data) or target.read_bytes() != data:
        write_atomically(target, data)
