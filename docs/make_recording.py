"""Draws docs/pictures/profile.svg: a recording of `lutbench profile` as it runs in a terminal of this machine.

    python docs/make_recording.py [--keep FILE.cast]

The command runs in a pseudo-terminal, in an empty folder. What it writes and when is kept as an asciicast (version 2),
which `asciinema play` shows too, and drawn as an SVG that moves. It plays faster than the command ran where that took
longer than LENGTH_S; nothing else is changed. Readers who ask their system for less motion see the end alone.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from fcntl import ioctl
from html import escape
from pathlib import Path
from termios import TIOCSWINSZ

from rich.text import Text

COMMAND = ("lutbench", "profile", "--resolution", "96", "--width", "0.35", "--max-rounds", "40", "-o", "luts/host.csv")
COLUMNS, ROWS = 88, 22
LENGTH_S, HELD_S, FRAME_S = 20.0, 6.0, 0.4
CELL = (8.4, 18)  # of a character, pixels
# what the program writes besides text, line ends and colours: the cursor's moves up, and lines that are cleared
MOVE = re.compile(
    r"\x1b\[(?:(?P<up>\d*)A|(?P<clear>2K)|\?25[lh])|(?P<home>\r)|(?P<end>\n)|(?P<link>\x1b\]8;[^\x1b]*\x1b\\)"
)
Event = tuple[float, str]


def record(folder: Path) -> list[Event]:
    """Run the command in a pseudo-terminal; what it wrote, and after how many seconds."""
    ours, its = pty.openpty()
    ioctl(its, TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(ROWS)}
    command = [sys.executable, "-m", *COMMAND]
    started, events = time.monotonic(), [(0.0, f"\x1b[1;92m$ {' '.join(COMMAND)}\x1b[0m\r\n")]
    with subprocess.Popen(command, stdin=its, stdout=its, stderr=its, cwd=folder, env=environment) as running:
        os.close(its)
        while True:
            ready, _, _ = select.select([ours], [], [], 0.2)
            try:
                data = os.read(ours, 1 << 16) if ready else b""
            except OSError:  # Linux says so that the other side has been closed
                break
            if data:
                events.append((time.monotonic() - started, data.decode(errors="replace")))
            elif running.poll() is not None:
                break
    os.close(ours)
    if running.returncode:
        sys.exit(f"the command ended with {running.returncode}: {''.join(text for _, text in events)[-500:]}")
    return events


def hastened(events: list[Event]) -> list[Event]:
    """The events at a pace at which they last LENGTH_S, or as they were where they did not last longer."""
    pace = min(1.0, LENGTH_S / events[-1][0])
    return [(at * pace, text) for at, text in events]


class Screen:
    """Lines of a terminal, with their colours; knows what MOVE names and nothing else."""

    def __init__(self) -> None:
        self.lines = [""]
        self.row = 0

    def write(self, text: str) -> None:
        """Take in what the program wrote."""
        place = 0
        for move in MOVE.finditer(text):
            self._put(text[place : move.start()])
            place = move.end()
            if move["up"] is not None:
                self.row = max(0, self.row - int(move["up"] or 1))
            elif move["clear"]:
                self.lines[self.row] = ""
            elif move["home"] and text[place : place + 1] != "\n":
                self.lines[self.row] = "" if text[place : place + 1] not in ("", "\x1b") else self.lines[self.row]
            elif move["end"]:
                self.row += 1
                self.lines += [""] * (self.row + 1 - len(self.lines))
        self._put(text[place:])

    def _put(self, text: str) -> None:
        self.lines[self.row] += text

    def shown(self) -> tuple[str, ...]:
        """The lines that fit, the last ones."""
        kept = self.lines if self.lines[-1] else self.lines[:-1]
        return tuple(kept[-ROWS:])


def frames(events: Iterable[Event]) -> list[tuple[float, tuple[str, ...]]]:
    """What the screen shows, and from when on; a picture each FRAME_S at most."""
    screen, found = Screen(), [(0.0, ("",))]
    for at, text in events:
        screen.write(text)
        if at - found[-1][0] >= FRAME_S or len(found) == 1:
            found.append((at, screen.shown()))
        else:
            found[-1] = (found[-1][0], screen.shown())
    return found[1:]


def line_svg(line: str, row: int) -> str:
    """A line as SVG text: a piece for each run of one colour."""
    text, pieces = Text.from_ansi(line), []
    for start, end, style in pieces_of(text):
        colour = style.color.get_truecolor().hex if style and style.color and not style.color.is_default else "#d4d4d4"
        weight = ' font-weight="bold"' if style and style.bold else ""
        x, y = 14 + start * CELL[0], 50 + row * CELL[1]
        place = f'x="{x:.1f}" y="{y}" textLength="{(end - start) * CELL[0]:.1f}"'
        pieces.append(f'<text {place} fill="{colour}"{weight}>{escape(text.plain[start:end])}</text>')
    return "".join(pieces)


def pieces_of(text: Text) -> Iterable[tuple[int, int, object]]:
    """(start, end, style) of each run of characters that look alike, blanks at the end left out."""
    from rich.console import Console

    place = 0
    for segment in text.render(Console(color_system="truecolor", width=500), end=""):
        end = place + len(segment.text)
        if segment.text.strip():
            yield place, place + len(segment.text.rstrip()), segment.style
        place = end


def svg(shown: list[tuple[float, tuple[str, ...]]]) -> str:
    """The frames as one picture that moves."""
    whole = shown[-1][0] + HELD_S
    rows = max(len(lines) for _, lines in shown)
    width, height = COLUMNS * CELL[0] + 28, rows * CELL[1] + 52
    rules, groups = [], []
    for number, (at, lines) in enumerate(shown):
        last = number + 1 == len(shown)
        start, end = 100 * at / whole, 100.0 if last else 100 * shown[number + 1][0] / whole
        before = f"0%,{start:.3f}%{{opacity:0}}" if number else ""
        after = "" if last else f"{end:.3f}%,100%{{opacity:0}}"
        rules.append(f"@keyframes f{number}{{{before}{start + 1e-3:.3f}%,{end - 1e-3:.3f}%{{opacity:1}}{after}}}")
        rules.append(f"#f{number}{{opacity:0;animation:f{number} {whole:.2f}s step-end infinite}}")
        groups.append(f'<g id="f{number}">{"".join(map(line_svg, lines, range(len(lines))))}</g>')
    still = (
        f"@media (prefers-reduced-motion){{g g{{animation:none!important}}#f{len(shown) - 1}{{opacity:1!important}}}}"
    )
    dots = "".join(
        f'<circle cx="{20 + 20 * n}" cy="18" r="6" fill="{c}"/>'
        for n, c in enumerate(("#ff5f57", "#febc2e", "#28c840"))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img">'
        f"<title>A recording of {' '.join(COMMAND)}</title><style>"
        "text{font:14px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre}"
        f"{''.join(rules)}{still}</style>"
        f'<rect width="100%" height="100%" rx="8" fill="#1e1e1e"/>{dots}<g>{"".join(groups)}</g></svg>\n'
    )


def cast(events: Iterable[Event]) -> str:
    """The events as an asciicast, version 2."""
    head = {"version": 2, "width": COLUMNS, "height": ROWS, "title": " ".join(COMMAND)}
    return "\n".join([json.dumps(head), *(json.dumps([round(at, 3), "o", text]) for at, text in events)]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, metavar="FILE.cast", help="write the recording itself, too")
    parser.add_argument("--cast", type=Path, metavar="FILE.cast", help="draw a recording that was kept")
    arguments = parser.parse_args()
    if arguments.cast:
        _, *lines = arguments.cast.read_text().splitlines()
        events = [(at, text) for at, _, text in map(json.loads, lines)]
    else:
        with tempfile.TemporaryDirectory() as folder:
            events = record(Path(folder))
    if arguments.keep:
        arguments.keep.write_text(cast(events))
    (Path(__file__).parent / "pictures" / "profile.svg").write_text(svg(frames(hastened(events))))


if __name__ == "__main__":
    main()
