"""Counts what the blocks of a user's own code and files do, in a process of its own: nothing of them runs in this."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from lutbench.children import Child
from lutbench.errors import ExportError, LutbenchError, LutError
from lutbench.lut.metadata import SpaceSection
from lutbench.nn.own_allowed import allow_own
from lutbench.space.blocks.own_file import untrainable
from lutbench.space.definition import Counted, Counts, others, with_counts
from lutbench.space.macro import Space, distinct_operators
from lutbench.space.operator import Operator


def counted_anew(spaces: Sequence[Space], definition: str) -> tuple[tuple[Space, ...], str]:
    """The spaces of a user's space file, and their definition, with the counts of every block of own code or files.

    They may be run from now on, wherever a LUT or an architecture file names them.

    They are counted anew, for what is behind a name may have changed. UsageError where a factory or file is not there,
    fails, makes another shape than its layer asks for, or makes another block when it is called again.
    """
    allow_own(distinct_operators(spaces))
    counts = _counted(spaces)
    if not counts:
        return tuple(spaces), definition
    return tuple(replace(space, counts=counts) for space in spaces), with_counts(definition, counts)


def check_unchanged(section: SpaceSection, path: Path | None) -> None:
    """LutError where a block of a user's own code or files is not the one that the LUT was measured with."""
    spaces = section.spaces
    kept = {name: one for space in spaces for name, one in space.counts.items()}
    changed = others(kept, _counted(spaces))
    if changed:
        raise LutError(
            f"was measured with another definition of the space {section.name}: other code or another file is behind"
            f" {changed[0]}{f' and {len(changed) - 1} more' if len(changed) > 1 else ''} now",
            path=path,
            remedy="measure the space again under another name, or bring back what it was measured with",
        )


def check_trains(space: Space) -> None:
    """UsageError for the first block that cannot be trained: a file's, or one whose code takes a single image alone."""
    operators = tuple(op for op in space.searchable_operators if op.is_own_code)
    for operator in operators:
        if operator.of_kind.file:
            raise untrainable(operator.name)
    _apart(_check_trains, operators)


def _counted(spaces: Sequence[Space]) -> Counts:
    return _apart(_count, tuple(op for op in distinct_operators(spaces) if op.is_own_code))


def _apart(run: Callable[[Sequence[Operator]], Counts], operators: Sequence[Operator]) -> Counts:
    """What run gives, in a process of its own; a LutbenchError that it raises."""
    if not operators:
        return {}
    child = Child(_serve, run, operators)
    try:
        found: Counts | LutbenchError = child.connection.recv()
    except (EOFError, OSError) as error:
        raise ExportError(f"the process that counts the blocks of your own code died ({child.death()})") from error
    finally:
        child.kill()
    if isinstance(found, LutbenchError):
        raise found
    return found


def _serve(connection: Connection, run: Callable[[Sequence[Operator]], Counts], operators: Sequence[Operator]) -> None:
    sys.stdout = sys.stderr  # standard output is the command's
    try:
        connection.send(run(operators))
    except LutbenchError as error:
        connection.send(error)


def _check_trains(operators: Sequence[Operator]) -> Counts:
    from lutbench.nn.own_code import check_trains as check

    for operator in operators:
        check(operator)
    return {}


def _count(operators: Sequence[Operator]) -> Counts:
    return {operator.name: _counts_of(operator) for operator in operators}


def _counts_of(operator: Operator) -> Counted:
    if operator.of_kind.file:
        from lutbench.export.own_file import counted_file

        return counted_file(operator)
    from lutbench.nn.own_code import counted

    return counted(operator)
