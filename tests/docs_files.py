"""What a reader of a page has already, for the commands of the docs that are run: LUTs, tables, models, code."""

from __future__ import annotations

import shutil
from pathlib import Path

import lutbench
from tests.conftest import TINY_TOML

ROOT = Path(lutbench.__file__).parent.parent
# what makes a command short, by its first word; what stands behind the line's own options wins
SHORT = {
    "demo": ("--no-open",),
    "profile": ("--max-rounds", "12"),
    "verify": ("--nets", "4", "--rounds", "4"),
    "bench": ("--max-rounds", "12"),
    "search": (
        *("--epochs", "2", "--warmup", "1", "--draws", "2", "--rounds", "1", "--nets", "2"),
        *("--train-resolution", "8", "--batch-size", "32"),
    ),
    "derive": ("--scored", "8"),
    "train": ("--epochs", "1"),
    "export": ("--test-images", "20"),
}
NET = """\
import torch


def make():
    return torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, stride=8), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
"""


def put_what_readers_have(folder: Path, but: str = "") -> None:
    """Fill a folder with the files that pages speak of as the reader's own, but for one that the page makes itself."""
    from tests.lut.importers.samples import OFA
    from tests.onnx_models import convolution

    (folder / "luts").mkdir()
    for name in ("onnx.csv", "first.csv", "second.csv", "new.csv", "luts/host.csv", "luts/s8.csv"):
        shutil.copy(ROOT / "luts" / "s8.csv", folder / name)
    for name in ("executorch.csv", "luts/iphonex.csv"):
        shutil.copy(ROOT / "luts" / "iphonex.csv", folder / name)
    (folder / "pixel1.yaml").write_text(OFA)
    (folder / "own.toml").write_text(TINY_TOML)
    (folder / "table.txt").write_text("k3_e1 k3_e2_g2 k5_e2 skip\n" + 4 * "0.11 0.12 0.13 0.01\n")
    (folder / "my_net.py").write_text(NET)
    for name in ("my_model.onnx", "model.onnx", "a.onnx", "b.onnx"):
        convolution(folder / name, ("N", 3, "H", "W"))
    if but:
        (folder / but).unlink()
