"""`lutbench export`: a trained net as files for runtimes; int8 is calibrated with training images, all are tested."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lutbench.errors import CheckpointError, UsageError
from lutbench.events import Note, Report, StepProgress
from lutbench.export.exporters import Exporter, find_exporter
from lutbench.files import check_writable, write_atomically
from lutbench.jobs.export_folder import SUMMARY, ExportFolder
from lutbench.jobs.train import find_trainable
from lutbench.locks import folder_lock
from lutbench.reading.plain import show
from lutbench.space.graph import Model
from lutbench.space.net import Net
from lutbench.space.zoo import retargeted
from lutbench.units import format_percent

if TYPE_CHECKING:
    from torch import Tensor, nn

    from lutbench.export.artifact import Exported
    from lutbench.export.quantisation import Quantisation
    from lutbench.search.data.source import SplitSource

RANDOM_WEIGHTS = "random"
TEST_IMAGES = 1000
_BATCH = 50


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """What to export, and what to judge the files with.

    net: as in TrainRequest.
    weights: a training's checkpoint.pt or weights.pt; None with random_weights only.
    data, resolution: None means those of the training; without weights digits and the net's own resolution.
    test_images: to judge the files with, at most.
    overwrite: files of another export, where the folder holds some.
    """

    net: str
    folder: Path
    weights: Path | None = None
    random_weights: bool = False
    data: str | None = None
    resolution: int | None = None
    runtimes: tuple[str, ...] = ("onnx",)
    dtypes: tuple[str, ...] = ("int8", "fp32")
    test_images: int = TEST_IMAGES
    workers: int | None = None
    skip_broken: bool = False
    overwrite: bool = False


@dataclass(frozen=True)
class File:
    """An exported file.

    accuracy: on the test images.
    agreement: the share of them that get torch's class.

    Both are None where the weights are random.
    """

    path: Path
    runtime: str
    dtype: str
    exported: Exported
    accuracy: float | None
    agreement: float | None


@dataclass(frozen=True)
class Deployed:
    """A net's files, and what they were made and judged with.

    torch_accuracy: in fp32, on the same test_images as the files'.
    calibration_images: of the training set.
    """

    net: Net | Model
    data: str
    calibration_images: int
    test_images: int
    torch_accuracy: float | None
    files: tuple[File, ...]


def deploy(request: ExportRequest, report: Report) -> Deployed:
    """Writes the files and export.json, which says how they are to be fed.

    UsageError where weights are neither given nor to be random, CheckpointError where they are of another net,
    ExportError where a file cannot be made or computes something else.
    """
    exporters = [(find_exporter(runtime, dtype), dtype) for runtime in request.runtimes for dtype in request.dtypes]
    named = find_trainable(request.net)
    if request.weights is None and not request.random_weights:
        raise UsageError(
            "no weights are given",
            remedy="--weights takes what `lutbench train` wrote; --random-weights makes files to time and no more",
        )
    check_writable(request.folder / SUMMARY)
    with folder_lock(request.folder):
        return _deploy(request, named, exporters, report)


def _deploy(
    request: ExportRequest, named: Net | Model, exporters: Sequence[tuple[Exporter, str]], report: Report
) -> Deployed:
    net, module, source = _trained(request, named, report) if request.weights else _random(request, named, report)
    names = [f"{dtype}{exporter.suffix}" for exporter, dtype in exporters]
    folder = ExportFolder(request.folder, _identity(request, net, module, source), names, request.overwrite, report)

    import torch

    from lutbench.nn.workload import Fitted
    from lutbench.search.data.calibration import calibration_images

    images = torch.from_numpy(calibration_images(source))
    made: list[tuple[Exporter, str, Exported]] = []
    for exporter, dtype in exporters:
        report(StepProgress("exporting", len(made), len(exporters), "files", f"now {exporter.runtime} {dtype}"))
        with _no_advice():
            made.append((exporter, dtype, exporter.export(net, dtype, Fitted(module, images))))
    judged = _Judged(0, 0, {})
    if request.weights:
        runs = {position: exporter.open(exported) for position, (exporter, _, exported) in enumerate(made)}
        judged = _judge(module, runs, source, request.test_images, report)
    files = tuple(_written(request.folder, *one, judged.of(position)) for position, one in enumerate(made))
    accuracy = judged.right / judged.images if judged.images else None
    found = Deployed(net, source.name, len(images), judged.images, accuracy, files)
    folder.describe(summary(found, source))
    return found


def _identity(request: ExportRequest, net: Net | Model, module: nn.Module, source: SplitSource) -> dict[str, Any]:
    """What the files of one folder share: of which net, weights and images they are, and how they are fed."""
    mean, std = source.normalisation
    return {
        "net": net.key,
        "input": {"shape": list(net.input_shape), "mean": list(mean), "std": list(std)},
        "weights": f"sha256:{_digest(module)}" if request.weights else RANDOM_WEIGHTS,
        "data": source.name,
    }


def _digest(module: nn.Module) -> str:
    """Of every weight and its name; the same whichever file they were read from."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode() + value.contiguous().numpy().tobytes())
    return digest.hexdigest()


@contextmanager
def _no_advice() -> Iterator[None]:
    """Without what the quantizers advise their callers to do."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _trained(request: ExportRequest, named: Net | Model, report: Report) -> tuple[Net | Model, nn.Module, SplitSource]:
    from lutbench.nn.workload import empty_net
    from lutbench.search.checkpoint import load_weights
    from lutbench.search.data.find import find_data, is_built_in
    from lutbench.search.data.options import DataOptions

    assert request.weights is not None
    weights = load_weights(request.weights)
    if weights.net != named.key:
        raise CheckpointError(f"is of net {weights.net}, not of {named.key}", path=request.weights)
    options = DataOptions(
        request.resolution or weights.resolution,
        weights.classes,
        weights.data_seed,
        request.workers,
        request.skip_broken,
    )
    if not request.data and not is_built_in(weights.data):
        raise UsageError(
            f"its images are {show(weights.data)}, and a path in a file is not followed", path=request.weights,
            remedy="give them as --data",
        )  # fmt: skip
    source = find_data(request.data or weights.data, options, report)
    net = retargeted(named, source.resolution, source.classes)
    module = empty_net(net)
    try:
        module.load_state_dict(weights.state)
    except (RuntimeError, TypeError, AttributeError) as error:  # what torch raises where values are no tensors
        raise CheckpointError("its weights do not fit the net", path=request.weights) from error
    return net, module.eval(), source


def _random(request: ExportRequest, named: Net | Model, report: Report) -> tuple[Net | Model, nn.Module, SplitSource]:
    """The weights that `lutbench bench` times nets with."""
    from lutbench.nn.workload import build_workload
    from lutbench.search.data.find import find_data
    from lutbench.search.data.options import DataOptions

    report(Note("weights are random: the files are good for timing, their classes mean nothing", warning=True))
    resolution = request.resolution or named.input_shape[-1]
    options = DataOptions(resolution, None, 0, request.workers, request.skip_broken)
    source = find_data(request.data or "digits", options, report)
    net = retargeted(named, resolution, _classes(named))
    return net, build_workload(net), source


def _classes(net: Net | Model) -> int:
    return net.space.classes if isinstance(net, Net) else net.graph.nodes[-1].shape[0]


@dataclass
class _Judged:
    """Of the test images: how many, how many torch has right, and for each file how many are right and as torch's."""

    images: int
    right: int
    files: dict[int, tuple[int, int]]

    def of(self, position: int) -> tuple[float | None, float | None]:
        """Accuracy and agreement of a file."""
        if not self.images:
            return None, None
        right, same = self.files[position]
        return right / self.images, same / self.images


def _judge(
    module: nn.Module,
    runs: Mapping[int, Callable[[Tensor], Tensor]],
    source: SplitSource,
    wanted: int,
    report: Report,
) -> _Judged:
    """Every file in its own runtime, beside torch, on the same images."""
    import torch

    judged = _Judged(0, 0, dict.fromkeys(runs, (0, 0)))
    total = min(wanted, source.count("test"))
    for images, labels in source.test_sample(_BATCH, wanted):
        with torch.no_grad():
            chosen = module(images).argmax(1)
        judged.images += len(labels)
        judged.right += int((chosen == labels).sum())
        for position, run in runs.items():
            own = torch.cat([run(image).reshape(1, -1).argmax(1) for image in torch.split(images, 1)])
            right, same = judged.files[position]
            judged.files[position] = right + int((own == labels).sum()), same + int((own == chosen).sum())
        detail = f"torch {format_percent(judged.right / judged.images)}"
        report(StepProgress("testing the files", judged.images, total, "images", detail))
    return judged


def _written(
    folder: Path, exporter: Exporter, dtype: str, exported: Exported, figures: tuple[float | None, float | None]
) -> File:
    path = folder / f"{dtype}{exporter.suffix}"
    write_atomically(path, exported.data)
    return File(path, exporter.runtime_version, dtype, exported, *figures)


def summary(found: Deployed, source: SplitSource) -> dict[str, Any]:
    """What export.json says beside whose files they are: what comes out, how good they are."""
    return {
        "classes": list(source.class_names) if found.torch_accuracy is not None else None,
        "calibration_images": found.calibration_images,
        "test_images": found.test_images,
        "torch_accuracy": found.torch_accuracy,
        "files": [file_summary(file) for file in found.files],
    }


def file_summary(file: File) -> dict[str, Any]:
    exported = file.exported
    return {
        "file": file.path.name,
        "runtime": file.runtime,
        "dtype": file.dtype,
        "bytes": len(exported.data),
        "sha256": hashlib.sha256(exported.data).hexdigest(),
        "input": _meaning(exported.input_quantisation, file.dtype),
        "output": _meaning(exported.output_quantisation, file.dtype),
        "accuracy": file.accuracy,
        "agreement": file.agreement,
        "check_error": exported.check_error,
    }


def _meaning(found: Quantisation | None, dtype: str) -> dict[str, Any]:
    """Of inputs or outputs: real = (integer - zero_point) * scale"""
    if found is None:
        return {"dtype": "float16" if dtype == "fp16" else "float32"}
    return {"dtype": "uint8" if found.low == 0 else "int8", "scale": found.step, "zero_point": found.zero_point}
