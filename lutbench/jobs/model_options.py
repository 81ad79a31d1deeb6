"""Shapes and values that a user gives for inputs of model files, by [MODEL:]INPUT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lutbench.errors import UsageError
from lutbench.export.model_inputs import Choices, Shape


@dataclass(frozen=True)
class InputOptions:
    """Shapes and values for models' inputs, by what the user wrote:
    INPUT, of every model that has it, or MODEL:INPUT, which goes before that.

    shapes, values, files: --shape, --value and --input.
    """

    shapes: Mapping[str, Shape] = field(default_factory=dict)
    values: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key in self.values:
            if key in self.files:
                raise UsageError(f"{key} has its values twice, from --value and --input", remedy="give one of them")

    def choices(self, text: str, inputs: Sequence[str]) -> Choices:
        """Those of one model, as the user named it, for its inputs."""
        files, values = _of(self.files, text, inputs), _of(self.values, text, inputs)
        files = {name: file for name, file in files.items() if name not in values}
        return Choices(_of(self.shapes, text, inputs), values, files)

    def check_used(self, models: Mapping[str, Sequence[str]], all_known: bool) -> None:
        """UsageError for what is of no model's input.

        models: text -> inputs.
        all_known: no model could not be read.
        """
        for option, given in (("--shape", self.shapes), ("--value", self.values), ("--input", self.files)):
            for key in given:
                if any(_names(key, text, inputs) for text, inputs in models.items()) or not all_known:
                    continue
                known = sorted({name for inputs in models.values() for name in inputs})
                has = f"they have {', '.join(known)}" if known else "there is no model file among the nets"
                raise UsageError(f"{option} {key}: no model has an input of this name", remedy=has)


def _of(given: Mapping[str, Any], text: str, inputs: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in sorted(given.items(), key=lambda item: item[0] not in inputs):  # plain names first
        name = _names(key, text, inputs)
        if name:
            found[name] = value
    return found


def _names(key: str, text: str, inputs: Sequence[str]) -> str:
    """The input that a key means in a model; "" where it means none. Names of inputs may have colons themselves."""
    if key in inputs:
        return key
    path = Path(text)
    for place in (place for place, letter in enumerate(key) if letter == ":"):
        if key[:place] in (text, path.name, path.stem) and key[place + 1 :] in inputs:
            return key[place + 1 :]
    return ""
