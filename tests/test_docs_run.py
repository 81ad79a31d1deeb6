"""The commands in the docs are run, page by page, in an empty folder.

A fenced block of commands says above it how it is taken: `<!-- run -->`, `<!-- run: slow -->` (minutes; .ci/run sets
LUTBENCH_DOCS=1), `<!-- needs a device -->` or `<!-- needs files of yours -->`. The folder has what a page takes for
granted (docs_files.py). Every command line, run or not, is parsed as the command itself does, so that no page names an
option or a value that does not exist; and no command line stands anywhere but in such a block.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from lutbench.cli.main import cli
from tests.docs_files import SHORT, put_what_readers_have

ROOT = Path(__file__).parent.parent
DOCS = sorted((ROOT / "docs").rglob("*.md"))
SLOW_VARIABLE = "LUTBENCH_DOCS"
MARKS = ("run", "run: slow", "needs a device", "needs files of yours")
BLOCK = re.compile(r"(?:<!-- (?P<mark>[^>]+) -->\n)?```(?P<language>console|python)\n(?P<body>.*?)```", re.DOTALL)
MINUTES = 10


@dataclass(frozen=True)
class Block:
    mark: str
    language: str
    body: str

    @property
    def commands(self) -> list[str]:
        """What follows a prompt, continued lines joined."""
        joined = self.body.replace("\\\n", " ")
        return [line[2:] for line in joined.splitlines() if line.startswith("$ ")]


def blocks(page: Path) -> list[Block]:
    return [Block(m["mark"] or "", m["language"], m["body"]) for m in BLOCK.finditer(page.read_text())]


def runs(page: Path, *marks: str) -> list[Block]:
    return [block for block in blocks(page) if block.mark in marks]


@pytest.mark.parametrize("page", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_block_of_commands_says_how_it_is_taken(page: Path) -> None:
    for block in blocks(page):
        if block.language == "console":
            assert block.mark in MARKS and block.commands, block.body


@pytest.mark.parametrize("page", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_line_is_one_that_the_commands_take(page: Path) -> None:
    for block in blocks(page):
        for command in block.commands if block.language == "console" else []:
            words = shlex.split(command, comments=True)
            if "lutbench" in words and words[0] != "pip":
                check(words[words.index("lutbench") + 1 :])


@pytest.mark.parametrize("page", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_command_line_hides_in_another_kind_of_block(page: Path) -> None:
    """An indented one is seen by nobody but the reader, and so is one in a fence of text."""
    if page.name == "commands.md":  # made from the commands' own help
        return
    text = re.sub(r"```(console|yaml)\n.*?```", "", page.read_text(), flags=re.DOTALL)
    assert not re.findall(r"^(?: {4}|\t|\$ )?\$? ?(?:[A-Z_]+=\S+ )?lutbench [a-z].*", text, re.MULTILINE)


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "luts" / "README.md"], ids=lambda path: path.parent.name)
def test_the_command_lines_of_a_readme_are_taken(page: Path) -> None:
    """What stands behind two blanks or a # there says what the line is for. .ci/play_readme.py runs the README's."""
    for line in re.findall(r"^    lutbench (.*)$", page.read_text(), re.MULTILINE):
        check(shlex.split(re.split(r"  +|#", line)[0]))


def check(arguments: list[str]) -> None:
    """Parses a command line as the command itself would, without running it."""
    name, *rest = arguments
    if name.startswith("-"):
        return
    command = cli.get_command(click.Context(cli), name)
    assert command is not None, name
    while isinstance(command, click.Group):
        inner, *rest = rest
        command = command.commands[inner]
    rest = [re.sub(r"^(mine|host)$", "s8", word) for word in rest]  # a LUT that the page makes first
    command.make_context(name, rest)


def shortened(command: str) -> list[str]:
    """A command's words with its short settings. A profile that says its rounds keeps them: a gate needs them."""
    words = shlex.split(command, comments=True)
    name = words[words.index("lutbench") + 1] if "lutbench" in words else ""
    if name == "profile" and "--max-rounds" in words:
        return words
    return [*words, *SHORT.get(name, ())]


def run_blocks(found: list[Block], folder: Path) -> None:
    makes_own = any("lutbench profile" in line and "-o luts/host.csv" in line for b in found for line in b.commands)
    put_what_readers_have(folder, but="luts/host.csv" if makes_own else "")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for block in found:
        commands = [[sys.executable, "-c", block.body]] if block.language == "python" else []
        commands += [["env", *shortened(command)] for command in block.commands]  # env: for VARIABLE=VALUE
        for command in commands:
            done = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60 * MINUTES, check=False
            )
            assert done.returncode == 0, (command, done.stdout, done.stderr)


QUICK = [page for page in DOCS if runs(page, "run")]
SLOW = [page for page in DOCS if runs(page, "run: slow")]


@pytest.mark.slow
@pytest.mark.parametrize("page", QUICK, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_page_runs(page: Path, tmp_path: Path) -> None:
    if os.environ.get(SLOW_VARIABLE) and page in SLOW:
        pytest.skip("runs with what it measures, below")
    run_blocks(runs(page, "run"), tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(60 * MINUTES)
@pytest.mark.parametrize("page", SLOW, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_page_runs_with_what_it_measures(page: Path, tmp_path: Path) -> None:
    if not os.environ.get(SLOW_VARIABLE):
        pytest.skip(f"measures, minutes: {SLOW_VARIABLE}=1 runs it")
    run_blocks(runs(page, "run", "run: slow"), tmp_path)
