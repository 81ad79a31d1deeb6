"""Writes docs/reference/commands.md from the commands themselves, so that it cannot say anything else than they do.

python docs/make_commands.py
"""

from __future__ import annotations

from pathlib import Path

import click

from lutbench.cli.main import COMMANDS, cli

TARGET = Path(__file__).parent / "reference" / "commands.md"
WIDTH = 100


def commands_text() -> str:
    """The page: every command's own help."""
    context = click.Context(cli, info_name="lutbench", max_content_width=WIDTH, terminal_width=WIDTH)
    parts = [
        "# Commands\n\nResults go to standard output, progress and notes to standard error. `--json` prints one object."
        " Exit status: 0 done, 1 a check failed, 2 wrong use, 3 the device or its connection, 4 the input file,"
        " 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP, 141 a reader of the output that went away (and all else was well)."
        " An error is one line; `lutbench --debug COMMAND` adds the traceback.\n"
    ]
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        parts += _sections(command, name, context)
    return "\n".join(parts)


def _sections(command: click.Command, name: str, parent: click.Context) -> list[str]:
    """A command's section; a group's commands have one each instead."""
    own = click.Context(command, info_name=name, parent=parent, max_content_width=WIDTH, terminal_width=WIDTH)
    if isinstance(command, click.Group):
        return [part for inner, found in command.commands.items() for part in _sections(found, inner, own)]
    title = own.command_path.removeprefix("lutbench ")
    text = "\n".join(f"    {line}".rstrip() for line in command.get_help(own).splitlines())
    return [f"## {title}\n\n{text}\n"]


if __name__ == "__main__":
    TARGET.write_text(commands_text(), encoding="utf-8")
