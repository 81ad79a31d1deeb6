"""The zoo: published nets by name, and how a net is written on the command line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from lutbench.errors import SpaceError, UsageError
from lutbench.space.architecture import SUFFIX, read_architecture
from lutbench.space.candidate import parse_candidate
from lutbench.space.expand import net_graph
from lutbench.space.factory import parse_factory_net
from lutbench.space.fbnet import FBNET, RELEASED_HEAD_AT_035, fbnet
from lutbench.space.find import SPACES, space_of_net
from lutbench.space.graph import Graph, Model
from lutbench.space.macro import Space
from lutbench.space.models.condensenet import condensenet_g4, condensenet_g8
from lutbench.space.models.efficientnet_lite import EFFICIENTNET_LITE
from lutbench.space.models.fbnetv2 import FBNETV2
from lutbench.space.models.ghostnet import ghostnet
from lutbench.space.models.mobile import efficientnet_b0, mnasnet, mobilenet_v2, proxyless_mobile
from lutbench.space.models.mobilenet_v3 import mobilenet_v3_large, mobilenet_v3_small
from lutbench.space.models.mobilenet_v4 import MOBILENET_V4
from lutbench.space.models.mobileone import MOBILEONE_NETS
from lutbench.space.models.repvit import REPVIT
from lutbench.space.models.shufflenet import SHUFFLENET_V2_WIDTHS, shufflenet_v2
from lutbench.space.net import Net, net_of_key, parse_net
from lutbench.space.scale import format_width


@dataclass(frozen=True)
class ZooEntry:
    """A published FBNet: its candidates (Figure 4 and public definitions), resolution, width and head."""

    name: str
    blocks: str
    resolution: int = 224
    width: float = 1.0
    head_channels: int = FBNET.head_channels


_ENTRIES = (
    ZooEntry(
        "fbnet_a",
        "skip | k3e3 k3e1 skip skip | k5e6 k3e3 k5e1 k3e3 | k5e6 k5e3 k5e1g2 k5e6"
        " | k3e6 k5e1g2 k5e3 k3e1g2 | k5e6 k5e6 k5e3 k5e6 | k5e6",
    ),
    ZooEntry(
        "fbnet_b",
        "k3e1 | k3e6 k5e1 k3e1 k3e1 | k5e6 k5e3 k3e6 k5e6 | k5e6 k5e1 skip k5e3"
        " | k5e6 k3e1 k5e1 k5e3 | k5e6 k5e1 k5e6 k5e6 | k3e6",
        head_channels=1984,
    ),
    ZooEntry(
        "fbnet_c",
        "k3e1 | k3e6 skip k3e1 k3e1 | k5e6 k5e3 k5e6 k3e6 | k5e6 k5e3 k5e6 k5e6"
        " | k5e6 k5e6 k5e6 k5e3 | k5e6 k5e6 k5e6 k5e6 | k3e6",
        head_channels=1984,
    ),
    ZooEntry(
        "fbnet_s8",
        "k3e1 | k3e3 k3e1 skip skip | k5e6 k3e3 k3e3 k3e6 | k5e6 k5e3 k5e3 k5e3"
        " | k3e6 k5e3 k5e3 k5e3 | k5e6 k5e6 k5e3 k5e6 | k5e6",
    ),
    ZooEntry(
        "fbnet_iphonex",
        "skip | k3e6 k3e1 k3e1 k3e1 | k3e6 k3e6 k3e6 k3e6 | k3e6 k3e6 k3e3 k3e6"
        " | k3e6 k3e3 k3e3 k3e3 | k5e6 k5e6 k5e6 k5e3 | k5e6",
    ),
    ZooEntry(
        "fbnet_96_035_1",
        "k3e1 | k3e6 k3e6 skip skip | k5e6 k5e6 skip skip | k5e6 skip skip skip"
        " | k3e6 skip skip skip | k5e6 k5e6 skip skip | k5e6",
        resolution=96,
        width=0.35,
        head_channels=RELEASED_HEAD_AT_035,
    ),
)
ZOO = {entry.name: entry for entry in _ENTRIES}


@dataclass(frozen=True)
class ModelEntry:
    """A published net that is no choice of candidates in FBNet's space.

    build: the net of blocks at a resolution and width, or its layers where it is made of others.
    variants: the (resolution, width) it is listed at.
    widths: those it exists at; none means any.
    """

    name: str
    build: Callable[[int, float], Graph | Net]
    variants: tuple[tuple[int, float], ...] = ((224, 1.0),)
    widths: tuple[float, ...] = ()


_MODEL_ENTRIES = (
    ModelEntry(
        "mobilenet_v2",
        mobilenet_v2,
        ((224, 1.0), (224, 1.3), (224, 1.4), (224, 0.35), (192, 0.5), (128, 1.0), (128, 0.5), (96, 0.35)),
    ),
    ModelEntry("mnasnet", mnasnet, ((224, 1.0), (224, 0.35), (128, 1.0))),
    ModelEntry("shufflenet_v2", shufflenet_v2, ((224, 1.5), (224, 2.0), (224, 1.0), (224, 0.5)), SHUFFLENET_V2_WIDTHS),
    ModelEntry("condensenet_g4", condensenet_g4, widths=(1.0,)),
    ModelEntry("condensenet_g8", condensenet_g8, widths=(1.0,)),
    ModelEntry("mobilenet_v3_large", mobilenet_v3_large, ((224, 1.0), (224, 0.75), (224, 1.25))),
    ModelEntry("mobilenet_v3_small", mobilenet_v3_small, ((224, 1.0), (224, 0.75))),
    ModelEntry("efficientnet_b0", efficientnet_b0, widths=(1.0,)),
    ModelEntry("proxyless_mobile", proxyless_mobile, widths=(1.0,)),
    *(
        ModelEntry(name, build, ((resolution, 1.0),), (1.0,))
        for name, (build, resolution) in (FBNETV2 | EFFICIENTNET_LITE | MOBILENET_V4).items()
    ),
    *(ModelEntry(name, build, widths=(1.0,)) for name, build in (MOBILEONE_NETS | REPVIT).items()),
    ModelEntry("ghostnet", ghostnet, widths=(1.0,)),
)
MODELS = {entry.name: entry for entry in _MODEL_ENTRIES}

_VARIANT = re.compile(r"(?P<name>[^@]+)@(?P<resolution>\d{1,4})(?:x(?P<width>\d{1,2}(?:\.\d{1,4})?))?")
_KEY = re.compile(
    r"(?P<space>[^@:]+)@(?P<resolution>\d{1,4})x(?P<width>\d{1,2}(?:\.\d{1,4})?):\d{1,6}:(?P<candidates>[^:]+)"
)


@cache
def zoo_nets() -> tuple[Net, ...]:
    """Every net of the zoo at its published resolution and width."""
    return tuple(_zoo_net(entry) for entry in _ENTRIES)


def zoo_nets_of(spaces: Iterable[str]) -> tuple[Net, ...]:
    """Every net of the zoo that is of one of these spaces, by name: those that a LUT of it is expected to predict."""
    names = frozenset(spaces)
    return tuple(net for net in zoo_nets() if net.space.name in names)


@cache
def zoo_models() -> tuple[Model, ...]:
    """Every other published net, at each resolution and width it was published at."""
    return tuple(_model(entry, *variant) for entry in _MODEL_ENTRIES for variant in entry.variants)


def _model(entry: ModelEntry, resolution: int, width: float) -> Model:
    if entry.widths and width not in entry.widths:
        known = ", ".join(f"{w:g}" for w in entry.widths)
        raise UsageError(f"{entry.name} has no width {width:g}", remedy=f"it has {known}")
    if not 32 <= resolution <= 4096:
        raise UsageError(f"{entry.name}: resolution {resolution} is not between 32 and 4096")
    if not 0.01 <= width <= 10:
        raise UsageError(f"{entry.name}: width {width:g} is not between 0.01 and 10")
    built = entry.build(resolution, width)
    return Model(
        _name(entry, resolution, width), resolution, width, net_graph(built) if isinstance(built, Net) else built
    )


@cache
def nets_of_blocks() -> tuple[Net, ...]:
    """The models that are made of blocks, as nets, at each resolution and width they were published at."""
    nets = (_net_of(entry, *variant) for entry in _MODEL_ENTRIES for variant in entry.variants)
    return tuple(net for net in nets if net)


def net_of_blocks(model: Model) -> Net | None:
    """The model as a net of operators that a LUT may have rows of; None where it is made of other layers."""
    entry = MODELS.get(model.name.split("@")[0])
    return _net_of(entry, model.resolution, model.width) if entry else None


def _net_of(entry: ModelEntry, resolution: int, width: float) -> Net | None:
    built = entry.build(resolution, width)
    return replace(built, name=_name(entry, resolution, width)) if isinstance(built, Net) else None


def _name(entry: ModelEntry, resolution: int, width: float) -> str:
    own = (resolution, width) == entry.variants[0]
    return entry.name if own else f"{entry.name}@{resolution}x{format_width(width)}"


def _zoo_net(entry: ZooEntry) -> Net:
    return parse_net(entry.blocks, fbnet(entry.resolution, entry.width), entry.name, entry.head_channels)


def find_whole_net(text: str, spaces: tuple[Space, ...]) -> Net | Model:
    """The net a user wrote, among the published ones of any kind; UsageError, with near names, for none."""
    variant = _VARIANT.fullmatch(text.strip())
    base = variant["name"].strip() if variant else text.strip()
    return _model_of(base, variant) if base in MODELS else find_net(text, spaces)


def _model_of(name: str, variant: re.Match[str] | None) -> Model:
    entry = MODELS[name]
    resolution, width = entry.variants[0]
    if variant:
        resolution, width = int(variant["resolution"]), float(variant["width"] or width)
    return _model(entry, resolution, width)


def retargeted(net: Net | Model, resolution: int, classes: int) -> Net | Model:
    """The net with inputs of another size and a classifier for so many classes, as it is trained and deployed."""
    if isinstance(net, Net):
        return replace(net, space=replace(net.space, resolution=resolution, classes=classes))
    model = _model(MODELS[net.name.split("@")[0]], resolution, net.width)
    *body, classifier = model.graph.nodes
    return replace(model, graph=Graph((*body, replace(classifier, shape=(classes, 1, 1)))))


def find_net(text: str, spaces: tuple[Space, ...]) -> Net:
    """The net a user wrote: a zoo name, NAME@RESOLUTIONxWIDTH, an architecture file, candidates of the first of spaces,
    or a key, as `verify` and `bench -o` write it.

    spaces: what the LUT at hand covers, nothing where it is of no space that lutbench knows; candidate strings may
    carry the variant too (`k3_e1|...@192x0.5`).
    """
    text = text.strip()
    if text.endswith(SUFFIX):
        return read_architecture(Path(text)).net
    if key := _KEY.fullmatch(text):
        return net_of_key(text, (*spaces, *_space_of_key(key)))
    variant = _VARIANT.fullmatch(text)
    base = variant["name"].strip() if variant else text
    if base in ZOO:
        entry = ZOO[base]
        if variant is None:
            return _zoo_net(entry)
        width = float(variant["width"] or 1)
        space = fbnet(int(variant["resolution"]), width)
        return parse_net(entry.blocks, space, text, _zoo_head(entry, space))
    if re.search(r"[\s,|]", base) or base == "skip" or _is_candidate(base):
        return parse_net(base, _space_at(variant, spaces, text), text)
    if base in MODELS and (net := net_of_blocks(_model_of(base, variant))):
        return net
    if base in MODELS or parse_factory_net(text):
        raise UsageError(
            f"{base} is not made of this space's operators, so no LUT of it predicts it",
            remedy=f"`lutbench bench {text}` times it",
        )
    near = difflib.get_close_matches(base, [*ZOO, *MODELS], n=3, cutoff=0.5)
    remedy = (
        f"did you mean {' or '.join(near)}?"
        if near
        else "`lutbench nets` lists the names; an architecture file ends in .json"
    )
    raise UsageError(f"no net is called {text!r}", remedy=remedy)


def _is_candidate(text: str) -> bool:
    try:
        parse_candidate(text)
    except SpaceError:
        return re.match(r"k\d+_?e\d", text) is not None
    return True


def _space_of_key(key: re.Match[str]) -> tuple[Space, ...]:
    """The space that comes along where a key names it, in the key's variant; the others are a LUT's or a file's own."""
    if key["space"] not in SPACES:
        return ()
    return (space_of_net(key["space"], int(key["resolution"]), float(key["width"]), key["candidates"]),)


def _zoo_head(entry: ZooEntry, space: Space) -> int:
    """The published head at the published width; scaled like every other layer elsewhere."""
    if space.width == entry.width:
        return entry.head_channels
    return space.other_heads[0] if entry.head_channels == FBNET.other_heads[0] else space.head_channels


def _space_at(variant: re.Match[str] | None, spaces: tuple[Space, ...], text: str) -> Space:
    if not spaces:
        raise SpaceError(
            f"net {text!r}: candidates need a search space, and the LUT names none",
            remedy="name a net of the zoo; `lutbench nets` lists them",
        )
    if variant is None:
        return spaces[0]
    resolution, width = int(variant["resolution"]), float(variant["width"] or 1)
    for space in spaces:
        if (space.resolution, space.width) == (resolution, width):
            return space
    known = ", ".join(space.label for space in spaces)
    raise SpaceError(f"net {text!r}: no such resolution and width here", remedy=f"there is {known}")
