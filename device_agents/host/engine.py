"""What an engine is: a runtime's artifacts made ready to be invoked, inputs and outputs bound beforehand."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

# what ONNX Runtime puts before its own words: error code, path of the file, C++ source and function
_CLUTTER = re.compile(
    r"\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : |Load model from \S+ failed:|\S*/onnxruntime_src/\S+:\d+ .*?\) (?=[A-Z])"
)


@dataclass(frozen=True)
class Loaded:
    """An artifact ready to run.

    invoke calls the runtime and nothing else; rewrite_input writes the input, as the layer before it in a net would.
    idle calls into the same binding, by the same way, where there is nothing to do: what Python's part of a call
    costs.

    buffers: kept alive here, for the runtime holds bare addresses.
    """

    invoke: Callable[[], object]
    rewrite_input: Callable[[], object]
    idle: Callable[[], object]
    buffers: object


@dataclass(frozen=True)
class Given:
    """What a user's model is run with.

    shapes: of its inputs.
    values: files of raw numbers, of inputs that have some.
    dimensions: sizes of names that the model leaves open, for the runtime to know beforehand.
    """

    shapes: Mapping[str, tuple[int, ...]]
    values: Mapping[str, str]
    dimensions: Mapping[str, int]


class Engine(Protocol):
    """One runtime in this process."""

    def load(self, name: str, path: str, given: Given | None = None) -> Loaded:
        """The artifact, ready; RuntimeError or ValueError where the runtime refuses it.

        given: of a user's model; None: an artifact that lutbench exported, whose sizes are fixed.
        """


def reason_of(error: Exception) -> str:
    """One line that says what a runtime refused."""
    return f"{type(error).__name__}: {tidy(str(error))}"[:300]


def tidy(message: str) -> str:
    """A runtime's message in one line, without what only its authors need."""
    return _CLUTTER.sub("", " ".join(message.split()))
