"""The architecture file: a net that a search found, as JSON that a person can read. Needs no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lutbench import __version__
from lutbench.errors import ArchitectureError, LutbenchError
from lutbench.files import write_atomically
from lutbench.reading.files import read_bytes
from lutbench.reading.json_text import parse_json
from lutbench.reading.kinds import ARCHITECTURE
from lutbench.reading.plain import show
from lutbench.reading.text import decode
from lutbench.space.find import space_of_net
from lutbench.space.net import Net, parse_net

SCHEMA = 1
SUFFIX = ".json"
_TYPES: dict[str, type] = {
    "name": str,
    "space": dict,
    "head_channels": int,
    "candidates": str,
    "predicted_us": dict,
    "macs": int,
    "params": int,
    "seed": int,
    "search": dict,
    "versions": dict,
}
_SPACE_TYPES: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "resolution": int,
    "width": (int, float),
    "definition": str,
}


@dataclass(frozen=True)
class Architecture:
    """A net and where it is from.

    definition: the TOML text of a user's own space, else empty.
    predicted_us: by device, microseconds.
    search: plain values that say how it was found (mode, data, accuracy under the supernet, training resolution).
    """

    net: Net
    predicted_us: Mapping[str, float]
    seed: int
    definition: str = ""
    search: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for device, latency_us in self.predicted_us.items():
            if not _is_number(latency_us) or not 0 < latency_us < math.inf:
                raise ArchitectureError(f"predicted_us of {show(device)} is {show(latency_us)}, not a number above 0")


def own_versions() -> dict[str, str]:
    """What a file of now is written with."""
    return {"lutbench": __version__, "torch": version("torch")}


def format_architecture(architecture: Architecture) -> str:
    """The file's text."""
    net = architecture.net
    space = net.space
    found = {
        "lutbench_architecture": SCHEMA,
        "name": net.name,
        "space": {
            "name": space.name,
            "resolution": space.resolution,
            "width": space.width,
            "definition": architecture.definition,
        },
        "head_channels": net.head_channels,
        "candidates": net.candidates_text,
        "predicted_us": {device: round(us, 3) for device, us in architecture.predicted_us.items()},
        "macs": net.macs,
        "params": net.params,
        "seed": architecture.seed,
        "search": dict(architecture.search),
        "versions": dict(architecture.versions or own_versions()),
    }
    return json.dumps(found, indent=2, allow_nan=False) + "\n"


def write_architecture(architecture: Architecture, path: Path) -> None:
    """Writes the file in one step."""
    write_atomically(path, format_architecture(architecture).encode())


def read_architecture(path: Path) -> Architecture:
    """The architecture in a file; ArchitectureError for anything that is not a whole and sane one."""
    return parse_architecture(read_bytes(path, ARCHITECTURE), path)


def parse_architecture(data: bytes, path: Path) -> Architecture:
    """The architecture in a file's bytes; path is only named in errors."""
    found = parse_json(decode(data, path, ARCHITECTURE), path, ARCHITECTURE)
    try:
        return _architecture(found)
    except ArchitectureError as error:
        error.path = path
        raise
    except LutbenchError as error:
        raise ArchitectureError(str(error), path=path) from error


def _architecture(found: Any) -> Architecture:
    if not isinstance(found, dict) or not _is(found.get("lutbench_architecture"), int):
        raise ArchitectureError('is not an architecture: "lutbench_architecture" is missing')
    schema = found["lutbench_architecture"]
    if schema != SCHEMA:
        raise ArchitectureError(f"schema {schema} is not one that this lutbench reads ({SCHEMA})")
    _check_types(found, _TYPES, "")
    _check_types(found["space"], _SPACE_TYPES, "space.")
    if not all(isinstance(value, str) for value in found["versions"].values()):
        raise ArchitectureError("versions are not text")
    net = _net(found)
    for key, own in (("macs", net.macs), ("params", net.params)):
        if found[key] != own:
            raise ArchitectureError(f"{key} says {found[key]}, the candidates {own}: the file was edited")
    return Architecture(
        net, found["predicted_us"], found["seed"], found["space"]["definition"], found["search"], found["versions"]
    )


def _net(found: Mapping[str, Any]) -> Net:
    space = found["space"]
    name = space["name"]
    own = space_of_net(name, space["resolution"], float(space["width"]), found["candidates"], space["definition"])
    if own.name != name:
        raise ArchitectureError(f"space.name says {name!r}, its definition {own.name!r}")
    if not 1 <= found["head_channels"] <= 1 << 16:
        raise ArchitectureError(f"head_channels {found['head_channels']} is not between 1 and {1 << 16}")
    net = parse_net(found["candidates"], own, found["name"], found["head_channels"])
    if net.space.resolution != space["resolution"]:
        raise ArchitectureError(
            f"space.resolution says {space['resolution']}, the candidates {net.space.resolution}: the file was edited"
        )
    return net


def _check_types(found: Mapping[str, Any], types: Mapping[str, type | tuple[type, ...]], where: str) -> None:
    for key, kind in types.items():
        if key not in found:
            raise ArchitectureError(f"{where}{key} is missing")
        if not _is(found[key], kind):
            raise ArchitectureError(f"{where}{key} cannot be {show(found[key])}")


def _is(value: Any, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is(value, (int, float))
