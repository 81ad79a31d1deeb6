"""Compilers: what builds the runner for a target, and which of its libraries have to come along."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lutbench.children import run_tied
from lutbench.errors import RunnerBuildError

ANDROID_PLATFORM = "android-24"  # Android 7, which the oldest registered phone came with
GNU_LOADERS = {"aarch64": "ld-linux-aarch64.so.1", "x86_64": "ld-linux-x86-64.so.2"}
_NEEDED = re.compile(r"\(NEEDED\)\s+Shared library: \[(.+)\]")
_GLIBC = re.compile(rb"GNU C Library [^\n]*? version (\d+\.\d+)")


@dataclass(frozen=True)
class Toolchain:
    """What CMake is told to build with.

    compiler: the program.
    cmake: its options for CMake.
    abi: machine and C library of what comes out.
    loader: name of the program loader that is brought along, or "".
    """

    compiler: str
    cmake: tuple[str, ...]
    abi: str
    loader: str = ""

    def identity(self) -> str:
        """What it is, in one line: part of a build's key."""
        words = [self.compiler, "--version"]
        return " ".join(
            [*subprocess.run(words, capture_output=True, text=True, check=False).stdout.split(), *self.cmake]
        )

    def library(self, name: str) -> Path | None:
        """A library that comes with the compiler; None where it has none of that name."""
        words = [self.compiler, f"-print-file-name={name}"]
        path = Path(subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip())
        return path.resolve() if path.is_absolute() and path.exists() else None


def host_toolchain() -> Toolchain:
    """The toolchain for programs that run here."""
    if platform.system() != "Linux":
        raise RunnerBuildError("the runner for this machine is built on Linux only")
    compiler = _required("g++", "g++")
    return Toolchain(compiler, (f"-DCMAKE_CXX_COMPILER={compiler}",), f"{platform.machine()}-linux-gnu")


def gnu_toolchain(machine: str) -> Toolchain:
    """The toolchain for a machine of GNU_LOADERS with the GNU C library, whose loader and libraries then lie in the
    bundle.
    """
    native = platform.system() == "Linux" and platform.machine() == machine
    prefix = "" if native else f"{machine}-linux-gnu-"
    package = "g++" if native else f"g++-{machine.replace('_', '-')}-linux-gnu"
    compiler = _required(f"{prefix}g++", package, or_ndk=machine == "aarch64")
    options = (
        "-DCMAKE_SYSTEM_NAME=Linux",
        f"-DCMAKE_SYSTEM_PROCESSOR={machine}",
        f"-DCMAKE_CXX_COMPILER={compiler}",
    )
    return Toolchain(compiler, options, f"{machine}-linux-gnu", GNU_LOADERS[machine])


def ndk_toolchain(ndk: Path) -> Toolchain:
    """Android's own: the NDK in a folder, C++ library linked in."""
    file = ndk / "build" / "cmake" / "android.toolchain.cmake"
    compilers = sorted(ndk.glob("toolchains/llvm/prebuilt/*/bin/clang++"))
    if not file.is_file() or not compilers:
        raise RunnerBuildError("not an Android NDK: it has no CMake toolchain or no compiler", path=ndk)
    options = (
        f"-DCMAKE_TOOLCHAIN_FILE={file}",
        "-DANDROID_ABI=arm64-v8a",
        f"-DANDROID_PLATFORM={ANDROID_PLATFORM}",
        "-DANDROID_STL=c++_static",
        "-DANDROID_SUPPORT_FLEXIBLE_PAGE_SIZES=ON",
    )
    return Toolchain(str(compilers[0]), options, "aarch64-linux-android")


def run_cmake(sources: Path, build: Path, options: Sequence[str], log: Path) -> None:
    """Configures and builds; RunnerBuildError with the first thing that went wrong, all of it in log."""
    cmake = _required("cmake", "cmake")
    _required("make", "make")
    steps = (
        [cmake, "-S", str(sources), "-B", str(build), "-G", "Unix Makefiles", *options],
        [cmake, "--build", str(build)],
    )
    for step in steps:
        done = run_tied(step)
        with log.open("a") as file:
            file.write(done.stdout + done.stderr)
        if done.returncode:
            raise RunnerBuildError(
                f"the build failed: {_first_error(done.stdout + done.stderr)}", remedy=f"all of it is in {log}"
            )


def needed_libraries(program: Path) -> list[str]:
    """The names of the libraries that a program or library is linked with."""
    words = [_required("readelf", "binutils"), "-dW", str(program)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RunnerBuildError("not a program or library", path=program)
    return _NEEDED.findall(done.stdout)


def glibc_version(libc: Path) -> str:
    """The C library and its version, such as "glibc 2.36"."""
    found = _GLIBC.search(libc.read_bytes())
    if found is None:
        raise RunnerBuildError("not the GNU C library", path=libc)
    return f"glibc {found[1].decode()}"


def _required(program: str, package: str, or_ndk: bool = False) -> str:
    path = shutil.which(program)
    if path is None:
        instead = ", or give --ndk and --libraries" if or_ndk else ""
        raise RunnerBuildError(f"{program} is not installed", remedy=f"`apt install {package}` on Debian{instead}")
    return path


def _first_error(output: str) -> str:
    """The line that says most: a compiler's `error:`, or what stands under CMake's `CMake Error`."""
    lines = [line.strip() for line in output.splitlines()]
    for number, line in enumerate(lines):
        if "error:" in line:
            return line[:300]
        if line.startswith("CMake Error"):
            return next((text for text in lines[number + 1 :] if text), line)[:300]
    return next((line for line in reversed(lines) if line), "no message")[:300]
