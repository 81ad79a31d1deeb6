"""The lines of the search's evidence, and the tables that are made of them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "benchmarks"))
from _evidence_plot import plot
from _evidence_records import Records
from _evidence_report import report


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("_evidence_statistics.RESAMPLES", 200)


ABOUT = {"data": "made", "lut": "s8"}


def test_lines_are_found_again_and_a_line_that_was_cut_short_is_none(tmp_path: Path) -> None:
    records = Records(tmp_path / "results" / "lines.jsonl")
    assert list(records) == []
    records.add({"kind": "training", "seed": 0, "recipe": {"epochs": 3}})
    with records.path.open("a") as file:
        file.write('{"kind":"training","seed":1,"rec')
    records.add({"kind": "training", "seed": 2, "recipe": {"epochs": 3}})
    assert [one["seed"] for one in records] == [0, 2]
    assert records.where(recipe={"epochs": 3}, seed=2) == [{"kind": "training", "seed": 2, "recipe": {"epochs": 3}}]
    assert records.where(seed=1) == []


def made(folder: Path, noise: float) -> Records:
    """Ten random nets of two budgets, .70 to .79 accurate at the first and .80 to .89 at the second, trained twice each
    with noise; a search that finds .78 and .895 nets; and supernet's scores in the nets' own order."""
    records, rng = Records(folder / "lines.jsonl"), np.random.default_rng(0)

    def training(net: str, accuracy: float) -> None:
        for seed in range(2):
            own = accuracy + noise * (1 if seed else -1) + 1e-6 * rng.random()
            line = {"kind": "training", "net": net, "seed": seed, "recipe": {"epochs": 3}, "images": 1000}
            records.add({**ABOUT, **line, "accuracy": own, "loss": 1 - own, "cpu_s": 1.0})

    for target, base in ((5.0, 0.7), (8.0, 0.8)):
        for number in range(10):
            net, of_target = f"net{target}_{number}", {**ABOUT, "target_ms": target}
            records.add({**of_target, "kind": "chance", "net": net, "latency_us": 990 * target})
            training(net, base + number / 100)
            score = {"kind": "score", "mode": "mixed", "seed": 0, "schedule": {}, "net": net, "loss": 2 - number / 10}
            records.add({**of_target, **score, "accuracy": 0.5})
    for target, accuracy in ((5.0, 0.785), (8.0, 0.895)):
        net, line = (
            f"found{target}",
            {"kind": "found", "method": "mixed", "mode": "mixed", "seed": 0, "schedule": {"epochs": 9}, "scored": 60},
        )
        records.add({**ABOUT, **line, "target_ms": target, "net": net, "latency_us": 1000 * target, "cpu_s": 9.0})
        training(net, accuracy)
    return records


def rows(text: str, *begin: str) -> list[list[str]]:
    """The cells of the tables' rows that begin so."""
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")
    ]
    return [row for row in cells if tuple(row[: len(begin)]) == begin]


def test_the_tables_say_what_the_lines_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report(made(tmp_path, noise=0.0005))
    text = capsys.readouterr().out
    label = "mixed (epochs 9; 60 scored)"
    (noise, found, summary, ranking) = rows(text, "5 ms")
    assert noise[1:4] == ["10", "2", "70.0 % to 79.0 %, median 74.5 %"] and noise[-1] == "yes"
    assert noise[5] == "0.07 points"  # 2 trainings, .05 points above and below: a deviation of .05 times the root of 2
    assert found[1:] == [label, "0", "78.5 %", "74.5 %", "78.1 %", "90.0 %", "9 s"]
    assert summary[1:] == [label, "1", "1", "1", "90.0 %"]
    assert ranking[3] == "10" and ranking[4].startswith("1.00 (") and ranking[-1] == "1.00"
    (front,) = [row for row in rows(text, label, "0") if len(row) == 3]
    # errors up to 30 %, 5 and 8 ms up to 8: 3 ms beside 30 - 21.5 points
    assert float(front[2]) == pytest.approx(3 * 8.5, abs=0.05)


def test_a_random_net_that_a_search_found_is_none_of_the_sample(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = made(tmp_path, noise=0.0005)
    records.add({**ABOUT, "kind": "chance", "target_ms": 5.0, "net": "found5.0", "latency_us": 5000.0})
    report(records)
    noise, found, *_ = rows(capsys.readouterr().out, "5 ms")
    assert noise[1] == "10" and found[6] == "90.0 %"


def test_the_picture_has_a_panel_for_each_budget(tmp_path: Path) -> None:
    plot(made(tmp_path, noise=0.0005), tmp_path / "evidence.svg")
    assert (tmp_path / "evidence.svg").read_text().count('<g id="axes_') == 2


def test_noise_that_hides_the_nets_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report(made(tmp_path, noise=0.05))
    noise, *_ = rows(capsys.readouterr().out, "5 ms")
    assert noise[-1] == "no"
