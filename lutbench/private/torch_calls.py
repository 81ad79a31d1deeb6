"""The private names of torch that lutbench uses outside of exports, all of them. Written for torch 2.13."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils import _pytree, data


def empty_quint8(shape: Sequence[int], scale: float, zero_point: int, layout: torch.memory_format) -> Tensor:
    """Make an unsigned 8-bit tensor of any content, whose memory lies in the given layout.

    Without the private call the tensor is made from zeros in float, which takes five times the memory for a moment.
    """
    make = getattr(torch, "_empty_affine_quantized", None)
    if make is None:
        zeros = torch.zeros(tuple(shape))
        return torch.quantize_per_tensor(zeros, scale, zero_point, torch.quint8).contiguous(memory_format=layout)
    made = make(list(shape), scale=scale, zero_point=zero_point, dtype=torch.quint8, memory_format=layout)
    return cast(Tensor, made)


def laid_out_anew(value: Tensor, layout: torch.memory_format) -> Tensor:
    """Copy a float tensor into the given layout by one operator, which every exporter takes as it stands."""
    copy = getattr(torch.ops.aten, "_to_copy", None)
    if copy is None:
        return value.contiguous(memory_format=layout)
    return cast(Tensor, copy.default(value, dtype=torch.float32, memory_format=layout))


def asked_of_torch(run: Callable[[], Tensor]) -> tuple[Tensor, list[str]]:
    """What run gives, and each of torch's operators that it asks for, with the shapes and numbers that these get.

    A version without the private class tells of none: what is compared by them is then not told apart.
    """
    try:
        from torch.utils._python_dispatch import TorchDispatchMode
    except ImportError:
        return run(), []
    asked: list[str] = []

    class Recording(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            del types
            told = _pytree.tree_map(
                lambda one: tuple(one.shape) if isinstance(one, Tensor) else one, (args, kwargs or {})
            )
            asked.append(f"{func} {told}")
            return func(*args, **(kwargs or {}))

    with Recording():  # type: ignore[no-untyped-call]
        return run(), asked


def compiler_errors() -> tuple[type[Exception], ...]:
    """List the exceptions that torch.compile raises of its own; none where this version keeps them elsewhere.

    A failure of the compiler then ends in torch's own words, as any other error of torch does.
    """
    try:
        from torch._dynamo import exc
    except ImportError:
        return ()
    found: Any = getattr(exc, "TorchDynamoException", None)
    return () if found is None else (found,)


def iterated(loader: data.DataLoader[Any]) -> Iterator[Any]:
    """Iterate over a loader; a worker that dies while the iterator is made leaves nothing behind but the error.

    torch raises that error wherever its parent is. Raised within the iterator's own constructor it leaves one without
    the attribute that its destructor reads, of which Python prints a traceback; here the attribute is there at first.
    Raised while the first batches are asked for, which starts a thread for each worker, it leaves Python's list of
    threads broken, of which that thread prints a traceback; here it waits until the threads run.
    A version without the private class prints these tracebacks again.
    """
    made: Any = getattr(data.dataloader, "_MultiProcessingDataLoaderIter", None)
    if made is None or not loader.num_workers:
        return iter(loader)

    class Destructible(made):  # type: ignore[misc]
        def __init__(self, loader: data.DataLoader[Any]) -> None:
            self._workers_status = [True] * loader.num_workers
            try:
                super().__init__(loader)
            except RuntimeError:
                _forget_workers(self)
                raise

        def _reset(self, loader: data.DataLoader[Any], first_iter: bool = False) -> None:
            with _children_told_later():
                super()._reset(loader, first_iter)

    return cast(Iterator[Any], Destructible(loader))


def _forget_workers(iterator: Any) -> None:
    """Takes back that torch watches the workers of an iterator that was never made: the next one may get its address,
    by which torch knows them, and would be refused."""
    utils: Any = getattr(data.dataloader, "_utils", None)
    forget: Any = getattr(getattr(utils, "signal_handling", None), "_remove_worker_pids", None)
    if forget is not None and not getattr(iterator, "_worker_pids_set", True):
        with contextlib.suppress(ValueError):  # they were not watched yet
            forget(id(iterator))


@contextlib.contextmanager
def _children_told_later() -> Iterator[None]:
    """Hold back what a child's end makes this process do until the block is left."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGCHLD"):
        yield  # signals are handled in the main thread, and Windows has none of this kind
        return
    ended: list[FrameType | None] = []
    before = signal.signal(signal.SIGCHLD, lambda _number, frame: ended.append(frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL if before is None else before)
    if ended and callable(before):
        before(signal.SIGCHLD, ended[-1])
