"""One runner process on the phone: started so that a lost connection does not end it, followed by its records' file."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lutbench.device_agents.android.connection import Connection
from lutbench.device_agents.android.install import ROOT
from lutbench.device_agents.android.lock import PhoneLock
from lutbench.device_agents.android.shell import command_line
from lutbench.errors import DeviceError
from lutbench.reading.numbers import whole
from lutbench.reading.plain import show

JOBS = f"{ROOT}/jobs"
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.15, 1.0  # between two looks
_PAUSE_SHARE = 0.06  # of the time that the job has taken so far
_END_GRACE_S = 3.0  # between asking the runner to end and ending it
# ends and removes every job but the one of $keep; a process is a job's if its command line says so, whatever its number
_END_JOBS = f"""cd {JOBS} 2>/dev/null || exit 0
for job in *; do
  [ "$job" = "$keep" ] && continue
  pid=$(cat "$job/pid" 2>/dev/null)
  [ -n "$pid" ] && grep -q "$job" /proc/$pid/cmdline 2>/dev/null && kill -9 -$pid 2>/dev/null
  rm -rf "$job"
done
"""


@dataclass(frozen=True)
class Look:
    """What one look at a job found. lines: whole new ones; status: of the process once it has ended, or None.

    gone: the process is there no more.
    """

    lines: tuple[bytes, ...]
    status: int | None
    gone: bool


class RunnerProcess:
    """A job's folder on the phone and the process in it. name: of the folder, its nonce."""

    def __init__(self, connection: Connection, lock: PhoneLock, sleep: Callable[[float], None] = time.sleep) -> None:
        self._connection = connection
        self._lock = lock
        self._sleep = sleep
        self.name = secrets.token_hex(12)
        self.folder = f"{JOBS}/{self.name}"
        self._offset = 0
        self._partial = b""
        self.wall_s = 0.0  # that the process ran, by the phone's clock, once it has ended
        self._losses = connection.losses

    @property
    def link_lost(self) -> bool:
        """Whether the connection has broken since the process was started."""
        return self._connection.losses != self._losses

    def start(self, job: bytes, command: Sequence[str]) -> None:
        """command: the runner's, to which --job and --output are added. DeviceError where the phone's disk is full."""
        run = command_line([*command, "--job", f"{self.folder}/job.json", "--output", f"{self.folder}/records.jsonl"])
        script = f"echo $$ > pid; date +%s%N > began; {run} > log 2>&1; s=$?; date +%s%N > ended; echo $s > status\n"
        self._connection.push(job, f"{self.folder}/job.json")  # adb makes the folder
        # the job's name stands in the process's command line, so that it can be told from any other
        launch = command_line(["setsid", "nohup", "sh", "-c", script, self.name])
        answer = self._connection.run(
            f"keep={self.name}\n{_END_JOBS}\ncd {self.folder} || exit 1\n[ -e started ] && exit 0\n"
            # adb hangs up on what it started: the job must not hear that before setsid has taken it out of reach
            f"echo 1 > started || exit 1\ntrap '' HUP\n{launch} </dev/null >/dev/null 2>&1 &"
        )
        if answer.status:
            raise DeviceError(f"the runner cannot be started: {answer.text[-200:]}", device=self._connection.label)

    def follow(self, limit_s: Callable[[], float]) -> Iterator[Look]:
        """A look at a time, until the process is gone. limit_s: how long it may be silent before it counts as hanging.

        Then it is ended, and the last look says so by its status. A long job is looked at rarely, for each look takes
        some of the phone's time.
        """
        began = heard = time.monotonic()
        while True:
            look = self._look()
            if look.lines:
                heard = time.monotonic()
            yield look
            if look.gone:
                return
            if time.monotonic() - heard > limit_s():
                self._end()
                yield self._look()
                return
            pause_s = _PAUSE_SHARE * (time.monotonic() - began)
            self._sleep(min(max(pause_s, _SHORTEST_PAUSE_S), _LONGEST_PAUSE_S))

    def log(self) -> str:
        """The end of what the runner printed beside its records."""
        return self._connection.run(f"tail -c 400 {self.folder}/log").text

    def remove(self) -> None:
        """Ends the process where it still runs, and removes its folder."""
        end_jobs(self._connection)

    def _look(self) -> Look:
        # built-in words of the shell but for tail: every process takes some of the time of what is measured
        script = f"""cd {self.folder} || exit 1
exec 2>/dev/null
pid= status= began= ended= gone=0
read -r pid < pid
[ -n "$pid" ] && {{ kill -0 $pid || gone=1; }}
read -r status < status
read -r began < began
read -r ended < ended
{self._lock.beat_script}
echo "$gone ${{status:--}} ${{began:--}} ${{ended:--}} ${{owner:-nobody}}"
tail -c +{self._offset + 1} records.jsonl
true
"""
        answer = self._connection.check(script, timeout_s=30.0)
        head, _, data = answer.output.partition(b"\n")
        words = head.decode("utf-8", "replace").split()
        if len(words) != 5:
            raise DeviceError(f"the phone's answer makes no sense: {show(head)}", device=self._connection.label)
        gone, status, began, ended, owner = words
        if owner != self._lock.owner:
            raise DeviceError("another lutbench has taken over this phone", device=self._connection.label)
        times = phone_time_s(began), phone_time_s(ended)
        if times[0] is not None and times[1] is not None:
            self.wall_s = times[1] - times[0]
        self._offset += len(data)
        *lines, self._partial = (self._partial + data).split(b"\n")
        return Look(tuple(lines), whole(status), gone == "1")

    def _end(self) -> None:
        """Asks the runner to end, so that it says what it was running, and then ends it."""
        self._connection.run(f"pid=$(cat {self.folder}/pid) && kill -15 -$pid 2>/dev/null")
        deadline = time.monotonic() + _END_GRACE_S
        while time.monotonic() < deadline:
            if self._connection.run(f"pid=$(cat {self.folder}/pid) && kill -0 $pid").status:
                return
            self._sleep(_SHORTEST_PAUSE_S)
        self._connection.run(f"pid=$(cat {self.folder}/pid) && kill -9 -$pid")


def phone_time_s(text: str) -> float | None:
    """What `date +%s%N` prints, in seconds; None for anything else. Android 7 prints %N as it stands."""
    found = re.fullmatch(r"(\d{9,11}?)(?:(\d{9})|%?N)?", text.strip())
    return int(found[1]) + int(found[2] or 0) / 1e9 if found else None


def end_jobs(connection: Connection) -> None:
    """Ends and removes whatever an earlier lutbench left running on the phone; for the holder of its lock only."""
    connection.check(f"keep=\n{_END_JOBS}")
