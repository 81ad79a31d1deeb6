"""Whatever a model's file holds, it is read or refused in a line. LUTBENCH_FUZZ_S=600: for that long, other models."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from lutbench.errors import ExportError
from tests.mutated_models import mutated_models, read_as_bench_does

USUAL = 80


@pytest.mark.timeout(0)
def test_no_model_ends_in_anything_but_an_export_error(tmp_path: Path) -> None:
    seconds = float(os.environ.get("LUTBENCH_FUZZ_S") or 0)
    seed = time.time_ns() if seconds else 0
    rng = random.Random(seed)
    end, runs, read = time.monotonic() + seconds, 0, 0
    path = tmp_path / "input.onnx"
    while runs < USUAL or time.monotonic() < end:
        path.write_bytes(mutated_models(rng))
        runs += 1
        try:
            read_as_bench_does(path)
            read += 1
        except ExportError as error:
            assert "\n" not in str(error), seed
    assert 0 < read < runs
    print(f"{runs} models, {read} of them read")
