"""The journal: raw samples beside the run, append-only, one JSON line per artifact and round, fsynced per batch.

A killed run goes on from it, and every figure of a LUT can be made again from it.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from lutbench.errors import JournalError, OutputError
from lutbench.measure.measurements import Measurements
from lutbench.measure.protocol import Canary, Failure, Samples

SCHEMA = 1
Record = dict[str, Any]


class Journal:
    """An open journal. Opening reads what is there, cuts off a last line that a crash left half written, and appends.

    identity: what the samples belong to (device, runtime, artifacts ...); a journal of another identity is refused.
    """

    def __init__(self, path: Path, identity: dict[str, Any], canaries: Sequence[Canary]) -> None:
        self.path = path
        self.measurements = Measurements(canaries)
        self.notes: dict[str, Any] = {}  # decisions of the run that a resumed one must not take again
        self.resumed = False
        self.runtime_ns = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            whole = self._load(identity)
            self._file = path.open("ab", buffering=0)
            self._file.truncate(whole)
        except OSError as error:
            raise OutputError(f"cannot write the journal: {error.strerror or error}", path=path) from error
        if whole == 0:
            self._append([{"lutbench_journal": SCHEMA, "identity": identity}])

    def _load(self, identity: dict[str, Any]) -> int:
        """Reads every whole line; returns the byte length of what is whole."""
        if not self.path.exists():
            return 0
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        for number, line in enumerate(data[:whole].splitlines(), start=1):
            record = self._parse(line, number)
            if number == 1:
                self._check_header(record, identity)
            else:
                self._apply(record, number)
        self.resumed = whole > 0 and self.measurements.last_round >= 0
        return whole

    def _parse(self, line: bytes, number: int) -> Record:
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            raise JournalError(
                "not a record of a journal", path=self.path, line=number, remedy="measure anew with --fresh"
            )
        return record

    def _check_header(self, record: Record, identity: dict[str, Any]) -> None:
        if record.get("lutbench_journal") != SCHEMA:
            raise JournalError(
                f"journal of schema {record.get('lutbench_journal')!r}, this version reads {SCHEMA}",
                path=self.path,
                line=1,
                remedy="measure anew with --fresh",
            )
        old = record.get("identity")
        old = old if isinstance(old, dict) else {}
        differing = [key for key in identity if old.get(key) != identity[key]]
        if differing:
            changes = ", ".join(f"{key} {_short(old.get(key))} -> {_short(identity[key])}" for key in differing)
            raise JournalError(
                f"an unfinished run with other settings is here ({changes})",
                path=self.path,
                remedy="repeat its settings to finish it, give another -o, or start anew with --fresh",
            )

    def _apply(self, record: Record, number: int) -> None:
        try:
            if "operator" in record:
                self._apply_samples(record)
            elif "end" in record:
                self.measurements.end(int(record["end"]))
            elif "failed" in record:
                self.measurements.fail(Failure(str(record["failed"]), str(record["reason"])))
            elif "runtime_ns" in record:
                self.runtime_ns += int(record["runtime_ns"])
            elif "note" in record:
                self.notes[str(record["note"])] = record["value"]
        except (KeyError, TypeError, ValueError) as error:
            raise JournalError(
                f"record with a wrong or missing field ({error})",
                path=self.path,
                line=number,
                remedy="measure anew with --fresh",
            ) from error

    def _apply_samples(self, record: Record) -> None:
        durations_ns, canary_ns = (tuple(int(value) for value in record[key]) for key in ("ns", "canary_ns"))
        samples = Samples(str(record["operator"]), int(record["depth"]), str(record["canary"]), durations_ns, canary_ns)
        self.measurements.add(int(record["round"]), samples)

    def append(self, records: Iterable[Record]) -> None:
        """Writes records, on disk when this returns, and applies them to the measurements."""
        records = list(records)
        self._append(records)
        for record in records:
            self._apply(record, 0)

    def _append(self, records: list[Record]) -> None:
        try:
            lines = b"".join(json.dumps(record, separators=(",", ":")).encode() + b"\n" for record in records)
            if self._file.write(lines) != len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file.fileno())
        except OSError as error:
            raise OutputError(
                f"cannot write the journal: {error.strerror or error}",
                path=self.path,
                remedy="what was measured before is kept; free some space and run the same command again",
            ) from error

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 24 else text[:21] + "..."
