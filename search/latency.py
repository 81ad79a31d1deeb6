"""A LUT as costs per layer and candidate, and the expected latency of a search's gates (FBNet, equation 9).

    LAT = fixed + sum over layers l and candidates i of m[l, i] * cost[l, i]

cost is what `lutbench predict` adds for the operator, 0 for an identity; fixed is the overhead, the stem and the tail.
Where the LUT says that small nets save or pay something, LAT is made of this sum (`warm`); where large ones pay
something, it is the larger of two such sums (`larger`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from lutbench.errors import LutError
from lutbench.lut.coverage import Parts, fixed_parts
from lutbench.lut.definitions import check_definition
from lutbench.lut.table import Lut
from lutbench.measure.in_net import InNet
from lutbench.search.chain import Chain, GridCosts
from lutbench.search.grid_costs import LATENCY, CostModel, Costs, GridModel, SumModel, expected_of_grid, grid_costs
from lutbench.search.larger import LargerModel
from lutbench.search.neighbours import expected_of_walk, walk_costs
from lutbench.search.warm import Warm
from lutbench.space.decisions import choice_positions, net_at
from lutbench.space.macro import Space
from lutbench.space.net import Net
from lutbench.space.operator import OVERHEAD, Operator
from lutbench.units import format_latency

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_MOST_LISTED = 200  # operators that one error names


@dataclass(frozen=True)
class LatencyModel:
    """What a LUT says of a space: cost_us[layer][candidate], and fixed_us for what every net pays; microseconds."""

    device: str
    space: Space
    cost_us: tuple[tuple[float, ...], ...]
    fixed_us: float
    warm: Warm = field(default_factory=Warm)

    def tensor(self) -> Tensor:
        """(layers, most candidates of a layer), float64; 0 where a layer has fewer."""
        import torch

        width = max(len(row) for row in self.cost_us)
        return torch.tensor([[*row, *[0.0] * (width - len(row))] for row in self.cost_us], dtype=torch.float64)

    @property
    def kind(self) -> str:
        return LATENCY

    @property
    def parts(self) -> tuple[SumModel, ...]:
        return (self,)

    @cached_property
    def chain(self) -> Chain:
        """The same as a walk over the layers."""
        import numpy as np

        costs = tuple(np.array([row], dtype=np.float64) for row in self.cost_us)
        return Chain(self.fixed_us, costs, tuple(np.zeros(cost.shape, np.int64) for cost in costs))

    @property
    def total(self) -> float:
        """The sum of all candidates' costs, as a checkpoint knows it by."""
        return float(self.tensor().sum()) + self.warm.known_by

    def text(self, cost: float) -> str:
        """A latency for people."""
        return format_latency(cost)

    def net_us(self, net: Net) -> float:
        """The net's latency, equal to `lutbench predict`'s but for rounding."""
        positions = choice_positions(net)
        sum_us = sum(row[position] for row, position in zip(self.cost_us, positions, strict=True))
        return self.warm.cost(self.fixed_us + sum_us)

    @property
    def fastest(self) -> Net:
        """The net of each layer's fastest candidate; the first of equals."""
        return self._extreme("fastest", min)

    @property
    def slowest(self) -> Net:
        """The net of each layer's slowest candidate; the first of equals."""
        return self._extreme("slowest", max)

    def _extreme(self, name: str, pick: Callable[[Sequence[float]], float]) -> Net:
        return net_at(self.space, [row.index(pick(row)) for row in self.cost_us], f"{name}@{self.space.label}")


def latency_model(lut: Lut, space: Space) -> CostModel:
    """The LUT's costs of the space; LutError that lists every operator the LUT has no latency of.

    LutError too where the space is another of the name that the LUT's has: it may have the same operators all the same.

    An imported table may lack stem, head, pool and classifier, which all nets have: what its import was told of them is
    in fixed_us, or nothing is, and nets are compared by their blocks alone. Where nets choose channels or a resolution,
    these have rows.
    """
    check_definition(lut, space)
    sums = lut.metadata.context.in_net.sums
    if space.has_choices:
        _check_rows(lut, space, [op for op in space.operators if op != OVERHEAD])
        return _larger([_grid_model(lut, space, *one) for one in sums])
    fixed = fixed_parts(lut, space)
    _check_rows(lut, space, [*space.searchable_operators, *fixed.operators])
    if sums[0][0].looks_at:
        return _larger([_grid_model(lut, space, *one) for one in sums])
    return _larger([_plain_model(lut, space, fixed, *one) for one in sums])


def _larger(models: Sequence[CostModel]) -> CostModel:
    """Of the models of one or of two sums that a net takes the larger of."""
    if not models[1:]:
        return models[0]
    one, other = models
    return LargerModel((one, other))


def _plain_model(lut: Lut, space: Space, fixed: Parts, in_net: InNet, added_us: float) -> LatencyModel:
    """added_us: what every net takes beside its operators, the overhead and the constant."""
    cost_us = _cost_of(lut, in_net)
    costs = tuple(tuple(cost_us(layer.operator(c)) for c in layer.candidates) for layer in space.layers)
    fixed_us = lut.overhead_us + added_us + fixed.constant_us + sum(cost_us(operator) for operator in fixed.operators)
    return LatencyModel(lut.metadata.device, space, costs, fixed_us, Warm(lut.overhead_us, in_net.warmth))


def _grid_model(lut: Lut, space: Space, in_net: InNet, added_us: float) -> GridModel:
    """added_us: what every net takes beside its operators and the overhead."""
    cost_us, fixed_us = _cost_of(lut, in_net), lut.overhead_us + added_us
    costs: Costs = (
        walk_costs(space, in_net, cost_us, fixed_us) if in_net.looks_at else grid_costs(space, cost_us, fixed_us)
    )
    return GridModel(lut.metadata.device, space, costs, LATENCY, Warm(lut.overhead_us, in_net.warmth))


def _cost_of(lut: Lut, in_net: InNet) -> Callable[[Operator], float]:
    """What an operator adds to a net, microseconds."""
    overhead_us = lut.overhead_us

    def cost_us(operator: Operator) -> float:
        if not operator.is_measured:
            return 0.0
        return in_net.share_us(operator.name, lut.latency_us(operator), overhead_us)

    return cost_us


def _check_rows(lut: Lut, space: Space, used: Sequence[Operator]) -> None:
    """One error for all operators that are missing or failed; an identity needs no row."""
    needed = sorted({op.name for op in used if op.is_measured})
    if lut.metadata.provenance != "imported":
        needed.append(OVERHEAD.name)
    missing = [name for name in needed if name not in lut.by_operator]
    failed = [name for name in needed if name in lut.by_operator and not lut.by_operator[name].is_ok]
    if not missing and not failed:
        return
    parts = [
        f"{len(names)} {what} of space {space.name} at {space.label}: {_listed(names)}"
        for names, what in ((missing, "operators are missing"), (failed, "operators failed"))
        if names
    ]
    measure = f"measure them: {lut.measure_command} --space {space.name} --resolution {space.resolution}"
    remedy = f"{measure} --width {space.width:g} -o {space.name}_{space.label}.csv"
    raise LutError(
        "; ".join(parts),
        path=lut.path,
        remedy=remedy if missing else "measure a space without the candidates that this runtime cannot run",
    )


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_LISTED
    return ", ".join(names[:_MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def check_same_space(models: Sequence[CostModel]) -> None:
    """LutError where LUTs that are searched together were read for different spaces, or name one device twice."""
    first = models[0].space
    devices = [model.device for model in models]
    for device in devices:
        if devices.count(device) > 1:
            raise LutError(f"{devices.count(device)} LUTs are of device {device}", remedy="give one LUT per device")
    for model in models[1:]:
        if model.space != first:
            raise LutError(
                f"{models[0].device} is of space {first.name} at {first.label},"
                f" {model.device} of {model.space.name} at {model.space.label}",
                remedy="a search needs LUTs of one space, resolution and width",
            )


def latencies_us(models: Sequence[LatencyModel], costs_us: Tensor, gates: Tensor) -> Tensor:
    """Equation 9 for each device, differentiable: (devices, layers, candidates), (layers, candidates) -> (devices,)"""
    import torch

    fixed_us = costs_us.new_tensor([model.fixed_us for model in models])
    totals = fixed_us + (gates.to(costs_us.dtype) * costs_us).sum((1, 2))
    if not any(model.warm.warmth for model in models):
        return totals
    return torch.stack([model.warm.expected(total) for model, total in zip(models, totals, strict=True)])


def stacked_costs_us(models: Sequence[LatencyModel]) -> Tensor:
    """(devices, layers, candidates), float64."""
    import torch

    return torch.stack([model.tensor() for model in models])


def expected_costs(models: Sequence[CostModel], device: torch.device | str = "cpu") -> Callable[[Tensor], Tensor]:
    """What makes the expected costs (models,) of gates (decisions, options), differentiable.

    Exact for gates that are one-hot; else the mean over nets that are drawn from them, each decision by itself, or what
    their mean sum makes where small nets save or pay something, and the larger of two such means where large ones pay.
    """
    import torch

    plain = [model for model in models if isinstance(model, LatencyModel)]
    if len(plain) == len(models):
        costs_us = stacked_costs_us(plain).to(device)
        return lambda gates: latencies_us(plain, costs_us, gates)
    each = [_expected(model, device) for model in models]
    return lambda gates: torch.stack([one(gates) for one in each])


def _expected(model: CostModel, device: torch.device | str) -> Callable[[Tensor], Tensor]:
    import torch

    if isinstance(model, LargerModel):
        each = [_expected(one, device) for one in model.models]
        return lambda gates: torch.stack([one(gates) for one in each]).amax(0)
    if isinstance(model, GridModel):
        if isinstance(model.costs, GridCosts):
            totals = expected_of_grid(model.costs, device)
        else:
            totals = expected_of_walk(model.chain, device)
        return lambda gates: model.warm.expected(totals(gates))
    assert isinstance(model, LatencyModel)
    costs_us = stacked_costs_us([model]).to(device)
    return lambda gates: latencies_us([model], costs_us, gates)[0]
