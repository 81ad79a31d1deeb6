"""What a net of a space is a choice of, one after the other: its resolution, each stage's channels, each layer's block.

A net is a position in the options of each decision. Resolution and channels are decisions only where a space leaves
them open, and so the decisions of most spaces are their layers. A stage's channels come before its layers' candidates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lutbench.errors import SpaceError
from lutbench.space.macro import Space
from lutbench.space.net import Net


@dataclass(frozen=True)
class Decision:
    """One of a net's choices.

    kind: resolution, the channels of a stage, or the candidate of a layer.
    index: of the stage or the layer.
    count: of options.
    """

    kind: Literal["resolution", "channels", "candidate"]
    index: int
    count: int


def decisions(space: Space) -> tuple[Decision, ...]:
    """All of a space's, in their order."""
    found = [Decision("resolution", 0, len(space.resolutions))] if space.resolutions else []
    stage = -1
    for layer in space.layers:
        if layer.stage != stage:
            stage = layer.stage
            if options := space.stages[stage].options:
                found.append(Decision("channels", stage, len(options)))
        found.append(Decision("candidate", layer.index, len(layer.candidates)))
    return tuple(found)


def log10_nets(space: Space) -> float:
    """The decimal logarithm of the number of nets."""
    return math.fsum(math.log10(decision.count) for decision in decisions(space))


def net_at(space: Space, positions: Sequence[int], name: str) -> Net:
    """The net with the option at this position in each decision.

    name: {label} in it stands for the resolution and width that the net comes to have.
    """
    resolution, channels, places = space.resolution, [stage.channels for stage in space.stages], []
    every = decisions(space)
    if len(positions) != len(every):
        raise SpaceError(f"{len(positions)} choices, but space {space.name} has {len(every)}")
    for decision, position in zip(every, positions, strict=True):
        if decision.kind == "resolution":
            resolution = space.resolutions[position]
        elif decision.kind == "channels":
            channels[decision.index] = space.stages[decision.index].options[position]
        else:
            places.append(position)
    own = space.at(resolution, channels) if space.has_choices else space
    choice = (layer.candidates[place] for layer, place in zip(own.layers, places, strict=True))
    return Net(name.replace("{label}", own.label), own, tuple(choice), space.head_channels)


def choice_positions(net: Net) -> tuple[int, ...]:
    """The position of each of a net's options in its decision."""
    space, found = net.space, []
    for decision in decisions(space):
        if decision.kind == "resolution":
            found.append(space.resolutions.index(space.resolution))
        elif decision.kind == "channels":
            stage = space.stages[decision.index]
            found.append(stage.options.index(stage.channels))
        else:
            found.append(space.layers[decision.index].candidates.index(net.choice[decision.index]))
    return tuple(found)
