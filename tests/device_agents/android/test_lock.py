"""Two phones that share a serial are not one phone to the locks."""

from __future__ import annotations

from pathlib import Path

import pytest

from lutbench.device_agents.android.connection import Connection
from lutbench.device_agents.android.lock import PhoneLock, phone_id
from lutbench.device_agents.android.shell import Answer
from lutbench.errors import DeviceError
from tests.device_agents.android.local_phone import LocalLink


class Answers:
    """A connection to a phone that answers everything with one text."""

    label = "phone"

    def __init__(self, text: str) -> None:
        self._answer = Answer(0, text.encode())

    def run(self, script: str, timeout_s: float = 0.0) -> Answer:
        del script, timeout_s
        return self._answer

    check = run


ROOT = "/data/local/tmp/lutbench"


def test_a_phone_keeps_a_name_of_its_own(tmp_path: Path) -> None:
    links = [LocalLink(tmp_path / name, "7") for name in "ab"]
    ids = [phone_id(Connection(link, "phone"), ROOT) for link in links]
    assert len(set(ids)) == 2 and all(len(text) == 16 for text in ids)
    assert [phone_id(Connection(link, "phone"), ROOT) for link in links] == ids


def test_a_phone_that_cannot_store_it_has_none(tmp_path: Path) -> None:
    link = LocalLink(tmp_path / "phone", "7")
    (link.tmp / "lutbench").write_text("no folder")
    assert phone_id(Connection(link, "phone"), ROOT) == ""


@pytest.mark.parametrize("owner", ["a\0b", "x" * 5000, "$(reboot)", "caf\xe9"])
@pytest.mark.parametrize("age_s", [1, 9999])
def test_an_owner_that_no_command_can_hold_is_one_line(owner: str, age_s: int) -> None:
    lock = PhoneLock(Answers(f"held {age_s} {owner}"), ROOT, "0" * 16)  # type: ignore[arg-type]
    with pytest.raises(DeviceError, match="cannot be locked: it answers"):
        lock.acquire()
