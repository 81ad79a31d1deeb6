"""What a Core ML program computes, on any machine: the saved program, operation by operation, in torch.

Core ML itself runs on Apple's systems alone. So what an artifact computes is checked, before a phone has it, by
reading its file again and doing what it says; and what a phone computes is compared with the same. Numbers of 16 bits
are rounded to 16 bits after each operation and computed in 32 between: the phone's units round elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lutbench.errors import ExportError

Inputs = Mapping[str, Any]  # by name: tensors, numbers, texts, lists of them
_TORCH_DTYPES = {"fp16": torch.float16, "fp32": torch.float32, "int32": torch.int32, "bool": torch.bool}
_ROUNDED = torch.float16


def compute(program: Any, given: Tensor) -> Tensor:
    """The output of a program (coremltools' Program of one function, input and output).

    ExportError where the program holds an operation that is not in the table.
    """
    (function,) = program.functions.values()
    (name,) = function.inputs
    values: dict[str, Any] = {name: given}
    with torch.no_grad():
        for operation in function.operations:
            if operation.op_type == "const":
                values[operation.outputs[0].name] = _plain(operation.outputs[0].val)
                continue
            if operation.op_type not in OPERATIONS:
                raise ExportError(f"nothing here computes Core ML's operation {operation.op_type}")
            inputs = _Inputs({key: _value(var, values) for key, var in operation.inputs.items()})
            results = OPERATIONS[operation.op_type](inputs)
            if unread := inputs.unread:
                raise ExportError(f"nothing here computes Core ML's {operation.op_type} with {', '.join(unread)}")
            for var, result in zip(
                operation.outputs, results if isinstance(results, tuple) else (results,), strict=True
            ):
                values[var.name] = _as_declared(result, var)
    (output,) = function.outputs
    found: Tensor = values[output.name]
    return found


class _Inputs(dict[str, Any]):
    """Inputs of an operation that know which were read: one that nobody reads would be left out without a word."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self._read: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self._read.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self._read.add(key)
        return super().get(key, default)

    @property
    def unread(self) -> list[str]:
        """Names of inputs that were given and not looked at."""
        return sorted(key for key in set(self) - self._read if self[key] is not None)


def _value(var: Any, values: Mapping[str, Any]) -> Any:
    """An operation's input: a value, or several."""
    if isinstance(var, list | tuple):
        return [_value(one, values) for one in var]
    return values[var.name] if var.name in values else _plain(var.val)


def _plain(value: Any) -> Any:
    """A constant as torch or Python has it; floats in 32 bits."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f":
            value = value.astype(np.float32)
        return torch.from_numpy(np.ascontiguousarray(value)) if value.dtype.kind in "fiub" else value
    return value.item() if isinstance(value, np.generic) else value


def _as_declared(result: Tensor, var: Any) -> Tensor:
    """The result in 32 bits, rounded as its type says; ExportError where its shape is another than it says."""
    if tuple(result.shape) != tuple(var.shape):
        raise ExportError(f"{var.name} is {tuple(result.shape)}, its program says {tuple(var.shape)}")
    if not result.is_floating_point():
        return result
    return (result.to(_ROUNDED) if var.dtype.__name__ == "fp16" else result).float()


def _numbers(value: Any) -> list[int]:
    return [int(one) for one in (value.tolist() if isinstance(value, Tensor) else value)]


def _padded(given: Inputs, x: Tensor, kernel: list[int], value: float) -> Tensor:
    """With what an operation puts around its input: pad is (top, bottom, left, right)."""
    kind, pad = given.get("pad_type", "valid"), given.get("pad")
    if kind == "valid":
        return x
    if kind != "custom":
        raise ExportError(f"nothing here computes Core ML's padding {kind} (kernel {kernel})")
    top, bottom, left, right = _numbers(pad)
    return F.pad(x, (left, right, top, bottom), value=value)


def _conv(given: Inputs) -> Tensor:
    weight = given["weight"]
    x = _padded(given, given["x"], list(weight.shape[2:]), 0.0)
    strides, dilations = (_numbers(given.get(key, (1, 1))) for key in ("strides", "dilations"))
    return F.conv2d(x, weight, given.get("bias"), strides, 0, dilations, int(given.get("groups", 1)))


def _linear(given: Inputs) -> Tensor:
    return F.linear(given["x"], given["weight"], given.get("bias"))


def _max_pool(given: Inputs) -> Tensor:
    kernel = _numbers(given["kernel_sizes"])
    x = _padded(given, given["x"], kernel, -torch.inf)
    return F.max_pool2d(
        x, kernel, _numbers(given.get("strides", kernel)), ceil_mode=bool(given.get("ceil_mode", False))
    )


def _avg_pool(given: Inputs) -> Tensor:
    kernel = _numbers(given["kernel_sizes"])
    strides = _numbers(given.get("strides", kernel))
    ceil = bool(given.get("ceil_mode", False))
    total = F.avg_pool2d(_padded(given, given["x"], kernel, 0.0), kernel, strides, ceil_mode=ceil)
    if not given.get("exclude_padding_from_average", False):
        return total
    share = F.avg_pool2d(_padded(given, torch.ones_like(given["x"]), kernel, 0.0), kernel, strides, ceil_mode=ceil)
    return total / share


def _reduce(function: Callable[..., Tensor]) -> Callable[[Inputs], Tensor]:
    return lambda given: function(given["x"], dim=_numbers(given["axes"]), keepdim=bool(given.get("keep_dims", False)))


def _layer_norm(given: Inputs) -> Tensor:
    x, axes = given["x"], sorted(axis % given["x"].dim() for axis in _numbers(given["axes"]))
    mean = x.mean(axes, keepdim=True)
    variance = (x - mean).square().mean(axes, keepdim=True)
    shape = [x.shape[axis] if axis in axes else 1 for axis in range(x.dim())]
    normed: Tensor = (x - mean) / (variance + float(given.get("epsilon", 1e-5))).sqrt()
    gamma, beta = given.get("gamma"), given.get("beta")
    normed = normed if gamma is None else normed * gamma.reshape(shape)
    return normed if beta is None else normed + beta.reshape(shape)


def _batch_norm(given: Inputs) -> Tensor:
    return F.batch_norm(
        given["x"], given["mean"], given["variance"], given.get("gamma"), given.get("beta"),
        eps=float(given.get("epsilon", 1e-5)),
    )  # fmt: skip


def _slice(given: Inputs) -> Tensor:
    x = given["x"]
    begin, end = _numbers(given["begin"]), _numbers(given["end"])
    steps = _numbers(given.get("stride", [1] * x.dim()))
    begins, ends, single = (
        [bool(one) for one in given.get(key, [False] * x.dim())] for key in ("begin_mask", "end_mask", "squeeze_mask")
    )
    places: list[int | slice] = []
    for axis in range(x.dim()):
        if single[axis]:
            places.append(begin[axis])
        else:
            places.append(slice(None if begins[axis] else begin[axis], None if ends[axis] else end[axis], steps[axis]))
    found: Tensor = x[tuple(places)]
    return found


def _slice_by_size(given: Inputs) -> Tensor:
    x = given["x"]
    for axis, (begin, size) in enumerate(zip(_numbers(given["begin"]), _numbers(given["size"]), strict=True)):
        x = x.narrow(axis, begin, x.shape[axis] - begin if size == -1 else size)
    found: Tensor = x
    return found


def _split(given: Inputs) -> tuple[Tensor, ...]:
    x, axis = given["x"], int(given["axis"])
    if "split_sizes" in given:
        return tuple(torch.split(x, _numbers(given["split_sizes"]), axis))
    return tuple(torch.chunk(x, int(given["num_splits"]), axis))


def _concat(given: Inputs) -> Tensor:
    values, axis = given["values"], int(given["axis"])
    if not given.get("interleave", False):
        return torch.cat(values, axis)
    stacked = torch.stack(values, axis + 1)  # the first of each, then the second of each, and so on
    return stacked.flatten(axis, axis + 1)


def _matmul(given: Inputs) -> Tensor:
    x, y = given["x"], given["y"]
    x = x.transpose(-1, -2) if given.get("transpose_x", False) else x
    found: Tensor = x @ (y.transpose(-1, -2) if given.get("transpose_y", False) else y)
    return found


def _gelu(given: Inputs) -> Tensor:
    if given.get("mode", "EXACT") == "EXACT":
        return F.gelu(given["x"])
    if given["mode"] == "TANH_APPROXIMATION":
        return F.gelu(given["x"], approximate="tanh")
    x: Tensor = given["x"]
    return x * torch.sigmoid(1.702 * x)


def _gather(given: Inputs) -> Tensor:
    x: Tensor = given["x"]
    return x.index_select(int(given.get("axis", 0)), given["indices"].reshape(-1).long())


def _sigmoid_hard(given: Inputs) -> Tensor:
    x: Tensor = given["x"]
    return (float(given["alpha"]) * x + float(given["beta"])).clamp(0, 1)


# Core ML's operation -> what it computes; the operations that lutbench's blocks become
OPERATIONS: Mapping[str, Callable[[Inputs], Tensor | tuple[Tensor, ...]]] = {
    "add": lambda given: given["x"] + given["y"],
    "avg_pool": _avg_pool,
    "batch_norm": _batch_norm,
    "cast": lambda given: given["x"].to(_TORCH_DTYPES[given["dtype"]]),
    "clip": lambda given: given["x"].clamp(float(given["alpha"]), float(given["beta"])),
    "concat": _concat,
    "conv": _conv,
    "expand_dims": lambda given: given["x"].reshape(_with_ones(given["x"], _numbers(given["axes"]))),
    "gather": _gather,
    "gelu": _gelu,
    "identity": lambda given: given["x"].clone(),
    "layer_norm": _layer_norm,
    "linear": _linear,
    "matmul": _matmul,
    "max_pool": _max_pool,
    "mul": lambda given: given["x"] * given["y"],
    "real_div": lambda given: given["x"] / given["y"],
    "reduce_mean": _reduce(torch.mean),
    "relu": lambda given: given["x"].relu(),
    "relu6": lambda given: F.relu6(given["x"]),
    "reshape": lambda given: given["x"].reshape(_numbers(given["shape"])),
    "sigmoid": lambda given: given["x"].sigmoid(),
    "sigmoid_hard": _sigmoid_hard,
    "silu": lambda given: F.silu(given["x"]),
    "slice_by_index": _slice,
    "slice_by_size": _slice_by_size,
    "softmax": lambda given: given["x"].softmax(int(given.get("axis", -1))),
    "split": _split,
    "squeeze": lambda given: given["x"].squeeze(_numbers(given["axes"])) if "axes" in given else given["x"].squeeze(),
    "sub": lambda given: given["x"] - given["y"],
    "thresholded_relu": lambda given: given["x"] * (given["x"] >= float(given["alpha"])),
    "transpose": lambda given: given["x"].permute(_numbers(given["perm"])),
}


def _with_ones(x: Tensor, axes: list[int]) -> list[int]:
    """x's shape with sizes of 1 at these axes of the result."""
    sizes, rank = list(x.shape), x.dim() + len(axes)
    at = {axis % rank for axis in axes}
    return [1 if axis in at else sizes.pop(0) for axis in range(rank)]
