"""Checkpoints: what a job needs to go on, whole or not there, and never of another job."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from lutbench.errors import CheckpointError
from lutbench.files import write_atomically

VERSION = 1


def save_checkpoint(path: Path, identity: dict[str, Any], state: dict[str, Any]) -> None:
    """identity: plain values that say which job this is; state: tensors and plain values."""
    buffer = io.BytesIO()
    torch.save({"lutbench_checkpoint": VERSION, "identity": identity, "state": state}, buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(path: Path, identity: dict[str, Any], device: str = "cpu") -> dict[str, Any]:
    """The state that was saved; CheckpointError where the file is damaged or of a job that differs in identity."""
    try:
        found = torch.load(path, map_location=device, weights_only=True)
        version, own, state = found["lutbench_checkpoint"], found["identity"], found["state"]
    except FileNotFoundError:
        raise CheckpointError("there is no checkpoint", path=path, remedy="start without --resume") from None
    except Exception as error:  # torch, pickle and zipfile raise what they like on a damaged file
        raise CheckpointError(
            "is no checkpoint, or a damaged one", path=path, remedy="start in another folder"
        ) from error
    if version != VERSION:
        raise CheckpointError(
            f"is of version {version}, this lutbench reads {VERSION}", path=path, remedy="start in another folder"
        )
    differing = [key for key in {**identity, **own} if identity.get(key) != own.get(key)]
    if differing:
        changes = ", ".join(f"{key} was {own.get(key)} and is {identity.get(key)}" for key in differing)
        raise CheckpointError(f"is of another job: {changes}", path=path, remedy="resume with what it was started with")
    return dict(state)
