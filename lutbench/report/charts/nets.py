"""Nets as FBNet's Figure 4 draws them: a box per layer, height = expansion, colour = kernel, a gap = skip."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from lutbench.report.charts.style import COLOURS, colour, new_figure, styled
from lutbench.report.text import short
from lutbench.space.candidate import Candidate
from lutbench.space.macro import Layer
from lutbench.space.net import Net

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH_IN = 10.4
_NET_IN = 0.92  # height of one net
_EDGES_IN = 0.75  # legend and stages
_BOX = 0.86  # of a layer's place
_OTHER_KERNEL = "k7"
_SHAPED_SKIP = 0.14  # height of the 1x1 convolution that stands for a skip which changes the shape


@styled
def draw_nets(nets: Sequence[Net], labels: Sequence[str] = ()) -> Figure:
    """One strip per net.

    labels: a text of lines for the right end of each, such as its latency on each device.

    Heights are relative to the largest expansion of all nets, so that nets can be compared.
    """
    if not nets:
        raise ValueError("there is no net to draw")
    figure = new_figure(_WIDTH_IN, _EDGES_IN + _NET_IN * len(nets))
    strips = figure.subplots(len(nets), 1, squeeze=False)[:, 0]
    largest = max((c.expansion for net in nets for c in net.choice), default=1) or 1
    longest = max(len(net.choice) for net in nets)
    for number, (axes, net) in enumerate(zip(strips, nets, strict=True)):
        above = nets[number - 1] if number else None
        _stage_bands(axes, net, with_channels=above is None or _stages(above) != _stages(net))
        _boxes(axes, net, largest, f"net{number}")
        axes.set_xlim(-0.6, longest - 0.4)
        label = labels[number] if labels else ""
        axes.text(1.012, 0.5, label, transform=axes.transAxes, va="center", fontsize=9, linespacing=1.5)
    _legend(figure, nets, largest)
    return figure


def _stages(net: Net) -> list[tuple[int, int, int]]:
    """First layer, count of layers and channels of each stage."""
    groups = [list(group) for _, group in groupby(net.space.layers, key=lambda layer: layer.stage)]
    return [(group[0].index, len(group), group[0].c_out) for group in groups]


def _stage_bands(axes: Axes, net: Net, with_channels: bool) -> None:
    """Every other stage on a band, and the stages' channels above."""
    small: dict[str, Any] = {"va": "bottom", "fontsize": 8, "color": colour("muted")}
    for number, (first, count, channels) in enumerate(_stages(net)):
        if number % 2 == 0:
            axes.axvspan(first - 0.5, first + count - 0.5, color=colour("band"), lw=0, zorder=0)
        if with_channels:
            axes.text(first + count / 2 - 0.5, 1.16, str(channels), ha="center", **small)
    if with_channels:
        axes.text(-0.7, 1.16, "channels", ha="right", **small)


def _boxes(axes: Axes, net: Net, largest: float, name: str) -> None:
    """A box per layer on a line, named NAME-layerINDEX in SVG."""
    axes.set(ylim=(0, 1.12), xticks=[], yticks=[])
    axes.spines[["left", "bottom"]].set_visible(False)
    ink = colour("ink")
    axes.set_ylabel(short(net.name), rotation=0, ha="right", va="center", color=ink, fontsize=9.5, labelpad=10)
    axes.plot([-0.6, len(net.choice) - 0.4], [0, 0], color=colour("line"), lw=1.2, clip_on=False, zorder=1)
    for layer, candidate in zip(net.space.layers, net.choice, strict=True):
        if not candidate.is_skip:
            _box(axes, layer, _kernel(layer, candidate), candidate.expansion / largest, candidate.groups, name)
        elif layer.operator(candidate).is_measured:
            _box(axes, layer, 1, _SHAPED_SKIP, 1, name)


def _box(axes: Axes, layer: Layer, kernel: int, height: float, groups: int, name: str) -> None:
    fill = colour(_colour_name(kernel))
    x, edge = layer.index, colour("surface")
    axes.bar(x, height, _BOX, color=fill, edgecolor=edge, linewidth=0.8, zorder=2, gid=f"{name}-layer{x}")
    if groups > 1:
        axes.bar(x, height, _BOX, fill=False, hatch="////", edgecolor=edge, linewidth=0, zorder=3)
        axes.text(x, height + 0.04, f"g{groups}", ha="center", va="bottom", fontsize=7.5, color=colour("muted"))


def _kernel(layer: Layer, candidate: Candidate) -> int:
    """The block's kernel, or the largest of its convolutions where its name has none; 0 for a user's own code."""
    operator = layer.operator(candidate)
    if candidate.kernel or operator.of_kind.draw is None:
        return candidate.kernel
    return max((node.kernel for node in operator.graph.nodes if node.kind == "conv"), default=1)


def _colour_name(kernel: int) -> str:
    return f"k{kernel}" if f"k{kernel}" in COLOURS else _OTHER_KERNEL


def _legend(figure: Figure, nets: Sequence[Net], largest: float) -> None:
    from matplotlib.patches import Patch

    pairs = [pair for net in nets for pair in zip(net.space.layers, net.choice, strict=True)]
    kernels = sorted({_kernel(layer, candidate) for layer, candidate in pairs if not candidate.is_skip})
    labels: dict[str, list[str]] = {}
    for kernel in kernels:
        labels.setdefault(_colour_name(kernel), []).append(f"{kernel}×{kernel}" if kernel else "own code")
    handles = [Patch(facecolor=colour(name), label=", ".join(texts)) for name, texts in labels.items()]
    if any(c.groups > 1 for net in nets for c in net.choice):
        handles.append(
            Patch(facecolor=colour("muted"), edgecolor=colour("surface"), hatch="////", linewidth=0, label="g: groups")
        )
    if any(_is_shaped_skip(net) for net in nets):
        handles.append(Patch(facecolor=colour("k1"), label="1×1 (a skip that changes the shape)"))
    looks = {"fontsize": 8.5, "borderaxespad": 0.2, "handleheight": 0.9}
    figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=len(handles),
        handlelength=1.1,
        columnspacing=1.4,
        **looks,
    )
    text = Patch(facecolor="none", edgecolor="none", label=f"height: expansion, up to {largest:g}; gap: skip")
    figure.legend(handles=[text], loc="outside upper right", handlelength=0, handletextpad=0, **looks)


def _is_shaped_skip(net: Net) -> bool:
    pairs = zip(net.space.layers, net.choice, strict=True)
    return any(c.is_skip and layer.operator(c).is_measured for layer, c in pairs)
