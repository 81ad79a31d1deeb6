"""The page's sections between its head and its tables, each one function of the sides."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lutbench.report.additivity import Additivity
from lutbench.report.charts.additivity import draw_additivity
from lutbench.report.charts.nets import draw_nets
from lutbench.report.charts.operators import draw_ratios, draw_scatter
from lutbench.report.charts.style import inline_svg
from lutbench.report.colours import ratio_colours
from lutbench.report.compare import compare_rows
from lutbench.report.heatmap import heatmap, latency_legend, ratio_legend
from lutbench.report.html import Html, join, tag
from lutbench.report.maps import latency_maps, ratio_map, spread
from lutbench.report.quality import quality_of
from lutbench.report.side import Side, all_spaces, drawn_nets
from lutbench.report.tables import Column, Value, compared_table, operators_table, sortable_table
from lutbench.report.text import latency, percent, plural, signed_percent, table, three_digits
from lutbench.space.macro import Space
from lutbench.space.net import Net
from lutbench.space.operator import OVERHEAD, Operator
from lutbench.units import US_PER_MS, ms_from_us

_WORST_SHOWN = 10


def maps_section(sides: Sequence[Side]) -> Html:
    """A map per LUT and the map of ratios, for each resolution and width; the first is open."""
    spaces = all_spaces(sides)
    problems = [
        tag("p", f"There is no map of {side.name}: {side.spaces_problem}. Its operators are below.", class_="quiet")
        for side in sides
        if side.spaces_problem
    ]
    groups = [_maps_of(sides, space, number) for number, space in enumerate(spaces)]
    if len(spaces) > 1:
        groups = [
            tag("details", [tag("summary", f"{space.name} at {space.label}"), group], open=number == 0)
            for number, (space, group) in enumerate(zip(spaces, groups, strict=True))
        ]
    return join([*problems, *groups])


def _maps_of(sides: Sequence[Side], space: Space, number: int) -> Html:
    found = latency_maps(sides, space)
    unit = found.unit
    tables = [
        heatmap(drawn, found.colours, f"map{number}-{side.letter}", _map_title(side, unit))
        for side, drawn in found.maps
    ]
    legends = [latency_legend(found)]
    if len(tables) == 2:
        ratios = ratio_map(sides, space)
        diverging = ratio_colours(*spread([ratios]))
        tables.append(heatmap(ratios, diverging, f"map{number}-ratio", "B / A"))
        legends.append(ratio_legend(diverging))
    if not tables:
        return tag("p", f"No LUT has a row of {space.name} at {space.label}.", class_="quiet")
    class_ = f"maps count{len(tables)}"
    return join([tag("div", legends, class_="legends"), tag("div", tables, class_=class_), _fixed(sides, space)])


def _map_title(side: Side, unit: str) -> str:
    return f"{side.name}, {unit}" if side.is_pair else f"Latency in {unit}"


def _fixed(sides: Sequence[Side], space: Space) -> Html:
    """What every net pays beside its layers."""
    operators = [
        OVERHEAD,
        space.stem,
        *(op for head in (space.head_channels, *space.other_heads) for op in space.tail(head)),
    ]
    items = [_fixed_item(sides, operator) for operator in operators]
    return tag("div", [tag("span", "Fixed", class_="label"), *items], class_="fixed")


def _fixed_item(sides: Sequence[Side], operator: Operator) -> Html:
    rows = [side.lut.by_operator.get(operator.name) for side in sides]
    figures = [three_digits(row.latency_us) if row else "–" for row in rows]
    note = "\n".join(side.note(row) for side, row in zip(sides, rows, strict=True) if row)
    return tag("span", [tag("span", operator.name), tag("b", f"{' | '.join(figures)} µs")], class_="item", title=note,
               tabindex="0")  # fmt: skip


def operators_section(sides: Sequence[Side]) -> Html:
    """Both LUTs' operators: one against the other, and their ratio by candidate."""
    pairs = [pair for pair in compare_rows(sides[0].lut, sides[1].lut) if math.isfinite(pair.ratio)]
    if not pairs:
        return tag("p", "The two LUTs have no operator in common, so there is nothing to compare.", class_="quiet")
    scatter = inline_svg(
        draw_scatter(pairs, sides), "scatter", f"{len(pairs)} operators, their latency in A against that in B."
    )
    ratios = inline_svg(draw_ratios(pairs), "ratios", "Ratio of B to A of every operator, by candidate.")
    return tag("div", [tag("figure", scatter), tag("figure", ratios)], class_="columns")


def nets_section(sides: Sequence[Side]) -> Html:
    """The zoo's nets that a LUT covers, drawn, with what the LUTs predict for them."""
    nets, others = drawn_nets(sides)
    if not nets:
        return tag("p", "No published net has all its operators in the LUT.", class_="quiet")
    labels = net_labels(sides, nets)
    described = "; ".join(f"{net.name}: {net.candidates_text}" for net in nets)
    chart = tag("figure", inline_svg(draw_nets(nets, labels), "nets", described, natural=True), class_="scroll")
    columns = [Column("net", is_numeric=False), Column("MMACs"), Column("input")]
    columns += [Column(f"{side.letter.upper()} (ms)" if side.is_pair else "latency (ms)") for side in sides]
    rows = [
        [
            Value(net.name),
            Value(f"{net.macs / 1e6:.1f}", net.macs),
            Value(net.space.label, net.space.resolution),
            *(_predicted(side, net) for side in sides),
        ]
        for net in nets
    ]
    alone = (
        "Blocks alone, without the layers around them, which a LUT has no rows of. " if sides[0].blocks_alone else ""
    )
    left = alone + (f"Not covered: {', '.join(net.name for net in others)}." if others else "")
    return join(
        [chart, sortable_table("nets-table", "Predicted latency", columns, rows), tag("p", left, class_="quiet")]
    )


def net_labels(sides: Sequence[Side], nets: Sequence[Net]) -> list[str]:
    """What each side predicts for each net, a line per side."""
    return ["\n".join(_net_label(side, net) for side in sides) for net in nets]


def _net_label(side: Side, net: Net) -> str:
    found = side.prediction(net)
    letter = f"{side.letter.upper()} " if side.is_pair else ""
    return f"{letter}{latency(found.latency_us) if found else '–'}"


def _predicted(side: Side, net: Net) -> Value:
    found = side.prediction(net)
    if found is None:
        return Value("–", note="not covered")
    low, high = (f"{us / US_PER_MS:.3f}" for us in (found.ci_low_us, found.ci_high_us))
    note = f"95 % interval {low} … {high} ms, of the LUT's own numbers" if math.isfinite(found.ci_high_us) else ""
    return Value(f"{ms_from_us(found.latency_us):.3f}", found.latency_us, note)


def additivity_section(sides: Sequence[Side], evidence: Sequence[Additivity]) -> Html:
    """The section of predictions against whole nets, for each LUT."""
    class_ = "columns" if len(sides) > 1 else "columns single"
    return tag("div", [_additivity(side, found) for side, found in zip(sides, evidence, strict=True)], class_=class_)


def _additivity(side: Side, found: Additivity) -> Html:
    head = tag("h3", side.name) if side.is_pair else ""
    problem = tag("p", found.problem, class_="quiet") if found.problem else ""
    if not found.points:
        return tag("div", [head, problem], class_="column")
    worst = found.worst
    description = (
        f"{len(found.points)} nets, predicted against {found.measured_name} latency: mean error"
        f" {percent(found.mean_abs_error, 2)}, worst {signed_percent(worst.error, 2)}."
    )
    chart = inline_svg(draw_additivity(found, side.letter), f"additivity-{side.letter}", description)
    facts = {
        "nets": str(len(found.points)),
        "mean absolute error": percent(found.mean_abs_error, 2),
        "worst": signed_percent(worst.error, 2),
        **{f"within {limit} %": percent(found.within(limit / 100), 0) for limit in (1, 3, 5, 10)},
        **_summary(side),
    }
    listed = tag(
        "dl", [part for name, text in facts.items() for part in (tag("dt", name), tag("dd", text))], class_="facts"
    )
    text = tag("div", [tag("p", found.evidence), problem, listed, _nets_table(side, found)])
    return tag("div", [head, tag("figure", chart), text], class_="column")


def _summary(side: Side) -> dict[str, str]:
    """What verify wrote into the LUT beside the errors."""
    additivity = table(side.lut.metadata.quality, "additivity")
    names = {"noise_mean": "noise floor, mean", "noise_max": "noise floor, worst", "drift": "drift since the LUT"}
    found = {name: percent(float(additivity[key]), 2) for key, name in names.items() if _is_number(additivity.get(key))}
    if _is_number(additivity.get("kendall_tau")):
        found["Kendall's tau"] = f"{additivity['kendall_tau']:.3f}"
    return found


def _is_number(found: object) -> bool:
    return isinstance(found, (int, float)) and not isinstance(found, bool)


def _nets_table(side: Side, found: Additivity) -> Html:
    """The nets behind the points, the worst first; a handful where there are many."""
    points = sorted(found.points, key=lambda point: -abs(point.error))
    shown = points if len(points) <= 2 * _WORST_SHOWN else points[:_WORST_SHOWN]
    columns = (
        Column("net", is_numeric=False),
        Column("predicted (ms)"),
        Column(f"{found.measured_name} (ms)"),
        Column("error (%)"),
    )
    rows = [
        (
            Value(tag("code", point.net)),
            Value(f"{ms_from_us(point.predicted_us):.3f}", point.predicted_us),
            Value(f"{ms_from_us(point.measured_us):.3f}", point.measured_us),
            Value(f"{100 * point.error:+.2f}", point.error),
        )
        for point in shown
    ]
    caption = plural(len(shown), "net") if shown is points else f"The {len(shown)} nets with the largest errors"
    return tag("details", [tag("summary", caption), sortable_table(f"nets-{side.letter}", caption, columns, rows)])


def quality_section(sides: Sequence[Side]) -> Html:
    """The section of quality, for each LUT: intervals, failures, disturbances, canaries, environment."""
    class_ = "columns" if len(sides) > 1 else "columns single"
    return tag("div", [quality_of(side) for side in sides], class_=class_)


def tables_section(sides: Sequence[Side]) -> Html:
    """Every operator; with two LUTs both and the ratio first."""
    if len(sides) == 1:
        return operators_table(sides[0])
    own = [tag("details", [tag("summary", f"All figures of {side.name}"), operators_table(side)]) for side in sides]
    return join([compared_table(compare_rows(sides[0].lut, sides[1].lut)), *own])
