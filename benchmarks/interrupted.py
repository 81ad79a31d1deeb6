"""How long a command takes to end after Ctrl-C, in each of its phases: the longest of several, from the key to the end.

    python benchmarks/interrupted.py [--times 5] [--only PHASE]

Each command runs in a pseudo-terminal and gets the key a while after the phase's words are on the screen, each time a
different while. It must end with status 130. Exit status 1 where one does not, or takes longer than LONGEST_S.
"""

from __future__ import annotations

import argparse
import os
import pty
import random
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from _machine import machine

LONGEST_S = 2.0
START_S = 120.0
SPACE = ("--resolution", "96", "--width", "0.35")
SEARCH = ("search", "--lut", "host.csv", *SPACE, "--draws", "40", "--warmup", "1", "--fresh")


@dataclass(frozen=True)
class Phase:
    """A phase of a command.

    seen: what the screen shows in it, a pattern.
    anew: files that are taken away first, so that the phase is gone through.
    waited_s: at most, between the phase's first words and the key; less than the phase takes.
    """

    name: str
    seen: str
    words: tuple[str, ...]
    anew: tuple[str, ...] = ()
    waited_s: float = 1.5


PHASES = (
    Phase("exporting operators", r"exporting: \d", ("profile", *SPACE, "-o", "new.csv"), ("cache", "new.csv")),
    Phase("measuring operators", r"measuring: \d", ("profile", *SPACE, "-o", "again.csv", "--fresh")),
    Phase("timing nets", r"verifying: \d", ("verify", "--lut", "host.csv", "--rounds", "1000", "--nets", "10")),
    Phase("loading PyTorch", "loading PyTorch", (*SEARCH, "-o", "loaded")),
    Phase("searching", "searching", (*SEARCH, "--epochs", "40", "-o", "searched")),
    Phase("ranking", "ranking", (*SEARCH, "--epochs", "2", "-o", "ranked")),
    Phase("training", r"training: \d", ("train", "fbnet_a", "--epochs", "90", "--fresh", "-o", "trained")),
    Phase("exporting a net", r"exporting: \d", ("export", "fbnet_a", "--random-weights", "-o", "made")),
    Phase(
        "testing its files",
        "testing the files",
        ("export", "fbnet_a", "--weights", "one/weights.pt", "-o", "told"),
        waited_s=0.3,
    ),
)


def prepare(folder: Path) -> None:
    """What the phases start from: a LUT, and a net that was trained for an epoch."""
    for words in (
        ("profile", *SPACE, "-o", "host.csv", "--max-rounds", "12"),
        ("train", "fbnet_a", "--epochs", "1", "-o", "one"),
    ):
        subprocess.run([sys.executable, "-m", "lutbench", *words], cwd=folder, check=True, capture_output=True)


def interrupted_s(phase: Phase, folder: Path, waited_s: float) -> float:
    """Seconds from the key to the end of the command; negative where the command ended in another way."""
    for name in phase.anew:
        subprocess.run(["rm", "-rf", str(folder / name)], check=True)
    cache = {"LUTBENCH_CACHE": str(folder / "cache")} if "cache" in phase.anew else {}
    ours, its = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "lutbench", *phase.words],
        stdin=its, stdout=its, stderr=its, cwd=folder, env={**os.environ, **cache}, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as running:  # fmt: skip
        os.close(its)
        shown, began = "", time.monotonic()
        while not re.search(phase.seen, shown):
            shown += _read(ours)
            if running.poll() is not None or time.monotonic() - began > START_S:
                running.kill()
                print(shown[-800:])
                return -1.0
        until = time.monotonic() + waited_s
        while time.monotonic() < until:
            _read(ours)
        pressed = time.monotonic()
        os.killpg(running.pid, signal.SIGINT)  # a terminal sends it to all of its processes
        while running.poll() is None and time.monotonic() - pressed < START_S:
            shown += _read(ours)
        took_s = time.monotonic() - pressed
        running.kill()
    os.close(ours)
    if running.returncode != 130:
        print(f"ended with {running.returncode}: {shown[-800:]}")
        return -1.0
    return took_s


def _read(terminal: int) -> str:
    ready, _, _ = select.select([terminal], [], [], 0.02)
    try:
        return os.read(terminal, 1 << 16).decode(errors="replace") if ready else ""
    except OSError:  # Linux says so that the other side has been closed
        return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--only", default="", help="phases whose name holds this")
    arguments = parser.parse_args()
    rng, failed = random.Random(0), []
    print(f"{machine()}\n\n| phase | longest, s | median, s |\n|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name))
        for phase in PHASES:
            if arguments.only in phase.name:
                took = sorted(
                    interrupted_s(phase, Path(name), rng.uniform(0, phase.waited_s)) for _ in range(arguments.times)
                )
                print(f"| {phase.name} | {took[-1]:.2f} | {took[len(took) // 2]:.2f} |", flush=True)
                if took[0] < 0 or took[-1] > LONGEST_S:
                    failed.append(phase.name)
    sys.exit(f"not within {LONGEST_S:.0f} s: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
