"""The real `lutbench derive`: after a search on a LUT measured here, nets for other budgets; errors in one line."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from lutbench.lut.file import read_lut
from lutbench.search.latency import latency_model
from lutbench.space.find import kept_spaces
from lutbench.space.sampling import random_nets
from tests.cli.running import one_line, run
from tests.json_keys import check_keys

QUICK = ("--train-resolution", "16", "--epochs", "2", "--warmup", "1", "--draws", "4", "--nets", "1")


@pytest.fixture
def folder(measured: Path, tmp_path: Path) -> Path:
    """With tiny.csv, a LUT of this machine, and a search's folder `found`."""
    shutil.copy(measured, tmp_path / "tiny.csv")
    assert run("search", "--lut", "tiny.csv", *QUICK, "-o", "found", cwd=tmp_path).returncode == 0
    return tmp_path


def test_nets_for_another_budget_and_what_is_wrong_in_one_line(folder: Path) -> None:
    lut = read_lut(folder / "tiny.csv")
    (space,) = kept_spaces("tiny", (32,), (1.0,), lut.metadata.space.definition)
    model = latency_model(lut, space)
    targets = ",".join(f"{1.001 * model.net_us(net) / 1000:.6f}" for net in random_nets(space, 2, 0, "target"))
    asked = ("derive", "found", "--lut", "tiny.csv", "--target-ms", targets, "--scored", "8")
    done = run(*asked, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    check_keys("derive", found)
    assert [net["path"] for net in found["nets"]] == [
        f"derived/found/tiny_{float(target):g}ms_0.json" for target in targets.split(",")
    ]
    for net, target in zip(found["nets"], targets.split(","), strict=True):
        assert 0.97 * float(target) < net["predicted_us"] / 1000 <= float(target)
    assert (folder / "derived/found/front_host.svg").read_text().startswith("<?xml")
    rows = list(csv.DictReader((folder / "derived/found/front_host.csv").open(encoding="utf-8")))
    latencies_us = [float(row["predicted_us"]) for row in rows]
    assert len(rows) > len(found["nets"]) and latencies_us == sorted(latencies_us)
    best = 0.0
    for row in rows:
        assert (row["on_front"] == "1") == (float(row["accuracy"]) > best)
        best = max(best, float(row["accuracy"]))
    files = {row["file"]: row["candidates"] for row in rows if row["file"]}
    assert files == {Path(net["path"]).name: net["candidates"] for net in found["nets"]}
    again = run(*asked, cwd=folder)
    assert again.returncode == 0 and "0 nets were scored that had not been before" in " ".join(again.stdout.split())
    assert f"next:  lutbench train {found['nets'][0]['path']} --classes 10\n" in again.stdout  # of digits, the default
    refused = one_line(run("derive", "found", "--lut", "tiny.csv", "--target-ms", "1000", cwd=folder), 2)
    assert "the fastest takes" in refused
    assert "there is no checkpoint" in one_line(
        run("derive", ".", "--lut", "tiny.csv", "--target-ms", "1", cwd=folder), 4
    )
    other = run("derive", "found", "--lut", "s8", "--target-ms", "10", cwd=folder)  # which says that it is an estimate
    assert other.returncode == 4 and "the LUT of fbnet@" in other.stderr.splitlines()[-1]
