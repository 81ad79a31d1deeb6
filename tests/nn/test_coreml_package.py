from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from lutbench.errors import ExportError
from lutbench.nn.coreml_package import MANIFEST, PROGRAM, WEIGHTS, pack, unpack


def test_a_package_is_the_folder_that_core_ml_compiles(tmp_path: Path) -> None:
    folder = unpack(pack(b"program", b"weights"), tmp_path / "model.mlpackage")
    assert (folder / PROGRAM).read_bytes() == b"program" and (folder / WEIGHTS).read_bytes() == b"weights"
    about = json.loads((folder / MANIFEST).read_text())
    entries = about["itemInfoEntries"]
    assert entries[about["rootModelIdentifier"]]["path"] == "com.apple.CoreML/model.mlmodel"
    assert {entry["path"] for entry in entries.values()} == {
        "com.apple.CoreML/model.mlmodel", "com.apple.CoreML/weights"
    }  # fmt: skip
    assert all((folder / "Data" / entry["path"]).exists() for entry in entries.values())


def test_it_is_the_same_bytes_each_time() -> None:
    assert pack(b"program", b"weights") == pack(b"program", b"weights") != pack(b"program", b"")


def test_a_program_without_weights_names_none(tmp_path: Path) -> None:
    folder = unpack(pack(b"program", b""), tmp_path / "model.mlpackage")
    assert [path.name for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST] == ["model.mlmodel"]
    assert "weights" not in (folder / MANIFEST).read_text()


def archive(*names: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as made:
        for name in names:
            made.addfile(tarfile.TarInfo(name))
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [b"", b"no archive", pack(b"program", b"weights")[:700], archive(), archive(PROGRAM), archive(MANIFEST),
     archive(MANIFEST, PROGRAM, "../../elsewhere"), archive(MANIFEST, PROGRAM, "Data/other")],
)  # fmt: skip
def test_what_is_no_package_is_refused_and_nothing_is_written(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="archive"):
        unpack(data, tmp_path / "in" / "model.mlpackage")
    assert not list(tmp_path.iterdir())
