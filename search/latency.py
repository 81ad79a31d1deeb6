"""A LUT as costs per layer and candidate, and the expected latency of a search's gates (FBNet, equation 9).

    LAT = fixed + sum over layers l and candidates i of m[l, i] * cost[l, i]

cost is what `lutbench predict` adds for the operator, 0 for an identity; fixed is the overhead, the stem and the tail.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lutbench.errors import LutError
from lutbench.lut.coverage import fixed_parts
from lutbench.lut.table import Lut
from lutbench.space.macro import Space
from lutbench.space.net import Net
from lutbench.space.operator import OVERHEAD, Operator

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class LatencyModel:
    """What a LUT says of a space: cost_us[layer][candidate], and fixed_us for what every net pays; microseconds."""

    device: str
    space: Space
    cost_us: tuple[tuple[float, ...], ...]
    fixed_us: float

    def tensor(self) -> Tensor:
        """(layers, most candidates of a layer), float64; 0 where a layer has fewer."""
        import torch

        width = max(len(row) for row in self.cost_us)
        return torch.tensor([[*row, *[0.0] * (width - len(row))] for row in self.cost_us], dtype=torch.float64)

    def net_us(self, net: Net) -> float:
        """The net's latency, equal to `lutbench predict`'s but for rounding."""
        positions = choice_positions(net)
        return self.fixed_us + sum(row[position] for row, position in zip(self.cost_us, positions, strict=True))

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


def net_at(space: Space, positions: Sequence[int], name: str) -> Net:
    """The net with the candidate at this position in each layer."""
    choice = (layer.candidates[position] for layer, position in zip(space.layers, positions, strict=True))
    return Net(name, space, tuple(choice), space.head_channels)


def choice_positions(net: Net) -> tuple[int, ...]:
    """The position of each layer's candidate among those of its layer."""
    return tuple(layer.candidates.index(c) for layer, c in zip(net.space.layers, net.choice, strict=True))


def latency_model(lut: Lut, space: Space) -> LatencyModel:
    """The LUT's costs of the space; LutError that lists every operator the LUT has no latency of.

    An imported table may lack stem, head, pool and classifier, which all nets have: what its import was told of them is
    in fixed_us, or nothing is, and nets are compared by their blocks alone.
    """
    fixed = fixed_parts(lut, space)
    _check_rows(lut, space, [*space.searchable_operators, *fixed.operators])
    in_net, overhead_us = lut.metadata.context.in_net, lut.overhead_us

    def cost_us(operator: Operator) -> float:
        if not operator.is_measured:
            return 0.0
        return in_net.share_us(operator.name, lut.latency_us(operator), overhead_us)

    costs = tuple(tuple(cost_us(layer.operator(c)) for c in layer.candidates) for layer in space.layers)
    fixed_us = overhead_us + fixed.constant_us + sum(cost_us(operator) for operator in fixed.operators)
    return LatencyModel(lut.metadata.device, space, costs, fixed_us)


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
        f"{len(names)} {what} of space {space.name} at {space.label}: {', '.join(names)}"
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


def check_same_space(models: Sequence[LatencyModel]) -> None:
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
    fixed_us = costs_us.new_tensor([model.fixed_us for model in models])
    return fixed_us + (gates.to(costs_us.dtype) * costs_us).sum((1, 2))


def stacked_costs_us(models: Sequence[LatencyModel]) -> Tensor:
    """(devices, layers, candidates), float64."""
    import torch

    return torch.stack([model.tensor() for model in models])
