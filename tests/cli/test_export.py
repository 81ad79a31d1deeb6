"""The real `lutbench export`: a table, JSON, and errors in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import one_line, run
from tests.jobs.test_export import trained  # noqa: F401 - a fixture
from tests.json_keys import check_keys


def test_export_of_a_trained_net(trained: Path, tmp_path: Path) -> None:  # noqa: F811
    arguments = ["export", str(trained / "net.json"), "--weights", str(trained / "weights.pt"), "--test-images", "40"]
    done = run(*arguments, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    check_keys("export", found)
    assert [file["file"] for file in found["files"]] == ["exported/net/int8.onnx", "exported/net/fp32.onnx"]
    assert found["test_images"] == 40 and found["files"][1]["accuracy"] == found["torch_accuracy"] > 0.6
    assert (tmp_path / "exported/net/export.json").exists() and "WARNING" not in done.stderr
    table = run(*arguments, "--dtype", "fp32", "-o", "out", cwd=tmp_path)
    assert "out/fp32.onnx" in table.stdout and "40 test images" in table.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["fbnet_a"], 2, "no weights are given"),
        (["fbnet_a", "--weights", "none.pt"], 4, "there is no checkpoint"),
        (["fbnet_a", "--random-weights", "--dtype", "int4"], 2, "no dtype 'int4'"),
        (["none.json", "--random-weights"], 4, "no such file"),
    ],
)
def test_errors_are_one_line_with_a_status(arguments: list[str], status: int, text: str, tmp_path: Path) -> None:
    assert text in one_line(run("export", *arguments, cwd=tmp_path), status)
