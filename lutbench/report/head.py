"""The page's head: what each LUT is, where its numbers come from, how good they are."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lutbench.lut.coverage import lacking_note
from lutbench.lut.metadata import UNKNOWN
from lutbench.lut.table import Lut
from lutbench.report.additivity import Additivity
from lutbench.report.compare import compare_rows, typical_ratio
from lutbench.report.html import Html, tag
from lutbench.report.side import Side
from lutbench.report.text import moment, number, percent, plural, table, threads, times, value

_PROVENANCE = {
    "measured": "measured on the device",
    "estimated": "estimated, not measured",
    "imported": "imported, not measured by lutbench",
}


def title(sides: Sequence[Side]) -> str:
    """What the page is called."""
    return " and ".join(side.device for side in sides)


def page_head(sides: Sequence[Side], evidence: Sequence[Additivity]) -> Html:
    """Overline, title, a warning for each LUT that is not measured, and a card per LUT."""
    names = [tag("span", side.device, class_=f"name {side.letter}") for side in sides]
    heading = [names[0], *(part for name in names[1:] for part in (tag("span", " and ", class_="and"), name))]
    cards = [_card(side, found) for side, found in zip(sides, evidence, strict=True)]
    return tag(
        "header",
        [
            tag("p", "lutbench · latency lookup table" + ("s compared" if len(sides) > 1 else ""), class_="overline"),
            tag("h1", heading),
            *([] if len(sides) > 1 else [_badge(sides[0])]),
            *([_versus(sides)] if len(sides) > 1 else []),
            *(_warning(side) for side in sides),
            tag("div", cards, class_="cards"),
        ],
    )


def _warning(side: Side) -> Html:
    meta = side.lut.metadata
    if meta.provenance == "measured":
        return Html("")
    source = value(meta.origin.get("source", "another source"))
    which = f"{side.name}: these" if side.is_pair else "These"
    head, verb = (
        ("Estimated, not measured.", "fitted to")
        if meta.provenance == "estimated"
        else ("Imported, not measured by lutbench.", "taken from")
    )
    caution = f" Caution: {value(meta.origin['caution'])}." if meta.origin.get("caution") else ""
    lacking = lacking_note(side.lut)
    caution += f" Incomplete: {lacking}." if lacking else ""
    body = f" {which} latencies were {verb} {source}.{caution} A measurement on that device replaces them: "
    return tag(
        "p",
        [tag("strong", head), body, tag("code", side.lut.replacing_command)],
        class_="warning",
        role="note",
    )


def _versus(sides: Sequence[Side]) -> Html:
    """One sentence that says how the two compare."""
    pairs = compare_rows(sides[0].lut, sides[1].lut)
    both = [pair for pair in pairs if math.isfinite(pair.ratio)]
    if not both:
        return tag("p", "The two LUTs have no operator in common.", class_="lead")
    typical = typical_ratio(pairs)
    apart = sum(pair.is_significant is True for pair in both)
    return tag(
        "p",
        [
            f"Over the {plural(len(both), 'operator')} that both have, B takes ",
            tag("strong", f"{times(typical)}×"),
            f" as long as A (geometric mean). {apart} of them differ by more than their intervals.",
        ],
        class_="lead",
    )


def _card(side: Side, found: Additivity) -> Html:
    letter = tag("span", side.letter.upper(), class_=f"letter {side.letter}")
    head = tag("h2", [letter, side.device, _badge(side)]) if side.is_pair else ""
    facts = [part for name, text in _facts(side.lut).items() for part in (tag("dt", name), tag("dd", text))]
    tiles = [tag("div", [tag("b", figure), tag("span", text)], class_="tile") for figure, text in _tiles(side, found)]
    parts = [head, tag("div", tiles, class_="tiles"), tag("dl", facts, class_="facts")]
    return tag("section", parts, class_="card" if side.is_pair else "card single")


def _badge(side: Side) -> Html:
    provenance = side.lut.metadata.provenance
    return tag("span", _PROVENANCE[provenance], class_=f"badge {provenance}")


def _facts(lut: Lut) -> dict[str, str]:
    meta = lut.metadata
    stated = [text for text in (meta.runtime, meta.dtype) if text != UNKNOWN]
    found = {
        "CPU": value(meta.environment.get("cpu", "")),
        "runtime": f"{', '.join(stated) or 'not stated'}, {threads(lut)}, batch {meta.batch}",
        "space": _space(lut),
        "made": f"{moment(meta.measured_at)}, revision {meta.revision}"
        if meta.measured_at
        else f"revision {meta.revision}",
        "file": lut.path.name if lut.path else "",
        "lutbench": meta.lutbench,
    }
    return {name: text for name, text in found.items() if text}


def _space(lut: Lut) -> str:
    space = lut.metadata.space
    if not space.resolutions or not space.widths:
        return "not the whole of one"
    widths = ", ".join(f"{width:g}" for width in space.widths)
    return f"{space.name} at {', '.join(map(str, space.resolutions))}, width {widths}"


def _tiles(side: Side, found: Additivity) -> list[tuple[str, str]]:
    """Figure and what it is, the most telling first."""
    rows, failed = len(side.lut.rows), sum(not row.is_ok for row in side.lut.rows)
    tiles = [(str(rows), "operators" if not failed else f"operators, {failed} of them failed")]
    if side.within_target is not None and side.target is not None:
        tiles.append((percent(side.within_target), f"of rows within ±{100 * side.target:g}\N{NO-BREAK SPACE}%"))
    if summary := _whole_nets(side, found):
        tiles.append(summary)
    disturbed = number(side.lut.metadata.quality, "disturbed_share")
    if disturbed is not None:
        tiles.append((percent(disturbed, 0), "of samples disturbed, not counted"))
    return tiles


def _whole_nets(side: Side, found: Additivity) -> tuple[str, str] | None:
    """The mean error of predicted nets and what it is of."""
    additivity = table(side.lut.metadata.quality, "additivity")
    error, nets = number(additivity, "mean_abs_error"), number(additivity, "nets")
    if error is not None:
        return percent(error, 2), f"mean error of {f'{nets:.0f} ' if nets else ''}unseen nets"
    if not found.points:
        return None
    error_text, nets_text = percent(found.mean_abs_error, 2), plural(len(found.points), "net")
    if side.lut.metadata.provenance == "estimated":
        return error_text, f"mean error of {nets_text}, each left out of the fit in turn"
    return error_text, f"mean error of {nets_text} that tuned it"
