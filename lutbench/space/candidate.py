"""Candidate: one of the blocks that a layer may take (FBNet, table 2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from lutbench.errors import SpaceError
from lutbench.space.blocks.kind import DEFAULT_KIND, OWN_FIELDS, Kind, Value
from lutbench.space.blocks.table import BLOCKS, find_block

_LABELLED = re.compile(r"(?P<kind>[a-z]+)_(?P<label>[A-Za-z0-9:._/-]{1,200})")


@dataclass(frozen=True)
class Candidate:
    """A block without its layer's shape, or skip (kind ir, kernel 0).

    kernel, expansion, groups: where its kind has them.
    label: of a block of a user's own code.
    options: what its name says beside these, in the order of its kind's; what it leaves open is its stage's.
    """

    kernel: int = 0
    expansion: float = 0
    groups: int = 1
    kind: str = DEFAULT_KIND
    label: str = ""
    options: tuple[tuple[str, Value], ...] = ()

    def __post_init__(self) -> None:
        if self.is_skip:
            if self.expansion or self.groups != 1 or self.options:
                raise SpaceError(f"a skip has no expansion, groups or options: {self}")
            return
        kind = find_block(self.kind, self.kind)
        given = self._values
        for option in kind.options:
            value = given.get(option.name, option.default)
            if value is not None:
                option.check(value, "candidate" if kind.name == DEFAULT_KIND else kind.name)

    @property
    def is_skip(self) -> bool:
        return self.kind == DEFAULT_KIND and self.kernel == 0

    @property
    def _values(self) -> dict[str, Value]:
        own: dict[str, Value] = {"kernel": self.kernel, "expansion": self.expansion, "groups": self.groups}
        return own | dict(self.options)

    @cached_property
    def name(self) -> str:
        if self.is_skip:
            return "skip"
        if self.label:
            return f"{self.kind}_{self.label}"
        words = BLOCKS[self.kind].words(self._values, whole=False)
        return "_".join(words if self.kind == DEFAULT_KIND else [self.kind, *words])

    def __str__(self) -> str:
        return self.name


SKIP = Candidate()


def parse_candidate(text: str) -> Candidate:
    """The candidate that `k5_e6`, `k3e1g2`, `ir_k3_e1`, `uib_a3_k5_e4_hswish` or `skip` names; SpaceError for none."""
    text = text.strip()
    if text == "skip":
        return SKIP
    match = _LABELLED.fullmatch(text)
    if match and match["kind"] in BLOCKS and BLOCKS[match["kind"]].labelled:
        return Candidate(kind=match["kind"], label=match["label"])
    words = re.sub(r"(?<=[0-9])(?=[a-z])", "_", text).split("_")
    kind = _kind(words, text)
    values = kind.read(words[1:] if words[0] == kind.name else words, text)
    own = {name: values.pop(name) for name in OWN_FIELDS if name in values}
    others = tuple((option.name, values[option.name]) for option in kind.options if option.name in values)
    return Candidate(kind=kind.name, options=others, **own)  # type: ignore[arg-type]


def _kind(words: list[str], text: str) -> Kind:
    """FBNet's block where the first word is one of its options, else the kind that it names."""
    usual = BLOCKS[DEFAULT_KIND]
    if any(option.read(words[0]) is not None for option in usual.options):
        return usual
    return find_block(words[0], text)
