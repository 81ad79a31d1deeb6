"""`lutbench estimate`: the shipped LUTs' commands, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from lutbench.lut.file import read_lut
from tests.cli.running import one_line, run
from tests.json_keys import check_keys

LUTS = Path(__file__).parents[2] / "luts"
S8 = ("estimate", "published", "--source-device", "s8", "--device", "android-s8", "-o", "s8.csv")


def test_both_phones_from_the_papers_tables(tmp_path: Path) -> None:
    s8 = run(*S8, cwd=tmp_path)
    assert s8.returncode == 0, s8.stderr
    assert "mobilenet_v2@96x0.35" in s8.stdout and "depthwise_k5" in s8.stdout
    assert "left out: condensenet_g4@224x1.0: measured with a faster" in s8.stderr
    iphonex = run(
        "estimate", "published", "--device", "iphonex", "--prior", "s8.csv", "-o", "x.csv", "--json", cwd=tmp_path
    )
    assert iphonex.stderr.startswith("note: s8.csv is estimated, not measured by lutbench")
    found = json.loads(iphonex.stdout)
    check_keys("estimate", found)
    assert len(found["nets"]) == 2 and found["costs"]["depthwise_k5"] > 2 * found["costs"]["depthwise_k3"]
    assert read_lut(tmp_path / "x.csv").metadata.provenance == "estimated"


def test_every_reader_says_that_it_is_an_estimate_and_what_replaces_it(tmp_path: Path) -> None:
    run(*S8, cwd=tmp_path)
    for arguments in (["show", "s8.csv"], ["predict", "--lut", "s8.csv", "fbnet_a"]):
        done = run(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        (line,) = done.stderr.splitlines()
        assert "is estimated" in line and "`lutbench profile --device android-s8 --dtype int8`" in line
    assert "nets left out of the fit: mean error" in run("show", "s8.csv", cwd=tmp_path).stdout


def test_a_measured_lut_is_not_overwritten(measured: Path, tmp_path: Path) -> None:
    before = measured.read_bytes()
    text = one_line(run(*S8[:-1], str(measured), cwd=tmp_path), 2)
    assert "the LUT there is measured" in text
    assert measured.read_bytes() == before


def test_bad_tables_end_in_one_line(tmp_path: Path) -> None:
    arguments = ("--device", "host", "-o", "x.csv")
    (tmp_path / "few.csv").write_text("net,latency_ms\nfbnet_a,10\n")
    (tmp_path / "junk.csv").write_bytes(b"\x89PNG\xff")
    assert "no such file" in one_line(run("estimate", "none.csv", *arguments, cwd=tmp_path), 4)
    assert "not UTF-8" in one_line(run("estimate", "junk.csv", *arguments, cwd=tmp_path), 4)
    assert "1 of a known architecture are too few nets for 10 costs" in one_line(
        run("estimate", "few.csv", *arguments, cwd=tmp_path), 4
    )
    assert "it has iphonex, s8" in one_line(run("estimate", "published", *arguments, cwd=tmp_path), 4)
    assert not (tmp_path / "x.csv").exists()


def test_a_table_of_model_files_only_says_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "models.csv").write_text("net,latency_us\nyolo.onnx,10000\nwhisper.onnx,20000\n")
    text = one_line(run("estimate", "models.csv", "--device", "host", "-o", "x.csv", cwd=tmp_path), 4)
    assert "no row is of a net whose operators are known: yolo.onnx: a model's file, of which costs" in text
    assert "and 1 more; costs are fitted to nets that `lutbench nets` lists" in text


def test_an_estimate_says_how_it_is_measured(tmp_path: Path) -> None:
    shutil.copy(LUTS / "iphonex.csv", tmp_path)
    shutil.copy(LUTS / "s8.csv", tmp_path)
    phone = run("predict", "--lut", "iphonex.csv", "fbnet_a", cwd=tmp_path).stderr
    assert "`lutbench profile --device iphonex --dtype int8`" in phone
    assert "`lutbench profile --device android-s8 --dtype int8`" in run("show", "s8.csv", cwd=tmp_path).stderr
    refused = run("verify", "--lut", "s8.csv", cwd=tmp_path)
    assert refused.returncode == 4
    assert "is estimated, and of a runtime that lutbench does not run" in refused.stderr.splitlines()[-1]
