"""Every reader, a short while with a fixed seed; `python benchmarks/fuzz.py all` does it for as long as is wanted."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
import fuzz
from fuzz_readers import READERS

# as many files as take half a second or so; CI's LUTBENCH_LONG=1 tries four times as many
_RUNS = {
    "lut": 5,
    "lut-large": 6,
    "nets-table": 10,
    "journal": 10,
    "import-hw-nas-bench": 10,
    "checkpoint": 8,
    "import-ofa": 8,
    "import-nni": 10,
    "import-fbnet-text": 10,
    "bench-table": 15,
    "lut-spreadsheet": 10,
    "image": 25,
    "arrow": 5,
}
_USUAL_RUNS = 40
_TIMES = 4 if os.environ.get("LUTBENCH_LONG") else 1


@pytest.mark.parametrize("name", READERS)
def test_no_reader_raises_anything_but_our_errors(name: str, tmp_path: Path) -> None:
    runs = _RUNS.get(name, _USUAL_RUNS) * _TIMES
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
