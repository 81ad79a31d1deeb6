"""`lutbench runner build` in a terminal."""

from __future__ import annotations

from pathlib import Path

from tests.cli.running import one_line, run


def test_a_target_is_needed_and_known(tmp_path: Path) -> None:
    assert "--target" in one_line(run("runner", "build", cwd=tmp_path), 2)
    assert "android-arm64, android-x86_64, host" in one_line(run("runner", "build", cwd=tmp_path), 2)
    assert "toaster" in one_line(run("runner", "build", "--target", "toaster", cwd=tmp_path), 2)
    assert "lutbench runner --help" in one_line(run("runner", cwd=tmp_path), 2)


def test_an_ndk_that_is_none_is_one_line(tmp_path: Path) -> None:
    arguments = ["--target", "android-arm64", "--ndk", "nowhere", "--libraries", "nowhere"]
    assert "not an Android NDK" in one_line(run("runner", "build", *arguments, cwd=tmp_path), 3)
