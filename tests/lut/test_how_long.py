"""How long a space takes on a device: told from the last of its LUTs, or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lutbench.lut.file import write_lut
from lutbench.lut.how_long import how_long
from tests.lut.made import made_lut


def write(path: Path, when: str, quality: dict[str, float], **metadata: str) -> None:
    write_lut(replace(made_lut(measured_at=when, quality=quality, **metadata), path=path), path)


def test_the_last_measured_lut_of_the_device_tells(tmp_path: Path) -> None:
    usual = tmp_path / "host.csv"
    assert how_long(50, "host", usual) is None
    write(usual, "2026-01-01T00:00:00Z", {"wall_s": 113.0, "runtime_s": 40.0})
    rows = sum(row.samples > 0 for row in made_lut().rows)
    found = how_long(2 * rows, "host", usual)
    assert found is not None
    assert (found.seconds, found.lut, found.operators, found.took_s) == (pytest.approx(226), usual, rows, 113.0)
    assert found.measured_with == "onnxruntime 1.31.1, int8"
    # a later one beside it, whose last part was short
    write(tmp_path / "host_fp32.csv", "2026-02-01T00:00:00Z", {"wall_s": 2.0, "runtime_s": 60.0})
    found = how_long(rows, "host", usual)
    assert found is not None and found.seconds == pytest.approx(60) and found.lut.name == "host_fp32.csv"


def test_what_tells_nothing_is_passed_over(tmp_path: Path) -> None:
    usual, when, quality = tmp_path / "host.csv", "2026-01-01T00:00:00Z", {"wall_s": 10.0}
    write(usual, when, quality, provenance="estimated")
    write(tmp_path / "host_b.csv", when, {"wall_s": 0.0})
    write(tmp_path / "host_c.csv", when, quality, device="another")
    (tmp_path / "host_d.csv").write_text("no LUT")
    assert how_long(50, "host", usual) is None
