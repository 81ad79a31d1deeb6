"""Checkpoints: read back as written; whatever else a file holds ends in a CheckpointError."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lutbench.errors import CheckpointError
from lutbench.search.checkpoint import Weights, load_checkpoint, load_weights, save_checkpoint

IDENTITY = {"job": "train", "seed": 1, "milestones": [0.5]}
TRAINED = {"job": "train", "net": "tiny", "data": "digits", "resolution": 32, "classes": 10, "data_seed": 1}


def test_what_was_saved_is_read(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    save_checkpoint(path, IDENTITY, {"weights": torch.arange(3.0), "epoch": 4})
    state = load_checkpoint(path, IDENTITY)
    assert state["epoch"] == 4
    assert state["weights"].equal(torch.arange(3.0))
    assert [file.name for file in tmp_path.iterdir()] == ["c.pt"]


def test_what_differs_is_named(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    save_checkpoint(path, IDENTITY, {})
    with pytest.raises(CheckpointError, match="is of another job: seed was 1 and is 2;"):
        load_checkpoint(path, {**IDENTITY, "seed": 2})
    with pytest.raises(CheckpointError, match="space was None and is fbnet"):
        load_checkpoint(path, {**IDENTITY, "space": "fbnet"})


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    torch.save({"lutbench_checkpoint": 99, "identity": IDENTITY, "state": {}}, path)
    with pytest.raises(CheckpointError, match="is of version 99, this lutbench reads 2"):
        load_checkpoint(path, IDENTITY)


class _Code:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('code in a checkpoint was run')",)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    torch.save({"lutbench_checkpoint": 2, "identity": _Code(), "state": {}}, path)
    with pytest.raises(CheckpointError):
        load_checkpoint(path, IDENTITY)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.one_of(st.binary(max_size=60), st.tuples(st.integers(0, 2000), st.integers(0, 255))))
def test_damage_ends_in_an_error_or_the_same_state(tmp_path: Path, damage: bytes | tuple[int, int]) -> None:
    path = tmp_path / "c.pt"
    save_checkpoint(path, IDENTITY, {"epoch": 4})
    if isinstance(damage, bytes):
        path.write_bytes(damage)
    else:
        data = bytearray(path.read_bytes())
        data[damage[0] % len(data)] = damage[1]
        path.write_bytes(bytes(data))
    try:
        state = load_checkpoint(path, IDENTITY)
    except CheckpointError as error:
        assert "\n" not in str(error)
    else:
        assert isinstance(state, dict)


def test_weights_of_a_training(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    save_checkpoint(path, TRAINED, {"net": {"bias": torch.ones(1)}})
    assert load_weights(path) == Weights("tiny", "digits", 32, 10, 1, {"bias": torch.ones(1)})
    changes: tuple[dict[str, object], ...] = ({"job": "search"}, {"net": 3}, {"resolution": None})
    for change in changes:
        save_checkpoint(path, {**TRAINED, **change}, {"net": {}})
        with pytest.raises(CheckpointError, match="holds no weights of a training"):
            load_weights(path)
    save_checkpoint(path, TRAINED, {"net": 1})
    with pytest.raises(CheckpointError, match="holds no weights of a training"):
        load_weights(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.one_of(st.binary(max_size=60), st.tuples(st.integers(0, 2000), st.integers(0, 255))))
def test_damaged_weights_end_in_an_error_or_are_read(tmp_path: Path, damage: bytes | tuple[int, int]) -> None:
    path = tmp_path / "w.pt"
    save_checkpoint(path, TRAINED, {"net": {}})
    data = bytearray(path.read_bytes())
    if isinstance(damage, bytes):
        data[: len(damage)] = damage
    else:
        data[damage[0] % len(data)] = damage[1]
    path.write_bytes(bytes(data))
    try:
        assert isinstance(load_weights(path).state, dict)
    except CheckpointError as error:
        assert error.path == path
