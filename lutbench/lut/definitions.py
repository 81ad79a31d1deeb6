"""Whether LUTs, and nets, are of one definition where their spaces have one name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from lutbench.errors import LutError, SpaceFileError, UsageError
from lutbench.lut.metadata import SpaceSection
from lutbench.lut.table import Lut
from lutbench.space.definition import counts_of, others
from lutbench.space.find import kept_spaces
from lutbench.space.macro import Space


def what_differs(one: SpaceSection, other: SpaceSection) -> str:
    """What sets two definitions of one name apart, as a noun; none where nothing does.

    Blocks of somebody's own code or files compare where both know them, for variants have different operators.
    """
    if one.definition == other.definition:
        return ""
    try:
        same = _space_of(one.name, one.definition) == _space_of(other.name, other.definition)
    except (UsageError, SpaceFileError):  # one of them is none, or is not right
        same = False
    if not same:
        return f"definition of the space {one.name}"
    changed = others(counts_of(one.definition), counts_of(other.definition))
    return f"code or file behind {changed[0]}" if changed else ""


def check_definition(lut: Lut, space: Space) -> None:
    """LutError where the space is not the one of its name that the LUT's rows were measured for.

    A net of it may have the same operators all the same, but of other code, or in other places.
    """
    section = lut.metadata.space
    if not section.definition or space.name != section.name:
        return
    own = _space_of(section.name, section.definition, (space.resolution,), (space.width,))
    changed = others(own.counts, space.counts)
    if _without_choices(space, own.classes) != _without_choices(own, own.classes) or changed:
        what = f"code or file behind {changed[0]}" if changed else f"definition of the space {space.name}"
        raise LutError(
            f"was measured with another {what}",
            path=lut.path,
            remedy="measure the space that the net is of, and give one of the two another name",
        )


def _without_choices(space: Space, classes: int) -> Space:
    """What a net's space shares with the one that it is a choice of, at the net's resolution."""
    return replace(space.widest, resolution=space.resolution, resolutions=(), classes=classes)


def with_counts_of(lut: Lut, spaces: Sequence[Space]) -> tuple[Space, ...]:
    """The spaces with what the LUT says of blocks of somebody's own code or files, where it knows any."""
    counts = counts_of(lut.metadata.space.definition)
    return tuple(replace(one, counts=counts) if counts else one for one in spaces)


@lru_cache(maxsize=64)
def _space_of(
    name: str, definition: str, resolutions: tuple[int, ...] = (), widths: tuple[float, ...] = (1.0,)
) -> Space:
    """A defined space, as its file has it unless told otherwise."""
    (space,) = kept_spaces(name, resolutions, widths, definition)
    return space
