"""Operator or whole net -> TorchScript, traced and frozen: int8 for one of torch's quantised engines, or fp32.

PyTorch has deprecated TorchScript and its FX quantisation; this file and its engine are all there is of them.

int8: the engine's own default (activations uint8; weights int8, per output channel but for qnnpack), uint8 inputs and
outputs, so that no conversion from float is timed. Quantised convolutions compute in (N, H, W, C): an operator that
stands inside a net takes that layout (torch's channels_last). fp32 keeps (N, C, H, W) throughout, as its nets do.
"""

from __future__ import annotations

import copy
import io
import json
import re
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.ao.quantization import get_default_qconfig_mapping
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

from lutbench.errors import ExportError
from lutbench.export.artifact import Exported
from lutbench.export.check import check_error, relative_error
from lutbench.export.quantisation import Quantisation
from lutbench.nn.workload import Fitted, build_workload, sample_input
from lutbench.space.operator import Operator
from lutbench.space.workload import Workload, workload_name

_COARSER = {"x86": 2.0}  # its activations have 7 bits, so that no sum overflows on a processor without VNNI
_NUMBERED, _NUMBERED_FILE = (
    re.compile(rb"\.___torch_mangle_[0-9]+(?=[.\n])"),
    re.compile(r"/___torch_mangle_[0-9]+\.py$"),
)
DESCRIPTION = "lutbench.json"  # in the file beside the module: what who runs it has to know beforehand


@dataclass(frozen=True)
class Description:
    """What the module is to be fed with; the keys of the file that says so.

    engine: torch's, that its weights are packed for.
    scale: of a uint8 input; 0 for a float.
    """

    shape: tuple[int, ...]
    channels_last: bool
    engine: str = ""
    scale: float = 0.0
    zero_point: int = 0


def export_torchscript(
    workload: Workload, dtype: str, torch_engine: str = "", *, fitted: Fitted | None = None, batch: int = 1
) -> Exported:
    """The workload's module, checked against torch; ExportError where it cannot be made or is wrong.

    batch: of random images; a fitted net's module takes one.
    """
    name = workload_name(workload)
    inner = isinstance(workload, Operator) and workload.kind not in ("stem", "overhead") and dtype == "int8"
    if fitted:
        module, images = fitted.module, fitted.images
    else:
        module, images = build_workload(workload), sample_input(workload, name, batch)
    sample = images[: 1 if fitted else batch]
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that all of this is deprecated
            if dtype == "int8":
                exported = _export_int8(module, images, len(sample), inner and sample.dim() == 4, torch_engine)
            else:
                exported = _exported(module, sample, Description(tuple(sample.shape), False), module(sample))
    except (RuntimeError, ValueError, TypeError, AssertionError, NotImplementedError) as failure:
        problem = (str(failure).strip().splitlines() or [type(failure).__name__])[0][:200]
        raise ExportError(f"TorchScript export failed: {problem}", operator=name) from failure
    check_error(exported.check_error, workload, dtype, fitted, _COARSER.get(torch_engine, 1.0))
    return exported


def _export_int8(module: nn.Module, images: Tensor, batch: int, channels_last: bool, torch_engine: str) -> Exported:
    module, sample = copy.deepcopy(module), images[:batch]
    if torch_engine not in torch.backends.quantized.supported_engines:
        known = ", ".join(torch.backends.quantized.supported_engines)
        raise ValueError(f"torch has no quantised engine {torch_engine!r} on this machine; it has {known}")
    torch.backends.quantized.engine = torch_engine
    has_weights = any(True for _ in module.parameters())
    graph, step, zero_point = (
        _quantized(module, images, torch_engine) if has_weights else (module, *_quantisation_of(sample))
    )
    fed = torch.quantize_per_tensor(sample, step, zero_point, torch.quint8)
    fed = fed.contiguous(memory_format=torch.channels_last) if channels_last else fed
    about = Description(tuple(sample.shape), channels_last, torch_engine, step, zero_point)
    return _exported(graph, fed, about, module(fed.dequantize()))


def _exported(module: nn.Module, given: Tensor, about: Description, expected: Tensor) -> Exported:
    frozen = torch.jit.freeze(torch.jit.trace(Whole(module), given).eval())  # type: ignore[no-untyped-call]
    saved = io.BytesIO()
    torch.jit.save(frozen, saved, _extra_files={DESCRIPTION: json.dumps(asdict(about))})
    file = _without_sources(saved)
    got = torch.jit.load(file)(given)  # type: ignore[no-untyped-call]
    input_quantisation = Quantisation(about.scale, about.zero_point) if about.scale else None
    output_quantisation = Quantisation(got.q_scale(), got.q_zero_point()) if got.is_quantized else None
    error = relative_error(got.dequantize() if got.is_quantized else got, expected)
    return Exported(
        file.getvalue(), error, input_quantisation=input_quantisation, output_quantisation=output_quantisation
    )


class Whole(nn.Module):
    """What is traced: the file's text has the name of the outermost class, which is this one whatever is inside.

    A name of somebody's own may be one that TorchScript cannot read again.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> what the module makes of it."""
        given: Tensor = self.module(x)
        return given


def _without_sources(saved: io.BytesIO) -> io.BytesIO:
    """The archive without what says where and when it was made: an artifact's bytes are the same everywhere.

    That is paths and lines of the code that made it, an identity made of them too, and the number that the class has
    for being traced in a process that traced others before.
    """
    file = io.BytesIO()
    with zipfile.ZipFile(saved) as archive, zipfile.ZipFile(file, "w") as kept:
        for entry in archive.infolist():
            name, data = entry.filename, archive.read(entry)
            if name.endswith((".debug_pkl", "/.data/serialization_id")):
                continue
            if name.endswith(("/data.pkl", ".py")):
                data = _NUMBERED.sub(b"", data)
            kept.writestr(zipfile.ZipInfo(_NUMBERED_FILE.sub(".py", name)), data)
    file.seek(0)
    return file


def open_torchscript(exported: Exported) -> Callable[[Tensor], Tensor]:
    """A net's module in TorchScript: (N, 3, R, R) -> (N, classes), real numbers on both sides."""
    module = torch.jit.load(io.BytesIO(exported.data))  # type: ignore[no-untyped-call]
    taken = exported.input_quantisation

    @torch.no_grad()
    def run(image: Tensor) -> Tensor:
        fed = torch.quantize_per_tensor(image, taken.step, taken.zero_point, torch.quint8) if taken else image
        got: Tensor = module(fed)
        return got.dequantize() if got.is_quantized else got

    return run


def _quantized(module: nn.Module, images: Tensor, torch_engine: str) -> tuple[fx.GraphModule, float, int]:
    """The module from uint8 to uint8, and what its input's integers mean."""
    _flatten_by_function(module)
    prepared = prepare_fx(module, get_default_qconfig_mapping(torch_engine), (images[:1],))
    for image in torch.split(images, 1):
        prepared(image)
    converted = convert_fx(prepared)
    graph: Any = converted.graph
    (given,) = graph.find_nodes(op="placeholder")
    (output,) = graph.find_nodes(op="output")
    quantizers = [node for node in given.users if node.target is torch.quantize_per_tensor]
    if len(quantizers) == len(given.users) == 1:
        step, zero_point = (getattr(converted, node.target) for node in quantizers[0].args[1:3])  # get_attr nodes
        quantizers[0].replace_all_uses_with(given)
        graph.erase_node(quantizers[0])
    else:  # slices of a ShuffleNet unit, or a norm: in float, as they are between two operators of a net
        step, zero_point = _quantisation_of(images)
        users = list(given.users)
        with graph.inserting_after(given):
            real = graph.call_method("dequantize", (given,))
        for node in users:
            node.replace_input_with(given, real)
    last = output.args[0]
    if last.target == "dequantize":
        output.args = (last.args[0],)
    else:
        arguments = (last, *_quantisation_of(module(images[:1])), torch.quint8)
        with graph.inserting_before(output):
            output.args = (graph.call_function(torch.quantize_per_tensor, arguments),)
    graph.eliminate_dead_code()
    converted.recompile()
    return converted, float(step), int(zero_point)


class _Flatten(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C * H * W)"""
        return torch.flatten(x, 1)


def _flatten_by_function(module: nn.Module) -> None:
    """Replaces nn.Flatten, in place: the quantizer knows the function, and runs the module in float."""
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.Flatten):
                setattr(parent, name, _Flatten())


def _quantisation_of(sample: Tensor) -> tuple[float, int]:
    """Of uint8 over the sample's range, for a module that computes with integers as it is: the quantizer skips it."""
    low, high = float(sample.min()), float(sample.max())
    step = max(high - low, 1e-6) / 255
    return step, min(255, max(0, round(-low / step)))
