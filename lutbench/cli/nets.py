"""`lutbench nets`"""

from __future__ import annotations

import click

from lutbench.cli.options import json_option


@click.command("nets")
@json_option
def command(as_json: bool) -> None:
    """The published nets: multiply-accumulates, parameters, resolution, candidates."""
    from lutbench.cli.render import print_json, print_table
    from lutbench.space.zoo import zoo_nets

    nets = zoo_nets()
    if as_json:
        print_json(
            {
                "nets": [
                    {
                        "net": net.name,
                        "mmacs": net.macs / 1e6,
                        "params_m": net.params / 1e6,
                        "resolution": net.space.resolution,
                        "width": net.space.width,
                        "head_channels": net.head_channels,
                        "candidates": net.candidates_text,
                    }
                    for net in nets
                ]
            }
        )
        return
    print_table(
        "",
        {"net": False, "MMACs": True, "params (M)": True, "resolution": True, "width": True},
        [
            [
                net.name,
                f"{net.macs / 1e6:.2f}",
                f"{net.params / 1e6:.3f}",
                str(net.space.resolution),
                f"{net.space.width:g}",
            ]
            for net in nets
        ],
    )
    for net in nets:
        click.echo(f"{net.name}: {net.candidates_text}")
