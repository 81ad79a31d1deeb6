"""The cost model of `estimate`: a net's latency as a sum of what it does, each kind of work at a cost of its own.

    latency_us = overhead + sum over elementary layers of
                 (mac_cost[kind] * multiply-accumulates + moved * bytes of activations + weights * bytes + layer)

It is additive, so that the cost of an operator is the sum over its own layers, and a row of a LUT can be made of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from lutbench.space.graph import Graph, Node
from lutbench.units import BYTES_PER_ELEMENT

OVERHEAD, LAYER, MOVED, WEIGHTS = "overhead", "layer", "moved", "weights"

# What each kind of work is expected to cost against the others before any net was seen: microseconds per million
# multiply-accumulates, per million bytes, per layer, per call. Depthwise, grouped and spatial convolutions use each
# loaded value less often than pointwise ones. Only the ratios matter: a fit finds their size first.
PRIOR_US: Mapping[str, float] = MappingProxyType(
    {
        "pointwise": 40.0,
        "grouped_pointwise": 100.0,
        "depthwise_k3": 100.0,
        "depthwise_k5": 100.0,
        "depthwise_other": 100.0,
        "spatial": 100.0,
        "classifier": 100.0,
        MOVED: 250.0,
        WEIGHTS: 250.0,
        LAYER: 30.0,
        OVERHEAD: 100.0,
    }
)
UNITS: Mapping[str, str] = MappingProxyType(
    {LAYER: "us per layer", OVERHEAD: "us per call", MOVED: "us per MB", WEIGHTS: "us per MB"}
)
MAC_UNIT = "us per million multiply-accumulates"


Work = Mapping[str, float]  # kind -> millions of multiply-accumulates, millions of bytes, or layers


def layer_work(graph: Graph, node: Node, dtype: str) -> dict[str, float]:
    """The work of one elementary layer."""
    element_bytes = BYTES_PER_ELEMENT[dtype]
    moved = (graph.read(node) + math.prod(node.shape)) * element_bytes / 1e6
    found = {LAYER: 1.0, MOVED: moved}
    if weights := graph.node_weights(node):
        found[WEIGHTS] = weights * element_bytes / 1e6
    if macs := graph.node_macs(node):
        found[mac_kind(graph, node)] = macs / 1e6
    return found


def mac_kind(graph: Graph, node: Node) -> str:
    """What kind of multiply-accumulates a layer does; those of attention are like a pointwise convolution's."""
    if node.kind == "fc":
        return "classifier"
    if graph.is_depthwise(node):
        kind = f"depthwise_k{node.kernel}"
        return kind if kind in PRIOR_US else "depthwise_other"
    if node.kernel > 1:
        return "spatial"
    if node.kind == "attention":
        return "pointwise"
    return "pointwise" if node.groups == 1 else "grouped_pointwise"
