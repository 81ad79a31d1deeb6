"""The exporters by runtime: an explicit table, so that a runtime comes or goes in one line."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lutbench.errors import ExportError, UsageError
from lutbench.export.artifact import Exported, Recipe
from lutbench.lut.runtime_name import RuntimeName
from lutbench.space.workload import Workload, operators_of, workload_name

if TYPE_CHECKING:
    from torch import Tensor

    from lutbench.nn.workload import Fitted

ExportFunction = Callable[..., Exported]
Run = Callable[["Tensor"], "Tensor"]


@dataclass(frozen=True)
class Exporter:
    """The way in which a runtime's artifacts are made.

    function: module:name, imported when first needed, for torch is slow to load.
    opener: the same, of what makes an artifact ready to compute.
    revision: raised whenever the exporter's own output changes.
    packages: whose versions decide the bytes.
    delegate: what inside the runtime computes, where it has a name of its own.
    engines: of which one computes, `engine`; its function then takes it as a third argument.
    engine_dtypes: of which that is so.
    batch: images that an artifact takes at once.
    by_chains: whether a call costs more than most operators, so that chains of copies are timed (measure/chains).
    """

    runtime: str
    package: str
    suffix: str
    dtypes: tuple[str, ...]
    function: str
    revision: int
    packages: tuple[str, ...]
    opener: str
    delegate: str = ""
    engines: tuple[str, ...] = ()
    engine_dtypes: tuple[str, ...] = ()
    engine: str = ""
    batch: int = 1
    by_chains: bool = False

    def export(self, workload: Workload, dtype: str, fitted: Fitted | None = None) -> Exported:
        """The workload's checked artifact; ExportError where it cannot be made or is wrong.

        fitted: its weights and real images; none means random ones, seeded by its name, for latency needs no others.
        """
        self._check_files(workload)
        function: ExportFunction = _imported(self.function)
        return function(workload, dtype, *([self.engine] if self.engine else []), fitted=fitted, batch=self.batch)

    def _check_files(self, workload: Workload) -> None:
        """ExportError for a block that is a file of another runtime's."""
        for operator in operators_of(workload):
            if operator.of_kind.file not in ("", self.suffix):
                raise ExportError(
                    f"{operator.kind} blocks are {operator.of_kind.file} files, which {self.runtime} does not run",
                    operator=workload_name(workload),
                )

    def open(self, exported: Exported) -> Run:
        """The artifact in its runtime, one thread: (batch, 3, R, R) -> (batch, classes), real numbers on both sides."""
        opened: Run = _imported(self.opener)(exported)
        return opened

    @property
    def runtime_version(self) -> str:
        """The runtime with its version, as a LUT names it: onnxruntime 1.31.1, executorch 1.5.1 (xnnpack)."""
        return str(RuntimeName(self.package, _version(self.package), self.engine or self.delegate))

    def recipe(self, workload: Workload, dtype: str) -> Recipe:
        """What decides the artifact's bytes; needs no torch."""
        versions = {package: _version(package) for package in self.packages}
        engine = {"engine": self.engine} if self.engine else {}
        batch = {"batch": str(self.batch)} if self.batch > 1 else {}
        versions |= {"exporter": str(self.revision), **engine, **batch}
        return Recipe(workload_name(workload), self.runtime, dtype, versions)


EXPORTERS: dict[str, Exporter] = {
    "onnx": Exporter(
        runtime="onnx",
        package="onnxruntime",
        suffix=".onnx",
        dtypes=("int8", "fp32"),
        function="lutbench.export.onnx_export:export_onnx",
        revision=1,
        packages=("torch", "onnx", "onnxruntime"),
        opener="lutbench.export.onnx_export:open_onnx",
    ),
    "executorch": Exporter(
        runtime="executorch",
        package="executorch",
        suffix=".pte",
        dtypes=("int8", "fp32"),
        function="lutbench.export.executorch_export:export_executorch",
        revision=1,
        packages=("torch", "torchao", "executorch"),
        opener="lutbench.export.executorch_export:open_executorch",
        delegate="xnnpack",
    ),
    "torchscript": Exporter(
        runtime="torchscript",
        package="torch",
        suffix=".pt",
        dtypes=("int8", "fp32"),
        function="lutbench.export.torchscript_export:export_torchscript",
        revision=2,
        packages=("torch",),
        opener="lutbench.export.torchscript_export:open_torchscript",
        engines=("x86", "onednn", "qnnpack"),
        engine_dtypes=("int8",),
    ),
    "coreml": Exporter(
        runtime="coreml",
        package="coremltools",
        suffix=".mlpackage.tar",
        dtypes=("fp16", "fp32"),
        function="lutbench.export.coreml_export:export_coreml",
        revision=1,
        packages=("torch", "coremltools"),
        opener="lutbench.export.coreml_export:open_coreml",
        engines=("coreml-cpu", "coreml-ane", "coreml-gpu"),
        engine_dtypes=("fp16", "fp32"),
        by_chains=True,
    ),
}
LARGEST_BATCH = 1024
ENGINES_HELP = (
    "Compute with this part of the runtime: "
    + "; ".join(
        f"{', '.join(e.engines)} ({e.runtime} {' and '.join(e.engine_dtypes)})" for e in EXPORTERS.values() if e.engines
    )
    + ". [default: torchscript: this machine's fastest; coreml: coreml-cpu]"
)


def find_exporter(runtime: str, dtype: str, engine: str = "", batch: int = 1) -> Exporter:
    """The exporter of a runtime; UsageError where the runtime, its dtype or its engine is not there.

    engine: none means the machine's default, for a runtime that has several.
    batch: of images, as in Exporter.
    """
    check_batch(batch)
    if runtime not in EXPORTERS:
        raise UsageError(f"no runtime is called {runtime!r}", remedy=f"there is {', '.join(EXPORTERS)}")
    exporter = EXPORTERS[runtime]
    if dtype not in exporter.dtypes:
        raise UsageError(f"{runtime} has no dtype {dtype!r}", remedy=f"it has {', '.join(exporter.dtypes)}")
    engines = exporter.engines if dtype in exporter.engine_dtypes else ()
    if engine and engine not in engines:
        known = f"it has {', '.join(engines)}" if engines else "leave --engine out"
        raise UsageError(f"{runtime} {dtype} has no engine {engine!r}", remedy=known)
    return replace(exporter, engine=(engine or _default_engine(exporter)) if engines else "", batch=batch)


def _default_engine(exporter: Exporter) -> str:
    return default_torch_engine() if exporter.package == "torch" else exporter.engines[0]


def check_times_nets(exporter: Exporter) -> None:
    """UsageError for a runtime of which lutbench times operators alone."""
    if exporter.by_chains:
        raise UsageError(
            f"{exporter.runtime} is timed by `profile` alone, as chains of operators", remedy="give another --runtime"
        )


def check_batch(batch: int) -> None:
    """UsageError where a batch cannot be of so many images."""
    if not 1 <= batch <= LARGEST_BATCH:
        raise UsageError(f"a batch of {batch} images cannot be timed", remedy=f"it is between 1 and {LARGEST_BATCH}")


def default_torch_engine() -> str:
    """torch's quantised engine: the fastest of those right on this machine (docs/reference/runtimes.md: figures)."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return "qnnpack"
    return "onednn" if "vnni" in _cpu_flags() else "x86"  # without VNNI, onednn's 8-bit sums can overflow


def _cpu_flags() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    return next((line for line in lines if line.startswith("flags")), "")


def exporter_of(runtime_version: str, batch: int = 1) -> Exporter:
    """The exporter whose runtime a LUT names (`torch 2.13.0 (x86)`); UsageError where this version has none."""
    name = RuntimeName.parse(runtime_version)
    for exporter in EXPORTERS.values():
        if exporter.package == name.package and name.inside in (*exporter.engines, exporter.delegate):
            return replace(exporter, engine=name.inside if exporter.engines else "", batch=batch)
    raise UsageError(f"this version cannot measure {runtime_version!r}", remedy=f"it has {', '.join(EXPORTERS)}")


def _imported(place: str) -> Any:
    module, name = place.split(":")
    return getattr(import_module(module), name)


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        raise UsageError(f"the package {package} is not installed", remedy=f"pip install {package}") from None
