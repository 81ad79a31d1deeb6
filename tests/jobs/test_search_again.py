"""A search of one seed comes to the same, bit for bit, whatever else a process has done, and however it was started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from lutbench.jobs.search import find_nets, search_request
from lutbench.lut.file import read_lut
from lutbench.search.hardware import Hardware

ROOT = Path(__file__).parents[2]
THERE = """
import sys
from pathlib import Path
from tests.jobs.test_search_again import search_into
search_into(Path(sys.argv[1]))
"""


def search_into(folder: Path) -> None:
    """A search of FBNet's space that takes seconds."""
    few = {"draws": 2, "rounds": 2, "views": 1, "nets": 2}
    lut, schedule = read_lut(ROOT / "luts" / "s8.csv"), {"epochs": 2, "warmup": 1}
    request = search_request(lut, folder=folder, data="digits", classes=2, schedule=schedule, **few)
    find_nets(request, Hardware("cpu"), lambda _event: None)


def outcome(folder: Path) -> tuple[dict[str, Any], dict[str, str], list[dict[str, float]]]:
    """What a search leaves: weights, theta and the optimisers' states; its nets and scores; losses of every epoch."""
    state = torch.load(folder / "checkpoint.pt", weights_only=True)["state"]
    kept = {name: state[name] for name in ("net", "w", "theta", "objective")}
    texts = {path.name: path.read_text() for path in sorted(folder.glob("*_*.json"))}
    ranked = [json.loads(line) for line in (folder / "ranking.jsonl").read_text().splitlines()[1:]]
    texts["ranking"] = json.dumps([[one["net"], one["loss"], one["accuracy"]] for one in ranked])
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return kept, texts, [{k: v for k, v in line.items() if not k.endswith("_per_s")} for line in lines]


def differing(one: Any, other: Any, where: str = "") -> list[str]:
    """Where two states differ, tensors by their bits."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        return [found for key in one for found in differing(one[key], other[key], f"{where}/{key}")]
    if isinstance(one, list):
        assert len(one) == len(other)
        return [
            found for n, pair in enumerate(zip(one, other, strict=True)) for found in differing(*pair, f"{where}/{n}")
        ]
    same = torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
    return [] if same else [where]


@pytest.mark.slow
def test_a_search_is_the_same_bit_for_bit_in_any_process(tmp_path: Path) -> None:
    """The other process has other hashes, other threads, and memory that is full of something when it is given out."""
    environment = {"PYTHONHASHSEED": "77", "OMP_NUM_THREADS": "3", "MALLOC_PERTURB_": "85", "TZ": "Asia/Tokyo"}
    other = subprocess.Popen(
        [sys.executable, "-c", THERE, str(tmp_path / "there")],
        env=os.environ | environment,
        cwd=ROOT,
    )
    threads, litter = torch.get_num_threads(), [torch.rand(size) for size in range(1, 3000, 7)]
    torch.manual_seed(5)
    try:
        search_into(tmp_path / "here")
    finally:
        torch.set_num_threads(threads)
        del litter
        assert other.wait(timeout=300) == 0
    found = outcome(tmp_path / "here"), outcome(tmp_path / "there")
    assert len(found[0][0]["net"]) > 100 and len(found[0][1]) == 3 and len(found[0][2]) == 2
    assert [differing(a, b) for a, b in zip(*found, strict=True)] == [[], [], []]
