from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from lutbench.lut.row import failed_row
from lutbench.report.colours import ink_on, latency_colours, ratio_colours
from lutbench.report.maps import latency_map, latency_maps, ratio_map, spread
from lutbench.report.side import sides_of
from lutbench.space.file import parse_space
from lutbench.space.macro import Space
from tests.report.luts import FBNET, make_lut, with_row, without_row, work_us

BLOCK = "ir_k5_e6_g1_64x14x14_64_s1"  # of layers 11, 12 and 13


def test_fbnet_has_22_layers_and_9_candidates() -> None:
    (side,) = sides_of([make_lut()])
    drawn = latency_map(side, FBNET)
    assert (len(drawn.rows), {len(row) for row in drawn.rows}) == (22, {9})
    states = Counter(cell.state for cell in drawn.cells)
    assert states == {"ok": 198 - 16, "identity": 16}  # 6 layers change the shape: their skip is a convolution
    cell = drawn.rows[10][7]
    assert (cell.candidate, cell.value) == ("k5_e6", side.lut.by_operator[BLOCK].latency_us)
    assert "95 % interval" in cell.note and BLOCK in cell.note and "Layer 11" in cell.note
    assert drawn.rows[2][8].value == 0.0


def test_failed_and_missing_rows_are_marked_with_their_reason() -> None:
    for lut, state, reason in (
        (with_row(make_lut(), failed_row(BLOCK, "out of memory")), "failed", "failed: out of memory"),
        (without_row(make_lut(), BLOCK), "missing", "not in the LUT"),
    ):
        (side,) = sides_of([lut])
        cells = [row[7] for row in latency_map(side, FBNET).rows[10:13]]
        assert {cell.state for cell in cells} == {state}
        assert all(reason in cell.note for cell in cells)


def test_ratios_are_centred_at_1_and_those_within_the_intervals_are_unsure() -> None:
    sides = sides_of([make_lut(), make_lut(rule=lambda op: work_us(op) * (1.5 if op.kernel == 5 else 1.0))])
    drawn = ratio_map(sides, FBNET)
    by_kernel = {(cell.candidate[:2], cell.state) for cell in drawn.cells}
    assert by_kernel == {("k3", "unsure"), ("k5", "ok"), ("sk", "unsure"), ("sk", "identity")}
    colours = ratio_colours(*spread([drawn]))
    assert colours.position(1.0) == pytest.approx(0.5)
    assert colours.position(1.5) == pytest.approx(1.0, abs=1e-3)


def test_a_layer_without_a_candidate_has_an_empty_cell(tiny: Space) -> None:
    stages = (tiny.stages[0], replace(tiny.stages[1], candidates=tiny.candidates[:1]))
    space = replace(tiny, stages=stages)
    (side,) = sides_of([make_lut(space)])
    states = [[cell.state for cell in row] for row in latency_map(side, space).rows]
    assert states[0][-1] == "identity" and states[3] == ["ok", "none", "none", "none"]


def test_colours_are_logarithmic_and_every_ink_can_be_read() -> None:
    colours = latency_colours(1.0, 100.0)
    assert [colours.position(value) for value in (0.5, 1, 10, 100, 1e9)] == [0, 0, 0.5, 1, 1]
    assert latency_colours(5.0, 5.0).position(5.0) == 0.5
    for step in range(101):
        background = colours.colour(10 ** (step / 50))
        assert contrast(background, ink_on(background)) >= 4.5


def contrast(a: str, b: str) -> float:
    """WCAG 2's contrast of two colours #rrggbb."""

    def luminance(colour: str) -> float:
        red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        lin = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)]
        return 0.2126 * lin[0] + 0.7152 * lin[1] + 0.0722 * lin[2]

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_a_space_of_ones_own_is_found_in_its_lut(tiny_file: Path) -> None:
    text = tiny_file.read_text()
    space = parse_space(text, tiny_file)
    (side,) = sides_of([make_lut(space, definition=text)])
    assert side.spaces == (space,)
    (lost,) = sides_of([make_lut(replace(space, name="nobody_knows"))])
    assert lost.spaces == () and "nobody_knows" in lost.spaces_problem


def test_long_latencies_are_written_in_milliseconds_in_every_map_of_the_space() -> None:
    sides = sides_of([make_lut(), make_lut(rule=lambda op: 1000 * work_us(op))])
    short, long = latency_maps(sides[:1], FBNET), latency_maps(sides, FBNET)
    assert (short.unit, long.unit) == ("µs", "ms")
    cell = long.maps[0][1].rows[10][7]
    assert cell.value == short.maps[0][1].rows[10][7].value
    assert float(cell.text) == pytest.approx(cell.value / 1000, abs=0.005)
    assert not any(float(cell.text) == 0 for _, drawn in long.maps for cell in drawn.cells if cell.state == "ok")
    assert all(len(cell.text) <= 5 for _, drawn in long.maps for cell in drawn.cells)
