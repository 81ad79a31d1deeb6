"""What lutbench uses of coremltools, all of it. Written for coremltools 9.0, which converts on any system.

Reading a program back is a module of coremltools' own that its documents do not name; a program that it cannot read
is not exported.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lutbench.errors import UsageError

INPUT, OUTPUT = "input", "output"
_WEIGHTS = Path("Data/com.apple.CoreML/weights")  # where a package has its file of weights
_NUMPY = {"fp16": np.float16, "fp32": np.float32}


def convert(module: nn.Module, sample: Tensor, dtype: str) -> tuple[bytes, bytes]:
    """The module as a Core ML program of one input and output, of dtype throughout, and its file of weights.

    dtype: fp16 or fp32. Whatever coremltools raises where it cannot convert it.
    """
    with _quietly():
        tools = _coremltools()
        program = torch.export.export(module, (sample,)).run_decompositions({})
        model = tools.convert(
            program,
            inputs=[tools.TensorType(name=INPUT, shape=tuple(sample.shape), dtype=_NUMPY[dtype])],
            outputs=[tools.TensorType(name=OUTPUT, dtype=_NUMPY[dtype])],
            convert_to="mlprogram",
            minimum_deployment_target=tools.target.iOS16,  # the first that takes and gives 16 bits
            compute_precision=tools.precision.FLOAT16 if dtype == "fp16" else tools.precision.FLOAT32,
            skip_model_load=True,
        )
        return _files_of(model)


def read(folder: Path) -> Any:
    """The program of a package, as coremltools has it in Python; a function of it has operations and inputs."""
    with _quietly():
        tools = _coremltools()
        from coremltools.converters.mil.frontend.milproto import load as reader

        spec = tools.utils.load_spec(str(folder))
        return reader.load(spec, spec.specificationVersion, str(folder / _WEIGHTS))


def _files_of(model: Any) -> tuple[bytes, bytes]:
    spec = model.get_spec()
    spec.description.metadata.Clear()  # versions and times, which no phone needs
    with tempfile.TemporaryDirectory(prefix="lutbench-") as folder:
        place = Path(folder) / "model.mlpackage"
        model.save(str(place))
        weights = place / _WEIGHTS / "weight.bin"
        data = weights.read_bytes() if weights.exists() else b""
    return bytes(spec.SerializeToString(deterministic=True)), data


def _coremltools() -> Any:
    try:
        import coremltools
    except ImportError as error:
        raise UsageError(
            f"the package coremltools is not installed ({error})", remedy="pip install 'lutbench[coreml]'"
        ) from error
    return coremltools


@contextmanager
def _quietly() -> Iterator[None]:
    """Without coremltools' advice on versions, and without its bars."""
    from tqdm import tqdm

    off, disabled = logging.root.manager.disable, tqdm.__init__
    logging.disable(logging.WARNING)
    tqdm.__init__ = _silent(disabled)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        tqdm.__init__ = disabled
        logging.disable(off)


def _silent(init: Any) -> Any:
    def make(self: Any, *values: Any, **options: Any) -> None:
        init(self, *values, **{**options, "disable": True})

    return make
