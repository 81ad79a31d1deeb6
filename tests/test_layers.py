"""Each layer imports only from those above it in the design's list."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# folder of the repository -> what it is imported as
PACKAGES = {"lutbench": "lutbench", "device_agents": "lutbench.device_agents", "search": "lutbench.search"}

# top to bottom; a module may import from its own line and those before it, but for what FORBIDDEN says
LAYERS = [
    ["lutbench.errors", "lutbench", "lutbench.units", "lutbench.files", "lutbench.shown", "lutbench.closing"],
    ["lutbench.reading"],
    ["lutbench.events", "lutbench.streams"],
    ["lutbench.children", "lutbench.locks", "lutbench.tied"],
    ["lutbench.space"],
    ["lutbench.measure"],
    ["lutbench.private"],
    ["lutbench.lut"],
    ["lutbench.nn"],
    ["lutbench.export"],
    ["lutbench.report"],
    ["lutbench.device_agents"],
    ["lutbench.search"],
    ["lutbench.jobs"],
    ["lutbench.interface", "lutbench.cli", "lutbench.__main__"],
]
HEAVY = {
    "torch",
    "torchao",
    "lightning_fabric",
    "onnx",
    "onnxruntime",
    "executorch",
    "adb_shell",
    "adbutils",
    "usb1",
    "nacl",
    "pandas",
    "matplotlib",
    "scipy",
    "kornia",
    "sklearn",
    "datasets",
}
# torch code through and through: whoever imports one of these is about to run it
HEAVY_ALLOWED = (
    "lutbench.nn",
    "lutbench.private.coreml_calls",
    "lutbench.private.torch_calls",
    "lutbench.export.coreml_export",
    "lutbench.export.onnx_export",
    "lutbench.export.onnx_integers",
    "lutbench.export.own_file",
    "lutbench.export.executorch_export",
    "lutbench.export.torchscript_export",
    "lutbench.search.ahead",
    "lutbench.search.block",
    "lutbench.search.checkpoint",
    "lutbench.search.checkpoint_values",
    "lutbench.search.composed",
    "lutbench.search.data.augment",
    "lutbench.search.data.images",
    "lutbench.search.data.source",
    "lutbench.search.depthwise",
    "lutbench.search.derive",
    "lutbench.search.dnas",
    "lutbench.search.hardware",
    "lutbench.search.epochs",
    "lutbench.search.finals",
    "lutbench.search.finders",
    "lutbench.search.finished",
    "lutbench.search.fused",
    "lutbench.search.gates",
    "lutbench.search.initial",
    "lutbench.search.judged",
    "lutbench.search.masked",
    "lutbench.search.masked_block",
    "lutbench.search.objective",
    "lutbench.search.pointwise",
    "lutbench.search.resolutions",
    "lutbench.search.running",
    "lutbench.search.scorers",
    "lutbench.search.scores",
    "lutbench.search.seeding",
    "lutbench.search.supernet",
    "lutbench.search.stops",
    "lutbench.search.tally",
    "lutbench.search.train",
)


def modules() -> dict[str, Path]:
    found = {}
    for folder, package in PACKAGES.items():
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            found[".".join((package, *(parts[:-1] if parts[-1] == "__init__" else parts)))] = path
    return found


MODULES = modules()


def layer_of(module: str) -> int:
    best = max(
        (
            (len(prefix), number)
            for number, prefixes in enumerate(LAYERS)
            for prefix in prefixes
            if module == prefix or (module.startswith(prefix + ".") and prefix != "lutbench")
        ),
        default=None,
    )
    assert best is not None, f"{module} is in no layer: add it to LAYERS"
    return best[1]


@functools.cache
def imports(path: Path, top_level_only: bool = False) -> list[str]:
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    found = []
    for node in nodes:
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
            found += [name for a in node.names if (name := f"{node.module}.{a.name}") in MODULES]
    return found


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_only_from_layers_above(module: str) -> None:
    own = layer_of(module)
    below = [name for name in imports(MODULES[module]) if name in MODULES and layer_of(name) > own]
    assert not below, f"{module} imports {below}, which are below it"


@pytest.mark.parametrize("module", sorted(name for name in MODULES if name.startswith("lutbench.space")))
def test_space_uses_the_standard_library_only(module: str) -> None:
    import sys

    outside = [
        name
        for name in imports(MODULES[module])
        if name.split(".")[0] not in sys.stdlib_module_names and not name.startswith("lutbench")
    ]
    assert not outside


@pytest.mark.parametrize("module", sorted(MODULES))
def test_heavy_packages_are_imported_where_they_are_used(module: str) -> None:
    if module.startswith(HEAVY_ALLOWED):
        return
    heavy = [name for name in imports(MODULES[module], top_level_only=True) if name.split(".")[0] in HEAVY]
    assert not heavy, f"{module} imports {heavy} at its top"


def test_the_host_worker_and_the_exporters_do_not_import_each_other() -> None:
    exporters = [name for name in MODULES if name.startswith("lutbench.export")]
    assert not [m for m in exporters for name in imports(MODULES[m]) if name.startswith("lutbench.device_agents")]
    agents = [name for name in MODULES if name.startswith("lutbench.device_agents")]
    allowed = {"lutbench.export.artifact"}  # the contract between the two
    assert not [
        (m, n) for m in agents for n in imports(MODULES[m]) if n.startswith("lutbench.export") and n not in allowed
    ]


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """A path of imports that comes back to where it began, for each module that has one."""

    def back_to(start: str, here: str, way: list[str], seen: set[str]) -> list[str]:
        for other in sorted(graph[here]):
            if other == start:
                return [*way, other]
            if other in graph and other not in seen:
                seen.add(other)
                if found := back_to(start, other, [*way, other], seen):
                    return found
        return []

    return [found for module in graph if (found := back_to(module, module, [module], set()))]


def test_circles_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert circles({"a": {"b", "x"}, "b": {"c"}, "c": {"b"}}) == [["b", "c", "b"], ["c", "b", "c"]]
    assert circles({"a": {"a"}}) == [["a", "a"]]


def test_modules_import_each_other_in_no_circle() -> None:
    """Neither at their top nor in a function, nor for types alone: a table of engines is above the engines' files."""
    assert circles({name: set(imports(path)) for name, path in MODULES.items()}) == []
