"""One job on a device: its records as they come, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lutbench.device_agents.remote.process import JobProcess
from lutbench.device_agents.runner.job import RunnerJob
from lutbench.device_agents.runner.records import (
    CorruptRecordError,
    End,
    Fatal,
    Record,
    Running,
    Start,
    parse_record,
)

_NO_OUTPUT_STATUS = 3  # the runner's, where it cannot write its records
_REFUSED_STATUS = 128 + 31  # SIGSYS


@dataclass(frozen=True)
class Ending:
    """A job's end.

    why: one clause, "" where it ran to its end.
    culprit: the artifact it died of, where known.
    corrupt: damaged records, whose cycles have to be measured again.
    fatal: what the runner itself said last.
    unwritten: its records could not be written, most likely for want of space.
    refused: the device's system refuses a call that the runner, or its C library before it, makes.
    link_lost: the connection broke meanwhile. Where adbd ended, as it does when USB debugging or the USB mode is
        toggled, Android ended everything that it had started.
    held: the device was not as it should be any more; nothing is to blame.
    """

    why: str
    culprit: str = ""
    corrupt: int = 0
    fatal: Fatal | None = None
    unwritten: bool = False
    refused: bool = False
    link_lost: bool = False
    held: bool = False


class RunnerJobRun:
    """A job that a process was given; iterate over its records, and read `ending` afterwards."""

    def __init__(self, process: JobProcess, job: RunnerJob, limit_s: Callable[[], float]) -> None:
        self._process = process
        self._job = job
        self._limit_s = limit_s
        self.ending = Ending("it was not followed to its end")
        self.started: Start | None = None
        self.end: End | None = None

    @property
    def spent_ns(self) -> int:
        """Inside the runtime, by the runner's own count; 0 where the job did not run to its end."""
        return self.end.runtime_ns if self.end else 0

    @property
    def wall_s(self) -> float:
        """The time from the job's beginning to its end, by the device's clock; 0 where it did not run to its end."""
        return self.end.wall_ns / 1e9 if self.end else 0.0

    def records(self) -> Iterator[Record]:
        """Its records but the end and fatal ones, as they come."""
        corrupt, count, running = 0, 0, ""
        end: End | None = None
        fatal: Fatal | None = None
        status: int | None = None
        alive, done = True, False
        for look in self._process.follow(self._limit_s):
            status, alive, done = look.status, not look.gone, look.done
            for line in look.lines:
                try:
                    record = parse_record(line)
                except CorruptRecordError:
                    corrupt += 1
                    continue
                count += 1
                running = _running_after(record, running)
                match record:
                    case End():
                        end = record
                    case Fatal():
                        fatal = record
                    case Start():
                        self.started = record
                        yield record
                    case _:
                        yield record
        if end is not None and end.nonce == self._job.nonce and self._is_of(self._job):
            self.end = end
            # lines that vanished altogether count as damaged ones
            self.ending = Ending("", corrupt=max(corrupt, end.records - (count - 1)))
        elif done and fatal is None:  # it ran to its end, and the record that says so is damaged
            self.ending = Ending("", corrupt=corrupt + 1)
        else:
            culprit = (fatal.running if fatal and fatal.running else "") or running
            refused = status == _REFUSED_STATUS or (fatal is not None and fatal.syscall is not None)
            unwritten = status == _NO_OUTPUT_STATUS
            why = _why(status, fatal, alive)
            held = fatal is not None and fatal.held
            self.ending = Ending(why, culprit, corrupt, fatal, unwritten, refused, self._process.link_lost, held)

    def _is_of(self, job: RunnerJob) -> bool:
        return self.started is None or self.started.nonce == job.nonce


def _running_after(record: Record, running: str) -> str:
    """The artifact that is being loaded after this record."""
    if isinstance(record, Running):
        return record.name
    return running if isinstance(record, Start) else ""


def _why(status: int | None, fatal: Fatal | None, alive: bool) -> str:
    if fatal is not None:
        return fatal.reason
    if alive:
        return "the runner hangs"
    if status is None:
        return "the runner was ended"
    if status > 128:
        return f"the runner was ended by signal {status - 128}"
    return f"the runner ended with status {status}"
