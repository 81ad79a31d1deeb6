"""What is timed, before it is exported: an operator, or a whole net of any kind. Its export is an artifact."""

from __future__ import annotations

from lutbench.space.factory import FactoryNet
from lutbench.space.graph import Model
from lutbench.space.net import Net
from lutbench.space.operator import Operator

Workload = Operator | Net | Model | FactoryNet


def workload_name(workload: Workload) -> str:
    """The name an artifact is measured under: an operator's name or a whole net's key."""
    return workload.name if isinstance(workload, Operator) else workload.key
