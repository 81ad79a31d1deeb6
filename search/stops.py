"""What ends a training or a search from outside, each told in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from lutbench.errors import InterruptedRunError, OutputError, TrainingError
from lutbench.private.torch_calls import compiler_errors
from lutbench.search.checkpoint import CHECKPOINT
from lutbench.search.data.images import decoders_explained


@contextmanager
def stops_explained(folder: Path, batch_size: int, remedy: str) -> Iterator[None]:
    """TrainingError for a GPU that is full, whose remedy is given, and for what torch.compile cannot do.

    InterruptedRunError on Ctrl-C, which says whether the folder has a checkpoint to go on from.
    """
    try:
        with decoders_explained():
            yield
    except OutputError as error:
        if not error.is_full:
            raise
        raise OutputError(error.problem, path=error.path, remedy=f"free some space; {_going_on(folder)}") from error
    except torch.OutOfMemoryError:
        problem = f"the GPU's memory does not hold a step of {batch_size} images"
        raise TrainingError(problem, remedy=remedy) from None
    except compiler_errors() as error:
        problem = str(error).strip().splitlines()[0][:200]
        raise TrainingError(f"torch.compile failed: {problem}", remedy="leave --compile out") from error
    except KeyboardInterrupt:
        raise InterruptedRunError("interrupted", path=folder, remedy=_going_on(folder)) from None


def _going_on(folder: Path) -> str:
    kept = (folder / CHECKPOINT).exists()
    return "the same command goes on after its last epoch" if kept else "no epoch had ended"
