"""Two LUTs compared: operators by the ratio B / A, groups of them, the nets of the zoo, and the device's clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lutbench.errors import LutError, UsageError
from lutbench.lut.canaries import SMALL, Range, beyond_clock, canaries_text, canary_ratios, machine_range
from lutbench.lut.compare import Change, Changes, changes, common, exponential, geometric_mean
from lutbench.lut.coverage import lacks_fixed
from lutbench.lut.predict import Prediction, predict, predict_blocks
from lutbench.lut.table import Lut
from lutbench.space.blocks.table import BLOCKS
from lutbench.space.operator import OVERHEAD
from lutbench.space.zoo import nets_of_blocks, zoo_nets, zoo_nets_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lutbench.lut.compare import Places

CLOCK_TOLERANCE = 0.01  # of a canary's time, a fraction: closer than that, two runs had the same clock
_MUST_AGREE = ("dtype", "threads", "batch")


@dataclass(frozen=True)
class Group:
    """Operators that have something in common.

    value: such as 5 of kernel.
    faster_in_a, faster_in_b: how many of count are significantly faster in that LUT.
    """

    value: str
    count: int
    faster_in_a: int
    faster_in_b: int
    geomean_ratio: float

    @property
    def significant(self) -> int:
        """The number of operators that differ for certain."""
        return self.faster_in_a + self.faster_in_b


@dataclass(frozen=True)
class FailedPair:
    """An operator that both LUTs have a row of, at least one of them without a latency."""

    operator: str
    a_status: str
    b_status: str


@dataclass(frozen=True)
class Diff:
    """What differs between the LUTs a and b.

    operators: those ok in both, identities (latency 0) left out.
    groups: by kernel, expansion, groups and feature map of the searchable blocks, as far as their kinds have these, and
        by kind of all.
    block_kinds: of those blocks.
    nets: of the zoo, those that both cover.
    canary_ratios: B's time over A's of each canary that both runs timed all along (`canaries.canary_ratios`).
    warnings: what to know before reading on.
    """

    a: Lut
    b: Lut
    operators: Changes
    failed: tuple[FailedPair, ...]
    only_in_a: tuple[str, ...]
    only_in_b: tuple[str, ...]
    groups: Mapping[str, tuple[Group, ...]]
    block_kinds: tuple[str, ...]
    nets: tuple[Change, ...]
    nets_not_covered: tuple[str, ...]
    canary_ratios: Mapping[str, float]
    warnings: tuple[str, ...]

    @property
    def geomean_ratio(self) -> float:
        """The geometric mean of the operators' ratios."""
        return geometric_mean(self.operators.log_ratio.tolist())

    @property
    def clock_ratio(self) -> float | None:
        """That of the small canary, which tells how fast the core is; None where they have none in common."""
        return self.canary_ratios.get(SMALL)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the canaries say of the device's state in both runs, a line each."""
        return tuple(note for note in (self.clock_note, self.machine_note) if note)

    @property
    def clock_note(self) -> str:
        """One line where the clock differed by more than CLOCK_TOLERANCE; else ""."""
        ratio = self.clock_ratio
        if ratio is None or abs(ratio - 1) <= CLOCK_TOLERANCE:
            return ""
        stands_out = "; only rows that stand out from the others are called significant"
        return (
            f"the clock differed: the small canary took {ratio:.3f}x as long in B's run as in A's; ratios are as"
            f" measured (overall {self.geomean_ratio:.3f}), over the canary's the overall one is"
            f" {self.geomean_ratio / ratio:.3f}{stands_out if self.operators.follow_clock else ''}"
        )

    @property
    def machine_note(self) -> str:
        """One line where a canary that fetches through shared caches moved; else ""."""
        if not beyond_clock(self.canary_ratios):
            return ""
        usual = self.operators.usual_range
        rows = f", and most operators {_shown(usual)}, by what they touch" if usual else ""
        unless = " only where it stands out from others that touch as much" if usual else ""
        return (
            f"the device was in another state in B's run: its canaries took {canaries_text(self.canary_ratios)} as long"
            f" as in A's{rows}. A row that differs by less than these ratios is {'' if usual else 'not '}called"
            f" significant{unless}; measure again with --wait-quiet 30m"
        )


def _shown(ratios: Range) -> str:
    lowest, highest = (f"{ratio:.3f}x" for ratio in ratios)
    return lowest if lowest == highest else f"{lowest} to {highest}"


def diff(a: Lut, b: Lut, force: bool = False) -> Diff:
    """Compares b to a; UsageError where they cannot be compared or, without force, had better not be."""
    warnings = _check_comparable(a, b, force)
    names = a.columns["operator"]
    shared = common(a, b)
    in_a, in_b, ok = shared.in_a, shared.in_b, shared.ok
    if all(names[place] == OVERHEAD.name for place in in_a[:2].tolist()):  # which every LUT has
        raise UsageError(f"there is no operator in both: A is {_coverage(a)}, B is {_coverage(b)}")
    if not shared.timed.any():
        raise UsageError(f"none of the {len(in_a)} operators in both LUTs has a latency in both")
    found = changes(a, b, shared)
    status_a, status_b = a.columns["status"], b.columns["status"]
    failed = zip(in_a[~ok].tolist(), in_b[~ok].tolist(), strict=True)
    canaries = canary_ratios(a, b)
    nets, not_covered = _nets(a, b, machine_range(canaries))
    groups, block_kinds = _groups(a, in_a[shared.timed][found.order], found)
    return Diff(
        a=a,
        b=b,
        operators=found,
        failed=tuple(FailedPair(names[i], status_a[i], status_b[j]) for i, j in failed),
        only_in_a=tuple(_without(names, in_a)),
        only_in_b=tuple(_without(b.columns["operator"], in_b)),
        groups=groups,
        block_kinds=block_kinds,
        nets=nets,
        nets_not_covered=not_covered,
        canary_ratios=canaries,
        warnings=warnings,
    )


def worst_over(found: Diff, limit: float, each_operator: bool = False) -> str:
    """Says what is slower in B by more than limit, a ratio: the worst by name, and how many there are. "": nothing is.

    The overall geometric mean and each net are looked at.

    each_operator: and each operator that differs significantly. Of a hundred operators one or the other differs
        between two runs on an unchanged machine, sums of them do not (docs/how-to/diff.md has the rates).
    """
    places = ((found.operators.ratio > limit) & found.operators.significant).nonzero()[0].tolist()
    nets = sorted((net for net in found.nets if net.ratio > limit), key=lambda net: -net.ratio)
    worst = [(net.ratio, f"net {net.name}") for net in nets[:1]]
    if each_operator:
        worst += [(found.operators[place].ratio, f"operator {found.operators[place].name}") for place in places[:1]]
    if found.geomean_ratio > limit:
        worst.append((found.geomean_ratio, "the geometric mean of all operators"))
    if not worst:
        return ""
    ratio, name = max(worst)
    return (
        f"B / A is {ratio:.4g} for {name}, above {limit:g} ({len(places)} of {len(found.operators)} operators,"
        f" {len(nets)} of {len(found.nets)} nets are; overall {found.geomean_ratio:.4g})"
    )


def _check_comparable(a: Lut, b: Lut, force: bool) -> tuple[str, ...]:
    """What to warn of; UsageError with every field that differs and must not, unless force."""
    one, other = a.metadata, b.metadata
    wrong = [
        f"{field} {getattr(one, field)} in A and {getattr(other, field)} in B"
        for field in _MUST_AGREE
        if getattr(one, field) != getattr(other, field)
    ]
    if wrong and not force:
        raise UsageError(
            f"the LUTs are of different things: {', '.join(wrong)}", remedy="--force compares them nevertheless"
        )
    warnings = [f"compared by force: {text}" for text in wrong]
    if one.runtime != other.runtime:
        warnings.append(f"the runtimes differ: {one.runtime} in A, {other.runtime} in B")
    without = [letter for letter, lut in (("A", a), ("B", b)) if lacks_fixed(lut)]
    if without:
        warnings.append(
            f"nets are compared by their blocks alone: {' and '.join(without)} has no rows of the layers around them"
        )
    depths = one.context.depth, other.context.depth
    if depths[0] != depths[1] and one.provenance == other.provenance == "measured":
        warnings.append(
            f"operators were timed in different contexts (depth {depths[0]} in A, {depths[1]} in B), which moves rows"
            " by a per cent or two; nets are predicted with each LUT's own fit"
        )
    return tuple(warnings)


def _coverage(lut: Lut) -> str:
    space = lut.metadata.space
    sizes = ", ".join(str(size) for size in space.resolutions)
    return f"{space.name} at {sizes}, width {', '.join(f'{width:g}' for width in space.widths)}"


def _without(names: Sequence[str], places: Places) -> list[str]:
    """The names that stand elsewhere."""
    import numpy as np

    return [names[place] for place in np.delete(np.arange(len(names)), places).tolist()]


# what the searchable blocks are grouped by -> their columns
_BLOCK_GROUPS = {
    "kernel": ("kernel",),
    "expansion": ("expansion",),
    "groups": ("groups",),
    "feature map": ("h_in", "w_in"),
}


def _groups(a: Lut, places: Places, compared: Changes) -> tuple[dict[str, tuple[Group, ...]], tuple[str, ...]]:
    """The groups, and the kinds of the blocks among them; places: where the operators of compared stand in a."""
    import numpy as np

    of_kind, kinds = _coded([a.columns["kind"]])
    of_kind = of_kind[places]
    kernels = np.array(a.columns["kernel"])[places]
    # a convolution of 1x1 is one of the head's
    is_block = np.isin(of_kind, [code for code, kind in enumerate(kinds) if kind in BLOCKS])
    is_block &= (kernels != 1) | (of_kind != (kinds.index("conv") if "conv" in kinds else -1))
    found = {}
    for by, names in _BLOCK_GROUPS.items():
        having = [code for code, kind in enumerate(kinds) if kind in BLOCKS and _has(kind, by)]
        codes, labels = _coded([a.columns[name] for name in names])
        found[by] = _grouped(codes[places], labels, is_block & np.isin(of_kind, having), compared)
    found["kind"] = _grouped(of_kind, kinds, np.ones_like(is_block), compared)
    return found, tuple(kinds[code] for code in np.unique(of_kind[is_block]).tolist())


def _has(kind: str, by: str) -> bool:
    """Whether blocks of the kind are told apart by this."""
    return by == "feature map" or BLOCKS[kind].option(by) is not None


def _coded(columns: Sequence[Sequence[Any]]) -> tuple[Places, list[str]]:
    """A number for each row's values in the columns, in the order of those, and what the numbers stand for."""
    import numpy as np

    codes, labels = np.zeros(len(columns[0]), np.int64), [""]
    for values in columns:
        distinct = sorted(set(values))
        numbers = {value: number for number, value in enumerate(distinct)}
        codes = codes * len(distinct) + np.fromiter(map(numbers.__getitem__, values), np.int64, len(values))
        labels = [f"{label}x{_label(value)}" if label else _label(value) for label in labels for value in distinct]
    return codes, labels


def _label(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _grouped(codes: Places, labels: Sequence[str], chosen: NDArray[np.bool_], compared: Changes) -> tuple[Group, ...]:
    """A group per label that any of what is chosen of compared has."""
    import numpy as np

    codes = codes[chosen]
    counts = np.bincount(codes, minlength=len(labels)).tolist()
    logs = np.bincount(codes, compared.log_ratio[chosen], len(labels)).tolist()
    differing, ratio = compared.significant[chosen], compared.ratio[chosen]
    in_a, in_b = (np.bincount(codes, differing & faster, len(labels)).tolist() for faster in (ratio > 1, ratio < 1))
    return tuple(
        Group(label, count, int(a), int(b), exponential(log / count))
        for label, count, a, b, log in zip(labels, counts, in_a, in_b, logs, strict=True)
        if count
    )


def _nets(a: Lut, b: Lut, machine: Range) -> tuple[tuple[Change, ...], tuple[str, ...]]:
    """The zoo's nets under both, and the names of those of one's own space that one of them cannot predict."""
    found, not_covered = [], []
    predicted = predict_blocks if lacks_fixed(a) or lacks_fixed(b) else predict
    own = zoo_nets_of(lut.metadata.space.name for lut in (a, b))
    for net in (*zoo_nets(), *nets_of_blocks()):
        try:
            found.append(_net_change(predicted(a, net), predicted(b, net), machine))
        except (LutError, OverflowError):  # an operator is missing or failed, or rows are beyond any sum
            not_covered += [net.name] if net in own else []
    return tuple(found), tuple(not_covered)


def _net_change(a: Prediction, b: Prediction, machine: Range) -> Change:
    of_b = b.latency_us, b.ci_low_us, b.ci_high_us
    return Change(a.net.name, a.latency_us, a.ci_low_us, a.ci_high_us, *of_b, machine)
