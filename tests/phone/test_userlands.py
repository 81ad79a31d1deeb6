"""The whole main path on phones of four Android releases, each with the commands that it lists and no others."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lutbench.device_agents.android.agent import AndroidAgent
from lutbench.device_agents.android.connection import Connection
from lutbench.device_agents.android.find import Wanted, connect
from lutbench.device_agents.android.process import RunnerProcess
from lutbench.device_agents.registry import Device, clean_device
from lutbench.device_agents.remote.agent import Patience
from lutbench.device_agents.runner.bundle import Bundle
from tests.device_agents.android.commands import programs
from tests.phone.emulated import HERE, Phone
from tests.phone.profiling import Profiler
from tests.phone.userlands import USERLANDS, Userland, write_userland


class StoppedError(Exception):
    """Somebody stopped the run."""


@pytest.fixture(params=USERLANDS)
def userland(request: pytest.FixtureRequest) -> Userland:
    return USERLANDS[request.param]


@pytest.fixture
def old_phone(userland: Userland, phone_folder: Path, tmp_path: Path) -> Iterator[Phone]:
    write_userland(tmp_path / "userland", userland, phone_folder / "root", HERE / "bin")
    phone = Phone(phone_folder, userland=tmp_path / "userland")
    yield phone
    phone.close()


def test_install_profile_resume_clean(
    userland: Userland, old_phone: Phone, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device("old", "android", tmp_path / "phone.csv", "", address=old_phone.address, bundle=str(bundle.folder))
    profiler = Profiler(device, tmp_path, Patience(reconnect_s=15.0), resolution=96)
    sent, run = set[str](), Connection.run
    start, start_behind = RunnerProcess.start, RunnerProcess.start_behind
    jobs = [0]

    def run_and_record(connection: Connection, script: str, timeout_s: float = 20.0) -> object:
        sent.update(programs(script))
        return run(connection, script, timeout_s)

    def start_and_stop(process: RunnerProcess, job: bytes, command: list[str]) -> None:
        start(process, job, command)
        count()

    def start_behind_and_stop(process: RunnerProcess, job: bytes) -> None:
        start_behind(process, job)
        count()

    def count() -> None:
        jobs[0] += 1
        if jobs[0] == 4:  # loaded, and half a round measured at least
            raise StoppedError

    monkeypatch.setattr(Connection, "run", run_and_record)
    monkeypatch.setattr(RunnerProcess, "start", start_and_stop)
    monkeypatch.setattr(RunnerProcess, "start_behind", start_behind_and_stop)
    with pytest.raises(StoppedError):
        profiler.run()
    kept = profiler.journal
    assert kept
    agents: list[AndroidAgent] = []
    lut = profiler.run(agents.append)
    profiler.check(lut)
    assert profiler.journal[: len(kept)] == kept
    assert agents[0].installed_files == 0  # all had arrived
    environment = lut.metadata.environment
    assert environment["model"] == userland.properties["ro.product.model"]
    assert environment["pinned_to"] == [1] and environment["max_frequency_khz"] == str(userland.khz[1])
    assert environment["governor"] == userland.governor
    assert clean_device(device) > 10_000_000
    assert not (old_phone.tmp / "lutbench").exists()
    assert sent - userland.commands <= {"sha256sum"}  # what Android 7 lacks, and another stands in for


def test_the_userland_behaves_as_its_release_did(
    userland: Userland, old_phone: Phone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The emulation itself, by what was seen of old toyboxes."""
    monkeypatch.setenv("HOME", str(tmp_path))
    phone = connect(Wanted("old", address=old_phone.address), tmp_path / "config", lambda: None, 10.0)
    names = set(phone.run("ls /system/bin").text.split())
    assert names <= userland.commands and len(names) > 60
    assert phone.run("type sha256sum").status == (1 if userland.release == "7" else 0)
    old_date = userland.release == "7"
    assert phone.run("date +%s%N").text.endswith("%N") == old_date
    assert len(phone.run("ps -A").text.splitlines()) > 1 or userland.release == "7"
    assert phone.run("ps").text.count("\n") >= 1
    dot = userland.release == "13"
    assert ("asimddp" in phone.run("cat /proc/cpuinfo").text) == dot
    (tmp_path / "x").write_text("x")
    for owner, words, is_refused in (("0", "xf", userland.release != "13"), ("2000", "xf", False), ("0", "xof", False)):
        command = ["tar", "--owner", owner, "--group", owner, "--numeric-owner", "-C", str(tmp_path), "-cf", "-", "x"]
        phone.push(subprocess.run(command, capture_output=True, check=True).stdout, "/data/local/tmp/x.tar")
        answer = phone.run(f"cd /data/local/tmp && rm -f x && tar {words} x.tar")
        assert (answer.status, "Operation not permitted" in answer.text) == (int(is_refused), is_refused)
        assert (old_phone.tmp / "x").read_text() == "x"
    phone.close()
