"""Errors a person can act on: one subclass per layer, each with the exit status the command line gives it."""

from __future__ import annotations

from pathlib import Path

# characters; a problem may name what it found, and a file another one, by a text as long as a file
_LONGEST_PROBLEM, _LONGEST_PATH, _LONGEST_NAME, _LONGEST_REMEDY = 1200, 230, 80, 300


def _shortened(text: str, longest: int = _LONGEST_PROBLEM) -> str:
    """The text without its middle, where it is long: its end says what is wrong with what it begins with."""
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]} ... {text[-half:]}"


def told(error: BaseException) -> str:
    """Its type and text, for whatever a user's code raises: a text may be missing, endless, or an error of its own."""
    name = type(error).__name__
    try:
        text = str(error)
    except Exception as inner:  # noqa: BLE001 - it is the user's __str__
        return f"{name}, whose text cannot be had: {type(inner).__name__}"
    return f"{name}: {_shortened(text)}" if text else name


class LutbenchError(Exception):
    """What went wrong, where, and what to do; printed as one line.

    problem: what is wrong.
    remedy: what to do about it.
    path, line: the file and its 1-based line.
    operator, device: what it happened to.
    """

    exit_status = 1

    def __init__(
        self,
        problem: str,
        *,
        remedy: str = "",
        path: Path | str | None = None,
        line: int | None = None,
        operator: str = "",
        device: str = "",
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy
        self.path = Path(path) if path is not None else None
        self.line = line
        self.operator = operator
        self.device = device

    @property
    def where(self) -> str:
        names = {"device": self.device, "operator": self.operator}
        parts = [f"{kind} {_shortened(name, _LONGEST_NAME)}" for kind, name in names.items() if name]
        if self.path is not None:
            path = _shortened(str(self.path), _LONGEST_PATH)
            parts.append(f"{path}:{self.line}" if self.line is not None else path)
        return ", ".join(parts)

    def __str__(self) -> str:
        problem = _shortened(self.problem)
        text = f"{self.where}: {problem}" if self.where else problem
        text = f"{text}; {_shortened(self.remedy, _LONGEST_REMEDY)}" if self.remedy else text
        return " ".join(text.split())  # one line, whatever a library's message brought along


class UsageError(LutbenchError):
    """A wrong option, name or net."""

    exit_status = 2


class SpaceError(UsageError):
    """A search space, operator or net that cannot exist."""


class SpaceFileError(LutbenchError):
    """A file that describes a search space or a net and is not right."""

    exit_status = 4


class OutputError(UsageError):
    """A result that cannot be written where it was asked for. is_full: there is no space left for it."""

    is_full = False


class LutError(LutbenchError):
    """A LUT file that cannot be read, or lacks what is asked of it."""

    exit_status = 4


class LatencyTableError(LutbenchError):
    """A table of whole nets' latencies that cannot be read, or has too little in it."""

    exit_status = 4


class DataError(LutbenchError):
    """Images that cannot be read, or are too few."""

    exit_status = 4


class ArchitectureError(LutbenchError):
    """An architecture file that cannot be read, or does not fit together."""

    exit_status = 4


class CheckpointError(LutbenchError):
    """A checkpoint that cannot be read, or is of something else."""

    exit_status = 4


class TrainingError(LutbenchError):
    """A training that cannot go on."""

    exit_status = 1


class JournalError(LutbenchError):
    """A journal of raw samples that cannot be used for this run."""

    exit_status = 4


class InterruptedRunError(LutbenchError):
    """Ctrl-C or a termination signal: what was done is kept."""

    exit_status = 130


class ExportError(LutbenchError):
    """An operator or net that cannot be exported, or whose artifact computes something else."""

    exit_status = 3


class DeviceError(LutbenchError):
    """A device that cannot be reached, is busy, or failed."""

    exit_status = 3


class CheckFailedError(LutbenchError):
    """A check the user asked for (--max-error, --fail-over) did not hold."""

    exit_status = 1


class RegistryError(LutbenchError):
    """A registry file that is not right."""

    exit_status = 4


class RunnerBuildError(LutbenchError):
    """A runner that cannot be built here."""

    exit_status = 3
