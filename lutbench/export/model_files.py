"""Users' model files of every format: those that a runtime here runs, and what to do about the others."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from lutbench.errors import ExportError
from lutbench.export import onnx_file, ort_file, pte_file
from lutbench.export.artifact import Artifact, Companion, ModelUse
from lutbench.export.model_inputs import Choices, Declared, choose_inputs
from lutbench.reading.files import check_there
from lutbench.reading.kinds import ARTIFACT

DTYPE_OF_FILE = "file"  # what a row says of a file's dtype: the file decides it

_TO_ONNX = "export it with torch.onnx.export, or name the code that makes the net: lutbench bench module:function"
_FOREIGN = {
    ".tflite": ("a TensorFlow Lite model, which no runtime here runs", "tf2onnx converts it: --tflite"),
    ".pt": ("a file of PyTorch's: weights or a TorchScript module", _TO_ONNX),
    ".pth": ("a file of PyTorch's weights, without the net itself", _TO_ONNX),
    ".pt2": ("a program of torch.export", "torch.onnx.export takes the program that torch.export.load reads"),
    ".ckpt": ("a checkpoint: weights without the net itself", _TO_ONNX),
    ".safetensors": ("weights without the net itself", f"load them into the net and {_TO_ONNX}"),
    ".bin": ("weights without the net itself", f"load them into the net and {_TO_ONNX}"),
    ".onnx_data": ("the weights of an ONNX file", "name the .onnx file beside it"),
    ".gguf": ("weights of llama.cpp, which no runtime here runs", "llama-bench times it"),
    ".mlmodel": ("a Core ML model, which runs on Apple's systems only", "give the ONNX file or code it was made of"),
    ".mlpackage": ("a Core ML model, which runs on Apple's systems only", "give the ONNX file or code it was made of"),
    ".h5": ("a Keras model, which no runtime here runs", "tf2onnx converts it"),
    ".keras": ("a Keras model, which no runtime here runs", "tf2onnx converts it"),
    ".pb": ("a TensorFlow graph, which no runtime here runs", "tf2onnx converts it"),
    ".pdmodel": ("a Paddle model, which no runtime here runs", "paddle2onnx converts it"),
    ".engine": ("a TensorRT engine, for one kind of GPU", "give the ONNX file that it was made of"),
    ".trt": ("a TensorRT engine, for one kind of GPU", "give the ONNX file that it was made of"),
    ".mnn": ("an MNN model, which no runtime here runs", "give the ONNX file that it was made of"),
    ".dlc": ("a Qualcomm model, which no runtime here runs", "give the ONNX file that it was made of"),
}
_READERS: dict[str, tuple[str, Callable[[Path], tuple[tuple[Declared, ...], tuple[Companion, ...]]]]] = {
    ".onnx": ("onnx", onnx_file.read_onnx),
    ".ort": ("onnx", ort_file.read_ort),
    ".pte": ("executorch", pte_file.read_pte),
}


@dataclass(frozen=True)
class ReadModel:
    """A file that was read.

    runtime: that runs it.
    inputs: as the file declares them.
    """

    path: Path
    runtime: str
    sha256: str
    size_bytes: int
    inputs: tuple[Declared, ...]
    companions: tuple[Companion, ...]


def is_model_file(text: str) -> bool:
    """Whether a net's text names a file of a model, by its ending."""
    suffix = Path(text).suffix.lower()
    return suffix in _READERS or suffix in _FOREIGN


def runtime_of(path: Path) -> str | None:
    """What runs files of this ending; None where nothing here does."""
    found = _READERS.get(path.suffix.lower())
    return found[0] if found else None


def read_model(path: Path) -> ReadModel:
    """The file; ExportError where it is not what its ending says, or of a format that no runtime here runs."""
    suffix = path.suffix.lower()
    if suffix in _FOREIGN:
        what, remedy = _FOREIGN[suffix]
        check_there(path, ARTIFACT)
        raise ExportError(what, path=path, remedy=remedy)
    runtime, read = _READERS[suffix]
    inputs, companions = read(path)
    sha256, size = onnx_file.digest(path)
    return ReadModel(path, runtime, sha256, size, inputs, companions)


def prepare_model(model: ReadModel, choices: Choices, cache_folder: Path, batch: int = 1) -> Artifact:
    """The file as it is, and how it is run; ExportError where that stays open or does not fit.

    batch: of an input that leaves it open.

    The name of the artifact holds all that decides its times. The path keeps the links that lead to the file, for
    weights are looked for beside the link.
    """
    inputs, dimensions = choose_inputs(model.path, model.inputs, choices, cache_folder / "inputs", batch)
    use = ModelUse(inputs, dimensions, model.companions)
    decides = [model.sha256, [c.sha256 for c in model.companions], [[i.name, i.shape, i.values_sha256] for i in inputs]]
    digest = hashlib.sha256(json.dumps(decides).encode()).hexdigest()
    name = f"{model.path.name}#{digest[:16]}"
    path = model.path.absolute()
    artifact = Artifact(name, model.runtime, DTYPE_OF_FILE, path, model.sha256, model.size_bytes, math.nan)
    return replace(artifact, use=use)
