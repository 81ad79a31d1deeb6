"""Every kind of operator. A kind is here and in its own file, nowhere else."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import MappingProxyType

from lutbench.errors import SpaceError
from lutbench.space.blocks.bottleneck import BOTTLENECK
from lutbench.space.blocks.convnext import CONVNEXT
from lutbench.space.blocks.convolution import CONVOLUTION, STEM
from lutbench.space.blocks.fixed import FC, FOREIGN, IDENTITY, OVERHEAD_KIND, POOL, POOLED_FC
from lutbench.space.blocks.fused import FUSED
from lutbench.space.blocks.inverted_residual import INVERTED_RESIDUAL
from lutbench.space.blocks.kind import Kind
from lutbench.space.blocks.mobile_attention import MOBILE_ATTENTION
from lutbench.space.blocks.own_code import MODULE
from lutbench.space.blocks.own_file import ONNX
from lutbench.space.blocks.reparameterised import MOBILEONE, REPVGG
from lutbench.space.blocks.separable import SEPARABLE
from lutbench.space.blocks.shuffle_unit import SHUFFLE_UNIT
from lutbench.space.blocks.transformer import TRANSFORMER
from lutbench.space.blocks.universal import UNIVERSAL

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            STEM,
            INVERTED_RESIDUAL,
            FUSED,
            CONVOLUTION,
            SEPARABLE,
            BOTTLENECK,
            SHUFFLE_UNIT,
            UNIVERSAL,
            MOBILE_ATTENTION,
            TRANSFORMER,
            CONVNEXT,
            MOBILEONE,
            REPVGG,
            MODULE,
            ONNX,
            POOL,
            FC,
            POOLED_FC,
            IDENTITY,
            OVERHEAD_KIND,
            FOREIGN,
        )
    }
)
BLOCKS: Mapping[str, Kind] = MappingProxyType({name: kind for name, kind in KINDS.items() if kind.candidate})


def find_block(name: str, text: str) -> Kind:
    """The kind of candidate with this name; SpaceError, with near names, where there is none."""
    if name in BLOCKS:
        return BLOCKS[name]
    near = difflib.get_close_matches(name, BLOCKS, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise SpaceError(
        f"{text[:80]!r} is not a candidate: no kind is called {name[:40]!r}",
        remedy=f"{hint}write k<kernel>_e<expansion>[_g<groups>], skip, or one of {', '.join(BLOCKS)} and its options",
    )
