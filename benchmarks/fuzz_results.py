"""Readers of what lutbench's own commands leave for later ones, and of ONNX files that are blocks of a space."""

from __future__ import annotations

import io
import json
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fuzz_binaries import odd_checkpoint_values
from fuzz_mutate import mutated
from fuzz_reader import Reader

_SPACE = """name = "tiny"\nresolution = 16\nclasses = 4\ncandidates = ["k3_e1", "k3_e2"]\n[stem]\nchannels = 8\n
[[stage]]\nchannels = 8\nlayers = 2\n[head]\nchannels = 16\n"""


def _space() -> Any:
    from lutbench.space.file import parse_space

    return parse_space(_SPACE, Path("tiny.toml"))


def _search_value() -> dict[str, Any]:
    from lutbench.search.dnas import make_supernet, space_identity

    space = _space()
    identity: dict[str, Any] = {"job": "search", "space": space_identity(space), "data": "digits", "weights": "own"}
    identity |= {"resolution": 16, "classes": 4, "data_seed": 0, "epochs": 1, "batch_size": 8}
    state = {"net": make_supernet(space, 4, 16, 0, False).state_dict(), "history": [{"epoch": 0, "loss": 1.5}]}
    return {"lutbench_checkpoint": 2, "identity": identity, "state": state}


def _saved(value: object) -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def _search_seeds(_: Path) -> list[bytes]:
    return [_saved(_search_value())]


def _change_search(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Bytes mutated, or a whole checkpoint with other values inside."""
    if rng.random() < 0.2:
        return mutated(rng.choice(seeds), seeds, rng)
    import torch

    value = torch.load(io.BytesIO(seeds[0]), weights_only=True)
    inner = rng.choice([value["identity"], value["identity"], value["state"], value["state"]["net"]])
    label = value["identity"]["space"]
    odd = [
        *odd_checkpoint_values(),
        label.replace("16x1", rng.choice(("0x0", "99999x9", "16x1.", "16x..", "16x1.1.1"))),
    ]
    inner[rng.choice([*inner, "new"])] = rng.choice(odd)
    return _saved(value)


def _read_search(path: Path) -> None:
    from lutbench.search.checkpoint import CHECKPOINT
    from lutbench.search.finished import read_search

    place = path.parent / CHECKPOINT
    place.write_bytes(path.read_bytes())
    found = read_search(path.parent)
    _ = found.sha256
    found.check_space(_space())
    found.supernet(_space(), "cpu")


def _summary_seeds(folder: Path) -> list[bytes]:
    own = {"net": "n", "input": [1, 3, 8, 8], "weights": "0" * 64, "data": "digits"}
    (folder / "net.onnx").write_bytes(b"x")
    file = {"file": "net.onnx", "sha256": "0" * 64, "runtime": "onnx", "accuracy": 0.5}
    return [json.dumps({**own, "files": [file, file]}, indent=2).encode(), json.dumps({**own, "files": []}).encode()]


def _read_summary(path: Path) -> None:
    from lutbench.jobs.export_folder import SUMMARY, ExportFolder

    folder = path.parent / "export"
    folder.mkdir(exist_ok=True)
    (folder / SUMMARY).write_bytes(path.read_bytes())
    own = {"net": "n", "input": [1, 3, 8, 8], "weights": "0" * 64, "data": "digits"}
    ExportFolder(folder, own, ["net_int8.onnx"], False, lambda _event: None)


def _package_seeds(_: Path) -> list[bytes]:
    from lutbench.nn.coreml_package import pack

    return [pack(b"program" * 20, b"weights" * 100), pack(b"program", b"")]


def _read_package(path: Path) -> None:
    import shutil

    from lutbench.nn.coreml_package import unpack

    place = path.parent / "package"
    try:
        unpack(path.read_bytes(), place)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _block_seeds(folder: Path) -> list[bytes]:
    from tests.export.test_own_file import block

    return [block(folder / f"{n}.onnx", opset=opset).read_bytes() for n, opset in enumerate((14, 17, 20))]


def _change_block(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    from tests.mutated_models import mutated_models

    return mutated_models(rng) if rng.random() < 0.3 else mutated(rng.choice(seeds), seeds, rng)


def _read_block(path: Path) -> None:
    """As an export worker counts it: the file is run, in this process."""
    from lutbench.export.own_file import counted_file
    from lutbench.nn.own_allowed import ALLOWED_VARIABLE
    from lutbench.space.candidate import parse_candidate
    from lutbench.space.operator import block_operator

    os.chdir(path.parent)
    os.environ[ALLOWED_VARIABLE] = path.name
    counted_file(block_operator(parse_candidate(f"onnx_{path.name}"), 8, 6, 6, 8, 1))


RESULTS = (
    Reader("finished-search", ".pt", _search_seeds, _read_search, _change_search),
    Reader("export-summary", ".json", _summary_seeds, _read_summary),
    Reader("coreml-package", ".tar", _package_seeds, _read_package),
    Reader("onnx-block", ".onnx", _block_seeds, _read_block, _change_block),
)
