"""`lutbench devices`"""

from __future__ import annotations

import click

from lutbench.cli.options import json_option


@click.command("devices")
@json_option
def command(as_json: bool) -> None:
    """The devices lutbench knows; your own go into devices.toml of the configuration folder."""
    from device_agents.registry import all_devices, registry_path
    from lutbench.cli.render import print_json, print_table

    devices = list(all_devices().values())
    if as_json:
        print_json(
            {
                "registry": str(registry_path()),
                "devices": [
                    {
                        "name": device.name,
                        "kind": device.kind,
                        "lut": str(device.lut),
                        "threads": device.threads,
                        "description": device.description,
                        "built_in": device.built_in,
                        "can_measure": device.can_measure,
                    }
                    for device in devices
                ],
            }
        )
        return
    print_table(
        "",
        {"device": False, "kind": False, "LUT": False, "threads": True, "description": False, "can measure": False},
        [
            [d.name, d.kind, str(d.lut), str(d.threads), d.description, "yes" if d.can_measure else "not yet"]
            for d in devices
        ],
        caption=f"yours: {registry_path()}",
    )
