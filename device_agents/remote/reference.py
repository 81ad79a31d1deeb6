"""What this machine computes from the same inputs as the phone: in a process of its own, beside the phone's work."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection

from lutbench.children import Child
from lutbench.closing import Closing
from lutbench.device_agents.host.engine import reason_of
from lutbench.device_agents.runner.checksum import Checksum, difference, host_checksum, load_runtime
from lutbench.errors import DeviceError
from lutbench.export.artifact import Artifact

_NET_SLACK = 6.0  # over an operator: 20 and more layers, each of which rounds
_FILE_SLACK = 10.0  # a file of the user's: any number of layers, and whether they are quantised is not known
_HALF_SLACK = 10.0  # 16 bits, of which this machine rounds to after each operation, and a phone's units elsewhere


class Reference(Closing):
    """The artifacts' checksums are made while the phone loads them; the runtime is loaded while the phone is opened."""

    def __init__(self, engine: str) -> None:
        self._child = Child(_compute, engine)
        self._found: dict[str, Checksum | str] = {}

    def compute(self, artifacts: Sequence[Artifact]) -> None:
        """Begins with these."""
        with suppress(OSError):  # a process that has died is said where its figures are asked for
            self._child.connection.send(list(artifacts))

    def close(self) -> None:
        self._child.kill()

    def wrong(self, artifact: Artifact, output: Checksum | None) -> str:
        """What is wrong with the phone's output; "" where it is what this machine computes."""
        if output is None:
            return "the runner did not say what it computes"
        expected = self._expected(artifact.name)
        if isinstance(expected, str):
            return f"this machine cannot run it to compare: {expected}"
        if not math.isfinite(expected.rms):
            return ""  # what is no number cannot be compared: a file of the user's may compute that from any input
        off = difference(output, expected, integer=artifact.dtype == "int8") / _slack(artifact)
        return f"the phone computes something else than this machine ({off:.2g} times the tolerance)" if off > 1 else ""

    def _expected(self, name: str) -> Checksum | str:
        while name not in self._found:
            try:
                known, checksum = self._child.connection.recv()
            except (EOFError, OSError) as error:
                raise DeviceError(
                    f"this machine's runtime died ({self._child.death()}) while it ran an artifact", operator=name
                ) from error
            self._found[known] = checksum
        return self._found[name]


def _compute(connection: Connection, engine: str) -> None:
    """Sends each artifact's name with its checksum, or with why it has none."""
    _silence()
    with suppress(Exception):  # it is said of each artifact, where the runtime does not load
        load_runtime(engine)
    for artifact in connection.recv():
        name = artifact.name
        try:
            found: Checksum | str = host_checksum(engine, name, artifact.path, artifact.use)
        except Exception as error:  # noqa: BLE001 - a runtime's own exception types are not public
            found = reason_of(error)
        connection.send((name, found))


def _slack(artifact: Artifact) -> float:
    """How much further off than an operator's an output may be."""
    if artifact.dtype == "fp16":
        return _HALF_SLACK
    if artifact.dtype not in ("int8", "fp32"):
        return _FILE_SLACK
    return _NET_SLACK if ":" in artifact.name else 1.0  # a net's key has colons


def _silence() -> None:
    """Runtimes print to standard error as they load."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.dup2(nowhere, 1)
