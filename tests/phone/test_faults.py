"""What goes wrong with phones, each injected into a whole profile; afterwards the LUT is complete and right."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

from lutbench.device_agents.android.agent import AndroidAgent
from lutbench.device_agents.android.process import RunnerProcess
from lutbench.device_agents.registry import Device, clean_device
from lutbench.device_agents.remote.agent import Patience
from lutbench.device_agents.remote.process import Look
from lutbench.errors import DeviceError
from tests.phone.emulated import Phone
from tests.phone.profiling import SPACE_TOML, Profiler

Fault = Callable[[], None]


class AtJob(Protocol):
    def __call__(self, number: int, fault: Fault, *, before: bool = False) -> list[int]: ...


RUNNER = "lutbench-runner"


@pytest.fixture(autouse=True)
def two_batches_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """However short a round is, for the faults are counted in jobs, and a batch is one."""
    monkeypatch.setattr("lutbench.measure.rounds._SHORTEST_US", 1e-9)


@pytest.fixture
def profiler(device: Device, tmp_path: Path) -> Profiler:
    return Profiler(device, tmp_path)


@pytest.fixture
def at_job(monkeypatch: pytest.MonkeyPatch) -> AtJob:
    """Injects a fault in the midst of the job of that number: it was given, and its first look is still to come.

    before: the fault comes before the job is given, for a job may be done by the time that a fault takes effect. It is
        one that is given behind no other.

    Returns a list whose one number counts the jobs.
    """

    def arrange(number: int, fault: Fault, *, before: bool = False) -> list[int]:
        start, follow, count = RunnerProcess.start, RunnerProcess.follow, [0]

        def break_and_start(process: RunnerProcess, job: bytes, command: list[str]) -> None:
            if count[0] + 1 == number and before:
                fault()
            start(process, job, command)

        def break_and_follow(process: RunnerProcess, limit_s: Callable[[], float]) -> Iterator[Look]:
            count[0] += 1
            if count[0] == number and not before:
                fault()
            return follow(process, limit_s)

        monkeypatch.setattr(RunnerProcess, "start", break_and_start)
        monkeypatch.setattr(RunnerProcess, "follow", break_and_follow)
        return count

    return arrange


def wait_for(phone: Phone, text: str, timeout_s: float = 20.0) -> list[int]:
    deadline = time.monotonic() + timeout_s
    while not (found := phone.processes(text)):
        assert time.monotonic() < deadline, f"no process {text}"
        time.sleep(0.02)
    return found


def test_nothing_wrong(profiler: Profiler, at_job: AtJob) -> None:
    """Two batches a round and one job for each, after the one that loads everything."""
    jobs = at_job(0, lambda: None)
    lut = profiler.run()
    profiler.check(lut)
    assert jobs == [1 + 2 * 2]
    environment = lut.metadata.environment
    assert environment["emulated"] is True and environment["model"] == "SM-G950F"
    assert "emulated" in profiler.notes


def test_adbd_killed_and_back_two_seconds_later(profiler: Profiler, phone: Phone, at_job: AtJob) -> None:
    jobs = at_job(3, lambda: phone.kill_adbd(back_after_s=2))
    try:
        profiler.check(profiler.run())
    finally:
        phone.bring_adbd_back()
    assert jobs == [5]  # the job went on meanwhile: nothing was measured again


def test_adbd_gone_for_good(profiler: Profiler, phone: Phone, at_job: AtJob) -> None:
    profiler.patience = Patience(reconnect_s=2.0)
    at_job(4, lambda: phone.kill_adbd(back_after_s=None))
    with pytest.raises(DeviceError, match="does not answer any more") as caught:
        profiler.run()
    phone.bring_adbd_back()
    assert "same command" in caught.value.remedy
    kept = profiler.journal
    assert kept
    profiler.check(profiler.run())
    assert profiler.journal[: len(kept)] == kept


def test_the_usb_mode_is_switched_while_artifacts_are_loaded(
    profiler: Profiler, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice, at the same artifact: adbd and everything that it started are gone, and no artifact is to blame."""
    follow, jobs = RunnerProcess.follow, [0]

    def switch_and_follow(process: RunnerProcess, limit_s: Callable[[], float]) -> Iterator[Look]:
        jobs[0] += 1
        if jobs[0] <= 2:
            wait_for(phone, f"{RUNNER}\0--job")
            phone.kill_adbd(back_after_s=1, with_all_it_started="lutbench/jobs/")
        return follow(process, limit_s)

    monkeypatch.setattr(RunnerProcess, "follow", switch_and_follow)
    try:
        profiler.check(profiler.run())
    finally:
        phone.bring_adbd_back()
    assert jobs == [2 + 5]


def test_network_down_for_three_seconds(profiler: Profiler, phone: Phone, at_job: AtJob) -> None:
    def lose() -> None:
        def down() -> None:
            with phone.network_down():
                time.sleep(3)

        threading.Thread(target=down).start()

    at_job(3, lose)
    profiler.check(profiler.run())


def test_the_runner_killed_on_the_phone(profiler: Profiler, phone: Phone, at_job: AtJob) -> None:
    def kill() -> None:
        for pid in wait_for(phone, f"{RUNNER}\0--job"):
            os.kill(pid, signal.SIGKILL)

    jobs = at_job(3, kill)
    profiler.check(profiler.run())
    assert jobs[0] > 3  # it went on after the job that was killed


def test_a_runner_that_hangs(profiler: Profiler, phone: Phone, at_job: AtJob) -> None:
    """At the second job: the process that loaded everything is still the one that is given it."""
    profiler.patience = Patience(load_s=12.0, invocation_s=12.0, reconnect_s=15.0)

    def stop() -> None:
        for pid in wait_for(phone, f"{RUNNER}\0--job"):
            os.kill(pid, signal.SIGSTOP)

    jobs = at_job(2, stop, before=True)
    profiler.check(profiler.run())
    assert jobs[0] > 5
    assert phone.processes(f"{RUNNER}\0--job") == []


def fill(phone: Phone) -> Path:
    """Takes all that is left of /data/local/tmp."""
    path = phone.tmp / "fill"
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return path


def test_a_full_disk_before_anything_is_installed(profiler: Profiler, phone: Phone) -> None:
    clean_device(profiler.device)
    filled = fill(phone)
    try:
        with pytest.raises(DeviceError, match="/data/local/tmp is full"):
            profiler.run()
    finally:
        filled.unlink()
    profiler.check(profiler.run())


def test_a_disk_that_fills_up_in_mid_batch(profiler: Profiler, phone: Phone, at_job: AtJob) -> None:
    def take_all() -> None:
        wait_for(phone, f"{RUNNER}\0--job")
        fill(phone)

    at_job(3, take_all)
    try:
        with pytest.raises(DeviceError, match="/data/local/tmp is full: 1 MB are needed, 0 MB are left"):
            profiler.run()
    finally:
        (phone.tmp / "fill").unlink()
    profiler.check(profiler.run())


def test_a_truncated_push(profiler: Profiler, phone: Phone) -> None:
    """The connection breaks 5 MB into the first push, and the bundle travels again."""
    clean_device(profiler.device)
    before = phone.relay.sent_bytes
    phone.relay.cut_after_bytes = 5_000_000
    profiler.check(profiler.run())
    assert phone.relay.cut_after_bytes is None
    assert phone.relay.sent_bytes - before > 35_000_000


def test_corrupted_result_lines(
    profiler: Profiler, phone: Phone, at_job: AtJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A digit of a sample changes, and a whole line vanishes: what they said is measured again and never written."""
    jobs = at_job(0, lambda: None)
    look = RunnerProcess._look
    damaged: list[bytes] = []

    def damage(process: RunnerProcess, wait_s: float) -> Look:
        job, records = (phone.tmp / path[16:] for path in (process.job_file, process.records_file))
        if jobs == [3] and not damaged:
            deadline = time.monotonic() + 60
            while job.exists() and time.monotonic() < deadline:  # it is removed when the job has ended
                time.sleep(0.05)
            lines = records.read_bytes().splitlines(keepends=True)
            cycles = [number for number, line in enumerate(lines) if b'"ns":[[' in line]
            changed = re.sub(rb'"ns":\[\[\d+', b'"ns":[[777777777', lines[cycles[0]])
            damaged.extend([lines[cycles[0]], changed])
            lines[cycles[0]] = changed
            del lines[cycles[-1]]
            records.write_bytes(b"".join(lines))
        return look(process, wait_s)

    monkeypatch.setattr(RunnerProcess, "_look", damage)
    profiler.check(profiler.run())
    assert damaged[0] != damaged[1]
    assert not any(777777777 in record["ns"] for record in profiler.journal)
    assert jobs == [6]


def command(folder: Path) -> list[str]:
    (folder / "few.toml").write_text(SPACE_TOML)
    return [sys.executable, "-m", "lutbench", "profile", "--device", "phone", "--space", str(folder / "few.toml"),
            "-o", str(folder / "second.csv"), "--max-rounds", "12"]  # fmt: skip


def test_two_processes_on_one_phone(profiler: Profiler, tmp_path: Path, shared_cache: Path, worker_locks: Path) -> None:
    """The second is refused: by the host's lock, or, from another machine's folders, by the phone's own."""
    device = profiler.device
    config = tmp_path / "config2"
    config.mkdir()
    (config / "devices.toml").write_text(
        f'[devices.phone]\nkind = "android"\naddress = "{device.address}"\nbundle = "{device.bundle}"\n'
    )
    outputs: list[str] = []

    def second(_agent: AndroidAgent) -> None:
        for cache, locks in ((shared_cache, worker_locks), (tmp_path / "another", tmp_path / "another")):
            environment = {**os.environ, "LUTBENCH_CONFIG": str(config)}
            environment |= {"LUTBENCH_CACHE": str(cache), "LUTBENCH_LOCKS": str(locks)}
            done = subprocess.run(
                command(tmp_path), env=environment, capture_output=True, text=True, check=False, timeout=200
            )
            assert done.returncode == 3
            outputs.append(done.stderr.splitlines()[-1])

    profiler.check(profiler.run(second))
    assert "another lutbench is measuring on this device" in outputs[0]
    assert "another lutbench measures on this phone" in outputs[1]
    assert not (tmp_path / "second.csv").exists()


def test_a_dead_runs_lock_and_job_are_cleared(profiler: Profiler, phone: Phone) -> None:
    """Another machine's lock that nobody has touched for long, and a job that still runs."""
    with_agent = profiler.run  # makes the folder
    with_agent()
    (profiler.folder / "phone.csv").unlink()
    lock = phone.tmp / "lutbench/lock"
    lock.mkdir()
    (lock / "owner").write_text("0123456789abcdef-feedfeedfeed\n")
    with pytest.raises(DeviceError, match="another lutbench measures on this phone"):
        profiler.run()
    for path in (lock,):
        os.utime(path, (time.time() - 1000, time.time() - 1000))
        os.chown(path, 2000, 2000)
    profiler.check(profiler.run())
    assert not lock.exists()


def test_the_adb_server_killed(profiler: Profiler, phone: Phone, adb_server: list[str], at_job: AtJob) -> None:
    profiler.device = replace(profiler.device, address="", serial=phone.address)
    kill = [*adb_server, "kill-server"]

    def end_server() -> None:
        subprocess.run(kill, check=True, capture_output=True, timeout=30)

    jobs = at_job(3, end_server)
    lut = profiler.run()
    profiler.check(lut)
    assert lut.metadata.environment["connection"] == "adb server"
    assert jobs == [5]
