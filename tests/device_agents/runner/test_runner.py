"""The program itself, with the real runtimes."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import signal
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from lutbench.device_agents.runner.checksum import difference, host_checksum
from lutbench.device_agents.runner.job import RunnerArtifact, RunnerJob
from lutbench.device_agents.runner.records import Fatal, Records, read_records
from lutbench.export.artifact import Artifact
from lutbench.files import file_sha256
from lutbench.measure.protocol import Batch, Canary, Cycle, Failure, Samples, Spent
from lutbench.space.operator import OVERHEAD
from tests.device_agents.runner.phone import BATCH, BLOCK, CONV, ENDLESS, ENGINES, LONG_S, NAMES, OTHER_RUNNER, Phone
from tests.onnx_models import save_model


@pytest.mark.parametrize("engine", ENGINES)
def test_a_job_is_measured_and_computes_what_the_host_computes(
    engine: str, phone_of: Callable[[str], Phone], artifacts: dict[str, dict[str, Artifact]]
) -> None:
    phone = phone_of(engine)
    status, found = phone.batch(phone.write(replace(phone.job, check=True, cores=(0,))))
    assert status == 0 and found.complete("n1")
    assert found.start is not None
    assert (found.start.runtime, found.start.cores) == (phone.bundle.runtimes[engine], (0,))
    outcomes = list(found.outcomes(BATCH))
    samples = [outcome for outcome in outcomes if isinstance(outcome, Samples)]
    assert [(s.artifact, len(s.durations_ns)) for s in samples] == [(BLOCK, 3), (CONV, 3), (OVERHEAD.name, 2)]
    assert isinstance(outcomes[-1], Spent)
    assert outcomes[-1].runtime_ns >= sum(sum(s.durations_ns) for s in samples)
    for name in NAMES:
        output = found.loaded[name].output
        assert output is not None
        assert difference(output, host_checksum(engine, name, artifacts[engine][name].path), integer=True) <= 1


def test_inputs_and_outputs_of_any_type_and_number(phone: Phone, tmp_path: Path) -> None:
    """Two inputs of a dtype, indices, bools, an output whose shape only a run tells."""
    nodes = [
        helper.make_node("Gather", ["values", "indices"], ["taken"]),
        helper.make_node("Add", ["taken", "more"], ["sum"]),
        helper.make_node("NonZero", ["flags"], ["places"]),
        helper.make_node("Cast", ["sum"], ["half"], to=TensorProto.FLOAT16),
    ]
    inputs = {
        "values": (TensorProto.FLOAT, (4, 3)),
        "indices": (TensorProto.INT64, (5,)),
        "more": (TensorProto.FLOAT, (5, 3)),
        "flags": (TensorProto.BOOL, (70,)),
    }
    outputs = {
        "sum": (TensorProto.FLOAT, (5, 3)),
        "half": (TensorProto.FLOAT16, (5, 3)),
        "places": (TensorProto.INT64, (1, None)),
    }
    path = save_model(tmp_path / "odd.onnx", nodes, inputs, outputs)
    artifact = RunnerArtifact("odd", "odd.onnx", file_sha256(path))
    batch = Batch((Cycle(("odd",), 0, 1, 2, "c"),), (Canary("c", "odd", 1, 1.1),))
    status, found = phone.batch(phone.write(replace(phone.job, artifacts=(artifact,), check=True, batch=batch)))
    assert status == 0 and found.complete("n1")
    assert not found.failed, found.failed
    assert found.loaded["odd"].output == host_checksum("onnx", "odd", path)


@pytest.mark.parametrize("engine", ENGINES)
def test_files_that_no_runtime_should_be_given_cost_themselves_only(
    engine: str, phone_of: Callable[[str], Phone], tmp_path: Path
) -> None:
    phone = phone_of(engine)
    whole = next(a for a in phone.job.artifacts if a.name == BLOCK)
    data = Path(whole.path).read_bytes()
    bad = {"empty": b"", "text": b"no model at all", "cut": data[: len(data) // 2]}
    given = [whole]
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
        given.append(RunnerArtifact(name, name, file_sha256(tmp_path / name)))
    given.append(RunnerArtifact("absent", "absent", "0" * 64))
    given.append(RunnerArtifact("other", "empty", "0" * 64))
    status, found = phone.batch(phone.write(replace(phone.job, artifacts=tuple(given), batch=None)))
    assert status == 0 and found.complete("n1")
    assert list(found.loaded) == [BLOCK]
    reasons = {failure.name: failure.reason for failure in found.failed}
    assert set(reasons) == {*bad, "absent", "other"}
    assert "sha256" in reasons["other"] and "cannot be opened" in reasons["absent"]


def test_a_cycle_with_an_artifact_that_is_not_there_is_its_failure(phone: Phone) -> None:
    batch = Batch((Cycle(("absent",), 0, 0, 1, "c"), BATCH.cycles[1]), BATCH.canaries)
    status, found = phone.batch(phone.write(replace(phone.job, batch=batch)))
    assert status == 0 and found.complete("n1")
    first, *others = found.outcomes(batch)
    assert first == Failure("absent", "it is not loaded")
    assert isinstance(others[0], Samples)


def test_help_and_version(phone: Phone) -> None:
    done = subprocess.run(phone.command("--help"), capture_output=True, text=True, check=True)
    assert "--serve PORT" in done.stdout
    done = subprocess.run(phone.command("--version"), capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"lutbench-runner {phone.bundle.runner} (onnx; ")


@pytest.mark.parametrize("way", ["file", "-"])
def test_the_sums_of_files_are_printed_as_sha256sum_prints_them(way: str, phone: Phone, tmp_path: Path) -> None:
    names = [str(tmp_path / name) for name in ("empty", "with a space", "long")]
    for name, content in zip(names, (b"", b"abc", bytes(range(256)) * 1000), strict=True):
        Path(name).write_bytes(content)
    wanted = "".join(f"{file_sha256(Path(name))}  {name}\n" for name in names)
    listed = tmp_path / "list"
    for asked, status in ((names, 0), ([*names, str(tmp_path / "absent"), str(tmp_path)], 1)):
        listed.write_text("\n".join(asked))  # the last line may lack its line feed
        words = phone.command("--sha256", str(listed) if way == "file" else "-")
        with listed.open() as stdin:
            done = subprocess.run(words, stdin=stdin, capture_output=True, text=True, check=False, timeout=10)
        assert (done.returncode, done.stdout) == (status, wanted)
        assert len(done.stderr.splitlines()) == len(asked) - len(names)


def test_sums_that_cannot_be_printed_are_an_exit_status(phone: Phone, tmp_path: Path) -> None:
    (tmp_path / "list").write_text(f"{tmp_path}/list\n")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(phone.command("--sha256", str(tmp_path / "list")), stdout=full, check=False, timeout=10)
    assert done.returncode == 3


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--job", "x"],
        ["--output", "x"],
        ["--job"],
        ["--jib", "x"],
        ["--serve", "70000"],
        ["--serve", "x"],
        ["--jobs", "x", "--output", "x"],
        ["--jobs", "x", "--library", "x"],
        ["--await", "x", "--for", "-1"],
        ["--await", "x", "--for", "1", "--bytes", "-1"],
        ["--await", "x", "--for", "1", "--from", "y"],
        ["x"],
    ],
)
def test_wrong_use_is_one_line(options: list[str], phone: Phone) -> None:
    done = subprocess.run(phone.command(*options), capture_output=True, text=True, check=False, timeout=10)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("lutbench-runner: ")


def fatal_of(phone: Phone, job: RunnerJob) -> str:
    status, found = phone.batch(phone.write(job))
    assert status == 1 and isinstance(found.records[-1], Fatal)
    return found.records[-1].reason


def test_a_job_that_cannot_be_run_at_all_says_why(phone: Phone, tmp_path: Path) -> None:
    assert "cannot be opened" in fatal_of(phone, replace(phone.job, library="none.so"))
    assert "has no engine abacus" in fatal_of(phone, replace(phone.job, engine="abacus"))
    assert 'no "library"' in fatal_of(phone, replace(phone.job, library=None))
    other = phone.bundle.folder / "libexecutorch_threadpool.so"
    assert "not ONNX Runtime's library" in fatal_of(phone, replace(phone.job, library=str(other)))
    status, found = phone.batch(tmp_path / "no-such-job")
    assert status == 1 and isinstance(found.records[0], Fatal)


def test_records_that_cannot_be_written_are_an_exit_status(phone: Phone) -> None:
    job = phone.write(phone.job)
    for output in ("/dev/full", "/no/such/folder/records"):
        command = phone.command("--job", str(job), "--output", output)
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 3
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGSEGV])
def test_what_ends_the_runner_is_the_last_record(number: signal.Signals, phone: Phone) -> None:
    if number == signal.SIGSEGV and os.environ.get(OTHER_RUNNER):
        pytest.skip("a sanitizer reports this signal itself")
    records = phone.folder / "records.jsonl"
    command = phone.command("--job", str(phone.write(replace(phone.job, batch=ENDLESS))), "--output", str(records))
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + LONG_S
        while not (records.exists() and len(read_records(records.read_bytes()).loaded) == len(NAMES)):
            assert time.monotonic() < until and process.poll() is None
        while "Fatal" not in repr(found := read_records(records.read_bytes())):
            assert time.monotonic() < until
            process.send_signal(number)
            time.sleep(0.05)
        assert process.wait(LONG_S) == -number
    finally:
        process.kill()
        process.wait()
    assert found.fatal is not None and found.fatal.signal == number
    assert found.culprit in (BLOCK, CONV, "")
    assert not found.complete("n1")


def refuse(*calls: int) -> None:
    """A seccomp filter that answers system calls with SIGSYS, as Android's does."""
    load, equal, answer = 0x20, 0x15, 0x06  # BPF: load a word, compare, return
    allow, trap = 0x7FFF0000, 0x00030000
    steps = [(load, 0, 0, 0)]
    for call in calls:
        steps += [(equal, 0, 1, call), (answer, 0, 0, trap)]
    steps += [(answer, 0, 0, allow)]
    program = b"".join(struct.pack("HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(program)
    header = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert libc.prctl(22, 2, header, 0, 0) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


def test_a_refused_system_call_is_named(phone: Phone) -> None:
    call = {"x86_64": 203, "aarch64": 122}[platform.machine()]  # sched_setaffinity
    job = phone.write(replace(phone.job, cores=(0,)))
    status, found = phone.batch(job, preexec_fn=lambda: refuse(call))
    assert status == -signal.SIGSYS
    assert found.fatal is not None and found.fatal.syscall == call
    assert f"refuses the call sched_setaffinity (number {call})" in found.fatal.reason


# Loaded before the runner's first line: a filter that was there earlier would end the C library's own start.
REFUSE_GETRANDOM = """
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
__attribute__((constructor)) static void refuse() {
  struct sock_filter steps[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getrandom, 0, 1),
                                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
                                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog program = {sizeof steps / sizeof *steps, steps};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}
"""


def test_a_run_goes_on_without_a_refused_call_that_it_can_do_without(phone: Phone, tmp_path: Path) -> None:
    """A real filter on the whole program: ONNX Runtime asks for random bytes, and then takes them elsewhere."""
    if os.environ.get(OTHER_RUNNER):
        pytest.skip("a sanitizer has to be the first library loaded")
    shim = tmp_path / "refuse.so"
    compile_it = ["g++", "-shared", "-fPIC", "-x", "c++", "-o", str(shim), "-"]
    subprocess.run(compile_it, input=REFUSE_GETRANDOM.encode(), check=True, timeout=60)
    # where CI is set ONNX Runtime makes no identifier of the installation, and asks for no random bytes
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    environment |= {"LD_PRELOAD": str(shim), "HOME": str(tmp_path)}
    status, found = phone.batch(phone.write(phone.job), env=environment)
    assert status == 0 and found.complete("n1") and not found.failed
    assert found.end is not None and found.end.answered == ("getrandom",)


@dataclass
class Session:
    """`--jobs` at work. number: of the job given last."""

    process: subprocess.Popen[bytes]
    folder: Path
    number: int = 0

    def give(self, data: bytes) -> Records:
        """The records of a job, once its file is gone."""
        self.number += 1
        job = self.folder / f"{self.number}.json"
        job.write_bytes(data[: len(data) // 2])  # what is half there is no job yet
        time.sleep(0.03)
        with job.open("ab") as file:
            file.write(data[len(data) // 2 :])
        until = time.monotonic() + LONG_S
        while job.exists():
            assert time.monotonic() < until and self.process.poll() is None
            time.sleep(0.01)
        return read_records(job.with_suffix(".jsonl").read_bytes())


@pytest.fixture
def session(phone: Phone) -> Iterator[Session]:
    folder = phone.folder / "jobs"
    folder.mkdir()
    process = subprocess.Popen(phone.command("--jobs", str(folder)), stderr=subprocess.DEVNULL)
    yield Session(process, folder)
    process.kill()
    process.wait()


def test_one_process_takes_the_jobs_of_a_folder(phone: Phone, session: Session) -> None:
    first = session.give(phone.job.encoded())
    assert first.complete("n1") and "Running" in repr(first.records)
    second = session.give(replace(phone.job, nonce="n2").encoded())
    assert second.complete("n2") and "Running" not in repr(second.records)  # nothing is loaded again
    assert set(first.loaded) == set(NAMES) and not second.loaded and len(second.cycles) == len(BATCH.cycles)
    assert first.start is not None and second.start is not None and first.start.pid == second.start.pid
    assert [path.name for path in session.folder.glob("1.*")] == ["1.jsonl"]  # is being read, perhaps
    bad = session.give(b"no job\n")
    assert bad.fatal is not None and not bad.end
    assert [path.name for path in session.folder.glob("1.*")] == []
    assert session.give(phone.job.encoded()).complete("n1")


def test_a_job_given_twice_is_run_once(phone: Phone, session: Session) -> None:
    """As a push that is repeated, because nobody knows whether it went through."""
    session.give(phone.job.encoded())
    again = session.folder / "1.json"
    again.write_bytes(phone.job.encoded())
    until = time.monotonic() + LONG_S
    while again.exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    assert len(list(session.folder.glob("*.jsonl"))) == 1
    assert session.give(replace(phone.job, nonce="n2").encoded()).complete("n2")


def test_a_process_ends_with_its_folder(session: Session) -> None:
    session.folder.rmdir()
    assert session.process.wait(LONG_S) == 0


def test_waiting_for_a_job_ends_with_the_job_or_its_process_or_in_time(phone: Phone, tmp_path: Path) -> None:
    job = tmp_path / "1.json"

    def wait(milliseconds: int, size: int = 0) -> float:
        began = time.monotonic()
        options = ["--await", str(job), "--for", str(milliseconds), *(["--bytes", str(size)] if size else [])]
        subprocess.run(phone.command(*options), check=True, timeout=60)
        return time.monotonic() - began

    wait(60_000)  # there is no such job
    job.touch()
    assert wait(300) >= 0.3
    with subprocess.Popen(["true"]) as ended:
        pass
    (tmp_path / "pid").write_text(f"{ended.pid}\n")
    wait(60_000)
    (tmp_path / "pid").write_text(f"{os.getpid()}\n")
    assert wait(300) >= 0.3
    job.with_suffix(".jsonl").write_bytes(b"x" * 99)
    assert wait(300, 100) >= 0.3
    wait(60_000, 99)  # so much is there already
    with job.with_suffix(".jsonl").open("ab") as records, ThreadPoolExecutor() as pool:
        waiting = pool.submit(wait, 60_000, 100)
        time.sleep(0.1)
        assert not waiting.done()
        records.write(b"x")
        records.flush()
        waiting.result(LONG_S)


def test_how_a_job_stands_is_printed_with_its_records(phone: Phone, tmp_path: Path) -> None:
    job, records = tmp_path / "1.json", tmp_path / "1.jsonl"

    def look(offset: int) -> bytes:
        command = phone.command("--await", str(job), "--for", "0", "--from", str(offset))
        return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout

    job.touch()
    assert look(0) == b"0 0 -\n"  # no record yet, and a process that has not said its number
    data = b"".join(b'{"line":%d}\n' % number for number in range(50_000))
    records.write_bytes(data)
    assert look(0) == b"0 0 -\n" + data
    assert look(400_000) == b"0 0 -\n" + data[400_000:]
    assert look(len(data)) == look(len(data) + 9) == b"0 0 -\n"
    with subprocess.Popen(["true"]) as ended:
        pass
    (tmp_path / "pid").write_text(f"{ended.pid}\n")
    (tmp_path / "status").write_text("139\n")
    job.unlink()
    assert look(len(data) - 1) == b"1 1 139\n\n"
    command = phone.command("--await", str(job), "--for", "0", "--from", "0")
    with Path("/dev/full").open("wb") as full:
        assert subprocess.run(command, stdout=full, stderr=subprocess.DEVNULL, timeout=60).returncode == 3


def test_the_core_the_clock_and_what_was_allowed_are_in_the_records(phone: Phone) -> None:
    status, found = phone.batch(phone.write(replace(phone.job, cores=(0,))))
    assert status == 0 and found.start is not None and found.end is not None
    assert set(found.start.allowed) == os.sched_getaffinity(0)
    for record in found.cycles.values():
        assert record.cores == (0,)
        assert record.clock_ns is not None and 0 < record.clock_ns < 1_000_000
    assert found.end.wall_ns > found.end.runtime_ns > 0


def test_the_systems_state_is_told_when_it_was_read(phone: Phone) -> None:
    """It is read every 0.2 s at most, and records that repeat it are long to send and to read."""
    batch = Batch(tuple(Cycle((CONV,), 0, 1, 200, "c") for _ in range(200)), BATCH.canaries)
    status, found = phone.batch(phone.write(replace(phone.job, batch=batch)))
    assert status == 0 and found.end is not None and len(found.cycles) == 200
    states = [state for number in range(200) for r in [found.cycles[number]] for state in (r.before, r.after) if state]
    moments = [state.at_ms for state in states]
    assert found.cycles[0].before is not None and moments == sorted(set(moments))
    assert len(moments) <= 2 + found.end.wall_ns / 200e6


def fuzzed(phone: Phone, data: bytes) -> None:
    path = phone.folder / "fuzzed.json"
    path.write_bytes(data)
    status, found = phone.batch(path)
    assert found.corrupt == 0 and not found.unfinished
    assert status in (0, 1)
    assert isinstance(found.records[-1], Fatal) == (status == 1)
    assert sum(isinstance(record, Fatal) for record in found.records) == status


FUZZ = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@FUZZ
@given(st.binary(max_size=200))
def test_any_bytes_are_a_job_or_one_fatal_record(phone: Phone, data: bytes) -> None:
    fuzzed(phone, data)


@FUZZ
@given(st.data())
def test_a_job_with_any_value_in_it_runs_or_is_one_fatal_record(phone: Phone, data: st.DataObject) -> None:
    artifact = next(a for a in phone.job.artifacts if a.name == OVERHEAD.name)
    batch = Batch((Cycle((OVERHEAD.name,), 0, 0, 2, "c"),), (Canary("c", OVERHEAD.name, 1, 1.1),))
    entry = json.loads(replace(phone.job, artifacts=(artifact,), batch=batch).encoded())
    place: Any = entry
    key: Any = data.draw(st.sampled_from(sorted(entry)))
    while isinstance(place[key], (dict, list)) and place[key] and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
    place[key] = data.draw(VALUES)
    fuzzed(phone, json.dumps(entry).encode())
