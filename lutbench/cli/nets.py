"""`lutbench nets`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lutbench.cli.help import HelpCommand
from lutbench.cli.options import json_option
from lutbench.cli.out import say

if TYPE_CHECKING:
    from lutbench.space.graph import Graph, Model, Node
    from lutbench.space.net import Net
    from lutbench.space.operator import Operator
    from lutbench.space.sizes import NetSize


@click.command("nets", cls=HelpCommand)
@click.argument("net", required=False, metavar="[NET]")
@json_option
def command(net: str | None, as_json: bool) -> None:
    """List the published nets, with their multiply-accumulates and parameters as computed and as published.

    With a NET (mobilenet_v2, fbnet_a@192x0.5, ...) list the layers of that one.
    """
    from lutbench.cli.render import print_json
    from lutbench.space.fbnet import fbnet
    from lutbench.space.sizes import whole_zoo
    from lutbench.space.zoo import find_whole_net

    found = [find_whole_net(net, (fbnet(224, 1.0),))] if net else list(whole_zoo())
    if as_json:
        print_json({"nets": [_record(one, with_layers=net is not None) for one in found]})
        return
    _print_sizes(found)
    if net:
        _print_layers(found[0])


def _record(net: Net | Model, with_layers: bool) -> dict[str, Any]:
    from lutbench.space.net import Net
    from lutbench.space.sizes import net_size

    size = net_size(net)
    record: dict[str, Any] = {
        "net": size.net,
        "mmacs": size.mmacs,
        "params_m": size.params_m,
        "resolution": size.resolution,
        "width": size.width,
        "published_mmacs": size.published.mmacs if size.published else None,
        "published_params_m": size.published.params_m if size.published else None,
        "source": size.published.source if size.published else None,
    }
    if isinstance(net, Net):
        record |= {"head_channels": net.head_channels, "candidates": net.candidates_text}
    return record | ({"layers": _layers(net)} if with_layers else {})


def _layers(net: Net | Model) -> list[dict[str, Any]]:
    """What runs, in order: operators of a net of a search space, nodes of any other."""
    from lutbench.space.net import Net

    if isinstance(net, Net):
        return [_operator_record(operator) for operator in net.operators]
    graph = net.graph
    return [_node_record(graph, position) for position in range(1, len(graph.nodes))]


def _operator_record(operator: Operator) -> dict[str, Any]:
    return {
        "layer": operator.name,
        "output": list(operator.output_shape[1:]),
        "macs": operator.macs,
        "params": operator.params,
    }


def _node_record(graph: Graph, position: int) -> dict[str, Any]:
    node = graph.nodes[position]
    return {
        "layer": _node_text(graph, node),
        "position": position,
        "inputs": list(node.inputs),
        "output": list(node.shape),
        "macs": graph.node_macs(node),
        "params": graph.node_params(node),
    }


def _node_text(graph: Graph, node: Node) -> str:
    """A layer in words: `depthwise 3x3, stride 2, relu6`."""
    windowed = node.kind in ("conv", "max_pool", "avg_pool")
    kind = "depthwise" if graph.is_depthwise(node) else node.kind.replace("_", " ")
    parts = [
        f"{kind} {node.kernel}x{node.kernel}" if windowed else kind,
        f"stride {node.stride}" if node.stride > 1 else "",
        f"{node.groups} groups" if node.groups > 1 and not graph.is_depthwise(node) else "",
        f"from channel {node.start}" if node.kind == "slice" else "",
        node.activation if node.activation != "none" else "",
    ]
    return ", ".join(part for part in parts if part)


def _print_sizes(nets: list[Net | Model]) -> None:
    from lutbench.cli.render import print_table
    from lutbench.space.sizes import net_size

    names = ("MMACs", "M params", "published\nMMACs", "published\nM params")
    sizes = [net_size(net) for net in nets]
    known = any(size.published for size in sizes)
    print_table(
        "",
        {"net": False, "input\nx width": False, **dict.fromkeys(names, True)},
        [_size_cells(size) for size in sizes],
        caption="Behind a published figure: by how many per cent the computed one differs." if known else "",
    )


def _size_cells(size: NetSize) -> list[str]:
    from lutbench.space.scale import format_width

    variant = f"{size.resolution}x{format_width(size.width)}"
    cells = [size.net.split("@")[0], variant, f"{size.mmacs:.2f}", f"{size.params_m:.3f}"]
    if size.published is None:
        return [*cells, "-", "-"]
    return [
        *cells,
        _beside(size.published.mmacs, size.mmacs_deviation),
        _beside(size.published.params_m, size.params_deviation),
    ]


def _beside(published: float, deviation: float | None) -> str:
    return f"{published:.4g} {100 * (deviation or 0):+z.1f}"


def _print_layers(net: Net | Model) -> None:
    from lutbench.cli.render import print_table
    from lutbench.space.net import Net

    if isinstance(net, Net):
        say(f"candidates: {net.candidates_text}")
    print_table(
        "",
        {"": True, "layer": False, "reads": False, "output": True, "MMACs": True, "params": True},
        [
            [
                str(number),
                layer["layer"],
                ", ".join(str(position) for position in layer.get("inputs", [number - 1])),
                "x".join(str(size) for size in layer["output"]),
                f"{layer['macs'] / 1e6:.3f}" if layer["macs"] else "",
                f"{layer['params']:,}" if layer["params"] else "",
            ]
            for number, layer in enumerate(_layers(net), start=1)
        ],
    )
