"""Candidate: one of the block kinds that a layer may take (FBNet, table 2)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lutbench.errors import SpaceError

_PATTERN = re.compile(r"k(?P<kernel>\d{1,2})_?e(?P<expansion>\d{1,3}(?:\.\d{1,6})?)(?:_?g(?P<groups>\d{1,3}))?")


@dataclass(frozen=True)
class Candidate:
    """An inverted residual block (kernel, expansion, groups of its 1x1 convolutions), or skip (kernel 0)."""

    kernel: int = 0
    expansion: float = 0
    groups: int = 1

    def __post_init__(self) -> None:
        if self.is_skip:
            if self.expansion or self.groups != 1:
                raise SpaceError(f"a skip has no expansion or groups: {self}")
            return
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise SpaceError(f"kernel {self.kernel} is not a positive odd number")
        if self.expansion <= 0:
            raise SpaceError(f"expansion {self.expansion:g} is not positive")
        if self.groups < 1:
            raise SpaceError(f"groups {self.groups} is not positive")

    @property
    def is_skip(self) -> bool:
        return self.kernel == 0

    @property
    def name(self) -> str:
        if self.is_skip:
            return "skip"
        groups = f"_g{self.groups}" if self.groups > 1 else ""
        return f"k{self.kernel}_e{self.expansion:g}{groups}"

    def __str__(self) -> str:
        return self.name


SKIP = Candidate()


def parse_candidate(text: str) -> Candidate:
    """The candidate that `k5_e6`, `k3_e1_g2`, `k3e1g2` or `skip` names; SpaceError for anything else."""
    if text.strip() == "skip":
        return SKIP
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        raise SpaceError(
            f"{text.strip()!r} is not a candidate", remedy="write k<kernel>_e<expansion>[_g<groups>] or skip"
        )
    return Candidate(int(match["kernel"]), float(match["expansion"]), int(match["groups"] or 1))
