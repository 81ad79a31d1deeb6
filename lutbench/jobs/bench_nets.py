"""What `bench` is asked to time: a net as a user wrote it, the artifact it becomes, and what is known of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lutbench.errors import ExportError, UsageError
from lutbench.events import Report
from lutbench.export.artifact import Artifact, ModelInput
from lutbench.export.cache import ArtifactCache
from lutbench.export.exporters import Exporter
from lutbench.export.model_files import (
    DTYPE_OF_FILE,
    ReadModel,
    is_model_file,
    prepare_model,
    read_model,
    runtime_of,
)
from lutbench.export.onnx_counts import Counts, count_onnx
from lutbench.files import default_cache_folder
from lutbench.jobs.artifacts import export_workloads
from lutbench.jobs.model_options import InputOptions
from lutbench.space.factory import FactoryNet, parse_factory_net
from lutbench.space.graph import Model
from lutbench.space.macro import Space
from lutbench.space.net import Net
from lutbench.space.operator import Operator
from lutbench.space.workload import workload_name
from lutbench.space.zoo import find_whole_net

WholeNet = Net | Model | FactoryNet  # what the exporters make artifacts of
Wanted = WholeNet | Path  # Path: a model's file


def _model_file(text: str, spaces: tuple[Space, ...]) -> Wanted | None:
    del spaces
    return Path(text) if is_model_file(text) else None


def _factory(text: str, spaces: tuple[Space, ...]) -> Wanted | None:
    del spaces
    return parse_factory_net(text)


# each gives what a text stands for, or None where it is not of its kind; the last one raises UsageError
_KINDS: tuple[Callable[[str, tuple[Space, ...]], Wanted | None], ...] = (_model_file, _factory, find_whole_net)


def parse_net_text(text: str, spaces: tuple[Space, ...]) -> Wanted:
    """What a net's text on the command line stands for; UsageError where it stands for nothing."""
    return next(wanted for kind in _KINDS if (wanted := kind(text.strip(), spaces)) is not None)


@dataclass(frozen=True)
class BenchNet:
    """A net to time.

    artifact: None where it has none, then reason says why.
    """

    text: str
    wanted: Wanted
    artifact: Artifact | None
    reason: str = ""

    @property
    def is_file(self) -> bool:
        return isinstance(self.wanted, Path)

    @property
    def label(self) -> str:
        """The net's name in a table of nets: without the variant, which has columns of its own."""
        return self.text if self.variant is None else re.sub(r"@[\dx.]+$", "", self.text.strip()).strip()

    @property
    def variant(self) -> tuple[int, float] | None:
        """(resolution, width) of a net that has these."""
        match self.wanted:
            case Net(space=space):
                return space.resolution, space.width
            case Model(resolution=resolution, width=width):
                return resolution, width
        return None

    @property
    def key(self) -> str:
        """What find_whole_net finds the net by, whatever the user wrote; "" for files and factories' nets."""
        return self.wanted.key if isinstance(self.wanted, Net | Model) else ""

    @property
    def dtype(self) -> str:
        return self.artifact.dtype if self.artifact else DTYPE_OF_FILE

    def counts(self, batch: int = 1) -> Counts:
        """Multiply-accumulates of one run, on so many images, and parameters.

        Of a file or a factory's net as far as the ONNX file tells.
        """
        if isinstance(self.wanted, Net | Model):
            return Counts(batch * self.wanted.macs, self.wanted.params)
        if self.artifact is None or self.artifact.path.suffix.lower() != ".onnx":
            return Counts(None, None)
        return count_onnx(self.artifact.path, {given.name: given.shape for given in self.inputs})

    @property
    def inputs(self) -> tuple[ModelInput, ...]:
        """What a model's file is timed with; nothing for other nets, whose inputs are their own."""
        use = self.artifact.use if self.artifact else None
        return use.inputs if use else ()


def prepare_nets(
    wanted: dict[str, Wanted],
    canaries: Sequence[Operator],
    exporter: Exporter,
    dtype: str,
    options: InputOptions,
    report: Report,
) -> tuple[list[BenchNet], list[Artifact]]:
    """Every net with its artifact, or why it has none, and the canaries' artifacts.

    wanted: text -> what it stands for. UsageError where options name an input that no file has.
    """
    cache = ArtifactCache(default_cache_folder())
    files = _prepare_files({t: w for t, w in wanted.items() if isinstance(w, Path)}, exporter, options)
    whole = {workload_name(net): net for net in wanted.values() if not isinstance(net, Path)}
    if not whole and not any(net.artifact for net in files.values()):
        return list(files.values()), []
    artifacts, failures = export_workloads([*whole.values(), *canaries], exporter, dtype, cache, report)
    by_name = {artifact.name: artifact for artifact in artifacts}
    reasons = {failure.artifact: failure.reason for failure in failures}
    for canary in canaries:
        if canary.name in reasons:
            raise ExportError(f"the canary cannot be exported: {reasons[canary.name]}", operator=canary.name)
    nets = []
    for text, net in wanted.items():
        if isinstance(net, Path):
            nets.append(files[text])
        else:
            name = workload_name(net)
            nets.append(BenchNet(text, net, by_name.get(name), reasons.get(name, "")))
    return nets, [by_name[canary.name] for canary in canaries]


def _prepare_files(files: dict[str, Path], exporter: Exporter, options: InputOptions) -> dict[str, BenchNet]:
    for text, path in files.items():
        runtime = runtime_of(path)
        if runtime not in (None, exporter.runtime):
            raise UsageError(f"{text} runs with --runtime {runtime}, not {exporter.runtime}")
    found: dict[str, BenchNet] = {}
    models: dict[str, ReadModel] = {}
    for text, path in files.items():
        try:
            models[text] = read_model(path)
        except ExportError as error:
            found[text] = BenchNet(text, path, None, _reason(error))
    inputs = {text: [given.name for given in model.inputs] for text, model in models.items()}
    options.check_used(inputs, all_known=not found)
    for text, model in models.items():
        try:
            artifact = prepare_model(model, options.choices(text, inputs[text]), default_cache_folder(), exporter.batch)
        except ExportError as error:
            found[text] = BenchNet(text, model.path, None, _reason(error))
        else:
            found[text] = BenchNet(text, model.path, artifact)
    return {text: found[text] for text in files}


def _reason(error: ExportError) -> str:
    return f"{error.problem}; {error.remedy}" if error.remedy else error.problem
