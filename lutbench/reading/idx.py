"""IDX files, the format of MNIST and of the sets made after it: a header that gives type and sizes, then the numbers.

The header is two zero bytes, a byte for the type and one for the number of dimensions, then each size in four bytes;
all numbers are big-endian (Y. LeCun, "The MNIST database of handwritten digits"). Files are often packed with gzip.
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lutbench.reading.files import format_size, read_bytes
from lutbench.reading.kinds import Kind

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_DIMENSIONS = 4
_GZIP = b"\x1f\x8b"


def read_idx(path: Path, kind: Kind) -> npt.NDArray[np.generic[Any]]:
    """The array, packed with gzip or not, whatever the file's name; the kind's error where it is none or is cut off."""
    import numpy as np

    data = read_bytes(path, kind)
    if data.startswith(_GZIP):
        data = _unpacked(data, path, kind)
    header = 4 + 4 * data[3] if len(data) >= 4 else 0
    if len(data) < max(header, 4) or data[:2] != b"\0\0" or data[2] not in _TYPES:
        raise kind.error("is no IDX file: it does not begin as one", path=path)
    if not 1 <= data[3] <= _MOST_DIMENSIONS:
        raise kind.error(f"has {data[3]} dimensions, and an IDX file of images or labels has 1 to 4", path=path)
    dtype = np.dtype(_TYPES[data[2]])
    shape = tuple(int.from_bytes(data[at : at + 4], "big") for at in range(4, header, 4))
    needed = math.prod(shape) * dtype.itemsize
    if len(data) - header != needed:
        sizes = " x ".join(str(size) for size in shape)
        raise kind.error(
            f"its header says {sizes} numbers, {needed:,} bytes, and {len(data) - header:,} follow: the file is damaged"
            " or was cut off",
            path=path,
            remedy="fetch it again",
        )
    return np.frombuffer(data, dtype, offset=header).reshape(shape)


def _unpacked(data: bytes, path: Path, kind: Kind) -> bytes:
    """What gzip packed, up to the kind's limit: a small file may unpack to more than there is memory."""
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        found = unpacker.decompress(data, kind.largest_bytes + 1)
    except zlib.error as error:
        raise kind.error(f"cannot be unpacked: {error}", path=path, remedy="fetch it again") from None
    if len(found) > kind.largest_bytes:
        problem = f"unpacks to more than {format_size(kind.largest_bytes)}, which {kind.name} never is"
        raise kind.error(problem, path=path)
    if not unpacker.eof:
        raise kind.error("cannot be unpacked: the file was cut off", path=path, remedy="fetch it again")
    return found
