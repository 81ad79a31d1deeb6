"""Every reader, a short while with a fixed seed; `python benchmarks/fuzz.py all` does it for as long as is wanted."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest

from tests.tiers import examples

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
import fuzz
from fuzz_readers import READERS

# how many files: as many as take half a second or so, an import's some seconds
_RUNS = {
    "lut": 15,
    "lut-large": 25,
    "nets-table": 40,
    "journal": 40,
    "import-hw-nas-bench": 40,
    "checkpoint": 30,
    "import-ofa": 80,
    "bench-table": 60,
    "lut-spreadsheet": 40,
    "image": 100,
    "arrow": 15,
    "finished-search": 12,
    "onnx-block": 30,
    "iphone": 60,
    "usbmux": 40,
    "lockdown": 60,
}
_USUAL_RUNS = 150


@pytest.mark.parametrize("name", READERS)
def test_no_reader_raises_anything_but_our_errors(name: str, tmp_path: Path) -> None:
    runs = examples(_RUNS.get(name, _USUAL_RUNS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tally = fuzz.fuzz(READERS[name], seed=7, keep=tmp_path, most_runs=runs)
    assert tally.findings == {}
    assert tally.runs == runs


@pytest.mark.parametrize("name", READERS)
def test_what_is_mutated_is_read_to_begin_with(name: str, tmp_path: Path) -> None:
    """Without this a reader that refuses its own seeds would look well."""
    reader = READERS[name]
    path = tmp_path / f"input{reader.suffix}"
    for data in reader.seeds(tmp_path):
        path.write_bytes(data)
        if name != "phone":  # whose seeds are each another command's answer
            reader.read(path)
        path.unlink()
