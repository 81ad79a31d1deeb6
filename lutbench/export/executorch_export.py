"""Operator or whole net -> .pte for ExecuTorch's XNNPACK delegate: int8 or fp32.

int8: XNNPACK's own quantizer (weights per output channel, symmetric; activations affine), and int8 inputs and outputs,
so that no conversion from float is timed. Inputs and outputs are the caller's memory, not the program's.

XNNPACK computes in (N, H, W, C). An operator that stands inside a net takes and gives that layout (torch's
channels_last), else it would be wrapped in two transposes that a net does not have. A net, and the stem, which reads
the image, take (N, C, H, W).
"""

from __future__ import annotations

import operator
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any, cast

import torch
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config
from executorch.exir import EdgeProgramManager, ExecutorchBackendConfig, to_edge
from executorch.exir.backend.utils import get_non_lowered_nodes
from executorch.exir.passes import MemoryPlanningPass
from torch import Tensor, nn
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from lutbench.errors import ExportError
from lutbench.export.artifact import Exported
from lutbench.export.check import check_error, relative_error
from lutbench.export.quantisation import Quantisation, of_range
from lutbench.nn.fold import norms_folded
from lutbench.nn.parts import initialised
from lutbench.nn.workload import Fitted, build_workload, sample_input
from lutbench.private.executorch_calls import (
    LoadedProgram,
    edge_config,
    load_program,
    partitioner,
    portable_library,
    use_threads,
)
from lutbench.private.executorch_speed import speed_up, without_collector
from lutbench.private.torch_calls import laid_out_anew
from lutbench.space.operator import OVERHEAD, Operator
from lutbench.space.workload import Workload, workload_name

_QUANTIZE = torch.ops.quantized_decomposed.quantize_per_tensor.default
_DEQUANTIZE = torch.ops.quantized_decomposed.dequantize_per_tensor.default
_SLICE = torch.ops.aten.slice.Tensor
_INTEGERS = -128, 127
# H and W of a map that lies the same in both layouts, which then differ in their strides alone. With those of
# channels_last the lowering takes it for (N, C, H, W) and the runtime for (N, H, W, C), and refuses the shape.
_ONE_PIXEL = 1, 1


class _Quantizer(XNNPACKQuantizer):  # type: ignore[misc]
    """Without the patterns of quantisation-aware training: they match nothing here, and take 2.4 s to build a call."""

    SUPPORTED_PATTERNS = [  # noqa: RUF012 - the base class's own
        pattern for pattern in XNNPACKQuantizer.SUPPORTED_PATTERNS if not pattern.is_qat
    ]


class _Planning(MemoryPlanningPass):  # type: ignore[misc]
    """Inputs and outputs are the caller's memory; what a delegate makes of one pixel lies in it as (N, C, H, W)."""

    def __init__(self) -> None:
        super().__init__(alloc_graph_input=False, alloc_graph_output=False)

    def run(self, graph_module: Any, *arguments: Any, **named: Any) -> Any:
        """The last pass that may change what is said of a tensor; those before it reckon the strides anew."""
        for node in graph_module.graph.nodes:
            if node.target is not operator.getitem or not _calls_delegate(node.args[0]):
                continue
            spec = node.meta["spec"]
            if tuple(spec.shape[2:]) == _ONE_PIXEL:
                spec.dim_order, spec.stride = (0, 1, 2, 3), torch.empty(spec.shape).stride()
        return super().run(graph_module, *arguments, **named)


class _ChannelsLast(nn.Module):
    """A module whose output lies in memory as (N, H, W, C)."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)"""
        return laid_out_anew(self.module(x), torch.channels_last)


def export_executorch(workload: Workload, dtype: str, *, fitted: Fitted | None = None, batch: int = 1) -> Exported:
    """The workload's program, checked against torch; ExportError where it cannot be made or is wrong.

    batch: of random images; a fitted net's program takes one.
    """
    name = workload_name(workload)
    notes = speed_up()
    if fitted:
        module, images = fitted.module, fitted.images
    else:
        module = _empty() if workload == OVERHEAD else build_workload(workload)
        images = sample_input(workload, name, batch)
    try:
        with torch.no_grad(), without_collector(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's to its own callers
            exported = _export(module, _laid_out(images, workload), dtype, workload, 1 if fitted else len(images))
    except Exception as failure:
        raise ExportError(f"ExecuTorch export failed: {_shortest(failure)}", operator=name) from failure
    check_error(exported.check_error, workload, dtype, fitted)
    return replace(exported, notes=notes)


def _empty() -> nn.Module:
    """The least that XNNPACK takes: one product. What is left is the overhead of a call, the delegate's included."""
    return initialised(nn.Linear(1, 1), OVERHEAD.name)


def _laid_out(sample: Tensor, workload: Workload) -> Tensor:
    """The sample as it lies in memory before the workload."""
    if workload == OVERHEAD:
        return sample.flatten(1)
    inner = isinstance(workload, Operator) and workload.kind != "stem" and sample.dim() == 4
    return sample.to(memory_format=torch.channels_last) if inner and sample.shape[2:] != _ONE_PIXEL else sample


def _export(module: nn.Module, images: Tensor, dtype: str, workload: Workload, batch: int) -> Exported:
    sample = images[:batch]
    expected = module(sample)
    inner = isinstance(workload, Operator) and expected.dim() == 4
    traced = norms_folded(module)
    if inner and not expected.is_contiguous(memory_format=torch.channels_last):
        traced = _ChannelsLast(traced)
    program = torch.export.export(traced, (sample,))
    fed, given, taken = sample, None, None
    if dtype == "int8":
        graph = _quantized(program, images, batch)
        given, taken = _integer_inputs_outputs(graph, sample, expected)
        fed = given.integers(sample)
        expected = module(given.real(fed))
        program = torch.export.export(graph, (fed,))
    edge, kernels = _lowered(program)
    outside = _outside(edge)
    data = bytes(edge.to_executorch(ExecutorchBackendConfig(memory_planning_pass=_Planning())).buffer)
    got = run_program(data, fed)
    error = relative_error(taken.real(got) if taken else got, expected)
    share = 1 - len(outside) / max(1, kernels)
    return Exported(
        data, error, (*_partings(edge), *outside), share, input_quantisation=given, output_quantisation=taken
    )


def _quantized(program: torch.export.ExportedProgram, images: Tensor, batch: int) -> torch.fx.GraphModule:
    """One random sample to calibrate with does for latency, which no quantisation changes, and for the check."""
    quantizer = _Quantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    prepared = prepare_pt2e(program.module(check_guards=False), quantizer)
    for part in torch.split(images, batch):
        prepared(part)
    return convert_pt2e(prepared)  # type: ignore[no-any-return]


def _integer_inputs_outputs(
    module: torch.fx.GraphModule, given: Tensor, made: Tensor
) -> tuple[Quantisation, Quantisation]:
    """Takes the quantisation of the input and the dequantisation of the output out of the graph, in place.

    As ExecuTorch's own passes for it do later in the edge dialect; before it, to_edge sees the integers at once.
    What the quantizer left in float at an end (the slices of a ShuffleNet unit, a norm) gets a conversion there, as it
    has between two operators of a net.

    given, made: real numbers at the input and at the output.
    """
    graph: Any = module.graph
    (placeholder,) = graph.find_nodes(op="placeholder")
    quantizers = [node for node in placeholder.users if node.target is _QUANTIZE]
    readers = [node for node in placeholder.users if node.target is not _QUANTIZE]
    taken = _quantisation_of(quantizers[0]) if quantizers else of_range(given, *_INTEGERS)
    for node in quantizers:
        node.replace_all_uses_with(placeholder)
        graph.erase_node(node)
    if readers:
        with graph.inserting_after(placeholder):
            real = graph.call_function(_DEQUANTIZE, (placeholder, *_arguments(taken)))
        for node in readers:
            node.replace_input_with(placeholder, real)
            if node.target is _SLICE:
                _slice_integers(graph, node, taken)
    output = graph.output_node()
    (last,) = output.args[0]
    moved = last.target is not _DEQUANTIZE  # into another layout, after the dequantisation
    dequantizer = last.args[0] if moved else last
    is_real = getattr(dequantizer, "target", None) is not _DEQUANTIZE
    gives = of_range(made, *_INTEGERS) if is_real else _quantisation_of(dequantizer)
    if moved:
        with graph.inserting_before(output):
            last = graph.call_function(_QUANTIZE, (last, *_arguments(gives)))
    output.args = ((last if moved else dequantizer.args[0],),)
    graph.eliminate_dead_code()
    module.recompile()
    return taken, gives


def _slice_integers(graph: Any, node: Any, quantisation: Quantisation) -> None:
    """Gives what is sliced the input's integers again: the delegate slices those, and leaves it to others in float."""
    readers = list(node.users)
    with graph.inserting_after(node):
        integers = graph.call_function(_QUANTIZE, (node, *_arguments(quantisation)))
    with graph.inserting_after(integers):
        real = graph.call_function(_DEQUANTIZE, (integers, *_arguments(quantisation)))
    for reader in readers:
        reader.replace_input_with(node, real)


def _arguments(quantisation: Quantisation) -> tuple[float, int, int, int, torch.dtype]:
    return (quantisation.step, quantisation.zero_point, quantisation.low, quantisation.high, torch.int8)


def _quantisation_of(node: Any) -> Quantisation:
    scale, zero_point, low, high = node.args[1:5]
    return Quantisation(float(scale), int(zero_point), int(low), int(high))


def _lowered(program: torch.export.ExportedProgram) -> tuple[EdgeProgramManager, int]:
    """The program with everything that XNNPACK takes handed to it, and how many kernels it had before."""
    taker = partitioner()()
    preserved, _ = taker.ops_to_not_decompose(program)
    edge = to_edge(program, compile_config=edge_config(preserved))
    _drop_idle_strides(edge.exported_program())
    return edge.to_backend(taker), len(_kernels(edge.exported_program().graph.nodes))


def _drop_idle_strides(program: torch.export.ExportedProgram) -> None:
    """Takes out as_strided where it keeps the shape, in place.

    torch puts one behind the average pool of a channels_last tensor; no delegate takes it, and it would part the
    operator in two with a kernel that a net does not run.
    """
    graph: Any = program.graph
    for node in [node for node in graph.nodes if node.op == "call_function"]:
        named = node.target.__name__ == "aten.as_strided_copy.default"
        if named and list(node.args[0].meta["val"].shape) == list(node.args[1]):
            node.replace_all_uses_with(node.args[0])
            program.graph_signature.replace_all_uses(node.name, node.args[0].name)  # where it is the output
            graph.erase_node(node)


def _kernels(nodes: Iterable[Any]) -> tuple[str, ...]:
    names = [node.target.__name__ for node in nodes if node.op == "call_function"]
    return tuple(name for name in names if name != "getitem")


def _outside(edge: EdgeProgramManager) -> tuple[str, ...]:
    """Kernels outside the delegate, in order."""
    return _kernels(get_non_lowered_nodes(edge.exported_program().graph))


def _partings(edge: EdgeProgramManager) -> tuple[str, ...]:
    """That there is more than one delegate, for data then goes in and out of it."""
    nodes = edge.exported_program().graph.nodes
    delegates = sum(_calls_delegate(node) for node in nodes)
    return (f"{delegates} delegates",) if delegates > 1 else ()


def _calls_delegate(node: Any) -> bool:
    return node.op == "call_function" and "call_delegate" in str(node.target)


def run_program(data: bytes, given: Tensor) -> Tensor:
    """A program's output, by one thread."""
    (output,) = _loaded(data).call([given])
    return cast(Tensor, output)


def open_executorch(exported: Exported) -> Callable[[Tensor], Tensor]:
    """A net's program in ExecuTorch: (N, 3, R, R) -> (N, classes), real numbers on both sides."""
    held = _loaded(exported.data)

    def run(image: Tensor) -> Tensor:
        (output,) = held.call([exported.input_quantisation.integers(image) if exported.input_quantisation else image])
        return (
            exported.output_quantisation.real(output) if exported.output_quantisation else cast(Tensor, output).clone()
        )

    return run


@cache
def _one_thread() -> None:
    """Once: it crashes while a program is loaded."""
    use_threads(portable_library(), 1)


def _loaded(data: bytes) -> LoadedProgram:
    """A program, on one thread."""
    with _quiet():
        _one_thread()
        return load_program(portable_library(), data)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the runtime writes on standard error past Python: which files of /sys it read, how many threads."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _shortest(failure: BaseException) -> str:
    """The first line of what went wrong at the bottom: the lowering wraps it in the text of its whole graph."""
    while failure.__cause__ is not None:
        failure = failure.__cause__
    return (str(failure).strip().splitlines() or [type(failure).__name__])[0][:200]
