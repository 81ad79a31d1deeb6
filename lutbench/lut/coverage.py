"""Which of a LUT's rows make a net's latency, and what an imported table leaves out of it.

Somebody else's table may time two layers as one, know ReLU by one name only, or have no stem, head, pool and
classifier. All that follows from a LUT alone, so that every command says and does the same about it.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

from lutbench.errors import LutbenchError, LutError
from lutbench.lut.table import Lut
from lutbench.space.macro import Space
from lutbench.space.net import Net
from lutbench.space.operator import Operator

FIXED_OPTION = "--fixed-us"  # of `lutbench import`
_SHOWN = 3  # layers that a note names


@dataclass(frozen=True)
class Parts:
    """What makes a net's latency: operators with rows, and a constant for those without, microseconds.

    lacking: names of fixed layers that the LUT has no row of and no constant for.
    """

    operators: tuple[Operator, ...]
    constant_us: float
    lacking: tuple[str, ...]


def timed_as(lut: Lut, operators: Sequence[Operator]) -> tuple[Operator, ...]:
    """The operators as the LUT has timed them: another name or a joint row stands in where their own is not there.

    A clamp does not change the arithmetic, so a row of ReLU stands for ReLU6; a row of pool and classifier together
    for the two.
    """
    found: list[Operator] = []
    for operator in operators:
        one = _without_clamp(lut, operator)
        before = found[-1] if found else None
        joint = _joint(before, one)
        if joint and before and joint.name in lut.by_operator and not _has_all(lut, (before, one)):
            found[-1] = joint
        else:
            found.append(one)
    return tuple(found)


def _without_clamp(lut: Lut, operator: Operator) -> Operator:
    if operator.option("activation") != "relu6" or operator.name in lut.by_operator:
        return operator
    usual = operator.of_kind.option("activation")
    others = tuple(pair for pair in operator.options if pair[0] != "activation")
    if usual is not None and usual.default != "relu":
        others = (*others, ("activation", "relu"))
    twin = replace(operator, options=others)
    return twin if twin.name in lut.by_operator else operator


def _joint(before: Operator | None, operator: Operator) -> Operator | None:
    if before is None or (before.kind, operator.kind) != ("pool", "fc") or before.options or operator.options:
        return None
    return Operator("poolfc", before.c_in, before.h_in, before.w_in, operator.c_out)


def _has_all(lut: Lut, operators: Sequence[Operator]) -> bool:
    return all(operator.name in lut.by_operator for operator in operators)


def net_parts(lut: Lut, net: Net) -> Parts:
    """What makes the net's latency. Only an imported LUT may lack fixed layers."""
    around = {operator.name for operator in (net.space.stem, *net.space.tail(net.head_channels))}
    return _parts(lut, net.operators, around)


def fixed_parts(lut: Lut, space: Space) -> Parts:
    """What every net of the space pays: stem, head, pool and classifier; fixed blocks among the layers are not here."""
    around = (space.stem, *space.tail(space.head_channels))
    return _parts(lut, around, {operator.name for operator in around})


def _parts(lut: Lut, wanted: Sequence[Operator], around: Set[str]) -> Parts:
    """around: which of the operators may be missing from an imported table."""
    operators = timed_as(lut, wanted)
    if lut.metadata.provenance != "imported":
        return Parts(operators, 0.0, ())
    missing = [op.name for op in operators if op.name in around and op.name not in lut.by_operator]
    if not missing:
        return Parts(operators, 0.0, ())
    there = tuple(op for op in operators if op.name not in missing)
    constant_us = fixed_us(lut)
    return Parts(there, constant_us or 0.0, () if constant_us is not None else tuple(missing))


def fixed_us(lut: Lut) -> float | None:
    """What the layers that an imported table lacks take together, microseconds; None where nobody said it."""
    found = lut.metadata.origin.get("fixed_us")
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not 0 <= found < 1e12:
        raise LutError("[origin] fixed_us is not a number of microseconds from 0", path=lut.path)
    return float(found)


def lacks_fixed(lut: Lut) -> bool:
    """Whether nets can be compared by their blocks alone: an imported table of a space, without the layers around."""
    return bool(_lacking(lut)) and fixed_us(lut) is None


def _lacking(lut: Lut) -> list[str]:
    """The stem, head, pool and classifier of the LUT's spaces that it has no rows of; nothing unless it is imported."""
    if lut.metadata.provenance != "imported":
        return []
    try:
        spaces = lut.metadata.space.spaces
    except LutbenchError:  # a space that is not known here: said where it is needed
        return []
    found: dict[str, None] = {}
    for space in spaces:
        operators = timed_as(lut, (space.stem, *space.tail(space.head_channels)))
        found |= dict.fromkeys(operator.name for operator in operators if operator.name not in lut.by_operator)
    return list(found)


def lacking_note(lut: Lut) -> str:
    """One line on the fixed layers that an imported table has no rows of; "" where it has all or is of no space."""
    lacking = _lacking(lut)
    if not lacking:
        return ""
    more = f" and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else ""
    names = f"{', '.join(lacking[:_SHOWN])}{more}"
    constant_us = fixed_us(lut)
    if constant_us is not None:
        return f"it has no rows of {names}: {constant_us:g} us stand for them, as its import was told"
    return (
        f"it has no rows of {names}: nets are searched and compared by their blocks alone;"
        f" `lutbench import {FIXED_OPTION} N` says what those layers take together"
    )
