"""Work of layers by hand; it adds up over a net's operators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import pytest

from lutbench.lut.costs import PRIOR_US, layer_work
from lutbench.space.expand import net_graph, operator_graph
from lutbench.space.graph import Graph
from lutbench.space.operator import parse_operator
from lutbench.space.zoo import find_net, zoo_models
from lutbench.units import BYTES_PER_ELEMENT


def layers_work(graph: Graph, dtype: str) -> list[dict[str, float]]:
    return [layer_work(graph, node, dtype) for node in graph.nodes[1:]]


def total_work(layers: Iterable[Mapping[str, float]]) -> dict[str, float]:
    found: Counter[str] = Counter()
    for layer in layers:
        found.update(layer)  # type: ignore[arg-type]
    return dict(found)  # type: ignore[arg-type]


def test_a_block_by_hand() -> None:
    layers = layers_work(operator_graph(parse_operator("ir_k5_e2_g1_8x10x10_16_s2")), "int8")
    expand, depthwise, project = layers
    assert expand == {
        "layer": 1,
        "moved": pytest.approx((800 + 1600) / 1e6),
        "weights": pytest.approx(128 / 1e6),
        "pointwise": pytest.approx(128 * 100 / 1e6),
    }
    assert depthwise["depthwise_k5"] == pytest.approx(25 * 16 * 25 / 1e6)
    assert project["moved"] == pytest.approx((16 * 25 + 16 * 25) / 1e6)
    assert total_work(layers)["layer"] == 3


def test_float_moves_four_times_the_bytes_for_the_same_arithmetic() -> None:
    graph = operator_graph(parse_operator("ir_k3_e1_g2_16x8x8_16_s1"))
    int8, fp32 = (total_work(layers_work(graph, dtype)) for dtype in ("int8", "fp32"))
    assert fp32["moved"] == pytest.approx(4 * int8["moved"])
    assert fp32["weights"] == pytest.approx(4 * int8["weights"])
    assert fp32["grouped_pointwise"] == int8["grouped_pointwise"]


def test_a_net_is_the_sum_of_its_operators() -> None:
    net = find_net("fbnet_a", ())
    whole = total_work(layers_work(net_graph(net), "int8"))
    parts = total_work(w for op in net.operators for w in layers_work(operator_graph(op), "int8"))
    assert whole == pytest.approx(parts)


def test_every_kind_of_work_in_the_zoo_has_a_prior() -> None:
    kinds = {kind for model in zoo_models() for layer in layers_work(model.graph, "int8") for kind in layer}
    assert kinds <= set(PRIOR_US)
    assert set(BYTES_PER_ELEMENT) == {"int8", "fp16", "fp32"}
