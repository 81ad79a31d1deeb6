"""What an artifact computes, in a few numbers, so that a device's wrong result is noticed.

Input and sums are those of the runner (src/tensor.cpp): the input is decided by the artifact's name.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lutbench.export.artifact import ModelUse

Array = npt.NDArray[Any]

SKETCHES = 4
_SKETCH_SEED = 1
_STEP = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1
# of an output's own size, where it is in float: other instructions, other order of additions
FLOAT_TOLERANCE = 2e-3
# quantisation steps that an output may be off: of its values, root mean square. Where a product falls between two
# steps, one kernel rounds up and another down, and a block has three convolutions in a row.
INTEGER_TOLERANCE = 1.0
_SKETCH_SPREAD = 4.0  # a sketch is a random sum: so many times the tolerance it may be off


@dataclass(frozen=True)
class Checksum:
    """Figures that tell an artifact's outputs from wrong ones.

    size: number of values.
    mean, rms: of the values as they are (quantisation steps).
    sketch: SKETCHES sums of the values with random signs, over the root of size: nearly equal for two outputs that
    differ by rounding, far apart for outputs that differ.
    """

    sha256: str
    size: int
    mean: float
    rms: float
    sketch: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.sketch) != SKETCHES or self.size < 0:
            raise ValueError("not a checksum")


def difference(device: Checksum, host: Checksum, integer: bool) -> float:
    """The distance of a device's output from the host's, over what rounding explains: up to 1 they agree.

    0 where the bytes are equal; infinite where the sizes differ, or where a value is not a number.
    """
    if device.sha256 == host.sha256:
        return 0.0
    if device.size != host.size:
        return math.inf
    allowed = INTEGER_TOLERANCE if integer else FLOAT_TOLERANCE * max(host.rms, 1e-12)
    off = [abs(device.mean - host.mean), abs(device.rms - host.rms)]
    off += [abs(a - b) / _SKETCH_SPREAD for a, b in zip(device.sketch, host.sketch, strict=True)]
    return max(value / allowed for value in off) if all(map(math.isfinite, off)) else math.inf


def checksum_of(outputs: Sequence[Array]) -> Checksum:
    """Sums up an artifact's outputs, in the order and layout in which they lie in memory."""
    digest = hashlib.sha256()
    for output in outputs:
        digest.update(np.ascontiguousarray(output).tobytes())
    values = np.concatenate([np.ascontiguousarray(output).reshape(-1).astype(np.float64) for output in outputs])
    count = max(1, values.size)
    bits = splitmix64(_SKETCH_SEED, values.size)
    signs = [np.where(bits >> np.uint64(k) & np.uint64(1), 1.0, -1.0) for k in range(SKETCHES)]
    return Checksum(
        digest.hexdigest(),
        int(values.size),
        float(values.sum() / count),
        float(np.sqrt(np.square(values).sum() / count)),
        tuple(float((sign * values).sum() / math.sqrt(count)) for sign in signs),
    )


def check_input(name: str, index: int, dtype: npt.DTypeLike, shape: Sequence[int]) -> Array:
    """Input number index of the artifact called name: any byte, floats from 0 to 1, wider integers and bools 0 or 1."""
    kind = np.dtype(dtype)
    values = splitmix64(fnv1a(f"{name}/{index}"), math.prod(shape)) & np.uint64(255)
    made: Array
    if kind.kind == "f":
        made = (values.astype(np.float32) / np.float32(255)).astype(kind)
    elif kind.itemsize == 1 and kind.kind != "b":
        made = values.astype(np.uint8).view(kind)
    else:
        made = (values & np.uint64(1)).astype(kind)
    return made.reshape(tuple(shape))


def splitmix64(seed: int, count: int) -> npt.NDArray[np.uint64]:
    """The first count values of the sequence splitmix64."""
    with np.errstate(over="ignore"):
        state = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(_STEP)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def fnv1a(text: str) -> int:
    """FNV-1a, 64 bits, of the text's UTF-8."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 & _MASK
    return value


def host_checksum(engine: str, name: str, path: Path, use: ModelUse | None = None) -> Checksum:
    """What this machine's runtime computes from the artifact's check input; RuntimeError or ValueError where it
    cannot.

    engine: "onnx", "executorch", or "coreml", whose files torch computes here.
    use: of a user's model; inputs whose values are given keep them.
    """
    return _OF_ENGINE[engine](name, path, use)


def load_runtime(engine: str) -> None:
    """Loads what `host_checksum` computes with, which takes longer than an operator does."""
    if engine == "onnx":
        import onnxruntime  # noqa: F401
    elif engine == "executorch":
        import executorch.runtime  # noqa: F401


def _onnx(name: str, path: Path, use: ModelUse | None) -> Checksum:
    import onnxruntime

    from lutbench.device_agents.host.onnx_engine import ONNX_DTYPES

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    chosen = {given.name: given for given in use.inputs} if use else {}
    fed = {}
    for index, given in enumerate(session.get_inputs()):
        dtype, one = ONNX_DTYPES[given.type], chosen.get(given.name)
        shape = one.shape if one else given.shape
        if one and one.values is not None:
            fed[given.name] = np.fromfile(one.values, dtype).reshape(shape)
        else:
            fed[given.name] = check_input(name, index, dtype, shape)
    return checksum_of(session.run(None, fed))


def _executorch(name: str, path: Path, use: ModelUse | None) -> Checksum:
    import torch
    from executorch.runtime import Runtime, Verification

    from lutbench.device_agents.host.executorch_engine import EXECUTORCH_DTYPES

    data = path.read_bytes()  # lives as long as the program, which does not copy it
    program = Runtime.get().load_program(data, verification=Verification.Minimal)
    method = program.load_method("forward")
    chosen = {given.name: given for given in use.inputs} if use else {}
    fed = []
    for index in range(method.metadata.num_inputs()):
        given, one = method.metadata.input_tensor_meta(index), chosen.get(f"input{index}")
        kind, shape = EXECUTORCH_DTYPES[given.dtype()], one.shape if one else tuple(given.sizes())
        values = check_input(name, index, kind, shape)
        if one and one.values is not None:
            values = np.fromfile(one.values, kind).reshape(shape)
        fed.append(torch.from_numpy(values))
    outputs = method.execute(fed)
    found = checksum_of([_as_it_lies(output) for output in outputs])
    del outputs, method, program, data
    return found


def _as_it_lies(tensor: Any) -> Array:
    """A tensor's values in the order of its memory, whatever the order of its axes."""
    order = sorted(range(tensor.dim()), key=lambda axis: -tensor.stride(axis))
    values: Array = tensor.permute(order).contiguous().reshape(-1).numpy()
    return values


def _coreml(name: str, path: Path, use: ModelUse | None) -> Checksum:
    if use is not None:
        raise ValueError("Core ML runs what lutbench exports, and no models of others")
    return checksum_of([coreml_output(name, path)])


def coreml_output(name: str, path: Path) -> Array:
    """What a Core ML program computes from its check input, by its file, in the numbers that it gives."""
    import torch

    from lutbench.nn.coreml_compute import compute
    from lutbench.nn.coreml_package import read_package

    program = read_package(path.read_bytes())
    (function,) = program.functions.values()
    ((_, taken),), (given,) = function.inputs.items(), function.outputs
    values = check_input(name, 0, _COREML_DTYPES[taken.dtype.__name__], taken.shape)
    found = compute(program, torch.from_numpy(values).float()).numpy()
    made: Array = found.astype(_COREML_DTYPES[given.dtype.__name__])
    return made


_COREML_DTYPES = {"fp16": np.float16, "fp32": np.float32}
_OF_ENGINE = {"onnx": _onnx, "executorch": _executorch, "coreml": _coreml}
