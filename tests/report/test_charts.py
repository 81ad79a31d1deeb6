from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from lutbench.errors import OutputError, UsageError
from lutbench.report.charts.curves import SEARCH, TRAINING, Panels, draw_curves
from lutbench.report.charts.heatmap import draw_heatmap
from lutbench.report.charts.intervals import draw_intervals
from lutbench.report.charts.nets import draw_nets
from lutbench.report.charts.operators import draw_scatter, ratio_ticks
from lutbench.report.charts.ranking import Ranked, draw_ranking, front_of
from lutbench.report.charts.style import COLOURS, inline_svg, save
from lutbench.report.colours import latency_colours
from lutbench.report.compare import compare_rows
from lutbench.report.maps import latency_map, spread
from lutbench.report.plots import write_plots
from lutbench.report.side import sides_of
from lutbench.space.find import kept_spaces
from lutbench.space.macro import Space
from lutbench.space.net import parse_net
from lutbench.space.zoo import zoo_nets
from tests.report.luts import FBNET, make_lut, work_us

SVG = "{http://www.w3.org/2000/svg}"


def elements(svg: str) -> ET.Element:
    return ET.fromstring(svg)


def test_inline_svg_has_ids_of_its_own_and_the_colours_of_the_theme() -> None:
    (side,) = sides_of([make_lut()])
    one, two = (inline_svg(draw_intervals(side), name, 'half-"widths" <of> rows') for name in ("one", "two"))
    root = elements(one)
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert ids and len(ids) == len(set(ids)) and all(str(name).startswith("one-") for name in ids)
    assert set(re.findall(r'(?:url\(|href=")#([\w-]+)', one)) <= set(ids)
    assert not set(ids) & {element.get("id") for element in elements(two).iter()}
    assert root.get("aria-label") == 'half-"widths" <of> rows'
    assert "var(--muted)" in one and "var(--a)" in one
    assert not [light for light, _ in COLOURS.values() if light in one]
    assert "<metadata" not in one and "<!--" not in one


def test_the_same_chart_gives_the_same_bytes(tmp_path: Path) -> None:
    (side,) = sides_of([make_lut()])
    for suffix in ("svg", "png"):
        for folder in ("a", "b"):
            save(draw_intervals(side), tmp_path / folder / f"chart.{suffix}")
        assert (tmp_path / "a" / f"chart.{suffix}").read_bytes() == (tmp_path / "b" / f"chart.{suffix}").read_bytes()
    assert (tmp_path / "a/chart.png").read_bytes().startswith(b"\x89PNG")


def test_a_heat_map_has_a_named_cell_per_layer_and_candidate(tmp_path: Path) -> None:
    (side,) = sides_of([make_lut()])
    drawn = latency_map(side, FBNET)
    save(draw_heatmap(drawn, latency_colours(*spread([drawn])), "title"), tmp_path / "map.svg")
    names = re.findall(r'id="(cell-\d+-\d+)"', (tmp_path / "map.svg").read_text())
    assert len(names) == len(set(names)) == 22 * 9


def test_points_have_tooltips(tmp_path: Path) -> None:
    sides = sides_of([make_lut(), make_lut(rule=lambda op: 2 * work_us(op))])
    pairs = [pair for pair in compare_rows(sides[0].lut, sides[1].lut) if pair.ratio > 0]
    svg = inline_svg(draw_scatter(pairs, sides), "scatter", "x")
    tips = [element.get("data-tip") for element in elements(svg).iter() if element.get("data-tip")]
    assert len(tips) == len(pairs) == 110
    assert "ir_k5_e6_g1_64x14x14_64_s1: B / A 2.00, B slower" in tips
    save(draw_scatter(pairs, sides), tmp_path / "x.svg")
    text = (tmp_path / "x.svg").read_text()
    assert len(list(elements(text).iter(f"{SVG}title"))) == 110 and "<a " not in text


def test_nets_are_drawn_with_a_box_per_layer_that_is_not_skipped(tiny: Space) -> None:
    nets = zoo_nets()
    figure = draw_nets(nets, [f"{n} ms" for n, _ in enumerate(nets)])
    for axes, net in zip(figure.axes, nets, strict=True):
        boxes = [patch for patch in axes.patches if "layer" in str(patch.get_gid())]
        assert len(boxes) == sum(
            not candidate.is_skip or layer.operator(candidate).is_measured
            for layer, candidate in zip(net.space.layers, net.choice, strict=True)
        )
    assert "5 ms" in [text.get_text() for text in figure.axes[5].texts]
    heights = [patch.get_height() for patch in figure.axes[2].patches if "layer" in str(patch.get_gid())]  # fbnet_c
    assert heights[:2] == [pytest.approx(1 / 6), pytest.approx(1.0)]
    assert draw_nets([parse_net("k3_e1,skip,skip,k5_e2", tiny)]).axes
    with pytest.raises(ValueError, match="no net"):
        draw_nets([])


def test_a_block_without_a_kernel_is_drawn_with_that_of_its_convolutions() -> None:
    """A universal inverted bottleneck whose one depthwise convolution is the first, or that has none at all."""
    (space,) = kept_spaces("mobilenetv4-conv", (224,), (1.0,))
    layers = [[c for c in layer.candidates if c.name != "skip"] for layer in space.layers]
    for wanted, told in (("uib_a5_k0_e4", {"3×3", "5×5"}), ("uib_a0_k0_e4", {"1×1", "3×3"})):
        choice = [next((c for c in found if c.name == wanted), None) for found in layers]
        names = [one.name if one else found[0].name for one, found in zip(choice, layers, strict=True)]
        figure = draw_nets([parse_net(",".join(names), space)])
        texts = {text.get_text() for legend in figure.legends for text in legend.get_texts()}
        assert told <= texts and "0×0" not in texts


@pytest.mark.parametrize(("low", "high"), [(0.9, 1.1), (0.5, 1.05), (0.2, 9.0), (0.001, 2000.0), (0.95, 60.0)])
def test_ratios_have_a_handful_of_ticks_and_1_is_one(low: float, high: float) -> None:
    ticks = ratio_ticks(low, high)
    assert 2 <= len(ticks) <= 10 and 1.0 in ticks
    assert ticks == sorted(set(ticks)) and low <= ticks[0] and ticks[-1] <= high


def test_every_chart_becomes_a_file(tmp_path: Path) -> None:
    one = write_plots([make_lut()], tmp_path / "host.png")
    assert [path.name for path in one] == [
        "host-heatmap.png",
        "host-nets.png",
        "host-additivity.png",
        "host-intervals.png",
    ]
    two = write_plots([make_lut(), make_lut(device="$b$")], tmp_path / "deep" / "both.SVG")
    names = {path.stem.removeprefix("both-") for path in two}
    assert {"heatmap-a", "heatmap-b", "ratio", "operators", "ratios", "nets", "additivity-a", "intervals-b"} <= names
    assert all(path.stat().st_size > 1000 for path in (*one, *two))


def test_other_formats_and_places_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.pdf is not a format"):
        write_plots([make_lut()], tmp_path / "x.pdf")
    with pytest.raises(UsageError, match="no suffix"):
        write_plots([make_lut()], tmp_path / "x")
    with pytest.raises(OutputError):
        write_plots([make_lut()], Path("/proc/none/x.png"))


def test_a_ranking_shows_every_net_and_the_target(tmp_path: Path) -> None:
    others = [Ranked(f"drawn_{number}", 900.0 + 10 * number, 0.5 + number / 100) for number in range(5)]
    save(draw_ranking("a & b", others, [Ranked("s8_1ms_0", 950.0, 0.6)], 1000.0), tmp_path / "ranking.svg")
    text = (tmp_path / "ranking.svg").read_text()
    titles = [title.text for title in elements(text).iter(f"{SVG}title")]
    assert "s8_1ms_0: 60.0 %, 0.950 ms" in titles and len(titles) == 6
    assert "5 others ranked" in text and "target" in text and "predicted on a &amp; b (ms)" in text
    save(draw_ranking("host", [], [Ranked("only", 1.0, 1.0)], None), tmp_path / "one.svg")
    assert "target" not in (tmp_path / "one.svg").read_text()
    save(draw_ranking("host", others, [Ranked("only", 1.0, 1.0)], None, has_front=True), tmp_path / "front.svg")
    assert "front" not in text and "front of all" in (tmp_path / "front.svg").read_text()


def test_the_front_has_the_nets_that_no_other_is_better_than() -> None:
    nets = [Ranked(f"{us}", us, share) for us, share in ((3.0, 0.7), (1.0, 0.5), (2.0, 0.5), (4.0, 0.6), (1.0, 0.4))]
    assert [(net.latency_us, net.accuracy) for net in front_of(nets)] == [(1.0, 0.5), (3.0, 0.7)]
    assert front_of([]) == []


@pytest.mark.parametrize("epochs", [1, 4])
@pytest.mark.parametrize("panels", [TRAINING, SEARCH])
def test_curves_have_a_panel_a_quantity(panels: Panels, epochs: int, tmp_path: Path) -> None:
    keys = [key for _, names in panels.values() for key in names if key != "theta_accuracy" or epochs > 1]
    history = [{"epoch": number + 1, **dict.fromkeys(keys, 1 / (number + 2))} for number in range(epochs)]
    save(draw_curves(history, panels), tmp_path / "curves.svg")
    text = (tmp_path / "curves.svg").read_text()
    assert all(label in text for label in panels) and text.count(">epoch<") == len(panels)
