"""How a LUT names the runtime that it was measured with: `torch 2.13.0 (x86)`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RuntimeName:
    """A runtime's package, its version and what computes inside it.

    version: empty where a name does not tell, as in tables of others.
    inside: an engine or a delegate; empty where the package computes by itself.
    """

    package: str
    version: str = ""
    inside: str = ""

    @classmethod
    def parse(cls, text: str) -> RuntimeName:
        package, _, rest = text.partition(" ")
        version, _, inside = rest.partition("(")
        return cls(package, version.rstrip(), inside.rstrip(")"))

    def __str__(self) -> str:
        inside = f"({self.inside})" if self.inside else ""
        return " ".join(filter(None, [self.package, self.version, inside]))
