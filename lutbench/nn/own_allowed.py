"""Which blocks of somebody's own code and files may be run: those of a space file that was profiled here.

A LUT and an architecture file name such blocks too, and others may have made them: reading one runs no code and opens
no file that no --space file on this machine's command line has named, nor $LUTBENCH_OWN_CODE.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from lutbench.errors import UsageError
from lutbench.files import default_cache_folder, write_atomically
from lutbench.reading.files import is_there
from lutbench.reading.plain import show
from lutbench.space.operator import Operator

ALLOWED_VARIABLE = "LUTBENCH_OWN_CODE"  # packages, modules, factories and files, with commas between


def allow_own(operators: Iterable[Operator]) -> None:
    """Notes the blocks of own code and files among them, which a person gave a space file for."""
    for kind, label in sorted({(op.kind, op.label) for op in operators if op.is_own_code}):
        note = _note(kind, label)
        if not is_there(note):
            write_atomically(note, f"{kind}_{label}\n".encode())


def check_allowed(op: Operator) -> None:
    """UsageError for a block that nobody here has asked for."""
    if is_there(_note(op.kind, op.label)):
        return
    named = {text.strip() for text in os.environ.get(ALLOWED_VARIABLE, "").split(",")} - {""}
    module = op.label.partition(":")[0]
    if named & ({op.label} if op.of_kind.file else {op.label, module, module.partition(".")[0]}):
        return
    raise UsageError(
        f"a file names the block {show(op.label)[1:-1]}, which no `profile --space` here has named: it is not run",
        remedy=f"where you trust it: {ALLOWED_VARIABLE}={module} lutbench ...",
    )


def _note(kind: str, label: str) -> Path:
    return default_cache_folder() / "own" / hashlib.sha256(f"{kind}_{label}".encode()).hexdigest()
