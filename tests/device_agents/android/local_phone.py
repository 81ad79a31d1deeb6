"""A phone that is this machine's shell with the commands of an Android release, for tests that need no emulator.

Scripts run as they are sent; only /data/local/tmp is a folder of the test's.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from lutbench.device_agents.remote.link import LinkLostError
from tests.phone.userlands import USERLANDS, fill_bin

PHONE_TMP = "/data/local/tmp"
COMMAND_BYTES = 4096  # that an adb server up to 2017 takes, and the daemon of before Android 7
_SCRIPTS = Path(__file__).parents[2] / "phone/bin"
# stands for toybox: NAME WORDS... or, through a link, its own name is the command
_TOYBOX = """#!/bin/sh
name=${0##*/}
[ "$name" = toybox ] && { name=$1; shift; }
PATH=/usr/bin:/bin exec "$name" "$@"
"""


class LocalLink:
    """A Link. user: that the phone's shell says it is. commands: every script that was run; printed: by all of them.

    lose: how many of the next commands find the connection broken.
    """

    kind = "local"

    def __init__(self, folder: Path, release: str, user: int = 2000) -> None:
        self.tmp, self._bin = folder / "tmp", folder / "bin"
        self.tmp.mkdir(parents=True)
        shutil.copytree(_SCRIPTS.parent / "recorded", folder / "recorded")
        (folder / "recorded/getprop").write_text(USERLANDS[release].getprop)
        userland = USERLANDS[release]
        available = [name for name in userland.commands if shutil.which(name)]
        self._bin.mkdir()
        (self._bin / "toybox").write_text(_TOYBOX)
        (self._bin / "toybox").chmod(0o755)
        (self._bin / "sh").symlink_to("/bin/sh")
        fill_bin(self._bin, userland, available, _SCRIPTS, "/bin/sh", str(folder / "recorded"))
        (self._bin / "id").unlink()
        (self._bin / "id").write_text(f"#!/bin/sh\necho {user}\n")
        (self._bin / "id").chmod(0o755)
        self.release = release
        self.commands: list[str] = []
        self.printed = ""
        self.lose = 0

    def connect(self) -> None: ...

    def execute(self, command: str, timeout_s: float) -> bytes:
        if len(f"exec:{command}".encode()) > COMMAND_BYTES:
            raise LinkLostError("closed")  # all that an old adb server says
        if self.lose:
            self.lose -= 1
            raise LinkLostError("cut")
        self.commands.append(command)
        here = command.replace(PHONE_TMP, str(self.tmp))
        done = subprocess.run(
            [self._bin / "sh", "-c", here],
            env={"PATH": str(self._bin)},
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
        self.printed += done.stdout.decode("utf-8", "replace")
        return done.stdout

    def push(self, data: bytes, path: str) -> None:
        target = self._here(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def pull(self, path: str) -> bytes:
        return self._here(path).read_bytes()

    def close(self) -> None: ...

    def _here(self, path: str) -> Path:
        return Path(path.replace(PHONE_TMP, str(self.tmp), 1))
