"""Docstrings begin with what a thing is or does, not with a piece of a sentence whose beginning is the name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import lutbench

ROOT = Path(lutbench.__file__).parent.parent
FOLDERS = ("lutbench", "search", "device_agents")
FRAGMENT = re.compile(r"(Of|As|From|At|By|For|With|In|On|To|Where|How) ")
Documented = ast.FunctionDef | ast.ClassDef


def documented(path: Path) -> Iterator[tuple[Documented, str]]:
    """The public functions and classes of a file that say what they are, with their docstrings."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            text = ast.get_docstring(node)
            if text:
                yield node, text


def fields_of(node: Documented) -> set[str]:
    """A class's annotated fields, or a function's arguments."""
    if isinstance(node, ast.ClassDef):
        return {
            part.target.id
            for part in node.body
            if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
        }
    return {argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)}


FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def test_no_docstring_begins_with_a_fragment() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {node.name}: {text.splitlines()[0]}"
        for path in FILES
        for node, text in documented(path)
        if FRAGMENT.match(text)
    ]
    assert not found, found


def test_a_field_is_explained_on_a_line_of_its_own() -> None:
    """`a: this. b: that.` on one line hides b from whoever looks for it."""
    found = []
    for path in FILES:
        for node, text in documented(path):
            names = "|".join(map(re.escape, fields_of(node)))
            inside = re.compile(rf"(?<=[.;] )({names})(, ({names}))*: \S") if names else None
            found += [
                f"{path.relative_to(ROOT)}: {node.name}: {m.group()}" for m in (inside.finditer(text) if inside else ())
            ]
    assert not found, found


@pytest.mark.parametrize(
    ("text", "is_fragment"),
    [("Of the nets that ran.", True), ("The latency.", False), ("Official.", False), ("How a job ended.", True)],
)
def test_what_a_fragment_is(text: str, is_fragment: bool) -> None:
    assert bool(FRAGMENT.match(text)) == is_fragment


def test_a_docstring_says_what_the_thing_is_before_its_fields() -> None:
    found = []
    for path in FILES:
        for node, text in documented(path):
            names = "|".join(map(re.escape, fields_of(node)))
            if names and re.match(rf"({names})(, ({names}))*: ", text):
                found.append(f"{path.relative_to(ROOT)}: {node.name}: {text.splitlines()[0]}")
    assert not found, found
