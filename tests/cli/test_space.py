"""`lutbench space`"""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from lutbench.lut.file import write_lut
from tests.cli.test_main import one_line, run
from tests.json_keys import check_keys
from tests.lut.made import made_lut


def test_a_space_that_comes_along(tmp_path: Path) -> None:
    text = run("space", "proxyless", cwd=tmp_path).stdout
    rows = [line.split()[:3] for line in text.splitlines()]
    # numbered as in a report's map and in errors
    assert ["1", "fixed", "32x112x112"] in rows and ["2", "16x112x112", "->"] in rows
    assert "k3_e0" in text and "stem_k3_3x224x224_32_s2" in text
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


def test_how_long_measuring_takes_and_what_that_rests_on(tmp_path: Path) -> None:
    assert "as 110 of fbnet take 25 s" in run("space", "proxyless", cwd=tmp_path).stdout
    phone = " ".join(run("space", "proxyless", "--device", "android-s8", cwd=tmp_path).stdout.split())
    assert "how long on android-s8 is not known until it has a LUT (luts/s8.csv)" in phone
    (tmp_path / "luts").mkdir()
    write_lut(made_lut(quality={"wall_s": 1160.0}), tmp_path / "luts" / "host.csv")
    told = " ".join(run("space", "proxyless", cwd=tmp_path).stdout.split())
    assert "on host about 13 minutes, as luts/host.csv took 19 minutes for 110 (onnxruntime 1.31.1, int8)" in told
    found = json.loads(run("space", "proxyless", "--json", cwd=tmp_path).stdout)
    check_keys("space", found)
    assert found["seconds_from"] == "luts/host.csv" and found["seconds"] == pytest.approx(1160 * 72 / 110)
    assert "did you mean host" in one_line(run("space", "--device", "hots", cwd=tmp_path), 2)


def test_the_kinds(tmp_path: Path) -> None:
    text = run("space", "--kinds", cwd=tmp_path).stdout
    assert "uib_a<first>_k<kernel>_e<expansion>" in text and "module" in text
