"""Whatever is in a file's names reaches no terminal as an escape sequence."""

from __future__ import annotations

import ast
import unicodedata
from pathlib import Path

import pytest

import lutbench.cli
from lutbench.events import Note, StepProgress
from lutbench.shown import LONGEST_ERROR, clean, one_line
from tests.cli.running import run
from tests.lut.made import made_lut, with_row

EVIL = "\x1b]0;owned\x07\x1b[31m\x9b2J\r\x08\u202e\u2066\x7f[bold]"
STEERING = {"Cc", "Cf", "Cs"}


def steers(text: str) -> bool:
    return any(unicodedata.category(c) in STEERING for c in text if c not in "\n\t")


def test_what_steers_becomes_a_replacement_character() -> None:
    assert clean("a\x1b[31mb\u202ec\n\td ü±😀") == "a\ufffd[31mb\ufffdc\n\td ü±😀"
    assert not steers(clean("".join(map(chr, range(0x10FFFF)))))
    assert len(one_line("x y\n" * 5000)) == LONGEST_ERROR


def test_no_command_prints_past_the_cleaner() -> None:
    """click.echo and print are called in out.py alone; rich prints what render.py has cleaned."""
    for path in Path(lutbench.cli.__file__).parent.glob("*.py"):
        calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        names = [ast.unparse(call) for call in calls]
        allowed = {"out.py": {"click.echo"}, "render.py": {"self._live.console.print"}}.get(path.name, set())
        found = {
            n
            for n in names
            if n in ("print", "click.echo", "click.secho") or n.endswith(("stdout.write", "stderr.write"))
        }
        assert found <= allowed, path


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    from lutbench.lut.file import write_lut
    from lutbench.lut.row import failed_row

    lut = made_lut(device=f"d{EVIL}", runtime=f"r{EVIL}", environment={"cpu": EVIL})
    lut = with_row(lut, failed_row("fc_1504_1000", EVIL))
    write_lut(lut, tmp_path / "evil.csv")
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "evil.csv"],
        ["diff", "evil.csv", "evil.csv"],
        ["predict", "--lut", "evil.csv", "fbnet_a"],
        ["predict", "--lut", "evil.csv", f"no{EVIL}"],
        ["show", f"{EVIL}.csv"],
        ["merge", "evil.csv", "evil.csv", "-o", f"{EVIL.replace('/', '')}"],
        ["nets", f"no{EVIL}"],
        [f"no{EVIL}"],
        ["import", "ofa", f"{EVIL}", "-o", "x.csv"],
    ],
    ids=lambda arguments: arguments[0][:8],
)
def test_no_command_lets_an_escape_sequence_through(evil: Path, arguments: list[str]) -> None:
    done = run(*arguments, cwd=evil)
    assert done.stdout + done.stderr
    assert not steers(done.stdout + done.stderr)


def test_progress_and_notes_are_cleaned(capsys: pytest.CaptureFixture[str]) -> None:
    from lutbench.cli.render import Progress

    with Progress() as progress:
        progress(Note(EVIL, warning=True))
        progress(StepProgress(EVIL, 1, 2, EVIL, EVIL))
    shown = capsys.readouterr().err
    assert "warning" in shown and "1 of 2" in shown
    assert not steers(shown)


def test_markup_of_the_table_printer_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    from lutbench.cli.render import print_table

    print_table("[red]t[/red]", {"[bold]c": False}, [["[link=x]y" + "-" * 40]], "[/] cap [blink]")
    shown = capsys.readouterr().out
    assert all(text in shown for text in ("[red]t[/red]", "[bold]c", "[link=x]y", "[/] cap [blink]"))
