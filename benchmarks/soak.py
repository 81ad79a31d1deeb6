"""Random kills, signals, full disks and closed streams over the commands that take long, and what is left checked.

    python benchmarks/soak.py --cases 200 --folder /tmp/soak      run again: goes on with the cases that are left
    python benchmarks/soak.py --part 0/2 & python benchmarks/soak.py --part 1/2      two at once; --cases 0: the table

Each case runs a command in a folder of its own, does to it what its number says, at a moment that its number says, and
runs the same command again, which has to finish. Then every journal, LUT, checkpoint and file is read. A full disk is a
small tmpfs, for which root is needed; elsewhere those cases are left out, and the table says so.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from _machine import machine
from soak_checks import journals, wrong_files, wrong_journals

from lutbench.space.architecture import Architecture, write_architecture
from lutbench.space.file import parse_space
from lutbench.space.sampling import random_nets

MARK = "LUTBENCH_SOAK"  # in the environment of every process of a case
DISK_MIB = 24
LIMIT_S = 400.0
LEFT_OVER_S = 8.0  # how long after the command a process of it may take to end
SPACE = """\
name = "tiny"
resolution = 32
classes = 10
candidates = ["k3_e1", "k3_e2_g2", "k5_e2", "skip"]
stem = { channels = 8 }
head = { channels = 32 }
stage = [{ channels = 8, layers = 2 }, { channels = 16, layers = 2, stride = 2 }]
"""
COMMANDS: dict[str, list[str]] = {
    "profile": ["profile", "--space", "tiny.toml", "-o", "out.csv", "--max-rounds", "24", "--target", "0.01"],
    "verify": ["verify", "--lut", "made.csv", "--nets", "6", "--rounds", "8"],
    "bench": ["bench", "net.json", "-o", "bench.csv", "--max-rounds", "16", "--target", "0.005"],
    "search": [
        *("search", "--lut", "made.csv", "-o", "searched", "--epochs", "2", "--warmup", "1", "--batch-size", "256"),
        *("--nets", "1", "--draws", "2", "--rounds", "1", "--views", "1"),
    ],
    "train": ["train", "net.json", "-o", "trained", "--epochs", "2", "--batch-size", "256"],
    "export": ["export", "net.json", "--random-weights", "-o", "exported"],
}
LEFT = {  # what would let the second undisturbed run go on from the first
    "profile": ["out.journal"], "verify": ["made.journal"], "bench": ["bench.journal"], "search": ["searched"],
    "train": ["trained"], "export": ["exported"],
}  # fmt: skip
SIGNALS = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}
STREAMS = {
    "no stdout": ">&-",
    "no stderr": "2>&-",
    "full streams": ">/dev/full 2>/dev/full",
    "no reader": "2>&1 | true",
}
KILLS = ("kill the parent", "kill a child", "kill the group")
FAULTS = (*KILLS, *KILLS, *SIGNALS, "SIGTERM twice", "full disk", "full disk", *STREAMS)


@dataclass
class Case:
    """What is done to which command, and what came of it. delay_share: of the time that the command usually takes."""

    number: int
    command: str
    fault: str
    cold: bool
    delay_share: float
    status: int | None = None
    again: int | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        return f"{self.command} {'cold' if self.cold else 'warm'}"

    @classmethod
    def numbered(cls, number: int, seed: int) -> Case:
        rng = random.Random(f"{seed} {number}")
        command = list(COMMANDS)[number % len(COMMANDS)]
        cold = command in ("profile", "verify", "bench") and rng.random() < 0.35
        return cls(number, command, rng.choice(FAULTS), cold, rng.random())


class Soak:
    def __init__(self, folder: Path) -> None:
        """folder: of one part."""
        self.folder = folder
        self.made = folder / "made"
        self.usual_s: dict[str, float] = {}

    def prepare(self) -> None:
        """A LUT, a full cache, and how long each command takes undisturbed with an empty cache and with a full one."""
        times = self.made / "times.json"
        if times.exists():
            self.usual_s = json.loads(times.read_text())
            return
        shutil.rmtree(self.made, ignore_errors=True)
        self.made.mkdir(parents=True)
        (self.made / "tiny.toml").write_text(SPACE)
        (net,) = random_nets(parse_space(SPACE, Path("tiny.toml")), 1, 0, "soak")
        write_architecture(Architecture(net, {}, 0, SPACE), self.made / "net.json")
        for command, cold in [(command, cold) for cold in (True, False) for command in COMMANDS]:
            case = Case(-1, command, "", cold, 0.0)
            process, began = self.start(case, self.made, ""), time.monotonic()
            if process.wait(LIMIT_S) != 0:
                raise SystemExit(f"{command} does not run undisturbed: {(self.made / 'log').read_text()}")
            self.usual_s[case.kind] = time.monotonic() - began
            if case.kind == "profile cold":
                shutil.copy(self.made / "out.csv", self.made / "made.csv")
            for name in LEFT[command]:
                shutil.rmtree(self.made / name, ignore_errors=True)
        times.write_text(json.dumps(self.usual_s))

    def start(self, case: Case, folder: Path, redirected: str) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "lutbench", *COMMANDS[case.command]]
        environment = {**os.environ, MARK: str(case.number), "LUTBENCH_CACHE": str(folder / "cache")}
        environment |= {"LUTBENCH_LOCKS": str(self.folder / "locks")}
        with (folder.parent / f"{folder.name}.log" if folder != self.made else folder / "log").open("ab") as log:
            line = " ".join(f"'{word}'" for word in words) + f" {redirected}; exit ${{PIPESTATUS[0]}}"
            command = ["bash", "-c", line] if redirected else words
            return subprocess.Popen(
                command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def run(self, case: Case) -> None:
        log = self.folder / "case.log"
        log.write_bytes(b"")
        with case_folder(self.folder / "case", full=case.fault == "full disk") as folder:
            for name in ("tiny.toml", "net.json", "made.csv"):
                shutil.copy(self.made / name, folder)
            if not case.cold:
                shutil.copytree(self.made / "cache" / "artifacts", folder / "cache" / "artifacts")
            process = self.start(case, folder, STREAMS.get(case.fault, ""))
            do_fault(case, process, case.delay_share * self.usual_s[case.kind], folder)
            case.status = ended(process, case)
            case.problems += left_over(case)
            before = journals(folder)
            case.problems += [*wrong_status(case), *wrong_log(log)]
            (folder / "filler").unlink(missing_ok=True)
            case.again = ended(self.start(case, folder, ""), case)
            if case.again != 0:
                case.problems.append(f"run again, it exits with {case.again}: {last_line(log)}")
            case.problems += [*wrong_log(log), *left_over(case), *wrong_journals(folder, before), *wrong_files(folder)]


@contextlib.contextmanager
def case_folder(folder: Path, full: bool) -> Iterator[Path]:
    """An empty folder; full: on a disk of its own, which is small."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if full:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "none", str(folder)], check=True)
    try:
        yield folder
    finally:
        if full:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def do_fault(case: Case, process: subprocess.Popen[bytes], delay_s: float, folder: Path) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        if case.fault not in STREAMS:
            process.wait(delay_s)
    if case.fault in STREAMS or process.poll() is not None:
        return
    if case.fault == "full disk":
        fill(folder)
    elif case.fault == "kill a child":
        children = [pid for pid in processes_of(case) if pid != process.pid]
        if children:
            kill(random.Random(case.number).choice(children))
    elif case.fault == "kill the group":
        os.killpg(process.pid, signal.SIGKILL)
    elif case.fault == "kill the parent":
        process.kill()
    else:
        process.send_signal(signal.Signals[case.fault.split()[0]])
        if case.fault.endswith("twice"):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(2 * case.delay_share)
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)


def fill(folder: Path) -> None:
    with (folder / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"\0" * 4096):
            pass


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def ended(process: subprocess.Popen[bytes], case: Case) -> int | None:
    try:
        return process.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        case.problems.append(f"it hangs: not ended after {LIMIT_S:.0f} s")
        for pid in processes_of(case):
            kill(pid)
        return process.wait()


def processes_of(case: Case) -> list[int]:
    """By the mark in their environment; zombies are not among them."""
    mark = f"{MARK}={case.number}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def left_over(case: Case) -> list[str]:
    deadline = time.monotonic() + LEFT_OVER_S
    while found := processes_of(case):
        if time.monotonic() > deadline:
            names = [Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()[:90] for pid in found]
            for pid in found:
                kill(pid)
            return [f"processes are left over: {names}"]
        time.sleep(0.05)
    return []


def wrong_status(case: Case) -> list[str]:
    """A run that was over before its fault exits with 0 whatever the fault."""
    allowed = {0}
    if case.fault in ("kill the parent", "kill the group"):
        allowed.add(-signal.SIGKILL)
    elif case.fault == "kill a child":
        allowed |= {1, 3, 4} if case.command in ("search", "train") else set()
    elif case.fault == "full disk":
        allowed.add(2)
    elif case.fault in STREAMS:
        allowed = {"no reader": {0, 141}, "full streams": {2}}.get(case.fault, {0})
    else:  # before its handlers stand a signal ends Python itself
        number = signal.Signals[case.fault.split()[0]]
        allowed |= {SIGNALS[number.name], -number}
    return [] if case.status in allowed else [f"exit status {case.status}"]


def wrong_log(log: Path) -> list[str]:
    text = log.read_text(errors="replace")
    early = text.count("site.py") or text.count("importlib._bootstrap")  # a signal while Python itself starts
    return [f"a traceback: {last_line(log)}"] if "Traceback" in text and not early else []


def last_line(log: Path) -> str:
    return (log.read_text(errors="replace").strip().splitlines() or [""])[-1][:200]


def table(cases: list[Case]) -> str:
    """Markdown: per command how many cases of each kind, and how many went wrong."""
    kinds: dict[str, str] = {name: name for name in KILLS} | dict.fromkeys(STREAMS, "closed or full streams")
    kinds |= dict.fromkeys([*SIGNALS, "SIGTERM twice"], "signals") | {"full disk": "full disk"}
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for case in cases:
        counted[case.command][kinds[case.fault]] += 1
    columns = list(dict.fromkeys(kinds.values()))
    lines = [f"| command | {' | '.join(columns)} | cases | gone wrong |", "|---" * (len(columns) + 3) + "|"]
    for command in COMMANDS:
        wrong = sum(bool(case.problems) for case in cases if case.command == command)
        cells = [counted[command][column] for column in columns]
        lines.append(f"| {command} | {' | '.join(map(str, cells))} | {sum(cells)} | {wrong} |")
    return "\n".join(lines)


def part(text: str) -> tuple[int, int]:
    index, _, count = text.partition("/")
    if not (index.isdigit() and count.isdigit() and int(index) < int(count)):
        raise argparse.ArgumentTypeError("such as 0/2 and 1/2")
    return int(index), int(count)


def read_cases(folder: Path) -> list[Case]:
    """Of all parts, by number."""
    lines = [line for path in sorted(folder.glob("part-*/cases.jsonl")) for line in path.open()]
    return sorted((Case(**json.loads(line)) for line in lines), key=lambda case: case.number)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("soak"))
    parser.add_argument("--minutes", type=float, default=1e9, help="Stop after so many; run again to go on.")
    parser.add_argument("--part", type=part, default=(0, 1), help="I/N: the cases whose number is I modulo N.")
    options = parser.parse_args()
    folder, (index, count) = options.folder.resolve(), options.part
    soak, until = Soak(folder / f"part-{index}"), time.monotonic() + 60 * options.minutes
    done = {case.number for case in read_cases(folder)}
    numbers = [number for number in range(index, options.cases, count) if number not in done]
    if numbers:
        soak.prepare()
    for number in numbers:
        if time.monotonic() > until:
            break
        case = Case.numbered(number, options.seed)
        if case.fault == "full disk" and os.geteuid() != 0:
            case.fault = "kill a child"
        soak.run(case)
        with (soak.folder / "cases.jsonl").open("a") as file:
            file.write(json.dumps(asdict(case)) + "\n")
        print(f"{number} {case.command} {case.fault}: {case.status}, {case.again} {case.problems or ''}", flush=True)
    print(f"{machine()}\n\n{table(read_cases(folder))}")
    if os.geteuid() != 0:
        print("\nfull disks were left out: a small file system can be mounted by root only")


if __name__ == "__main__":
    main()
