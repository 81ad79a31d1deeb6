"""The words between the protocol and a device: cycles to run, samples that come back, and the protocol's settings."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Canary:
    """A short artifact invoked beside samples, to tell whether the device was quiet when they were taken.

    name: samples name it; two canaries may share an artifact, and each has a reference of its own.
    invocations: in a row; the fastest counts.
    limit: how far above its own reference it still counts as quiet.
    quiet_below_ns: that as a time, or 0 while there is no reference yet.
    """

    name: str
    artifact: str
    invocations: int
    limit: float
    quiet_below_ns: int = 0


@dataclass(frozen=True)
class Cycle:
    """Artifacts to invoke one after the other, again and again: warmup times untimed, then repeats times timed.

    A cycle of one artifact is a hot loop. In a longer one every invocation follows those of the others, so weights
    and code are as cold, and inputs as warm, as between a net's own layers.

    depth: how many others, the context depth.
    canary: name of the canary that stands beside its samples.
    """

    artifacts: tuple[str, ...]
    depth: int
    warmup: int
    repeats: int
    canary: str

    def __post_init__(self) -> None:
        if not self.artifacts or self.repeats < 1 or self.warmup < 0:
            raise ValueError(f"not a cycle: {self}")


@dataclass(frozen=True)
class Batch:
    """Cycles to run in order, each with its canary beside every sample.

    Before a cycle the agent waits until the cycle's canary is quiet, but not much longer than patience times what it
    has spent on the batch's cycles so far; then it measures anyway.
    """

    cycles: tuple[Cycle, ...]
    canaries: tuple[Canary, ...]
    patience: float = 0.0


@dataclass(frozen=True)
class Samples:
    """One artifact's timed invocations in one cycle, in order, integer nanoseconds each.

    canary: its name.
    canary_ns: for each sample the slower of the canary just before and just after.
    """

    artifact: str
    depth: int
    canary: str
    durations_ns: tuple[int, ...]
    canary_ns: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.durations_ns) != len(self.canary_ns):
            raise ValueError(f"{self.artifact}: {len(self.durations_ns)} samples, {len(self.canary_ns)} canaries")
        if not self.durations_ns or min(*self.durations_ns, *self.canary_ns) <= 0:
            raise ValueError(f"{self.artifact}: a sample is not a positive number of nanoseconds")


@dataclass(frozen=True)
class Failure:
    """An artifact that the device's runtime could not load or run, and why."""

    artifact: str
    reason: str


@dataclass(frozen=True)
class Spent:
    """Time inside the runtime's own calls for one batch: timed, warm-up and context invocations, nanoseconds."""

    runtime_ns: int


Outcome = Samples | Failure | Spent


MOST_ROUNDS_OF_NETS = 150  # that are timed for themselves


@dataclass(frozen=True)
class Protocol:
    """The rules by which operators and nets are timed.

    target: half-width of the 95 % interval of the median, over the median, at which an operator is done.
    max_rounds: visits after which it is done in any case: from some 64 on rows of two runs agree no better.
    slice_us: an operator's timed invocations in one round last about this long; short operators get more repeats.
    net_warmup, net_warmup_most, net_warm_us: a net's untimed invocations in a round: so many at least and at most, and
        in between as many as last so long. A small net takes 10 % longer in its third invocation than in its tenth.
    compute_limit, memory_limit: how far a canary in the core's own caches, and one beyond them, may stand above its
    reference before the samples beside it do not count.
    patience: how long a batch may wait for the device to be quiet, over the time it spends on its cycles.
    """

    target: float = 0.01
    min_rounds: int = 12
    max_rounds: int = 64
    warmup: int = 1
    min_repeats: int = 3
    max_repeats: int = 30
    slice_us: float = 300.0
    net_warmup: int = 2
    net_warmup_most: int = 8
    net_warm_us: float = 12_000.0
    net_repeats: int = 2
    compute_limit: float = 0.04
    memory_limit: float = 0.15
    patience: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.target < 1:
            raise ValueError(f"target {self.target} is not between 0 and 1")
        if not 1 <= self.min_rounds <= self.max_rounds:
            raise ValueError(f"min_rounds {self.min_rounds} and max_rounds {self.max_rounds} contradict each other")

    def repeats(self, latency_us: float | None) -> int:
        """Timed invocations per round of something that takes about latency_us; None where that is not known yet."""
        if latency_us is None:
            return self.min_repeats
        return max(self.min_repeats, min(self.max_repeats, round(self.slice_us / max(latency_us, 1e-3))))

    def net_visit(self, latency_us: float | None) -> tuple[int, int]:
        """Warm-up and timed invocations, in a round, of a net that takes about latency_us; None: not known yet.

        What is not known may be small, and such a visit counts like any other.
        """
        if latency_us is None:
            return self.net_warmup_most, self.net_repeats
        until_warm = math.ceil(self.net_warm_us / max(latency_us, 1e-3))
        return max(self.net_warmup, min(self.net_warmup_most, until_warm)), self.net_repeats
