"""YAML that is data only: no tags of its own, no aliases (they can grow without limit), no deep nesting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lutbench.errors import LutError

_DEEPEST = 16


def top_level_pairs(text: str, path: Path) -> Iterator[tuple[object, object, int]]:
    """Key, value and line of each row of a YAML mapping, also where a key is there twice; LutError where it is none."""
    import yaml

    node, loader = _root(text, path)
    if not isinstance(node, yaml.MappingNode):
        raise LutError("is not a mapping from operators to latencies", path=path)
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        yield _plain(loader, key_node, path, line), _plain(loader, value_node, path, line), line


def top_level_items(text: str, path: Path) -> Iterator[tuple[object, int]]:
    """Each item of a YAML list and its line; LutError where it is none."""
    import yaml

    node, loader = _root(text, path)
    if not isinstance(node, yaml.SequenceNode):
        raise LutError("is not a list of operators with latencies", path=path)
    for item in node.value:
        line = item.start_mark.line + 1
        yield _plain(loader, item, path, line), line


def _root(text: str, path: Path) -> tuple[Any, Any]:
    import yaml

    kind = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_events(yaml.parse(text, Loader=kind), path)
        loader = kind(text)
        return loader.get_single_node(), loader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise LutError(f"is not YAML: {error.problem or error.context}", path=path, line=line) from error
    except (yaml.YAMLError, ValueError) as error:
        raise LutError(f"is not YAML: {error}", path=path) from error


def _check_events(events: Iterator[Any], path: Path) -> None:
    """Before any value is made: what could make a small file large or deep is refused."""
    import yaml

    depth = 0
    for event in events:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise LutError("YAML aliases are not taken in", path=path, line=line, remedy="write the values out")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            raise LutError("is nested too deeply for a latency table", path=path, line=line)


def _plain(loader: Any, node: Any, path: Path, line: int) -> object:
    import yaml

    if isinstance(node, yaml.MappingNode):
        names = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        for name, count in names.most_common(1):
            if count > 1:
                raise LutError(f"{name[:40]!r} is there twice", path=path, line=line)
    try:
        value: object = loader.construct_object(node, deep=True)
    except yaml.constructor.ConstructorError as error:
        raise LutError(f"cannot be taken in: {error.problem}", path=path, line=line) from error
    except (ValueError, TypeError, OverflowError) as error:  # a date that cannot be, a number too long
        raise LutError(f"a value cannot be read ({error})", path=path, line=line) from error
    return value
