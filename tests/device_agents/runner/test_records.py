"""Records, whole and damaged."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutbench.device_agents.runner.records import (
    CorruptRecordError,
    CycleRecord,
    End,
    FailedRecord,
    Fatal,
    LoadedRecord,
    Running,
    Start,
    parse_record,
    read_records,
)
from lutbench.errors import LutbenchError
from lutbench.measure.protocol import Batch, Canary, Cycle, Failure, Samples, Spent

STATE = {"at_ms": 3, "temperature_mc": {"cpu": -35200}, "khz": {"0": 2841600}}
OUTPUT = {"sha256": "ab", "mean": 1.5, "rms": None, "size": 4, "sketch": [1, 2, 3, 4.5]}
START = {"start": "n", "runner": "1", "runtime": "onnxruntime 1", "abi": "x", "pid": 4, "cores": [0, 3], "threads": 1}
RECORDS: list[dict[str, Any]] = [
    START,
    {"running": "a"},
    {"loaded": "a", "first_ns": 5, "output": OUTPUT},
    {"running": "b"},
    {"failed": "b", "reason": "no\nkernel"},
    {"cycle": 0, "ns": [[7, 8]], "canary_ns": [2, 3], "before": STATE, "after": STATE},
    {"cycle": 1, "failed": "a", "reason": "out of luck"},
    {"end": "n", "runtime_ns": 20, "records": 7},
]
BATCH = Batch((Cycle(("a",), 0, 1, 2, "c"), Cycle(("a",), 0, 1, 2, "c")), (Canary("c", "a", 1, 1.1),))


def line(entry: object) -> bytes:
    text = json.dumps(entry).encode()
    return text + b"\t%08x\n" % zlib.crc32(text)


def lines(entries: list[dict[str, Any]]) -> bytes:
    return b"".join(map(line, entries))


def test_every_kind_is_read() -> None:
    kinds = [type(parse_record(line(entry))) for entry in RECORDS]
    assert kinds == [Start, Running, LoadedRecord, Running, FailedRecord, CycleRecord, FailedRecord, End]
    cycle = {**RECORDS[5], "clock_ns": 40, "cores": [1, 0]}
    assert parse_record(line(cycle)) == replace(parse_record(line(RECORDS[5])), clock_ns=40, cores=(0, 1))  # type: ignore[type-var]
    end = {**RECORDS[7], "wall_ns": 30, "answered": ["rseq"]}
    assert parse_record(line(end)) == End("n", 20, 7, 30, ("rseq",))
    start = parse_record(line({**START, "allowed": [0, 1]}))
    assert isinstance(start, Start) and start.allowed == (0, 1)
    fatal = parse_record(line({"fatal": "SIGSEGV", "signal": 11, "running": "a"}))
    assert fatal == Fatal("SIGSEGV", None, 11, "a")
    assert parse_record(line({"fatal": "refused", "syscall": 435})) == Fatal("refused", 435, None, None)


def test_a_state_is_there_once() -> None:
    """What the phone's state is has not been read anew where a cycle's record leaves it out."""
    cycle = {"cycle": 1, "ns": [[7, 8]], "canary_ns": [2, 3]}
    silent, after = parse_record(line(cycle)), parse_record(line({**cycle, "after": STATE}))
    assert isinstance(silent, CycleRecord) and isinstance(after, CycleRecord)
    assert (silent.before, silent.after, after.before) == (None, None, None)
    assert after.after is not None and after.after.temperature_mc == {"cpu": -35200}


def test_a_whole_file_becomes_the_batchs_outcomes() -> None:
    found = read_records(lines(RECORDS))
    assert found.complete("n") and not found.complete("m")
    assert found.start is not None and found.start.cores == (0, 3)
    assert found.loaded["a"].first_ns == 5
    assert list(found.outcomes(BATCH)) == [
        Failure("b", "no kernel"),
        Failure("a", "out of luck"),
        Samples("a", 0, "c", (7, 8), (2, 3)),
        Spent(20),
    ]


@pytest.mark.parametrize("missing", range(len(RECORDS)))
def test_a_file_that_lacks_a_line_is_not_complete(missing: int) -> None:
    found = read_records(lines(RECORDS[:missing] + RECORDS[missing + 1 :]))
    assert not found.complete("n")
    assert found.corrupt == 0


@pytest.mark.parametrize("number", range(len(RECORDS)))
def test_a_damaged_line_is_counted_and_the_others_are_read(number: int) -> None:
    damaged = [line(entry) for entry in RECORDS]
    damaged[number] = damaged[number].replace(b"a", b"b", 1)
    found = read_records(b"".join(damaged))
    assert (found.corrupt, len(found.records)) == (1, len(RECORDS) - 1)
    assert not found.complete("n")


def test_a_line_that_is_cut_short_is_unfinished_and_not_read() -> None:
    data = lines(RECORDS)
    found = read_records(data[:-1])
    assert found.unfinished and found.end is None and found.corrupt == 0
    assert list(found.outcomes(BATCH)) == list(read_records(lines(RECORDS[:-1])).outcomes(BATCH))


def test_who_was_running_when_the_runner_died() -> None:
    assert read_records(lines(RECORDS[:4])).culprit == "b"
    assert read_records(lines(RECORDS[:3])).culprit == ""
    assert read_records(lines([*RECORDS[:6], {"fatal": "SIGSEGV", "signal": 11, "running": "a"}])).culprit == "a"


@pytest.mark.parametrize(
    "entry",
    [
        {},
        [],
        None,
        {"cycle": 0},
        {"cycle": -1, "ns": [[1]], "canary_ns": [1], "before": STATE, "after": STATE},
        {"cycle": 0, "ns": [[0]], "canary_ns": [1], "before": STATE, "after": STATE},
        {"cycle": 0, "ns": [[1.5]], "canary_ns": [1], "before": STATE, "after": STATE},
        {"cycle": 0, "ns": [[True]], "canary_ns": [1], "before": STATE, "after": STATE},
        {"cycle": 0, "ns": [[1, 2]], "canary_ns": [1], "before": STATE, "after": STATE},
        {"cycle": 0, "ns": [], "canary_ns": [], "before": STATE, "after": STATE},
        {"cycle": 0, "ns": [[1]], "canary_ns": [1], "before": None},
        {"cycle": 0, "ns": [[1]], "canary_ns": [1], "before": [], "after": STATE},
        {"loaded": "a", "first_ns": "5"},
        {"loaded": "a", "first_ns": 5, "output": {**OUTPUT, "sketch": [1]}},
        {"loaded": 7, "first_ns": 5},
        {"end": "n", "runtime_ns": 1 << 70, "records": 1},
    ],
)
def test_a_line_with_the_right_sum_and_the_wrong_content_is_corrupt(entry: object) -> None:
    with pytest.raises(CorruptRecordError):
        parse_record(line(entry))


@pytest.mark.parametrize("change", [{"cycle": 2}, {"ns": [[7, 8], [7, 8]]}, {"ns": [[7]], "canary_ns": [2]}])
def test_a_cycle_that_is_not_the_batchs_is_no_measurement(change: Mapping[str, Any]) -> None:
    found = read_records(lines([START, {**RECORDS[5], **change}]))
    with pytest.raises(CorruptRecordError):
        list(found.outcomes(BATCH))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(RECORDS), st.data())
def test_any_value_in_a_record_is_read_or_corrupt(entry: dict[str, Any], data: st.DataObject) -> None:
    changed = dict(entry)
    changed[data.draw(st.sampled_from(sorted(entry)))] = data.draw(VALUES)
    found = read_records(lines([changed]))
    assert len(found.records) + found.corrupt == 1
    try:
        list(found.outcomes(BATCH))
    except LutbenchError as error:
        assert "\n" not in str(error)


@given(st.binary())
def test_any_bytes_are_read_as_no_record(data: bytes) -> None:
    found = read_records(data)
    assert not found.records
    assert found.corrupt == data.count(b"\n")


@given(st.data())
def test_a_changed_byte_never_makes_another_record(data: st.DataObject) -> None:
    whole = lines(RECORDS)
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:place] + bytes([whole[place] ^ data.draw(st.integers(1, 255))]) + whole[place + 1 :]
    found = read_records(changed)
    assert not found.complete("n")
    assert set(map(repr, found.records)) <= set(map(repr, read_records(whole).records))
