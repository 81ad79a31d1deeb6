"""A diff for people, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lutbench.cli.luts import threads_text, what_it_is
from lutbench.cli.out import say
from lutbench.cli.render import print_table
from lutbench.files import write_atomically
from lutbench.units import format_change, format_latency, format_percent

if TYPE_CHECKING:
    from lutbench.lut.compare import Change
    from lutbench.lut.diff import Diff, FailedPair, Group
    from lutbench.lut.table import Lut

_FEW = 5  # names in a line


def change_json(change: Change, kind: str) -> dict[str, Any]:
    """Gives one change as plain values.

    kind: what the change is of, operator or net.
    """
    values = dict(vars(change))  # asdict would copy deeply, a second for 100,000 of them
    del values["machine"]  # of all alike: the device's state is there as canary_ratios
    usual = values.pop("usual")
    return {
        kind: values.pop("name"),
        **values,
        "ratio": change.ratio,
        "usual_ratio": usual.ratio if usual else None,
        "significant": change.significant,
    }


def diff_json(found: Diff) -> dict[str, Any]:
    """What --json prints; microseconds, ratios B / A."""
    return {
        "a": _lut_json(found.a),
        "b": _lut_json(found.b),
        "geomean_ratio": found.geomean_ratio,
        "compared": len(found.operators),
        "significant": int(found.operators.significant.sum()),
        "clock_ratio": found.clock_ratio,
        "canary_ratios": dict(found.canary_ratios),
        "operators": [change_json(change, "operator") for change in found.operators],
        "failed": [asdict(pair) for pair in found.failed],
        "only_in_a": list(found.only_in_a),
        "only_in_b": list(found.only_in_b),
        "groups": {
            by.replace(" ", "_"): [_group_json(group) for group in groups] for by, groups in found.groups.items()
        },
        "nets": [change_json(net, "net") for net in found.nets],
        "nets_not_covered": list(found.nets_not_covered),
        "warnings": list(found.warnings),
        "notes": list(found.notes),
    }


def _lut_json(lut: Lut) -> dict[str, Any]:
    meta = lut.metadata
    return {
        "path": str(lut.path),
        **what_it_is(lut),
        "revision": meta.revision,
        "measured_at": meta.measured_at,
    }


def write_rows(found: Diff, path: Path) -> None:
    """Every compared operator as a row of CSV, in one step; OutputError where that fails."""
    text = io.StringIO()
    rows = [change_json(change, "operator") for change in found.operators]
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode())


def print_diff(found: Diff, top: int) -> None:
    """Prints for people how B stands to A overall and by net, what A and B are, then groups and operators, top of
    each.
    """
    say(_verdict(found))
    _print_nets(found)
    for label, lut in (("A", found.a), ("B", found.b)):
        say(f"{label}  {_describe(lut)}")
    if found.a.metadata.runtime != found.b.metadata.runtime:
        say(_winners(found))
    for note in found.notes:
        say(f"note: {note}")
    for text, names in (("in A only", found.only_in_a), ("in B only", found.only_in_b)):
        if names:
            say(f"{len(names)} {_operators(len(names))} {text}: {_few(names, top)}")
    if found.failed:
        count = len(found.failed)
        say(f"{count} {_operators(count)} not compared: {_few([_failure(p) for p in found.failed], top)}")
    _print_groups(found, top)
    _print_operators(found, top)
    say("±: half the 95 % interval; * significant: beyond the intervals of both and the device's state")


def _describe(lut: Lut) -> str:
    meta = lut.metadata
    threads = threads_text(meta.threads, meta.batch)
    cpu = f" ({meta.environment['cpu']})" if "cpu" in meta.environment else ""
    made = " ".join(text for text in (meta.provenance, meta.measured_at) if text)
    return (
        f"{lut.path}: {meta.device}{cpu}, {meta.runtime}, {meta.dtype}, {threads}, {made}, revision {meta.revision},"
        f" {len(lut.rows)} rows"
    )


def _failure(pair: FailedPair) -> str:
    statuses = (("A", pair.a_status), ("B", pair.b_status))
    return f"{pair.operator} ({', '.join(f'{text} in {label}' for label, text in statuses if text != 'ok')})"


def _operators(count: int) -> str:
    return "operator" if count == 1 else "operators"


def _verdict(found: Diff) -> str:
    changes = found.operators
    slower = int((changes.significant & (changes.ratio > 1)).sum())
    faster = int((changes.significant & (changes.ratio < 1)).sum())
    change = format_change(found.geomean_ratio)
    return (
        f"B is {change} {'as' if change == 'as fast' else 'than'} A: geometric mean of {len(changes)}"
        f" {_operators(len(changes))}, of which {slower} significantly slower and {faster} significantly faster"
    )


def _winners(found: Diff) -> str:
    """Which runtime is faster for which kinds of operators, where a group's are mostly significantly so."""
    wins: list[list[str]] = [[], []]
    for by, groups in found.groups.items():
        for group in groups:
            name = f"{_of_kind(found, by)}{by} {group.value}"
            for side, faster in enumerate((group.faster_in_a, group.faster_in_b)):
                if 2 * faster > group.count:
                    wins[side].append(f"{name} ({faster} of {group.count})")
    return "\n".join(
        f"{lut.metadata.runtime} is faster for {'; '.join(names) or 'no group of operators'}"
        for lut, names in zip((found.a, found.b), wins, strict=True)
    )


def _of_kind(found: Diff, by: str) -> str:
    """What a group's name begins with: the kind of the blocks in it, where there is one."""
    if by == "kind":
        return ""
    return f"{found.block_kinds[0]}, " if len(found.block_kinds) == 1 else "blocks, "


def _group_json(group: Group) -> dict[str, Any]:
    return {**asdict(group), "significant": group.significant}


def _few(names: Sequence[str], top: int) -> str:
    shown = max(top, _FEW)
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def _print_groups(found: Diff, top: int) -> None:
    """The groups that are furthest from the whole, top of them; all where every operator is listed."""
    overall = _log(found.geomean_ratio)
    groups = [(by, group) for by, of_kind in found.groups.items() for group in of_kind]
    if len(found.operators) > top:
        furthest = sorted(groups, key=lambda one: -abs(_log(one[1].geomean_ratio) - overall))[: max(top, _FEW)]
        groups = [one for one in groups if one in furthest]
    print_table(
        "",
        {"geometric means": False, "operators": True, "A faster": True, "B faster": True, "B / A": True},
        [
            [
                f"{_of_kind(found, by)}{by} {group.value}",
                str(group.count),
                str(group.faster_in_a),
                str(group.faster_in_b),
                _ratio(group.geomean_ratio),
            ]
            for by, group in groups
        ],
        caption=f"{len(groups)} of {sum(map(len, found.groups.values()))} groups: those furthest from the mean of all"
        " (--all lists every one)"
        if len(found.operators) > top
        else "",
    )


def _log(ratio: float) -> float:
    """Of ratios that a file may hold: 0 and infinity too."""
    return math.log(min(max(ratio, sys.float_info.min), sys.float_info.max))


def _ratio(ratio: float) -> str:
    return "unknown" if math.isnan(ratio) else f"{ratio:.3f}"


def _print_operators(found: Diff, top: int) -> None:
    changes = found.operators
    if 2 * top >= len(changes):
        _print_changes("operators by B / A", changes)
    elif top:
        _print_changes(f"{top} largest B / A", changes[:top])
        _print_changes(f"{top} smallest B / A", changes[-top:])


def _print_nets(found: Diff) -> None:
    if found.nets:
        _print_changes("nets, predicted", found.nets)
    if found.nets_not_covered:
        missing, names = len(found.nets_not_covered), ", ".join(found.nets_not_covered)
        say(f"not covered by both: {missing} of {missing + len(found.nets)} nets of the zoo ({names})")


def _print_changes(title: str, changes: Iterable[Change]) -> None:
    print_table(
        "",
        {title: False, "A": True, "B": True, "B / A": True},
        [
            [
                change.name,
                _with_half_width(change.a_us, change.a_ci_low_us, change.a_ci_high_us),
                _with_half_width(change.b_us, change.b_ci_low_us, change.b_ci_high_us),
                f"{_ratio(change.ratio)} {'*' if change.significant else ' '}",
            ]
            for change in changes
        ],
    )


def _with_half_width(latency_us: float, low_us: float, high_us: float) -> str:
    half = (high_us - low_us) / 2 / latency_us if latency_us else 0.0
    return f"{format_latency(latency_us)} ±{format_percent(half)}"
