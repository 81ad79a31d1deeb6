"""What is private of torch and the public calls in its place give the same."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
from pathlib import Path

import pytest
import torch
from torch.utils import data

from lutbench.errors import TrainingError
from lutbench.private.torch_calls import compiler_errors, empty_quint8, iterated, laid_out_anew
from lutbench.search.stops import stops_explained
from tests.conftest import LeftBehind

SHAPE = (1, 4, 3, 5)


@pytest.fixture(params=["private", "public"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With torch's private names, and in a version that has them no more."""
    if request.param == "public":
        monkeypatch.delattr(torch, "_empty_affine_quantized")
        monkeypatch.setattr(torch.ops, "aten", object())
        monkeypatch.setitem(sys.modules, "torch._dynamo", None)
        monkeypatch.delattr(data.dataloader, "_MultiProcessingDataLoaderIter")
    return str(request.param)


def test_the_version_installed_has_what_is_reached_into() -> None:
    assert hasattr(torch, "_empty_affine_quantized") and hasattr(torch.ops.aten, "_to_copy")
    assert hasattr(data.dataloader, "_MultiProcessingDataLoaderIter")
    assert [error.__name__ for error in compiler_errors()] == ["TorchDynamoException"]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_quantised_tensor_has_its_scale_and_its_layout(way: str, layout: torch.memory_format) -> None:
    made = empty_quint8(SHAPE, 0.5, 3, layout)
    assert (made.shape, made.dtype, made.q_scale(), made.q_zero_point()) == (SHAPE, torch.quint8, 0.5, 3), way
    assert made.is_contiguous(memory_format=layout)


def test_a_tensor_laid_out_anew_holds_the_same_numbers(way: str) -> None:
    value = torch.randn(SHAPE)
    anew = laid_out_anew(value, torch.channels_last)
    assert torch.equal(anew, value) and anew.is_contiguous(memory_format=torch.channels_last), way


def test_a_failure_of_the_compiler_is_explained_where_its_kind_is_known(way: str, tmp_path: Path) -> None:
    from torch._dynamo.exc import Unsupported

    error = Unsupported("no such thing", case_name="x")
    with pytest.raises(TrainingError if way == "private" else Unsupported), stops_explained(tmp_path, 1, ""):
        raise error


def test_a_loader_is_iterated_as_by_itself(way: str) -> None:
    for workers in (0, 2) if way == "private" else (0,):  # torch itself starts workers by the private class only
        loader = data.DataLoader(range(7), batch_size=3, num_workers=workers)  # type: ignore[arg-type]
        assert [batch.tolist() for batch in iterated(loader)] == [[0, 1, 2], [3, 4, 5], [6]]


def test_a_worker_that_dies_while_its_iterator_is_made_leaves_only_the_error(
    monkeypatch: pytest.MonkeyPatch, left_behind: LeftBehind
) -> None:
    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)

    def handled() -> None:
        raise RuntimeError("DataLoader worker (pid(s) 1) exited unexpectedly")

    signals = data.dataloader._utils.signal_handling
    watch, watched = signals._set_worker_pids, []
    monkeypatch.setattr(signals, "_set_worker_pids", lambda key, pids: (watched.append(key), watch(key, pids)))
    monkeypatch.setattr(signals, "_set_SIGCHLD_handler", handled)
    with pytest.raises(RuntimeError, match="exited unexpectedly"):
        iterated(data.DataLoader(range(7), num_workers=2))  # type: ignore[arg-type]
    gc.collect()
    assert unraisable == [] and not left_behind()
    for key in watched:  # the next iterator may have this one's address
        with pytest.raises(ValueError, match="Cannot find worker information"):
            signals._remove_worker_pids(key)
    assert watched


@pytest.mark.skipif(sys.platform == "win32", reason="Windows tells no parent of its children's end")
def test_a_worker_that_dies_while_its_queue_gets_a_thread_is_told_after_that(
    monkeypatch: pytest.MonkeyPatch, left_behind: LeftBehind
) -> None:
    """Raised within a thread's start, the error leaves Python's list of threads broken: a traceback of that thread."""
    start = threading.Thread.start
    within: list[RuntimeError | None] = []

    def starting(thread: threading.Thread) -> None:
        try:
            for worker in multiprocessing.active_children():
                os.kill(worker.pid or 0, signal.SIGKILL)
                os.waitid(os.P_PID, worker.pid or 0, os.WEXITED | os.WNOWAIT)
            start(thread)
        except RuntimeError as error:
            within.append(error)
            raise
        within.append(None)

    monkeypatch.setattr(threading.Thread, "start", starting)
    with pytest.raises(RuntimeError, match=r"^DataLoader worker"):
        list(iterated(data.DataLoader(range(7), num_workers=2)))  # type: ignore[arg-type]
    gc.collect()
    assert within and not any(within) and not left_behind()
