"""What two hours of the same nets tell: errors that were put in are found again, as the LUT's or as noise."""

from __future__ import annotations

import csv
import math
import random
import sys
from pathlib import Path

import pytest

from lutbench.measure.journal_lines import sealed

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "benchmarks"))
import truth_twice

CELL = "onnx_fp32_1_224_1.0_fbnet"
NETS, PER_GROUP = 200, 50
MODEL, NOISE = 0.02, 0.01  # standard deviations that are put in


def hour(folder: Path, cell: str, model: float, noise: float, seed: int) -> None:
    """What verify leaves behind: the same nets and errors of the model in each hour, and noise that is its own."""
    shared, own = random.Random(1), random.Random(seed)
    place = folder / cell / "lut.journal"
    place.mkdir(parents=True)
    names = [f"net {number}" for number in range(NETS)]
    for group in range(NETS // PER_GROUP):
        identity = {"identity": {"nets": names[PER_GROUP * group : PER_GROUP * (group + 1)]}}
        (place / f"verify-r1-s0-n200-g{group}.aside1.jsonl").write_bytes(sealed(identity, 0))
    with (place / "verify-r1.csv").open("w") as file:
        rows = csv.writer(file)
        rows.writerow(["net", "predicted_us", "uncorrected_us", "measured_us", "half_a_us", "half_b_us"])
        for number, name in enumerate(names):
            true_us = shared.uniform(4000, 9000)
            state = 1.1 if number < PER_GROUP and seed == 2 else 1.0  # the machine was slower beside the first group
            predicted_us = true_us * math.exp(shared.gauss(0, model) if model else 0)
            measured_us = true_us * state * math.exp(own.gauss(0, noise))
            rows.writerow([name, predicted_us, predicted_us, measured_us, measured_us, measured_us])


def figures(printed: str) -> dict[str, list[str]]:
    """Those of each cell that is in the table."""
    lines = [line.strip("| ").split(" | ") for line in printed.splitlines()[2:]]
    return {cells[0]: cells[1:] for cells in lines}


def percent(text: str) -> float:
    return float(text.split()[0]) / 100


def test_errors_of_the_model_and_noise_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, name in ((2, "morning"), (3, "evening")):
        hour(tmp_path / name, CELL, MODEL, NOISE, seed)
        hour(tmp_path / name, "onnx_int8_1_224_1.0_fbnet", 0.0, NOISE, seed)
    (tmp_path / "morning" / "only_there").mkdir()
    monkeypatch.setattr("sys.argv", ["truth_twice.py", str(tmp_path / "morning"), str(tmp_path / "evening")])
    truth_twice.main()
    found = figures(capsys.readouterr().out)
    assert set(found) == {"onnx fp32 1 224 1.0 fbnet", "onnx int8 1 224 1.0 fbnet"}

    nets, correlation, model, noise, apart, luts, _, averaged = found["onnx fp32 1 224 1.0 fbnet"]
    assert nets == str(NETS)
    assert float(correlation) == pytest.approx(MODEL**2 / (MODEL**2 + NOISE**2), abs=0.08)
    assert percent(model) == pytest.approx(MODEL, rel=0.15)
    assert percent(noise) == pytest.approx(NOISE, rel=0.15)
    assert percent(apart) == pytest.approx(NOISE * math.sqrt(2), rel=0.15)
    assert percent(luts) == 0
    assert 0.7 < percent(averaged) < 0.95

    _, correlation, model, noise, *_ = found["onnx int8 1 224 1.0 fbnet"]
    assert abs(float(correlation)) < 0.2
    assert percent(model) < 0.5 * percent(noise)
