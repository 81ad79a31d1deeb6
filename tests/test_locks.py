"""Locks: one holder at a time, named in the refusal; nothing that lies in a shared folder is followed or written."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lutbench.errors import DeviceError, OutputError
from lutbench.locks import FOLDER_LOCK, LOCKS_VARIABLE, device_lock, folder_lock, locks_folder
from lutbench.lut.journal_place import set_aside
from lutbench.measure.journal import Journal

HOLD = """
import sys, time
from pathlib import Path
from lutbench.locks import device_lock, folder_lock
with device_lock("host", "host"), folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(100)
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's file")


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(LOCKS_VARIABLE, str(tmp_path))
    return tmp_path / "lutbench-host.lock"


def test_a_refusal_names_the_holder_and_a_killed_one_holds_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    command = [sys.executable, "-c", HOLD, str(folder), "\x1b[31m"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(DeviceError) as device, device_lock("host", "host"):
            pass
        with pytest.raises(OutputError) as output, folder_lock(folder):
            pass
        holder.kill()
    for refusal in (str(device.value), str(output.value)):
        assert f"process {holder.pid}, {sys.executable} -c" in refusal
        assert "since 20" in refusal and "\x1b" not in refusal
    with device_lock("host", "host"), folder_lock(folder):
        pass


def test_every_user_of_a_machine_looks_in_one_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LOCKS_VARIABLE)
    monkeypatch.setenv("TMPDIR", "/elsewhere")
    monkeypatch.setenv("LUTBENCH_CACHE", "/elsewhere")
    assert locks_folder() == Path("/tmp")


def test_what_was_put_in_a_locks_place_is_not_touched(locks: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    for put in (lambda: locks.symlink_to(victim), lambda: locks.hardlink_to(victim), lambda: os.mkfifo(locks)):
        put()
        with pytest.raises(OutputError, match="cannot be used as a lock"), device_lock("host", "host"):
            pass
        assert victim.read_text() == "mine"
        locks.unlink()


@needs_root
def test_another_users_file_is_locked_but_not_written(locks: Path) -> None:
    locks.write_text("1\n2001-01-01 00:00:00\nan old run")
    os.chown(locks, 12345, 12345)
    with device_lock("host", "host"):
        with pytest.raises(DeviceError) as caught, device_lock("host", "host"):
            pass
        assert locks.read_text().endswith("an old run")
    if sys.platform == "linux":  # it says who holds a lock
        assert f"process {os.getpid()}," in str(caught.value)
    assert "an old run" not in str(caught.value)


def test_a_lock_is_for_others_to_lock_whatever_the_umask(locks: Path) -> None:
    before = os.umask(0o077)
    try:
        with device_lock("host", "host"):
            assert locks.stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(before)


def test_words_that_nobody_wrote_are_not_believed(locks: Path) -> None:
    locks.write_text("9" * 5000 + "\nx\ny")
    with locks.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DeviceError, match=f"process {os.getpid()}|a process of another"), device_lock("host", "h"):
            pass


def test_a_journal_has_one_writer(tmp_path: Path) -> None:
    path = tmp_path / "r1.jsonl"
    with Journal(path, {"seed": 0}, ()) as journal:
        journal.append([{"note": "kept", "value": 1}])
        before = path.read_bytes()
        with pytest.raises(OutputError, match="another lutbench is writing there"):
            Journal(path, {"seed": 0}, ())
        with pytest.raises(OutputError, match="another lutbench is writing there"):
            set_aside(path)
    assert path.read_bytes() == before
    with Journal(path, {"seed": 0}, ()) as journal:
        assert journal.notes == {"kept": 1}
    set_aside(path)
    assert not path.exists() and (tmp_path / "r1.aside1.jsonl").read_bytes() == before


def test_the_folder_keeps_nothing_but_the_lock(tmp_path: Path) -> None:
    with folder_lock(tmp_path / "new" / "folder"):
        pass
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == [FOLDER_LOCK]
