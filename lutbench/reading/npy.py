"""NumPy's .npy files: an array of numbers, and nothing that would have to be run."""

from __future__ import annotations

import io
import tokenize
import warnings
from pathlib import Path
from typing import Any

from lutbench.reading.files import read_bytes
from lutbench.reading.kinds import Kind

# what numpy raises for headers, which it reads as Python's own text; for types; for shapes that no memory holds
_NOT_NPY = (
    *(ValueError, TypeError, EOFError, SyntaxError, tokenize.TokenError, RecursionError, MemoryError),
    *(OverflowError, KeyError),
)


def read_npy(path: Path, kind: Kind) -> Any:
    """The array; the kind's error where the file is none, or holds Python objects."""
    import numpy as np

    data = read_bytes(path, kind)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a header is Python's text, and Python warns of how it is written
            array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except _NOT_NPY as error:
        raise kind.error(f"is no array in NumPy's .npy format: {error}", path=path) from error
    return array
