"""`lutbench space`"""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tests.cli.test_main import one_line, run
from tests.json_keys import check_keys


def test_a_space_that_comes_along(tmp_path: Path) -> None:
    text = run("space", "proxyless", cwd=tmp_path).stdout
    assert "fixed" in text and "k3_e0" in text and "stem_k3_3x224x224_32_s2" in text
    assert "21 layers to search, 10^17.3 nets" in text and "72 operators to measure" in text
    found = json.loads(run("space", "proxyless", "--json", cwd=tmp_path).stdout)
    check_keys("space", found)
    nets = 6 * math.log10(6) + 15 * math.log10(7)
    assert (found["name"], found["layers"], found["operators"]) == ("proxyless", 21, 72)
    assert found["log10_nets"] == pytest.approx(nets)


def test_a_file_and_one_line_for_what_is_wrong(tmp_path: Path) -> None:
    text = 'name = "own"\ncandidates = ["k3_e1", "fussed_k3_e4"]\n[stem]\nchannels = 8\n[[stage]]\nchannels = 8\n'
    (tmp_path / "own.toml").write_text(text + "[head]\nchannels = 16\n")
    wrong = run("space", "own.toml", cwd=tmp_path)
    assert wrong.returncode == 4
    assert "own.toml:2" in one_line(wrong, 4) and "did you mean fused" in one_line(wrong, 4)
    (tmp_path / "own.toml").write_text((text + "[head]\nchannels = 16\n").replace("fussed", "fused"))
    assert json.loads(run("space", "own.toml", "--json", cwd=tmp_path).stdout)["layers"] == 1
    assert "did you mean proxyless" in one_line(run("space", "proxles", cwd=tmp_path), 2)


def test_the_kinds(tmp_path: Path) -> None:
    text = run("space", "--kinds", cwd=tmp_path).stdout
    assert "uib_a<first>_k<kernel>_e<expansion>" in text and "module" in text
