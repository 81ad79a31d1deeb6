"""Mutation fuzzing of every reader: `python benchmarks/fuzz.py READER|all [--minutes 10] [--seed 0] [--keep FOLDER]`.

Real files of a kind are changed at random and read. Whatever is raised but a LutbenchError is a finding, so is a read
that takes more than 5 seconds or 2 GiB; the file is kept, its place printed. docs/reference/limits.md has the figures.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import NoReturn

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]  # tests/ has the seeds
from fuzz_mutate import mutated
from fuzz_reader import ROOT
from fuzz_readers import READERS, Reader

from lutbench.errors import LutbenchError
from lutbench.shown import LONGEST_ERROR

LONGEST_S = 5.0
MOST_MEMORY_BYTES = 2 << 30  # beside what the process has before it reads


class TooSlowError(BaseException):
    """A read that took longer than it may; a BaseException, so that nothing on its way takes it for a damaged file."""


@dataclass
class Tally:
    """What became of a reader's files. findings: fault -> the file that showed it first."""

    runs: int = 0
    read: int = 0
    slowest_s: float = 0.0
    findings: dict[str, Path] = field(default_factory=dict)


def fuzz(reader: Reader, seed: int, keep: Path, seconds: float = 600.0, most_runs: int | None = None) -> Tally:
    """Reads mutated files for so many seconds, or so many times; a time of a machine that does other things too."""
    rng = random.Random(f"{reader.name} {seed}")
    tally = Tally()
    end = time.monotonic() + seconds
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name, _bounded_memory():
        folder = Path(name)
        seeds = reader.seeds(folder)
        path = folder / f"input{reader.suffix}"
        while time.monotonic() < end and tally.runs != most_runs:
            data = reader.change(rng, seeds) if reader.change else mutated(rng.choice(seeds), seeds, rng)
            path.unlink(missing_ok=True)
            path.write_bytes(data)
            tally.runs += 1
            if fault := _fault(reader, path, tally):
                _note(reader, fault, data, keep, tally)
    return tally


def _fault(reader: Reader, path: Path, tally: Tally) -> str:
    """What was wrong with how a file was read; "" where it was read or refused as it should be."""
    began = time.monotonic()
    try:
        with _limited_time():
            reader.read(path)
        tally.read += 1
    except LutbenchError as error:
        text = str(error)
        if "\n" in text or len(text) > LONGEST_ERROR:
            return f"an error that is no line: {len(text)} characters, {text.count(chr(10))} line ends"
    except TooSlowError as error:
        return f"more than {LONGEST_S:.0f} s at {_where(error)}"
    except (Exception, RecursionError) as error:  # noqa: BLE001 - that is what is looked for
        return f"{type(error).__name__} at {_where(error)}: {str(error)[:100]}"
    finally:
        tally.slowest_s = max(tally.slowest_s, time.monotonic() - began)
    return ""


def _where(error: BaseException) -> str:
    """The last place in lutbench that the error came by."""
    own = [str(ROOT / folder) for folder in ("lutbench", "device_agents", "search")]
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(tuple(own))]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"


def _note(reader: Reader, fault: str, data: bytes, keep: Path, tally: Tally) -> None:
    kind = fault.split(": ")[0]
    if kind in tally.findings:
        return
    keep.mkdir(parents=True, exist_ok=True)
    path = keep / f"{reader.name}-{hashlib.sha256(data).hexdigest()[:12]}{reader.suffix}"
    path.write_bytes(data)
    tally.findings[kind] = path
    print(f"{reader.name}: {fault}\n    kept: {path}", flush=True)


def _too_slow(_number: int, _frame: FrameType | None) -> NoReturn:
    raise TooSlowError


@contextlib.contextmanager
def _limited_time() -> Iterator[None]:
    """Of this process's own computing, so that a busy machine is no finding; waiting ends at ten times as much."""
    before = signal.signal(signal.SIGVTALRM, _too_slow), signal.signal(signal.SIGALRM, _too_slow)
    signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST_S)
    signal.setitimer(signal.ITIMER_REAL, 10 * LONGEST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGVTALRM, before[0])
        signal.signal(signal.SIGALRM, before[1])


@contextlib.contextmanager
def _bounded_memory() -> Iterator[None]:
    own = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (own + MOST_MEMORY_BYTES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reader", choices=[*READERS, "all"])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    found = 0
    for name in READERS if arguments.reader == "all" else [arguments.reader]:
        tally = fuzz(READERS[name], arguments.seed, arguments.keep, 60 * arguments.minutes)
        found += len(tally.findings)
        print(
            f"| {name} | {tally.runs:,} | {tally.read:,} | {tally.slowest_s:.2f} s | {len(tally.findings)} |",
            flush=True,
        )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
