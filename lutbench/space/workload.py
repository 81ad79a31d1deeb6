"""What is timed, before it is exported: an operator, copies of one, or a whole net. Its export is an artifact."""

from __future__ import annotations

from lutbench.space.chain import OperatorChain
from lutbench.space.factory import FactoryNet
from lutbench.space.graph import Model
from lutbench.space.net import Net
from lutbench.space.operator import Operator

Workload = Operator | Net | Model | FactoryNet | OperatorChain


def is_own_code(workload: Workload) -> bool:
    """Whether a user's code or file makes it: it is exported anew each time, for what is behind its name may change."""
    if isinstance(workload, Net):
        return any(operator.is_own_code for operator in workload.operators)
    if isinstance(workload, OperatorChain):
        return not workload.links and workload.operator.is_own_code
    return isinstance(workload, FactoryNet) or (isinstance(workload, Operator) and workload.is_own_code)


def operators_of(workload: Workload) -> tuple[Operator, ...]:
    """The operators that it is made of; none of a net that is no net of a space."""
    if isinstance(workload, Operator):
        return (workload,)
    if isinstance(workload, OperatorChain):
        return () if workload.links else (workload.operator,)
    return workload.operators if isinstance(workload, Net) else ()


def workload_name(workload: Workload) -> str:
    """The name an artifact is measured under: an operator's name, a whole net's key or a chain's."""
    return workload.name if isinstance(workload, Operator) else workload.key
