"""Builds the runner and puts its bundle together: `lutbench runner build`, and what an agent calls."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import lutbench
from lutbench.device_agents.runner.bundle import (
    FOLDER,
    MANIFEST,
    Bundle,
    BundleFile,
    describe_file,
    read_bundle,
    write_manifest,
)
from lutbench.device_agents.runner.hashes import Hashes
from lutbench.device_agents.runner.toolchain import (
    Toolchain,
    glibc_version,
    gnu_toolchain,
    host_toolchain,
    ndk_toolchain,
    needed_libraries,
    run_cmake,
)
from lutbench.device_agents.runner.wheels import (
    RUNTIMES,
    Runtime,
    device_root,
    download_wheel,
    installed_root,
    installed_version,
)
from lutbench.errors import OutputError, RunnerBuildError
from lutbench.files import default_cache_folder, file_sha256

SOURCES = Path(__file__).parent
MACHINES = {"android-arm64": "aarch64", "android-x86_64": "x86_64"}  # targets with the GNU C library in the bundle
TARGETS = (*MACHINES, "host")
_SOURCE_FOLDERS = ("src", "third_party")

Say = Callable[[str], None]


@dataclass(frozen=True)
class _Part:
    """One engine of a bundle.

    libraries: files of its runtime.
    root: ExecuTorch's folder for the compiler.
    """

    runtime: Runtime
    version: str
    libraries: tuple[Path, ...]
    root: Path | None


def build_bundle(
    target: str,
    *,
    ndk: Path | None = None,
    libraries: Path | None = None,
    output: Path | None = None,
    cache: Path | None = None,
    say: Say = lambda _text: None,
) -> Bundle:
    """The bundle for a target of TARGETS, from the cache where the same was built before.

    ndk, libraries: an Android NDK, and a folder with the vendor's libraries for Android's own ABI.
    output: a folder to put it into; without one it stays in the cache.
    say: is told what takes a while. RunnerBuildError where something is missing here, with what to install.
    """
    cache = (cache or default_cache_folder()) / "runner"
    toolchain = _toolchain(target, ndk, libraries)
    parts = [_vendors(libraries)] if libraries else [_part(runtime, target, cache, say) for runtime in RUNTIMES]
    hashes = Hashes(cache / "hashes.json")
    folder = cache / f"{target}-{_key(target, toolchain, parts, hashes)}"
    bundle = _cached(folder, hashes) or _build(target, toolchain, parts, folder, say)
    hashes.keep()
    return _copied(bundle, output) if output else bundle


def _toolchain(target: str, ndk: Path | None, libraries: Path | None) -> Toolchain:
    if target not in TARGETS:
        raise RunnerBuildError(f"no such target: {target}", remedy=f"there are {', '.join(TARGETS)}")
    if (ndk is None) != (libraries is None):
        raise RunnerBuildError(
            "--ndk and --libraries go together",
            remedy="--libraries is a folder with the vendor's libonnxruntime.so for arm64-v8a",
        )
    if ndk is not None and target != "android-arm64":
        raise RunnerBuildError("--ndk builds for android-arm64 only")
    if ndk is not None:
        return ndk_toolchain(ndk)
    return host_toolchain() if target == "host" else gnu_toolchain(MACHINES[target])


def _part(runtime: Runtime, target: str, cache: Path, say: Say) -> _Part:
    """The runtime in the version installed here."""
    version = installed_version(runtime)
    machine = MACHINES.get(target, platform.machine())
    if platform.system() == "Linux" and machine == platform.machine():
        root = installed_root(runtime)  # the very wheel that would be brought
    else:

        def fetch(runtime: Runtime, version: str, folder: Path) -> Path:
            say(f"{runtime.package} {version} for {machine}")
            return download_wheel(runtime, version, folder, machine)

        root = device_root(runtime, version, cache / "wheels", fetch, machine)
    folder = root / ("onnxruntime/capi" if runtime.engine == "onnx" else "executorch/lib")
    found = [path for path in sorted(folder.iterdir()) if runtime.files.fullmatch(path.relative_to(root).as_posix())]
    return _Part(runtime, version, tuple(found), root / "executorch" if runtime.engine == "executorch" else None)


def _vendors(folder: Path) -> _Part:
    """ONNX Runtime as its vendor builds it for Android (libonnxruntime.so of its AAR's jni/arm64-v8a)."""
    library = folder / "libonnxruntime.so"
    if not library.is_file():
        raise RunnerBuildError(
            "the vendor's library is missing",
            path=library,
            remedy="it is in jni/arm64-v8a of onnxruntime-android's AAR",
        )
    onnx = next(runtime for runtime in RUNTIMES if runtime.engine == "onnx")
    return _Part(onnx, f"from {folder.name}", (library,), None)


def _sources() -> list[Path]:
    inside = (path for folder in _SOURCE_FOLDERS for path in (SOURCES / folder).rglob("*") if path.is_file())
    return [SOURCES / "CMakeLists.txt", *sorted(inside)]


def _key(target: str, toolchain: Toolchain, parts: Iterable[_Part], hashes: Hashes) -> str:
    """What decides the bundle's bytes."""
    said = {
        "target": target,
        "lutbench": lutbench.__version__,
        "toolchain": toolchain.identity(),
        "sources": [(path.relative_to(SOURCES).as_posix(), file_sha256(path)) for path in _sources()],
        "builder": [file_sha256(Path(__file__).with_name(name)) for name in ("build.py", "bundle.py", "toolchain.py")],
        "libraries": [(path.name, hashes.sha256(path)) for part in parts for path in part.libraries],
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def _cached(folder: Path, hashes: Hashes) -> Bundle | None:
    """What was built before; what is not whole is removed."""
    if not folder.is_dir():
        return None
    try:
        return read_bundle(folder, hashes.sha256)
    except RunnerBuildError:
        shutil.rmtree(folder, ignore_errors=True)
        return None


def _build(target: str, toolchain: Toolchain, parts: list[_Part], folder: Path, say: Say) -> Bundle:
    """Builds beside folder and renames: two builds at once make the same, and one of them stays."""
    say("compiling the runner")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        build, made = Path(temporary) / "build", Path(temporary) / "bundle"
        made.mkdir()
        run_cmake(SOURCES, build, [*toolchain.cmake, *_options(parts)], folder.parent / f"{folder.name}.log")
        write_manifest(_assemble(target, toolchain, parts, build, made))
        try:
            made.rename(folder)
        except OSError:  # the other build was first
            return read_bundle(folder)
    return read_bundle(folder)


def _options(parts: Iterable[_Part]) -> list[str]:
    options = [f"-DRUNNER_VERSION={lutbench.__version__}", "-DCMAKE_BUILD_TYPE=Release"]
    for part in parts:
        if part.root is not None:
            options += [f"-DEXECUTORCH_ROOT={part.root}", f"-DEXECUTORCH_VERSION={part.version}"]
    return options


def _assemble(target: str, toolchain: Toolchain, parts: list[_Part], build: Path, folder: Path) -> Bundle:
    """Copies everything into the bundle's folder. A library that two engines need is there once."""
    users: dict[str, list[str]] = {}
    for part in parts:
        for path in _all_files(part, toolchain, build):
            if path.name not in users:
                shutil.copyfile(path, folder / path.name)
            users.setdefault(path.name, []).append(part.runtime.engine)
    programs = {part.runtime.program for part in parts} | {toolchain.loader}
    files = [_entry(folder / name, engines, name in programs) for name, engines in sorted(users.items())]
    libc = folder / "libc.so.6"
    return Bundle(
        folder,
        target,
        toolchain.abi,
        glibc_version(libc) if libc.is_file() else "",
        lutbench.__version__,
        {part.runtime.engine: f"{part.runtime.package} {part.version}" for part in parts},
        {part.runtime.engine: _start(part.runtime.program, toolchain.loader) for part in parts},
        {
            part.runtime.engine: path.name
            for part in parts
            for path in part.libraries
            if part.runtime.opened and part.runtime.opened.fullmatch(path.name)
        },
        tuple(files),
    )


def _entry(path: Path, engines: list[str], executable: bool) -> BundleFile:
    path.chmod(0o755 if executable else 0o644)
    return describe_file(path, engines, executable)


def _all_files(part: _Part, toolchain: Toolchain, build: Path) -> list[Path]:
    """An engine's program and libraries and, where the bundle has its own loader, all that those are linked with."""
    found = {path.name: path for path in (build / part.runtime.program, *part.libraries)}
    if not toolchain.loader:
        return list(found.values())
    waiting = list(found.values())
    while waiting:
        for name in needed_libraries(waiting.pop()):
            path = None if name in found else toolchain.library(name)
            if name not in found and path is None:
                raise RunnerBuildError(f"the cross compiler has no {name}", remedy="install its C and C++ libraries")
            if path is not None:
                found[name] = path
                waiting.append(path)
    return [found[name] if found[name].name == name else _named(found[name], name, build) for name in found]


def _named(path: Path, name: str, build: Path) -> Path:
    """A library under the name that programs ask for, where its file has another (libstdc++.so.6.0.30)."""
    copy = build / "libraries" / name
    copy.parent.mkdir(exist_ok=True)
    shutil.copyfile(path, copy)
    return copy


def _start(program: str, loader: str) -> list[str]:
    if not loader:
        return [f"{FOLDER}/{program}"]
    return [f"{FOLDER}/{loader}", "--library-path", FOLDER, f"{FOLDER}/{program}"]


def _copied(bundle: Bundle, output: Path) -> Bundle:
    """The bundle in a folder of the user's, which holds nothing else afterwards."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        if any(output.iterdir()):
            if not (output / MANIFEST).is_file():
                raise OutputError("the folder is not empty, and no bundle", path=output, remedy="give another -o")
            _remove_old(output)
        for file in bundle.files:
            shutil.copy(bundle.folder / file.name, output / file.name)
        shutil.copy(bundle.folder / MANIFEST, output / MANIFEST)
    except OSError as error:
        raise OutputError(f"cannot write there: {error.strerror or error}", path=output) from error
    return read_bundle(output)


def _remove_old(output: Path) -> None:
    """Takes away an older bundle's files and no others."""
    for file in read_bundle(output).files:
        (output / file.name).unlink()
    (output / MANIFEST).unlink()
