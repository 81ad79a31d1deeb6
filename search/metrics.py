"""What a training or a search measured while it ran: a JSON line per record, and TensorBoard where it is asked for."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lutbench.closing import Closing
from lutbench.errors import UsageError
from lutbench.files import cannot_write, write_atomically

if TYPE_CHECKING:
    from lutbench.search.hardware import Hardware

Record = dict[str, Any]


class MetricsLog(Closing):
    """Appends records to path.

    earlier: those that a resumed run had written; whatever else stood there goes.
    tensorboard: also writes numbers as scalars, by the record's "epoch", into a folder beside path.
    """

    def __init__(self, path: Path, earlier: Iterable[Record] = (), tensorboard: bool = False) -> None:
        self._path = path
        self._board = _open_board(path.parent / "tensorboard") if tensorboard else None
        write_atomically(path, "".join(_line(record) for record in earlier).encode())

    def close(self) -> None:
        if self._board is not None:
            self._board.close()

    def add(self, record: Record) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(_line(record))
        except OSError as error:
            raise cannot_write(error, self._path, "cannot write") from error
        if self._board is not None:
            for name, value in record.items():
                if name != "epoch" and isinstance(value, (int, float)):
                    self._board.add_scalar(name, value, record["epoch"])
            self._board.flush()


class NoLog(Closing):
    """What the other processes of a run write: nothing."""

    def close(self) -> None:
        pass

    def add(self, record: Record) -> None:
        pass


def open_log(
    hardware: Hardware, path: Path, earlier: Iterable[Record] = (), tensorboard: bool = False
) -> MetricsLog | NoLog:
    """The run's log in its first process, one that writes nothing in the others."""
    return MetricsLog(path, earlier, tensorboard) if hardware.is_first else NoLog()


def _line(record: Record) -> str:
    plain = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()}
    return json.dumps(plain) + "\n"


def _open_board(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UsageError(
            "TensorBoard's package is not installed", remedy="pip install 'lutbench[tensorboard]'"
        ) from None
    return SummaryWriter(str(folder))
