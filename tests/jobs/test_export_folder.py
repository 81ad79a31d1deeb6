"""An export.json that names what cannot be a file's name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lutbench.events import Event
from lutbench.jobs.export_folder import SUMMARY, ExportFolder

OWN = {"net": "n", "input": [1, 3, 8, 8], "weights": "0" * 64, "data": "digits"}


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "gone.onnx"])
def test_a_name_that_no_file_has_is_listed_no_more(name: str, tmp_path: Path) -> None:
    (tmp_path / SUMMARY).write_text(json.dumps({**OWN, "files": [{"file": name, "sha256": "0" * 64}]}))
    told: list[Event] = []
    ExportFolder(tmp_path, OWN, ["net_int8.onnx"], False, told.append)
    assert len(told) == 1 and json.loads((tmp_path / SUMMARY).read_text())["files"] == []
