"""What `bench` is asked to time: a net as a user wrote it, the artifact it becomes, and what is known of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lutbench.errors import ExportError, UsageError
from lutbench.events import Report
from lutbench.export.artifact import Artifact
from lutbench.export.cache import ArtifactCache
from lutbench.export.exporters import Exporter
from lutbench.export.onnx_counts import Counts, count_onnx
from lutbench.export.onnx_file import DTYPE_OF_FILE, RUNTIME, Shapes, prepare_onnx_file
from lutbench.files import default_cache_folder
from lutbench.jobs.artifacts import export_subjects
from lutbench.space.factory import FactoryNet, parse_factory_net
from lutbench.space.graph import Model
from lutbench.space.macro import Space
from lutbench.space.net import Net
from lutbench.space.operator import Operator
from lutbench.space.subject import subject_name
from lutbench.space.zoo import find_whole_net

WholeNet = Net | Model | FactoryNet  # what the exporters make artifacts of
Wanted = WholeNet | Path  # Path: an ONNX file


def _onnx_file(text: str, spaces: tuple[Space, ...]) -> Wanted | None:
    del spaces
    return Path(text) if text.lower().endswith(".onnx") else None


def _factory(text: str, spaces: tuple[Space, ...]) -> Wanted | None:
    del spaces
    return parse_factory_net(text)


# each gives what a text stands for, or None where it is not of its kind; the last one raises UsageError
_KINDS: tuple[Callable[[str, tuple[Space, ...]], Wanted | None], ...] = (_onnx_file, _factory, find_whole_net)


def parse_net_text(text: str, spaces: tuple[Space, ...]) -> Wanted:
    """What a net's text on the command line stands for; UsageError where it stands for nothing."""
    return next(wanted for kind in _KINDS if (wanted := kind(text.strip(), spaces)) is not None)


@dataclass(frozen=True)
class BenchNet:
    """A net to time. artifact: None where it has none, then reason says why."""

    text: str
    wanted: Wanted
    artifact: Artifact | None
    reason: str = ""

    @property
    def is_file(self) -> bool:
        return isinstance(self.wanted, Path)

    @property
    def label(self) -> str:
        """As a table of nets names it: without the scale, which has columns of its own."""
        return self.text if self.scale is None else re.sub(r"@[\dx.]+$", "", self.text.strip()).strip()

    @property
    def scale(self) -> tuple[int, float] | None:
        """(resolution, width) of a net that has these."""
        match self.wanted:
            case Net(space=space):
                return space.resolution, space.width
            case Model(resolution=resolution, width=width):
                return resolution, width
        return None

    @property
    def dtype(self) -> str:
        return self.artifact.dtype if self.artifact else DTYPE_OF_FILE

    def counts(self, batch: int = 1) -> Counts:
        """Multiply-accumulates of one run, on so many images, and parameters.

        Of a file or a factory's net as far as the ONNX file tells.
        """
        if isinstance(self.wanted, Net | Model):
            return Counts(batch * self.wanted.macs, self.wanted.params)
        if self.artifact is None or self.artifact.runtime != RUNTIME:
            return Counts(None, None)
        return count_onnx(self.artifact.path)


def prepare_nets(
    wanted: dict[str, Wanted],
    canaries: Sequence[Operator],
    exporter: Exporter,
    dtype: str,
    shapes: Shapes,
    report: Report,
) -> tuple[list[BenchNet], list[Artifact]]:
    """Every net with its artifact, or why it has none, and the canaries' artifacts.

    wanted: text -> what it stands for. UsageError where shapes names an input that no file has.
    """
    cache = ArtifactCache(default_cache_folder())
    files = _prepare_files({t: w for t, w in wanted.items() if isinstance(w, Path)}, exporter, shapes, cache)
    whole = {subject_name(net): net for net in wanted.values() if not isinstance(net, Path)}
    if not whole and not any(net.artifact for net in files.values()):
        return list(files.values()), []
    artifacts, failures = export_subjects([*whole.values(), *canaries], exporter, dtype, cache, report)
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
            name = subject_name(net)
            nets.append(BenchNet(text, net, by_name.get(name), reasons.get(name, "")))
    return nets, [by_name[canary.name] for canary in canaries]


def _prepare_files(
    files: dict[str, Path], exporter: Exporter, shapes: Shapes, cache: ArtifactCache
) -> dict[str, BenchNet]:
    if files and exporter.runtime != RUNTIME:
        raise UsageError(f"{next(iter(files))} runs with --runtime {RUNTIME}, not {exporter.runtime}")
    found: dict[str, BenchNet] = {}
    inputs: set[str] = set()
    for text, path in files.items():
        try:
            prepared = prepare_onnx_file(path, shapes, cache, exporter.batch)
        except ExportError as error:
            reason = f"{error.problem}; {error.remedy}" if error.remedy else error.problem
            found[text] = BenchNet(text, path, None, reason)
        else:
            inputs.update(prepared.inputs)
            found[text] = BenchNet(text, path, prepared.artifact)
    unknown = [name for name in shapes if name not in inputs]
    if unknown and all(net.artifact for net in found.values()):
        known = f"they have {', '.join(sorted(inputs))}" if inputs else "there is no ONNX file among the nets"
        raise UsageError(f"--shape {unknown[0]}: no model has an input of this name", remedy=known)
    return found
