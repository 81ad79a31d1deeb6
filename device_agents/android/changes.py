"""What lutbench changes of a phone's settings, and putting it back, also by the next run where this one is ended.

Before anything is changed, what it was is written to a note in lutbench's folder on the phone. Whoever holds the
phone's lock and finds a note puts that back first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from lutbench.device_agents.android.connection import Connection
from lutbench.device_agents.android.install import ROOT

NOTE = f"{ROOT}/putback"
# what may be changed, and the values of it that may stand in a note
_STAY_ON, _ASLEEP, _FIXED = "stay_on", "asleep", "fixed_performance"
_VALUES = {_STAY_ON: r"\d{1,4}|null", _ASLEEP: "1", _FIXED: "1"}
SETTING = "stay_on_while_plugged_in"


class Changes:
    """The changes made to one phone, by the holder of its lock.

    was_left: an earlier run's changes were put back just now.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._noted: dict[str, str] = {}
        self.was_left = False

    def put_back_earlier(self) -> bool:
        """Puts back what a run that was ended left changed; whether there was anything."""
        self._noted = parse_note(self._connection.run(f"cat {NOTE} 2>/dev/null").text)
        self.was_left = bool(self._noted)
        self.put_back()
        return self.was_left

    def stay_on(self, setting: str) -> None:
        """The screen stays on while the phone is powered.

        setting: what stay_on_while_plugged_in was.
        """
        if setting:
            self._note(_STAY_ON, setting)
            self._connection.run("svc power stayon true")

    def wake(self, was_asleep: bool) -> None:
        """Wakes the phone.

        was_asleep: it is put to sleep again in the end.
        """
        if was_asleep:
            self._note(_ASLEEP, "1")
        self._connection.run("input keyevent KEYCODE_WAKEUP")

    def fix_performance(self) -> str:
        """Switches fixed performance mode on; what the phone said where it would not, or ""."""
        self._note(_FIXED, "1")
        answer = self._connection.run("cmd power set-fixed-performance-mode-enabled true")
        refused = answer.status or re.search(r"(?i)fail|unknown|error|exception|can't find", answer.text)
        return (answer.text[-200:] or f"status {answer.status}") if refused else ""

    def put_back(self) -> None:
        """Everything as the note says it was; the note goes last."""
        if not self._noted:
            return
        self._connection.run(
            "\n".join([*(_COMMANDS[name](value) for name, value in self._noted.items()), f"rm -f {NOTE}"])
        )
        self._noted = {}

    def _note(self, name: str, value: str) -> None:
        if self._noted.get(name):
            return  # what it was before the first change
        self._noted[name] = value
        lines = "; ".join(f"echo '{name} {value}'" for name, value in self._noted.items())
        self._connection.check(f"mkdir -p {ROOT} && {{ {lines}; }} > {NOTE}.new && mv -f {NOTE}.new {NOTE}")


def parse_note(text: str) -> dict[str, str]:
    """What a note says was changed; lines that are not of a note are left out, for their words go to a shell."""
    lines = [line.split(" ") for line in text.splitlines()]
    return {
        words[0]: words[1]
        for words in lines
        if len(words) == 2 and words[0] in _VALUES and re.fullmatch(_VALUES[words[0]], words[1], re.ASCII)
    }


def _stay_on_again(setting: str) -> str:
    return f"settings delete global {SETTING}" if setting == "null" else f"settings put global {SETTING} {setting}"


_COMMANDS: Mapping[str, Callable[[str], str]] = {
    _STAY_ON: _stay_on_again,
    _FIXED: lambda _: "cmd power set-fixed-performance-mode-enabled false",
    _ASLEEP: lambda _: "input keyevent KEYCODE_SLEEP",
}
