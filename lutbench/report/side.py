"""Side: a LUT as a report sees it, one of one or one of two (A and B)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from lutbench.errors import LutbenchError
from lutbench.lut.coverage import lacks_fixed
from lutbench.lut.predict import Prediction, predict, predict_blocks
from lutbench.lut.row import Row
from lutbench.lut.table import Lut
from lutbench.report.text import has_interval, number, row_note, short
from lutbench.space.macro import Space
from lutbench.space.net import Net
from lutbench.space.zoo import nets_of_blocks, zoo_nets, zoo_nets_of

DEFAULT_TARGET = 0.01


@dataclass(frozen=True, eq=False)
class Side:
    """One of the LUTs of a page.

    letter: "a" or "b", which is also the name of its colour.
    is_pair: whether there is another beside it.
    device: what to call it; with its file's name where the other one is of the same device.
    blocks_alone: whether nets stand for their blocks, for one of the LUTs has no rows of the layers around them.
    """

    lut: Lut
    letter: str
    is_pair: bool
    device: str
    blocks_alone: bool = False

    @property
    def name(self) -> str:
        """What the LUT is called in charts and tables: its device, with the letter where there are two."""
        return f"{self.letter.upper()}: {self.device}" if self.is_pair else self.device

    def note(self, row: Row) -> str:
        """Everything about one of the LUT's rows in a few lines."""
        return row_note(row, self.lut.metadata.provenance)

    @cached_property
    def _found(self) -> tuple[tuple[Space, ...], str]:
        try:
            spaces = self.lut.metadata.space.spaces
        except (LutbenchError, OSError, ValueError) as error:  # the name may be no path at all
            return (), error.problem if isinstance(error, LutbenchError) else str(error)
        if not spaces:
            return (), "its rows are those of another project's table, of no search space that lutbench knows"
        return spaces, ""

    @property
    def spaces(self) -> tuple[Space, ...]:
        """The spaces that the LUT says it covers; none where they are not known here."""
        return self._found[0]

    @property
    def spaces_problem(self) -> str:
        """Why there are no spaces; "" where there are."""
        return self._found[1]

    @property
    def target(self) -> float | None:
        """The half-width of the interval that the measuring went for, a fraction; None where nothing was measured."""
        stated = number(self.lut.metadata.quality, "target")
        if stated is not None and stated > 0:
            return stated
        return DEFAULT_TARGET if self.lut.metadata.provenance == "measured" else None

    @cached_property
    def measured_rows(self) -> tuple[Row, ...]:
        """Rows that a device was needed for: every one but identities."""
        return tuple(row for row in self.lut.rows if row.parts.is_measured)

    @cached_property
    def half_widths(self) -> tuple[float, ...]:
        """Half the width of each row's interval, as a fraction, where it has one."""
        return tuple(row.half_width for row in self.measured_rows if has_interval(row))

    @property
    def within_target(self) -> float | None:
        """Share of measured rows, failed ones counted, whose interval is within the target; None without either."""
        target = self.target
        if not self.half_widths or target is None:
            return None
        return sum(width <= target for width in self.half_widths) / len(self.measured_rows)

    def prediction(self, net: Net) -> Prediction | None:
        """The net's predicted latency; None where the LUT lacks one of its operators."""
        try:
            return (predict_blocks if self.blocks_alone else predict)(self.lut, net)
        except LutbenchError:
            return None


def sides_of(luts: Sequence[Lut]) -> tuple[Side, ...]:
    """The LUTs as A and B."""
    is_same = len({lut.metadata.device for lut in luts}) < len(luts)
    blocks_alone = any(lacks_fixed(lut) for lut in luts)
    return tuple(
        Side(lut, letter, len(luts) > 1, _device(lut, is_same), blocks_alone)
        for lut, letter in zip(luts, "ab", strict=False)
    )


def _device(lut: Lut, with_file: bool) -> str:
    device = short(lut.metadata.device)
    return f"{device} ({short(lut.path.stem)})" if with_file and lut.path else device


def all_spaces(sides: Sequence[Side]) -> tuple[Space, ...]:
    """Every space of every side once, in order."""
    return tuple(dict.fromkeys(space for side in sides for space in side.spaces))


def drawn_nets(sides: Sequence[Side]) -> tuple[tuple[Net, ...], tuple[Net, ...]]:
    """The nets of the zoo that some side can predict, and those of the sides' own spaces that none can."""
    known = {net: any(side.prediction(net) for side in sides) for net in (*zoo_nets(), *nets_of_blocks())}
    own = zoo_nets_of(side.lut.metadata.space.name for side in sides)
    return tuple(net for net in known if known[net]), tuple(net for net in own if not known[net])
