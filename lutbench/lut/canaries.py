"""The canaries of two runs on one machine: what they tell of its clock, and of the caches it shares with others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from lutbench.lut.table import Lut

Range: TypeAlias = tuple[float, float]  # of ratios, the lowest and the highest

SMALL = "small"
CANARIES = (SMALL, "large", "nets")  # as `jobs.tuning.Canaries` names them
_SHORTEST_US, _LONGEST_US = 1e-6, 1e12  # beyond them a canary's time is junk
_OF_ONE_THING = ("device", "runtime", "dtype", "threads", "batch")  # fields of the metadata
_SAME_STATE = 0.03  # of a canary's time, a fraction: two quiet runs differ by as much


def canary_ratios(a: Lut, b: Lut) -> dict[str, float]:
    """B's time over A's of each canary that both runs timed, by its name; {} where they are of different things."""
    one, other = a.metadata, b.metadata
    same = (
        one.provenance == other.provenance == "measured"
        and one.environment.get("cpu") == other.environment.get("cpu")
        and all(getattr(one, field) == getattr(other, field) for field in _OF_ONE_THING)
    )
    found = {}
    for name in CANARIES if same else ():
        place = int(name != SMALL)  # the large one and that of nets are the same operator
        operators = [lut.metadata.context.canaries[place : place + 1] for lut in (a, b)]
        times_us = _canaries_us(a, b, name)
        if operators[0] == operators[1] and min(times_us) > 0:
            found[name] = times_us[1] / times_us[0]
    return found


def machine_range(canaries: Mapping[str, float]) -> Range:
    """The ratios between which the machine's state alone can move a row; 1, where nothing moved, is among them.

    canaries: of `canary_ratios`. The small one's is that of the clock; the others count where `beyond_clock` has them,
        and both ways: a row is made of the quiet rounds, and those of the more disturbed run may be the faster ones.
    """
    moved = beyond_clock(canaries).values()
    ratios = (1.0, canaries.get(SMALL, 1.0), *moved, *(1 / ratio for ratio in moved))
    return min(ratios), max(ratios)


def is_other_clock(canaries: Mapping[str, float]) -> bool:
    """Whether the clock moved by more than that of two quiet runs does."""
    return abs(canaries.get(SMALL, 1.0) - 1) > _SAME_STATE


def beyond_clock(canaries: Mapping[str, float], by: float = _SAME_STATE) -> dict[str, float]:
    """The canaries that moved by so much more than the clock, a fraction: more than in two quiet runs, if not given.

    These fetch through shared caches, and feel other programs as no small operator does.
    """
    clock = canaries.get(SMALL, 1.0)
    return {name: canaries[name] for name in canaries if abs(canaries[name] / clock - 1) > by}


def canaries_text(canaries: Mapping[str, float]) -> str:
    """The ratios as notes and warnings say them."""
    return ", ".join(f"{name} {ratio:.3f}x" for name, ratio in canaries.items())


def _canaries_us(a: Lut, b: Lut, name: str) -> list[float]:
    """What the canary took in each run; the small one in usual rounds, where both LUTs say it, as the rows are of."""
    usual_us = [_sane_us(lut.metadata.quality.get("clock_us")) for lut in (a, b)]
    if name == SMALL and min(usual_us) > 0:
        return usual_us
    tables = [lut.metadata.quality.get("canary_us") for lut in (a, b)]
    return [_sane_us(table.get(name)) if isinstance(table, Mapping) else 0.0 for table in tables]


def _sane_us(value: Any) -> float:
    """0 where the LUT keeps no sane one."""
    return float(value) if isinstance(value, (int, float)) and _SHORTEST_US < value < _LONGEST_US else 0.0
