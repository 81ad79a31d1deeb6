from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lutbench.errors import LutError
from lutbench.lut.verify_file import NetResult, results_path, write_results
from lutbench.report.additivity import find_additivity
from lutbench.report.side import sides_of
from tests.report.luts import make_lut, without_row

VERIFIED = {"quality": {"additivity": {"nets": 1, "mean_abs_error": 0.02}}}
RESULT = NetResult("a:1:b", 102.0, 101.0, 100.0, 100.0, 100.0)


def test_without_verify_the_nets_of_the_fit_are_shown_and_called_so() -> None:
    (side,) = sides_of([make_lut()])
    found = find_additivity(side)
    assert len(found.points) == 6 and not found.problem
    assert found.mean_abs_error == pytest.approx(0, abs=1e-9)
    assert "nets the fit was made with" in found.evidence


def test_verified_nets_go_first(tmp_path: Path) -> None:
    lut = make_lut(path=tmp_path / "host.csv", **VERIFIED)
    write_results([RESULT], results_path(tmp_path / "host.csv", 1))
    (side,) = sides_of([lut])
    found = find_additivity(side)
    assert [point.net for point in found.points] == ["a:1:b"]
    assert found.mean_abs_error == pytest.approx(0.02)
    assert "had never seen" in found.evidence
    assert (found.within(0.01), found.within(0.03)) == (0, 1)


def test_results_of_another_revision_or_of_a_lut_made_anew_are_not_taken(tmp_path: Path) -> None:
    write_results([RESULT], results_path(tmp_path / "host.csv", 1))
    for lut in (make_lut(path=tmp_path / "host.csv", revision=2, **VERIFIED), make_lut(path=tmp_path / "host.csv")):
        (side,) = sides_of([lut])
        assert len(find_additivity(side).points) == 6


def test_damaged_results_are_one_error(tmp_path: Path) -> None:
    path = results_path(tmp_path / "host.csv", 1)
    path.parent.mkdir()
    path.write_text("net\n")
    (side,) = sides_of([make_lut(path=tmp_path / "host.csv", **VERIFIED)])
    with pytest.raises(LutError, match=r"verify-r1\.csv:1"):
        find_additivity(side)


def test_an_estimate_is_judged_by_the_nets_left_out() -> None:
    nets = [
        {"net": "fbnet_a", "latency_us": 20000, "fitted_us": 20000.0, "left_out_us": 21000.0},
        {"net": "fbnet_b", "latency_us": 10000.0, "fitted_us": 10000.0, "left_out_us": 9000.0},
        {"net": "odd", "latency_us": "?", "left_out_us": 1.0},
        "junk",
    ]
    (side,) = sides_of([make_lut(provenance="estimated", origin={"nets": nets})])
    found = find_additivity(side)
    assert [(point.net, point.error) for point in found.points] == [
        ("fbnet_a", pytest.approx(0.05)),
        ("fbnet_b", pytest.approx(-0.1)),
    ]
    assert found.measured_name == "published" and found.is_named
    assert found.problem.startswith("2 nets")


def test_nets_that_cannot_be_predicted_are_counted_not_hidden() -> None:
    lut = make_lut()
    (side,) = sides_of([without_row(lut, "fc_1504_1000")])
    found = find_additivity(side)
    assert not found.points
    assert "6 nets cannot be predicted: fc_1504_1000" in found.problem
    context = replace(lut.metadata.context, nets=("junk",) * 6)
    (side,) = sides_of([replace(lut, metadata=replace(lut.metadata, context=context))])
    assert "6 nets" in find_additivity(side).problem
    (side,) = sides_of([replace(lut, metadata=replace(lut.metadata, context=type(context)()))])
    assert "no whole nets" in find_additivity(side).problem
