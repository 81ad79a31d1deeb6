"""Estimated LUTs: what the paper's nets give, and what ships."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from lutbench.errors import LatencyTableError, LutError
from lutbench.lut.estimate import Estimate, EstimateRequest, estimate
from lutbench.lut.file import format_lut, parse_lut, read_lut
from lutbench.lut.predict import predict
from lutbench.lut.table import Lut
from lutbench.space.fbnet import fbnet
from lutbench.space.zoo import find_net

ROOT = Path(__file__).parent.parent.parent
RESOLUTIONS, WIDTHS = (224, 192, 128, 96), (1.0, 0.5, 0.35)
DEVICE_NETS = ("fbnet_a", "fbnet_b", "fbnet_c", "fbnet_s8", "fbnet_iphonex")
PAPER_US = {"fbnet_a": 19800, "fbnet_b": 23100, "fbnet_c": 28100, "fbnet_s8": 22120, "fbnet_iphonex": 23330}


def request(device: str, source_device: str, prior: Lut | None = None, rows: str = "") -> EstimateRequest:
    return EstimateRequest(
        "published", device, source_device, resolutions=RESOLUTIONS, widths=WIDTHS, prior=prior, rows=rows
    )


@pytest.fixture(scope="module")
def s8() -> Estimate:
    return estimate(request("android-s8", "s8", rows="published"), Path("luts/s8.csv"))


@pytest.fixture(scope="module")
def iphonex(s8: Estimate) -> Estimate:
    return estimate(request("iphonex", "iphonex", s8.lut), Path("luts/iphonex.csv"))


def us(lut: Lut, net: str) -> float:
    return predict(lut, find_net(net, ())).latency_us


def test_the_s8_nets_are_met_and_every_kind_of_work_costs_something(s8: Estimate) -> None:
    assert s8.fit.left_out_mean_error <= 0.07
    assert min(low for kind in s8.fit.costs for low, _ in [s8.fit.cost_interval(kind)]) > 0
    for net in DEVICE_NETS:
        assert us(s8.lut, net) == pytest.approx(PAPER_US[net], rel=0.06)
    left_out = {net.net.split("@")[0]: net.left_out_error for net in s8.fit.nets}
    assert max(abs(left_out[net]) for net in DEVICE_NETS) <= 0.06


def test_table_5_has_its_signs_and_its_iphone_column(s8: Estimate, iphonex: Estimate) -> None:
    assert us(s8.lut, "fbnet_s8") < us(s8.lut, "fbnet_iphonex")
    assert us(iphonex.lut, "fbnet_iphonex") < us(iphonex.lut, "fbnet_s8")
    assert us(iphonex.lut, "fbnet_s8") == pytest.approx(27530, rel=0.03)
    assert us(iphonex.lut, "fbnet_iphonex") == pytest.approx(19840, rel=0.03)


def test_a_nets_prediction_is_the_fits_own(s8: Estimate) -> None:
    fitted = {net.net: net.fitted_us for net in s8.fit.nets}
    for net in DEVICE_NETS:
        assert us(s8.lut, net) == pytest.approx(fitted[f"{net}@224x1.0"], rel=1e-4)


def test_it_covers_table_4_and_says_what_it_is(s8: Estimate, iphonex: Estimate) -> None:
    for lut in (s8.lut, iphonex.lut):
        assert lut.metadata.provenance == "estimated"
        for resolution in RESOLUTIONS:
            for width in WIDTHS:
                names = {op.name for op in fbnet(resolution, width).operators}
                assert names <= set(lut.by_operator)
        measured = [row for row in lut.rows if row.parts.is_measured]
        assert min(row.half_width for row in measured) > 0.1  # wide: nothing was timed
        assert all(row.samples == 0 for row in lut.rows)
    assert "scaled from android-s8" in iphonex.lut.metadata.origin["caution"]
    assert any("condensenet_g4" in text for text in s8.lut.metadata.origin["left_out"])


def test_its_file_reads_back(s8: Estimate) -> None:
    text = format_lut(s8.lut)
    again = parse_lut(text, Path("luts/s8.csv"))
    assert format_lut(again) == text
    assert again.metadata.origin["costs"] == s8.lut.metadata.origin["costs"]


@pytest.mark.parametrize("name", ["s8", "iphonex"])
def test_what_ships_is_what_the_data_give(name: str, request: pytest.FixtureRequest) -> None:
    shipped, made = read_lut(ROOT / f"luts/{name}.csv"), request.getfixturevalue(name).lut
    same = replace(shipped.metadata, measured_at=made.metadata.measured_at, lutbench=made.metadata.lutbench)
    assert [row.operator for row in shipped.rows] == [row.operator for row in made.rows]
    for mine, theirs in zip(made.rows, shipped.rows, strict=True):
        assert mine.latency_us == pytest.approx(theirs.latency_us, rel=1e-3)
        assert mine.ci_high_us == pytest.approx(theirs.ci_high_us, rel=1e-3)
    assert same.space == made.metadata.space
    assert same.origin["source"] == made.metadata.origin["source"]


def test_too_few_nets(tmp_path: Path, s8: Estimate) -> None:
    path = tmp_path / "few.csv"
    path.write_text("net,latency_ms\nfbnet_a,10\nfbnet_b,12\nmnasnet,12\n")
    few = EstimateRequest(str(path), "phone", "phone")
    with pytest.raises(LatencyTableError, match=r"3 of .* too few nets for 10 costs: 12 are needed"):
        estimate(few, tmp_path / "x.csv")
    with_prior = estimate(replace(few, prior=s8.lut), tmp_path / "x.csv")
    assert len(with_prior.fit.nets) == 3
    path.write_text("net,latency_ms\nfbnet_a,10\n")
    with pytest.raises(LatencyTableError, match="2 are needed"):
        estimate(replace(few, prior=s8.lut), tmp_path / "x.csv")


def test_a_prior_must_be_an_estimate(s8: Estimate, tmp_path: Path) -> None:
    bare = replace(s8.lut, metadata=replace(s8.lut.metadata, origin={}))
    with pytest.raises(LutError, match="no costs to start from"):
        estimate(request("iphonex", "iphonex", bare), tmp_path / "x.csv")
    odd = {**s8.lut.metadata.origin, "costs": {**s8.lut.metadata.origin["costs"], "moved": -1.0}}
    wrong = replace(s8.lut, metadata=replace(s8.lut.metadata, origin=odd))
    with pytest.raises(LutError, match="no costs to start from"):
        estimate(request("iphonex", "iphonex", wrong), tmp_path / "x.csv")


def test_a_cut_off_prior_is_refused(s8: Estimate, tmp_path: Path) -> None:
    costs = {kind: cost for kind, cost in s8.lut.metadata.origin["costs"].items() if kind != "moved"}
    origin = {**s8.lut.metadata.origin, "costs": costs}
    cut = replace(s8.lut, metadata=replace(s8.lut.metadata, origin=origin))
    with pytest.raises(LutError, match=re.escape("no cost of moved")):
        estimate(request("iphonex", "iphonex", cut), tmp_path / "x.csv")
