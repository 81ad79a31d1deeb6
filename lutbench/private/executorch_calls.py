"""The private names of ExecuTorch that lutbench uses to run and lower programs. Written for ExecuTorch 1.5.

Programs are loaded by the binding in C++, whose functions begin with an underscore: only there can inputs be bound once
and for all, and only there is the number of threads set. The public way is `executorch.runtime`, which takes the inputs
anew in each call; a version without the private functions is timed by that, a few microseconds slower. What makes
exports faster is in executorch_speed.py.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class LoadedProgram:
    """A program's method `forward`, ready to run.

    meta: what the runtime says of its inputs and outputs.
    bind: takes input tensors and gives a function that runs the program on whatever they hold by then.
    put: takes the tensors that were bound once more, for inputs that the program keeps in memory of its own: it has a
    copy of what they held, and writes over that as it runs.
    call: runs the program on tensors, once, and gives its outputs.
    idle: a call by the same way that finds next to nothing to do.
    held: what must live as long as any of these, for the method holds bare addresses.
    """

    meta: Any
    bind: Callable[[Sequence[Any]], Callable[[], object]]
    put: Callable[[Sequence[Any]], object]
    call: Callable[[Sequence[Any]], Sequence[Any]]
    idle: Callable[[], object]
    held: object


def portable_library() -> Any:
    """Import the module that holds the runtime's private functions.

    `portable_lib` passes them on, and imports the whole exporter for one warning: 5 to 8 s, in each worker process.
    """
    import torch  # noqa: F401 - the binding's own libraries are found through torch's

    try:
        from executorch.extension.pybindings import _C as library  # noqa: N811
    except ImportError:  # a version that names it otherwise
        from executorch.extension.pybindings import portable_lib as library
    return library


def use_threads(library: Any, threads: int) -> None:
    """Set the size of the runtime's pool of threads; RuntimeError where the library does not do it.

    It has to be the first call of all: while a program is loaded it crashes. ExecuTorch has no public call for it, and
    a time taken with another number of threads would be wrong, so a version without it is refused.
    """
    reset = getattr(library, "_unsafe_reset_threadpool", None)
    count = getattr(library, "_threadpool_get_thread_count", None)
    if reset is None or count is None:
        raise RuntimeError("this version of ExecuTorch has no call that sets its number of threads")
    reset(threads)
    if (started := count()) != threads:
        raise RuntimeError(f"ExecuTorch runs {started} threads where {threads} were asked for")


def load_program(library: Any, source: str | bytes) -> LoadedProgram:
    """Load a program from a file's path or from its bytes; RuntimeError where the runtime refuses it."""
    name = "_load_program" if isinstance(source, str) else "_load_program_from_buffer"
    load = getattr(library, name, None)
    return _by_runtime(source) if load is None else _by_library(load(source))


def _by_library(program: Any) -> LoadedProgram:
    method = program.load_method("forward")

    def bind(tensors: Sequence[Any]) -> Callable[[], object]:
        method.set_inputs(list(tensors))
        run: Callable[[], object] = method.execute
        return run

    def put(tensors: Sequence[Any]) -> None:
        method.set_inputs(list(tensors))

    # the binding redirects C++'s streams into Python's around every call, has_etdump's as execute's: that takes 1.9 us
    return LoadedProgram(method.method_meta(), bind, put, method.call, program.has_etdump, (program, method))


def _by_runtime(source: str | bytes) -> LoadedProgram:
    """The same through what is public."""
    from executorch.runtime import Runtime

    program = Runtime.get().load_program(Path(source) if isinstance(source, str) else source)
    method = program.load_method("forward")
    if method is None:
        raise RuntimeError("the program has no method named forward")

    def bind(tensors: Sequence[Any]) -> Callable[[], object]:
        return partial(method.execute, list(tensors))

    def put(_tensors: Sequence[Any]) -> None:
        """Each call takes the tensors anew."""

    idle = partial(getattr, method, "metadata")
    return LoadedProgram(method.metadata, bind, put, method.execute, idle, (program, method))


@functools.cache
def partitioner() -> type[Any]:
    """Give XNNPACK's partitioner without its advice against to_backend.

    For that advice it reads the source of every function on the stack. The other way, to_edge_transform_and_lower,
    gives the same program and decomposes it three times. A version without the check has nothing to leave out.
    """
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner

    class Partitioner(XnnpackPartitioner):  # type: ignore[misc]
        def _check_if_called_from_to_backend(self) -> bool:
            return False

    return Partitioner


def edge_config(preserved: Iterable[Any]) -> Any:
    """Give the settings of to_edge: these operators are kept whole.

    The program is not searched for what should not be in it, where this version lets one leave that out: each search
    takes as long as a pass, and what comes out is run and compared with torch anyway.
    """
    from executorch.exir import EdgeCompileConfig

    check = "_check_ir_validity"
    unchecked = {check: False} if check in {field.name for field in fields(EdgeCompileConfig)} else {}
    return EdgeCompileConfig(preserve_ops=list(preserved), **unchecked)
