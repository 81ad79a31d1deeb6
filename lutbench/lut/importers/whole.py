"""Which search space a table of operators is the whole of."""

from __future__ import annotations

from collections.abc import Iterable, Set

from lutbench.errors import SpaceError
from lutbench.lut.metadata import IMPORTED_SPACE, SpaceSection
from lutbench.space.find import SPACES, kept_spaces, known_space
from lutbench.space.macro import Space
from lutbench.space.operator import Operator, parse_operator

_WIDTHS = {"ofa-mobilenetv3": (1.0, 1.2)}  # of the spaces of which tables are published at another than 1
_SMALLEST, _LARGEST, _MOST_SIZES = 8, 4096, 64  # of inputs, and how many of them a table may be of


def missing_of(there: Set[str], spaces: Iterable[Space]) -> list[str]:
    """The operators to be searched that are not there; an identity needs no row."""
    return [op.name for space in spaces for op in space.searchable_operators if op.is_measured and op.name not in there]


def whole_space(there: Set[str]) -> SpaceSection:
    """The first of the spaces that come along, of a width that tables are published of, whose operators are there.

    At every resolution where that is so; the space `imported` where there is none.
    """
    operators = [parse_operator(name) for name in there]
    variants = [(name, width) for name in SPACES for width in _WIDTHS.get(name, (1.0,))]
    for name, width in variants:
        (space,) = kept_spaces(name, (known_space(name).resolution,), (width,))
        sizes = [size for size in _sizes(operators, space) if _is_whole(there, name, size, width)]
        if sizes:
            return SpaceSection(name, tuple(sizes), (width,))
    return SpaceSection(IMPORTED_SPACE, (), ())


def _sizes(operators: Iterable[Operator], space: Space) -> list[int]:
    """The inputs' sizes of which the table could be: by its stems, or by blocks that could be the first."""
    first, stem = space.layers[0], space.stem
    found = set()
    for op in operators:
        if op.kind == "stem" and (op.c_in, op.c_out, op.stride) == (stem.c_in, stem.c_out, stem.stride):
            found.add(op.h_in)
        elif op.of_kind.candidate and (op.c_in, op.c_out, op.stride) == (first.c_in, first.c_out, first.stride):
            found.add(op.h_in * stem.stride)
    return sorted(size for size in found if _SMALLEST <= size <= _LARGEST)[:_MOST_SIZES]


def _is_whole(there: Set[str], name: str, resolution: int, width: float) -> bool:
    try:
        return not missing_of(there, kept_spaces(name, (resolution,), (width,)))
    except SpaceError:  # an image so small that nothing is left of it
        return False
