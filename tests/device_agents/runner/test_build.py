"""Building the runner's bundle."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from lutbench.device_agents.runner.build import build_bundle
from lutbench.device_agents.runner.bundle import MANIFEST, Bundle
from lutbench.device_agents.runner.toolchain import needed_libraries, run_cmake
from lutbench.errors import LutbenchError, OutputError, RunnerBuildError
from tests.device_agents.runner.conftest import need


def test_the_host_bundle_holds_programs_and_libraries(host_bundle: Bundle) -> None:
    names = {file.name for file in host_bundle.files}
    assert {"lutbench-runner", "lutbench-runner-executorch", "libexecutorch.so"} <= names
    assert host_bundle.libraries["onnx"] in names
    for file in host_bundle.files:
        assert os.access(host_bundle.folder / file.name, os.X_OK) == file.executable
    assert "libonnxruntime.so.1" not in needed_libraries(host_bundle.folder / "lutbench-runner")


def test_what_was_built_before_is_taken_from_the_cache(host_bundle: Bundle, runner_cache: Path) -> None:
    said: list[str] = []
    assert build_bundle("host", cache=runner_cache, say=said.append) == host_bundle
    assert said == []


def test_a_bundle_goes_where_it_is_asked_for_and_replaces_an_older_one(
    host_bundle: Bundle, runner_cache: Path, tmp_path: Path
) -> None:
    output = tmp_path / "bundle"
    for _ in range(2):
        copied = build_bundle("host", cache=runner_cache, output=output)
        assert copied.folder == output and copied.files == host_bundle.files
    assert {path.name for path in output.iterdir()} == {file.name for file in copied.files} | {MANIFEST}


def test_a_folder_with_something_else_in_it_is_left_alone(
    host_bundle: Bundle, runner_cache: Path, tmp_path: Path
) -> None:
    del host_bundle
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(OutputError, match="not empty"):
        build_bundle("host", cache=runner_cache, output=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    ("target", "machine", "loader"),
    [
        ("android-arm64", "aarch64", "ld-linux-aarch64.so.1"),
        ("android-x86_64", "x86_64", "ld-linux-x86-64.so.2"),
    ],
)
def test_the_bundle_for_a_phone_is_complete_in_itself(
    target: str, machine: str, loader: str, runner_cache: Path
) -> None:
    """Needs the network where this machine is another, for the wheels of the device."""
    native = platform.machine() == machine
    need("cmake", "make", "g++" if native else f"{machine}-linux-gnu-g++", "readelf")
    bundle = build_bundle(target, cache=runner_cache)
    assert bundle.abi == f"{machine}-linux-gnu" and bundle.libc.startswith("glibc 2.")
    for engine in ("onnx", "executorch"):
        there = {file.name for file in bundle.needed(engine)}
        for name in there:
            assert set(needed_libraries(bundle.folder / name)) <= there, name
        assert bundle.command(engine, "/x")[0] == f"/x/{loader}"


@pytest.mark.parametrize(
    ("target", "said"),
    [("android-arm64", "g++-aarch64-linux-gnu"), ("android-x86_64", "apt install g++"), ("host", "apt install g++")],
)
def test_a_missing_compiler_is_one_line_with_what_to_install(
    target: str, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    with pytest.raises(RunnerBuildError, match=said.replace("+", r"\+")):
        build_bundle(target, cache=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"target": "toaster"}, "no such target"),
        ({"target": "android-arm64", "ndk": Path("x")}, "go together"),
        ({"target": "host", "ndk": Path("x"), "libraries": Path("x")}, "android-arm64 only"),
        ({"target": "android-arm64", "ndk": Path("x"), "libraries": Path("x")}, "not an Android NDK"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments: dict[str, object], said: str, tmp_path: Path) -> None:
    with pytest.raises(LutbenchError, match=said):
        build_bundle(cache=tmp_path, **arguments)  # type: ignore[arg-type]


def test_an_ndk_without_the_vendors_library_says_where_that_is_found(tmp_path: Path) -> None:
    for path in ("build/cmake/android.toolchain.cmake", "toolchains/llvm/prebuilt/linux-x86_64/bin/clang++"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch()
    with pytest.raises(RunnerBuildError, match="AAR"):
        build_bundle("android-arm64", ndk=tmp_path, libraries=tmp_path / "none", cache=tmp_path)


def test_sources_that_do_not_compile_are_one_line_and_a_log(tmp_path: Path) -> None:
    need("cmake", "make", "g++")
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.20)\nproject(x CXX)\nadd_executable(x x.cpp)\n"
    )
    (tmp_path / "x.cpp").write_text("int main() { return nothing; }\n")
    with pytest.raises(RunnerBuildError, match=r"error: .nothing. was not declared") as raised:
        run_cmake(tmp_path, tmp_path / "build", [], tmp_path / "log")
    assert str(tmp_path / "log") in str(raised.value)
    (tmp_path / "CMakeLists.txt").write_text('message(FATAL_ERROR "a header is missing")\n')
    with pytest.raises(RunnerBuildError, match="a header is missing"):
        run_cmake(tmp_path, tmp_path / "build", [], tmp_path / "log")
