"""Graphs: shapes, multiply-accumulates and weights by hand; operators expand to what they say they are."""

from __future__ import annotations

import pytest

from lutbench.errors import SpaceError
from lutbench.space.expand import net_graph, operator_graph
from lutbench.space.fbnet import fbnet
from lutbench.space.graph import GraphBuilder
from lutbench.space.operator import OVERHEAD, Operator, parse_operator
from lutbench.space.zoo import zoo_models, zoo_nets


def test_a_small_graph_by_hand() -> None:
    net = GraphBuilder(3, 8, 9)
    conv = net.conv(0, 4, 3, 2, activation="relu")  # 3x3x3x4 weights on 4x5
    gate = net.conv(net.global_pool(conv), 4, bias=True, norm=False, activation="sigmoid")  # 16 weights on 1x1
    wide = net.concat([net.mul(conv, gate), net.slice(conv, 1, 2)])
    net.fc(net.global_pool(net.shuffle(wide, 2)), 10)
    graph = net.graph()
    assert net.shape(conv) == (4, 4, 5)
    assert net.shape(wide) == (6, 4, 5)
    assert graph.macs == 108 * 20 + 16 + 60
    assert graph.params == 108 + (16 + 4) + (60 + 10)
    assert graph.input_shape == (1, 3, 8, 9)


@pytest.mark.parametrize("variant", [(224, 1.0), (97, 0.35)])
def test_operators_expand_to_their_own_arithmetic(variant: tuple[int, float]) -> None:
    for operator in fbnet(*variant).operators:
        if not operator.is_measured or operator == OVERHEAD:
            continue
        graph = operator_graph(operator)
        assert (graph.macs, graph.params) == (operator.macs, operator.params), operator.name
        expected = (operator.c_out, operator.h_out, operator.w_out)
        assert graph.nodes[-1].shape == expected, operator.name


def test_nets_expand_to_their_own_arithmetic() -> None:
    for net in zoo_nets():
        assert (net_graph(net).macs, net_graph(net).params) == (net.macs, net.params)
    for model in zoo_models():
        assert net_graph(model) is model.graph


def test_identities_and_the_empty_graph_do_nothing() -> None:
    assert len(operator_graph(OVERHEAD).nodes) == 1
    assert len(operator_graph(parse_operator("identity_16x8x8")).nodes) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        lambda net: net.conv(0, 5, groups=2),
        lambda net: net.conv(0, 0),
        lambda net: net.conv(0, 4, stride=0),
        lambda net: net.conv(0, 4, activation="mish"),
        lambda net: net.fc(0, 10),
        lambda net: net.add(0, net.conv(0, 8)),
        lambda net: net.mul(0, 0),
        lambda net: net.slice(0, 2, 3),
        lambda net: net.shuffle(0, 3),
    ],
)
def test_what_cannot_be_is_refused(wrong: object) -> None:
    with pytest.raises(SpaceError):
        wrong(GraphBuilder(4, 8, 8))  # type: ignore[operator]


def test_a_block_with_groups_shuffles() -> None:
    kinds = [node.kind for node in operator_graph(Operator("ir", 16, 8, 8, 16, 3, 1, 1, 2)).nodes]
    assert kinds == ["input", "conv", "shuffle", "conv", "conv", "add"]
