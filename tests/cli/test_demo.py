"""`lutbench demo`: its commands are ones that a person could type; what is done already is not done again.

The whole of it runs in .ci/run.
"""

from __future__ import annotations

from pathlib import Path

import click

from lutbench.cli.demo import PAGE, steps
from lutbench.cli.main import COMMANDS, cli
from lutbench.space.find import find_spaces
from tests.cli.running import run


def test_every_step_is_a_command_that_makes_what_later_ones_take(tmp_path: Path) -> None:
    made: set[Path] = set()
    for step in steps(tmp_path):
        name, *words = step.words
        command = cli.get_command(click.Context(cli), name)
        assert name in COMMANDS and command is not None
        command.make_context(name, list(words), resilient_parsing=False)  # raises where an option is none
        taken = {Path(word) for word in words if Path(word).is_relative_to(tmp_path) and Path(word).suffix}
        assert taken <= made | {tmp_path / "space.toml", step.makes}
        made |= {step.makes}


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    for step in steps(tmp_path / "tried"):
        step.makes.parent.mkdir(parents=True, exist_ok=True)
        step.makes.touch()
    done = run("demo", "-o", "tried", "--no-open", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("done before") == len(steps(tmp_path)) and "$ lutbench" not in done.stdout
    assert (tmp_path / "tried" / PAGE).as_uri() in done.stdout
    assert [space.name for space in find_spaces(str(tmp_path / "tried" / "space.toml"), (), (1.0,))[0]] == ["demo"]
