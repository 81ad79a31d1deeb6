"""A user's ONNX file as a layer: ONNX Runtime computes it, and torch's exporter writes it as one node.

That node stands for the file's own, which `lutbench.export.own_file` puts in its place. Weights are constants: such a
layer is not trained.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import onnx.inliner
import onnxruntime
import torch
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto
from torch import Tensor, nn

from lutbench.errors import UsageError, told
from lutbench.nn.own_allowed import check_allowed
from lutbench.reading.files import is_there, read_bytes
from lutbench.reading.kinds import MODEL
from lutbench.space.blocks.own_file import file_places, untrainable
from lutbench.space.operator import Operator

NODE_DOMAIN, NODE_NAME, NODE_OPERATOR = "lutbench", "File", "operator"
_LOG_FATAL = 4  # what it says of a file that it cannot run stands in the error


def find_file(op: Operator) -> Path:
    """The file of a block's shape; UsageError where there is none, or no space file here has named it."""
    check_allowed(op)
    places = [Path(place) for place in file_places(op)]
    for path in places:
        if is_there(path):
            return path
    named = " or ".join(str(path) for path in places)
    raise UsageError(f"{op.name}: there is no {named}", remedy="paths are seen from the folder that lutbench runs in")


class FileBlock(nn.Module):
    """An ONNX file of one input and one output, for an operator's shape.

    UsageError where there is no such file, it is no ONNX model, or takes or gives another shape than its layer's.
    """

    def __init__(self, op: Operator) -> None:
        super().__init__()
        self.op, self.path = op, find_file(op)
        self.model = _loaded(self.path)
        self._session = self._opened()
        self._check_input()
        self._check_output()

    def forward(self, x: Tensor) -> Tensor:
        """(N, c_in, H, W) -> (N, c_out, ceil(H / stride), ceil(W / stride))"""
        return cast(Tensor, _Call.apply(x, self))  # type: ignore[no-untyped-call]

    def train(self, mode: bool = True) -> FileBlock:
        if mode:
            raise untrainable(self.op.name)
        return super().train(mode)

    def run(self, x: Tensor) -> Tensor:
        """What ONNX Runtime makes of it."""
        try:
            (found,) = self._session.run(None, {self.input_name: np.ascontiguousarray(x.numpy())})
        except Exception as error:
            raise self._error(f"fails on an input of {tuple(x.shape)}: {_line(error)}") from error
        return torch.from_numpy(np.asarray(found))

    @property
    def input_name(self) -> str:
        return str(self._session.get_inputs()[0].name)

    def _opened(self) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = _LOG_FATAL
        try:
            data = self.model.SerializeToString()
            return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise self._error(f"ONNX Runtime cannot load it: {_line(error)}") from error

    def _check_input(self) -> None:
        for what, values in (("inputs", self._session.get_inputs()), ("outputs", self._session.get_outputs())):
            if len(values) != 1:
                raise self._error(f"it has {len(values)} {what}, and a block has one")
            if values[0].type != "tensor(float)":
                raise self._error(f"its {what[:-1]} is a {values[0].type}, and a block's a tensor(float)")
        given, asked = self._session.get_inputs()[0].shape, self.op.input_shape
        fixed = [isinstance(size, int) for size in given]
        fits = len(given) == len(asked) and all(
            not is_fixed or size == wanted for size, wanted, is_fixed in zip(given, asked, fixed, strict=True)
        )
        if not fits:
            raise self._error(f"it takes {tuple(given)}, but the layer gives {asked}")

    def _check_output(self) -> None:
        given, again = (self.run(torch.zeros(self.op.input_shape)) for _ in range(2))
        if tuple(given.shape) != self.op.output_shape:
            raise self._error(f"it gives {tuple(given.shape)}, but the layer asks for {self.op.output_shape}")
        if not torch.equal(given, again):
            raise self._error("it gives something else when it runs again")

    def _error(self, problem: str) -> UsageError:
        return UsageError(f"{self.path} for {self.op.name}: {problem}")


class _Call(torch.autograd.Function):
    """torch's exporter asks `symbolic` for the node, everything else runs `forward`."""

    @staticmethod
    def forward(_ctx: Any, x: Tensor, block: FileBlock) -> Tensor:
        return block.run(x)

    @staticmethod
    def symbolic(graph: Any, x: Any, block: FileBlock) -> Any:
        made = graph.op(f"{NODE_DOMAIN}::{NODE_NAME}", x, **{f"{NODE_OPERATOR}_s": block.op.name})
        batch, *_ = x.type().sizes()
        return made.setType(x.type().with_sizes([batch, *block.op.output_shape[1:]]))


def _loaded(path: Path) -> onnx.ModelProto:
    """The model with its weights, those of files beside it too."""
    try:
        model = onnx.load_model_from_string(read_bytes(path, MODEL))
        onnx.load_external_data_for_model(model, str(path.parent))
    except (DecodeError, ValueError, OSError, onnx.checker.ValidationError) as error:
        raise UsageError(f"{path} is not an ONNX model, or its weights are not beside it: {_line(error)}") from error
    if not model.graph.output:
        raise UsageError(f"{path} is not an ONNX model: it has no graph")
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    return _with_shape_alone(model)


def _with_shape_alone(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model; where an older file lists its weights among its inputs, without them there."""
    weights = {tensor.name for tensor in model.graph.initializer}
    for value in [value for value in model.graph.input if value.name in weights]:
        model.graph.input.remove(value)
    return model


def constant_nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The graph's weights as nodes."""
    return [onnx.helper.make_node("Constant", [], [t.name], value=_unnamed(t)) for t in graph.initializer]


def _unnamed(tensor: TensorProto) -> TensorProto:
    copy = TensorProto()
    copy.CopyFrom(tensor)
    copy.ClearField("name")
    return copy


def _line(error: BaseException) -> str:
    return (told(error).strip().splitlines() or [""])[0][:200]
