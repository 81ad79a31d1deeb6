"""Whether an artifact computes what torch computes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lutbench.errors import ExportError
from lutbench.space.operator import Operator
from lutbench.space.subject import Subject, subject_name

if TYPE_CHECKING:
    from torch import Tensor

    from lutbench.nn.subject import Fitted

# Root mean square error over the output's own. int8 rounds every activation; over the 30 layers of a net that adds up.
MAX_ERROR = {"fp32": 1e-4, "int8": 0.06}
MAX_NET_ERROR = {"fp32": 1e-4, "int8": 0.2}


def relative_error(got: Tensor, expected: Tensor) -> float:
    """Root mean square difference over expected's own; ValueError where the shapes differ."""
    if got.shape != expected.shape:
        raise ValueError(f"the artifact's output is {tuple(got.shape)}, torch's {tuple(expected.shape)}")
    difference, size = (got.double() - expected.double()).square().mean(), expected.double().square().mean()
    return float((difference / size).sqrt())


def check_error(error: float, subject: Subject, dtype: str, fitted: Fitted | None = None, coarser: float = 1.0) -> None:
    """ExportError where the artifact is further off torch's output than rounding explains; NaN is further off.

    What int8 makes of a fitted net is for its accuracy to say. coarser: how much larger than usual its integers' steps
    are.
    """
    limits = MAX_ERROR if isinstance(subject, Operator) else MAX_NET_ERROR
    limit = math.inf if fitted and dtype == "int8" else coarser * limits[dtype]
    if not error <= limit:
        raise ExportError(
            f"the {dtype} artifact is {error:.3g} off torch's output (limit {limit:g})", operator=subject_name(subject)
        )
