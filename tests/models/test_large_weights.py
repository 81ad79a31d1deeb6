"""More than 2 GiB of weights, which no single ONNX file holds: beside the model, timed where they lie."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from tests.cli.running import COMMAND

GIB = 1 << 30
ROWS, COLUMNS = 8192, 70_000
SIZE_BYTES = 4 * ROWS * COLUMNS  # 2.14 GiB

large = pytest.mark.skipif(
    not os.environ.get("LUTBENCH_LARGE_MODELS"), reason="NOT TESTED: 2 GiB of weights; LUTBENCH_LARGE_MODELS=1 does"
)


def free_memory_bytes() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))


@large
def test_weights_beyond_protobufs_limit_are_timed_where_they_lie(tmp_path: Path) -> None:
    if free_memory_bytes() < 3 * SIZE_BYTES:
        pytest.skip(f"NOT TESTED: it takes {3 * SIZE_BYTES / GIB:.0f} GiB of memory")
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[ROWS, COLUMNS])
    weight.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "large.bin"), ("offset", "0"), ("length", str(SIZE_BYTES))):
        entry = weight.external_data.add()
        entry.key, entry.value = key, value
    kinds = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", ["N", ROWS]), ("y", ["N", COLUMNS]))
    ]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "large", kinds[:1], kinds[1:], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    with (tmp_path / "large.bin").open("wb") as file:
        file.truncate(SIZE_BYTES)  # all zeros, and no room on the disk
    environment = {**os.environ, "LUTBENCH_CACHE": str(tmp_path / "cache")}
    command = [*COMMAND, "bench", "m.onnx", "--max-rounds", "12", "--json"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    (net,) = json.loads(done.stdout)["nets"]
    assert (net["status"], net["params_m"], net["mmacs"]) == ("ok", ROWS * COLUMNS / 1e6, ROWS * COLUMNS / 1e6)
    assert net["latency_us"] > 1000
    kept = sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*") if path.is_file())
    assert kept < 100 << 20  # the weights were not copied
