"""Plays the README's commands as somebody new would: line by line, in a terminal of a given width.

    .venv/bin/python .ci/play_readme.py --columns 80 --folder DIR [--follow] [--only WORD]
    .venv/bin/python .ci/play_readme.py --columns 100 --folder DIR --again

Each line of the README that begins with `lutbench` is run in a pseudo-terminal, with the short settings of SHORT (they
are options of the commands; of the line itself only PATH, the reader's own, and the nets' variant change). What has to
hold of each:

- it ends with status 0;
- something is on the screen within FIRST_S, or within STARTS times what `lutbench --version` took just before, on a
  machine that is busy;
- no word is torn at the end of a screen's line, no operator's name anywhere, and a command that only reads says the
  same words on the screen as in a pipe;
- in a pipe no line is padded or coloured.

--follow: the commands that are printed as the next ones are run as well.
--again: in a folder that was played in, the commands that only read (READS): whose lines depend most on the width, and
which take seconds where those that measure and train take a quarter of an hour.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import re
import select
import shlex
import shutil
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyte

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lutbench.errors import LutbenchError  # noqa: E402
from lutbench.space.operator import parse_operator  # noqa: E402
from tests.docs_files import SHORT, put_what_readers_have  # noqa: E402
from tests.onnx_models import convolution  # noqa: E402

FIRST_S = 8.0
STARTS = 10
ROWS = 1000  # of the screen: nothing scrolls away
LIMIT_S = 600.0  # of a command
SMALL, VARIANT = ("--resolution", "96", "--width", "0.35"), "@96x0.35"  # of the first profile, and of its nets
OWN_SPACE = ("--space", "my_space.toml")  # for lines that say nothing of the space, but for the first
READS = ("show", "predict", "diff", "nets", "devices")
PIECES = ("ir_", "stem_", "conv_", "fc_", "pool_")  # that operators' names begin with


@dataclass(frozen=True)
class Played:
    """What a command did in a terminal.

    rows: of the screen as it is at the end.
    torn: rows that ended in the middle of a word, at any time.
    first_s: when something was on the screen; start_s: how long the command takes that does nothing.
    """

    words: tuple[str, ...]
    status: int
    rows: tuple[str, ...]
    torn: tuple[str, ...]
    first_s: float
    wall_s: float
    start_s: float

    @property
    def text(self) -> str:
        return "\n".join(self.rows)


def command_lines(page: Path) -> list[tuple[str, ...]]:
    """The words after `lutbench` of each line; what stands behind two blanks or a # says what the line is for."""
    found = re.findall(r"^    lutbench (.*)$", page.read_text(), re.MULTILINE)
    return [tuple(shlex.split(re.split(r"  +|#", line)[0])) for line in found]


def shortened(words: Sequence[str]) -> tuple[str, ...]:
    """A command with its short settings, and with a reader's path in the place of PATH."""
    words = tuple(word.replace("PATH", "photographs") for word in words)
    name = words[0]
    if name == "profile":
        space = SMALL if words[1:] == ("--device", "host") else () if "--space" in words else OWN_SPACE
        return (*words, *space, *SHORT[name])
    if name == "predict":
        return tuple(word + VARIANT if re.fullmatch("fbnet_[a-c]", word) else word for word in words)
    if name == "train" and "photographs" in " ".join(words):
        return (*words, *SHORT["train"], "--resolution", "32", "--batch-size", "8")
    return (*words, *SHORT.get(name, ()))


def torn_rows(rows: Sequence[str], wrapped: Collection[int], columns: int) -> list[str]:
    """Rows that end in the middle of a word, which goes on in the next one.

    wrapped: numbers of the rows that were too long, so that the terminal itself went on in the next one.

    What is to be pasted (a command) or is longer than a row by itself (an address) may: whoever copies it gets it in
    one piece.
    """
    found, line = [], ""
    for number, row in enumerate(rows):
        line += row
        if number not in wrapped:
            line = ""
            continue
        after = rows[number + 1] if number + 1 < len(rows) else ""
        whole = len(row) < columns or not after or after.startswith(" ")  # it ended, or went on, with a blank
        word = line.rsplit(" ", 1)[-1] + after.split(" ", 1)[0]
        if not whole and len(word) <= columns and not line.startswith(("next:  ", "$ lutbench")):
            found.append(row)
    return found


def torn_names(text: str) -> list[str]:
    """Words that begin as an operator's name and are none."""
    words = {word.strip("`'\",;:()[]") for word in text.split()}
    return sorted(word for word in words if word.startswith(PIECES) and not _is_operator(word))


def _is_operator(word: str) -> bool:
    try:
        parse_operator(word)
    except LutbenchError:
        return False
    return True


def next_commands(rows: Sequence[str], columns: int) -> list[tuple[str, ...]]:
    """The commands that a screen names as the next ones; each may go on over rows."""
    found, taking = [], ""
    for row in [*rows, ""]:
        if taking and len(taking) % columns == 0 and row and not row.startswith("next:"):
            taking += row
            continue
        if taking:
            found.append(tuple(shlex.split(taking.removeprefix("next:"))[1:]))
        taking = row if row.startswith("next:  lutbench ") else ""
    return found


class Terminal(pyte.Screen):
    """A screen that knows which of its rows it went on from by itself, for they were full."""

    def __init__(self, columns: int) -> None:
        self.wrapped: set[int] = set()
        self._is_drawing = False
        super().__init__(columns, ROWS)

    def draw(self, data: str) -> None:
        self._is_drawing = True
        super().draw(data)
        self._is_drawing = False

    def linefeed(self) -> None:
        if self._is_drawing:
            self.wrapped.add(self.cursor.y)
        else:
            self.wrapped.discard(self.cursor.y)
        super().linefeed()

    def rows(self) -> tuple[str, ...]:
        """All rows down to the cursor, without the blanks at their ends."""
        return tuple(row.rstrip() for row in self.display[: self.cursor.y + 1])


def play(words: Sequence[str], folder: Path, columns: int) -> Played:
    """Runs a command in a terminal of so many columns."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    screen = Terminal(columns)
    stream = pyte.ByteStream(screen)
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "lutbench", "--version"], check=True, capture_output=True)
    start_s = time.monotonic() - began
    began, first_s, torn = time.monotonic(), 0.0, set()
    command = [sys.executable, "-m", "lutbench", *words]
    with subprocess.Popen(
        command, stdin=its, stdout=its, stderr=its, cwd=folder, env={**environment, "TERM": "xterm-256color"}
    ) as running:
        os.close(its)
        while data := _read(ours, running, began + LIMIT_S):
            first_s = first_s or time.monotonic() - began
            stream.feed(data)
            torn.update(torn_rows(screen.rows(), screen.wrapped, columns))
    os.close(ours)
    rows = screen.rows()
    torn.update(torn_rows(rows, screen.wrapped, columns))
    wall_s = time.monotonic() - began
    return Played(tuple(words), running.returncode, rows, tuple(sorted(torn)), first_s or wall_s, wall_s, start_s)


def _read(terminal: int, running: subprocess.Popen[bytes], until_s: float) -> bytes:
    """What comes next; nothing where the command has ended."""
    while time.monotonic() < until_s:
        ready, _, _ = select.select([terminal], [], [], 0.2)
        try:
            data = os.read(terminal, 1 << 16) if ready else b""
        except OSError:  # Linux says so that the other side has been closed
            return b""
        if data:
            return data
        if running.poll() is not None:
            return b""
    running.kill()
    return b""


def problems_of(played: Played, folder: Path) -> list[str]:
    """What somebody new would stumble over."""
    found = []
    if played.status:
        found.append(f"ended with {played.status}: {played.text[-600:]}")
    if played.first_s > max(FIRST_S, STARTS * played.start_s):
        found.append(f"nothing was said for {played.first_s:.1f} s")
    found += [f"a word is torn: {row!r}" for row in played.torn]
    found += [f"is no operator's name: {word}" for word in torn_names(played.text)]
    if played.words[0] in READS and not played.status:
        found += _piped_problems(played, folder)
    return found


def _piped_problems(played: Played, folder: Path) -> list[str]:
    """The same command into a pipe: the same words, and nothing that only a terminal needs."""
    command = [sys.executable, "-m", "lutbench", *played.words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    lost = {word for word in done.stdout.split() if word.strip("─━")} - set(played.text.split())
    found = [f"the screen lacks {word!r}, which the pipe has" for word in sorted(lost)]
    found += [f"padded in a pipe: {line!r}" for line in done.stdout.splitlines() if line != line.rstrip()]
    return found + (["coloured in a pipe"] if "\x1b" in done.stdout else [])


def put_files(folder: Path) -> None:
    """What the README takes for granted beside what the docs' pages do: a table of nets, a space, photographs."""
    from PIL import Image

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    put_what_readers_have(folder, but="luts/host.csv")
    convolution(folder / "my_model.onnx", ("N", 3, 32, 32))
    for name in ("a.csv", "b.csv"):
        shutil.copy(folder / "luts" / "s8.csv", folder / "luts" / name)
    # a layer less: each whole net that tunes a LUT is an export
    own = (folder / "own.toml").read_text()
    (folder / "my_space.toml").write_text(own.replace("channels = 16\nlayers = 2", "channels = 16\nlayers = 1"))
    published = (ROOT / "lutbench" / "space" / "published_latency.csv").read_text().splitlines()
    head, *rows = [line for line in published if not line.startswith("#")]
    of_one = [row.replace(",s8,", ",phone,") for row in rows if ",s8," in row]
    (folder / "nets.csv").write_text("\n".join([head, *of_one]) + "\n")
    for part, count in (("train", 16), ("val", 8)):
        for kind, shade in (("cat", 60), ("dog", 180)):
            (folder / "photographs" / part / kind).mkdir(parents=True)
            for number in range(count):
                image = Image.new("RGB", (40, 36), (shade, 255 - shade, 8 * number))
                image.save(folder / "photographs" / part / kind / f"{number}.jpg")


def told(played: Played, problems: Iterable[str], prefix: str) -> int:
    """Prints what came of a command; how many problems there are."""
    problems = list(problems)
    line = shlex.join(["lutbench", *played.words])
    print(f"{prefix}first output {played.first_s:4.1f} s, whole {played.wall_s:6.1f} s: {line}", flush=True)
    for problem in problems:
        print(f"    PROBLEM: {problem}", flush=True)
    return len(problems)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--columns", type=int, default=80)
    parser.add_argument("--folder", type=Path, required=True, help="emptied first, but with --again")
    parser.add_argument("--follow", action="store_true", help="run the commands that are printed as the next ones")
    parser.add_argument("--only", help="play the lines alone that hold this word")
    parser.add_argument("--but", action="append", default=[], help="leave out the lines that hold this word")
    parser.add_argument("--keep", type=Path, help="write every screen into this file")
    parser.add_argument("--again", action="store_true", help="play those that read, in a folder that was played in")
    arguments = parser.parse_args()
    if not arguments.again:
        put_files(arguments.folder)
    lines = [line for line in command_lines(ROOT / "README.md") if not arguments.only or arguments.only in line]
    if arguments.again:
        lines = [line for line in lines if line[0] in READS]
    lines = [line for line in lines if not set(arguments.but) & set(line)]
    waiting, seen, problems = [("", shortened(line)) for line in lines], set(), 0
    for prefix, words in waiting:  # which grows by what is printed as next
        if words in seen:
            continue
        seen.add(words)
        played = play(words, arguments.folder, arguments.columns)
        problems += told(played, problems_of(played, arguments.folder), prefix)
        if arguments.keep:
            with arguments.keep.open("a") as file:
                file.write(f"$ {shlex.join(['lutbench', *words])}\n{played.text}\n\n")
        if arguments.follow and not prefix:
            waiting += [("next: ", shortened(command)) for command in next_commands(played.rows, arguments.columns)]
    sys.exit(f"{problems} problems" if problems else 0)


if __name__ == "__main__":
    main()
