"""Readers of what is no text or has checksums: models, images, checkpoints, the runner's records."""

from __future__ import annotations

import contextlib
import io
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fuzz_mutate import mutated
from fuzz_reader import ROOT, Reader

from lutbench.errors import LutbenchError
from lutbench.measure.protocol import Batch, Canary, Cycle

_CANARY = Canary("canary", "op", 1, 0.04)


def _records_seeds(_: Path) -> list[bytes]:
    from tests.device_agents.runner.test_records import RECORDS

    return [b"".join(_record_line(json.dumps(record).encode()) for record in RECORDS)]


def _record_line(text: bytes) -> bytes:
    import zlib

    return text + b"\t%08x\n" % zlib.crc32(text)


def _change_records(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Mutated records whose checksums are right mostly, for the checksum alone would refuse all."""
    if rng.random() < 0.2:
        return mutated(rng.choice(seeds), seeds, rng)
    texts = [line.rpartition(b"\t")[0] for line in rng.choice(seeds).splitlines()]
    place = rng.randrange(len(texts))
    texts[place] = mutated(texts[place], texts, rng).replace(b"\n", b" ")
    return b"".join(_record_line(text) for text in texts)


def _read_records(path: Path) -> None:
    from lutbench.device_agents.runner.records import read_records

    batch = Batch((Cycle(("a",), 0, 0, 2, "canary"), Cycle(("a",), 0, 0, 2, "canary")), (_CANARY,))
    found = read_records(path.read_bytes())
    _ = found.culprit, found.complete("n")
    list(found.outcomes(batch))


def _ranking_seeds(folder: Path) -> list[bytes]:
    from lutbench.search.scores import Scores
    from lutbench.search.train import Score

    kept = Scores(folder / "seed.jsonl", _RANKING)
    for number in range(4):
        kept.keep(f"k3_e1,k5_e{number}", Score(1.5 + number, 0.25, 100))
    return [(folder / "seed.jsonl").read_bytes()]


def _change_ranking(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Bytes mutated, or a record with other values inside and its checksum right."""
    from lutbench.measure.journal_lines import sealed, seed_of

    if rng.random() < 0.4:
        return mutated(rng.choice(seeds), seeds, rng)
    header, *lines = rng.choice(seeds).splitlines(keepends=True)
    record = {"net": "k3_e1", "loss": 1.5, "accuracy": 0.5, "images": 100}
    odd = [*(value for value in _SCALARS if value != 10**5000), [], {}, [[]], "1" * 5000, "1e9", "0x1", 1e300]
    for _ in range(rng.choice((1, 1, 2))):
        record[rng.choice([*record, "new"])] = rng.choice(odd)  # type: ignore[assignment]
    lines.insert(rng.randrange(len(lines)), sealed(record, seed_of(_RANKING)))
    return b"".join((header, *lines))


def _read_ranking(path: Path) -> None:
    from lutbench.search.scores import Scores

    for identity in (_RANKING, {"supernet": "other"}):
        _ = Scores(path, identity).get("k3_e1")


_RANKING = {"supernet": "0" * 64, "images": 100, "views": 1}
_SCALARS: list[object] = [
    None,
    True,
    0,
    -1,
    1 << 70,
    10**5000,
    1.5,
    float("nan"),
    float("inf"),
    "",
    "x" * 5000,
    "\ud800",
]


def _checkpoint_seeds(_: Path) -> list[bytes]:
    return [_checkpoint(_checkpoint_value())]


def _checkpoint_value() -> dict[str, Any]:
    import torch

    identity = {"job": "train", "net": "n", "data": "digits", "resolution": 8, "classes": 10, "data_seed": 0}
    state = {"net": {"w": torch.zeros(2, 3), "b": torch.ones(2)}, "history": [{"epoch": 0, "loss": 1.5}], "best": 0.5}
    return {"lutbench_checkpoint": 2, "identity": identity, "state": state}


def _checkpoint(value: object) -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def odd_checkpoint_values() -> list[Any]:
    """What a checkpoint of lutbench's holds nowhere, or elsewhere."""
    import torch

    tensors = [torch.zeros(0), torch.zeros(3, dtype=torch.int64), torch.zeros(2, 3).to_sparse(), torch.tensor(1j)]
    plain: list[Any] = [[], {}, (), {"a": {"b": []}}, {1: 2}, [[[[]]]], set(), b"x"]
    return [*_SCALARS, *tensors, *plain, torch.Size([1]), torch.int8]


def _change_checkpoint(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Bytes mutated, or a whole checkpoint with other values inside."""
    if rng.random() < 0.5:
        return mutated(rng.choice(seeds), seeds, rng)
    value = _checkpoint_value()
    odd = odd_checkpoint_values()
    for _ in range(rng.choice((1, 1, 2, 4))):
        inner: Any = rng.choice([value, value["identity"], value["state"], value["state"]])
        if not isinstance(inner, dict):
            break
        inner[rng.choice([*inner, "new", 3])] = rng.choice(odd)
        if not isinstance(value.get("identity"), dict) or not isinstance(value.get("state"), dict):
            break
    return _checkpoint(value)


def _read_checkpoint(path: Path) -> None:
    from lutbench.search.checkpoint import load_checkpoint, load_weights

    for load in (load_weights, lambda p: load_checkpoint(p, _checkpoint_value()["identity"])):
        try:
            load(path)
        except LutbenchError:
            continue


def _onnx_seeds(folder: Path) -> list[bytes]:
    from tests import onnx_models

    made = [
        onnx_models.convolution(folder / "a.onnx"),
        onnx_models.convolution(folder / "b.onnx", ("n", 3, 8, 8)),
        onnx_models.tokens(folder / "c.onnx"),
    ]
    return [path.read_bytes() for path in made]


def _change_onnx(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """A model whose parts were exchanged, or whose bytes were changed."""
    from tests.mutated_models import mutated_models

    return mutated_models(rng) if rng.random() < 0.7 else mutated(rng.choice(seeds), seeds, rng)


def _read_onnx(path: Path) -> None:
    from tests.mutated_models import read_as_bench_does

    read_as_bench_does(path)


def _bundle_seeds(folder: Path) -> list[bytes]:
    from lutbench.device_agents.runner.bundle import Bundle, describe_file, write_manifest

    (folder / "runner").write_bytes(b"program")
    files = (describe_file(folder / "runner", ("onnx",), executable=True),)
    write_manifest(Bundle(folder, "host", "x86_64", "2.36", "1", {"onnx": "onnxruntime 1"}, {"onnx": ["x"]}, {}, files))
    return [(folder / "manifest.json").read_bytes()]


def _read_bundle(path: Path) -> None:
    from lutbench.device_agents.runner.bundle import read_bundle

    (path.parent / "manifest.json").write_bytes(path.read_bytes())
    bundle = read_bundle(path.parent)
    for engine in bundle.runtimes:
        _ = bundle.needed(engine), bundle.digest(engine)
        if engine in bundle.start:
            bundle.command(engine, "/x")


def _pte_seeds(_: Path) -> list[bytes]:
    return [(ROOT / "tests" / "models" / "three_inputs.pte").read_bytes()]


def _ort_seeds(folder: Path) -> list[bytes]:
    from tests import onnx_models

    made = [
        onnx_models.convolution(folder / "a.onnx"),
        onnx_models.convolution(folder / "b.onnx", ("n", 3, 8, 8)),
        onnx_models.tokens(folder / "c.onnx"),
    ]
    return [onnx_models.ort_format(path).read_bytes() for path in made]


def _change_tables(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """A flatbuffer whose offsets and sizes were changed, which mutated bytes alone seldom reach."""
    if rng.random() < 0.5:
        return mutated(rng.choice(seeds), seeds, rng)
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 2, 5))):
        width = rng.choice((1, 2, 4, 8))
        place = rng.randrange(0, len(data) - width, width)
        number = rng.choice(
            [0, 1, 2, 4, 0x7F, 0x80, (1 << 8 * width) - 1, 1 << (8 * width - 1), rng.randrange(1 << 16)]
        )
        data[place : place + width] = (number % (1 << 8 * width)).to_bytes(width, "little")
    return bytes(data)


def _read_flat(path: Path) -> None:
    from lutbench.export.model_files import prepare_model, read_model
    from lutbench.export.model_inputs import Choices

    model = read_model(path)
    open_sizes = {one.name: (1,) * len(one.sizes) for one in model.inputs if one.sizes and "length" in one.sizes}
    prepare_model(model, Choices(open_sizes), path.parent / "cache")


def _npy_seeds(_: Path) -> list[bytes]:
    import numpy as np

    arrays = [np.arange(12.0).reshape(3, 4), np.array([7]), np.zeros((0, 3), np.int8), np.ones(5, ">i4"), np.float16(3)]
    seeds = []
    for array in arrays:
        buffer = io.BytesIO()
        np.save(buffer, array)
        seeds.append(buffer.getvalue())
    return seeds


def _read_npy(path: Path) -> None:
    from lutbench.export.model_inputs import Choices, Declared, choose_inputs

    for kind in ("float32", "int64", "bool"):
        with contextlib.suppress(LutbenchError):
            declared = (Declared("x", kind, ("n", "m")),)
            choose_inputs(Path("m.onnx"), declared, Choices(files={"x": path}), path.parent / "cache")


def _image_seeds(_: Path) -> list[bytes]:
    import numpy as np
    from PIL import Image

    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 52, 3), np.uint8))
    seeds = []
    for kind, options in [*_IMAGE_KINDS, ("PNG", {"pnginfo": _png_text()})]:
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        seeds.append(buffer.getvalue())
    for mode in ("L", "P", "1", "LA", "CMYK", "I;16"):
        buffer = io.BytesIO()
        (image.convert("I").convert(mode) if mode == "I;16" else image.convert(mode)).save(
            buffer, "TIFF" if mode in ("CMYK", "I;16") else "PNG"
        )
        seeds.append(buffer.getvalue())
    return seeds


_IMAGE_KINDS: list[tuple[str, dict[str, Any]]] = [
    ("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("WEBP", {}), ("WEBP", {"lossless": True}), ("BMP", {}),
    ("GIF", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("TIFF", {"compression": "jpeg"}), ("PPM", {}),
]  # fmt: skip


def _png_text() -> Any:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("comment", "x" * 300, zip=True)
    return info


def _read_image(path: Path) -> None:
    from lutbench.search.data.folder import _NameFile, _OpenFile
    from lutbench.search.data.images import DecodedImages

    images = DecodedImages(_OpenFile((path,)), _NameFile((path,)), workers=0, size=32)
    images.side(0)
    next(images.read([[0]]))  # type: ignore[list-item]


def _arrow_seeds(folder: Path) -> list[bytes]:
    import datasets
    import numpy as np
    from PIL import Image

    datasets.disable_progress_bars()
    kinds = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["dark", "light"])})
    pixels = [np.full((8, 9, 3), 30 + 200 * (n % 2) + n, np.uint8) for n in range(20)]
    rows = {"image": [Image.fromarray(p) for p in pixels], "label": [n % 2 for n in range(20)]}
    table = datasets.Dataset.from_dict(rows, features=kinds)
    table.save_to_disk(folder / "set")
    return [next((folder / "set").glob("*.arrow")).read_bytes()]


def _read_arrow(path: Path) -> None:
    import os

    from lutbench.search.data.find import find_data
    from lutbench.search.data.options import DataOptions

    os.environ["LUTBENCH_CACHE"] = str(path.parent / "cache")
    source = find_data(f"hf:{path}", DataOptions(resolution=16, workers=0))
    list(source.test_batches(4))


def _idx_seeds(folder: Path) -> list[bytes]:
    import gzip

    del folder
    images = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (20, 9, 8)) + bytes(range(240)) * 6
    return [images, gzip.compress(images)]


def _read_idx(path: Path) -> None:
    from lutbench.search.data.idx import _images

    _images(path)


BINARIES = (
    Reader("records", ".txt", _records_seeds, _read_records, _change_records),
    Reader("checkpoint", ".pt", _checkpoint_seeds, _read_checkpoint, _change_checkpoint),
    Reader("ranking", ".jsonl", _ranking_seeds, _read_ranking, _change_ranking),
    Reader("onnx", ".onnx", _onnx_seeds, _read_onnx, _change_onnx),
    Reader("bundle", "-manifest.json", _bundle_seeds, _read_bundle),
    Reader("pte", ".pte", _pte_seeds, _read_flat, _change_tables),
    Reader("ort", ".ort", _ort_seeds, _read_flat, _change_tables),
    Reader("npy", ".npy", _npy_seeds, _read_npy),
    Reader("image", ".jpg", _image_seeds, _read_image),
    Reader("idx", "-idx3-ubyte", _idx_seeds, _read_idx),
    Reader("arrow", ".arrow", _arrow_seeds, _read_arrow),
)
