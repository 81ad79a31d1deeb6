"""What stands above a LUT's columns: device, runtime, what its rows cover, and what whole nets said of their sum."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from lutbench.errors import LutError
from lutbench.lut.runtime_name import RuntimeName
from lutbench.measure.in_net import COLDER, OF_CHAINS, SIDES, TERMS, InNet, Setting
from lutbench.measure.neighbours import NEIGHBOUR_TERMS
from lutbench.measure.spill import Spill
from lutbench.measure.warmth import Warmth
from lutbench.reading.plain import show
from lutbench.space.fbnet import FBNET
from lutbench.space.find import SPACES, kept_spaces, known_space
from lutbench.space.macro import Space

SCHEMA = 1
Provenance = Literal["measured", "estimated", "imported"]
UNKNOWN = "unknown"  # a device, runtime or dtype that the source of an imported LUT does not state
_LARGEST_BLOCK = 64  # channels
IMPORTED_SPACE = "imported"  # the space of rows that are not the whole of a space that comes along


@dataclass(frozen=True)
class SpaceSection:
    """What the rows cover.

    definition: the TOML text of a user's own space, else empty.
    """

    name: str
    resolutions: tuple[int, ...]
    widths: tuple[float, ...]
    definition: str = ""

    @property
    def spaces(self) -> tuple[Space, ...]:
        """One space per resolution and width; none for imported rows of no space.

        UsageError or SpaceFileError where the space is not known here.
        """
        if self.name == IMPORTED_SPACE and not self.definition:
            return ()
        return kept_spaces(self.name, self.resolutions, self.widths, self.definition)


def profile_options(section: SpaceSection) -> str:
    """The options that make `profile` measure what the rows cover; no sizes of a file, or where there are several."""
    if section.name == IMPORTED_SPACE and not section.definition:
        return ""
    if section.definition:
        return " --space FILE"
    words = "" if section.name == FBNET.name else f" --space {section.name}"
    if len(section.resolutions) == len(section.widths) == 1 and section.name in SPACES:
        (resolution,), (width,) = section.resolutions, section.widths
        words += f" --resolution {resolution}" if resolution != known_space(section.name).resolution else ""
        words += f" --width {width:g}" if width != 1 else ""
    return words


def space_section(spaces: Sequence[Space], definition: str = "") -> SpaceSection:
    """What rows of these spaces, one in several variants, cover."""
    return SpaceSection(
        spaces[0].name,
        tuple(dict.fromkeys(space.resolution for space in spaces)),
        tuple(dict.fromkeys(space.width for space in spaces)),
        definition,
    )


@dataclass(frozen=True)
class ContextSection:
    """The section that says how operators stood among others while they were timed, and what whole nets said of their
    sum.

    scale, operator_us, terms: what an operator costs inside a net, as `lutbench.measure.in_net` has it; microseconds,
        and microseconds per million elements.
    colder: how much more an operator takes behind others than alone, by its name, fractions; it is measured.
    deviations: how much more of its own work an operator takes inside a net, by its name, fractions.
    block_channels: of the layout that the runtime keeps activations in, which the terms `kept` and `boundaries` go
        with; 0 without.
    warm_share, warm_size_us: what small nets save as a whole, or pay, as `lutbench.measure.warmth` has it; 0: nothing.
    warm_power: how sharply that ends.
    spill_us_per_million, spill_beyond: what large nets pay for weights that no cache keeps, as `lutbench.measure.spill`
        has it; microseconds per million weights, and million weights; 0 where nothing is paid.
    spill_million_per_ms: how many million weights a millisecond of such a net counts for; 0: weights alone count.
    net_error, net_spread: mean absolute and root mean square error of the nets they were fitted on, each left out in
        turn; a LUT of an earlier version has no spread (0).
    net_noise: mean absolute difference between those nets' halves, by worker process: what no prediction gets below.
    nets: the keys of those, which nothing else may be judged by, and nets_us: their latencies then.
    canaries: the operators that watched the device.
    chains: numbers of copies of whose times the rows are the slopes; rows are then without the overhead of a call.
    """

    depth: int = 0
    scale: float = 1.0
    scale_ci_low: float = 1.0
    scale_ci_high: float = 1.0
    operator_us: float = 0.0
    terms: Mapping[str, float] = field(default_factory=dict)
    colder: Mapping[str, float] = field(default_factory=dict)
    deviations: Mapping[str, float] = field(default_factory=dict)
    block_channels: int = 0
    warm_share: float = 0.0
    warm_size_us: float = 0.0
    warm_power: float = 1.0
    spill_us_per_million: float = 0.0
    spill_beyond: float = 0.0
    spill_million_per_ms: float = 0.0
    net_error: float = 0.0
    net_spread: float = 0.0
    net_noise: float = 0.0
    nets: tuple[str, ...] = ()
    nets_us: tuple[float, ...] = ()
    canaries: tuple[str, ...] = ()
    trials: tuple[Mapping[str, float], ...] = ()
    chains: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.scale_ci_low <= self.scale <= self.scale_ci_high < math.inf:
            raise LutError(f"scale {self.scale} is not inside its interval, or not positive")
        if min(self.net_error, self.net_spread, self.net_noise) < 0:
            raise LutError("net_error, net_spread or net_noise is negative")
        if unknown := sorted(set(self.terms) - {*TERMS, *SIDES, *NEIGHBOUR_TERMS, COLDER}):
            raise LutError(f"this version does not know the term {show(unknown[0])} of a net's latency")
        for table in ("terms", "colder", "deviations"):
            for name, value in getattr(self, table).items():
                if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
                    raise LutError(f"{table}.{name} is {show(value)}, not a number")
        if not 0 <= self.block_channels <= _LARGEST_BLOCK:
            raise LutError(f"block_channels is {self.block_channels}, not a number of channels")
        try:
            self._warmth()
            self._spill()
        except ValueError as error:
            raise LutError(str(error)) from None
        if len(self.nets) != len(self.nets_us):
            raise LutError(f"there are {len(self.nets)} nets and {len(self.nets_us)} nets_us")

    @property
    def in_net(self) -> InNet:
        """What an operator costs inside a net."""
        return InNet(
            self.scale,
            self.operator_us,
            self.terms,
            self.colder,
            self.deviations,
            not self.chains,
            self.block_channels,
            self._warmth(),
            self._spill(),
        )

    def _warmth(self) -> Warmth:
        return Warmth(self.warm_share, self.warm_size_us, self.warm_power)

    def _spill(self) -> Spill:
        return Spill(self.spill_us_per_million, self.spill_beyond, self.spill_million_per_ms)


def timestamp() -> str:
    """Now, as measured_at has it: 2026-11-20T15:21:27Z."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Metadata:
    """Everything above the columns.

    origin: where the rows of an estimated or imported LUT come from.
    """

    device: str
    runtime: str
    dtype: str
    threads: int
    space: SpaceSection
    provenance: Provenance = "measured"
    revision: int = 1
    previous: str = ""
    batch: int = 1
    measured_at: str = ""
    lutbench: str = ""
    context: ContextSection = field(default_factory=ContextSection)
    origin: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    quality: Mapping[str, Any] = field(default_factory=dict)

    @property
    def setting(self) -> Setting:
        """What decides which terms its nets are asked for."""
        if self.context.chains:
            return OF_CHAINS
        package = RuntimeName.parse(self.runtime).package
        return Setting(self.context.block_channels, self.threads, self.dtype, package, self.batch)
