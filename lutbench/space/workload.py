"""What is timed, before it is exported: an operator, or a whole net of any kind. Its export is an artifact."""

from __future__ import annotations

from lutbench.space.factory import FactoryNet
from lutbench.space.graph import Model
from lutbench.space.net import Net
from lutbench.space.operator import Operator

Workload = Operator | Net | Model | FactoryNet


def is_own_code(workload: Workload) -> bool:
    """Whether a user's code is run to make it: it is exported anew each time, for the code may have changed."""
    if isinstance(workload, Net):
        return any(operator.is_own_code for operator in workload.operators)
    return isinstance(workload, FactoryNet) or (isinstance(workload, Operator) and workload.is_own_code)


def workload_name(workload: Workload) -> str:
    """The name an artifact is measured under: an operator's name or a whole net's key."""
    return workload.name if isinstance(workload, Operator) else workload.key
