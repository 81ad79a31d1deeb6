"""Checkpoints: what a training or a search needs to go on, whole or not there, and never of another."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lutbench.errors import CheckpointError
from lutbench.files import write_atomically
from lutbench.reading.files import is_there
from lutbench.reading.plain import NotPlainError, changes, check_plain, show
from lutbench.search.checkpoint_values import check_archive, check_values

CHECKPOINT = "checkpoint.pt"  # in a run's folder
VERSION = 2


def save_checkpoint(path: Path, identity: dict[str, Any], state: dict[str, Any]) -> None:
    """Writes a checkpoint in one step.

    identity: plain values that say which run this is.
    state: tensors and plain values.
    """
    buffer = io.BytesIO()
    torch.save({"lutbench_checkpoint": VERSION, "identity": identity, "state": state}, buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(path: Path, identity: dict[str, Any], device: str = "cpu") -> dict[str, Any]:
    """The state that was saved; CheckpointError where the file is damaged or of a job that differs in identity."""
    own, state = load_run(path, "leave --resume out to start", "start anew with --fresh, or give another -o", device)
    if differing := changes(own, identity):
        raise CheckpointError(
            f"is of another job: {differing}",
            path=path,
            remedy="repeat its settings to go on with it, give another -o, or start anew with --fresh",
        )
    return state


@dataclass(frozen=True)
class Weights:
    """What a training made.

    net: the key of what was trained.
    data, resolution, classes, data_seed: on what images.
    """

    net: str
    data: str
    resolution: int
    classes: int
    data_seed: int
    state: dict[str, Any]


def load_weights(path: Path) -> Weights:
    """The weights in a training's checkpoint or its last file; CheckpointError where there are none."""
    identity, state = load_run(path, "`lutbench train` writes them", "`lutbench train` makes another")
    types = {"net": str, "data": str, "resolution": int, "classes": int, "data_seed": int}
    whole = all(
        isinstance(identity.get(name), kind) and not isinstance(identity.get(name), bool)
        for name, kind in types.items()
    )
    if identity.get("job") != "train" or not whole or not isinstance(state.get("net"), dict):
        raise CheckpointError("holds no weights of a training", path=path, remedy="`lutbench train` writes them")
    return Weights(**{name: identity[name] for name in types}, state=state["net"])


def load_run(path: Path, none: str, wrong: str, device: str = "cpu") -> tuple[dict[str, Any], dict[str, Any]]:
    """Identity and state of whatever run it is; CheckpointError where there is none, or it is damaged.

    none, wrong: what to do where there is no file, or one that cannot be read.
    """
    if not is_there(path):
        raise CheckpointError("there is no checkpoint", path=path, remedy=none)
    try:
        check_archive(path)
        found = torch.load(path, map_location=device, weights_only=True)
        check_values(found)
        version, identity, state = found["lutbench_checkpoint"], dict(found["identity"]), dict(found["state"])
    except CheckpointError:
        raise
    except Exception as error:  # torch, pickle and zipfile raise what they like on a damaged file
        raise CheckpointError("is no checkpoint, or a damaged one", path=path, remedy=wrong) from error
    if not isinstance(version, int) or version != VERSION:  # a tensor would compare by element
        raise CheckpointError(f"is of version {show(version)}, this lutbench reads {VERSION}", path=path, remedy=wrong)
    try:
        check_plain(json.loads(json.dumps(identity)))
    except (NotPlainError, TypeError, ValueError) as error:  # a tensor, say
        raise CheckpointError("is no checkpoint, or a damaged one", path=path, remedy=wrong) from error
    return identity, state


@contextmanager
def restoring(path: Path) -> Iterator[None]:
    """CheckpointError where what is done with a checkpoint's state shows that it is another's, or damaged."""
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise CheckpointError("its state does not fit the job", path=path, remedy="start in another folder") from error
