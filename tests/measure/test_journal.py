from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lutbench.errors import JournalError, LutbenchError, OutputError
from lutbench.measure.journal import Journal
from lutbench.measure.journal_lines import Record, identity_of
from lutbench.measure.protocol import Canary

IDENTITY = {"device": "fake", "dtype": "int8"}
CANARIES = (Canary("canary", "canary", 1, 0.04),)


def record(number: int, operator: str = "op") -> Record:
    return {
        "round": number,
        "operator": operator,
        "depth": 0,
        "ns": [100 + number],
        "canary": "canary",
        "canary_ns": [50],
    }


def written(path: Path, rounds: int = 3) -> None:
    with Journal(path, IDENTITY, CANARIES) as journal:
        for number in range(rounds):
            journal.append([record(number), {"runtime_ns": 10}, {"end": number}])


def test_what_was_appended_is_there_again(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "r1.jsonl"
    written(path)
    with Journal(path, IDENTITY, CANARIES) as journal:
        assert journal.resumed
        assert journal.measurements.round_medians_us("op", 0) == {0: 0.1, 1: 0.101, 2: 0.102}
        assert journal.runtime_ns == 30
        assert journal.measurements.current_round == 3


def test_a_journals_first_line_says_what_it_is_of(tmp_path: Path) -> None:
    path = tmp_path / "r1.jsonl"
    written(path)
    assert identity_of(path) == IDENTITY
    whole = path.read_bytes()
    for damaged in (b"", whole[:20], b"[1]\n", b'{"identity":3}\n', whole.replace(b'"identity"', b'"identitx"', 1)):
        path.write_bytes(damaged)
        assert identity_of(path) == {}


def test_a_new_journal_is_not_a_resumed_one(tmp_path: Path) -> None:
    with Journal(tmp_path / "r1.jsonl", IDENTITY, CANARIES) as journal:
        assert not journal.resumed


def test_failures_and_notes_come_back(tmp_path: Path) -> None:
    path = tmp_path / "r1.jsonl"
    with Journal(path, IDENTITY, CANARIES) as journal:
        journal.append([{"failed": "op", "reason": "crashed"}, {"note": "depth_trials", "value": [1]}])
    with Journal(path, IDENTITY, CANARIES) as journal:
        assert journal.measurements.failures == {"op": "crashed"}
        assert journal.notes == {"depth_trials": [1]}


@given(cut=st.integers(1, 400))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_crash_at_any_byte_loses_only_the_line_it_cut(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "r1.jsonl"
    path.unlink(missing_ok=True)
    written(path)
    data = path.read_bytes()
    path.write_bytes(data[:-cut] if cut < len(data) else b"")
    whole_lines = path.read_bytes().count(b"\n")
    with Journal(path, IDENTITY, CANARIES) as journal:
        journal.append([record(9, "later")])
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert len(lines) == max(1, whole_lines) + 1
    assert lines[-1]["operator"] == "later"


def test_settings_that_differ_are_named(tmp_path: Path) -> None:
    path = tmp_path / "r1.jsonl"
    written(path)
    with pytest.raises(JournalError, match="dtype int8 -> fp32") as caught:
        Journal(path, {**IDENTITY, "dtype": "fp32"}, CANARIES)
    assert "--fresh" in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b"[1, 2]",
        b'{"round": 1, "operator": "op", "depth": 0, "ns": [], "canary": "canary", "canary_ns": []}',
        b'{"round": 1, "operator": "op", "depth": 0, "ns": [-5], "canary": "canary", "canary_ns": [5]}',
        b'{"round": 1, "operator": "op", "depth": 0, "ns": ["x"], "canary": "canary", "canary_ns": [5]}',
        b'{"round": 1, "operator": "op", "ns": [5], "canary": "canary", "canary_ns": [5]}',
        b'{"round": 1, "operator": "op", "depth": 0, "ns": [5], "canary": "another", "canary_ns": [5]}',
        b'{"failed": "op"}',
        b'{"round": 1048577, "operator": "op", "depth": 0, "ns": [5], "canary": "canary", "canary_ns": [5]}',
        b'{"round": 1, "operator": "op", "depth": 99999, "ns": [5], "canary": "canary", "canary_ns": [5]}',
        b'{"round": 1, "operator": "op", "depth": 0, "ns": [5e0], "canary": "canary", "canary_ns": [5]}',
        b'{"end": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b"\0" * 4096,
        b"\xff\xfe",
    ],
)
def test_junk_in_the_middle_costs_itself_and_is_counted(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "r1.jsonl"
    written(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:5], line + b"\n", *lines[5:]]))
    with Journal(path, IDENTITY, CANARIES) as journal:
        assert journal.damaged == 1
        assert journal.problem == f"{path}: 1 of its lines is damaged; left out, and measured again where needed"
        assert journal.measurements.round_medians_us("op", 0) == {0: 0.1, 1: 0.101, 2: 0.102}


def old_journal(path: Path, *records: Record) -> None:
    """As earlier versions wrote them: without checksums."""
    head = {"lutbench_journal": 1, "identity": IDENTITY}
    path.write_text("".join(json.dumps(one) + "\n" for one in (head, *records)))


def test_a_journal_without_checksums_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "r1.jsonl"
    old_journal(path, record(0), {"runtime_ns": 10}, {"runtime_ns": 10}, {"end": 0})
    with Journal(path, IDENTITY, CANARIES) as journal:
        assert (journal.damaged, journal.runtime_ns, journal.problem) == (0, 20, "")
        journal.append([record(1), {"end": 1}])
    with Journal(path, IDENTITY, CANARIES) as journal:
        assert journal.measurements.visits("op", 0) == 2


def test_of_an_old_journal_absurd_rounds_and_repeated_visits_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "r1.jsonl"
    old_journal(
        path, record(0), record(0), {"end": 0}, record(700), {"end": 900}, record(1), {**record(1), "depth": -1}
    )
    with Journal(path, IDENTITY, CANARIES) as journal:
        assert (journal.damaged, journal.repeated) == (3, 1)
        assert journal.problem.startswith(f"{path}: 3 of its lines are damaged and 1 of its lines is there twice;")
        assert journal.measurements.current_round == 1
        assert journal.measurements.round_medians_us("op", 0) == {0: 0.1, 1: 0.101}


def test_a_flipped_digit_is_a_damaged_line_wherever_it_is(tmp_path: Path) -> None:
    path = tmp_path / "r1.jsonl"
    written(path)
    data = path.read_bytes()
    start = data.index(b"\n") + 1
    for place in range(start, len(data)):
        if not data[place : place + 1].isdigit():
            continue
        path.write_bytes(data[:place] + (b"7" if data[place] != ord("7") else b"1") + data[place + 1 :])
        with Journal(path, IDENTITY, CANARIES) as journal:
            assert journal.damaged == 1


def test_lines_that_are_there_twice_are_no_samples(tmp_path: Path) -> None:
    path = tmp_path / "r1.jsonl"
    written(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, *lines[1:]]))
    with Journal(path, IDENTITY, CANARIES) as journal:
        assert (journal.repeated, journal.damaged, journal.runtime_ns) == (9, 0, 30)
        assert journal.measurements.quiet_rounds_ns("op", 0) == {0: [100], 1: [101], 2: [102]}


def test_a_line_of_another_runs_journal_does_not_fit(tmp_path: Path) -> None:
    with Journal(tmp_path / "other.jsonl", {**IDENTITY, "dtype": "fp32"}, CANARIES) as journal:
        journal.append([record(3)])
    path = tmp_path / "r1.jsonl"
    written(path)
    stranger = (tmp_path / "other.jsonl").read_bytes().splitlines(keepends=True)[1]
    path.write_bytes(path.read_bytes() + stranger)
    with Journal(path, IDENTITY, CANARIES) as journal:
        assert journal.damaged == 1
        assert journal.measurements.visits("op", 0) == 3


def test_a_damaged_first_line_does_not_refuse_lines_that_prove_whose_they_are(tmp_path: Path) -> None:
    path = tmp_path / "r1.jsonl"
    written(path)
    path.write_bytes(b"X" + path.read_bytes()[1:])
    with Journal(path, IDENTITY, CANARIES) as journal:
        assert (journal.damaged, journal.measurements.visits("op", 0)) == (1, 3)
        journal.append([record(3)])
    with Journal(path, IDENTITY, CANARIES) as journal:
        assert journal.measurements.visits("op", 0) == 4
    with pytest.raises(JournalError, match="its first line is damaged"):
        Journal(path, {**IDENTITY, "dtype": "fp32"}, CANARIES)


def test_a_pipe_or_a_folder_is_no_journal(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, problem in ((tmp_path / "pipe", "is a pipe"), (tmp_path, "is a folder"), (Path("/dev/zero"), "a device")):
        with pytest.raises(JournalError, match=problem):
            Journal(path, IDENTITY, CANARIES)


@given(st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_a_journal_or_one_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "junk.jsonl"
    path.write_bytes(data)
    with contextlib.suppress(LutbenchError), Journal(path, IDENTITY, CANARIES):
        assert path.read_bytes().endswith(b"\n")  # a whole header at least, whatever was there


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r1.jsonl"
    path.write_text(json.dumps({"lutbench_journal": 99, "identity": IDENTITY}) + "\n")
    with pytest.raises(JournalError, match="schema 99"):
        Journal(path, IDENTITY, CANARIES)


_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from lutbench.errors import OutputError
from lutbench.measure.journal import Journal
from lutbench.measure.protocol import Canary
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
journal = Journal(Path(sys.argv[1]), {"device": "fake", "dtype": "int8"}, [Canary("canary", "canary", 1, 0.04)])
try:
    for number in range(1000):
        sample = {"round": number, "operator": "op", "depth": 0, "ns": [100], "canary": "canary", "canary_ns": [50]}
        journal.append([sample, {"end": number}])
except OutputError as error:
    print(error)
"""


def test_a_full_disk_is_one_error_and_keeps_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "r1.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, str(path)], capture_output=True, text=True, check=True, env=os.environ
    )
    assert "cannot write the journal" in done.stdout
    with Journal(path, IDENTITY, CANARIES) as journal:
        assert journal.measurements.visits("op", 0) > 5


def test_an_unwritable_folder_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write the journal"):
        Journal(tmp_path / "file" / "r1.jsonl", IDENTITY, CANARIES)
