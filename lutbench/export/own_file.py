"""Blocks of a user's ONNX files: their nodes in an exported graph, and what they count."""

from __future__ import annotations

import hashlib
from typing import Any

import onnx
import onnx.inliner
import onnx.version_converter
from torch import nn

from lutbench.errors import ExportError
from lutbench.export.onnx_counts import count_onnx
from lutbench.export.onnx_file import digest, read_onnx
from lutbench.nn.own_file import NODE_DOMAIN, NODE_NAME, NODE_OPERATOR, FileBlock, constant_nodes, find_file
from lutbench.space.definition import Counted
from lutbench.space.operator import Operator


def counted_file(op: Operator) -> Counted:
    """Multiply-accumulates, constants, and a digest of the file and those beside it.

    ExportError or UsageError where the file does not fit the operator's shape, or they cannot be told.
    """
    _, companions = read_onnx(find_file(op))
    block = FileBlock(op)
    counts = count_onnx(block.path, {block.input_name: op.input_shape})
    if counts.macs is None or counts.params is None:
        raise ExportError("its multiply-accumulates cannot be told", path=block.path, operator=op.name)
    digests = [digest(block.path)[0], *(companion.sha256 for companion in companions)]
    return Counted(counts.macs, counts.params, f"file:{hashlib.sha256(' '.join(digests).encode()).hexdigest()[:16]}")


def put_files_in(model: onnx.ModelProto, module: nn.Module) -> onnx.ModelProto:
    """The exported model with the nodes of the module's files in the place of those that stand for them."""
    blocks = {part.op.name: part for part in module.modules() if isinstance(part, FileBlock)}
    if not blocks:
        return model
    names = {name: f"File{number}" for number, name in enumerate(sorted(blocks))}
    for node in model.graph.node:
        if (node.domain, node.op_type) == (NODE_DOMAIN, NODE_NAME):
            (name,) = (a.s.decode() for a in node.attribute if a.name == NODE_OPERATOR)
            node.op_type = names[name]
            del node.attribute[:]
    newest = max(_opset(block.model) for block in blocks.values())
    if newest > _opset(model):  # older ones are converted where they are put in
        model = onnx.version_converter.convert_version(model, newest)
    model.functions.extend(_function(names[name], block.model) for name, block in blocks.items())
    model = onnx.inliner.inline_local_functions(model, convert_version=True)
    _weights_as_initialisers(model.graph)
    return model


def _function(name: str, file: onnx.ModelProto) -> onnx.FunctionProto:
    graph = file.graph
    return onnx.helper.make_function(
        NODE_DOMAIN,
        name,
        [value.name for value in graph.input],
        [value.name for value in graph.output],
        [*constant_nodes(graph), *graph.node],
        list(file.opset_import),
    )


def _opset(model: onnx.ModelProto) -> int:
    return max((int(one.version) for one in model.opset_import if one.domain in ("", "ai.onnx")), default=1)


def _weights_as_initialisers(graph: Any) -> None:
    """The quantizer takes weights from there alone."""
    for node in [node for node in graph.node if node.op_type == "Constant"]:
        (value,) = node.attribute
        if value.name == "value":
            tensor = graph.initializer.add()
            tensor.CopyFrom(value.t)
            tensor.name = node.output[0]
            graph.node.remove(node)
