"""The journal: raw samples beside the run, append-only, one JSON line per artifact and round, fsynced per batch.

A killed run goes on from it, and every figure of a LUT can be made again from it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lutbench.closing import Closing
from lutbench.errors import JournalError
from lutbench.files import cannot_write
from lutbench.locks import lock_open_file
from lutbench.measure.journal_lines import Record, opened, sealed, seed_of, whole_lines
from lutbench.measure.measurements import Measurements
from lutbench.measure.protocol import Canary, Failure, Samples
from lutbench.reading.files import check_regular, is_there
from lutbench.reading.kinds import JOURNAL
from lutbench.reading.plain import show

SCHEMA = 1
_NUMBER = "line"  # the key of a line's number, from 0
_MOST_ROUNDS = 1 << 20
_DEEPEST = 4096  # of the context; the search for it goes up to some dozens
_LONGEST_NS = 10 * 365 * 86_400 * 10**9


class Journal(Closing):
    """An open journal. Opening reads what is there, cuts off a last line that a crash left half written, and appends.

    It is locked as long as it is open: two runs would measure the same twice. OutputError where another run has it.

    identity: what the samples belong to (device, runtime, artifacts ...); a journal of another identity is refused.
    """

    def __init__(self, path: Path, identity: dict[str, Any], canaries: Sequence[Canary]) -> None:
        self.path = path
        self.measurements = Measurements(canaries)
        self.notes: dict[str, Any] = {}  # decisions of the run that a resumed one must not take again
        self.resumed = False
        self.runtime_ns = 0
        self.damaged = self.repeated = 0  # lines that were left out
        self._seen: set[int] = set()
        self._lines = 0
        self._may_lack_seals = self._lacks_header = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if is_there(path):
                check_regular(path, JOURNAL)  # a pipe would not open
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise cannot_write(error, path, "cannot write the journal") from error
        try:
            self._begin(identity)
        except BaseException:
            self._file.close()
            raise

    def _begin(self, identity: dict[str, Any]) -> None:
        lock_open_file(self._file.fileno(), self.path)
        whole = self._load(identity)
        try:
            self._file.truncate(whole)
        except OSError as error:
            raise cannot_write(error, self.path, "cannot write the journal") from error
        if whole == 0:
            self._append([{"lutbench_journal": SCHEMA, "identity": identity}])

    def _load(self, identity: dict[str, Any]) -> int:
        """Reads every whole line, leaving out what is damaged or there twice; returns the byte length of what is whole.

        JournalError where the journal is another run's, or does not say whose it is.
        """
        self._seed = seed_of(identity)
        whole = proven = 0
        if not is_there(self.path):
            return 0
        for number, (line, end) in enumerate(whole_lines(self.path), start=1):
            whole, self._lines = end, number
            if number == 1:
                self._load_header(line, identity)
                continue
            record, has_seal = opened(line, self._seed)
            proven += has_seal
            if record is None or not (has_seal or self._may_lack_seals):
                self.damaged += 1
            else:
                self._load_record(record, number, line)
        if self._lacks_header and whole and not proven:
            raise JournalError(
                "not a journal, or its first line is damaged", path=self.path, line=1,
                remedy="measure anew with --fresh",
            )  # fmt: skip
        self.resumed = whole > 0 and self.measurements.last_round >= 0
        return whole

    def _load_header(self, line: bytes, identity: dict[str, Any]) -> None:
        record, has_seal = opened(line, 0)
        self._lacks_header = record is None
        if record is None:  # the other lines may still prove whose they are
            self.damaged += 1
            return
        self._check_header(record, identity)
        self._seed = seed_of(record["identity"])
        self._may_lack_seals = not has_seal

    def _load_record(self, record: Record, number: int, line: bytes) -> None:
        try:
            if self._is_repeated(record, line):
                self.repeated += 1
            else:
                self._apply(record, number)
        except (KeyError, TypeError, ValueError):
            self.damaged += 1

    def _is_repeated(self, record: Record, line: bytes) -> bool:
        """Whether it is there already: lines are numbered, and an artifact has one visit in a round."""
        if _NUMBER in record:
            digest, before = hash(line), len(self._seen)
            self._seen.add(digest)
            if len(self._seen) == before:
                return True
        return "operator" in record and self.measurements.has(record["round"], record["operator"], record["depth"])

    @property
    def problem(self) -> str:
        """What of the journal was left out, as a sentence; "" where nothing was."""
        parts = [
            f"{count} of its lines {'is' if count == 1 else 'are'} {what}"
            for count, what in ((self.damaged, "damaged"), (self.repeated, "there twice"))
            if count
        ]
        return f"{self.path}: {' and '.join(parts)}; left out, and measured again where needed" if parts else ""

    def _check_header(self, record: Record, identity: dict[str, Any]) -> None:
        if record.get("lutbench_journal") != SCHEMA:
            raise JournalError(
                f"journal of schema {show(record.get('lutbench_journal'))}, this version reads {SCHEMA}",
                path=self.path,
                line=1,
                remedy="measure anew with --fresh",
            )
        old = record.get("identity")
        if not isinstance(old, dict):
            raise JournalError(
                "its first line names no run", path=self.path, line=1, remedy="measure anew with --fresh"
            )
        differing = [key for key in identity if old.get(key) != identity[key]]
        if differing:
            changes = ", ".join(f"{key} {_short(old.get(key))} -> {_short(identity[key])}" for key in differing)
            raise JournalError(
                f"an unfinished run with other settings is here ({changes})",
                path=self.path,
                remedy="repeat its settings to finish it, give another -o, or start anew with --fresh",
            )

    def _apply(self, record: Record, most_rounds: int) -> None:
        """KeyError, TypeError or ValueError where the record is none.

        most_rounds: that there can have been by now.
        """
        if "operator" in record:
            self._apply_samples(record, most_rounds)
        elif "end" in record:
            self.measurements.end(_whole(record["end"], most_rounds))
        elif "failed" in record:
            self.measurements.fail(Failure(_text(record["failed"]), _text(record["reason"])))
        elif "runtime_ns" in record:
            self.runtime_ns += _whole(record["runtime_ns"], _LONGEST_NS)
        elif "note" in record:
            self.notes[_text(record["note"])] = record["value"]
        else:
            raise ValueError("a record of no known kind")

    def _apply_samples(self, record: Record, most_rounds: int) -> None:
        durations_ns, canary_ns = (_whole_numbers(record[key], _LONGEST_NS) for key in ("ns", "canary_ns"))
        depth = _whole(record["depth"], _DEEPEST)
        samples = Samples(_text(record["operator"]), depth, _text(record["canary"]), durations_ns, canary_ns)
        self.measurements.add(_whole(record["round"], most_rounds), samples)

    def append(self, records: Iterable[Record]) -> None:
        """Writes records, on disk when this returns, and applies them to the measurements."""
        records = list(records)
        self._append(records)
        for record in records:
            self._apply(record, _MOST_ROUNDS)

    def _append(self, records: list[Record]) -> None:
        try:
            lines = b"".join(
                sealed({**record, _NUMBER: self._lines + n}, self._seed if self._lines + n else 0)
                for n, record in enumerate(records)
            )
            if self._file.write(lines) != len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._lines += len(records)
            os.fsync(self._file.fileno())
        except OSError as error:
            remedy = "what was measured before is kept; free some space and run the same command again"
            raise cannot_write(error, self.path, "cannot write the journal", remedy) from error

    def close(self) -> None:
        self._file.close()


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else show(value)
    return text if len(text) <= 24 else text[:21] + "..."


def _whole(value: Any, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(f"{show(value)} is not a whole number from 0 to {most}")
    return value


def _whole_numbers(values: Any, most: int) -> tuple[int, ...]:
    """_whole of each of a list."""
    if not isinstance(values, list):
        raise TypeError(f"{show(values)} is not a list")
    is_plain = set(map(type, values)) == {int} and min(values) >= 0 and max(values) <= most
    return tuple(values) if is_plain else tuple(_whole(value, most) for value in values)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{show(value)} is not text")
    return value
