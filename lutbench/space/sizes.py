"""What a net of the zoo counts, beside what was published of it."""

from __future__ import annotations

from dataclasses import dataclass

from lutbench.space.graph import Model
from lutbench.space.net import Net
from lutbench.space.published import PublishedSize, published_sizes
from lutbench.space.zoo import zoo_models, zoo_nets


@dataclass(frozen=True)
class NetSize:
    """Multiply-accumulates and parameters in millions.

    published: None where nothing was.
    """

    net: str
    resolution: int
    width: float
    mmacs: float
    params_m: float
    published: PublishedSize | None

    @property
    def mmacs_deviation(self) -> float | None:
        """The fraction of the published figure by which the computed one differs."""
        return self.mmacs / self.published.mmacs - 1 if self.published else None

    @property
    def params_deviation(self) -> float | None:
        """The fraction of the published figure by which the computed one differs."""
        return self.params_m / self.published.params_m - 1 if self.published else None


def net_size(net: Net | Model) -> NetSize:
    resolution, width = (
        (net.resolution, net.width) if isinstance(net, Model) else (net.space.resolution, net.space.width)
    )
    published = published_sizes().get((net.name.split("@")[0], resolution, width))
    return NetSize(net.name, resolution, width, net.macs / 1e6, net.params / 1e6, published)


def whole_zoo() -> tuple[Net | Model, ...]:
    """Every published net at each resolution and width it was published at."""
    return *zoo_nets(), *zoo_models()
