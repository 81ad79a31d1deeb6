"""Rendering for people: progress on standard error, tables on standard output, JSON where asked for."""

from __future__ import annotations

import json
import math
import os
import sys
import textwrap
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lutbench.cli.out import echo_drawn, say
from lutbench.cli.pace import Pace, Step, stage_of
from lutbench.closing import Closing
from lutbench.events import Event, ExportProgress, Note, StepProgress
from lutbench.shown import clean
from lutbench.units import format_percent

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table

_ENDLESS = 10_000  # columns
_BAR = 30  # characters of a progress bar
_SHORT = 18  # characters: what is no longer stays in its cell
_ID = "#10"  # as wide as ids are
_LEAST_TEXT = 12  # characters: a text of words is not told in lines that are shorter
_BETWEEN = 3  # characters between two columns
LOADING = "loading PyTorch"
PLAIN_EVERY_S = 5.0  # without a terminal: a line this often


def print_json(value: dict[str, Any]) -> None:
    """One JSON object; numbers that JSON has no word for become null."""
    say(json.dumps(_finite(value), indent=2), wrapped=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_table(title: str, columns: dict[str, bool], rows: list[list[str]], caption: str = "") -> None:
    """A table on standard output.

    columns: name -> whether it holds numbers.

    In a terminal it keeps to its width and tears no name. Where it is too wide, headers go over lines, and what is
    longest, such as a net by its candidates or why one failed, stands below under a short id. Elsewhere a row is a
    line, however long, and nothing is padded: what reads it (grep, awk, a file) has no width.
    """
    from rich.console import Console

    terminal = sys.stdout.isatty()
    console = Console(highlight=False) if terminal else Console(width=_ENDLESS, highlight=False, color_system=None)
    below: dict[str, str] = {}
    if terminal:
        columns, rows, below = _fitted(columns, rows, console.width)
    table = _table(columns, rows, console.width)
    with console.capture() as drawn:
        console.print(table)
    lines = [line.rstrip() for line in drawn.get().splitlines()]
    apart = "\n" if terminal else ""
    if title:
        say(title)
    echo_drawn(apart + "\n".join(lines).strip("\n") + apart)
    for short, text in below.items():
        say(f"{short}  {text}", wrapped=" " in text)
    if caption:
        say(caption)


def _widths(columns: Iterable[str], rows: list[list[str]]) -> list[int]:
    """The characters that each column takes with the gap behind it: its names, or the least for texts to be read."""
    widths = []
    for header, *cells in zip(columns, *rows, strict=True):
        longest = max([0, *(min(len(cell), _LEAST_TEXT) if " " in cell else len(cell) for cell in cells)])
        widths.append(max(longest, *map(len, header.split("\n"))) + _BETWEEN)
    return widths


def _narrow(header: str, cells: Iterable[str]) -> str:
    """A header over lines no wider than the cells, where its words let it be."""
    widest = max([1, *map(len, cells)])
    return "\n".join(textwrap.wrap(header, widest, break_long_words=False, break_on_hyphens=False))


def _fitted(
    columns: dict[str, bool], rows: list[list[str]], width: int
) -> tuple[dict[str, bool], list[list[str]], dict[str, str]]:
    """Columns and rows that fit, by headers over lines and ids in the place of the longest cells; id -> cell."""
    if sum(_widths(columns, rows)) - _BETWEEN <= width:
        return columns, rows, {}
    headers = [_narrow(name, [row[place] for row in rows]) for place, name in enumerate(columns)]
    ids: dict[str, str] = {}
    for text in sorted({cell for row in rows for cell in row if len(cell) > _SHORT}, key=len, reverse=True):
        if sum(_widths(headers, [[ids.get(cell, cell) for cell in row] for row in rows])) - _BETWEEN <= width:
            break
        ids[text] = _ID
    for number, text in enumerate(dict.fromkeys(cell for row in rows for cell in row if cell in ids), start=1):
        ids[text] = f"#{number}"
    fitted = [[ids.get(cell, cell) for cell in row] for row in rows]
    below = {short: text for text, short in ids.items()}
    return dict(zip(headers, columns.values(), strict=True)), fitted, dict(sorted(below.items()))


def _table(columns: dict[str, bool], rows: list[list[str]], width: int) -> Table:
    """Cells without blanks stay in one piece, unless they alone are wider than the terminal."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    cells = {name: [clean(row[place]) for row in rows] for place, name in enumerate(columns)}
    whole = {name for name, texts in cells.items() if columns[name] or not any(" " in text for text in texts)}
    fits = sum(max(map(len, [*name.split("\n"), *cells[name]])) + _BETWEEN for name in whole) - _BETWEEN <= width
    for name, numeric in columns.items():
        table.add_column(
            Text(clean(name)), justify="right" if numeric else "left", overflow="fold", no_wrap=fits and name in whole
        )
    for row in rows:
        table.add_row(*(Text(clean(cell)) for cell in row))
    return table


def is_first_process() -> bool:
    """Whether this process is the first, or the only one, of those that torchrun started; needs no torch."""
    return "TORCHELASTIC_RUN_ID" not in os.environ or os.environ.get("RANK", "0") == "0"


class Progress(Closing):
    """Draws events on standard error: a live line in a terminal, a line now and then elsewhere.

    drawing: False in all but the first of several processes that share a terminal (`is_first_process`).
    first: what a terminal shows until the first event, such as "loading PyTorch", which takes seconds.
    """

    def __init__(self, drawing: bool = True, first: str = "") -> None:
        self._drawing, self._first = drawing, first
        self._live: Any = None
        self._pace = Pace()
        self._last_plain = 0.0

    def __enter__(self) -> Progress:
        if self._drawing and sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live
            from rich.text import Text

            self._live = Live(console=Console(stderr=True, highlight=False), refresh_per_second=4, transient=True)
            self._live.start()
            if self._first:
                self._live.update(Text(self._first), refresh=True)
        return self

    def close(self) -> None:
        """Takes the live line away; what is said afterwards comes as plain lines."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __call__(self, event: Event) -> None:
        if isinstance(event, Note):
            self._say(f"{'warning: ' if event.warning else ''}{event.text}")
            return
        self._pace.hear(event)
        if self._live is not None:
            self._live.update(_Drawn(event, self._pace))
        elif time.monotonic() - self._last_plain >= PLAIN_EVERY_S:
            self._last_plain = time.monotonic()
            say("  ".join(_lines(event, self._pace.said)), err=True)

    def _say(self, text: str) -> None:
        if self._live is not None:
            from rich.text import Text

            self._live.console.print(Text(clean(text)))
        else:
            say(text, err=True)


def _lines(event: Step, time_said: str) -> list[str]:
    """What is going on, and below it what holds it up."""
    tail = f", {time_said}" if time_said else ""
    if isinstance(event, ExportProgress):
        return [f"{stage_of(event)}: {event.done} of {event.total} artifacts{tail}"]
    if isinstance(event, StepProgress):
        unit, detail = f" {event.unit}" if event.unit else "", f", {event.detail}" if event.detail else ""
        return [f"{event.stage}: {event.done:,} of {event.total:,}{unit}{detail}{tail}"]
    lines = [f"{event.stage}: {event.done} of {event.total} done, round {event.round_number + 1}{tail}"]
    if event.disturbed > 0.3:
        lines[0] += f" ({format_percent(event.disturbed, 0)} of the round's samples disturbed: measured again)"
    shown = [(name, width) for name, width in event.unstable if math.isfinite(width)]
    if shown:
        worst = ", ".join(f"{name} ±{format_percent(width)}" for name, width in shown)
        lines.append(f"widest intervals: {worst}")
    return lines


class _Drawn:
    """An event as a bar and lines, which count the time down (or up) each time they are drawn.

    What does not fit beside the bar stands below it.
    """

    def __init__(self, event: Step, pace: Pace) -> None:
        self._event, self._pace = event, pace

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        head, *rest = _lines(self._event, self._pace.said)
        bar, head = ProgressBar(total=self._event.total, completed=self._event.done, width=_BAR), clean(head)
        beside = len(head) + _BAR + 1 <= options.max_width
        grid = Table.grid(padding=(0, 1))
        grid.add_row(bar, *([Text(head)] if beside else []))
        yield grid
        if not beside:
            yield Text(head)
        for line in rest:
            yield Text(f"  {clean(line)}", style="dim")
