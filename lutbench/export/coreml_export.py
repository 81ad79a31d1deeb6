"""Operator or whole net -> a Core ML program (an .mlpackage in one file): fp16 or fp32.

fp16 throughout, inputs and outputs too, is what the Neural Engine and the GPU compute in; fp32 runs on the CPU and,
by Core ML's choice, on the GPU. int8 is not offered: with weights alone in 8 bits the same 16-bit sums are computed,
and to quantise what flows between layers coremltools runs the program, which only macOS does.

Core ML runs on Apple's systems alone: what the file computes is checked by `coreml_compute`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lutbench.errors import ExportError, UsageError
from lutbench.export.artifact import Exported
from lutbench.export.check import check_error, relative_error
from lutbench.nn.coreml_compute import compute
from lutbench.nn.coreml_package import pack, read_package
from lutbench.nn.workload import Fitted, build_workload, sample_input
from lutbench.private.coreml_calls import convert
from lutbench.space.chain import OperatorChain
from lutbench.space.workload import Workload, workload_name

NEURAL_ENGINE = "coreml-ane"
_LEAST_SIZE, _LARGEST_SIZE = 1e-2, 5e3  # of a chain's output: a sixth of what 16 bits hold, and above denormals


def export_coreml(
    workload: Workload, dtype: str, engine: str, *, fitted: Fitted | None = None, batch: int = 1
) -> Exported:
    """The workload's package, checked against torch; ExportError where it cannot be made or is wrong.

    engine: the units that it is for; UsageError where they cannot compute in dtype.
    batch: of random images; a fitted net's package takes one.
    """
    name = workload_name(workload)
    if fitted:
        module, sample = fitted.module, fitted.images[:1]
    else:
        module, sample = build_workload(workload), sample_input(workload, name, batch)
    if isinstance(workload, OperatorChain):
        _check_size(workload, module, sample, dtype)
    exported = _exported(name, module, sample, dtype, engine)
    check_error(exported.check_error, workload, dtype, fitted)
    return exported


def _check_size(chain: OperatorChain, module: nn.Module, sample: Tensor, dtype: str) -> None:
    """ExportError where a chain's values leave what dtype can tell apart."""
    with torch.no_grad():
        size = float(module(sample).square().mean().sqrt())
    if not _LEAST_SIZE < size < _LARGEST_SIZE:
        raise ExportError(f"the values of its chain are {size:.3g}: {dtype} does not hold them", operator=chain.key)


def _exported(name: str, module: nn.Module, sample: Tensor, dtype: str, engine: str) -> Exported:
    if engine == NEURAL_ENGINE and dtype == "fp32":
        raise UsageError("the Neural Engine computes in 16 bits", remedy="give --dtype fp16, or another --engine")
    try:
        with torch.no_grad():
            program, weights = convert(module, sample, dtype)
            expected = module(sample)
    except UsageError:  # there is no coremltools
        raise
    except Exception as failure:
        problem = (str(failure).strip().splitlines() or [type(failure).__name__])[0][:200]
        raise ExportError(f"Core ML export failed: {problem}", operator=name) from failure
    data = pack(program, weights)
    try:
        error = relative_error(compute(read_package(data), sample), expected)
    except ExportError as failure:
        raise ExportError(f"Core ML export failed: {failure.problem}", operator=name) from failure
    return Exported(data, error)


def open_coreml(exported: Exported) -> Callable[[Tensor], Tensor]:
    """A net's package, computed by torch: (N, 3, R, R) -> (N, classes)."""
    program = read_package(exported.data)
    return lambda image: compute(program, image)
