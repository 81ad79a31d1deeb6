"""The runner on the phone: one process for all jobs, started so that a lost connection does not end it.

A job is a file pushed into the process's folder, numbered; the process takes it by itself (docs/runner.md: --jobs) and
writes its records beside it. So a batch costs a push and, where it is short, one look. A job may be given while the one
before is measured: the phone goes on with it while this machine reads and journals what came of the other.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lutbench.device_agents.android.connection import Connection
from lutbench.device_agents.android.install import ROOT
from lutbench.device_agents.android.lock import PhoneLock
from lutbench.device_agents.android.shell import command_line
from lutbench.device_agents.remote.process import Look
from lutbench.errors import DeviceError
from lutbench.reading.numbers import whole
from lutbench.reading.plain import show

JOBS = f"{ROOT}/jobs"
_SHORTEST_LOOK_S, _LONGEST_LOOK_S = 0.5, 5.0  # that a look waits on the phone for the job's end
_EARLY_SHARE = 0.5  # of the bytes that the last job had: those are brought while the rest is still measured
_EARLY_BYTES = 1 << 14  # that this has to be, to be worth a look
_FRESH_S = 60.0  # that a process without a job counts as there: it ends by itself after twice as long
_END_GRACE_S = 3.0  # between asking the runner to end and ending it
_END_PAUSE_S = 0.15
_OWNER = "owner "  # begins the line that says whose the lock is, after the records
# ends and removes every process's folder but $keep's; a process is a folder's if its command line says so
_END_JOBS = f"""cd {JOBS} 2>/dev/null || exit 0
for job in *; do
  [ "$job" = "$keep" ] && continue
  pid=$(cat "$job/pid" 2>/dev/null)
  [ -n "$pid" ] && grep -q "$job" /proc/$pid/cmdline 2>/dev/null && kill -9 -$pid 2>/dev/null
  rm -rf "$job"
done
"""


@dataclass
class _Job:
    """A job that the phone was given.

    name, number: of its process's folder, and its own in it.
    is_first: of its process, which has to be started for it.
    losses: how often the connection had broken by then.
    offset: how many bytes of its records came.
    early: bytes of records at which a look is worth while, before the job's end.
    partial: a line's beginning.
    """

    name: str
    number: int
    is_first: bool
    losses: int
    offset: int = 0
    early: int = 0
    partial: bytes = b""

    @property
    def folder(self) -> str:
        return f"{JOBS}/{self.name}"

    @property
    def file(self) -> str:
        return f"{self.folder}/{self.number}.json"


class RunnerProcess:
    """The runner on a phone, the job that is followed, and the one that was given behind it."""

    def __init__(self, connection: Connection, lock: PhoneLock, sleep: Callable[[float], None] = time.sleep) -> None:
        self._connection = connection
        self._lock = lock
        self._sleep = sleep
        self._command: tuple[str, ...] = ()
        self._name = ""  # of the process's folder; "" while there is no process
        self._heard = 0.0  # when the process was last known to be there
        self._job = _Job("", 0, False, 0)
        self._behind: _Job | None = None

    @property
    def link_lost(self) -> bool:
        """Whether the connection has broken since the job was given that is followed."""
        return self._connection.losses != self._job.losses

    @property
    def folder(self) -> str:
        """The folder of the job that is followed."""
        return self._job.folder

    @property
    def job_file(self) -> str:
        return self._job.file

    @property
    def records_file(self) -> str:
        return f"{self.folder}/{self._job.number}.jsonl"

    def start(self, job: bytes, command: Sequence[str]) -> None:
        """Gives the job to the process, or to a new one where there is none.

        command: the runner's, without options.

        PushError where the phone cannot store the job, DeviceError where no process can be started.
        """
        if self._behind is not None:
            self.renew()  # what it does now is not wanted any more
        if self._command != tuple(command) or time.monotonic() - self._heard >= _FRESH_S:
            self._name = ""
        self._command = tuple(command)
        given = self._given(job)
        given.early = round(_EARLY_SHARE * self._job.offset)
        self._job = given
        if given.is_first:
            self._launch(given)

    def start_behind(self, job: bytes) -> None:
        """Gives a job that begins by itself once the one that is followed has ended. PushError as above.

        After `renew` it is a new process's, which is started as soon as the end is known.
        """
        self._behind = self._given(job)

    def go_on(self) -> bool:
        """The job that was given behind is the one to follow now; False where there is none, or it could not begin."""
        if self._behind is None:
            return False
        self._behind.early = round(_EARLY_SHARE * self._job.offset)
        self._job, self._behind = self._behind, None
        return True

    def renew(self) -> None:
        """The next job is given to a new process, which ends this one as it starts."""
        self._name = ""
        self._behind = None

    def _given(self, job: bytes) -> _Job:
        """The job, pushed to where the process takes it."""
        last = self._behind or self._job
        is_first = not self._name
        if is_first:
            self._name = secrets.token_hex(12)
        given = _Job(self._name, 1 if is_first else last.number + 1, is_first, self._connection.losses)
        try:
            self._connection.push(job, given.file)  # adb makes the folder
        except BaseException:
            if is_first:
                self._name = ""
            raise
        return given

    def _launch(self, job: _Job) -> None:
        run = command_line([*self._command, "--jobs", job.folder])
        script = f"echo $$ > pid; {run} > log 2>&1; echo $? > status\n"
        # the folder's name stands in the process's command line, so that it can be told from any other
        launch = command_line(["setsid", "nohup", "sh", "-c", script, job.name])
        answer = self._connection.run(
            f"keep={job.name}\n{_END_JOBS}\ncd {job.folder} || exit 1\n[ -e started ] && exit 0\n"
            # adb hangs up on what it started: the process must not hear that before setsid has taken it out of reach
            f"echo 1 > started || exit 1\ntrap '' HUP\n{launch} </dev/null >/dev/null 2>&1 &"
        )
        if answer.status:
            self._name = ""
            raise DeviceError(f"the runner cannot be started: {answer.text[-200:]}", device=self._connection.label)

    def follow(self, limit_s: Callable[[], float]) -> Iterator[Look]:
        """A look at a time, until the job is done or the process is gone.

        limit_s: how long it may be silent before it counts as hanging. Then it is ended, and the last look says so by
        its status. A look waits on the phone for the job's end; a long job is looked at rarely, for each look takes
        some of the phone's time.
        """
        job = self._job
        began = heard = time.monotonic()
        while True:
            wait_s = min(max(time.monotonic() - began, _SHORTEST_LOOK_S), _LONGEST_LOOK_S, limit_s())
            look = self._look(wait_s)
            if look.lines:
                heard = time.monotonic()
            if look.gone:
                self._lose(job)
            elif look.done:
                self._heard = time.monotonic()
            if look.done:
                self._start_what_is_behind()  # before anything is made of the records
            yield look
            if look.done or look.gone:
                return
            if time.monotonic() - heard > limit_s():
                self._end()
                look = self._look(0.0)
                self._lose(job)
                yield look
                return

    def _start_what_is_behind(self) -> None:
        """Where that needs a new process. What is wrong with the phone is said where the job is given again."""
        if self._behind is not None and self._behind.is_first:
            try:
                self._launch(self._behind)
            except DeviceError:
                self.renew()

    def _lose(self, job: _Job) -> None:
        """Its process has ended, and what was given behind it there."""
        if self._name == job.name:
            self.renew()

    def _look(self, wait_s: float) -> Look:
        look = command_line([*self._command, *self._waiting(wait_s)])
        # built-in words of the shell but for one program: each takes some of the time of what is measured
        script = f"""cd {self.folder} || exit 1
exec 2>/dev/null
{look}
{self._lock.beat_script}
echo
echo "{_OWNER}${{owner:-nobody}}"
"""
        answer = self._connection.check(script, timeout_s=30.0)
        stands, _, rest = answer.output.partition(b"\n")
        data, _, owner = rest.rpartition(f"\n{_OWNER}".encode())
        words = stands.decode("utf-8", "replace").split()
        if owner.strip() != self._lock.owner.encode():
            raise DeviceError("another lutbench has taken over this phone", device=self._connection.label)
        if len(words) != 3:
            raise DeviceError(
                f"the runner's answer makes no sense: {show(stands)}", device=self._connection.label,
                remedy="where the bundle is one of your own, build it anew: lutbench runner build",
            )  # fmt: skip
        gone, done, status = words
        job = self._job
        job.offset += len(data)
        *lines, job.partial = (job.partial + data).split(b"\n")
        return Look(tuple(lines), whole(status), gone == "1", done == "1")

    def _waiting(self, wait_s: float) -> list[str]:
        """The runner's options that wait for the job's end, and print the records from there on."""
        job = self._job
        early = ["--bytes", str(job.early)] if job.early >= max(_EARLY_BYTES, job.offset + 1) else []
        return ["--await", job.file, "--for", str(round(1000 * wait_s)), *early, "--from", str(job.offset)]

    def _end(self) -> None:
        """Asks the runner to end, so that it says what it was running, and then ends it."""
        self._connection.run(f"pid=$(cat {self.folder}/pid) && kill -15 -$pid 2>/dev/null")
        deadline = time.monotonic() + _END_GRACE_S
        while time.monotonic() < deadline:
            if self._connection.run(f"pid=$(cat {self.folder}/pid) && kill -0 $pid").status:
                return
            self._sleep(_END_PAUSE_S)
        self._connection.run(f"pid=$(cat {self.folder}/pid) && kill -9 -$pid")


def end_jobs(connection: Connection) -> None:
    """Ends and removes whatever an earlier lutbench left running on the phone; for the holder of its lock only."""
    connection.check(f"keep=\n{_END_JOBS}")
