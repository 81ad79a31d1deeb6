"""What makes ExecuTorch's lowering take half its time, and changes nothing of what comes out.

Its passes trace the whole program again each, 30 times for a net. Profiled, most of that is: passes that have nothing
to do in this program, checks between them, copies of each node's history, lists of operators made anew. What comes out
is the same bytes, and is run and compared with torch anyway.

None of it is public. Written for ExecuTorch 1.5 with torch 2.13: each remedy looks for what it replaces, and leaves it
alone where another version has it no more; exports then are right, but slower. They are put in place in export workers
alone (`allow`), never in a process that is the user's. A test compares what comes out with and without.
"""

from __future__ import annotations

import functools
import gc
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

Nodes = Sequence[Any]
_EXIR = "executorch.exir.passes"
_XNNPACK = "executorch.backends.xnnpack._passes"


def _has(*parts: str) -> Callable[[Nodes], bool]:
    """Whether an operator's name has one of these in it."""
    return lambda nodes: any(part in node.target.__name__ for node in nodes for part in parts)


def _has_view(nodes: Nodes) -> bool:
    return any(getattr(node.target, "is_view", False) or "_unsafe_view" in node.target.__name__ for node in nodes)


def _has_scalar(nodes: Nodes) -> bool:
    """Whether a number stands where an operator takes a tensor."""
    return any(
        isinstance(argument, (int, float)) and "Tensor" in str(expected.type)
        for node in nodes
        for argument, expected in zip(node.args, node.target._schema.arguments, strict=False)
    )


def _has_symbol(nodes: Nodes) -> bool:
    return any(type(node.meta.get("val")).__name__.startswith("Sym") for node in nodes)


def _has_mixed_types(nodes: Nodes) -> bool:
    """Whether an arithmetic operator has inputs of several types, or one that is no tensor."""
    arithmetic = [node for node in nodes if _has("add", "mul", "sub", "div", "minimum")([node])]
    return any(
        len({given.meta["val"].dtype for given in node.all_input_nodes}) != 1 or len(node.all_input_nodes) != 2
        for node in arithmetic
    )


def _has_other_convolution(nodes: Nodes) -> bool:
    return any("convolution" in node.target.__name__ and node.meta["val"].dim() != 4 for node in nodes)


# A pass -> whether it has anything to do, by the operators' nodes. Those not listed always run.
_PASSES: dict[str, Callable[[Nodes], bool]] = {
    "torch._export.passes:ReplaceViewOpsWithViewCopyOpsPass": _has_view,
    f"{_EXIR}:ReplaceBrokenOpsWithFunctionalOpsPass": _has_view,
    f"{_EXIR}.scalar_to_tensor_pass:ScalarToTensorPass": _has_scalar,
    f"{_EXIR}:SymToTensorPass": _has_symbol,
    f"{_EXIR}.remove_mixed_type_operators:RemoveMixedTypeOperators": _has_mixed_types,
    f"{_EXIR}:MemoryFormatOpsPass": _has("copy", "empty", "clone"),
    f"{_EXIR}.memory_format_ops_pass:DimOrderOpsRevertPass": _has("dim_order"),
    f"{_EXIR}.const_prop_pass:ConstPropPass": lambda nodes: any(not node.all_input_nodes for node in nodes),
    f"{_XNNPACK}:XNNPACKRemoveCloneOpsTransform": _has("clone"),
    f"{_XNNPACK}:ConvertToUpsampleBilinear2d": _has("index", "upsample"),
    f"{_XNNPACK}:ConvertToLinearPass": _has("mm"),
    f"{_XNNPACK}:ConvertToSDPAPass": _has("softmax", "attention"),
    f"{_XNNPACK}:PropagateCustomMetaPass": lambda nodes: any("custom" in node.meta for node in nodes),
    f"{_XNNPACK}:FuseBatchNormPass": _has("batch_norm"),
    f"{_XNNPACK}:DecomposeBatchNorm": _has("batch_norm"),
    f"{_XNNPACK}:FuseActivationPass": _has("relu", "hardtanh"),
    f"{_XNNPACK}:DecomposeConcatenate": _has("cat"),
    f"{_XNNPACK}:RemoveGetItemPass": _has("max"),
    f"{_XNNPACK}:InsertPadQDQPass": _has("pad"),
    f"{_XNNPACK}:Conv1dUnsqueezePass": _has_other_convolution,
    f"{_XNNPACK}:PReLUReshapePass": _has("prelu"),
    f"{_XNNPACK}:RemoveRedundantCopyPass": _has("copy"),
}


_allowed = False


def allow() -> None:
    """Called by an export worker, whose process is ours alone: only there are other packages' modules changed."""
    global _allowed
    _allowed = True


def speed_up() -> tuple[str, ...]:
    """Puts every remedy in place where that is allowed; what could not be, as notes for a person."""
    return _remedied() if _allowed else ()


@functools.cache
def _remedied() -> tuple[str, ...]:
    """Once a process."""
    missing = [name for name, remedy in _remedies().items() if not _applied(remedy)]
    gc.freeze()  # torch's and ExecuTorch's own modules and operators are there to stay: no collection walks them again
    if not missing:
        return ()
    return (f"this version of ExecuTorch or torch has no {', '.join(missing)}: exports are right, but slower",)


_EXPORTS_PER_COLLECTION = 8
_exports = itertools.count(1)


@contextmanager
def without_collector() -> Iterator[None]:
    """Graphs are cycles by the million; the collector walks them all again and again. It runs after some exports.

    It takes 0.8 s after a net, and less than 0.2 GB are left for it to free.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        if next(_exports) % _EXPORTS_PER_COLLECTION == 0:
            gc.collect()


@contextmanager
def _code_when_called() -> Iterator[None]:
    """Graphs are interpreted here, not called: a graph's Python code is generated when it is called after all."""
    from torch.fx import GraphModule

    generate = GraphModule.recompile

    def generate_and_run(self: Any, *arguments: Any, **named: Any) -> Any:
        generate(self)
        return self.forward(*arguments, **named)

    def later(self: Any) -> None:
        type(self).forward = generate_and_run
        self._code = ""  # what is written to logs
        information = getattr(self._graph._codegen, "pytree_info", None)
        if information is not None:
            self._in_spec, self._out_spec = information.in_spec, information.out_spec

    GraphModule.recompile = later  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        GraphModule.recompile = generate  # type: ignore[method-assign]


def _remedies() -> dict[str, Callable[[], None]]:
    skipping = {path: functools.partial(_skip_when_idle, path, has_work) for path, has_work in _PASSES.items()}
    lists = "torch._export.utils:_collect_all_valid_cia_ops_for_namespace"
    history = "torch.fx.traceback:NodeSource"
    manager = "executorch.exir.pass_manager:ExportedProgramPassManager"
    program = "executorch.exir.program._program"
    interpreted = [
        f"{program}:{name}"
        for name in ("_generate_edge_program", "EdgeProgramManager.to_backend", "EdgeProgramManager.to_executorch")
    ]
    return {
        **{path: functools.partial(_generate_no_code, path) for path in interpreted},
        lists: functools.partial(_remember_results, lists),
        history: functools.partial(_share_history, history),
        manager: functools.partial(_leave_out_checks, manager),
        **skipping,
    }


def _applied(remedy: Callable[[], None]) -> bool:
    try:
        remedy()
    except (ImportError, AttributeError):
        return False
    return True


def _find(path: str) -> tuple[Any, str]:
    """module:name or module:Class.name -> what holds the name, and the name; ImportError or AttributeError for none."""
    module_name, names = path.split(":")
    *outer, name = names.split(".")
    holder: Any = functools.reduce(getattr, outer, import_module(module_name))
    getattr(holder, name)
    return holder, name


def _remember_results(path: str) -> None:
    """torch lists the operators of every namespace anew at each decomposition."""
    module, name = _find(path)
    setattr(module, name, functools.cache(getattr(module, name)))


def _share_history(path: str) -> None:
    """torch copies, for each node at each pass, from which nodes of all earlier passes it came; once made it stays.

    The lowering numbers nodes by the oldest of these, and writes the numbers into the program.
    """
    module, name = _find(path)
    source = getattr(module, name)
    made = source.__init__

    def with_shared_history(self: Any, node: Any, *arguments: Any, **named: Any) -> None:
        made(self, None, *arguments, **named)
        if node:
            self.node_info = self.NodeInfo(name=node.name, target=str(node.target), graph_id=id(node.graph))
            self.from_node = list(node.meta.get("from_node", ()))

    source.__init__ = with_shared_history


def _generate_no_code(path: str) -> None:
    holder, name = _find(path)
    setattr(holder, name, _code_when_called()(getattr(holder, name)))


def _leave_out_checks(path: str) -> None:
    """ExecuTorch generates a program's Python code, and looks for what should not be in it, before and after a pass."""
    module, name = _find(path)
    kind = getattr(module, name)
    kind.check  # noqa: B018 - not there: nothing to leave out
    kind.check = lambda _self, _program: None


def _skip_when_idle(path: str, has_work: Callable[[Nodes], bool]) -> None:
    from torch.fx.passes.infra.pass_base import PassResult

    module, name = _find(path)
    kind = getattr(module, name)
    work = kind.call

    def call(self: Any, graph_module: Any) -> Any:
        nodes = [node for node in graph_module.graph.nodes if hasattr(node.target, "_schema")]  # but for getitem
        return work(self, graph_module) if has_work(nodes) else PassResult(graph_module, False)

    kind.call = call
