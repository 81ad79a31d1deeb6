"""Files are opened and parsed in lutbench.reading; what does so elsewhere is listed, with the reason."""

from __future__ import annotations

import ast
from pathlib import Path

import lutbench

ROOT = Path(lutbench.__file__).parent.parent
PARSERS = {"json.loads", "json.load", "tomllib.loads", "tomllib.load", "yaml.safe_load", "yaml.load", "yaml.parse"}
PARSERS |= {"pickle.loads", "pickle.load", "torch.load", "ast.literal_eval"}
OPENERS = {"read_text", "read_bytes"}
NOT_FILES = {
    "os",
    "tarfile",
    "exporter",
    "Image",
}  # whose open() is another: of descriptors, archives, artifacts, pixels
# file -> why it may
ALLOWED = {
    "device_agents/host/agent.py": "a pipe to a process of its own",
    "device_agents/host/worker.py": "a pipe from the process that started it",
    "device_agents/host/environment.py": "the system's own files",
    "device_agents/host/free_cores.py": "the system's own file",
    "device_agents/host/torchscript_engine.py": "an artifact that was exported here and hashed",
    "device_agents/android/install.py": "artifacts and bundles, whose hashes were checked",
    "device_agents/ios/connection.py": "artifacts, whose hashes the app checks",
    "device_agents/android/lock.py": "a name in the cache folder",
    "device_agents/android/server.py": "named alike, and reads a phone's file",
    "device_agents/runner/checksum.py": "an artifact that was exported here and hashed",
    "device_agents/runner/wheels.py": "wheels, whose record of hashes is checked",
    "device_agents/runner/toolchain.py": "a compiler's own library",
    "device_agents/host/executorch_engine.py": "an artifact that the runtime refused",
    "lutbench/space/find.py": "the spaces that come along",
    "lutbench/export/onnx_file.py": "a model or its weights, which were looked at as regular files",
    "lutbench/export/cache.py": "an artifact, to hash it",
    "lutbench/export/exporters.py": "the system's own files",
    "lutbench/export/pool.py": "the system's own file",
    "lutbench/private/coreml_calls.py": "weights that coremltools has just written",
    "lutbench/files.py": "any bytes, to hash them",
    "lutbench/locks.py": "the system's own files",
    "lutbench/children.py": "the system's own files",
    "lutbench/lut/importers/nni.py": "a line of 4,096 characters that begins with {, and what comes out is looked at",
    "lutbench/report/page.py": "files that come along",
    "lutbench/space/published.py": "files that come along",
    "search/ahead.py": "what a process of its own sends through a pipe",
    "search/checkpoint.py": "after its archive was looked at, and before its values are",
}


def _opens_to_read(call: ast.Call) -> bool:
    """read_text(), open("rb") of a path, open(path): with no mode, or one that reads."""
    if isinstance(call.func, ast.Attribute):
        if call.func.attr in OPENERS:
            return True
        own, modes = call.func.attr == "open" and ast.unparse(call.func.value) not in NOT_FILES, call.args[:1]
    else:
        own, modes = ast.unparse(call.func) == "open", call.args[1:2]
    return own and not any("w" in ast.unparse(mode) or "a" in ast.unparse(mode) for mode in modes)


def test_nothing_else_opens_or_parses_files() -> None:
    found: dict[str, set[str]] = {}
    for folder in ("lutbench", "device_agents", "search"):
        for path in (ROOT / folder).rglob("*.py"):
            name = str(path.relative_to(ROOT))
            if name.startswith("lutbench/reading/"):
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.Call):
                    continue
                called = ast.unparse(node.func)
                if called in PARSERS or _opens_to_read(node):
                    found.setdefault(name, set()).add(called)
    unknown = {name: calls for name, calls in found.items() if name not in ALLOWED}
    assert not unknown, "use lutbench.reading, or say here why not"
