"""`lutbench import` as a user runs it: what is printed and refused, and what other commands make of the LUT."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest

from lutbench.lut.file import read_lut
from tests.cli.test_main import one_line, run
from tests.json_keys import check_keys
from tests.lut.importers.samples import OFA, hw_pickle, text_table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bench.pickle").write_bytes(hw_pickle())
    (tmp_path / "phone.yaml").write_text(OFA + "".join(f"bad{n}: {{mean: -1}}\n" for n in range(5)))
    (tmp_path / "lookup_table.txt").write_text(text_table())
    return tmp_path


def test_import_show_and_predict(folder: Path) -> None:
    done = run("import", "hw-nas-bench", "bench.pickle", "--select", "pixel3", "-o", "pixel3.csv", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "bench.pickle (hw-nas-bench, pixel3_latency), latencies in ms" in done.stdout
    assert "115 operators of lutbench, 1 kept as foreign" in done.stdout
    shown = run("show", "pixel3.csv", cwd=folder)
    assert shown.returncode == 0
    assert "imported from bench.pickle" in shown.stdout and "plain sum" in shown.stdout
    assert "is imported from bench.pickle" in shown.stderr and "nan" not in shown.stdout
    assert json.loads(run("show", "pixel3.csv", "--json", cwd=folder).stdout)["provenance"] == "imported"
    predicted = run("predict", "--lut", "pixel3.csv", "fbnet_c", "--json", cwd=folder)
    (net,) = json.loads(predicted.stdout)["nets"]
    assert net["latency_us"] > 0 and net["ci_low_us"] is None
    assert "unknown" in run("predict", "--lut", "pixel3.csv", "fbnet_c", cwd=folder).stdout


def test_left_out_rows_are_counted_and_named(folder: Path) -> None:
    with (folder / "phone.yaml").open("a") as file:
        file.write("Logits_2-input:7x7x1280-output:1000: {mean: 0.5, std: 0.1, count: 500}\n")  # no layer of ours
    done = run("import", "ofa", "phone.yaml", "-o", "phone.csv", cwd=folder)
    assert done.returncode == 0
    assert "left out  5" in done.stdout
    assert "left out: bad0: the latency -1 is not positive" in done.stderr
    assert "2 more, all in [origin] of the LUT" in done.stderr
    assert len(read_lut(folder / "phone.csv").metadata.origin["left_out"]) == 5
    found = json.loads(run("import", "ofa", "phone.yaml", "-o", "phone.csv", "--json", cwd=folder).stdout)
    check_keys("import", found)
    assert found["lut"] == "phone.csv" and found["foreign"] == 1 and len(found["left_out"]) == 5


def test_nets_that_an_imported_lut_cannot_answer_for(folder: Path) -> None:
    run("import", "ofa", "phone.yaml", "-o", "phone.csv", cwd=folder)
    run("import", "fbnet-text", "lookup_table.txt", "-o", "text.csv", cwd=folder)
    for lut, net, text in (
        ("phone.csv", "k3_e1,skip", "the LUT names none"),
        ("phone.csv", "fbnet_a", "does not cover space fbnet"),
        ("text.csv", "fbnet_a", "operator stem_k3_3x224x224_16_s2"),
    ):
        done = run("predict", "--lut", lut, net, cwd=folder)
        assert done.returncode in (2, 4) and done.stdout == ""
        assert text in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr


def test_a_table_without_the_layers_around_the_blocks(folder: Path) -> None:
    for name, options in (("alone.csv", ()), ("whole.csv", ("--fixed-us", "1850.5"))):
        done = run("import", "fbnet-text", "lookup_table.txt", "-o", name, *options, cwd=folder)
        assert done.returncode == 0 and "note: it has no rows of stem_k3_3x224x224_16_s2" in done.stderr
    shown = run("show", "alone.csv", cwd=folder)
    assert "incomplete" in shown.stdout and "by their blocks alone" in shown.stdout
    refused = run("predict", "--lut", "alone.csv", "fbnet_a", cwd=folder)
    assert refused.returncode == 4 and "--fixed-us N" in refused.stderr.splitlines()[-1]
    done = run("predict", "--lut", "whole.csv", "fbnet_a", "--json", cwd=folder)
    assert "1850.5 us stand for them" in done.stderr
    found = json.loads(run("diff", "alone.csv", "whole.csv", "--json", cwd=folder).stdout)
    (net,) = [net for net in found["nets"] if net["net"] == "fbnet_a"]
    assert net["ratio"] == 1
    assert json.loads(done.stdout)["nets"][0]["latency_us"] == pytest.approx(net["a_us"] + 1850.5)
    assert "Traceback" not in run("report", "alone.csv", "-o", "page.html", cwd=folder).stderr


def test_a_pickle_with_code_is_refused_and_nothing_runs(folder: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {folder / 'ran'}",)

    (folder / "evil.pickle").write_bytes(pickle.dumps({"fbnet": Evil()}))
    line = one_line(run("import", "hw-nas-bench", "evil.pickle", "-o", "x.csv", cwd=folder), 4)
    assert "wants to load code" in line
    assert not (folder / "ran").exists() and not (folder / "x.csv").exists()


def test_a_measured_lut_is_never_written_over(folder: Path) -> None:
    from lutbench.lut.file import write_lut
    from lutbench.lut.table import Lut
    from tests.lut.test_file import METADATA, row

    write_lut(Lut(METADATA, (row("fc_1504_1000"),)), folder / "host.csv")
    before = (folder / "host.csv").read_bytes()
    line = one_line(run("import", "ofa", "phone.yaml", "-o", "host.csv", cwd=folder), 2)
    assert "the LUT there is measured" in line
    assert (folder / "host.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["ofaa", "phone.yaml", "-o", "x.csv"], 2, "did you mean ofa"),
        (["ofa", "phone.yaml"], 2, "Missing option"),
        (["ofa", "none.yaml", "-o", "x.csv"], 4, "no such file"),
        (["ofa", "bench.pickle", "-o", "x.csv"], 4, "not UTF-8 text but a Python pickle"),
        (["ofa", "phone.yaml", "-o", "x.csv", "--unit", "h"], 2, "no unit is called"),
        (["hw-nas-bench", "bench.pickle", "-o", "x.csv"], 2, "--select pixel3, raspi4"),
        (["fbnet-text", "lookup_table.txt", "-o", "x.csv", "--select", "a"], 2, "nothing to select"),
        (["fbnet-text", "phone.yaml", "-o", "x.csv"], 4, "none of FBNet's candidates"),
        (["ofa", "phone.yaml", "-o", "phone.yaml"], 2, "not a LUT"),
    ],
)
def test_errors_are_one_line(folder: Path, arguments: list[str], status: int, text: str) -> None:
    assert text in one_line(run("import", *arguments, cwd=folder), status)
    assert not (folder / "x.csv").exists()
