from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_main import one_line, run
from tests.json_keys import check_keys

KEYS = {"net", "mmacs", "params_m", "resolution", "width", "published_mmacs", "published_params_m", "source"}


def listed(tmp_path: Path, *arguments: str) -> dict[str, dict[str, Any]]:
    done = run("nets", *arguments, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    check_keys("nets", found, rarely=("nets[].layers", "nets[].head_channels", "nets[].candidates"))
    return {net["net"]: net for net in found["nets"]}


def test_all_nets_with_what_was_published(tmp_path: Path) -> None:
    nets = listed(tmp_path)
    assert all(set(net) >= KEYS for net in nets.values())
    assert {"fbnet_a", "mobilenet_v2@224x1.4", "condensenet_g8", "efficientnet_b0", "fbnetv2_l2"} <= set(nets)
    assert nets["fbnet_a"]["candidates"].startswith("skip|k3_e3,") and nets["fbnet_b"]["head_channels"] == 1984
    f1 = nets["fbnetv2_f1"]
    assert (f1["resolution"], f1["published_mmacs"], f1["published_params_m"]) == (128, 56.41056, 5.999408)
    assert nets["fbnetv2_l1"]["published_mmacs"] is None
    text = run("nets", cwd=tmp_path).stdout
    assert "6.9 -12.2" in text and "56.41 -0.3" in text
    assert re.search(r"mobilenet_v2 +224x1.4 +582.20 +6.061", text)


def test_one_net_in_detail(tmp_path: Path) -> None:
    for name in ("fbnet_a", "condensenet_g4", "mobilenet_v3_small@96x0.5"):
        net = listed(tmp_path, name)[name]
        assert sum(layer["macs"] for layer in net["layers"]) == round(net["mmacs"] * 1e6)
        assert sum(layer["params"] for layer in net["layers"]) == round(net["params_m"] * 1e6)
    text = run("nets", "fbnet_a", cwd=tmp_path).stdout
    assert "candidates: skip|k3_e3" in text and "ir_k5_e6_g1_24x56x56_32_s2" in text
    text = run("nets", "mobilenet_v2@96x0.75", cwd=tmp_path).stdout
    assert "depthwise 3x3, stride 2, relu6" in text and "per cent" not in text


@pytest.mark.parametrize(
    ("name", "text"),
    [("mobilenet_v4", "did you mean mobilenet_v2"), ("mobilenet_v2@8", "not between 32 and 4096")],
)
def test_a_net_that_is_not_there(name: str, text: str, tmp_path: Path) -> None:
    assert text in one_line(run("nets", name, cwd=tmp_path), 2)
