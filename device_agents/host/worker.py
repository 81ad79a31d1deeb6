"""The worker process: loads artifacts, runs cycles, answers in JSON lines (lutbench.device_agents.host.worker).

A process of its own, so that a runtime that crashes or hangs takes only itself along, the thread that measures shares
nothing with the one that draws progress, and threads and affinity are set before the runtime starts.

Requests, one JSON object a line on standard input; answers on standard output:

    {"load": NAME, "path": PATH, of a user's model "use": {"shapes": {INPUT: SIZES}, "values": {INPUT: PATH},
     "dimensions": {NAME: SIZE}}}  -> {"loaded": NAME, "first_ns": of its first run} or {"failed": NAME, "reason": TEXT}
    {"measure": [[[NAME, ...], warmup, repeats, CANARY], ...], "canaries": {CANARY: [NAME, invocations,
     quiet_below_ns]}, "patience": SHARE}
        -> for each cycle {"cycle": i, "ns": [[...] per name], "canary_ns": [...]}
           or {"cycle": i, "failed": NAME, "reason": TEXT}; then {"runtime_ns": N}
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable
from functools import partial
from statistics import median_low
from time import monotonic, perf_counter_ns
from typing import Any, TextIO

from lutbench.children import end_with_pipe
from lutbench.device_agents.host.engine import Engine, Given, Loaded, reason_of
from lutbench.device_agents.host.engines import ENGINES

Answer = dict[str, Any]
Reading = tuple[Answer, int]  # a cycle's samples, and the canary after it

CANARY_EVERY_NS = 1_000_000
LEAST_WAIT_S = 0.25  # of a batch, however little work it is: a disturbance often lasts that long


def pin(threads: int) -> list[int]:
    """Keeps this process on the last `threads` cores it may use; the cores, or [] where the system does not let it."""
    try:
        cores = sorted(os.sched_getaffinity(0))[-threads:]
        os.sched_setaffinity(0, cores)
        return sorted(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return []


def preemptions() -> int:
    """Counts how often the system has taken the core from this thread; 0 where it does not say."""
    try:
        import resource

        return resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw
    except (ImportError, AttributeError):
        return 0


class Worker:
    """One runtime and the artifacts loaded into it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._loaded: dict[str, Loaded] = {}
        self._spent_ns = 0
        self._running = ""

    def load(self, name: str, path: str, use: Answer | None = None) -> Answer:
        try:
            given = use and Given({n: tuple(s) for n, s in use["shapes"].items()}, use["values"], use["dimensions"])
            loaded = self._engine.load(name, path, given or None)
            loaded.rewrite_input()
            start = perf_counter_ns()
            loaded.invoke()  # the first run plans memory; a refusal shows here, not in a round
            first_ns = perf_counter_ns() - start
        except Exception as error:  # noqa: BLE001 - a runtime's own exception types are not public
            return {"failed": name, "reason": reason_of(error)}
        self._loaded[name] = loaded
        return {"loaded": name, "first_ns": first_ns}

    def canary(self, name: str, invocations: int) -> int:
        """Nanoseconds of a canary: the fastest of its invocations."""
        self._running = name
        invoke = self._loaded[name].invoke
        fastest = 0
        for _ in range(invocations):
            start = perf_counter_ns()
            invoke()
            duration = perf_counter_ns() - start
            self._spent_ns += duration
            fastest = min(fastest or duration, duration)
        return fastest

    def cycle(self, names: list[str], warmup: int, repeats: int, canary: Callable[[], int], before: int) -> Reading:
        """One cycle.

        before: the canary just before it; returns the samples and the canary just after it.

        What an idle call through the binding takes, the median of one a turn, is taken off every sample: a program
        without Python has no such part (docs/reference/runner.md: figures).

        The canary also runs between two turns wherever CANARY_EVERY_NS have passed since it last did. It does not see
        that the core was taken away in the midst of a whole net: the reading of a turn in which that happened is raised
        by the time the turn took.
        """
        steps = [(name, self._loaded[name].invoke, self._loaded[name].rewrite_input) for name in names]
        durations: list[list[int]] = [[] for _ in names]
        idle = self._loaded[names[0]].idle
        idles: list[int] = []
        canaries: list[int] = []
        raised: list[int] = []
        clock = perf_counter_ns
        last = clock()
        for turn in range(warmup + repeats):
            taken, began = preemptions(), clock()
            for position, (name, invoke, rewrite_input) in enumerate(steps):
                self._running = name
                rewrite_input()
                start = clock()
                invoke()
                duration = clock() - start
                self._spent_ns += duration
                if turn >= warmup:
                    durations[position].append(duration)
            if turn >= warmup:
                rewrite_input()
                start = clock()
                idle()
                idles.append(clock() - start)
                raised.append(clock() - began if preemptions() > taken else 0)
            if turn == warmup + repeats - 1 or clock() - last > CANARY_EVERY_NS:
                after = canary()
                canaries += [max(before, after)] * (max(0, turn + 1 - warmup) - len(canaries))
                before, last = after, clock()
        readings = [reading + more for reading, more in zip(canaries, raised, strict=True)]
        binding_ns = median_low(idles)
        samples = [[max(1, duration - binding_ns) for duration in own] for own in durations]
        return {"ns": samples, "canary_ns": readings}, before

    def measure(self, request: Answer, out: TextIO) -> None:
        """Every cycle of a request, each once its canary is quiet or the time for waiting is used up."""
        self._spent_ns = 0
        worked_s = waited_s = 0.0
        current, before = "", 0
        for number, (names, warmup, repeats, label) in enumerate(request["measure"]):
            artifact, invocations, quiet_below_ns = request["canaries"][label]
            canary = partial(self.canary, artifact, invocations)
            try:
                if label != current:
                    current, before = label, canary()
                started = monotonic()
                limit_s = LEAST_WAIT_S + request["patience"] * worked_s - waited_s
                while quiet_below_ns and before > quiet_below_ns and monotonic() - started < limit_s:
                    before = canary()
                waited_s += monotonic() - started
                started = monotonic()
                answer, before = self.cycle(names, warmup, repeats, canary, before)
                worked_s += monotonic() - started
            except Exception as error:  # noqa: BLE001 - as above; the run goes on without this artifact
                answer = {"failed": self._running, "reason": reason_of(error)}
            _say(out, {"cycle": number, **answer})
        _say(out, {"runtime_ns": self._spent_ns})
        out.flush()


def _say(out: TextIO, answer: Answer) -> None:
    out.write(json.dumps(answer, separators=(",", ":")) + "\n")


def main() -> None:
    runtime, threads = sys.argv[1], int(sys.argv[2])
    end_with_pipe(int(sys.argv[3]))
    cores = pin(threads)
    out = os.fdopen(os.dup(1), "w", buffering=1 << 20)  # answers go out once a batch: no write between two cycles
    os.dup2(2, 1)  # what a runtime prints must not mix with the answers
    worker = Worker(ENGINES[runtime](threads))
    _say(out, {"ready": os.getpid(), "cores": cores})
    out.flush()
    gc.disable()  # no collection inside a timed region; what the loop makes is freed by reference counts
    for line in sys.stdin:
        request = json.loads(line)
        if "load" in request:
            _say(out, worker.load(request["load"], request["path"], request.get("use")))
            out.flush()
        else:
            worker.measure(request, out)


if __name__ == "__main__":
    main()
