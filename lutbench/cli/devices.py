"""`lutbench devices`"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lutbench.cli.help import HelpCommand
from lutbench.cli.options import cores_option, force_option, json_option
from lutbench.cli.out import say

if TYPE_CHECKING:
    from lutbench.device_agents.android.find import Attached
    from lutbench.device_agents.ios.find import AttachedIphone
    from lutbench.device_agents.registry import Device
    from lutbench.device_agents.remote.checklist import Check


@click.command("devices", cls=HelpCommand)
@click.option("--clean", metavar="NAME", help="Remove all that lutbench keeps on this phone.")
@click.option(
    "--check",
    "checked",
    metavar="NAME",
    help="Check what this phone or iPhone needs, and measure one operator at the end.",
)
@click.option("--runtime", default="onnx", show_default=True, help="Check with this runtime: onnx or executorch.")
@cores_option
@force_option
@json_option
def command(clean: str | None, checked: str | None, runtime: str, cores: str, force: bool, as_json: bool) -> None:
    """List the devices that lutbench knows, and the phones attached. Yours go into devices.toml.

    --check goes through what a phone needs: each line says ok, or what to do. It exits with 1 where a line failed.
    With --json it prints what a bug report needs.
    """
    from dataclasses import asdict

    from lutbench.cli.render import print_json
    from lutbench.device_agents.registry import all_devices, clean_device, find_device, registry_path
    from lutbench.errors import UsageError

    if checked is not None:
        if clean is not None:
            raise UsageError("--check and --clean: give one of them")
        _check(checked, runtime, cores, force, as_json)
        return
    if clean is not None:
        freed = clean_device(find_device(clean))
        if as_json:
            print_json({"device": clean, "freed_bytes": freed})
        else:
            say(f"removed {freed / 1e6:.1f} MB from {clean}")
        return
    devices = list(all_devices().values())
    phones, problem = _phones()
    iphones, iphone_problem = _iphones()
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
                "phones": [
                    {
                        "serial": phone.serial,
                        "state": phone.state,
                        "model": model,
                        "through": phone.through,
                        "usb": phone.usb,
                        "transport_id": phone.transport_id,
                        "remedy": phone.remedy,
                    }
                    for phone, model in phones
                ],
                "problem": problem,
                "iphones": [{**asdict(phone), "remedy": phone.remedy} for phone in iphones],
                "iphone_problem": iphone_problem,
            }
        )
        return
    _print_devices(devices, str(registry_path()), {"android": bool(phones), "ios": bool(iphones)})
    _print_phones(phones, problem)
    _print_iphones(iphones, iphone_problem)


def _check(name: str, runtime: str, cores: str, force: bool, as_json: bool) -> None:
    """Prints the check list of a phone, line by line or as one JSON object. CheckFailedError where a check failed."""
    from dataclasses import asdict

    from lutbench import __version__
    from lutbench.cli.render import print_json
    from lutbench.device_agents.registry import find_device
    from lutbench.errors import CheckFailedError
    from lutbench.events import Event, Note
    from lutbench.jobs.check import check, line

    def tell(event: Event) -> None:
        if isinstance(event, Note):
            say(f"{'warning: ' if event.warning else ''}{event.text}", err=True)

    def show(found: Check) -> None:
        if not as_json:
            say(line(found))

    report = check(find_device(name), runtime, cores, force, show, tell)
    if as_json:
        checks = [asdict(found) for found in report.checks]
        print_json(
            {
                "device": name,
                "lutbench": __version__,
                "ok": not report.failed,
                "checks": checks,
                "environment": report.environment,
                "sections": report.sections,
            }
        )
    if report.failed:
        names = ", ".join(found.name for found in report.failed)
        raise CheckFailedError(f"the phone is not ready: {names}")


def _phones() -> tuple[list[tuple[Attached, str]], str]:
    """The phones attached, each with its model; and what kept them from being listed, or ""."""
    from lutbench.device_agents.registry import attached_phones
    from lutbench.errors import DeviceError

    try:
        return attached_phones(), ""
    except DeviceError as error:
        return [], str(error)


def _iphones() -> tuple[list[AttachedIphone], str]:
    """The iPhones attached, and what kept them from being listed, or ""."""
    from lutbench.device_agents.registry import attached_iphones
    from lutbench.errors import DeviceError

    try:
        return attached_iphones(), ""
    except DeviceError as error:
        return [], f"iPhones: {error}"


def _print_devices(devices: list[Device], registry: str, attached: dict[str, bool]) -> None:
    """attached: whether one is, by kind."""
    from lutbench.cli.render import print_table

    print_table(
        "",
        {"device": False, "kind": False, "LUT": False, "threads": True, "description": False, "can measure": False},
        [[d.name, d.kind, str(d.lut), str(d.threads), d.description, _can_measure(d, attached)] for d in devices],
        caption=f"yours: {registry}",
    )


def _can_measure(device: Device, attached: dict[str, bool]) -> str:
    return "yes" if attached.get(device.kind, True) else "once attached"


def _print_phones(phones: list[tuple[Attached, str]], problem: str) -> None:
    from lutbench.cli.render import print_table

    if problem:
        say(problem)
    elif not phones:
        say("no Android phone is attached")
    else:
        print_table(
            "",
            {"phone attached": False, "model": False, "state": False, "through": False, "usb": False},
            [[phone.serial, model, phone.state, phone.through, phone.usb] for phone, model in phones],
        )
        for phone, _ in phones:
            if phone.remedy:
                say(f"{phone.serial} is {phone.state}: {phone.remedy}")


def _print_iphones(phones: list[AttachedIphone], problem: str) -> None:
    from lutbench.cli.render import print_table

    if problem:
        say(problem)
    elif not phones:
        say("no iPhone is attached")
    else:
        print_table(
            "",
            {"iPhone attached": False, "model": False, "system": False, "state": False, "through": False},
            [[phone.udid, phone.model, phone.system, phone.state, phone.through] for phone in phones],
        )
        for phone in phones:
            if phone.remedy:
                say(f"{phone.udid}: {phone.state}: {phone.remedy}")
