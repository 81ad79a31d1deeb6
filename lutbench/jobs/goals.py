"""What makes a net good, for a search: which space, what its nets cost there, and what they may cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lutbench.errors import LutError, UsageError
from lutbench.lut.table import Lut
from lutbench.search.grid_costs import MACS, PARAMS, CostModel, count_model
from lutbench.search.latency import check_same_space, latency_model
from lutbench.search.recipe import SMALL_SET
from lutbench.space.find import find_spaces, kept_spaces
from lutbench.space.macro import Space
from lutbench.units import US_PER_MS

if TYPE_CHECKING:
    from lutbench.search.objective import Objective

_MILLION = 1e6


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What makes a net good.

    targets_ms: none, or one per LUT.
    target_mmacs, target_mparams: millions of multiply-accumulates and of parameters.
    alpha, beta: of the loss without targets.
    """

    targets_ms: tuple[float, ...] = ()
    target_mmacs: float | None = None
    target_mparams: float | None = None
    alpha: float | None = None
    beta: float | None = None

    @property
    def targets_us(self) -> list[float]:
        return [target * US_PER_MS for target in self.targets_ms]

    @property
    def counts(self) -> dict[str, float]:
        """The targets that are no latencies, by what they count."""
        given = {MACS: self.target_mmacs, PARAMS: self.target_mparams}
        return {kind: target * _MILLION for kind, target in given.items() if target is not None}

    @property
    def targets(self) -> list[float]:
        """All of them, in the order and the units of `models_of`."""
        return [*self.targets_us, *self.counts.values()]

    def objective(self, models: Sequence[CostModel], images: int = SMALL_SET) -> Objective:
        """The objective of a search on so many images; UsageError where targets and the loss without them are both
        given.

        models: of `models_of`.
        """
        from lutbench.search.objective import BETA, SMALL_BETA, budget, product

        if not self.targets:
            beta = BETA if images >= SMALL_SET else SMALL_BETA
            return product(models, self.alpha, beta if self.beta is None else self.beta)
        if self.alpha is not None or self.beta is not None:
            raise UsageError("--alpha and --beta are of the search without a target", remedy="leave them out")
        return budget(models, self.targets)


def space_to_search(luts: Sequence[Lut], name: str, resolution: int | None, width: float | None) -> tuple[Space, str]:
    """The space to search, and the TOML that defines it: the one that is named, else of the first LUT.

    resolution, width: of its nets; None means the named space's own and 1, or the first of the LUT's.
    """
    if name:
        (space,), definition = find_spaces(name, (resolution,) if resolution else (), (width or 1.0,))
        return space, definition
    if not luts:
        raise UsageError("neither a LUT nor a space is given", remedy="--lut or --space")
    section = luts[0].metadata.space
    if not section.resolutions or not section.widths:
        raise LutError("does not say which space its operators are of", path=luts[0].path)
    wanted = (resolution or section.resolutions[0],), (width or section.widths[0],)
    (space,) = kept_spaces(section.name, *wanted, section.definition)
    return space, section.definition


def latency_models(luts: Sequence[Lut], space: Space) -> tuple[CostModel, ...]:
    """One per LUT; LutError where a LUT is of another space or lacks an operator."""
    for lut in luts:
        name = lut.metadata.space.name
        if name != space.name:
            of = f"{luts[0].path} of {space.name}" if lut is not luts[0] else f"not {space.name}"
            raise LutError(f"is of space {name}, {of}", path=lut.path, remedy="give LUTs of one space")
    models = tuple(latency_model(lut, space) for lut in luts)
    check_same_space(models)
    return models


def models_of(luts: Sequence[Lut], space: Space, goal: Goal) -> tuple[CostModel, ...]:
    """What a search's nets cost: on each LUT's device, and what is counted; without either, multiply-accumulates.

    UsageError where counts have targets and LUTs have none.
    """
    latencies = latency_models(luts, space) if luts else ()
    if goal.targets_ms and not luts:
        raise UsageError("--target-ms needs the LUT of a device", remedy="give --lut, or --target-mmacs")
    if goal.counts and latencies and not goal.targets_ms:
        raise UsageError("a LUT is given and no --target-ms", remedy="give one for each LUT, or leave --lut out")
    counts = tuple(count_model(space, kind) for kind in goal.counts or (() if latencies else (MACS,)))
    return latencies + counts


def search_name(luts: Sequence[Lut], goal: Goal, space: str = "") -> str:
    """What a search is called by, and its folder and nets: its LUTs and targets, such as s8_15ms.

    A space other than FBNet's is named too: LUTs of one device are often called alike, and their searches must not meet
    in one folder.

    space: its name, where it is not the first LUT's.
    """
    stems = "-".join(lut.path.stem if lut.path else lut.metadata.device for lut in luts)
    space = space or luts[0].metadata.space.name
    parts = [stems] if stems else []
    parts += [space] if not stems or space not in ("fbnet", stems) else []
    parts += [f"{'-'.join(f'{target:g}' for target in goal.targets_ms)}ms"] if goal.targets_ms else []
    parts += [f"{goal.target_mmacs:g}mmacs"] if goal.target_mmacs is not None else []
    parts += [f"{goal.target_mparams:g}mparams"] if goal.target_mparams is not None else []
    return "_".join(parts)


def net_path(folder: Path, name: str, number: int) -> Path:
    """The file of the net that came out as number, 0 the best: s8_15ms_0.json.

    A net keeps its name in the folders of what is made of it (trained/s8_15ms_0), so no two searches share one.

    name: of the search.
    """
    return folder / f"{name}_{number}.json"
