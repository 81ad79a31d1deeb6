"""Two runs do not write one folder: the second is refused before it computes anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lutbench.errors import OutputError
from lutbench.jobs.export import ExportRequest, deploy
from lutbench.jobs.search import find_nets, search_request
from lutbench.jobs.train import train_net, train_request
from lutbench.locks import folder_lock
from lutbench.lut.file import read_lut
from lutbench.search.hardware import Hardware

LUT = Path(__file__).parent.parent.parent / "luts" / "s8.csv"


def _search(folder: Path) -> None:
    find_nets(search_request(read_lut(LUT), folder=folder, begin="resume"), Hardware(), lambda _: None)


def _train(folder: Path) -> None:
    train_net(train_request("fbnet_a", folder=folder, begin="resume"), Hardware(), lambda _: None)


def _export(folder: Path) -> None:
    deploy(ExportRequest(net="fbnet_a", folder=folder, random_weights=True), lambda _: None)


@pytest.mark.parametrize("job", [_search, _train, _export])
def test_a_folder_that_another_run_writes(job: Callable[[Path], None], tmp_path: Path) -> None:
    with folder_lock(tmp_path), pytest.raises(OutputError, match=r"another lutbench is writing there \(process \d+"):
        job(tmp_path)
