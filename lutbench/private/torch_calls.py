"""The private names of torch that lutbench uses outside of exports, all of them. Written for torch 2.13."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor


def empty_quint8(shape: Sequence[int], scale: float, zero_point: int, layout: torch.memory_format) -> Tensor:
    """Make an unsigned 8-bit tensor of any content, whose memory lies in the given layout.

    Without the private call the tensor is made from zeros in float, which takes five times the memory for a moment.
    """
    make = getattr(torch, "_empty_affine_quantized", None)
    if make is None:
        zeros = torch.zeros(tuple(shape))
        return torch.quantize_per_tensor(zeros, scale, zero_point, torch.quint8).contiguous(memory_format=layout)
    made = make(list(shape), scale=scale, zero_point=zero_point, dtype=torch.quint8, memory_format=layout)
    return cast(Tensor, made)


def laid_out_anew(value: Tensor, layout: torch.memory_format) -> Tensor:
    """Copy a float tensor into the given layout by one operator, which every exporter takes as it stands."""
    copy = getattr(torch.ops.aten, "_to_copy", None)
    if copy is None:
        return value.contiguous(memory_format=layout)
    return cast(Tensor, copy.default(value, dtype=torch.float32, memory_format=layout))


def compiler_errors() -> tuple[type[Exception], ...]:
    """List the exceptions that torch.compile raises of its own; none where this version keeps them elsewhere.

    A failure of the compiler then ends in torch's own words, as any other error of torch does.
    """
    try:
        from torch._dynamo import exc
    except ImportError:
        return ()
    found: Any = getattr(exc, "TorchDynamoException", None)
    return () if found is None else (found,)
