"""Reads the runner's records: lines of JSON with a checksum each. docs/reference/runner.md lists them."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from lutbench.device_agents.host.engine import tidy
from lutbench.device_agents.runner.checksum import Checksum
from lutbench.errors import DeviceError
from lutbench.measure.protocol import Batch, Failure, Outcome, Samples, Spent
from lutbench.reading.json_text import plain_json


class CorruptRecordError(DeviceError):
    """A line that is not a record as the runner wrote it."""


@dataclass(frozen=True)
class Start:
    """The job began.

    runtime: name and version.
    cores: as read back after setting them.
    allowed: the cores that the process might use before that (Cpus_allowed); () in an older runner's records.
    """

    nonce: str
    runner: str
    runtime: str
    abi: str
    pid: int
    cores: tuple[int, ...]
    threads: int
    allowed: tuple[int, ...] = ()


@dataclass(frozen=True)
class Running:
    """An artifact is about to be loaded and run for the first time."""

    name: str


@dataclass(frozen=True)
class LoadedRecord:
    """An artifact is ready.

    first_ns: how long its first run took.
    output: where the job asked for a check.
    units: how many of its operations run on which unit; empty where there is but one, or the system does not tell.
    """

    name: str
    first_ns: int
    output: Checksum | None
    units: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class FailedRecord:
    """An artifact that the runtime refused, or failed to run in a cycle of that number."""

    name: str
    reason: str
    cycle: int | None


@dataclass(frozen=True)
class State:
    """Temperatures by thermal zone, thousandths of a degree Celsius; frequencies by core, kHz; at_ms since the start.

    What could not be read is absent.
    """

    at_ms: int
    temperature_mc: Mapping[str, int]
    khz: Mapping[str, int]


@dataclass(frozen=True)
class CycleRecord:
    """The samples of the job's cycle of that number: ns per name, and the canary's reading for each sample.

    before, after: the phone's state around it; None: as the records of the job had it last.
    clock_ns: what reading the clock took, already taken off the samples; None: an older runner, which did not.
    cores: those it ran on, as read back while it ran; empty where the system or an older runner does not say.
    """

    cycle: int
    ns: tuple[tuple[int, ...], ...]
    canary_ns: tuple[int, ...]
    before: State | None
    after: State | None
    clock_ns: int | None = None
    cores: tuple[int, ...] = ()


@dataclass(frozen=True)
class Fatal:
    """The job ended early.

    syscall: number of a system call that was refused.
    signal, running: what ended what.
    held: the device was not as it should be any more, as where it became hot; the same job may go on later.
    """

    reason: str
    syscall: int | None
    signal: int | None
    running: str | None
    held: bool = False


@dataclass(frozen=True)
class End:
    """The job ran to its end.

    records: number of lines before this one.
    wall_ns: from its beginning to its end.
    answered: system calls that were refused and that the runner did without, so far in its process.
    """

    nonce: str
    runtime_ns: int
    records: int
    wall_ns: int = 0
    answered: tuple[str, ...] = ()


_Kind = TypeVar("_Kind")
Record = Start | Running | LoadedRecord | FailedRecord | CycleRecord | Fatal | End


def parse_record(line: bytes) -> Record:
    """The record in a line (its line feed may be there or not); CorruptRecordError where it is none."""
    text, tab, written = line.removesuffix(b"\n").rpartition(b"\t")
    if not tab or written != b"%08x" % zlib.crc32(text):
        raise CorruptRecordError("a record is damaged: its checksum is another")
    try:
        entry = plain_json(text)
        if not isinstance(entry, dict):
            raise CorruptRecordError("a record is no JSON object")
        return _made(entry)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise CorruptRecordError(f"a record is not of this format: {type(error).__name__} {error}"[:200]) from error


@dataclass(frozen=True)
class Records:
    """What a result file holds so far.

    corrupt: lines that are damaged; a last line without its line feed is not one of them, but unfinished.
    """

    start: Start | None
    records: tuple[Record, ...]
    corrupt: int
    unfinished: bool
    fatal: Fatal | None = None
    end: End | None = None
    loaded: Mapping[str, LoadedRecord] = field(default_factory=dict)
    cycles: Mapping[int, CycleRecord] = field(default_factory=dict)
    failed: tuple[FailedRecord, ...] = ()

    def complete(self, nonce: str) -> bool:
        """Whether the job of that nonce ran to its end and no record of it is missing or damaged."""
        if self.start is None or self.end is None or self.corrupt or self.unfinished:
            return False
        return self.start.nonce == self.end.nonce == nonce and self.end.records == len(self.records) - 1

    @property
    def culprit(self) -> str:
        """The artifact at which a job without an end stopped; "" where that is not known."""
        if self.fatal is not None and self.fatal.running:
            return self.fatal.running
        last = next((record for record in reversed(self.records) if not isinstance(record, Fatal)), None)
        return last.name if isinstance(last, Running) else ""

    def outcomes(self, batch: Batch) -> Iterator[Outcome]:
        """What was measured of the batch that the job was made of, whether or not the job ran to its end.

        Cycles that are missing or damaged are left out. CorruptRecordError where a cycle is not the batch's.
        """
        for failure in self.failed:
            yield Failure(failure.name, failure.reason)
        for number, record in sorted(self.cycles.items()):
            yield from _samples(record, batch, number)
        if self.end is not None:
            yield Spent(self.end.runtime_ns)


def read_records(data: bytes) -> Records:
    """The records in a result file; damaged lines are counted, and never an error."""
    lines = data.split(b"\n")
    unfinished = bool(lines.pop())
    records: list[Record] = []
    corrupt = 0
    for line in lines:
        try:
            records.append(parse_record(line))
        except CorruptRecordError:
            corrupt += 1
    return Records(
        _first(records, Start),
        tuple(records),
        corrupt,
        unfinished,
        _first(records, Fatal),
        _first(records, End),
        {record.name: record for record in records if isinstance(record, LoadedRecord)},
        {record.cycle: record for record in records if isinstance(record, CycleRecord)},
        tuple(record for record in records if isinstance(record, FailedRecord)),
    )


def _first(records: list[Record], kind: type[_Kind]) -> _Kind | None:
    return next((record for record in records if isinstance(record, kind)), None)


def _samples(record: CycleRecord, batch: Batch, number: int) -> Iterator[Samples]:
    if number >= len(batch.cycles) or len(record.ns) != len(batch.cycles[number].artifacts):
        raise CorruptRecordError(f"cycle {number} is not one of the batch that was asked for")
    cycle = batch.cycles[number]
    if any(len(durations) != cycle.repeats for durations in record.ns):
        raise CorruptRecordError(f"cycle {number} has not {cycle.repeats} samples of each")
    for name, durations_ns in zip(cycle.artifacts, record.ns, strict=True):
        yield Samples(name, cycle.depth, cycle.canary, durations_ns, record.canary_ns)


def _made(entry: dict[str, Any]) -> Record:
    for key, make in _MAKERS.items():
        if key in entry:
            return make(entry)
    raise ValueError("of no known kind")


def _start(entry: dict[str, Any]) -> Start:
    return Start(
        _text(entry["start"]),
        _text(entry["runner"]),
        _text(entry["runtime"]),
        _text(entry["abi"]),
        _whole(entry["pid"]),
        tuple(_whole(core) for core in _list(entry["cores"])),
        _whole(entry["threads"]),
        tuple(_whole(core) for core in _list(entry.get("allowed", []))),
    )


def _loaded(entry: dict[str, Any]) -> LoadedRecord:
    output = _checksum(entry["output"]) if "output" in entry else None
    units = {_text(unit): _whole(count) for unit, count in entry.get("units", {}).items()}
    return LoadedRecord(_text(entry["loaded"]), _whole(entry["first_ns"]), output, units)


def _checksum(entry: dict[str, Any]) -> Checksum:
    numbers = tuple(_number(value) for value in _list(entry["sketch"]))
    size = _whole(entry["size"])
    return Checksum(_text(entry["sha256"]), size, _number(entry["mean"]), _number(entry["rms"]), numbers)


def _failed(entry: dict[str, Any]) -> FailedRecord:
    cycle = _whole(entry["cycle"]) if "cycle" in entry else None
    return FailedRecord(_text(entry["failed"]), tidy(_text(entry["reason"]))[:300], cycle)


def _cycle(entry: dict[str, Any]) -> CycleRecord:
    samples = tuple(_positives(durations) for durations in _list(entry["ns"]))
    canaries = _positives(entry["canary_ns"])
    if not samples or not canaries or any(len(durations) != len(canaries) for durations in samples):
        raise ValueError("a cycle's samples and canaries are not as many")
    cores = [_integer(core) for core in _list(entry.get("cores", []))]
    known = () if any(core < 0 for core in cores) else tuple(sorted(set(cores)))  # -1: the system does not say
    clock_ns = _whole(entry["clock_ns"]) if "clock_ns" in entry else None
    before, after = (_state(entry[key]) if key in entry else None for key in ("before", "after"))
    return CycleRecord(_whole(entry["cycle"]), samples, canaries, before, after, clock_ns, known)


def _end(entry: dict[str, Any]) -> End:
    return End(
        _text(entry["end"]),
        _whole(entry["runtime_ns"]),
        _whole(entry["records"]),
        _whole(entry.get("wall_ns", 0)),
        tuple(_text(name) for name in _list(entry.get("answered", []))),
    )


def _state(entry: dict[str, Any]) -> State:
    temperatures = {zone: _integer(value) for zone, value in entry["temperature_mc"].items()}
    return State(_whole(entry["at_ms"]), temperatures, {core: _whole(value) for core, value in entry["khz"].items()})


def _fatal(entry: dict[str, Any]) -> Fatal:
    return Fatal(
        _text(entry["fatal"]),
        _whole(entry["syscall"]) if "syscall" in entry else None,
        _whole(entry["signal"]) if "signal" in entry else None,
        _text(entry["running"]) if "running" in entry else None,
        entry.get("held") is True,
    )


# the key that tells a record's kind -> what makes it; in this order, for a failed record may have a cycle
_MAKERS: dict[str, Callable[[dict[str, Any]], Record]] = {
    "start": _start,
    "loaded": _loaded,
    "failed": _failed,
    "cycle": _cycle,
    "fatal": _fatal,
    "running": lambda entry: Running(_text(entry["running"])),
    "end": _end,
}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is not a list")
    return value


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 1 << 63:
        raise TypeError(f"{value!r} is not a whole number")
    return value


def _whole(value: object) -> int:
    number = _integer(value)
    if number < 0:
        raise ValueError(f"{number} is negative")
    return number


def _positive(value: object) -> int:
    number = _whole(value)
    if number == 0:
        raise ValueError("a time is zero")
    return number


def _positives(value: object) -> tuple[int, ...]:
    found = tuple(_list(value))
    if set(map(type, found)) != {int} or min(found) <= 0 or max(found) >= 1 << 63:
        return tuple(_positive(one) for one in found)  # empty, or an error that says what is wrong
    return found


def _number(value: object) -> float:
    """A number; the runner writes null for what is none."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{value!r} is not a number")
    return float(value)
