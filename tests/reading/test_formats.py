"""TOML, JSON and YAML: what is no plain, bounded value is one error; the time is linear in the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lutbench.errors import ArchitectureError, LutbenchError, LutError, SpaceFileError
from lutbench.reading.json_text import parse_json
from lutbench.reading.kinds import ARCHITECTURE, PUBLISHED_TABLE, SPACE
from lutbench.reading.plain import DEEPEST, NotPlainError, check_plain, show
from lutbench.reading.toml_text import parse_toml
from lutbench.reading.yaml_text import top_level_items, top_level_pairs

PATH = Path("file")


@pytest.mark.timeout(20)  # 39 s, hours or all memory without the limits
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (".".join("a" * 50_000) + " = 1", "a key has more than 32 parts"),
        ("x = 1\n[" + " . ".join("a" * 50_000) + "]", "file:2: not plain: a key has more than 32 parts"),
        ("'a'." * 40 + "a = 1", "a key has more than 32 parts"),
        ("a = " + "[" * 100_000, "nested too deeply"),
        ("a = " + "[" * 40 + "]" * 40, "nested more than 32 deep"),
        ("a = " + "{a = " * 100_000, "nested too deeply"),
        ("a = " + "9" * 5000, "a number or date that cannot be"),
        ("a = " + "9" * 4000, "'a' is a whole number of more than 64 bits"),
        ("a = 0x" + "f" * 5000, "'a' is a whole number of more than 64 bits"),
        ("[b]\na = [0x" + "f" * 5000 + "]", "'a' is a whole number of more than 64 bits"),
        ("a = 1979-05-27", "'a' is a date; write text in quotes"),
        ("a = 07:32:00", "'a' is a time; write text in quotes"),
        ("a = 1979-05-27T07:32:00Z", "'a' is a date"),
        ("a = inf", "'a' is inf, not a finite number"),
        ("a = [nan]", "'a' is nan, not a finite number"),
        ("a = 1e999", "'a' is inf, not a finite number"),
        ("a = 1\na = 2", "file:2: not TOML"),
        ("a = \0", "not TOML"),
    ],
    ids=lambda text: text[:20],
)
def test_toml_that_is_refused(text: str, problem: str) -> None:
    with pytest.raises(SpaceFileError) as error:
        parse_toml(text, PATH, SPACE)
    assert problem in str(error.value)


def test_toml_of_dots_in_texts_and_numbers_is_read() -> None:
    text = 'a = "' + "1.5 of x.y " * 100 + '"\nb = [' + "1.5, " * 100 + "]\n[c.d.e]\nf.g = 'x.y'\n"
    assert parse_toml(text, PATH, SPACE)["c"] == {"d": {"e": {"f": {"g": "x.y"}}}}


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[" * 100_000, "nested too deeply"),
        ("[" * 40 + "]" * 40, "nested more than 32 deep"),
        ('{"a": ' * 100_000, "nested too deeply"),
        ("[NaN]", "NaN is not a finite number"),
        ("[-Infinity]", "-Infinity is not a finite number"),
        ('{"a": 1e999}', "'a' is inf, not a finite number"),
        ('{"a": ' + "9" * 5000 + "}", "a number has thousands of digits"),
        ('{"a": ' + "9" * 4000 + "}", "'a' is a whole number of more than 64 bits"),
        ('{"a": "\\ud800"}', "'a' is text with half a character"),
        ('{"\\udfff": 1}', "'a name' is text with half a character"),
        ("[" + "," * 4_000_001, "more than 4,000,000 values"),
        ("[1,\n2,\n]", "file:3: is not JSON"),
        ("", "is not JSON"),
        (b"\xff\xfe\xfd", "is no text"),
    ],
    ids=lambda text: str(text[:20]),
)
def test_json_that_is_refused(text: str | bytes, problem: str) -> None:
    with pytest.raises(ArchitectureError) as error:
        parse_json(text, PATH, ARCHITECTURE)
    assert problem in str(error.value)


def test_json_that_is_read() -> None:
    value = {"a": [1, -(1 << 63), (1 << 64) - 1, 1.5, None, True, "ü😀"], "b": {}}
    assert parse_json(json.dumps(value), PATH, ARCHITECTURE) == value


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- " * 10_000, "nested too deeply"),
        ("[" * 100_000, "nested too deeply"),
        ("- !!binary aGk=", "the tag"),
        ("- !!int ''", "the tag"),
        ("- !!set {a}", "the tag"),
        ("- !x y", "the tag"),
        ("- &a [1]\n- *a", "aliases"),
        ("- ? [a]\n  : b", "a name is a list or a mapping"),
        ("- {<<: {a: 1}, <<: {b: 1}}", "there twice"),
        ('- "\\ud800"', "is not YAML|half a character"),
        ("- a\n--- \n- b", "a second document"),
        ("", "not a list"),
        ("- \0", "is not YAML"),
    ],
    ids=lambda text: text[:20],
)
def test_yaml_that_is_refused(text: str, problem: str) -> None:
    with pytest.raises(LutError, match=problem):
        list(top_level_items(text, PATH, PUBLISHED_TABLE))


def test_yaml_values_are_text_numbers_words_and_what_they_are_in() -> None:
    text = "- [1, -2, 1_000, 1.5, 1.0e+3, 0x1f, 1:30, 2001-01-01, yes, ~, '1', \"no\", 1e5]\n- {a: {b: [c]}, d: }\n"
    (first, one), (second, two) = top_level_items(text, PATH, PUBLISHED_TABLE)
    assert first == [1, -2, 1000, 1.5, 1000.0, "0x1f", "1:30", "2001-01-01", True, None, "1", "no", "1e5"]
    assert (second, one, two) == ({"a": {"b": ["c"]}, "d": None}, 1, 2)
    assert list(top_level_pairs("a: 1\na: 2", PATH, PUBLISHED_TABLE)) == [("a", 1, 1), ("a", 2, 2)]


@pytest.mark.parametrize("value", [b"x", {1, 2}, (1,), 1j, object(), {"a": b"x"}, {b"x": 1}, [[{(): 1}]]])
def test_other_types_are_not_plain(value: object) -> None:
    with pytest.raises(NotPlainError):
        check_plain(value)


def test_depth_and_references_are_counted() -> None:
    value: list[object] = []
    for _ in range(DEEPEST - 1):
        value = [value]
    check_plain(value)
    with pytest.raises(NotPlainError, match="nested"):
        check_plain([value])
    shared: list[object] = [0] * 1000
    with pytest.raises(NotPlainError, match="values"):
        check_plain([[shared] * 1000] * 10)


@pytest.mark.parametrize(
    "value",
    [10**5000, "x" * 10**6, b"x" * 10**6, "\x1b[31m\ud800\n", [1] * 9, {1: 2}, float("inf"), object(), None],
    ids=range(9),
)
def test_show_is_short_and_plain(value: object) -> None:
    found = show(value)
    assert len(found) <= 80
    assert found.isascii() and found.isprintable()


@pytest.mark.parametrize("kind", [SPACE, ARCHITECTURE, PUBLISHED_TABLE], ids=lambda kind: kind.name)
def test_errors_are_the_kinds_own(kind: object) -> None:
    with pytest.raises(LutbenchError) as error:
        parse_json("[", PATH, kind)  # type: ignore[arg-type]
    assert type(error.value) is kind.error  # type: ignore[attr-defined]
