"""Whether an artifact computes what torch computes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lutbench.errors import ExportError
from lutbench.space.factory import FactoryNet
from lutbench.space.operator import Operator
from lutbench.space.workload import Workload, workload_name

if TYPE_CHECKING:
    from torch import Tensor

    from lutbench.nn.workload import Fitted

# Root mean square error over the output's own. int8 rounds every activation; over the 30 layers of a net that adds up.
MAX_ERROR = {"fp32": 1e-4, "fp16": 1e-2, "int8": 0.06}
MAX_NET_ERROR = {"fp32": 1e-4, "fp16": 3e-2, "int8": 0.2}
# of a net that somebody's code makes: attention with random weights is 0.3 to 0.5 off in int8; one that computes
# something else is 1 off or more
MAX_FACTORY_ERROR = {"fp32": 1e-3, "fp16": 0.1, "int8": 0.7}


def relative_error(got: Tensor, expected: Tensor) -> float:
    """Root mean square difference over expected's own; ValueError where the shapes differ."""
    if got.shape != expected.shape:
        raise ValueError(f"the artifact's output is {tuple(got.shape)}, torch's {tuple(expected.shape)}")
    difference, size = (got.double() - expected.double()).square().mean(), expected.double().square().mean()
    return float((difference / size).sqrt())


def check_error(
    error: float, workload: Workload, dtype: str, fitted: Fitted | None = None, coarser: float = 1.0
) -> None:
    """ExportError where the artifact is further off torch's output than rounding explains; NaN is further off.

    What int8 makes of a fitted net is for its accuracy to say.

    coarser: how much larger than usual its integers' steps are.
    """
    limit = math.inf if fitted and dtype == "int8" else coarser * _limits(workload)[dtype]
    if not error <= limit:
        raise ExportError(
            f"the {dtype} artifact is {error:.3g} off torch's output (limit {limit:g})",
            operator=workload_name(workload),
        )


def accuracy_note(error: float, workload: Workload, dtype: str) -> tuple[str, ...]:
    """What a person should know of an artifact that is further off than lutbench's own nets are, and still is timed."""
    if not isinstance(workload, FactoryNet) or error <= MAX_NET_ERROR[dtype]:
        return ()
    return (f"{workload.name}: the {dtype} artifact is {error:.2g} off torch's output; it is timed all the same",)


def _limits(workload: Workload) -> dict[str, float]:
    if isinstance(workload, Operator):
        return MAX_ERROR
    return MAX_FACTORY_ERROR if isinstance(workload, FactoryNet) else MAX_NET_ERROR
