"""The exporters by runtime: an explicit table, so that a runtime comes or goes in one line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import cast

from lutbench.errors import UsageError
from lutbench.export.artifact import Exported, Recipe, Subject, subject_name

ExportFunction = Callable[[Subject, str], Exported]


@dataclass(frozen=True)
class Exporter:
    """How a runtime's artifacts are made. function: module:name, imported when first needed, for torch is slow to load.

    revision: raised whenever the exporter's own output changes. packages: whose versions decide the bytes.
    """

    runtime: str
    package: str
    suffix: str
    dtypes: tuple[str, ...]
    function: str
    revision: int
    packages: tuple[str, ...]

    def load(self) -> ExportFunction:
        module, name = self.function.split(":")
        return cast(ExportFunction, getattr(import_module(module), name))

    @property
    def runtime_version(self) -> str:
        """As a LUT names it: onnxruntime 1.31.1."""
        return f"{self.package} {_version(self.package)}"

    def recipe(self, subject: Subject, dtype: str) -> Recipe:
        """What decides the artifact's bytes; needs no torch."""
        versions = {package: _version(package) for package in self.packages}
        return Recipe(subject_name(subject), self.runtime, dtype, {"exporter": str(self.revision), **versions})


EXPORTERS: dict[str, Exporter] = {
    "onnx": Exporter(
        runtime="onnx",
        package="onnxruntime",
        suffix=".onnx",
        dtypes=("int8", "fp32"),
        function="lutbench.export.onnx_export:export_onnx",
        revision=1,
        packages=("torch", "onnx", "onnxruntime"),
    ),
}


def find_exporter(runtime: str, dtype: str) -> Exporter:
    """The exporter of a runtime; UsageError where the runtime or its dtype is not there."""
    if runtime not in EXPORTERS:
        raise UsageError(f"no runtime is called {runtime!r}", remedy=f"there is {', '.join(EXPORTERS)}")
    exporter = EXPORTERS[runtime]
    if dtype not in exporter.dtypes:
        raise UsageError(f"{runtime} has no dtype {dtype!r}", remedy=f"it has {', '.join(exporter.dtypes)}")
    return exporter


def exporter_of(runtime_version: str) -> Exporter:
    """The exporter whose runtime a LUT names (`onnxruntime 1.31.1`); UsageError where this version has none."""
    for exporter in EXPORTERS.values():
        if exporter.package == runtime_version.split(" ")[0]:
            return exporter
    raise UsageError(f"this version cannot measure {runtime_version!r}", remedy=f"it has {', '.join(EXPORTERS)}")


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        raise UsageError(f"the package {package} is not installed", remedy=f"pip install {package}") from None
