"""Help texts: sentences that begin with a verb, options in groups, examples that are right."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from lutbench.cli.help import HELP
from lutbench.cli.main import COMMANDS, cli
from lutbench.cli.options import DURATION

OF_CLICK = {"--help"}
VAGUE = re.compile(r"^(Of|As|To|That|How|What|Where|Which|From|At|With|The|An?)\b|\bnone:")


def commands() -> Iterator[click.Command]:
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        yield from command.commands.values() if isinstance(command, click.Group) else [command]


FOUND = {str(command.name): command for command in commands()}


def options(command: click.Command) -> list[click.Option]:
    return [parameter for parameter in command.params if isinstance(parameter, click.Option)]


def test_every_command_has_groups_and_examples() -> None:
    assert set(FOUND) == set(HELP)


@pytest.mark.parametrize("name", sorted(FOUND))
def test_groups_name_options_that_exist_and_each_once(name: str) -> None:
    known = {text for option in options(FOUND[name]) for text in option.opts}
    named = [text for names in HELP[name].groups.values() for text in names]
    assert set(named) <= known and len(named) == len(set(named))


@pytest.mark.parametrize("name", sorted(FOUND))
def test_options_are_explained_by_sentences_that_begin_with_a_verb(name: str) -> None:
    for option in options(FOUND[name]):
        assert option.help, option.name
        assert not VAGUE.search(option.help), f"{option.opts}: {option.help}"
        assert option.help[0].isupper() and option.help.rstrip()[-1] in ".])", f"{option.opts}: {option.help}"


@pytest.mark.parametrize("name", sorted(FOUND))
def test_examples_are_command_lines_that_the_command_takes(name: str) -> None:
    shown = FOUND[name].get_help(click.Context(FOUND[name], info_name=name, max_content_width=200))
    for example in HELP[name].examples:
        assert example in shown
        words = shlex.split(example)[1:]
        rest = words[2:] if name == "build" else words[1:]
        FOUND[name].make_context(name, rest)


VERBS = {"Add", "Build", "Compare", "Find", "List", "Make", "Measure", "Put", "Show", "Time", "Train", "Try", "Write"}


@pytest.mark.parametrize("name", sorted(FOUND))
def test_a_command_says_first_what_it_does(name: str) -> None:
    """The first word of its help is a verb, and so is that of its line in the list of commands."""
    first = str(FOUND[name].help).split()[0]
    assert first in VERBS, f"{name}: {first}"


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_list_of_commands_says_what_each_does(name: str) -> None:
    assert COMMANDS[name][1].split()[0] in VERBS


@pytest.mark.parametrize("name", sorted(FOUND))
def test_an_option_of_a_number_or_a_name_says_what_stands_behind_it(name: str) -> None:
    shown = FOUND[name].get_help(click.Context(FOUND[name], info_name=name))
    assert not re.search(r" (INTEGER RANGE|FLOAT RANGE|INTEGER|FLOAT|TEXT)\b", shown)


@pytest.mark.parametrize("name", sorted(FOUND))
def test_only_what_is_clicks_own_stands_in_no_group(name: str) -> None:
    grouped = {text for names in HELP[name].groups.values() for text in names}
    assert not [option.opts for option in options(FOUND[name]) if not grouped & set(option.opts)]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("2min", 120), ("1h", 3600), ("45", 45), ("1.5m", 90), ("0", 0)]
)
def test_times_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert DURATION.convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "m", "-5s", "10 minutes", "1d", "٣s", "nan", "1e9"])
def test_what_is_no_time_is_said(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no time: 90s, 10m or 1h"):
        DURATION.convert(text, None, None)
