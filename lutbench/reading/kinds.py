"""The kinds of files that are read: what each is called, how large one may be, and which error says that it is wrong.

docs/limits.md lists the limits; a test holds it against this table.
"""

from __future__ import annotations

from dataclasses import dataclass

from lutbench.errors import (
    ArchitectureError,
    CheckpointError,
    DataError,
    ExportError,
    JournalError,
    LatencyTableError,
    LutbenchError,
    LutError,
    RegistryError,
    RunnerBuildError,
    SpaceFileError,
)

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


@dataclass(frozen=True)
class Kind:
    """A kind of file, for messages.

    name: as in "is a folder, not a LUT", with its article.
    missing: what to do where there is no such file.
    """

    name: str
    largest_bytes: int
    error: type[LutbenchError]
    missing: str = ""


LUT = Kind("a LUT", 256 * MIB, LutError, "`lutbench profile` makes one")
LUT_HEADER = Kind("a LUT: its header", 8 * MIB, LutError)
VERIFIED = Kind("verify's results", 16 * MIB, LutError, "`lutbench verify` writes it anew")
NETS_TABLE = Kind("a table of nets", 16 * MIB, LatencyTableError, "give a CSV of nets, or `published` for the paper's")
PUBLISHED_TABLE = Kind("a latency table", 64 * MIB, LutError)
SPACE = Kind("a space", 1 * MIB, SpaceFileError)
DEVICES = Kind("a list of devices", 1 * MIB, RegistryError)
ARCHITECTURE = Kind("an architecture", 1 * MIB, ArchitectureError, "`lutbench search` writes them")
JOURNAL = Kind("a journal", 4 * GIB, JournalError)
CHECKPOINT = Kind("a checkpoint", 64 * GIB, CheckpointError)
MODEL = Kind("a model", 2 * GIB, ExportError)  # protobuf's own; larger weights lie beside it
ARRAY = Kind("an input's values", 2 * GIB, ExportError)
IMAGES = Kind("a file of images or labels", 2 * GIB, DataError)  # MNIST's format
BUNDLE = Kind("a bundle's manifest", 1 * MIB, RunnerBuildError)
ARTIFACT = Kind("an artifact", 64 * GIB, ExportError)
EXPORT_SUMMARY = Kind("an export's summary", 1 * MIB, ExportError)
CACHE_NOTE = Kind("a note of the cache", 64 * MIB, DataError)

KINDS = (
    *(
        LUT,
        LUT_HEADER,
        VERIFIED,
        NETS_TABLE,
        PUBLISHED_TABLE,
        SPACE,
        DEVICES,
        ARCHITECTURE,
        JOURNAL,
        CHECKPOINT,
        MODEL,
        ARRAY,
        IMAGES,
        BUNDLE,
    ),
    *(ARTIFACT, EXPORT_SUMMARY, CACHE_NOTE),
)
