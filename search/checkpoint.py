"""Checkpoints: what a job needs to go on, whole or not there, and never of another job."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lutbench.errors import CheckpointError
from lutbench.files import write_atomically

CHECKPOINT = "checkpoint.pt"  # in a job's folder
VERSION = 2


def save_checkpoint(path: Path, identity: dict[str, Any], state: dict[str, Any]) -> None:
    """identity: plain values that say which job this is; state: tensors and plain values."""
    buffer = io.BytesIO()
    torch.save({"lutbench_checkpoint": VERSION, "identity": identity, "state": state}, buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(path: Path, identity: dict[str, Any], device: str = "cpu") -> dict[str, Any]:
    """The state that was saved; CheckpointError where the file is damaged or of a job that differs in identity."""
    own, state = _read(path, device, "start without --resume", "start in another folder")
    differing = [key for key in {**identity, **own} if identity.get(key) != own.get(key)]
    if differing:
        changes = ", ".join(f"{key} was {own.get(key)} and is {identity.get(key)}" for key in differing)
        raise CheckpointError(f"is of another job: {changes}", path=path, remedy="resume with what it was started with")
    return state


@dataclass(frozen=True)
class Weights:
    """What a training made. net: the key of what was trained; data, resolution, classes, data_seed: on what images."""

    net: str
    data: str
    resolution: int
    classes: int
    data_seed: int
    state: dict[str, Any]


def load_weights(path: Path) -> Weights:
    """The weights in a training's checkpoint or its last file; CheckpointError where there are none."""
    identity, state = _read(path, "cpu", "`lutbench train` writes them", "`lutbench train` makes another")
    types = {"net": str, "data": str, "resolution": int, "classes": int, "data_seed": int}
    whole = all(isinstance(identity.get(name), kind) for name, kind in types.items())
    if identity.get("job") != "train" or not whole or not isinstance(state.get("net"), dict):
        raise CheckpointError("holds no weights of a training", path=path, remedy="`lutbench train` writes them")
    return Weights(**{name: identity[name] for name in types}, state=state["net"])


def _read(path: Path, device: str, none: str, wrong: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Identity and state; none, wrong: what to do where there is no file, or one that cannot be read."""
    try:
        found = torch.load(path, map_location=device, weights_only=True)
        version, identity, state = found["lutbench_checkpoint"], dict(found["identity"]), dict(found["state"])
    except FileNotFoundError:
        raise CheckpointError("there is no checkpoint", path=path, remedy=none) from None
    except Exception as error:  # torch, pickle and zipfile raise what they like on a damaged file
        raise CheckpointError("is no checkpoint, or a damaged one", path=path, remedy=wrong) from error
    if version != VERSION:
        raise CheckpointError(f"is of version {version}, this lutbench reads {VERSION}", path=path, remedy=wrong)
    return identity, state
