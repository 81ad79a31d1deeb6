"""Two phones that share a serial are not one phone to the locks."""

from __future__ import annotations

from pathlib import Path

from lutbench.device_agents.android.connection import Connection
from lutbench.device_agents.android.lock import phone_id
from tests.device_agents.android.local_phone import LocalLink

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
