"""Nets scored beside each other: processes that hold one supernet, each scoring a net at a time.

A net's score depends on the net alone, so it is the same to the last bit whichever process gives it, and whatever else
is scored; only which nets are scored in what order is decided elsewhere. The processes are copies of this one (fork):
supernet and images are in memory once, and none takes longer to start than a part of a score.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import TypeVar

import torch

from lutbench.children import Child
from lutbench.closing import Closing
from lutbench.errors import LutbenchError, TrainingError
from lutbench.search.hardware import SMALL_MAPS, Hardware
from lutbench.search.scores import Scores
from lutbench.search.train import Score
from lutbench.space.decisions import choice_positions
from lutbench.space.net import Net

T = TypeVar("T")
Judge = Callable[[tuple[int, ...]], Score]  # of a net, as positions
MOST_PROCESSES = 16
_NETS_EACH = 10  # fewer are scored before another process would have helped
_MOST_JOBS = 32  # at a time: finders, which mostly wait for scores


def processes_for(hardware: Hardware, threads: int | None, resolution: int, nets: int) -> int:
    """The number of processes that are to score so many nets; 1: this one alone.

    Small images on a CPU: as many as threads, None for one a core, of one thread each. Larger ones fill the cores with
    the threads of one process, and other systems than Linux do not copy a process that has threads.
    """
    if hardware.device.type != "cpu" or hardware.processes > 1 or resolution > SMALL_MAPS or sys.platform != "linux":
        return 1
    cores = len(os.sched_getaffinity(0))
    return max(1, min(threads or cores, cores, MOST_PROCESSES, nets // _NETS_EACH))


class Scorers(Closing):
    """Processes that score nets; scores that are kept already are taken from there, and new ones are kept.

    judge: what every process is to compute.
    """

    def __init__(self, size: int, judge: Judge, kept: Scores) -> None:
        self._kept, self._lock = kept, threading.Lock()
        self._asked: dict[str, Future[Score]] = {}
        self._children: list[Child] = []
        self._idle: queue.SimpleQueue[Child] = queue.SimpleQueue()
        try:
            for _ in range(size):
                self._children.append(Child(_serve, judge, method="fork"))
                self._idle.put(self._children[-1])
        except BaseException:
            self._kill()
            raise
        self._threads = ThreadPoolExecutor(size)  # each waits for one child at a time

    def close(self) -> None:
        self._kill()
        self._threads.shutdown(cancel_futures=True)

    def _kill(self) -> None:
        for child in self._children:
            child.kill()
        self._children.clear()

    def score_all(self, nets: Sequence[Net]) -> Iterator[Score]:
        """Each net's score, in their order; a net that another thread asks for at the same time is scored once."""
        with self._lock:
            wanted = [self._future(net) for net in nets]
        for future in wanted:
            yield future.result()

    def together(self, jobs: Sequence[Callable[[], T]]) -> list[T]:
        """What each of the jobs returns, in their order; they run beside each other, and ask for scores."""
        with ThreadPoolExecutor(min(len(jobs), _MOST_JOBS)) as threads:
            futures = [threads.submit(job) for job in jobs]
            try:
                return [future.result() for future in futures]
            except BaseException:
                self.close()  # nobody waits for a score any more
                for future in futures:
                    future.cancel()
                raise

    def _future(self, net: Net) -> Future[Score]:
        text = net.candidates_text
        known = self._kept.get(text)
        if known is not None:
            done: Future[Score] = Future()
            done.set_result(known)
            return done
        if text not in self._asked:
            self._asked[text] = self._threads.submit(self._ask, net)
        return self._asked[text]

    def _ask(self, net: Net) -> Score:
        child = self._idle.get()
        try:
            child.connection.send(choice_positions(net))
            found: Score | LutbenchError = child.connection.recv()
        except (EOFError, OSError):
            raise TrainingError(
                f"a process that scores nets died ({child.death()})",
                remedy="the same command goes on with those that were scored; --threads 1 takes the least memory",
            ) from None
        finally:
            self._idle.put(child)
        if isinstance(found, LutbenchError):
            raise found
        with self._lock:
            self._kept.keep(net.candidates_text, found)
        return found


def _serve(connection: Connection, judge: Judge) -> None:
    """What a process does until it is killed."""
    torch.set_num_threads(1)  # also: a copy of a process has none of the threads that it had
    while True:
        positions = connection.recv()
        try:
            found: Score | LutbenchError = judge(positions)
        except LutbenchError as error:
            found = error
        connection.send(found)
