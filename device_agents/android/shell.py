"""The phone's shell: words that reach it as data, and an end marker, for adb reports a cut-off output as success."""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from lutbench.device_agents.remote.link import LinkLostError

COMMAND_BYTES = 4096 - len("exec:") - 1  # adb servers up to 2017, and adbd up to Android 6, take no longer request


class CutOffError(LinkLostError):
    """A command's output ended before its end marker: the status is not known."""


@dataclass(frozen=True)
class Answer:
    """What a command printed (standard error among it) and its exit status."""

    status: int
    output: bytes

    @property
    def text(self) -> str:
        return self.output.decode("utf-8", "replace").replace("\r\n", "\n").strip()


def quote(word: str) -> str:
    """The word for mksh, which knows POSIX quoting; ValueError for what no command line can hold."""
    if "\0" in word:
        raise ValueError(f"{word!r} holds a zero byte")
    return shlex.quote(word)


def command_line(words: Sequence[str]) -> str:
    return " ".join(quote(word) for word in words)


def new_marker() -> str:
    return f"lutbench-end-{secrets.token_hex(8)}"


def framed(script: str, marker: str) -> str:
    """The script in a subshell, then its status behind the marker; ValueError where that is too long a command."""
    command = f"(\n{script}\n) </dev/null 2>&1; s=$?; echo; echo {marker} $s"
    if len(command.encode()) > COMMAND_BYTES:
        raise ValueError(f"a command of {len(command.encode())} bytes: old adb servers take {COMMAND_BYTES}")
    return command


def unframed(data: bytes, marker: str) -> Answer:
    """What `framed` printed; CutOffError where the marker does not end it."""
    found = re.search(rb"\r?\n%s (\d{1,9})\r?\n\Z" % re.escape(marker.encode()), data)
    if not found:
        raise CutOffError(f"the output ended after {len(data)} bytes")
    return Answer(int(found[1]), data[: found.start()])
