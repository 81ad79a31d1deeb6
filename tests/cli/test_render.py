"""What people see of a long job's events."""

from __future__ import annotations

import io
import math
import re

import pytest
from rich.console import Console

from lutbench.cli.out import say
from lutbench.cli.pace import Pace
from lutbench.cli.render import Progress, _Drawn, is_first_process, print_table
from lutbench.events import ExportProgress, RoundProgress, StepProgress


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (StepProgress("drawing shapes", 256, 10_000), "drawing shapes: 256 of 10,000"),
        (
            StepProgress("training fbnet_a", 3, 30, "epochs", "loss 1.234", 125.0),
            "training fbnet_a: 3 of 30 epochs, loss 1.234, about 2 min 05 s left",
        ),
        (StepProgress("checking", 1, 2, "images", "0 broken", math.nan), "checking: 1 of 2 images, 0 broken"),
    ],
)
def test_a_step_is_a_line_on_standard_error(capsys: pytest.CaptureFixture[str], event: StepProgress, line: str) -> None:
    with Progress() as progress:
        progress(event)
    shown = capsys.readouterr()
    assert shown.err.strip() == line
    assert not shown.out


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_the_time_left_is_said_by_how_fast_a_phase_has_gone() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.hear(ExportProgress(0, 40))
    assert pace.said == ""
    clock.now_s += 5
    assert pace.said == "5.0 s so far"
    pace.hear(ExportProgress(10, 40))
    assert pace.said == "about 15 s left"
    clock.now_s += 4  # nothing is heard, and the time goes down all the same
    assert pace.said == "about 11 s left"
    clock.now_s += 12  # more than was thought: no "about 0.0 s left" that stands for a while
    assert pace.said == "21 s so far"
    pace.hear(StepProgress("testing the files", 50, 1000))
    assert pace.said == ""  # another phase


def test_the_time_left_that_an_event_says_itself_goes_first() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.hear(RoundProgress("measuring", 0, 0, 10, 60.0))
    clock.now_s += 1
    pace.hear(RoundProgress("measuring", 1, 9, 10, 33.0))
    assert pace.said == "about 33 s left"


def test_the_time_left_that_an_event_says_is_corrected_by_how_wrong_it_was() -> None:
    """On a machine that others use too, a round takes longer than the runtime's part of it."""
    clock = Clock()
    pace = Pace(clock)
    pace.hear(RoundProgress("measuring", 0, 0, 10, 60.0))
    clock.now_s += 30
    pace.hear(RoundProgress("measuring", 5, 2, 10, 45.0))  # 15 s of work took 30
    assert pace.said == "about 90 s left"
    pace.hear(RoundProgress("measuring", 6, 2, 10, 70.0))  # intervals turned out wider
    assert pace.said == "about 70 s left"


@pytest.mark.parametrize("columns", [30, 79, 80, 120])
def test_a_bar_and_its_line_keep_to_the_terminal(columns: int) -> None:
    """What does not fit beside the bar stands below it in one piece."""
    pace = Pace()
    event = RoundProgress("measuring", 11, 53, 113, 42.0, (("ir_k5_e3_g1_8x48x48_8_s1", 0.033),))
    pace.hear(event)
    console = Console(width=columns, file=io.StringIO())
    console.print(_Drawn(event, pace))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert all(len(line.rstrip()) <= columns for line in lines)
    if columns > 50:
        (line,) = [line for line in lines if "measuring: 53 of 113 done, round 12, about 42 s left" in line]
        assert ("━" in line) == (columns >= 31 + len("measuring: 53 of 113 done, round 12, about 42 s left"))


def drawn(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int | None) -> str:
    """A table of long names in a terminal of so many columns; None: in a pipe."""
    monkeypatch.setenv("COLUMNS", str(columns or 80))
    monkeypatch.setattr("sys.stdout.isatty", lambda: columns is not None)
    rows = [["ir_k3_e6_g1_112x14x14_112_s1", "1.044 ms", "words that may be parted where a blank is"]] * 2
    print_table("", {"operator": False, "latency": True, "note": False}, rows, "a caption of more words than one line")
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)


def test_no_name_is_torn_in_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = drawn(monkeypatch, capsys, 60)
    assert text.count("ir_k3_e6_g1_112x14x14_112_s1   1.044 ms") == 2
    assert all(len(line) <= 60 for line in text.splitlines())
    assert {"words", "parted", "blank"} <= set(text.split())


def test_a_net_by_its_candidates_gets_a_short_id_in_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the string below, in one piece, as it can be pasted; a pipe has it in the row."""
    net = ",".join(["k5_e6_g1"] * 22)
    columns = {"net": False, "status": False, "measured": True}
    rows = [[net, "ok", "1.044 ms"], ["fbnet_a", "ok", "2.012 ms"], [net, "ok", "1.050 ms"]]
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_table("", columns, rows)
    lines = [line.split() for line in re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()]
    assert ["#1", "ok", "1.044", "ms"] in lines and ["#1", "ok", "1.050", "ms"] in lines
    assert ["fbnet_a", "ok", "2.012", "ms"] in lines and lines[-1] == ["#1", net]
    monkeypatch.setattr("sys.stdout.isatty", lambda: False)
    print_table("", columns, rows)
    assert f"{net}  ok" in re.sub(" +", "  ", capsys.readouterr().out)


def test_headers_go_over_lines_before_a_name_is_taken_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = {"net": False, **dict.fromkeys(("accuracy", "predicted, android-s8", "MMACs", "params (M)"), True)}
    row = ["searched/s8_15ms/s8_15ms_0.json", "11.2 %", "14.986 ms", "147.63", "2.851"]
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_table("", columns, [row])
    lines = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert any("searched/s8_15ms/s8_15ms_0.json   " in line for line in lines)
    assert all(len(line) <= 80 for line in lines)


def test_why_a_net_failed_stands_below_where_its_column_would_be_a_word_wide(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = {"net": False, **dict.fromkeys(("latency", "±", "MMACs", "params (M)", "GMAC/s"), True), "status": False}
    why = "failed: input x is (N, 3, H, W): open sizes; give it: --shape x=1,3,N,N with a number for each N"
    rows = [
        ["my_model.onnx", "-", "-", "-", "-", "-", why],
        ["m", "11.553 ms", "27.4 %", "300.77", "3.471", "26.0", "ok"],
    ]
    monkeypatch.setenv("COLUMNS", "70")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_table("", columns, rows)
    text = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert f"#1  {why}" in " ".join(text.replace("#1  ", "#1~~").split()).replace("#1~~", "#1  ")


def test_a_pipe_gets_a_line_a_row_and_no_padding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = drawn(monkeypatch, capsys, None).splitlines()
    assert len(lines) == 5 and lines[-1] == "a caption of more words than one line"
    assert all(line == line.strip() for line in lines)


def test_a_message_is_wrapped_at_words_in_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    text = "a message that is longer than forty columns; lutbench profile --device android-s8"
    say(text)
    assert capsys.readouterr().out == f"{text}\n"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    say(text)
    wrapped = capsys.readouterr().out
    assert " ".join(wrapped.split()) == text and all(len(line) <= 40 for line in wrapped.splitlines())
    say(text, wrapped=False)
    assert capsys.readouterr().out == f"{text}\n"


def test_a_terminal_shows_at_once_what_takes_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(shown, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", shown)
    with Progress(first="loading PyTorch"):
        assert "loading PyTorch" in shown.getvalue()


@pytest.mark.parametrize(("rank", "first"), [("0", True), ("1", False), (None, True)])
def test_the_first_of_torchrun_s_processes(monkeypatch: pytest.MonkeyPatch, rank: str | None, first: bool) -> None:
    monkeypatch.setenv("RANK", rank or "3")  # of something else than torchrun, where it is none of its runs
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    if rank is not None:
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", "some")
    assert is_first_process() is first
