"""The runner on a device, whatever carries jobs to it: what an agent needs of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Look:
    """What one look at a job found.

    lines: whole new ones.
    status: of the process once it has ended, or None.
    gone: the process is there no more.
    done: the job has ended, and all its records are written.
    """

    lines: tuple[bytes, ...]
    status: int | None
    gone: bool
    done: bool


class JobProcess(Protocol):
    """The runner on a device, and the job that it was given last."""

    @property
    def link_lost(self) -> bool:
        """Whether the job may have ended because the connection broke since it was given."""

    def start(self, job: bytes, command: Sequence[str]) -> None:
        """Gives the job to the runner.

        command: the runner's, where it has to be started first. PushError where the device cannot store the job.
        """

    def follow(self, limit_s: Callable[[], float]) -> Iterator[Look]:
        """A look at a time, until the job is done or the runner is gone.

        limit_s: how long it may be silent before it counts as hanging. Then it is ended, and the last look says so by
        its status.
        """

    def renew(self) -> None:
        """The next job is given to a new runner."""


class AheadProcess(JobProcess, Protocol):
    """A runner that takes a job while it is at another, and begins it by itself."""

    def start_behind(self, job: bytes) -> None:
        """Gives a job that begins once the one that is followed has ended, in a new process where `renew` came before.

        `start` and `renew` drop it. PushError where the device cannot store the job.
        """

    def go_on(self) -> bool:
        """The job that was given behind is the one to follow now; False where there is none, or it could not begin."""
