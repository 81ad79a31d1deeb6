"""What makes ExecuTorch's lowering take a third of its time, and changes nothing of what comes out.

Its passes trace the whole program again each, 30 times for a net. Profiled, most of that is: passes that have nothing
to do in this program, copies of each node's history, lists of operators made anew. None of it is public, so each
remedy looks for what it replaces and leaves it alone where another version has it no more: exports then are right, but
slower. A test compares what comes out with and without.
"""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

Nodes = Sequence[Any]


def _has(*parts: str) -> Callable[[Nodes], bool]:
    """Whether an operator's name has one of these in it."""
    return lambda nodes: any(part in node.target.__name__ for node in nodes for part in parts)


# A pass of XNNPACK's lowering -> whether it has anything to do, by the operators' nodes. What is not here always runs.
_PASSES: dict[str, Callable[[Nodes], bool]] = {
    "XNNPACKRemoveCloneOpsTransform": _has("clone", "copy", "alias"),
    "DimOrderOpsRevertPass": _has("dim_order"),
    "ConvertToUpsampleBilinear2d": _has("index", "upsample"),
    "ConvertToLinearPass": _has("mm"),
    "ConvertToSDPAPass": _has("softmax", "attention"),
    "PropagateCustomMetaPass": lambda nodes: any("custom" in node.meta for node in nodes),
    "ConstPropPass": lambda nodes: any(not node.all_input_nodes for node in nodes),
    "FuseBatchNormPass": _has("batch_norm"),
    "DecomposeBatchNorm": _has("batch_norm"),
    "FuseActivationPass": _has("relu", "hardtanh", "clamp"),
    "DecomposeConcatenate": _has("cat"),
    "RemoveGetItemPass": _has("max", "min", "topk"),
    "InsertPadQDQPass": _has("pad"),
    "Conv1dUnsqueezePass": lambda nodes: any(
        "batch_norm" in node.target.__name__ or ("convolution" in node.target.__name__ and node.meta["val"].dim() != 4)
        for node in nodes
    ),
    "PReLUReshapePass": _has("prelu"),
}


@functools.cache
def speed_up() -> tuple[str, ...]:
    """Puts every remedy in place, once a process; what could not be, as notes for a person."""
    missing = [name for name, remedy in _REMEDIES.items() if not _applied(remedy)]
    if not missing:
        return ()
    return (f"this version of ExecuTorch or torch has no {', '.join(missing)}: exports are right, but slower",)


@contextmanager
def without_collector() -> Iterator[None]:
    """Graphs are cycles by the million; the collector walks them all again and again. It runs once at the end."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.collect()


def _applied(remedy: Callable[[], None]) -> bool:
    try:
        remedy()
    except (ImportError, AttributeError):
        return False
    return True


def _list_operators_once() -> None:
    """torch lists the operators of every namespace anew at each decomposition."""
    module = import_module("torch._export.utils")
    name = "_collect_all_valid_cia_ops_for_namespace"
    setattr(module, name, functools.cache(getattr(module, name)))


def _keep_no_history() -> None:
    """torch copies, for each node at each pass, from which nodes of all earlier passes it came."""
    source = import_module("torch.fx.traceback").NodeSource
    made = source.__init__

    def without_history(self: Any, node: Any, *arguments: Any, **named: Any) -> None:
        made(self, None, *arguments, **named)
        del node

    source.__init__ = without_history


def _skip_idle_passes() -> None:
    module: Any = import_module("executorch.backends.xnnpack.xnnpack_preprocess")
    manager: Any = module.XNNPACKPassManager

    class Selective(manager):  # type: ignore[misc]
        """The same passes, without those that find nothing to do."""

        def __init__(self, exported_program: Any, passes: Any = None) -> None:
            super().__init__(exported_program, passes)
            nodes = [node for node in exported_program.graph.nodes if node.op == "call_function"]
            self.passes: list[Any] = [each for each in self.passes if _PASSES.get(each.__name__, _always)(nodes)]

    module.XNNPACKPassManager = Selective


def _always(nodes: Nodes) -> bool:
    del nodes
    return True


_REMEDIES: dict[str, Callable[[], None]] = {
    "_collect_all_valid_cia_ops_for_namespace": _list_operators_once,
    "NodeSource": _keep_no_history,
    "XNNPACKPassManager": _skip_idle_passes,
}
