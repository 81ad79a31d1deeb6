"""The page of JSON keys: every command that has --json stands there, and what is checked against it is told apart."""

from __future__ import annotations

import click
import pytest

from lutbench.cli.main import COMMANDS, cli
from tests.json_keys import check_keys, documented, keys_of, matches


def commands_with_json() -> set[str]:
    context, found = click.Context(cli), set()
    for name in COMMANDS:
        command = cli.get_command(context, name)
        inner = command.commands if isinstance(command, click.Group) else {"": command}
        for second, one in inner.items():
            if one is not None and any("--json" in parameter.opts for parameter in one.params):
                found.add(f"{name} {second}".strip())
    return found


def test_every_command_that_prints_json_has_its_table() -> None:
    assert set(documented()) == commands_with_json()
    assert all(documented().values())


def test_keys_are_listed_down_to_what_holds_no_object() -> None:
    value = {"a": 1, "b": {"c": [1, 2], "d": []}, "e": [{"f": 1}, {"g": {}}]}
    assert set(keys_of(value)) == {"a", "b.c[]", "b.d[]", "e[].f", "e[].g"}


def test_what_a_key_matches() -> None:
    assert matches("a.b", "a.*") and matches("a", "a.*") and matches("a[]", "a[].b") and matches("a", "a")
    assert not matches("ab", "a.*") and not matches("a.b", "a")


def test_a_key_too_many_and_one_too_few_are_found() -> None:
    good = {"batch": 1, "nets": [{"net": "a", "latency_us": 1, "ci_low_us": 1, "ci_high_us": 1, "image_us": 1}]}
    check_keys("predict", good)
    with pytest.raises(AssertionError, match=r"does not name: ..more"):
        check_keys("predict", {**good, "more": 1})
    with pytest.raises(AssertionError, match=r"does not print: ..batch"):
        check_keys("predict", {"nets": good["nets"]})
