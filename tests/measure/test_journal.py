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
from lutbench.measure.journal import Journal, Record
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
        b"\xff\xfe",
    ],
)
def test_junk_in_the_middle_is_one_error_with_its_line(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "r1.jsonl"
    written(path)
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(JournalError) as caught:
        Journal(path, IDENTITY, CANARIES)
    assert caught.value.line == 11


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
