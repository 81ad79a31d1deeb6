"""A finished search that is opened again: what a checkpoint says of its space is checked before it is believed."""

from __future__ import annotations

from pathlib import Path

import pytest

from lutbench.errors import CheckpointError
from lutbench.search.checkpoint import CHECKPOINT, save_checkpoint
from lutbench.search.finished import read_search
from tests.search.made import SMALL

IDENTITY = {
    "job": "search", "space": "small@16x1.5, 0", "data": "digits", "weights": "own", "resolution": 16, "classes": 4,
    "data_seed": 0, "epochs": 1, "batch_size": 8,
}  # fmt: skip


def saved(folder: Path, **changed: object) -> Path:
    state = {"net": {}, "history": [{"epoch": 0}]}
    save_checkpoint(folder / CHECKPOINT, {**IDENTITY, **changed}, state)
    return folder


def test_a_search_is_read(tmp_path: Path) -> None:
    found = read_search(saved(tmp_path))
    assert (found.net_resolution, found.width, found.batch_size) == (16, 1.5, 8)
    third = f"small@{SMALL.scaled(16, 1 / 3).label}, 0"
    assert read_search(saved(tmp_path, space=third)).width == pytest.approx(1 / 3)


@pytest.mark.parametrize("width", ["...0", ".", "1.1.1", "1.", "", "-1", "1e9", "9" * 9])
def test_a_width_that_is_no_number_is_another_checkpoint(width: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is no checkpoint of a search"):
        read_search(saved(tmp_path, space=f"small@16x{width}, 0"))
