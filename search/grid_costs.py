"""Costs of a space whose nets choose channels and resolution: latency, multiply-accumulates, parameters.

What a layer costs depends on the resolution, on the channels it gets and on those it gives, so the expected cost of
gates is a sum over all of them of the products of their gates (FBNetV2, section 3.3, where the cost of a layer is that
of its effective input and output): nothing is assumed about how a cost grows with channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from lutbench.errors import UsageError
from lutbench.search.chain import Chain, GridCosts
from lutbench.search.warm import Warm
from lutbench.space.decisions import choice_positions, net_at
from lutbench.space.macro import Space
from lutbench.space.net import Net
from lutbench.space.operator import Operator
from lutbench.units import format_latency

if TYPE_CHECKING:
    import torch
    from torch import Tensor

LATENCY, MACS, PARAMS = "latency", "multiply-accumulates", "parameters"
_MILLION = 1e6
_UNITS = {MACS: "MMACs", PARAMS: "M parameters"}


class SumModel(Protocol):
    """A cost that is made of one sum over a net's decisions."""

    @property
    def chain(self) -> Chain:
        """What nets come to, of which `warm` makes their costs."""

    @property
    def warm(self) -> Warm: ...


class CostModel(Protocol):
    """What nets of a space cost: in microseconds on a device, in multiply-accumulates or in parameters."""

    @property
    def device(self) -> str:
        """Where, or what of: a device's name, "multiply-accumulates" or "parameters"."""

    @property
    def space(self) -> Space: ...

    @property
    def kind(self) -> str:
        """LATENCY, MACS or PARAMS."""

    @property
    def parts(self) -> tuple[SumModel, ...]:
        """One or several, of whose costs a net's is the largest."""

    @property
    def total(self) -> float:
        """What a checkpoint knows it by."""

    @property
    def fastest(self) -> Net:
        """The net that costs least."""

    @property
    def slowest(self) -> Net:
        """The net that costs most."""

    def net_us(self, net: Net) -> float:
        """A net's cost, whatever its unit."""

    def text(self, cost: float) -> str:
        """A cost for people."""


class Costs(Protocol):
    """What a net costs by its decisions."""

    def chain(self) -> Chain: ...

    @property
    def total(self) -> float:
        """The sum of everything."""


@dataclass(frozen=True, eq=False)
class GridModel:
    """Costs by resolution, channels and candidate, or by a walk.

    kind: LATENCY, in microseconds, MACS or PARAMS.
    """

    device: str
    space: Space
    costs: Costs
    kind: str
    warm: Warm = field(default_factory=Warm)

    @property
    def parts(self) -> tuple[SumModel, ...]:
        return (self,)

    @cached_property
    def chain(self) -> Chain:
        return self.costs.chain()

    @property
    def total(self) -> float:
        return self.costs.total + self.warm.known_by

    def net_us(self, net: Net) -> float:
        """The net's cost: what `lutbench predict` says, or what is counted."""
        return self.warm.cost(float(self.chain.totals(np.array([choice_positions(net)]))[0]))

    @property
    def fastest(self) -> Net:
        return net_at(self.space, self.chain.extreme(largest=False), "fastest@{label}")

    @property
    def slowest(self) -> Net:
        return net_at(self.space, self.chain.extreme(largest=True), "slowest@{label}")

    def text(self, cost: float) -> str:
        return format_latency(cost) if self.kind == LATENCY else f"{cost / _MILLION:.4g} {_UNITS[self.kind]}"


def parts_with_targets(models: Sequence[CostModel], targets_us: Sequence[float]) -> list[tuple[SumModel, float]]:
    """Every sum that has to keep to a target, and the target."""
    return [(part, target) for model, target in zip(models, targets_us, strict=True) for part in model.parts]


def option_counts(model: CostModel) -> tuple[int, ...]:
    """The options of each decision."""
    return model.parts[0].chain.counts


def is_latency(model: CostModel) -> bool:
    """Whether its costs are microseconds on a device."""
    return model.kind == LATENCY


def count_model(space: Space, kind: str) -> GridModel:
    """The space's multiply-accumulates or parameters; UsageError where a block of one's own was never counted."""
    if any(op.is_own_code and op.counted is None for op in space.searchable_operators):
        raise UsageError(
            f"the {kind} of space {space.name}'s own blocks are not known", remedy="give the LUT that `profile` wrote"
        )
    return GridModel(kind, space, grid_costs(space, lambda op: op.macs if kind == MACS else op.params), kind)


def grid_costs(space: Space, cost: Callable[[Operator], float], fixed: float = 0.0) -> GridCosts:
    """The costs of every operator of the space, by the choices that lead to it."""
    sizes = space.resolutions or (space.resolution,)
    known: dict[Operator, float] = {}

    def of(operator: Operator) -> float:
        if operator not in known:
            known[operator] = cost(operator)
        return known[operator]

    grids = [space.grid(size) for size in sizes]
    layers = tuple(
        np.array(
            [[[[of(one.operator(c)) for c in one.candidates] for one in row] for row in grid[index]] for grid in grids],
            dtype=np.float64,
        )
        for index in range(len(space.layers))
    )
    tails = [[sum(map(of, tail)) for tail in space.tails(size, space.head_channels)] for size in sizes]
    return GridCosts(
        fixed,
        np.array([of(space.stem_at(size)) for size in sizes], dtype=np.float64),
        layers,
        np.array(tails, dtype=np.float64),
        tuple(layer.stage for layer in space.layers),
        tuple(bool(stage.options) for stage in space.stages),
        bool(space.resolutions),
    )


@dataclass(frozen=True)
class SplitGates:
    """Gates by what they decide: of the resolution (R,), of each layer's input and output channels, of its candidates.

    A choice that is none has one gate, of 1. Within a stage a layer's input gate is None: it is the output's.
    """

    resolution: Tensor
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    candidates: tuple[Tensor, ...]


def split_gates(gates: Tensor, stages: Sequence[int], counts: GateCounts) -> SplitGates:
    """Takes gates (decisions, most options) apart, which are in the order of decisions."""
    one, row = gates.new_ones(1), 0
    resolution = one
    if counts.resolutions:
        resolution, row = gates[0, : counts.resolutions], 1
    inputs: list[Tensor | None] = []
    outputs: list[Tensor] = []
    candidates: list[Tensor] = []
    last, before = one, -1
    for stage, options in zip(stages, counts.candidates, strict=True):
        if stage == before:
            inputs.append(None)
        else:
            inputs.append(last)
            last = one
            if counts.channels[stage]:
                last, row = gates[row, : counts.channels[stage]], row + 1
        before = stage
        outputs.append(last)
        candidates.append(gates[row, :options])
        row += 1
    return SplitGates(resolution, tuple(inputs), tuple(outputs), tuple(candidates))


@dataclass(frozen=True)
class GateCounts:
    """The numbers of options: of resolutions and of each stage's channels, 0 where that is no choice, and of each
    layer's candidates.
    """

    resolutions: int
    channels: tuple[int, ...]
    candidates: tuple[int, ...]


def gate_counts(space: Space) -> GateCounts:
    channels = tuple(len(stage.options) for stage in space.stages)
    return GateCounts(len(space.resolutions), channels, tuple(len(layer.candidates) for layer in space.layers))


def expected_of_grid(costs: GridCosts, device: torch.device | str = "cpu") -> Callable[[Tensor], Tensor]:
    """What makes the expected cost () of gates (decisions, options), in float64."""
    import torch

    tables = [torch.from_numpy(table).to(device) for table in costs.layers]
    stem, tail = torch.from_numpy(costs.stem).to(device), torch.from_numpy(costs.tail).to(device)
    sizes = len(costs.stem) if costs.has_resolution else 0
    widths = {stage: table.shape[2] for stage, table in zip(costs.stages, costs.layers, strict=True)}
    channels = tuple(widths[stage] if chosen else 0 for stage, chosen in enumerate(costs.has_channels))
    counts = GateCounts(sizes, channels, tuple(table.shape[3] for table in costs.layers))

    def expected(gates: Tensor) -> Tensor:
        found = split_gates(gates.double(), costs.stages, counts)
        by_size = stem.clone()
        parts = zip(tables, found.inputs, found.outputs, found.candidates, strict=True)
        for table, given, gives, candidates in parts:
            of_shapes = table @ candidates  # (R, inputs, outputs)
            by_size = by_size + ((of_shapes[:, 0] if given is None else (given @ of_shapes)) @ gives)
        by_size = by_size + tail @ found.outputs[-1]
        total: Tensor = costs.fixed + by_size @ found.resolution
        return total

    return expected
