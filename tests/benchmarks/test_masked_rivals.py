"""The rivals that are made without a search, and the table of what is in the lines."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "benchmarks"))
from _evidence_jobs import Study
from _evidence_records import Records
from masked_rivals import BLOCK, RECIPE, Plan, report, scaled, training_line

from lutbench.lut.file import write_lut
from lutbench.search.grid_costs import MACS, count_model
from lutbench.search.recipe import Recipe
from lutbench.space.file import parse_space
from tests.search.made import made_lut

TOML = Path(__file__).parent.parent.parent / "benchmarks" / "masked_rivals.toml"
SPACE = parse_space(TOML.read_text(encoding="utf-8"), TOML)


def test_scaled_nets_have_one_block_and_are_the_slowest_that_fit() -> None:
    model = count_model(SPACE, MACS)
    largest = model.net_us(model.slowest)
    nets = [scaled(model, share * largest) for share in (0.4, 0.5, 0.9)]
    costs = [model.net_us(net) for net in nets]
    assert costs == sorted(costs) and costs[0] < costs[1] <= 0.5 * largest
    for net in nets:
        assert {candidate.name for candidate in net.choice} == {BLOCK, "k3_e1_relu"}
        assert net.space.resolution == 28
    with pytest.raises(SystemExit, match="no scale"):
        scaled(model, 1.0)


def test_the_table_has_what_the_lines_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lut = tmp_path / "made.csv"
    write_lut(made_lut(), lut)
    study = Study(lut, "digits", tmp_path / "folder", Records(tmp_path / "lines.jsonl"), Recipe(**RECIPE))
    for method, net, accuracy in (
        ("masks", "a", 0.9),
        ("chance", "b", 0.8),
        ("chance", "c", 0.92),
        ("scaling", "d", 0.7),
    ):
        line = study.about(kind="rival", method=method, target_ms=2.0, seed=0)
        study.records.add(line | {"net": net, "latency_us": 1980.0})
        study.records.add(training_line(study, net, 0) | {"accuracy": accuracy})
    report(Plan(study, (2.0,), 1, 2), tmp_path / "plot.svg")
    rows = [row for row in capsys.readouterr().out.splitlines() if row.startswith("| ")][1:]
    assert rows == [
        "| masks | 1 | 0.990 | 90.0% | 90.0% to 90.0% | 50% |",
        "| chance | 2 | 0.990 | 86.0% | 80.0% to 92.0% | - |",
        "| scaling | 1 | 0.990 | 70.0% | 70.0% to 70.0% | 0% |",
    ]
    assert (tmp_path / "plot.svg").read_text().startswith("<?xml")
