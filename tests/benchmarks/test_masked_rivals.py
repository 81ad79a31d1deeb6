"""The rivals that are made without a search, and the table of what is in the lines."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "benchmarks"))
from _evidence_jobs import Study
from _evidence_records import Records
from _evidence_study import RECIPE
from masked_rivals import BLOCKS, Plan, _scaled_to, report, scaled, training_line

from lutbench.lut.file import write_lut
from lutbench.search.grid_costs import MACS, count_model
from lutbench.search.recipe import Recipe
from lutbench.space.decisions import net_at
from lutbench.space.file import parse_space
from tests.search.made import made_lut

TOML = Path(__file__).parent.parent.parent / "benchmarks" / "masked_rivals.toml"
SPACE = parse_space(TOML.read_text(encoding="utf-8"), TOML)


def test_scaled_nets_have_one_block_and_are_near_the_target_where_any_is() -> None:
    model = count_model(SPACE, MACS)
    narrowest, widest = (net_at(SPACE, _scaled_to(SPACE, share, 2, BLOCKS[0]), "end") for share in (0.0, 1.0))
    for net in (narrowest, widest):  # a target that the first block meets exactly
        assert scaled(model, model.net_us(net)).choice == net.choice  # type: ignore[union-attr]
    largest = model.net_us(net_at(SPACE, _scaled_to(SPACE, 1.0, 2, "k5_e4.5_relu"), "largest"))
    for factor in (1.02, 10):  # which a slower block alone comes near to, and which none does: the slowest of all
        found = scaled(model, factor * largest)
        assert found and found.space.resolution == 28 and model.net_us(found) == largest
    smallest = model.net_us(net_at(SPACE, _scaled_to(SPACE, 0.0, 0, BLOCKS[0]), "smallest"))
    narrower = scaled(model, 0.99 * smallest)
    assert narrower and "k3_e1.5_relu" in {candidate.name for candidate in narrower.choice}
    assert scaled(model, 1.0) is None


def study_of(folder: Path) -> Study:
    lut = folder / "made.csv"
    write_lut(made_lut(), lut)
    return Study(lut, "digits", folder / "folder", Records(folder / "lines.jsonl"), Recipe(**RECIPE))


def add(study: Study, method: str, target_ms: float, accuracy: float, net: str, seed: int = 0) -> None:
    line = study.about(kind="rival", method=method, target_ms=target_ms, seed=seed)
    study.records.add(line | {"net": net, "latency_us": 990 * target_ms, "cpu_s": 10.0})
    study.records.add(training_line(study, net, seed) | {"accuracy": accuracy})


def rows_of(printed: str) -> list[str]:
    return [row for row in printed.splitlines() if row.startswith("| ") and not row.startswith("| nets")]


def test_the_table_has_what_the_lines_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = study_of(tmp_path)
    for seed in range(3):
        add(study, "masks", 2.0, 0.9, "a", seed)
    add(study, "chance", 2.0, 0.8, "b")
    add(study, "chance", 2.0, 0.92, "c")
    add(study, "scaling", 2.0, 0.7, "d")
    report(Plan(study, (2.0,), 3, 2), tmp_path / "plot.svg")
    assert rows_of(capsys.readouterr().out) == [
        "| masks | 3 | 3 | 0.990 | 90.0% | 90.0% to 90.0% | 50% | 10 s |",
        "| chance | 2 | 1 | 0.990 | 86.0% | - | - | - |",
        "| scaling | 1 | 1 | 0.990 | 70.0% | - | 0% | - |",
    ]
    assert (tmp_path / "plot.svg").read_text().startswith("<?xml")


def test_fronts_are_compared_where_every_target_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study, targets_ms = study_of(tmp_path), (1.0, 2.0, 3.0)
    for target_ms, masks, derived in zip(targets_ms, (0.8, 0.85, 0.9), (0.7, 0.8, 0.9), strict=True):
        add(study, "masks", target_ms, masks, f"masks {target_ms}")
        add(study, "derived", target_ms, derived, f"derived {target_ms}")
        add(study, "masks", target_ms, masks, f"masks {target_ms}", seed=1)
    report(Plan(study, targets_ms, 2, 0), None)
    _, fronts = capsys.readouterr().out.split("Fronts")
    # up to 3 ms and 30 % of errors, in ms x points: 2.01 x 10 + 1.02 x 5 + .03 x 5, and 1.02 x 10 + .03 x 10
    assert "3 ms and 30.0% of errors" in fronts
    assert rows_of(fronts) == [
        "| masks | 0 | 3 | 85.0% | 25.35 | 30 s |",
        "| derived | 0 | 3 | 80.0% | 10.50 | 40 s |",  # the supernet's ten seconds with it
        "| masks | 1 | 3 | 85.0% | 25.35 | 30 s |",
    ]
