from __future__ import annotations

import os
from pathlib import Path

import pytest

from lutbench.device_agents.android.keys import key_path, signers
from lutbench.errors import DeviceError


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def test_a_key_is_made_once_and_is_its_users_alone(tmp_path: Path) -> None:
    old = os.umask(0)  # even where the user's files are everybody's
    try:
        (first,) = signers(tmp_path / "config")
    finally:
        os.umask(old)
    path = key_path(tmp_path / "config")
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(file.name for file in path.parent.iterdir()) == ["adbkey", "adbkey.pub"]
    (second,) = signers(tmp_path / "config")
    assert first.GetPublicKey() == second.GetPublicKey()


def test_a_key_that_others_can_read_is_closed_to_them(tmp_path: Path) -> None:
    signers(tmp_path)
    key_path(tmp_path).chmod(0o644)
    signers(tmp_path)
    assert key_path(tmp_path).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"junk", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_broken_key_is_one_line(content: bytes, tmp_path: Path) -> None:
    signers(tmp_path)
    key_path(tmp_path).write_bytes(content)
    with pytest.raises(DeviceError, match="cannot be read") as caught:
        signers(tmp_path)
    assert "delete it" in caught.value.remedy


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeviceError, match="cannot be written"):
        signers(tmp_path / "file" / "config")
