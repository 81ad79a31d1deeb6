"""Counts what the blocks of a user's own code do, in a process of its own: their code never runs in this one."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection

from lutbench.children import Child
from lutbench.errors import ExportError, LutbenchError
from lutbench.space.macro import Space, distinct_operators
from lutbench.space.operator import Operator

Counts = Mapping[str, tuple[int, int]]  # an operator's name -> its multiply-accumulates and parameters


def with_counts(spaces: Sequence[Space], definition: str) -> tuple[tuple[Space, ...], str]:
    """The spaces, and their definition, with the counts of every block of a user's own code.

    They are counted anew, for the code may have changed. UsageError where a factory is not there, raises, makes another
    shape than its layer asks for, or makes another module when it is called again.
    """
    operators = tuple(op for op in distinct_operators(spaces) if op.is_own_code)
    if not operators:
        return tuple(spaces), definition
    counts = _counted(operators)
    own = definition.split("\n[counts]\n")[0].rstrip("\n")
    lines = [f"{json.dumps(name)} = [{macs}, {params}]" for name, (macs, params) in sorted(counts.items())]
    text = "\n".join([own, "", "[counts]", *lines, ""])
    return tuple(replace(space, counts=counts) for space in spaces), text


def _counted(operators: tuple[Operator, ...]) -> Counts:
    child = Child(_count, operators)
    try:
        found: Counts | LutbenchError = child.connection.recv()
    except (EOFError, OSError) as error:
        raise ExportError(f"the process that counts the blocks of your own code died ({child.death()})") from error
    finally:
        child.kill()
    if isinstance(found, LutbenchError):
        raise found
    return found


def _count(connection: Connection, operators: tuple[Operator, ...]) -> None:
    sys.stdout = sys.stderr  # standard output is the command's
    from lutbench.nn.own_code import counted

    try:
        connection.send({operator.name: counted(operator) for operator in operators})
    except LutbenchError as error:
        connection.send(error)
