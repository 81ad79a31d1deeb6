"""A Core ML program as one file: a tar archive of the package that Core ML compiles, the same bytes wherever made.

An .mlpackage is a folder. In it are the program, a file of its weights, and a note that names both.
"""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
import uuid
from pathlib import Path
from typing import Any

from lutbench.errors import ExportError
from lutbench.private.coreml_calls import read

_DATA = "Data/com.apple.CoreML"
PROGRAM, WEIGHTS, MANIFEST = f"{_DATA}/model.mlmodel", f"{_DATA}/weights/weight.bin", "Manifest.json"
_FILES = (MANIFEST, PROGRAM, WEIGHTS)
_AUTHOR = "com.apple.CoreML"
_MOST_BYTES = 2 << 30


def pack(program: bytes, weights: bytes) -> bytes:
    """The archive; no weights where the program has none that stand in a file."""
    contents = {MANIFEST: _manifest(bool(weights)), PROGRAM: program} | ({WEIGHTS: weights} if weights else {})
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in contents.items():
            entry = tarfile.TarInfo(name)  # of nobody, and of 1970
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return file.getvalue()


def unpack(data: bytes, folder: Path) -> Path:
    """Writes the package that an archive holds into a folder, which it returns; ExportError where it holds none."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            contents = {entry.name: archive.extractfile(entry) for entry in archive if entry.size <= _MOST_BYTES}
            found = {name: file.read() for name, file in contents.items() if file is not None}
    except (tarfile.TarError, EOFError) as error:
        raise ExportError(f"it is no archive of a Core ML package: {error}") from error
    if not {MANIFEST, PROGRAM} <= set(found) <= set(_FILES):
        raise ExportError(f"its archive holds {', '.join(sorted(found)) or 'nothing'}, not a Core ML package")
    for name, content in found.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return folder


def read_package(data: bytes) -> Any:
    """The program that an archive's package holds, as coremltools has it in Python."""
    with tempfile.TemporaryDirectory(prefix="lutbench-") as folder:
        return read(unpack(data, Path(folder) / "model.mlpackage"))


def _manifest(has_weights: bool) -> bytes:
    """As coremltools writes it, which draws its identifiers by chance."""
    items = {"model.mlmodel": ("CoreML Model Specification", f"{_AUTHOR}/model.mlmodel")}
    if has_weights:
        items["weights"] = ("CoreML Model Weights", f"{_AUTHOR}/weights")
    entries = {
        str(uuid.uuid5(uuid.NAMESPACE_URL, place)): {
            "author": _AUTHOR, "description": description, "name": name, "path": place,
        }
        for name, (description, place) in items.items()
    }  # fmt: skip
    about = {"fileFormatVersion": "1.0.0", "itemInfoEntries": entries, "rootModelIdentifier": next(iter(entries))}
    return (json.dumps(about, indent=4) + "\n").encode()
