"""One lutbench per phone, whichever machine it runs on: a folder on the phone, made by one command that succeeds once.

A lock on the host (lutbench.locks) stands before it; so a lock on the phone that was made from here is a dead run's.
"""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from lutbench.device_agents.android.connection import Connection
from lutbench.device_agents.android.install import check_space
from lutbench.device_agents.android.shell import quote
from lutbench.errors import DeviceError
from lutbench.reading.numbers import whole
from lutbench.reading.plain import show

_LOCK_BYTES = 1 << 16
_OWNER = re.compile(r"[\w.@-]{1,200}", re.ASCII)  # a name that a command can hold
STALE_S = 180  # an owner that has not said for so long that it is alive is dead, or has lost the phone


class PhoneLock:
    """The lock on one phone.

    root: lutbench's folder on the phone.
    host_id: of the folder that holds the host's locks, see `host_id`.
    """

    def __init__(self, connection: Connection, root: str, host_id: str) -> None:
        self._connection = connection
        self._root = root
        self._host_id = host_id
        self.owner = f"{host_id}-{secrets.token_hex(6)}"

    @property
    def beat_script(self) -> str:
        """Says that the owner is alive, and leaves in $owner whose the lock is."""
        return (
            f"owner=\nread -r owner < {self._root}/lock/owner\n"
            f'[ "$owner" = {quote(self.owner)} ] && echo . > {self._root}/lock/beat'
        )

    def acquire(self) -> None:
        """DeviceError where another lutbench has the phone."""
        for _ in range(3):
            answer = self._connection.run(self._try_script)
            if answer.status:
                check_space(
                    self._connection, _LOCK_BYTES, otherwise=f"the phone cannot be locked: {answer.text[-200:]}"
                )
            words = answer.text.split()
            if words[:1] == ["mine"]:
                return
            age_s, owner = (whole(words[1]), words[2]) if len(words) == 3 else (None, "")
            if age_s is None or not _OWNER.fullmatch(owner):
                raise DeviceError(
                    f"the phone cannot be locked: it answers {show(answer.text)}", device=self._connection.label
                )
            if owner.startswith(f"{self._host_id}-") or age_s > STALE_S:
                self._connection.check(self._break_script(owner))
            else:
                break
        raise DeviceError(
            f"another lutbench measures on this phone (it was there {age_s} s ago)", device=self._connection.label,
            remedy=f"wait for it or stop it; the lock of one that died is void after {STALE_S} s",
        )  # fmt: skip

    def release(self) -> None:
        owner = quote(self.owner)
        self._connection.run(
            f'cd {self._root} && [ "$(cat lock/owner)" = {owner} ] && mv lock lock.{owner} && rm -rf lock.{owner}'
        )

    def beat(self) -> None:
        """Says that the owner is alive."""
        self._connection.run(self.beat_script)

    @property
    def _try_script(self) -> str:
        return f"""mkdir -p {self._root} && cd {self._root} || exit 1
if mkdir lock 2>/dev/null; then
  echo {quote(self.owner)} > lock/owner || {{ rm -rf lock; exit 1; }}
fi
owner=$(cat lock/owner 2>/dev/null)
if [ "$owner" = {quote(self.owner)} ]; then echo mine; exit 0; fi
made=$(stat -c %Y lock/beat 2>/dev/null || stat -c %Y lock 2>/dev/null || date +%s)
echo held $(( $(date +%s) - made )) "${{owner:-nobody}}"
"""

    def _break_script(self, owner: str) -> str:
        """Moves the dead owner's lock away, which one breaker only can; what was moved must be that owner's."""
        broken = f"lock.broken.{self.owner}"
        return f"""cd {self._root} || exit 1
mv lock {broken} 2>/dev/null || exit 0
found=$(cat {broken}/owner 2>/dev/null)
if [ "${{found:-nobody}}" = {quote(owner)} ]; then rm -rf {broken}; else mv {broken} lock; fi
"""


def phone_id(connection: Connection, root: str) -> str:
    """A random name that the phone keeps: two cheap phones may share a serial. "" where it cannot store one."""
    mine = secrets.token_hex(8)
    # with -C the shell opens a file only where it makes it: of two that try at once, one writes
    script = f"mkdir -p {root} && cd {root} || exit 1\n(set -C; echo {mine} > id) 2>/dev/null\ncat id"
    text = connection.run(script).text
    return text if re.fullmatch(r"[0-9a-f]{16}", text) else ""


def host_id(folder: Path) -> str:
    """A random name of the folder of the host's locks: two runs that share it exclude each other already."""
    path = folder / "phones-id"
    folder.mkdir(parents=True, exist_ok=True)
    for _ in range(2):
        try:
            text = path.read_text().strip()
            if re.fullmatch(r"[0-9a-f]{16}", text):
                return text
            path.unlink()
        except FileNotFoundError:
            pass
        part = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        part.write_text(secrets.token_hex(8) + "\n")
        try:
            path.hardlink_to(part)  # unlike renaming, this leaves the name that another run may have made meanwhile
        except FileExistsError:
            pass
        finally:
            part.unlink()
    return path.read_text().strip()
